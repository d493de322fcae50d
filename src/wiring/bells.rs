//! Rings for the clusters that this instance looks after, whoever of the instances heard something. What was heard here rings at
//! once, and then once more by this: a quiet turn is cheap.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pitlane::adapters::store::PostgresFleet;
use pitlane::model::ids::ClusterName;
use pitlane::ports::Bells as _;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::unit::Unit;

/// Between two questions who was rung.
const EVERY: Duration = Duration::from_secs(1);

/// Listens until stopped.
pub async fn listen(database: PostgresFleet, units: Arc<Vec<Unit>>, stop: CancellationToken) {
    let mut heard = Heard::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(EVERY) => {}
        }
        let ours: BTreeMap<ClusterName, (&Unit, u64)> = units
            .iter()
            .filter_map(|unit| Some((unit.shared()?.cluster.clone(), (unit, unit.seat.leads()?))))
            .collect();
        heard.0.retain(|cluster, _| ours.contains_key(cluster));
        if ours.is_empty() {
            continue;
        }
        let names: Vec<ClusterName> = ours.keys().cloned().collect();
        // Without an answer the loops look by their timers; that the database is away is told by the leases.
        for (cluster, rung) in database.rung(&names).await.unwrap_or_default() {
            if let Some((unit, began)) = ours.get(&cluster)
                && heard.news(cluster, *began, rung)
            {
                unit.lasting.bell.notify_one();
            }
        }
    }
}

/// How often each cluster had been rung when it was last asked.
#[derive(Default)]
struct Heard(BTreeMap<ClusterName, u64>);

impl Heard {
    /// Was it rung since? `began`: how often it had been rung before it was looked after here, for the first time that it is asked;
    /// one that was rung for the first time ever has news, too.
    fn news(&mut self, cluster: ClusterName, began: u64, rung: u64) -> bool {
        self.0.insert(cluster, rung).unwrap_or(began) != rung
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ring_since_the_cluster_was_taken_is_heard_once() {
        let mut heard = Heard::default();
        let mut news = |cluster: &str, began, rung| heard.news(cluster.into(), began, rung);
        assert!(news("new", 0, 1), "rung for the first time ever, before it was ever asked");
        assert!(!news("new", 0, 1));
        assert!(news("new", 0, 2));
        assert!(!news("old", 7, 7), "the first turn heard of all that");
        assert!(news("old", 7, 8));
    }
}
