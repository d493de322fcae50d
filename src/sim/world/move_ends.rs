//! How a migration ends: well, with problems, or not at all; and what it leaves behind.

use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::GuestKind;

use super::guest::{Listed, POSTMIGRATE_SECS};
use super::moving::{IllMove, Moving, Stage};
use super::task::Work;
use super::{Run, World};

impl World {
    /// The incoming half stays on the target, seen by nobody.
    pub(super) fn leave_incoming(&mut self, moving: &Moving) {
        if moving.was_running
            && let Some(guest) = self.guests.get_mut(&moving.call.guest)
        {
            guest.leftovers.insert(moving.call.target.clone());
        }
    }

    pub(super) fn commit(&mut self, at: usize, moving: &Moving) {
        let (id, call) = (moving.call.guest, &moving.call);
        if !self.linked(&call.node, &call.target) {
            return;
        }
        if !self.quorate(&call.node) || moving.ill == Some(IllMove::StuckAtSource) {
            // The configuration could not be moved, nor the lock taken off: /etc/pve is read-only.
            if moving.was_running {
                self.set_run(id, Run::Postmigrate);
            }
            self.leave_incoming(moving);
            return self.end_task(at, "migration problems");
        }
        if moving.ill == Some(IllMove::ProblemsAtSource) {
            self.abandon_move(at);
            return self.end_task(at, "migration problems");
        }
        self.place(id, &call.target);
        if moving.ill == Some(IllMove::StoppedAtTarget) {
            self.set_run(id, Run::Stopped);
            self.set_lock(id, None);
            return self.end_task(at, "migration problems");
        }
        if call.kind == GuestKind::Lxc && moving.was_running {
            let until = self.later(2);
            self.log_start(at);
            return self.stage(at, Stage::Start { until });
        }
        if moving.was_running && self.chance.percent(25) {
            let until = self.later(POSTMIGRATE_SECS);
            if let Some(guest) = self.guests.get_mut(&id) {
                guest.listed = Some((Listed::Postmigrate, until));
            }
        }
        self.set_lock(id, None);
        self.end_task(at, "OK");
    }

    /// The configuration file is on another node from now on.
    pub(super) fn place(&mut self, guest: GuestId, node: &NodeName) {
        if let Some(g) = self.guests.get_mut(&guest) {
            g.node = node.clone();
        }
        self.stir();
    }

    /// A migration gives up tidily: no lock, a container runs again where it was.
    pub(super) fn abandon_move(&mut self, at: usize) {
        let Some(Work::Moving(moving)) = self.tasks.get(at).map(|t| &t.work) else { return };
        let moving = moving.clone();
        if matches!(moving.stage, Stage::LockWait { .. }) {
            return;
        }
        let id = moving.call.guest;
        if moving.locked {
            self.set_lock(id, None);
        }
        if moving.was_running && self.guests.get(&id).is_some_and(|g| g.run == Run::Stopped) {
            self.set_run(id, Run::Running);
        }
    }

    /// What Proxmox finds in the worker's first second.
    pub(super) fn cannot_move(&self, moving: &Moving) -> Option<String> {
        let (call, id) = (&moving.call, moving.call.guest);
        let guest = self.guests.get(&id)?;
        if guest.node != call.node {
            // While this worker waited for the lock, another one moved the guest.
            return self.guest_at(&call.node, id, Some(call.kind)).err().map(|refusal| refusal.text);
        }
        if let Some(lock) = guest.lock.as_deref().filter(|_| !moving.locked) {
            return Some(format!("VM is locked ({lock})"));
        }
        let live = moving.was_running && guest.kind == GuestKind::Qemu;
        if live && !call.online {
            return Some("can't migrate running VM without --online".into());
        }
        if moving.was_running && guest.kind == GuestKind::Lxc && !call.restart {
            return Some("lxc live migration is currently not implemented".into());
        }
        if !guest.devices.is_empty() {
            return Some(format!("can't migrate VM which uses local devices: {}", guest.devices.join(", ")));
        }
        if let Some(image) = guest.local_cdrom.as_ref().filter(|_| live) {
            return Some(format!("can't migrate local cdrom '{image}'"));
        }
        if live && !guest.local_disks.is_empty() && !call.with_local_disks {
            return Some("can't live migrate attached local disks without with-local-disks option".into());
        }
        let (storage, on) = guest.storage_on.as_ref()?;
        (!on.contains(&call.target))
            .then(|| format!("storage '{storage}' is not available on node '{}'", call.target))
    }

    /// After a boot of the source: locks stay, and the half-received side too.
    pub(super) fn moves_die_with(&mut self, node: &NodeName) {
        let dead: Vec<Moving> = self
            .tasks
            .iter()
            .filter(|t| &t.node == node && t.runs())
            .filter_map(|t| match &t.work {
                Work::Moving(m) if matches!(m.stage, Stage::Copy | Stage::Commit { .. }) => Some(*m.clone()),
                _ => None,
            })
            .collect();
        for moving in dead {
            self.leave_incoming(&moving);
        }
    }
}
