//! Proxmox's HA manager: a master that decides every 10 s, and a worker on each node that acts every 5 s.
//!
//! Its silences are its traps: a guest without a candidate just stays, a refused command is a log line, and an
//! `hamigrate` task that ends "OK" has moved nothing.

use serde::{Deserialize, Serialize};

mod candidates;
mod crm;
mod lrm;

use std::collections::{BTreeMap, VecDeque};

use jiff::SignedDuration;

use crate::model::ids::{GuestId, NodeName, Upid};
use crate::model::observed::{Affinity, GuestKind, HaNodeState, LrmMode, NodeAffinity, ResourceAffinity};
use crate::model::step::Switch;
use crate::model::time::Time;

use super::migrate::MigrateCall;
use super::task::{Errand, Then};
use super::{Actor, Refusal, World};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ha {
    pub resources: BTreeMap<GuestId, Resource>,
    pub node_rules: Vec<NodeAffinity>,
    pub guest_rules: Vec<ResourceAffinity>,
    /// Rules with errors, and the errors' words: none of them is applied.
    pub broken: BTreeMap<String, String>,
    pub auto_rebalance: bool,
    pub services: BTreeMap<GuestId, Service>,
    pub nodes: BTreeMap<NodeName, Member>,
    pub armed: bool,
    pub master: Option<NodeName>,
    /// When the master last wrote its status.
    pub crm_at: Time,
    /// Migrations at once from one node.
    pub workers_max: usize,
    /// The master's own log: what callers never get to see.
    pub log: Vec<String>,
    /// Who asked for maintenance first. The cluster does not know this.
    pub maintenance_by: BTreeMap<NodeName, (Actor, Time)>,
    pub(crate) commands: VecDeque<Command>,
    pub(crate) next_crm: Time,
    pub(crate) next_lrm: Time,
    pub(crate) master_lost: Option<Time>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resource {
    /// `started`, `stopped`, `disabled`, `ignored`.
    pub requested: String,
    pub failback: bool,
    /// Asked through the guest's own start or stop: takes effect some seconds later.
    pub(crate) asked: Option<(String, Time)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Service {
    pub state: ServiceState,
    pub node: NodeName,
    pub target: Option<NodeName>,
    /// A queued migrate command's target.
    pub command: Option<NodeName>,
    pub maintenance_node: Option<NodeName>,
    pub(crate) worker: Option<Upid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceState {
    Started,
    Stopped,
    RequestStop,
    Migrate,
    Relocate,
    Fence,
    Recovery,
    Error,
}

impl ServiceState {
    /// The CRM's own word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::RequestStop => "request_stop",
            Self::Migrate => "migrate",
            Self::Relocate => "relocate",
            Self::Fence => "fence",
            Self::Recovery => "recovery",
            Self::Error => "error",
        }
    }
}

/// A node, as HA knows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Member {
    pub state: HaNodeState,
    /// `node_request`: survives reboots.
    pub requested: bool,
    pub mode: LrmMode,
    pub lrm_at: Time,
    /// Since when it is not seen.
    pub(crate) lost: Option<Time>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    Maintenance { node: NodeName, to: Switch },
    Move { guest: GuestId, target: NodeName },
}

pub(crate) const CRM_LOOP: SignedDuration = SignedDuration::from_secs(10);
pub(crate) const LRM_LOOP: SignedDuration = SignedDuration::from_secs(5);

impl Ha {
    /// Does HA move and start it? `ignored` ones are like guests without HA.
    pub fn manages(&self, guest: GuestId) -> bool {
        self.resources.get(&guest).is_some_and(|r| r.requested != "ignored")
    }

    /// Maintenance is asked for: in effect, accepted, or still in the queue.
    pub fn maintenance_asked(&self, node: &NodeName) -> bool {
        let queued = self.commands.iter().rev().find_map(|c| match c {
            Command::Maintenance { node: n, to } if n == node => Some(*to == Switch::On),
            _ => None,
        });
        let seen = self
            .nodes
            .get(node)
            .is_some_and(|m| m.requested || m.state == HaNodeState::Maintenance && queued.is_none());
        queued.unwrap_or(seen)
    }

