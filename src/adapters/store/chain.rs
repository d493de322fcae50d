//! The journal's chain: each entry carries SHA-256 over the hash before it and its own contents.
//!
//! What it shows: an entry that was changed, removed or put in between. What it cannot show: a whole journal replaced by
//! another one; who wants that too writes the head that a verification returns down elsewhere.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::documents::{stamp, to_json};
use super::error::StoreError;
use super::seal::hex;
use crate::model::note::Note;

/// Where the chain stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last entry's number, which is also their count: they are numbered from 1 without a gap.
    pub seq: u64,
    /// The last entry's hash, in hex.
    pub hash: String,
}

impl Head {
    pub(super) fn before_the_first() -> Self {
        Self { seq: 0, hash: hex(&[0; 32]) }
    }
}

/// The entry that a note becomes after `head`, with its hash, and the head that is then.
pub(super) fn link(head: &Head, note: &Note) -> Result<(Row, [u8; 32], Head), StoreError> {
    let (seq, case) = (head.seq + 1, note.case.map(|id| id.0));
    let row = Row { seq, case, at: stamp(note.at), doc: to_json("a note", note)? };
    let hash = row.hash(&head.hash);
    Ok((row, hash, Head { seq, hash: hex(&hash) }))
}

/// Goes along a chain, entry by entry.
pub(super) struct Walk {
    last: Head,
}

impl Walk {
    /// After this entry.
    pub(super) fn from(last: Head) -> Self {
        Self { last }
    }

    /// # Errors
    /// [`StoreError::Journal`]: it does not fit to the one before.
    pub(super) fn next(&mut self, entry: &Row, hash: &[u8]) -> Result<(), StoreError> {
        let seq = self.last.seq + 1;
        if entry.seq != seq {
            let why = format!("it is missing; the next one is {}", entry.seq);
            return Err(StoreError::Journal { seq, why });
        }
        if entry.hash(&self.last.hash)[..] != hash[..] {
            let why = "its contents are not what its hash was made of".into();
            return Err(StoreError::Journal { seq, why });
        }
        self.last = Head { seq, hash: hex(hash) };
        Ok(())
    }

    /// After the last entry, against the head that was recorded apart from the entries.
    pub(super) fn end(self, recorded: &Head) -> Result<Head, StoreError> {
        if *recorded != self.last {
            let why = format!("it is the last one, and entry {} should be", recorded.seq);
            return Err(StoreError::Journal { seq: self.last.seq, why });
        }
        Ok(self.last)
    }
}

/// One entry, as it is stored.
pub(super) struct Row {
    pub seq: u64,
    pub case: Option<u64>,
    pub at: String,
    pub doc: String,
}

impl Row {
    /// Each part with its length before it, so that no two different rows are the same bytes.
    fn hash(&self, before: &str) -> [u8; 32] {
        let case = self.case.map(|id| id.to_string()).unwrap_or_default();
        let mut digest = Sha256::new();
        for part in [before, &self.seq.to_string(), &case, &self.at, &self.doc] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}
