//! The journal's chain: each entry carries SHA-256 over the hash before it and its own contents.
//!
//! What it shows: an entry that was changed, removed or put in between. What it cannot show: a whole journal replaced by
//! another one; who wants that too writes the head that a verification returns down elsewhere.
//!
//! Old entries are let go where the configuration says so: always from the beginning on, and what follows still hangs on the
//! hash of the last one that went, which is kept.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::documents::{stamp, to_json};
use super::error::StoreError;
use super::seal::hex;
use crate::model::note::Note;

/// Where the chain stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last entry's number: they are numbered from 1 without a gap.
    pub seq: u64,
    /// The last entry's hash, in hex.
    pub hash: String,
    /// Those up to this one were let go; 0: none.
    #[serde(default, skip_serializing_if = "none")]
    pub begins_after: u64,
}

fn none(entries: &u64) -> bool {
    *entries == 0
}

impl Head {
    pub(super) fn before_the_first() -> Self {
        Self::at(0, hex(&[0; 32]))
    }

    pub(super) fn at(seq: u64, hash: String) -> Self {
        Self { seq, hash, begins_after: 0 }
    }

    /// So many entries are there.
    pub fn entries(&self) -> u64 {
        self.seq.saturating_sub(self.begins_after)
    }
}

/// The entry that a note becomes after `head`, with its hash, and the head that is then.
pub(super) fn link(head: &Head, note: &Note) -> Result<(Row, [u8; 32], Head), StoreError> {
    let (seq, case) = (head.seq + 1, note.case.map(|id| id.0));
    let row = Row { seq, case, at: stamp(note.at), doc: to_json("a note", note)? };
    let hash = row.hash(&head.hash);
    Ok((row, hash, Head::at(seq, hex(&hash))))
}

/// Goes along a chain, entry by entry.
pub(super) struct Walk {
    begins_after: u64,
    last: Head,
}

impl Walk {
    /// After this entry.
    pub(super) fn from(last: Head) -> Self {
        Self { begins_after: last.seq, last }
    }

    /// The last entry that fitted.
    pub(super) fn last(&self) -> &Head {
        &self.last
    }

    /// # Errors
    /// [`StoreError::Journal`]: it does not fit to the one before.
    pub(super) fn next(&mut self, entry: &Row, hash: &[u8]) -> Result<(), StoreError> {
        self.last = self.fitting(entry, hash)?;
        Ok(())
    }

    /// As [`Walk::next`], and stays where it is.
    pub(super) fn fitting(&self, entry: &Row, hash: &[u8]) -> Result<Head, StoreError> {
        let seq = self.last.seq + 1;
        if entry.seq != seq {
            let why = format!("it is missing; the next one is {}", entry.seq);
            return Err(StoreError::Journal { seq, why });
        }
        if entry.hash(&self.last.hash)[..] != hash[..] {
            let why = "its contents are not what its hash was made of".into();
            return Err(StoreError::Journal { seq, why });
        }
        Ok(Head::at(seq, hex(hash)))
    }

    /// After the last entry, against the head that was recorded apart from the entries.
    pub(super) fn end(self, recorded: &Head) -> Result<Head, StoreError> {
        if *recorded != self.last {
            let why = format!("it is the last one, and entry {} should be", recorded.seq);
            return Err(StoreError::Journal { seq: self.last.seq, why });
        }
        Ok(Head { begins_after: self.begins_after, ..self.last })
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
    /// As a line of JSON. The note stands in it to the letter, because the hash was made of its letters.
    pub(super) fn line(&self, before: &str, hash: &str) -> String {
        let Self { seq, case, at, doc } = self;
        let whole = !doc.contains(['\n', '\r']) && serde_json::from_str::<IgnoredAny>(doc).is_ok();
        let note = if whole { doc.clone() } else { serde_json::Value::from(doc.as_str()).to_string() };
        let case = case.map_or_else(|| "null".to_owned(), |case| case.to_string());
        let at = serde_json::Value::from(at.as_str());
        format!(
            "{{\"seq\":{seq},\"before\":\"{before}\",\"hash\":\"{hash}\",\"case\":{case},\"at\":{at},\"note\":{note}}}"
        )
    }

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
