//! Asking for a migration: what Proxmox answers at once. What becomes of it is `moving.rs`.

use serde::{Deserialize, Serialize};

use crate::model::ids::{GuestId, NodeName, Upid};
use crate::model::observed::GuestKind;

use super::moving::{Moving, PREPARE_SECS, Stage};
use super::task::{Errand, Then, Work};
use super::{Actor, Refusal, Run, World};

/// `POST /nodes/N/{qemu,lxc}/ID/migrate`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MigrateCall {
    pub guest: GuestId,
    pub kind: GuestKind,
    /// Whose path is called: where the guest is thought to be.
    pub node: NodeName,
    pub target: NodeName,
    /// QEMU: it may be running.
    pub online: bool,
    pub with_local_disks: bool,
    /// LXC: it may be shut down and started again.
    pub restart: bool,
}

/// Proxmox waits so long for the lock of a migration already running.
const LOCK_WAIT_SECS: u64 = 10;

/// What `GET …/migrate` tells (the preconditions). Dead nodes and nodes in maintenance are "allowed".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preconditions {
    pub running: bool,
    pub allowed: Vec<NodeName>,
    /// Node → why not: a storage it has not, or an HA guest it must not meet.
    pub not_allowed: Vec<(NodeName, NotAllowed)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotAllowed {
    Storage(String),
    Apart(GuestId),
}

impl World {
    /// A migration is asked for. A UPID means that a worker was started, nothing more.
    ///
    /// # Errors
    /// As the API: locks, quorum, wrong node, missing rights. Most of what is wrong shows only in the task.
    pub fn migrate(&mut self, by: Actor, via: &NodeName, call: &MigrateCall) -> Result<Upid, Refusal> {
        self.proxy(via, &call.node)?;
        self.allow(by, &format!("/vms/{}", call.guest), "VM.Migrate")?;
        let guest = self.guest_at(&call.node, call.guest, Some(call.kind))?;
        if call.target == call.node {
            return Err(Refusal::parameter("target", "target is local node."));
        }
        if !self.nodes.contains_key(&call.target) {
            return Err(Refusal::died(format!("no such cluster node '{}'", call.target)));
        }
        if !self.quorate(&call.node) {
            return Err(Refusal::no_quorum());
        }
        let managed = self.ha.manages(call.guest);
        if let Some(lock) = guest.lock.as_ref().filter(|_| !managed) {
            return Err(Refusal::locked(lock));
        }
        self.forbid_move(by, call);
        self.note_effect(by, "migrate", call.guest);
        if managed {
            return Ok(self.ha_migrate(by, call));
        }
        let kind = match call.kind {
            GuestKind::Qemu => "qmigrate",
            GuestKind::Lxc => "vzmigrate",
        };
        Ok(self.fork_move(by, kind, call))
    }

    /// The worker, as the API and HA start it.
    pub(super) fn fork_move(&mut self, by: Actor, kind: &'static str, call: &MigrateCall) -> Upid {
        let busy = self.moving(call.guest).is_some();
        let stage = if busy || self.replicates(call.guest) {
            Stage::LockWait { until: self.later(LOCK_WAIT_SECS) }
        } else {
            Stage::Prepare { until: self.later(PREPARE_SECS), patience: self.later(12) }
        };
        let mishap = self.ill_moves.get_mut(&call.guest).filter(|_| !busy).and_then(|q| q.pop_front());
        let work = Work::Moving(Box::new(Moving {
            call: call.clone(),
            stage,
            left: 0,
            stepped: self.now,
            memory: 0,
            disks: 0,
            sent: 0,
            copy_since: None,
            was_running: self.guests.get(&call.guest).is_some_and(|g| g.run == Run::Running),
            locked: false,
            ill: mishap,
        }));
        self.fork(by, &call.node, kind, Some(call.guest), work)
    }

    pub(super) fn replicates(&self, guest: GuestId) -> bool {
        self.guests.get(&guest).and_then(|g| g.replicating_until).is_some_and(|until| self.now < until)
    }

    /// A replication run holds the lock that a migration needs.
    pub fn human_replicates(&mut self, guest: GuestId, secs: u64) {
        let until = self.later(secs);
        if let Some(g) = self.guests.get_mut(&guest) {
            g.replicating_until = Some(until);
        }
    }

    /// The worker that moves this guest now.
    pub fn moving(&self, guest: GuestId) -> Option<&super::Task> {
        self.tasks.iter().find(|t| t.runs() && t.guest == Some(guest) && matches!(t.work, Work::Moving(_)))
    }

    /// `DELETE /nodes/N/tasks/UPID`: blocks until the worker has ended, up to 4 s. An ended task: null.
    ///
    /// # Errors
    /// As the API.
    pub fn cancel_task(
        &mut self,
        by: Actor,
        via: &NodeName,
        node: &NodeName,
        upid: &Upid,
    ) -> Result<(), Refusal> {
        self.task(via, node, upid)?;
        self.forbid_killed_by(by, "cancelling a task");
        self.note_effect(by, "cancel_task", upid);
        let Some(at) = self.tasks.iter().position(|t| &t.upid == upid && t.runs()) else { return Ok(()) };
        let secs = 1 + self.chance.below(4);
        let until = self.later(secs);
        match &mut self.tasks[at].work {
            Work::Moving(moving) => moving.stage = Stage::Cancelled { until },
            Work::Waiting { until: end, status, then } => {
                *end = until;
                *status = "interrupted by signal".to_owned();
                *then = Then::Nothing;
            }
        }
        Ok(())
    }

