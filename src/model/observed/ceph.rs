//! What Ceph shows. Its levels say little (two of three copies gone is HEALTH_WARN), so codes and states count.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::ids::{HostName, NodeName, OsdId};

/// `status`, `osd tree`, `osd dump`, `quorum_status`, `mgr dump`, put together in one round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CephView {
    /// Monitors in quorum. Empty or a minority: everything else here may be old, whatever it says.
    pub quorum: BTreeSet<String>,
    pub monitors: BTreeSet<String>,
    pub active_mgr: Option<String>,
    pub standby_mgrs: BTreeSet<String>,
    /// Health code → what it says. Muted codes stay here.
    pub checks: BTreeMap<String, HealthCheck>,
    /// PG state (`active+clean+scrubbing`) → how many.
    pub pgs: BTreeMap<String, u64>,
    pub osds: BTreeMap<OsdId, Osd>,
    /// Cluster-wide flags.
    pub flags: BTreeSet<String>,
    /// Flags on host buckets: `node2` → {`noout`}.
    pub host_flags: BTreeMap<HostName, BTreeSet<String>>,
    pub pools: Vec<Pool>,
    /// Metadata servers, where there is a filesystem.
    #[serde(default)]
    pub mds: Vec<Mds>,
    /// Which host bucket is which member. A member without OSDs is not in it.
    pub hosts: BTreeMap<NodeName, HostName>,
}

impl CephView {
    /// A majority of the known monitors agrees. Asked for first: without it every other answer may be old.
    pub fn quorate(&self) -> bool {
        self.quorum.len() * 2 > self.monitors.len() && !self.quorum.is_empty()
    }

    pub fn osds_of<'a>(&'a self, host: &'a HostName) -> impl Iterator<Item = (&'a OsdId, &'a Osd)> {
        self.osds.iter().filter(move |(_, osd)| &osd.host == host)
    }

    pub fn has_noout(&self, host: &HostName) -> bool {
        self.host_flags.get(host).is_some_and(|flags| flags.contains("noout"))
    }

    /// Host buckets that no member could be matched with. While there is one, a member that is missing in `hosts` is
    /// not known to be without OSDs: they may stand there.
    pub fn unmatched_hosts(&self) -> BTreeSet<&HostName> {
        let matched: BTreeSet<&HostName> = self.hosts.values().collect();
        self.osds.values().map(|osd| &osd.host).filter(|host| !matched.contains(host)).collect()
    }

    /// PG states that are not active and clean; scrubbing and snapshot trimming are clean, `laggy` and `stale` are not.
    pub fn unclean_pgs(&self) -> BTreeMap<&str, u64> {
        const FINE: [&str; 6] = ["active", "clean", "scrubbing", "deep", "snaptrim", "snaptrim_wait"];
        let fine = |state: &str| {
            let words: BTreeSet<&str> = state.split('+').collect();
            words.contains("active")
                && words.contains("clean")
                && words.iter().all(|word| FINE.contains(word))
        };
        self.pgs
            .iter()
            .filter(|(state, n)| **n > 0 && !fine(state))
            .map(|(state, n)| (state.as_str(), *n))
            .collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// `HEALTH_WARN` or `HEALTH_ERR`.
    pub severity: String,
    pub summary: String,
    pub muted: bool,
}

impl HealthCheck {
    /// What it says, and that somebody muted it: who reads `HEALTH_OK` beside it would wonder.
    pub fn told(&self) -> String {
        if self.muted { format!("{} (muted)", self.summary) } else { self.summary.clone() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Osd {
    pub host: HostName,
    pub up: bool,
    /// Reweight above zero.
    pub r#in: bool,
    /// What it runs, as it said when it started: `18.2.7`. `None`: it never started, or does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A metadata server. Proxmox gives it its node's name; where somebody chose another, nobody can tell where it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mds {
    pub name: String,
    /// The filesystem that it serves; `None`: it stands by.
    pub serves: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    pub name: String,
    pub kind: PoolKind,
    /// Copies, or shards of an erasure-coded pool.
    pub size: u32,
    pub min_size: u32,
    /// CRUSH bucket type that copies are spread over: `host`, `osd`, `rack`, …
    pub failure_domain: String,
    /// The rule says so: at most so many copies on one host. `None`: it follows from the failure domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_host: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoolKind {
    Replicated,
    /// `data`: shards needed to read (k).
    Erasure {
        data: u32,
    },
}

/// The answer of `osd ok-to-stop` for a whole set. It is about availability, never about redundancy, and says yes
/// for OSDs that do not exist and hosts that are down already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OkToStop {
    pub asked: BTreeSet<OsdId>,
    pub ok: bool,
    pub ok_pgs: u64,
    pub bad_pgs: u64,
}
