//! Closed cases and the journal are kept for ever, unless the configuration says for how long. Then the oldest go first, a few
//! at a time. It must never take what a decision reads, nor anything that somebody still waits for.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::error::{StoreError, sql};
use super::journal;
use super::rows::stamp;
use crate::model::state::EARLIER_MAX;
use crate::model::time::Time;

/// Cases in one go, each with its steps and work orders.
const CASES_AT_ONCE: i64 = 100;

/// How long; `None`: for ever. Less than decisions look back does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    pub closed_cases: Option<Duration>,
    pub journal: Option<Duration>,
}

/// How many rows went, and whether more of them are due.
pub(super) fn let_go(
    conn: &Connection,
    keep: Keep,
    now: Time,
    at_once: i64,
) -> Result<(usize, bool), StoreError> {
    let horizon = |kept: Duration| stamp(now.saturating_sub(kept.max(EARLIER_MAX.0)).unwrap_or(Time::MIN));
    let cases = keep.closed_cases.map_or(Ok(0), |kept| cases(conn, &horizon(kept)))?;
    let entries = keep.journal.map_or(Ok(0), |kept| journal::let_go(conn, &horizon(kept), at_once))?;
    let full = |rows: usize, most: i64| i64::try_from(rows).is_ok_and(|rows| rows >= most);
    Ok((cases + entries, full(cases, CASES_AT_ONCE) || full(entries, at_once)))
}

/// With everything that belongs to them alone. A work order that is open, or a notice that reached nobody yet, holds its case.
fn cases(conn: &Connection, horizon: &str) -> Result<usize, StoreError> {
    let run = || -> rusqlite::Result<usize> {
        let old: Vec<u64> = conn
            .prepare_cached(
                "SELECT id FROM cases WHERE closed_at < ?1
                 AND NOT EXISTS (SELECT 1 FROM work_orders WHERE case_id = cases.id AND status = 'open')
                 AND NOT EXISTS (SELECT 1 FROM deliveries JOIN notices ON notices.id = notice
                                 WHERE notices.case_id = cases.id AND done = 0)
                 ORDER BY closed_at LIMIT ?2",
            )?
            .query_map(params![horizon, CASES_AT_ONCE], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for case in &old {
            for statement in [
                "DELETE FROM comments WHERE number IN (SELECT number FROM work_orders WHERE case_id = ?1)",
                "DELETE FROM work_orders WHERE case_id = ?1",
                "DELETE FROM steps WHERE case_id = ?1",
                "DELETE FROM cases WHERE id = ?1",
            ] {
                conn.prepare_cached(statement)?.execute([case])?;
            }
        }
        Ok(old.len())
    };
    run().map_err(sql("letting closed cases go"))
}
