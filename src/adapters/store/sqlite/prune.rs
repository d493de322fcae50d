//! Forgetting what no decision needs any more. Cases and the journal are forgotten only where the configuration says so.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::super::patience::Patience;
use super::error::{StoreError, sql};
use super::keep::{Keep, let_go};
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

/// What a pruning did.
pub(super) struct Pruned {
    pub(super) rows: usize,
    /// Alerts were among them.
    pub(super) alerts: bool,
}

/// What is kept for long, unless the clock has leapt.
fn patient(conn: &Connection, keep: Keep, now: Time) -> Result<(usize, bool), StoreError> {
    let time = |key| Ok::<_, StoreError>(meta(conn, key)?.and_then(|text| text.parse().ok()));
    let [asked, rests] = Patience::KEYS;
    let (goes, next) = Patience { asked_at: time(asked)?, rests_until: time(rests)? }.asked(now);
    for (key, value) in [(asked, next.asked_at), (rests, next.rests_until)] {
        set_meta(conn, key, value.map(stamp).as_deref())?;
    }
    if goes { let_go(conn, keep, now, AT_ONCE) } else { Ok((0, false)) }
}

/// Where more is due than goes at once, the next turn prunes again.
pub(super) fn prune(conn: &Connection, keep: Keep, now: Time) -> Result<Pruned, StoreError> {
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
    let (kept, more) = match patient(conn, keep, now) {
        Ok(gone) => gone,
        // What is spoilt is evidence and stays; the rest goes on.
        Err(error @ StoreError::Journal { .. }) => {
            tracing::error!("old entries of the journal are not let go: {error}");
            (0, false)
        }
        Err(error) => return Err(error),
    };
    let most = [ended, overtaken, answered, told].into_iter().max().unwrap_or(0);
    if !more && i64::try_from(most).is_ok_and(|most| most < AT_ONCE) {
        set_meta(conn, "pruned_at", Some(&stamp(now)))?;
    }
    Ok(Pruned { rows: ended + overtaken + answered + told + kept, alerts: ended + overtaken > 0 })
}
