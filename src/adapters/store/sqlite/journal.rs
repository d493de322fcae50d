//! The journal's rows: only ever added to, each a link of the [`chain`](super::chain).

use rusqlite::{Connection, params};

use super::chain::{Head, Row, Walk, link};
use super::error::{StoreError, sql};
use super::rows::{from_json, meta, set_meta, to_json};
use crate::model::ids::CaseId;
use crate::model::note::Note;

/// The last entry, kept apart from the entries, so that a journal whose end was cut off does not look whole.
const HEAD: &str = "journal_head";

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
    let mut ask = conn
        .prepare("SELECT seq, case_id, at, doc, hash FROM journal ORDER BY seq")
        .map_err(sql("reading the journal"))?;
    let rows = ask
        .query_map([], |row| {
            let entry = Row { seq: row.get(0)?, case: row.get(1)?, at: row.get(2)?, doc: row.get(3)? };
            Ok((entry, row.get::<_, Vec<u8>>(4)?))
        })
        .map_err(sql("reading the journal"))?;
    let mut walk = Walk::from(Head::before_the_first());
    for row in rows {
        let (entry, hash) = row.map_err(sql("reading the journal"))?;
        walk.next(&entry, &hash)?;
    }
    walk.end(&head(conn)?)
}

fn head(conn: &Connection) -> Result<Head, StoreError> {
    match meta(conn, HEAD)? {
        Some(text) => from_json("the journal's head", &text),
        None => Ok(Head::before_the_first()),
    }
}
