//! Members: power, corosync, services, and who sees whom.

use serde::{Deserialize, Serialize};

use std::collections::BTreeMap;

use crate::model::ids::NodeName;
use crate::model::observed::{Machine, Storage};
use crate::model::time::{Time, age};

use super::task::{Errand, Then};
use super::{Actor, Refusal, World};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Node {
    pub state: NodeState,
    /// When `state` began.
    pub since: Time,
    pub cut: Option<Cut>,
    pub cut_since: Time,
    pub votes: u32,
    pub cores: u32,
    /// Bytes.
    pub memory: u64,
    /// Bytes per second, each way, shared by all migrations of the node.
    pub nic: u64,
    /// `9.2.11`.
    pub version: String,
    /// Seconds that its clock is ahead of the world's.
    pub clock_ahead: i64,
    pub address: String,
    /// Service → runs.
    pub services: BTreeMap<String, bool>,
    /// When `pvestatd` stopped: five minutes later rows turn `unknown`.
    pub silent_since: Option<Time>,
    pub storages: BTreeMap<String, Storage>,
    /// The chassis is open: somebody works inside.
    pub technician: bool,
    /// pveproxy and pvedaemon answer again from then on (after a restart).
    pub answers_from: Time,
    /// Its processor.
    #[serde(default)]
    pub machine: Machine,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeState {
    Up,
    /// Was asked to go down: guests stop, then it is off.
    ShuttingDown {
        off_at: Time,
    },
    /// `clean`: it said goodbye to corosync and Ceph before.
    Off {
        clean: bool,
    },
    Booting {
        up_at: Time,
    },
}

/// Cut from the other members. pitlane's own way to it is not affected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cut {
    /// All networks between the members: running migrations stall.
    Network,
    /// Corosync's alone: the data path lives, and a migration reaches its commit without quorum.
    Corosync,
}

/// Rows turn `offline` within about 7 s of a death.
pub const NOTICED_AFTER_SECS: u64 = 7;
/// Power-on to corosync membership.
pub const BOOT_SECS: u64 = 60;
/// Usage rows and guests' last states of a silent node live that long.
pub const ROWS_EXPIRE_SECS: u64 = 300;
/// Services that a healthy member runs.
pub const SERVICES: [&str; 8] =
    ["corosync", "pve-cluster", "pvestatd", "pveproxy", "pvedaemon", "pve-ha-lrm", "pve-ha-crm", "chrony"];
/// A restarted pvedaemon is back after that.
const DAEMON_RESTART_SECS: u64 = 4;

impl Node {
    /// The machine runs (it may be on its way down).
    pub fn powered(&self) -> bool {
        matches!(self.state, NodeState::Up | NodeState::ShuttingDown { .. })
    }

    /// A member of the cluster's main part, in truth.
    pub fn joined(&self) -> bool {
        self.powered() && self.cut.is_none() && self.runs("corosync")
    }

    pub fn runs(&self, service: &str) -> bool {
        self.powered() && self.services.get(service).copied().unwrap_or(false)
    }

    /// Seconds since boot.
    pub fn uptime(&self, now: Time) -> u64 {
        if self.powered() { age(now, self.since).as_secs() } else { 0 }
    }
}

impl World {
    /// Does this member have quorum, by its own count?
    pub fn quorate(&self, via: &NodeName) -> bool {
        let total: u32 = self.nodes.values().map(|n| n.votes).sum::<u32>() + self.qdevice;
        let Some(node) = self.nodes.get(via) else { return false };
        let have = match (node.powered(), node.joined()) {
            (false, _) => 0,
            (true, false) => node.votes,
            (true, true) => {
                self.nodes.values().filter(|n| n.joined()).map(|n| n.votes).sum::<u32>() + self.qdevice
            }
        };
        have * 2 > total
    }

    /// Some part of the cluster has quorum.
    pub fn cluster_quorate(&self) -> bool {
        self.nodes.iter().any(|(name, node)| node.joined() && self.quorate(name))
    }

    /// What `via` believes of `node`: a sudden death or a cut is noticed some seconds later.
    pub fn seen_online(&self, via: &NodeName, node: &NodeName) -> bool {
        let (Some(asked), Some(there)) = (self.nodes.get(via), self.nodes.get(node)) else { return false };
        if via == node {
            return asked.powered();
        }
        if !asked.joined() && age(self.now, asked.cut_since).as_secs() >= NOTICED_AFTER_SECS {
            return false;
        }
        let unnoticed = |since| age(self.now, since).as_secs() < NOTICED_AFTER_SECS;
        match there.state {
            NodeState::Off { clean: false } => unnoticed(there.since),
            NodeState::Off { clean: true } | NodeState::Booting { .. } => false,
            NodeState::Up | NodeState::ShuttingDown { .. } => {
                there.joined() || (there.cut.is_some() && unnoticed(there.cut_since))
            }
        }
    }

