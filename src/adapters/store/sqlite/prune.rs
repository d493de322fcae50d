//! Forgetting what no decision needs any more. Cases and the journal are never forgotten.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::error::{StoreError, sql};
use super::rows::{MEMORY, meta, set_meta, stamp};
use crate::model::time::{Time, after};

/// Between two prunings.
const EVERY: Duration = Duration::from_secs(3600);

/// Rows of one kind in one go: the writer's other waiters shall not notice.
const AT_ONCE: i64 = 5_000;

/// True where the last pruning is an hour old. A clock that was set back only makes it later.
pub(super) fn due(conn: &Connection, now: Time) -> Result<bool, StoreError> {
    let last = meta(conn, "pruned_at")?.and_then(|text| text.parse::<Time>().ok());
    Ok(last.is_none_or(|last| now >= after(last, EVERY)))
}

/// How many rows went.
pub(super) fn prune(conn: &Connection, now: Time) -> Result<usize, StoreError> {
    let horizon = stamp(now.saturating_sub(MEMORY).unwrap_or(Time::MIN));
    let drop_rows =
        |doing, statement: &str| conn.execute(statement, params![horizon, AT_ONCE]).map_err(sql(doing));
    let ended = drop_rows(
        "forgetting episodes",
        "DELETE FROM episodes WHERE rowid IN (SELECT rowid FROM episodes WHERE ends_at < ?1 LIMIT ?2)",
    )?;
    // Its end was never told. But one label set has one alert at a time: fired again means that this one is over.
    let overtaken = drop_rows(
        "forgetting overtaken episodes",
        "DELETE FROM episodes WHERE rowid IN
         (SELECT old.rowid FROM episodes AS old
          WHERE old.ends_at IS NULL AND old.received_at < ?1 AND EXISTS
            (SELECT 1 FROM episodes AS new
             WHERE new.fingerprint = old.fingerprint AND new.starts_at > old.starts_at) LIMIT ?2)",
    )?;
    let answered = drop_rows(
        "forgetting requests",
        "DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE replied_at < ?1 LIMIT ?2)",
    )?;
    let told = super::notices::prune(conn, &horizon, AT_ONCE)?;
    set_meta(conn, "pruned_at", Some(&stamp(now)))?;
    Ok(ended + overtaken + answered + told)
}
