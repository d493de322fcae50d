//! The journal's rows: only ever added to, each a link of the [`chain`](super::super::chain), and let go from the beginning on.

use std::collections::BTreeSet;

use tokio_postgres::Row as Found;

use super::super::chain::{Head, Row, Walk, link};
use super::super::documents::{from_json, to_json};
use super::super::error::StoreError;
use super::super::seal::hex;
use super::ask::{Ask, Columns as _};
use super::conn::{Conn, Failure, READ, READ_ALL};
use super::meta::{self, Meta};
use crate::model::ids::{CaseId, ClusterName};
use crate::model::note::Note;

/// The last entry, kept apart from the entries, so that a journal whose end was cut off does not look whole.
const HEAD: &str = "journal_head";

/// The last entry that was let go.
const BEGIN: &str = "journal_begin";

/// Entries that are read at once when all are read.
const PAGE: i64 = 2_000;

/// Goes on from the recorded head, not from the last row: a cut journal must stay visibly cut.
pub(super) fn append(
    cluster: &ClusterName,
    meta: &mut Meta,
    notes: &[Note],
) -> Result<Option<Ask>, StoreError> {
    if notes.is_empty() {
        return Ok(None);
    }
    let (mut head, mut rows) = (head(meta)?, Vec::with_capacity(notes.len()));
    for note in notes {
        let (row, hash, next) = link(&head, note)?;
        rows.push((row, hash));
        head = next;
    }
    meta.set(HEAD, Some(to_json("the journal's head", &head)?));
    Ok(Some(insert(cluster, &rows)?))
}

fn insert(cluster: &ClusterName, rows: &[(Row, [u8; 32])]) -> Result<Ask, StoreError> {
    let mut cases = Vec::with_capacity(rows.len());
    for (row, _) in rows {
        let too_large = |e| StoreError::document(format!("journal entry {}", row.seq), e);
        cases.push(row.case.map(i64::try_from).transpose().map_err(too_large)?);
    }
    Ok(Ask::new(
        "INSERT INTO journal (cluster, seq, case_id, at, doc, hash)
         SELECT $1, seq, case_id, at, doc, hash FROM UNNEST($2, $3, $4, $5, $6) AS it (seq, case_id, at, doc, hash)",
    )
    .text(&cluster.0)
    .counts(rows.iter().map(|(row, _)| row.seq))
    .maybe_ints(cases)
    .texts(rows.iter().map(|(row, _)| row.at.as_str()))
    .texts(rows.iter().map(|(row, _)| row.doc.as_str()))
    .many_bytes(rows.iter().map(|(_, hash)| Some(hash.to_vec()))))
}

/// A case's notes (`None`: all), oldest first, after a number.
pub(super) async fn read(
    conn: &Conn,
    cluster: &ClusterName,
    case: Option<CaseId>,
    after: u64,
    limit: usize,
) -> Result<Vec<(u64, Note)>, Failure> {
    let ask = match case {
        Some(case) => Ask::new(
            "SELECT seq, doc FROM journal WHERE cluster = $1 AND seq > $2 AND case_id = $4 ORDER BY seq LIMIT $3",
        )
        .text(&cluster.0)
        .count(after)
        .limit(limit)
        .count(case.0),
        None => Ask::new("SELECT seq, doc FROM journal WHERE cluster = $1 AND seq > $2 ORDER BY seq LIMIT $3")
            .text(&cluster.0)
            .count(after)
            .limit(limit),
    };
    let answers = conn.whole(READ, vec![ask]).await?;
    let note = |row: &Found| {
        let seq = row.count(0)?;
        Ok((seq, from_json(&format!("journal entry {seq}"), &row.text(1)?)?))
    };
    answers[0].iter().map(note).collect()
}

/// Entries as lines of JSON, each with its hash and the one before it, also those that do not fit: who takes them out may want
/// to show just that.
pub(super) async fn lines(
    conn: &Conn,
    cluster: &ClusterName,
    case: Option<CaseId>,
    after: u64,
    limit: usize,
) -> Result<Vec<(u64, String)>, Failure> {
    let ask = Ask::new(
        "SELECT it.seq, it.case_id, it.at, it.doc, it.hash, before.hash FROM journal AS it
         LEFT JOIN journal AS before ON before.cluster = it.cluster AND before.seq = it.seq - 1
         WHERE it.cluster = $1 AND it.seq > $2 AND ($4 IS NULL OR it.case_id = $4) ORDER BY it.seq LIMIT $3",
    );
    let case = case.map(|case| i64::try_from(case.0).unwrap_or(i64::MAX));
    let ask = ask.text(&cluster.0).count(after).limit(limit).maybe_int(case);
    let answers = conn.whole(READ, vec![meta::ask(cluster), ask]).await?;
    let begin = begin(&Meta::read(&answers[0])?)?;
    let line = |row: &Found| {
        let (entry, hash) = entry(row)?;
        let before = match row.maybe_seal(5)? {
            Some(before) => hex(&before),
            None if entry.seq == begin.seq + 1 => begin.hash.clone(),
            None => String::new(),
        };
        Ok((entry.seq, entry.line(&before, &hex(&hash))))
    };
    answers[1].iter().map(line).collect()
}