    /// A guest on `node` that this one must not meet.
    pub fn enemy_on(&self, guest: GuestId, node: &NodeName) -> Option<GuestId> {
        self.guest_rules
            .iter()
            .filter(|r| {
                r.kind == Affinity::Apart && r.guests.contains(&guest) && !self.broken.contains_key(&r.rule)
            })
            .flat_map(|r| &r.guests)
            .copied()
            .find(|other| *other != guest && self.services.get(other).is_some_and(|s| &s.node == node))
    }

    pub(super) fn ask_state(&mut self, guest: GuestId, state: &'static str, now: Time) {
        // The configured state changes about 7 s after the POST.
        if let Some(resource) = self.resources.get_mut(&guest) {
            resource.asked = Some((state.to_owned(), now + SignedDuration::from_secs(7)));
        }
    }
}

impl World {
    /// `ha-manager crm-command node-maintenance enable|disable NODE`, as root on member `via`.
    ///
    /// # Errors
    /// The member is not there, or has no quorum. Anything else that is wrong is a line in the master's log.
    pub fn set_maintenance(
        &mut self,
        by: Actor,
        via: &NodeName,
        node: &NodeName,
        to: Switch,
    ) -> Result<(), Refusal> {
        if !self.nodes.get(via).is_some_and(|n| n.powered()) {
            return Err(Refusal::no_route());
        }
        if !self.quorate(via) {
            return Err(Refusal::no_quorum());
        }
        self.forbid_maintenance(by, node, to);
        match to {
            Switch::On => {
                let now = self.now;
                self.ha.maintenance_by.entry(node.clone()).or_insert((by, now));
                self.note_effect(by, "maintenance_on", node);
            }
            Switch::Off => {
                self.ha.maintenance_by.remove(node);
                self.note_effect(by, "maintenance_off", node);
            }
        }
        self.ha.commands.push_back(Command::Maintenance { node: node.clone(), to });
        Ok(())
    }

    /// An operator sets or clears maintenance on a shell.
    pub fn human_maintenance(&mut self, node: &NodeName, to: Switch) {
        if let Some(via) = self.quorate_member() {
            // The shell is on a member with quorum, so that nothing is left to fail.
            let _ = self.set_maintenance(Actor::Human, &via, node, to);
        }
    }

    /// `disarm-ha` and `arm-ha`.
    pub fn human_arms_ha(&mut self, to: Switch) {
        self.ha.armed = to == Switch::On;
        self.stir();
    }

    pub(super) fn quorate_member(&self) -> Option<NodeName> {
        self.nodes.iter().find(|(name, n)| n.joined() && self.quorate(name)).map(|(name, _)| name.clone())
    }

    /// A task that ends "OK" within seconds and only queues a command.
    pub(super) fn ha_migrate(&mut self, by: Actor, call: &MigrateCall) -> Upid {
        let id = call.guest;
        if let Some(enemy) = self.ha.enemy_on(id, &call.target) {
            let text = format!(
                "cannot migrate resource '{}' to node '{}': resource '{}' is on target in negative affinity",
                self.sid(id),
                call.target,
                self.sid(enemy)
            );
            let errand = Errand { kind: "hamigrate", secs: 1, status: &text, then: Then::Nothing };
            return self.run(by, &call.node, Some(id), errand);
        }
        self.ha.commands.push_back(Command::Move { guest: id, target: call.target.clone() });
        let errand = Errand { kind: "hamigrate", secs: 2, status: "OK", then: Then::Nothing };
        self.run(by, &call.node, Some(id), errand)
    }

    /// `vm:101`, `ct:200`.
    pub fn sid(&self, guest: GuestId) -> String {
        match self.guests.get(&guest).map(|g| g.kind) {
            Some(GuestKind::Lxc) => format!("ct:{guest}"),
            _ => format!("vm:{guest}"),
        }
    }

    pub(super) fn tick_ha(&mut self) {
        if self.ha.next_lrm <= self.now {
            self.ha.next_lrm = (self.ha.next_lrm + LRM_LOOP).max(self.now + SignedDuration::from_secs(1));
            self.lrm_round();
        }
        if self.ha.next_crm <= self.now {
            self.ha.next_crm = (self.ha.next_crm + CRM_LOOP).max(self.now + SignedDuration::from_secs(1));
            self.crm_round();
        }
    }
}
