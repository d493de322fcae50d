//! Ceph: OSDs, monitors, managers, flags. What it shows is partly old, and the world knows which part.

use serde::{Deserialize, Serialize};

mod act;
mod pgs;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ids::{HostName, NodeName, OsdId};
use crate::model::observed::{CephView, HealthCheck, Pool};
use crate::model::time::{Time, after, age};

use super::{Actor, Cut, NodeState, World};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ceph {
    /// Host bucket → member.
    pub hosts: BTreeMap<HostName, NodeName>,
    pub osds: BTreeMap<OsdId, Osd>,
    /// Monitor → member.
    pub mons: BTreeMap<String, NodeName>,
    /// Monitors whose daemon alone is dead.
    #[serde(default)]
    pub stopped_mons: BTreeSet<String>,
    /// Manager → member.
    pub mgrs: BTreeMap<String, NodeName>,
    pub active_mgr: Option<String>,
    pub pools: Vec<Placed>,
    /// Cluster-wide flags, and who set them first. Ceph itself does not know who.
    pub flags: BTreeMap<String, (Actor, Time)>,
    /// noout on a host, and who set it first.
    pub host_noout: BTreeMap<HostName, (Actor, Time)>,
    /// Further health codes: benign ones, or trouble that a story wants.
    pub checks: BTreeMap<String, HealthCheck>,
    pub muted: BTreeSet<String>,
    /// `mon_osd_down_out_interval`, seconds.
    pub out_after: u64,
    /// What the active manager last told the monitors.
    pub(crate) shown: BTreeMap<String, u64>,
    pub(crate) mgr_lost: Option<Time>,
    pub(crate) electing_until: Time,
    pub(crate) quorum_lost: Option<Time>,
    pub(crate) quorum_was: Vec<String>,
    /// When that changed.
    pub(crate) mons_since: Time,
    pub(crate) last: Option<CephView>,
    /// When a daemon last came, went or moved: PG states follow within [`SETTLED_AFTER`].
    pub(crate) changed: Time,
    /// When noout was last taken off a host: its out timer starts anew there.
    pub(crate) noout_gone: BTreeMap<HostName, Time>,
    /// OSDs that run something else than the rest.
    #[serde(default)]
    pub versions: BTreeMap<OsdId, String>,
    /// Metadata servers, named after their nodes; those that serve a filesystem, with its name.
    #[serde(default)]
    pub mds: BTreeMap<NodeName, Option<String>>,
}

/// What daemons run, unless a story upgrades them.
pub const RELEASE: &str = "18.2.7";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Osd {
    pub host: HostName,
    /// As the map says: a dead one is up for some seconds more.
    pub up: bool,
    pub r#in: bool,
    /// Its disk or daemon is broken: it does not come back with its host.
    pub failed: bool,
    /// Since when `up` is what it is.
    pub since: Time,
    /// The map took it out by itself; it comes in again by itself.
    pub(crate) auto_out: bool,
    /// Since when the daemon is in truth not what the map says.
    pub(crate) differs: Option<Time>,
}

/// A pool, and where its PGs lie.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Placed {
    pub pool: Pool,
    pub pgs: Vec<Pg>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pg {
    /// Where CRUSH puts it while everything is in.
    pub home: Vec<OsdId>,
    pub acting: Vec<OsdId>,
    /// Copies are being made until then.
    pub(crate) moving_until: Time,
}

/// A machine without power refuses nothing: its OSDs count as up for about half a minute.
const DOWN_AFTER_POWER_LOSS: u64 = 30;
const DOWN_AFTER_SHUTDOWN: u64 = 10;
/// The daemon alone: its host refuses connections at once.
const DOWN_AFTER_DAEMON: u64 = 1;
/// An OSD is up again so long after its host joined.
const UP_AFTER: u64 = 18;
/// A standby manager takes over.
const MGR_FAILOVER: u64 = 47;
const MGR_HANDOVER: u64 = 2;
/// Longer than peering and recovery take.
const SETTLED_AFTER: u64 = 60;
/// Monitors elect: nothing answers meanwhile.
const ELECTION_POWER_LOSS: u64 = 12;
const ELECTION_SHUTDOWN: u64 = 6;

impl Ceph {
    /// The next auto-out, if one is coming.
    pub fn next_timer(&self) -> Option<Time> {
        self.osds.values().filter(|o| !o.up && o.r#in).filter_map(|o| self.out_at(o)).min()
    }

    /// When the map takes this OSD out; `None` while noout holds it.
    fn out_at(&self, osd: &Osd) -> Option<Time> {
        if self.flags.contains_key("noout") || self.host_noout.contains_key(&osd.host) {
            return None;
        }
        let from = self.noout_gone.get(&osd.host).copied().unwrap_or(osd.since).max(osd.since);
        Some(after(from, std::time::Duration::from_secs(self.out_after)))
    }

    pub fn host_of(&self, node: &NodeName) -> Option<&HostName> {
        self.hosts.iter().find(|(_, n)| *n == node).map(|(host, _)| host)
    }

    /// More than half of the monitors are on machines that work.
    pub fn quorate(&self) -> bool {
        self.quorum_lost.is_none()
    }
}

impl World {
    pub(super) fn tick_ceph(&mut self) {
        let Some(mut ceph) = self.ceph.take() else { return };
        let before = (ceph.active_mgr.clone(), ceph.quorum_was.clone());
        let mut changed = self.tick_mons(&mut ceph);
        if ceph.quorate() {
            changed |= self.tick_osds(&mut ceph);
            self.tick_mgr(&mut ceph);
        }
        changed |= before != (ceph.active_mgr.clone(), ceph.quorum_was.clone());
        if changed {
            ceph.changed = self.now;
        }
        self.tick_shown(&mut ceph);
        self.ceph = Some(ceph);
        if changed {
            self.stir();
        }
    }

