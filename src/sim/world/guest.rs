//! Guests: their configuration, whether they run, and how late the cluster's list says so.

use serde::{Deserialize, Serialize};

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{GuestKind, Power};
use crate::model::time::{Time, age};

use super::node::ROWS_EXPIRE_SECS;
use super::task::{Errand, Then};
use super::{Actor, Refusal, World};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Guest {
    pub name: String,
    pub kind: GuestKind,
    /// Where its configuration file lies: current everywhere at once.
    pub node: NodeName,
    pub run: Run,
    /// Since when it runs.
    pub started: Option<Time>,
    /// Configured maximum, bytes.
    pub memory: u64,
    pub memory_used: u64,
    pub cpus: u32,
    pub lock: Option<String>,
    pub template: bool,
    pub onboot: bool,
    /// `hostpci0`, `usb0`, `mp0 (bind mount)`.
    pub devices: Vec<String>,
    /// Volume → bytes, on storage that only its node has.
    pub local_disks: BTreeMap<String, u64>,
    pub local_cdrom: Option<String>,
    /// The processor that it is configured to see; `None`: a model that every member can give.
    #[serde(default)]
    pub cpu: Option<String>,
    /// A storage that only these nodes have (shared among them).
    pub storage_on: Option<(String, BTreeSet<NodeName>)>,
    /// Bytes of memory that it rewrites each second: above the network's speed a live migration never ends.
    pub dirty: u64,
    /// Ignores a request to shut down.
    pub deaf: bool,
    /// A replication run holds its migration lock until then.
    pub(crate) replicating_until: Option<Time>,
    /// What the cluster's list still says, and until when.
    pub(crate) listed: Option<(Listed, Time)>,
    /// Nodes with the useless half of an incoming migration: the next migrate there fails and clears it.
    pub(crate) leftovers: BTreeSet<NodeName>,
}

/// Does it run?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Run {
    Running,
    Stopped,
    /// QEMU is there and does nothing since a migration broke at its end; a start resumes it.
    Postmigrate,
}

/// The `status` word of `/cluster/resources`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Listed {
    Running,
    Stopped,
    Postmigrate,
    Unknown,
}

/// `status/current`: the node's own answer, without lag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    pub run: Run,
    pub lock: Option<String>,
    pub uptime: u64,
    /// The state that HA has for it; `None` when HA does not manage it.
    pub ha: Option<String>,
}

/// The cluster's list lags status/current by about that.
pub const LIST_LAG_SECS: u64 = 4;
/// After a good move the list may say `postmigrate` for so long.
pub const POSTMIGRATE_SECS: u64 = 15;

impl Guest {
    /// Its node would have to keep it: it runs, or hangs in QEMU.
    pub fn aboard(&self) -> bool {
        self.run != Run::Stopped
    }

    pub fn power(&self) -> Power {
        if self.aboard() { Power::Running } else { Power::Stopped }
    }

    fn word(&self) -> Listed {
        match self.run {
            Run::Running => Listed::Running,
            Run::Stopped => Listed::Stopped,
            Run::Postmigrate => Listed::Postmigrate,
        }
    }

    pub fn uptime(&self, now: Time) -> u64 {
        self.started.filter(|_| self.aboard()).map_or(0, |since| age(now, since).as_secs())
    }
}

impl World {
    /// Guests that run on this node in truth.
    pub fn running_on(&self, node: &NodeName) -> impl Iterator<Item = (&GuestId, &Guest)> {
        self.guests.iter().filter(move |(_, g)| &g.node == node && g.aboard())
    }

    /// The status that `/cluster/resources` shows for a guest.
    pub fn listed(&self, guest: GuestId) -> Listed {
        let Some(g) = self.guests.get(&guest) else { return Listed::Unknown };
        let expired = |since: Time| age(self.now, since).as_secs() >= ROWS_EXPIRE_SECS;
        let node = self.nodes.get(&g.node);
        if let Some(node) = node
            && (!node.powered() && expired(node.since) || node.silent_since.is_some_and(expired))
        {
            return Listed::Unknown;
        }
        match g.listed {
            Some((word, until)) if self.now < until => word,
            _ => g.word(),
        }
    }

