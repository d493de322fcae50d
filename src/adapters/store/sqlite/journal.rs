//! The journal's rows: only ever added to, each carrying SHA-256 over the hash before it and its own contents.
//!
//! What the chain shows: an entry that was changed, removed or put in between. What it cannot show: a whole journal
//! replaced by another one; who wants that too writes the head that [`verify`] returns down elsewhere.
//!
//! Old entries are let go where the configuration says so: always from the beginning on, and what follows still hangs on the
//! hash of the last one that went, which is kept.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::{StoreError, sql};
use super::rows::{from_json, meta, meta_unspoilt, set_meta, stamp, to_json};
use super::seal::hex;
use crate::model::ids::CaseId;
use crate::model::note::Note;

/// The last entry, kept apart from the entries, so that a journal whose end was cut off does not look whole.
const HEAD: &str = "journal_head";

/// The last entry that was let go. The trigger of the table knows this name, too.
const BEGIN: &str = "journal_begin";

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
    fn before_the_first() -> Self {
        Self::at(0, hex(&[0; 32]))
    }

    fn at(seq: u64, hash: String) -> Self {
        Self { seq, hash, begins_after: 0 }
    }

    /// So many entries are there.
    pub fn entries(&self) -> u64 {
        self.seq.saturating_sub(self.begins_after)
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
        head = Head::at(seq, hex(&hash));
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
    meta_unspoilt(conn)?;
    let begin = begin(conn)?;
    let begins_after = begin.seq;
    let last = walk(conn, begin, i64::MAX, |_| true)?;
    let recorded = head(conn)?;
    if recorded != last {
        let why = format!("it is the last one, and entry {} should be", recorded.seq);
        return Err(StoreError::Journal { seq: last.seq, why });
    }
    Ok(Head { begins_after, ..last })
}

/// Lets the oldest entries go: those from before `horizon`, up to the first that is younger or of an open case, and at most
/// so many. Entries that do not fit the chain are evidence, and stay.
pub(super) fn let_go(conn: &Connection, horizon: &str, at_most: i64) -> Result<usize, StoreError> {
    let open: BTreeSet<u64> = conn
        .prepare_cached("SELECT id FROM cases WHERE closed_at IS NULL")
        .and_then(|mut ask| ask.query_map([], |row| row.get(0))?.collect())
        .map_err(sql("looking for open cases"))?;
    let old =
        |entry: &Row| entry.at.as_str() < horizon && entry.case.is_none_or(|case| !open.contains(&case));
    let begin = begin(conn)?;
    let last = walk(conn, begin.clone(), at_most, old)?;
    if last == begin {
        return Ok(0);
    }
    set_meta(conn, BEGIN, Some(&to_json("the journal's beginning", &last)?))?;
    conn.execute("DELETE FROM journal WHERE seq <= ?1", [last.seq]).map_err(sql("letting old entries go"))
}

/// From one entry on, as long as they are wanted. The last one that was.
fn walk(
    conn: &Connection,
    from: Head,
    at_most: i64,
    wanted: impl Fn(&Row) -> bool,
) -> Result<Head, StoreError> {
    let reading = || sql("reading the journal");
    let mut ask = conn
        .prepare_cached("SELECT seq, case_id, at, doc, hash FROM journal ORDER BY seq LIMIT ?1")
        .map_err(reading())?;
    let mut rows = ask.query([at_most]).map_err(reading())?;
    let mut last = from;
    while let Some(row) = rows.next().map_err(reading())? {
        let (entry, hash) = Row::read(row).map_err(reading())?;
        let seq = last.seq + 1;
        if entry.seq != seq {
            let why = format!("it is missing; the next one is {}", entry.seq);
            return Err(StoreError::Journal { seq, why });
        }
        if entry.hash(&last.hash)[..] != hash[..] {
            let why = "its contents are not what its hash was made of".into();
            return Err(StoreError::Journal { seq, why });
        }
        if !wanted(&entry) {
            break;
        }
        last = Head::at(seq, hex(&hash));
    }
    Ok(last)
}

/// Entries as lines of JSON, each with its hash and the one before it, which is what its hash was made of. Also entries that
/// do not fit: who takes them out may want to show just that.
pub(super) fn lines(
    conn: &Connection,
    case: Option<CaseId>,
    after: u64,
    limit: usize,
) -> Result<Vec<(u64, String)>, StoreError> {
    let reading = || sql("reading the journal");
    let begin = begin(conn)?;
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut ask = conn
        .prepare_cached(
            "SELECT seq, case_id, at, doc, hash,
                    (SELECT before.hash FROM journal AS before WHERE before.seq = journal.seq - 1)
             FROM journal WHERE seq > ?1 AND (?2 IS NULL OR case_id = ?2) ORDER BY seq LIMIT ?3",
        )
        .map_err(reading())?;
    let mut rows =
        ask.query(params![number(after), case.map(|case| number(case.0)), limit]).map_err(reading())?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next().map_err(reading())? {
        let (entry, hash) = Row::read(row).map_err(reading())?;
        let before: Option<Vec<u8>> = row.get(5).map_err(reading())?;
        let before = match before {
            Some(before) => hex(&before),
            None if entry.seq == begin.seq + 1 => begin.hash.clone(),
            None => String::new(),
        };
        lines.push((entry.seq, entry.line(&before, &hex(&hash))));
    }
    Ok(lines)
}

fn head(conn: &Connection) -> Result<Head, StoreError> {
    match meta(conn, HEAD)? {
        Some(text) => from_json("the journal's head", &text),
        None => Ok(Head::before_the_first()),
    }
}

/// Where the chain begins: the last entry that was let go.
fn begin(conn: &Connection) -> Result<Head, StoreError> {
    match meta(conn, BEGIN)? {
        Some(text) => from_json("the journal's beginning", &text),
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
    /// With its hash, as it stands there.
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Self, Vec<u8>)> {
        let entry = Self { seq: row.get(0)?, case: row.get(1)?, at: row.get(2)?, doc: row.get(3)? };
        Ok((entry, row.get(4)?))
    }

    /// The note stands in it to the letter, because the hash was made of its letters.
    fn line(&self, before: &str, hash: &str) -> String {
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