/// With its hash, as it stands there.
fn entry(row: &Found) -> Result<(Row, Vec<u8>), Failure> {
    let case = row.get_as::<Option<i64>>(1)?.and_then(|case| u64::try_from(case).ok());
    Ok((Row { seq: row.count(0)?, case, at: row.text(2)?, doc: row.text(3)? }, row.get_as(4)?))
}

/// Walks the whole chain.
///
/// # Errors
/// [`StoreError::Journal`] names the first entry that does not fit.
pub(super) async fn verify(conn: &Conn, cluster: &ClusterName) -> Result<Head, Failure> {
    let answers = conn.begin(READ_ALL, vec![meta::ask(cluster)]).await?;
    let head = walk(conn, cluster, &Meta::read(&answers[0])?, |_| Ok(())).await?;
    conn.done().await?;
    Ok(head)
}

/// The same inside of a transaction that has begun; `each` sees every entry.
pub(super) async fn walk(
    conn: &Conn,
    cluster: &ClusterName,
    meta: &Meta,
    mut each: impl FnMut(&Row) -> Result<(), StoreError>,
) -> Result<Head, Failure> {
    let begin = begin(meta)?;
    let (mut walk, mut after) = (Walk::from(begin), 0);
    loop {
        let ask = Ask::new(
            "SELECT seq, case_id, at, doc, hash FROM journal WHERE cluster = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        );
        let page = conn.more(vec![ask.text(&cluster.0).int(after).int(PAGE)]).await?;
        for row in &page[0] {
            let (entry, hash) = entry(row)?;
            walk.next(&entry, &hash)?;
            each(&entry)?;
        }
        match page[0].last() {
            Some(last) => after = last.int(0)?,
            None => break,
        }
    }
    Ok(walk.end(&head(meta)?)?)
}

/// Where the chain begins: the last entry that was let go.
pub(super) fn begin(meta: &Meta) -> Result<Head, StoreError> {
    match meta.get(BEGIN) {
        Some(text) => from_json("the journal's beginning", text),
        None => Ok(Head::before_the_first()),
    }
}

/// Lets the oldest entries go: those from before `horizon`, up to the first that is younger or of an open case, and at most so
/// many; in a transaction that has begun. Also whether there may be more of them.
///
/// # Errors
/// [`StoreError::Journal`]: entries that do not fit the chain are evidence, and stay.
pub(super) async fn old(
    conn: &Conn,
    cluster: &ClusterName,
    meta: &mut Meta,
    horizon: &str,
    open: &BTreeSet<u64>,
    at_most: i64,
) -> Result<(Option<Ask>, bool), Failure> {
    let begin = begin(meta)?;
    let ask = Ask::new(
        "SELECT seq, case_id, at, doc, hash FROM journal WHERE cluster = $1 AND at < $2 ORDER BY seq LIMIT $3",
    );
    let page = conn.more(vec![ask.text(&cluster.0).text(horizon).int(at_most)]).await?;
    let (mut walk, mut went) = (Walk::from(begin.clone()), 0_i64);
    for row in &page[0] {
        let (entry, hash) = entry(row)?;
        // One that is younger lies before it: what follows that one stays.
        let follows = entry.seq == walk.last().seq + 1;
        if went > 0 && !follows || entry.case.is_some_and(|case| open.contains(&case)) {
            break;
        }
        walk.next(&entry, &hash)?;
        went += 1;
    }
    let last = walk.last();
    if *last == begin {
        return Ok((None, false));
    }
    meta.set(BEGIN, Some(to_json("the journal's beginning", last)?));
    let gone =
        Ask::new("DELETE FROM journal WHERE cluster = $1 AND seq <= $2").text(&cluster.0).count(last.seq);
    Ok((Some(gone), went >= at_most))
}

pub(super) fn head(meta: &Meta) -> Result<Head, StoreError> {
    match meta.get(HEAD) {
        Some(text) => from_json("the journal's head", text),
        None => Ok(Head::before_the_first()),
    }
}
