//! Closed cases and the journal are kept for ever, unless the configuration says for how long. Then the oldest go first, a few
//! at a time, by whoever decides. It must never take what a decision reads, nor anything that somebody still waits for.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::Keep;
use super::super::documents::stamp;
use super::super::error::StoreError;
use super::ask::{Ask, Columns as _};
use super::conn::{Conn, Failure};
use super::journal;
use super::meta::Meta;
use crate::model::ids::ClusterName;
use crate::model::state::EARLIER_MAX;
use crate::model::time::Time;

/// Cases in one go, each with its steps and work orders.
const CASES_AT_ONCE: i64 = 100;

/// What goes, in a transaction that has begun; and whether more of it is due.
pub(super) async fn let_go(
    conn: &Conn,
    cluster: &ClusterName,
    keep: Keep,
    now: Time,
    meta: &mut Meta,
    at_once: i64,
) -> Result<(Vec<Ask>, bool), Failure> {
    let horizon = |kept: Duration| stamp(now.saturating_sub(kept.max(EARLIER_MAX.0)).unwrap_or(Time::MIN));
    let (mut asks, mut more) = (Vec::new(), false);
    if let Some(kept) = keep.closed_cases {
        let old = old_cases(conn, cluster, &horizon(kept)).await?;
        more |= i64::try_from(old.len()).is_ok_and(|old| old >= CASES_AT_ONCE);
        asks.extend(without(cluster, &old));
    }
    if let Some(kept) = keep.journal {
        let open = conn
            .more(vec![
                Ask::new("SELECT id FROM cases WHERE cluster = $1 AND closed_at IS NULL").text(&cluster.0),
            ])
            .await?;
        let open = open[0].iter().map(|row| row.count(0)).collect::<Result<BTreeSet<u64>, _>>()?;
        match journal::old(conn, cluster, meta, &horizon(kept), &open, at_once).await {
            Ok((ask, full)) => {
                asks.extend(ask);
                more |= full;
            }
            // What is spoilt is evidence and stays; the rest goes on.
            Err(Failure::Own(error @ StoreError::Journal { .. })) => {
                tracing::error!("old entries of the journal are not let go: {error}");
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok((asks, more))
}

/// A work order that is open, or a notice that reached nobody yet, holds its case.
async fn old_cases(conn: &Conn, cluster: &ClusterName, horizon: &str) -> Result<Vec<i64>, Failure> {
    let ask = Ask::new(
        "SELECT id FROM cases WHERE cluster = $1 AND closed_at < $2
         AND NOT EXISTS (SELECT 1 FROM work_orders AS it
                         WHERE it.cluster = $1 AND it.case_id = cases.id AND it.status = 'open')
         AND NOT EXISTS (SELECT 1 FROM deliveries AS owed
                         JOIN notices AS it ON it.cluster = owed.cluster AND it.id = owed.notice
                         WHERE owed.cluster = $1 AND it.case_id = cases.id AND NOT owed.done)
         ORDER BY closed_at LIMIT $3",
    );
    let answers = conn.more(vec![ask.text(&cluster.0).text(horizon).int(CASES_AT_ONCE)]).await?;
    answers[0].iter().map(|row| row.int(0)).collect()
}

/// With everything that belongs to them alone.
fn without(cluster: &ClusterName, cases: &[i64]) -> Vec<Ask> {
    if cases.is_empty() {
        return Vec::new();
    }
    let statements = [
        "DELETE FROM comments WHERE cluster = $1 AND number IN
         (SELECT number FROM work_orders WHERE cluster = $1 AND case_id = ANY($2))",
        "DELETE FROM work_orders WHERE cluster = $1 AND case_id = ANY($2)",
        "DELETE FROM steps WHERE cluster = $1 AND case_id = ANY($2)",
        "DELETE FROM cases WHERE cluster = $1 AND id = ANY($2)",
    ];
    statements.map(|of| Ask::new(of).text(&cluster.0).ints(cases.iter().copied())).into()
}