    /// `GET /nodes/N/{qemu,lxc}/ID/migrate`.
    ///
    /// # Errors
    /// 500 where the guest is locked or there is no quorum: a finding, not an outage.
    pub fn preconditions(
        &self,
        via: &NodeName,
        node: &NodeName,
        guest: GuestId,
    ) -> Result<Preconditions, Refusal> {
        self.proxy(via, node)?;
        let g = self.guest_at(node, guest, None)?;
        if let Some(lock) = &g.lock {
            return Err(Refusal::locked(lock));
        }
        if !self.quorate(node) {
            return Err(Refusal::no_quorum());
        }
        let mut found = Preconditions { running: g.aboard(), ..Preconditions::default() };
        for other in self.nodes.keys().filter(|n| *n != node) {
            let storage = g.storage_on.as_ref().filter(|(_, on)| !on.contains(other));
            if let (Some((storage, _)), GuestKind::Qemu) = (storage, g.kind) {
                found.not_allowed.push((other.clone(), NotAllowed::Storage(storage.clone())));
            } else if let Some(enemy) = self.ha.enemy_on(guest, other) {
                found.not_allowed.push((other.clone(), NotAllowed::Apart(enemy)));
            } else {
                found.allowed.push(other.clone());
            }
        }
        Ok(found)
    }

    /// Starts a stopped guest, or resumes one that a broken migration left. What is wrong shows only in the task.
    ///
    /// # Errors
    /// As the API.
    pub fn start_guest(
        &mut self,
        by: Actor,
        via: &NodeName,
        node: &NodeName,
        guest: GuestId,
    ) -> Result<Upid, Refusal> {
        self.proxy(via, node)?;
        self.allow(by, &format!("/vms/{guest}"), "VM.PowerMgmt")?;
        let g = self.guest_at(node, guest, None)?.clone();
        self.forbid_killed_by(by, "starting a guest");
        self.note_effect(by, "start", guest);
        if self.ha.manages(guest) {
            self.ha.ask_state(guest, "started", self.now);
            let errand = Errand { kind: "hastart", secs: 2, status: "OK", then: Then::Nothing };
            return Ok(self.run(by, node, Some(guest), errand));
        }
        let kind = if g.kind == GuestKind::Qemu { "qmstart" } else { "vzstart" };
        let wrong = match (&g.lock, g.run, g.template) {
            (Some(lock), ..) => Some(format!("VM is locked ({lock})")),
            (_, Run::Running, _) => Some(format!("VM {guest} already running")),
            (.., true) => Some("you can't start a vm if it's a template".to_owned()),
            _ => None,
        };
        let errand = match &wrong {
            Some(text) => Errand { kind, secs: 1, status: text, then: Then::Nothing },
            None => Errand { kind, secs: 2, status: "OK", then: Then::Start },
        };
        Ok(self.run(by, node, Some(guest), errand))
    }

    /// Asks a running guest to shut down, never by force. One that does not listen makes the task fail after 180 s.
    ///
    /// # Errors
    /// As the API.
    pub fn shut_down_guest(
        &mut self,
        by: Actor,
        via: &NodeName,
        node: &NodeName,
        guest: GuestId,
    ) -> Result<Upid, Refusal> {
        self.proxy(via, node)?;
        self.allow(by, &format!("/vms/{guest}"), "VM.PowerMgmt")?;
        let g = self.guest_at(node, guest, None)?.clone();
        self.forbid_shutdown(by, guest);
        self.note_effect(by, "shutdown", guest);
        if self.ha.manages(guest) {
            self.ha.ask_state(guest, "stopped", self.now);
            let errand = Errand { kind: "hastop", secs: 2, status: "OK", then: Then::Nothing };
            return Ok(self.run(by, node, Some(guest), errand));
        }
        let kind = if g.kind == GuestKind::Qemu { "qmshutdown" } else { "vzshutdown" };
        let locked = g.lock.as_ref().map(|lock| format!("VM is locked ({lock})"));
        let errand = match (&locked, g.deaf) {
            (Some(text), _) => Errand { kind, secs: 1, status: text, then: Then::Nothing },
            (None, true) => {
                let status = "VM quit/powerdown failed - got timeout";
                Errand { kind, secs: 180, status, then: Then::Nothing }
            }
            (None, false) => Errand { kind, secs: 6, status: "OK", then: Then::Stop },
        };
        Ok(self.run(by, node, Some(guest), errand))
    }

    /// An operator (or somebody's balancer) moves a guest.
    ///
    /// # Errors
    /// As the API.
    pub fn human_moves(&mut self, guest: GuestId, to: &NodeName) -> Result<Upid, Refusal> {
        let Some(g) = self.guests.get(&guest) else { return Err(Refusal::no_route()) };
        let call = MigrateCall {
            guest,
            kind: g.kind,
            node: g.node.clone(),
            target: to.clone(),
            online: true,
            with_local_disks: true,
            restart: true,
        };
        self.migrate(Actor::Human, &call.node, &call)
    }
}