    /// Is there a way from one member to the other for data?
    pub fn linked(&self, a: &NodeName, b: &NodeName) -> bool {
        let reachable =
            |n: &NodeName| self.nodes.get(n).is_some_and(|n| n.powered() && n.cut != Some(Cut::Network));
        a == b || (reachable(a) && reachable(b))
    }

    /// Does this member's API answer us?
    ///
    /// # Errors
    /// 595: nobody there.
    pub fn reach(&self, via: &NodeName) -> Result<&Node, Refusal> {
        self.nodes
            .get(via)
            .filter(|n| n.runs("pveproxy") && n.answers_from <= self.now)
            .ok_or_else(Refusal::no_route)
    }

    /// A call about `node`, sent to `via`, which passes it on.
    ///
    /// # Errors
    /// 595 from the member that was asked, or because nobody was; 500 for a name that is no member's.
    pub fn proxy(&self, via: &NodeName, node: &NodeName) -> Result<&Node, Refusal> {
        self.reach(via)?;
        if !self.nodes.contains_key(node) {
            return Err(Refusal::died(format!("no such cluster node '{node}'")));
        }
        if !self.linked(via, node) {
            return Err(Refusal::no_route());
        }
        self.reach(node)
    }

    /// The power goes, or the board dies: guests aboard are dead, nobody was told.
    pub fn node_dies(&mut self, name: &NodeName) {
        self.power_cut(name, false);
    }

    /// Power comes back; it joins about a minute later.
    pub fn node_boots(&mut self, name: &NodeName) {
        let up_at = self.later(BOOT_SECS);
        if let Some(node) = self.nodes.get_mut(name)
            && !node.powered()
        {
            node.state = NodeState::Booting { up_at };
            node.since = self.now;
            self.stir();
        }
    }

    /// `POST /nodes/N/status command=shutdown`: null at once, the rest later.
    ///
    /// # Errors
    /// As the API.
    pub fn node_shutdown(&mut self, by: Actor, via: &NodeName, name: &NodeName) -> Result<(), Refusal> {
        self.proxy(via, name)?;
        self.forbid_power_off(by, name);
        self.note_effect(by, "node_shutdown", name);
        // Guests get their signal, containers and machines need some seconds.
        let stopping = if self.running_on(name).next().is_some() { 20 } else { 5 };
        let off_at = self.later(stopping);
        let errand = Errand { kind: "stopall", secs: stopping - 1, status: "OK", then: Then::Nothing };
        self.run(Actor::Human, name, None, errand);
        if let Some(node) = self.nodes.get_mut(name) {
            node.state = NodeState::ShuttingDown { off_at };
        }
        Ok(())
    }

    /// Cuts a node from the other members.
    pub fn cut(&mut self, name: &NodeName, how: Cut) {
        let now = self.now;
        // From now on /etc/pve is frozen there.
        let believes = self.opinion(name);
        self.stale.insert(name.clone(), believes);
        if let Some(node) = self.nodes.get_mut(name) {
            (node.cut, node.cut_since) = (Some(how), now);
        }
        self.stir();
    }

    pub fn heal_cut(&mut self, name: &NodeName) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.cut = None;
        }
        self.stale.remove(name);
        self.stir();
    }

    /// A service dies, or comes back.
    pub fn set_service(&mut self, name: &NodeName, service: &str, runs: bool) {
        let now = self.now;
        if let Some(node) = self.nodes.get_mut(name) {
            node.services.insert(service.to_owned(), runs);
            if service == "pvestatd" {
                node.silent_since = (!runs).then_some(now);
            }
        }
        self.stir();
    }

    /// Restarting pvedaemon aborts the node's running tasks and leaves no lock.
    pub fn restart_pvedaemon(&mut self, name: &NodeName) {
        let from = self.later(DAEMON_RESTART_SECS);
        if let Some(node) = self.nodes.get_mut(name) {
            node.answers_from = from;
        }
        self.interrupt_tasks(name);
        self.stir();
    }

    pub(super) fn power_cut(&mut self, name: &NodeName, clean: bool) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(name).filter(|n| !matches!(n.state, NodeState::Off { .. }))
        else {
            return;
        };
        node.state = NodeState::Off { clean };
        node.since = now;
        node.silent_since = None;
        self.stale.remove(name);
        self.guests_lose_power(name, clean);
        self.stir();
    }

    pub(super) fn tick_nodes(&mut self) {
        let mut off = Vec::new();
        let mut up = Vec::new();
        for (name, node) in &mut self.nodes {
            match node.state {
                NodeState::ShuttingDown { off_at } if off_at <= self.now => off.push(name.clone()),
                NodeState::Booting { up_at } if up_at <= self.now => {
                    node.state = NodeState::Up;
                    node.since = self.now;
                    for service in SERVICES {
                        node.services.insert(service.to_owned(), true);
                    }
                    up.push(name.clone());
                }
                _ => {}
            }
        }
        for name in off {
            self.power_cut(&name, true);
        }
        for name in up {
            self.tasks_end_with_boot(&name);
            self.start_onboot(&name);
            self.stir();
        }
    }
}
