//! The answers of one round, put together.

use std::collections::{BTreeMap, BTreeSet};

use super::error::CephError;
use super::wire::{Dump, FsDump, Health, Metadata, MgrDump, PgMap, QuorumStatus, Rule, Status, Tree};
use super::{hosts, pools};
use crate::model::ids::HostName;
use crate::model::observed::{CephView, HealthCheck, Mds};

/// The answers of one round, in the order in which they were asked for.
pub struct Round {
    pub quorum: QuorumStatus,
    pub tree: Tree,
    pub dump: Dump,
    pub mgrs: MgrDump,
    pub rules: Vec<Rule>,
    pub metadata: Vec<Metadata>,
    pub status: Status,
    /// `None`: the status says that there is none.
    pub filesystems: Option<FsDump>,
}

impl Round {
    /// # Errors
    /// What we decide on is missing or contradicts itself.
    pub fn view(self) -> Result<CephView, CephError> {
        let mut osds = hosts::osds(&self.tree)?;
        for (id, osd) in &mut osds {
            let said = self.metadata.iter().find(|m| m.id == i64::from(id.0));
            osd.version = said.and_then(|m| m.ceph_version_short.clone());
        }
        let members = hosts::members(&osds, &self.metadata, &self.tree);
        Ok(CephView {
            pools: pools::pools(&self.dump, &self.rules)?,
            // In quorum at the beginning of the round and at its end.
            quorum: self.quorum.quorum_names.intersection(&self.status.quorum_names).cloned().collect(),
            monitors: self.quorum.monmap.mons.into_iter().map(|mon| mon.name).collect(),
            active_mgr: self.mgrs.active().map(str::to_owned),
            standby_mgrs: self.mgrs.standbys.into_iter().map(|mgr| mgr.name).collect(),
            checks: checks(self.status.health),
            pgs: pgs(&self.status.pgmap),
            mds: self.filesystems.map(mds).unwrap_or_default(),
            hosts: members,
            flags: cluster_flags(&self.dump),
            host_flags: marks(&self.dump),
            osds,
        })
    }
}

/// One that follows another's steps is as good as one that stands by, for its own filesystem.
fn mds(dump: FsDump) -> Vec<Mds> {
    let standby = dump.standbys.into_iter().map(|mds| Mds { name: mds.name, serves: None });
    let serving = dump.filesystems.into_iter().flat_map(|fs| {
        let name = fs.mdsmap.fs_name;
        fs.mdsmap.info.into_values().map(move |mds| Mds {
            serves: (!mds.state.starts_with("up:standby")).then(|| name.clone()),
            name: mds.name,
        })
    });
    standby.chain(serving).collect()
}

fn checks(health: Health) -> BTreeMap<String, HealthCheck> {
    let check = |c: super::wire::Check| HealthCheck {
        severity: c.severity,
        summary: c.summary.message,
        muted: c.muted,
    };
    health.checks.into_iter().map(|(code, c)| (code, check(c))).collect()
}

/// Groups that no state is told of are counted as `unknown`: they are there.
fn pgs(map: &PgMap) -> BTreeMap<String, u64> {
    let mut states: BTreeMap<String, u64> = BTreeMap::new();
    for state in &map.pgs_by_state {
        *states.entry(state.state_name.clone()).or_default() += state.count;
    }
    let told: u64 = states.values().sum();
    if told < map.num_pgs {
        *states.entry("unknown".to_owned()).or_default() += map.num_pgs - told;
    }
    states
}

fn cluster_flags(dump: &Dump) -> BTreeSet<String> {
    let from_text = || {
        dump.flags.iter().flat_map(|f| f.split(',')).filter(|f| !f.is_empty()).map(str::to_owned).collect()
    };
    dump.flags_set.clone().unwrap_or_else(from_text)
}

/// The flags of buckets; and those that somebody put on a single OSD (`osd.4`) or a device class (`class hdd`), under
/// names that no bucket has. Ours are never among the latter two, so whoever looks for others' marks finds them.
fn marks(dump: &Dump) -> BTreeMap<HostName, BTreeSet<String>> {
    const GROUP: [&str; 4] = ["noup", "nodown", "noin", "noout"];
    let of_class = dump.device_class_flags.iter().map(|(class, f)| (format!("class {class}"), f.clone()));
    let of_osd = dump.osds.iter().map(|osd| {
        let flags = osd.state.iter().filter(|s| GROUP.contains(&s.as_str())).cloned().collect();
        (format!("osd.{}", osd.osd), flags)
    });
    let of_bucket = dump.crush_node_flags.iter().map(|(name, f)| (name.clone(), f.clone()));
    of_bucket
        .chain(of_class)
        .chain(of_osd)
        .filter(|(_, flags): &(String, BTreeSet<String>)| !flags.is_empty())
        .map(|(name, flags)| (HostName(name), flags))
        .collect()
}
