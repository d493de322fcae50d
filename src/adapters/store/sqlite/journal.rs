//! The journal's rows: only ever added to, each carrying SHA-256 over the hash before it and its own contents.
//!
//! What the chain shows: an entry that was changed, removed or put in between. What it cannot show: a whole journal
//! replaced by another one; who wants that too writes the head that [`verify`] returns down elsewhere.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::{StoreError, sql};
use super::rows::{from_json, meta, set_meta, stamp, to_json};
use super::seal::hex;
use crate::model::ids::CaseId;
use crate::model::note::Note;

/// The last entry, kept apart from the entries, so that a journal whose end was cut off does not look whole.
const HEAD: &str = "journal_head";

/// Where the chain stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last entry's number, which is also their count: they are numbered from 1 without a gap.
    pub seq: u64,
    /// The last entry's hash, in hex.
    pub hash: String,
}

impl Head {
    fn before_the_first() -> Self {
        Self { seq: 0, hash: hex(&[0; 32]) }
    }
}

pub(super) fn append(conn: &Connection, notes: &[Note]) -> Result<(), StoreError> {
    if notes.is_empty() {
        return Ok(());
    }
    // Goes on from the recorded head, not from the last row: a cut journal must stay visibly cut.
    let mut head = head(conn)?;
    let mut insert = conn
        .prepare_cached("INSERT INTO journal (seq, case_id, at, doc, hash) VALUES (?1, ?2, ?3, ?4, ?5)")
        .map_err(sql("writing the journal"))?;
    for note in notes {
        let (seq, case) = (head.seq + 1, note.case.map(|id| id.0));
        let row = Row { seq, case, at: stamp(note.at), doc: to_json("a note", note)? };
        let hash = row.hash(&head.hash);
        insert.execute(params![seq, case, row.at, row.doc, hash]).map_err(sql("writing the journal"))?;
        head = Head { seq, hash: hex(&hash) };
    }
    set_meta(conn, HEAD, Some(&to_json("the journal's head", &head)?))
}

/// A case's notes (`None`: all), oldest first, after a number.
pub(super) fn read(
    conn: &Connection,
    case: Option<CaseId>,
    after: u64,
    limit: usize,
) -> Result<Vec<(u64, Note)>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let columns = |row: &rusqlite::Row<'_>| Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?));
    let rows = || -> rusqlite::Result<Vec<(u64, String)>> {
        match case {
            Some(CaseId(case)) => conn
                .prepare_cached(
                    "SELECT seq, doc FROM journal WHERE case_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
                )?
                .query_map(params![case, after, limit], columns)?
                .collect(),
            None => conn
                .prepare_cached("SELECT seq, doc FROM journal WHERE seq > ?1 ORDER BY seq LIMIT ?2")?
                .query_map(params![after, limit], columns)?
                .collect(),
        }
    };
    rows()
        .map_err(sql("reading the journal"))?
        .into_iter()
        .map(|(seq, doc)| Ok((seq, from_json(&format!("journal entry {seq}"), &doc)?)))
        .collect()
}

/// Walks the whole chain.
///
/// # Errors
/// [`StoreError::Journal`] names the first entry that does not fit.
pub(super) fn verify(conn: &Connection) -> Result<Head, StoreError> {
    let mut ask = conn
        .prepare("SELECT seq, case_id, at, doc, hash FROM journal ORDER BY seq")
        .map_err(sql("reading the journal"))?;
    let rows = ask
        .query_map([], |row| {
            let entry = Row { seq: row.get(0)?, case: row.get(1)?, at: row.get(2)?, doc: row.get(3)? };
            Ok((entry, row.get::<_, Vec<u8>>(4)?))
        })
        .map_err(sql("reading the journal"))?;
    let mut last = Head::before_the_first();
    for row in rows {
        let (entry, hash) = row.map_err(sql("reading the journal"))?;
        let seq = last.seq + 1;
        if entry.seq != seq {
            let why = format!("it is missing; the next one is {}", entry.seq);
            return Err(StoreError::Journal { seq, why });
        }
        if entry.hash(&last.hash)[..] != hash[..] {
            let why = "its contents are not what its hash was made of".into();
            return Err(StoreError::Journal { seq, why });
        }
        last = Head { seq, hash: hex(&hash) };
    }
    let recorded = head(conn)?;
    if recorded != last {
        let why = format!("it is the last one, and entry {} should be", recorded.seq);
        return Err(StoreError::Journal { seq: last.seq, why });
    }
    Ok(last)
}

fn head(conn: &Connection) -> Result<Head, StoreError> {
    match meta(conn, HEAD)? {
        Some(text) => from_json("the journal's head", &text),
        None => Ok(Head::before_the_first()),
    }
}

struct Row {
    seq: u64,
    case: Option<u64>,
    at: String,
    doc: String,
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
