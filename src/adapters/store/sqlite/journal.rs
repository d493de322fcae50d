//! The journal's rows: only ever added to, each a link of the [`chain`](super::chain), and let go from the beginning on.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::chain::{Head, Row, Walk, link};
use super::error::{StoreError, sql};
use super::rows::{from_json, meta, meta_unspoilt, set_meta, to_json};
use super::seal::hex;
use crate::model::ids::CaseId;
use crate::model::note::Note;

/// The last entry, kept apart from the entries, so that a journal whose end was cut off does not look whole.
const HEAD: &str = "journal_head";

/// The last entry that was let go. The trigger of the table knows this name, too.
const BEGIN: &str = "journal_begin";

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
        let (row, hash, next) = link(&head, note)?;
        insert
            .execute(params![row.seq, row.case, row.at, row.doc, hash])
            .map_err(sql("writing the journal"))?;
        head = next;
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
    walk(conn, begin(conn)?, i64::MAX, |_| true)?.end(&head(conn)?)
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
    let walk = walk(conn, begin.clone(), at_most, old)?;
    let last = walk.last();
    if *last == begin {
        return Ok(0);
    }
    set_meta(conn, BEGIN, Some(&to_json("the journal's beginning", last)?))?;
    conn.execute("DELETE FROM journal WHERE seq <= ?1", [last.seq]).map_err(sql("letting old entries go"))
}

/// From one entry on, as long as they are wanted.
fn walk(
    conn: &Connection,
    from: Head,
    at_most: i64,
    wanted: impl Fn(&Row) -> bool,
) -> Result<Walk, StoreError> {
    let reading = || sql("reading the journal");
    let mut ask = conn
        .prepare_cached("SELECT seq, case_id, at, doc, hash FROM journal ORDER BY seq LIMIT ?1")
        .map_err(reading())?;
    let mut rows = ask.query([at_most]).map_err(reading())?;
    let mut walk = Walk::from(from);
    while let Some(row) = rows.next().map_err(reading())? {
        let (entry, hash) = entry(row).map_err(reading())?;
        walk.fitting(&entry, &hash)?;
        if !wanted(&entry) {
            break;
        }
        walk.next(&entry, &hash)?;
    }
    Ok(walk)
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
        let (entry, hash) = entry(row).map_err(reading())?;
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

/// With its hash, as it stands there.
fn entry(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Row, Vec<u8>)> {
    let entry = Row { seq: row.get(0)?, case: row.get(1)?, at: row.get(2)?, doc: row.get(3)? };
    Ok((entry, row.get(4)?))
}