    /// The daemons of this member can be reached by the others.
    pub(super) fn ceph_alive(&self, node: &NodeName) -> bool {
        self.nodes.get(node).is_some_and(|n| n.powered() && n.cut != Some(Cut::Network))
    }

    fn left_cleanly(&self, node: &NodeName) -> bool {
        self.nodes.get(node).is_some_and(|n| n.state == (NodeState::Off { clean: true }))
    }

    fn tick_mons(&self, ceph: &mut Ceph) -> bool {
        let lives = |mon: &str, node: &NodeName| self.ceph_alive(node) && !ceph.stopped_mons.contains(mon);
        let alive: Vec<String> =
            ceph.mons.iter().filter(|(mon, node)| lives(mon, node)).map(|(mon, _)| mon.clone()).collect();
        if alive == ceph.quorum_was {
            return false;
        }
        let lost: Vec<&String> = ceph.quorum_was.iter().filter(|mon| !alive.contains(mon)).collect();
        if let Some(mon) = lost.first() {
            // A host that lives refuses connections at once, as one does that was shut down.
            let clean = ceph.mons.get(*mon).is_some_and(|n| self.left_cleanly(n) || self.ceph_alive(n));
            ceph.electing_until = self.later(if clean { ELECTION_SHUTDOWN } else { ELECTION_POWER_LOSS });
        }
        let majority = alive.len() * 2 > ceph.mons.len();
        if !majority && ceph.quorate() {
            // From now on the monitors that are left tell what was true a moment ago.
            ceph.last = Some(self.compose(ceph));
        }
        ceph.quorum_lost = if majority { None } else { ceph.quorum_lost.or(Some(self.now)) };
        (ceph.quorum_was, ceph.mons_since) = (alive, self.now);
        true
    }

    fn tick_osds(&self, ceph: &mut Ceph) -> bool {
        let now = self.now;
        let mut changed = false;
        let mut moved = false;
        for osd in ceph.osds.values_mut() {
            let node = ceph.hosts.get(&osd.host);
            let lives = !osd.failed && node.is_some_and(|n| self.ceph_alive(n));
            if osd.up == lives {
                osd.differs = None;
                continue;
            }
            changed = true;
            let waited = age(now, *osd.differs.get_or_insert(now)).as_secs();
            let patience = match (osd.up, node) {
                (false, _) => UP_AFTER,
                (true, Some(n)) if self.ceph_alive(n) => DOWN_AFTER_DAEMON,
                (true, Some(n)) if self.left_cleanly(n) => DOWN_AFTER_SHUTDOWN,
                (true, _) => DOWN_AFTER_POWER_LOSS,
            };
            if waited >= patience {
                (osd.up, osd.since, osd.differs) = (lives, now, None);
                if lives && osd.auto_out {
                    (osd.r#in, osd.auto_out) = (true, false);
                    moved = true;
                }
            }
        }
        let out: Vec<OsdId> = ceph
            .osds
            .iter()
            .filter(|(_, o)| !o.up && o.r#in && ceph.out_at(o).is_some_and(|at| at <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in &out {
            if let Some(osd) = ceph.osds.get_mut(id) {
                (osd.r#in, osd.auto_out) = (false, true);
            }
        }
        if moved || !out.is_empty() {
            ceph.remap(now);
        }
        changed || !out.is_empty()
    }

    fn tick_mgr(&self, ceph: &mut Ceph) {
        let node = ceph.active_mgr.as_ref().and_then(|mgr| ceph.mgrs.get(mgr));
        if node.is_some_and(|n| self.ceph_alive(n)) {
            ceph.mgr_lost = None;
            return;
        }
        let waited = age(self.now, *ceph.mgr_lost.get_or_insert(self.now)).as_secs();
        let announced = node.is_none_or(|n| self.left_cleanly(n));
        if waited >= if announced { MGR_HANDOVER } else { MGR_FAILOVER } {
            let active = ceph.active_mgr.clone();
            ceph.active_mgr = ceph
                .mgrs
                .iter()
                .find(|(mgr, node)| Some(*mgr) != active.as_ref() && self.ceph_alive(node))
                .map(|(mgr, _)| mgr.clone());
            if ceph.active_mgr.is_some() {
                ceph.mgr_lost = None;
            }
        }
    }

    /// Without a working manager the monitors go on showing its last word.
    fn tick_shown(&self, ceph: &mut Ceph) {
        let settled = !ceph.shown.is_empty() && age(self.now, ceph.changed).as_secs() > SETTLED_AFTER;
        if !settled && ceph.quorate() && ceph.mgr_lost.is_none() && ceph.active_mgr.is_some() {
            ceph.shown = ceph.pg_states(self.now);
        }
    }
}
