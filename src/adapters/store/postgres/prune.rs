//! Forgetting what no decision needs any more. Cases and the journal are forgotten only where the configuration says so.

use std::time::Duration;

use super::super::Keep;
use super::super::documents::{MEMORY, stamp};
use super::super::patience::Patience;
use super::ask::Ask;
use super::conn::{Conn, Failure};
use super::keep::let_go;
use super::lease::begin_fenced;
use super::meta::{self, Meta};
use super::notices;
use crate::model::ids::ClusterName;
use crate::model::time::{Time, after};
use crate::ports::Fence;

/// Between two prunings.
const EVERY: Duration = Duration::from_secs(3600);

/// Rows of one kind in one go: others shall not notice.
const AT_ONCE: i64 = 5_000;

const PRUNED_AT: &str = "pruned_at";

/// True where the last pruning is an hour old. A clock that was set back only makes it later.
pub(super) fn due(meta: &Meta, now: Time) -> bool {
    let last = meta.get(PRUNED_AT).and_then(|text| text.parse::<Time>().ok());
    last.is_none_or(|last| now >= after(last, EVERY))
}

/// May what is kept for long be let go by this clock?
fn patient(meta: &mut Meta, now: Time) -> bool {
    let time = |meta: &Meta, key| meta.get(key).and_then(|text| text.parse().ok());
    let [asked, rests] = Patience::KEYS;
    let (goes, next) = Patience { asked_at: time(meta, asked), rests_until: time(meta, rests) }.asked(now);
    for (key, value) in [(asked, next.asked_at), (rests, next.rests_until)] {
        meta.set(key, value.map(stamp));
    }
    goes
}

pub(super) async fn prune(
    conn: &Conn,
    cluster: &ClusterName,
    fence: &Fence,
    keep: Keep,
    now: Time,
) -> Result<(), Failure> {
    let horizon = stamp(now.saturating_sub(MEMORY).unwrap_or(Time::MIN));
    let forget = |statement| Ask::new(statement).text(&cluster.0).text(&horizon).int(AT_ONCE);
    let answers = begin_fenced(conn, cluster, fence, vec![meta::ask(cluster)]).await?;
    let mut meta = Meta::read(&answers[0])?;
    let (mut asks, more) = match patient(&mut meta, now) {
        true => let_go(conn, cluster, keep, now, &mut meta, AT_ONCE).await?,
        false => (Vec::new(), false),
    };
    // Where more is due than goes at once, the next turn prunes again.
    if !more {
        meta.set(PRUNED_AT, Some(stamp(now)));
    }
    asks.extend([
        forget(
            "DELETE FROM episodes WHERE cluster = $1 AND (fingerprint, starts_at) IN
             (SELECT fingerprint, starts_at FROM episodes WHERE cluster = $1 AND ends_at < $2 LIMIT $3)",
        ),
        // Its end was never told. But one label set has one alert at a time: fired again means that this one is over.
        forget(
            "DELETE FROM episodes WHERE cluster = $1 AND (fingerprint, starts_at) IN
             (SELECT old.fingerprint, old.starts_at FROM episodes AS old
              WHERE old.cluster = $1 AND old.ends_at IS NULL AND old.received_at < $2 AND EXISTS
                (SELECT 1 FROM episodes AS new WHERE new.cluster = $1
                 AND new.fingerprint = old.fingerprint AND new.starts_at > old.starts_at) LIMIT $3)",
        ),
        forget(
            "DELETE FROM requests WHERE cluster = $1 AND id IN
             (SELECT id FROM requests WHERE cluster = $1 AND replied_at < $2 LIMIT $3)",
        ),
    ]);
    asks.extend(notices::prune(cluster, &horizon, AT_ONCE));
    asks.extend(meta.write(cluster));
    conn.end(asks).await.map(drop)
}
