//! Which cluster of a fleet an alert means: for deliveries that hold alerts of all of them, and for polls of an Alertmanager that
//! several of them share.
//!
//! It is told by a label that names the cluster, or by the node that the alert names where only one cluster has such a node. It
//! never guesses: names such as pve1 are in every house.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use crate::model::ids::ClusterName;
use crate::model::matcher::Labels;
use crate::model::observed::AlarmsView;
use crate::model::seen::{Seen, Trouble};
use crate::model::silence::{Silence, SilencesView};
use crate::model::time::Time;
use crate::model::wait_text::list;
use crate::ports::{Alarms, EndSilence};

/// Does this cluster have the node that the labels name? `None`: its members are not known yet.
pub type Has = Arc<dyn Fn(&Labels) -> Option<bool> + Send + Sync>;

/// The clusters, and how their alerts are told apart.
#[derive(Clone, Default)]
pub struct Directory {
    pub clusters: BTreeMap<ClusterName, Has>,
    /// Labels that may name a cluster, in order.
    pub labels: Vec<String>,
}

/// Why an alert goes nowhere, for people.
#[derive(Debug, PartialEq, Eq)]
pub enum Unsorted {
    /// It means none, or not one alone.
    Refused(String),
    /// A cluster that may be meant was not seen yet.
    Later(String),
}

impl Directory {
    /// The value of the first label that names a cluster.
    fn named<'a>(&self, labels: &'a Labels) -> Option<(&str, &'a str)> {
        self.labels.iter().find_map(|label| Some((label.as_str(), labels.get(label)?)))
    }

    /// Which cluster is meant.
    ///
    /// # Errors
    /// None, or not one alone.
    pub fn whose(&self, labels: &Labels) -> Result<&ClusterName, Unsorted> {
        if let Some((label, named)) = self.named(labels) {
            let known = self.clusters.keys().find(|name| name.as_str() == named);
            return known.ok_or_else(|| {
                Unsorted::Refused(format!(
                    "label {label} is {named:?}, and there is no such cluster; there are {}",
                    list(self.clusters.keys())
                ))
            });
        }
        let answers: Vec<_> = self.clusters.iter().map(|(name, has)| (name, has(labels))).collect();
        let those = |told: Option<bool>| -> Vec<&ClusterName> {
            answers.iter().filter(|(_, has)| *has == told).map(|(name, _)| *name).collect()
        };
        let (has, unseen) = (those(Some(true)), those(None));
        let label = self.labels.first().map_or("cluster", String::as_str);
        match (has.as_slice(), unseen.is_empty()) {
            ([one], true) => Ok(one),
            ([], true) => Err(Unsorted::Refused(format!(
                "no cluster has the node that it names; give the alert a label {label} with one of {}",
                list(self.clusters.keys())
            ))),
            (_, true) => Err(Unsorted::Refused(format!(
                "{} each have such a node; give the alert a label {label} with the one that is meant",
                list(has)
            ))),
            (_, false) => Err(Unsorted::Later(format!(
                "it has no label {label}, and the members of {} are not known yet",
                list(unseen)
            ))),
        }
    }

    /// Does it mean this cluster? One that another cluster may mean as well is nobody's.
    ///
    /// # Errors
    /// That cannot be told yet.
    fn means(&self, me: &ClusterName, labels: &Labels) -> Result<bool, String> {
        if self.named(labels).is_none() && self.clusters.get(me).is_some_and(|has| has(labels) == Some(false))
        {
            return Ok(false);
        }
        match self.whose(labels) {
            Ok(cluster) => Ok(cluster == me),
            Err(Unsorted::Refused(_)) => Ok(false),
            Err(Unsorted::Later(why)) => Err(why),
        }
    }
}

/// A directory that is replaced when the configuration is read again.
#[derive(Clone, Default)]
pub struct Shelf(Arc<RwLock<Arc<Directory>>>);

impl Shelf {
    pub fn put(&self, directory: Directory) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(directory);
    }

    pub fn directory(&self) -> Arc<Directory> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An Alertmanager, with the alerts of one cluster only.
pub struct OfCluster {
    pub me: ClusterName,
    pub all: Arc<dyn Alarms>,
    pub shelf: Shelf,
}

#[async_trait]
impl Alarms for OfCluster {
    async fn poll(&self) -> Seen<AlarmsView> {
        let (mut view, at) = match self.all.poll().await {
            Seen::Known { value, at } => (value, at),
            unknown => return unknown,
        };
        let directory = self.shelf.directory();
        let mut unsure = None;
        view.listed.retain(|alert| match directory.means(&self.me, &alert.episode.labels) {
            Ok(ours) => ours,
            Err(why) => {
                unsure.get_or_insert(why);
                false
            }
        });
        match unsure {
            None => Seen::Known { value: view, at },
            Some(why) => Seen::Unknown {
                why: Trouble::Unreachable(format!(
                    "Alertmanager lists an alert that may mean this cluster: {why}"
                )),
            },
        }
    }

    async fn silences(&self) -> Seen<SilencesView> {
        self.all.silences().await
    }

    async fn silence(&self, silence: &Silence, until: Time) -> Result<(), Trouble> {
        self.all.silence(silence, until).await
    }

    async fn end_silence(&self, which: &EndSilence) -> Result<(), Trouble> {
        self.all.end_silence(which).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(oslo: bool) -> Directory {
        let has = |nodes: &'static [&str], seen: bool| -> Has {
            Arc::new(move |labels| seen.then(|| labels.get("node").is_some_and(|node| nodes.contains(&node))))
        };
        let clusters = [
            ("berlin", has(&["pve1", "pve7"], true)),
            ("paris", has(&["pve1"], true)),
            ("oslo", has(&["web1"], oslo)),
        ];
        let clusters = clusters.map(|(name, has)| (ClusterName::from(name), has)).into();
        Directory { clusters, labels: vec!["cluster".into()] }
    }

    fn labels(all: &[(&str, &str)]) -> Labels {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_poll_keeps_what_means_its_own_cluster_and_nothing_that_may_mean_another() {
        let means = |cluster: &str, all: &[(&str, &str)]| {
            directory(true).means(&ClusterName::from(cluster), &labels(all))
        };
        assert_eq!(means("berlin", &[("node", "pve1"), ("cluster", "berlin")]), Ok(true));
        assert_eq!(means("paris", &[("node", "pve1"), ("cluster", "berlin")]), Ok(false));
        assert_eq!(means("berlin", &[("node", "pve7")]), Ok(true));
        assert_eq!(means("berlin", &[("node", "pve1")]), Ok(false), "paris has one, too");
        assert_eq!(means("oslo", &[("alertname", "Watchdog")]), Ok(false));
    }

    #[test]
    fn a_cluster_that_was_not_seen_yet_blinds_the_others_to_what_may_mean_it_and_to_nothing_else() {
        let means = |all: &[(&str, &str)]| directory(false).means(&ClusterName::from("berlin"), &labels(all));
        assert!(means(&[("node", "pve7")]).is_err_and(|why| why.contains("oslo")));
        assert_eq!(means(&[("node", "pve7"), ("cluster", "berlin")]), Ok(true));
        assert_eq!(means(&[("alertname", "Watchdog")]), Ok(false));
    }
}
