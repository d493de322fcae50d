//! Who looks after which cluster, and who was rung: asked once for all clusters of this instance, every quarter of a lease.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use pitlane::adapters::store::PostgresFleet;
use pitlane::model::ids::ClusterName;
use pitlane::model::seen::Trouble;
use pitlane::ports::{Bells as _, Leases as _};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// One cluster, when it was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// `None`: nobody; it can be taken.
    pub holder: Option<String>,
    /// How often it was rung, ever.
    pub rung: u64,
}

type Answer = Result<BTreeMap<ClusterName, Standing>, Trouble>;

/// The latest answer. Cheap to clone; each clone hears every later answer.
#[derive(Clone)]
pub struct Standings(watch::Receiver<Option<Arc<Answer>>>);

impl Standings {
    /// Asks from now on, until stopped.
    pub fn asked(database: PostgresFleet, stop: CancellationToken) -> Self {
        let (tell, told) = watch::channel(None);
        tokio::spawn(async move {
            let pause = database.leases().lasts() / 4;
            loop {
                tell.send_replace(Some(Arc::new(ask(&database).await)));
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep(jittered(pause)) => {}
                }
            }
        });
        Self(told)
    }

    /// Waits for an answer that was not read here yet. A cluster that nobody ever held stands empty.
    ///
    /// # Errors
    /// The database did not answer.
    pub async fn next(&mut self, cluster: &ClusterName) -> Result<Standing, Trouble> {
        loop {
            if self.0.changed().await.is_err() {
                // Nobody asks any more: the process is ending.
                return std::future::pending().await;
            }
            let told = self.0.borrow_and_update().clone();
            match told.as_deref() {
                Some(Ok(all)) => return Ok(all.get(cluster).cloned().unwrap_or_default()),
                Some(Err(trouble)) => return Err(trouble.clone()),
                None => {}
            }
        }
    }
}

async fn ask(database: &PostgresFleet) -> Answer {
    let held = database.leases().holders().await?;
    let names: Vec<ClusterName> = held.iter().map(|held| held.cluster.clone()).collect();
    let rung = database.rung(&names).await?;
    let standing = held.into_iter().map(|held| {
        let rung = rung.get(&held.cluster).copied().unwrap_or_default();
        (held.cluster, Standing { holder: held.left.map(|_| held.fence.holder), rung })
    });
    Ok(standing.collect())
}

/// A tenth earlier or later, so that instances do not ask together.
fn jittered(pause: Duration) -> Duration {
    let chance = u32::try_from(RandomState::new().hash_one(0) % 200).unwrap_or_default();
    pause * (900 + chance) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_tenth_longer_or_shorter_and_no_two_need_be_alike() {
        let pauses: std::collections::BTreeSet<_> =
            (0..50).map(|_| jittered(Duration::from_secs(10))).collect();
        assert!(pauses.iter().all(|pause| (9_000..=11_000).contains(&pause.as_millis())), "{pauses:?}");
        assert!(pauses.len() > 10);
    }

    #[tokio::test]
    async fn each_answer_is_read_once_by_each_and_a_cluster_that_nobody_held_is_free() {
        let (tell, told) = watch::channel(None);
        let (mut one, cluster) = (Standings(told), ClusterName::from("north"));
        let mut other = one.clone();
        let held = Standing { holder: Some("a".to_owned()), rung: 3 };
        tell.send_replace(Some(Arc::new(Ok([(cluster.clone(), held.clone())].into()))));
        assert_eq!(one.next(&cluster).await, Ok(held));
        assert_eq!(other.next(&"south".into()).await, Ok(Standing::default()));
        let again = tokio::time::timeout(Duration::from_millis(20), one.next(&cluster)).await;
        assert!(again.is_err(), "nothing new was told");
        let away = Trouble::TooSlow("no answer".to_owned());
        tell.send_replace(Some(Arc::new(Err(away.clone()))));
        assert_eq!(one.next(&cluster).await, Err(away));
    }
}
