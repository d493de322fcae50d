//! Each node's own worker, every 5 s: takes up its mode, runs migrations, starts and stops guests.

use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{GuestKind, LrmMode};
use crate::model::time::age;

use super::super::migrate::MigrateCall;
use super::super::{Actor, Run, World};
use super::ServiceState;

/// A node with HA guests and without quorum is reset by its watchdog.
const WATCHDOG_SECS: u64 = 60;

impl World {
    pub(super) fn lrm_round(&mut self) {
        let names: Vec<NodeName> = self.nodes.keys().cloned().collect();
        for name in names {
            let Some(node) = self.nodes.get(&name) else { continue };
            if !node.powered() {
                continue;
            }
            if !self.quorate(&name) {
                self.watchdog(&name);
                continue;
            }
            if !node.runs("pve-ha-lrm") {
                continue;
            }
            let now = self.now;
            if let Some(member) = self.ha.nodes.get_mut(&name) {
                member.lrm_at = now;
                let mode = if member.requested { LrmMode::Maintenance } else { LrmMode::Active };
                if member.mode != mode {
                    member.mode = mode;
                    self.stir();
                }
            }
            if self.ha.armed {
                self.lrm_services(&name);
            }
        }
    }

    fn watchdog(&mut self, name: &NodeName) {
        let Some(node) = self.nodes.get(name) else { return };
        let alone = node.cut.is_some() && age(self.now, node.cut_since).as_secs() >= WATCHDOG_SECS;
        let carries = self.ha.services.iter().any(|(id, s)| {
            &s.node == name && self.guests.get(id).is_some_and(|g| &g.node == name && g.aboard())
        });
        if alone && carries {
            self.power_cut(name, false);
            self.node_boots(name);
        }
    }

    fn lrm_services(&mut self, name: &NodeName) {
        let mine: Vec<GuestId> = self
            .ha
            .services
            .iter()
            .filter(|(id, s)| &s.node == name && self.ha.manages(**id))
            .map(|(id, _)| *id)
            .collect();
        for guest in mine {
            let Some(service) = self.ha.services.get(&guest) else { continue };
            match service.state {
                ServiceState::Migrate | ServiceState::Relocate if service.worker.is_none() => {
                    self.send(name, guest);
                }
                ServiceState::Started => self.keep_running(guest, name),
                ServiceState::RequestStop => {
                    self.set_run(guest, Run::Stopped);
                    if let Some(service) = self.ha.services.get_mut(&guest) {
                        service.state = ServiceState::Stopped;
                    }
                }
                _ => {}
            }
        }
    }

    fn send(&mut self, from: &NodeName, guest: GuestId) {
        let busy = self
            .tasks
            .iter()
            .filter(|t| t.runs() && t.by == Actor::Ha && &t.node == from && t.guest.is_some())
            .count();
        let Some(g) = self.guests.get(&guest) else { return };
        let target = self.ha.services.get(&guest).and_then(|s| s.target.clone());
        let (Some(target), true) = (target, busy < self.ha.workers_max) else { return };
        let call = MigrateCall {
            guest,
            kind: g.kind,
            node: from.clone(),
            target,
            online: true,
            with_local_disks: true,
            restart: true,
        };
        let kind = if g.kind == GuestKind::Qemu { "qmigrate" } else { "vzmigrate" };
        let upid = self.fork_move(Actor::Ha, kind, &call);
        if let Some(service) = self.ha.services.get_mut(&guest) {
            service.worker = Some(upid);
        }
    }

    fn keep_running(&mut self, guest: GuestId, on: &NodeName) {
        let Some(g) = self.guests.get(&guest) else { return };
        let wanted = self.ha.resources.get(&guest).is_some_and(|r| r.requested == "started");
        let at = g.node.clone();
        if &at != on {
            // A person moved it by hand: HA takes note.
            if let Some(service) = self.ha.services.get_mut(&guest) {
                service.node = at;
            }
        } else if wanted && g.run == Run::Stopped && g.lock.is_none() {
            self.set_run(guest, Run::Running);
        }
    }
}