    /// `GET /nodes/N/{qemu,lxc}/ID/status/current`.
    ///
    /// # Errors
    /// As the API: 595, or 500 where the guest's configuration is not on that node.
    pub fn live(&self, via: &NodeName, node: &NodeName, guest: GuestId) -> Result<Live, Refusal> {
        self.proxy(via, node)?;
        let g = self.guest_at(node, guest, None)?;
        let ha = self.ha.services.get(&guest).map(|s| s.state.word().to_owned());
        Ok(Live { run: g.run, lock: g.lock.clone(), uptime: g.uptime(self.now), ha })
    }

    /// The guest whose configuration lies on `node`.
    ///
    /// # Errors
    /// 500 "Configuration file ... does not exist": it is elsewhere, or nowhere.
    pub fn guest_at(
        &self,
        node: &NodeName,
        guest: GuestId,
        kind: Option<GuestKind>,
    ) -> Result<&Guest, Refusal> {
        let found = self.guests.get(&guest);
        let folder = match kind.or(found.map(|g| g.kind)).unwrap_or(GuestKind::Qemu) {
            GuestKind::Qemu => "qemu-server",
            GuestKind::Lxc => "lxc",
        };
        found.filter(|g| &g.node == node && kind.is_none_or(|k| k == g.kind)).ok_or_else(|| {
            Refusal::died(format!("Configuration file 'nodes/{node}/{folder}/{guest}.conf' does not exist"))
        })
    }

    /// It starts or stops; the list follows some seconds later.
    pub(crate) fn set_run(&mut self, guest: GuestId, run: Run) {
        let (now, until) = (self.now, self.later(LIST_LAG_SECS));
        if let Some(g) = self.guests.get_mut(&guest)
            && g.run != run
        {
            g.listed = Some((g.word(), until));
            if run == Run::Running && g.run == Run::Stopped {
                g.started = Some(now);
            }
            g.run = run;
        }
        self.stir();
    }

    /// A dead node's guests: the list keeps their last word, for five minutes or until some seconds after the boot.
    pub(super) fn guests_lose_power(&mut self, node: &NodeName, clean: bool) {
        for guest in self.guests.values_mut().filter(|g| &g.node == node && g.aboard()) {
            // In a clean shutdown pvestatd lives long enough to tell that they stopped.
            guest.listed = (!clean).then_some((guest.word(), Time::MAX));
            guest.run = Run::Stopped;
            guest.started = None;
        }
    }

    /// A person (or pve-guests at boot) starts a guest.
    pub fn human_starts(&mut self, guest: GuestId) {
        self.set_run(guest, Run::Running);
    }

    /// On the web interface: a task of theirs, which ends within a second.
    pub fn human_stops(&mut self, guest: GuestId) {
        let Some(g) = self.guests.get(&guest) else { return };
        let (node, kind) = (g.node.clone(), if g.kind == GuestKind::Qemu { "qmstop" } else { "vzstop" });
        self.run(Actor::Human, &node, Some(guest), Errand { kind, secs: 1, status: "OK", then: Then::Stop });
    }

    /// A lock appears in the configuration (a backup, say), or goes.
    pub fn set_lock(&mut self, guest: GuestId, lock: Option<&str>) {
        if let Some(g) = self.guests.get_mut(&guest) {
            g.lock = lock.map(str::to_owned);
        }
        self.stir();
    }

    /// After boot: what has `onboot` starts, unless a lock is in the way; HA's guests wait for HA.
    pub(super) fn start_onboot(&mut self, node: &NodeName) {
        let until = self.later(10);
        let mut starting = Vec::new();
        for (id, guest) in self.guests.iter_mut().filter(|(_, g)| &g.node == node) {
            if guest.listed.is_some_and(|(_, end)| end == Time::MAX) {
                guest.listed = guest.listed.map(|(word, _)| (word, until));
            }
            if guest.onboot && guest.lock.is_none() && !guest.template {
                starting.push(*id);
            }
        }
        for id in starting {
            if !self.ha.resources.contains_key(&id) && self.quorate(node) {
                self.set_run(id, Run::Running);
            }
        }
    }
}
