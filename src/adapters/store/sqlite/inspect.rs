//! Looking at a whole store: is every page in order, does the journal's chain hold, can every row be read?
//!
//! It reads and tells. It must never repair: what is in there is what the cluster is owed, and a guess about that is worth
//! less than nothing.

use std::path::Path;

use rusqlite::Connection;
use serde::Serialize;

use super::chain::Head;
use super::error::{StoreError, sql};
use super::rows::{from_json, meta_unspoilt};
use super::{board, episodes, inbox, journal, load, mark, notices, open};
use crate::model::notice::Notice;
use crate::model::request::{Reply, Request};
use crate::model::time::Time;

/// What stands in a store that is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspected {
    /// Transactions that it knows of. A database that looks after itself does not count them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commits: Option<u64>,
    pub cases: usize,
    pub open_cases: usize,
    /// Open cases that owe the cluster something.
    pub owing: usize,
    pub steps: usize,
    pub requests: usize,
    pub episodes: usize,
    pub notices: usize,
    pub work_orders: usize,
    pub unreadable: usize,
    pub journal: Head,
}

/// Journal entries that are read at once.
const PAGE: usize = 1_000;

/// Inspects a file that no service uses: a backup, or what is left of a store.
///
/// # Errors
/// The first thing that is wrong.
pub fn inspect(file: &Path) -> Result<Inspected, StoreError> {
    let refuse = |why: &str| StoreError::File { file: file.into(), why: why.into() };
    let about = std::fs::metadata(file).map_err(|e| refuse(&e.to_string()))?;
    if !about.is_file() {
        return Err(refuse("it is no file; name a backup, or nothing for the store of the configuration"));
    }
    if about.len() == 0 {
        return Err(refuse("it is empty; a backup that was interrupted leaves no file at all"));
    }
    inspected(&open::connect_read_only(file)?, file)
}

/// Inspects the store of a state directory, beside a running service or without one.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn inspect_state(dir: &Path) -> Result<Inspected, StoreError> {
    inspected(&open::readable(dir)?, &dir.join(open::DATABASE))
}

pub(super) fn inspected(conn: &Connection, file: &Path) -> Result<Inspected, StoreError> {
    open::current(conn, file)?;
    // One snapshot, so that the counts belong together while a service writes on.
    let tx = conn.unchecked_transaction().map_err(|e| open::explain(file, e))?;
    open::whole(&tx, file)?;
    references(&tx, file)?;
    meta_unspoilt(&tx)?;
    let journal = journal::verify(&tx)?;
    entries(&tx)?;
    let cases = load::cases(&tx, usize::MAX)?;
    let mut steps = 0;
    for case in &cases {
        steps += load::ledger(&tx, Some(case.id))?.len();
    }
    // As the loop reads it: what it cannot read stops it.
    load::state(&tx, Time::UNIX_EPOCH)?;
    let open: Vec<_> = cases.iter().filter(|case| case.open()).collect();
    Ok(Inspected {
        commits: Some(mark::commits(&tx)?),
        open_cases: open.len(),
        owing: open.iter().filter(|case| !case.owed.nothing()).count(),
        cases: cases.len(),
        steps,
        requests: requests(&tx)?,
        episodes: episodes::since(&tx, Time::UNIX_EPOCH, &[])?.len(),
        notices: told(&tx)?,
        work_orders: board::all(&tx)?,
        unreadable: usize::try_from(inbox::unreadable(&tx, 0)?.count).unwrap_or(usize::MAX),
        journal,
    })
}

/// Rows that name a row which is not there.
fn references(conn: &Connection, file: &Path) -> Result<(), StoreError> {
    let lost: Option<String> = conn
        .prepare("PRAGMA foreign_key_check")
        .and_then(|mut ask| ask.query_map([], |row| row.get(0))?.next().transpose())
        .map_err(|e| open::explain(file, e))?;
    match lost {
        None => Ok(()),
        Some(table) => {
            let why = format!("a row of the table {table} names another one that is not there");
            Err(StoreError::Damaged { file: file.into(), why })
        }
    }
}

fn entries(conn: &Connection) -> Result<(), StoreError> {
    let mut after = 0;
    loop {
        let page = journal::read(conn, None, after, PAGE)?;
        match page.last() {
            Some((last, _)) => after = *last,
            None => return Ok(()),
        }
    }
}

/// All of them, the answered ones with their answers.
fn requests(conn: &Connection) -> Result<usize, StoreError> {
    let rows = each(conn, "SELECT id, doc, reply FROM requests", "reading the requests")?;
    for (id, doc, reply) in &rows {
        from_json::<Request>(&format!("request {id}"), doc)?;
        if let Some(reply) = reply {
            from_json::<Reply>(&format!("the reply to request {id}"), reply)?;
        }
    }
    Ok(rows.len())
}

fn told(conn: &Connection) -> Result<usize, StoreError> {
    let rows = each(conn, "SELECT id, doc, NULL FROM notices", "reading the notices")?;
    for (id, doc, _) in &rows {
        let notice: Notice = from_json(&format!("notice {id}"), doc)?;
        if notice.id.0 != *id {
            return Err(StoreError::spoilt(format!("notice {id}")));
        }
    }
    notices::undelivered(conn)?;
    Ok(rows.len())
}

type Documents = Vec<(String, String, Option<String>)>;

fn each(conn: &Connection, statement: &str, doing: &'static str) -> Result<Documents, StoreError> {
    let rows = || -> rusqlite::Result<Documents> {
        conn.prepare(statement)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
    };
    rows().map_err(sql(doing))
}
