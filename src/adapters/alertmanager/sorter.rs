//! A delivery with alerts of several clusters: each alert goes to the one that it means, or is refused and kept for people.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use tokio::sync::Notify;

use crate::model::alert::Episode;
use crate::model::ids::ClusterName;
use crate::model::matcher::Labels;
use crate::model::seen::Trouble;
use crate::model::time::Time;
use crate::ports::{Clock, Inbox, Ingested};

use super::directory::{Shelf, Unsorted};

/// One cluster's way in.
pub struct Sink {
    pub inbox: Arc<dyn Inbox>,
    /// Rung after something new is durable.
    pub bell: Arc<Notify>,
}

/// Sorts deliveries of a whole fleet.
pub struct Sorter {
    pub clusters: BTreeMap<ClusterName, Sink>,
    pub shelf: Shelf,
    /// Where what leads to no cluster is kept for people.
    pub refused: Arc<dyn Inbox>,
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl Inbox for Sorter {
    /// Each cluster's part is durable by itself; one that could not be kept makes the whole delivery come again, and what is
    /// known already is known.
    async fn ingest(&self, told: Vec<Episode>) -> Result<Ingested, Trouble> {
        let mut parts: BTreeMap<&ClusterName, Vec<Episode>> = BTreeMap::new();
        let (mut refused, mut later) = (Vec::new(), None);
        let directory = self.shelf.directory();
        for episode in told {
            match directory.whose(&episode.labels) {
                Ok(cluster) if !self.clusters.contains_key(cluster) => {
                    later = Some(format!("cluster {cluster} is not served at the moment"));
                }
                Ok(cluster) => parts.entry(cluster).or_default().push(episode),
                Err(Unsorted::Refused(why)) => refused.push((episode.labels, why)),
                Err(Unsorted::Later(why)) => later = Some(why),
            }
        }
        let kept = parts.into_iter().map(|(cluster, episodes)| async move {
            let sink = &self.clusters[cluster];
            let answer = sink.inbox.ingest(episodes).await;
            if answer.as_ref().is_ok_and(|told| told.new + told.resolved > 0) {
                sink.bell.notify_one();
            }
            answer
        });
        let mut sum = Ingested::default();
        for answer in join_all(kept).await {
            let told = answer?;
            sum.new += told.new;
            sum.resolved += told.resolved;
            sum.known += told.known;
        }
        if let Some(why) = later {
            // All of it comes again, with what is refused.
            return Err(Trouble::Unreachable(why));
        }
        self.refuse(&refused).await?;
        Ok(sum)
    }

    async fn poison(&self, body: &[u8], why: &str, at: Time) -> Result<(), Trouble> {
        self.refused.poison(body, why, at).await
    }
}

impl Sorter {
    /// One row for all refused alerts of a body.
    async fn refuse(&self, refused: &[(Labels, String)]) -> Result<(), Trouble> {
        let Some((_, first)) = refused.first() else { return Ok(()) };
        tracing::warn!(
            alerts = refused.len(),
            "{} alerts of a delivery lead to no cluster: {first}",
            refused.len()
        );
        let labels: Vec<&Labels> = refused.iter().map(|(labels, _)| labels).collect();
        let body = serde_json::to_vec(&labels).unwrap_or_default();
        let why = format!("{} alerts lead to no cluster; the first: {first}", refused.len());
        self.refused.poison(&body, &why, self.clock.now()).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::adapters::alertmanager::directory::{Directory, Has};
    use crate::model::ids::Fingerprint;

    #[derive(Default)]
    struct Kept {
        alerts: Mutex<Vec<Labels>>,
        refused: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl Inbox for Kept {
        async fn ingest(&self, told: Vec<Episode>) -> Result<Ingested, Trouble> {
            let new = told.len();
            self.alerts.lock().expect("whole").extend(told.into_iter().map(|episode| episode.labels));
            Ok(Ingested { new, ..Ingested::default() })
        }

        async fn poison(&self, _: &[u8], why: &str, _: Time) -> Result<(), Trouble> {
            self.refused.lock().expect("whole").push(why.to_owned());
            Ok(())
        }
    }

    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Time {
            "2026-03-01T12:00:00Z".parse().expect("a time")
        }
    }

    fn alert(labels: &[(&str, &str)]) -> Episode {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let at = Noon.now();
        Episode {
            fingerprint: Fingerprint("x".into()),
            labels,
            starts_at: at,
            received_at: at,
            ends_at: None,
        }
    }

    /// Three clusters: two have a pve1, one of them a pve7; the third is seen only where `seen` says so.
    fn sorter(seen: bool) -> (Sorter, BTreeMap<&'static str, Arc<Kept>>, Arc<Kept>) {
        let (mut kept, mut has) = (BTreeMap::new(), BTreeMap::new());
        let houses: [(&str, &[&str], bool); 3] =
            [("berlin", &["pve1", "pve7"], true), ("paris", &["pve1"], true), ("oslo", &["web1"], seen)];
        let clusters = houses.map(|(name, nodes, seen)| {
            let inbox = Arc::new(Kept::default());
            kept.insert(name, inbox.clone());
            let nodes: Vec<String> = nodes.iter().map(|node| (*node).to_owned()).collect();
            let of_it: Has = Arc::new(move |labels: &Labels| {
                seen.then(|| labels.get("node").is_some_and(|node| nodes.iter().any(|known| known == node)))
            });
            has.insert(ClusterName::from(name), of_it);
            (ClusterName::from(name), Sink { inbox, bell: Arc::default() })
        });
        let refused = Arc::new(Kept::default());
        let shelf = Shelf::default();
        shelf.put(Directory { clusters: has, labels: vec!["cluster".to_owned()] });
        let sorter =
            Sorter { clusters: clusters.into(), shelf, refused: refused.clone(), clock: Arc::new(Noon) };
        (sorter, kept, refused)
    }

    #[tokio::test]
    async fn each_goes_to_the_cluster_that_it_means_and_nothing_is_guessed() {
        let (sorter, kept, refused) = sorter(true);
        let told = vec![
            alert(&[("node", "pve7")]),
            alert(&[("node", "pve1"), ("cluster", "paris")]),
            alert(&[("node", "pve1")]),
            alert(&[("node", "db4")]),
            alert(&[("node", "pve7"), ("cluster", "rome")]),
        ];
        assert_eq!(sorter.ingest(told).await.map(|told| told.new), Ok(2));
        let count = |name: &str| kept[name].alerts.lock().expect("whole").len();
        assert_eq!((count("berlin"), count("paris"), count("oslo")), (1, 1, 0));
        let why = refused.refused.lock().expect("whole").join("\n");
        assert!(
            why.starts_with("3 alerts lead to no cluster; the first: berlin and paris each have such a node"),
            "{why}"
        );
    }

    #[tokio::test]
    async fn where_a_cluster_was_not_seen_yet_the_alert_has_to_come_again_and_the_others_are_kept() {
        let (sorter, kept, refused) = sorter(false);
        let told = vec![
            alert(&[("node", "web1")]),
            alert(&[("node", "pve1"), ("cluster", "berlin")]),
            alert(&[("node", "pve1"), ("cluster", "rome")]),
        ];
        let why = sorter.ingest(told).await.expect_err("not yet");
        assert!(why.to_string().contains("oslo"), "{why}");
        assert_eq!(kept["berlin"].alerts.lock().expect("whole").len(), 1);
        assert!(refused.refused.lock().expect("whole").is_empty(), "it comes again with the delivery");
    }
}
