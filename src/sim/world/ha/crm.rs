//! The master's round, every 10 s: nodes, then commands, then services.

use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{HaNodeState, LrmMode};
use crate::model::step::Switch;
use crate::model::time::age;

use super::super::{NodeState, TaskState, World};
use super::{Command, Service, ServiceState};

/// A dead master's lock runs out after that, then another takes over.
const MASTER_LOCK_SECS: u64 = 120;
/// From a node's death to `fence`, and to `recovery`; the rounds add up to 10 s.
const FENCE_SECS: u64 = 60;
const RECOVERY_SECS: u64 = 130;

impl World {
    pub(super) fn crm_round(&mut self) {
        if !self.master_works() {
            return;
        }
        self.ha.crm_at = self.now;
        if !self.ha.armed {
            return;
        }
        self.crm_nodes();
        self.crm_commands();
        // In the order of the words: `ct:9` before `vm:10`, and `vm:10` before `vm:9`.
        let mut services: Vec<GuestId> = self.ha.services.keys().copied().collect();
        services.sort_by_cached_key(|guest| self.sid(*guest));
        for guest in services {
            self.crm_service(guest);
        }
    }

    fn master_works(&mut self) -> bool {
        let able = |world: &Self, name: &NodeName| {
            world.nodes.get(name).is_some_and(|n| n.joined()) && world.quorate(name)
        };
        if self.ha.master.as_ref().is_some_and(|m| able(self, m)) {
            self.ha.master_lost = None;
            return true;
        }
        let lost = *self.ha.master_lost.get_or_insert(self.now);
        // Who shuts down in order gives its lock back; who dies keeps it until it runs out.
        let said_goodbye =
            self.ha.master.as_ref().is_none_or(|m| {
                self.nodes.get(m).is_none_or(|n| n.state == (NodeState::Off { clean: true }))
            });
        if !said_goodbye && age(self.now, lost).as_secs() < MASTER_LOCK_SECS {
            self.stir();
            return false;
        }
        let next = self.nodes.keys().find(|name| able(self, name)).cloned();
        if next.is_some() {
            self.ha.master = next;
            self.ha.master_lost = None;
        }
        self.ha.master_lost.is_none()
    }

    fn crm_commands(&mut self) {
        while let Some(command) = self.ha.commands.pop_front() {
            self.stir();
            let refusal = match &command {
                Command::Maintenance { node, to: Switch::On } => self.begin_maintenance(node),
                Command::Maintenance { node, to: Switch::Off } => {
                    if let Some(member) = self.ha.nodes.get_mut(node) {
                        member.requested = false;
                    }
                    None
                }
                Command::Move { guest, target } => self.accept_move(*guest, target),
            };
            if let Some(text) = refusal {
                self.ha.log.push(text);
            }
        }
    }

    fn begin_maintenance(&mut self, node: &NodeName) -> Option<String> {
        match self.ha.nodes.get_mut(node) {
            Some(member) if matches!(member.state, HaNodeState::Online | HaNodeState::Maintenance) => {
                member.requested = true;
                None
            }
            _ => {
                self.ha.maintenance_by.remove(node);
                Some(format!("ignoring maintenance request for '{node}': node not online"))
            }
        }
    }

    fn accept_move(&mut self, guest: GuestId, target: &NodeName) -> Option<String> {
        let online = self.ha.nodes.get(target).is_some_and(|m| m.state == HaNodeState::Online);
        if !online {
            return Some(format!("crm command error - node not online: migrate {guest} {target}"));
        }
        let enemy = self.ha.enemy_on(guest, target);
        let service = self.ha.services.get_mut(&guest)?;
        if service.state == ServiceState::Error || enemy.is_some() {
            return Some(format!("crm command error: migrate {guest} {target}"));
        }
        service.command = Some(target.clone());
        None
    }

    fn crm_nodes(&mut self) {
        let Some(master) = self.ha.master.clone() else { return };
        let names: Vec<NodeName> = self.ha.nodes.keys().cloned().collect();
        for name in names {
            let seen = self.seen_online(&master, &name);
            let carries =
                self.ha.services.iter().any(|(id, s)| {
                    s.node == name && s.state != ServiceState::Stopped && self.ha.manages(*id)
                });
            let died = self.nodes.get(&name).map_or(self.now, |n| n.since.max(n.cut_since));
            // Who went down in order left no lock behind that would have to run out.
            let clean = self.nodes.get(&name).is_some_and(|n| n.state == (NodeState::Off { clean: true }));
            let recovery = if clean { FENCE_SECS } else { RECOVERY_SECS };
            let Some(member) = self.ha.nodes.get_mut(&name) else { continue };
            let was = member.state;
            if seen {
                member.lost = None;
                member.state = match (member.requested, member.mode) {
                    (true, LrmMode::Maintenance) => HaNodeState::Maintenance,
                    (false, LrmMode::Maintenance) => was,
                    _ => HaNodeState::Online,
                };
            } else {
                // An empty node in maintenance that goes off stays `maintenance`; only its membership tells. One that
                // still carries guests is fenced for them like any other.
                let lost = age(self.now, *member.lost.get_or_insert(died)).as_secs();
                member.state = match was {
                    HaNodeState::Unknown | HaNodeState::Fence | HaNodeState::Maintenance
                        if carries && lost >= FENCE_SECS =>
                    {
                        HaNodeState::Fence
                    }
                    HaNodeState::Maintenance => HaNodeState::Maintenance,
                    _ => HaNodeState::Unknown,
                };
            }
            let fenced = (member.state == HaNodeState::Fence)
                .then(|| age(self.now, member.lost.unwrap_or(self.now)).as_secs());
            if was != member.state || carries && !seen {
                self.stir();
            }
            if let Some(secs) = fenced {
                self.fence(&name, secs >= recovery);
            }
        }
    }

    fn fence(&mut self, node: &NodeName, over: bool) {
        let resources = &self.ha.resources;
        let managed = |id: &GuestId| resources.get(id).is_some_and(|r| r.requested != "ignored");
        for (_, service) in self.ha.services.iter_mut().filter(|(id, s)| &s.node == node && managed(id)) {
            service.state = match service.state {
                ServiceState::Stopped => ServiceState::Stopped,
                ServiceState::Recovery => ServiceState::Recovery,
                _ if over => ServiceState::Recovery,
                _ => ServiceState::Fence,
            };
            service.target = None;
            service.worker = None;
        }
    }

    fn crm_service(&mut self, guest: GuestId) {
        if let Some((state, at)) = self.ha.resources.get(&guest).and_then(|r| r.asked.clone())
            && at <= self.now
            && let Some(resource) = self.ha.resources.get_mut(&guest)
        {
            resource.requested = state;
            resource.asked = None;
            self.stir();
        }
        if !self.ha.manages(guest) {
            return;
        }
        let requested = self.ha.resources.get(&guest).map_or("ignored", |r| r.requested.as_str()).to_owned();
        let Some(service) = self.ha.services.get(&guest).cloned() else { return };
        let home_state = self.ha.nodes.get(&service.node).map_or(HaNodeState::Unknown, |m| m.state);
        let next = match service.state {
            ServiceState::Started if requested == "started" => self.crm_started(guest, &service, home_state),
            ServiceState::Started => Some(Service { state: ServiceState::RequestStop, ..service }),
            ServiceState::Stopped if requested == "started" => {
                Some(Service { state: ServiceState::Started, ..service })
            }
            // It came back before the fencing was done.
            ServiceState::Fence if home_state == HaNodeState::Online => {
                Some(Service { state: ServiceState::Started, ..service })
            }
            ServiceState::Recovery => self.recover(guest, &service),
            ServiceState::Migrate | ServiceState::Relocate => self.settle(guest, &service),
            _ => None,
        };
        if let Some(next) = next {
            self.ha.services.insert(guest, next);
            self.stir();
        }
    }

    fn crm_started(&mut self, guest: GuestId, service: &Service, home: HaNodeState) -> Option<Service> {
        let leave = |target: NodeName, maintenance_node: Option<NodeName>| Service {
            state: ServiceState::Migrate,
            target: Some(target),
            command: None,
            maintenance_node,
            ..service.clone()
        };
        if let Some(target) = &service.command {
            // Moved by a command, a guest forgets where it came from.
            return Some(leave(target.clone(), None));
        }
        match home {
            HaNodeState::Maintenance => {
                let from = service.maintenance_node.clone().or(Some(service.node.clone()));
                self.ha.choose(guest).map(|target| leave(target, from))
            }
            // Asked into maintenance and not there yet: the next round moves it, and remembers where it came from.
            HaNodeState::Online if self.ha.nodes.get(&service.node).is_some_and(|m| m.requested) => None,
            HaNodeState::Online => {
                let candidates = self.ha.candidates(guest);
                if let Some(back) = &service.maintenance_node {
                    if back == &service.node {
                        // Home again, and the memory of it lingers for a round or two.
                        let keep = self.chance.percent(50);
                        let maintenance_node = service.maintenance_node.clone().filter(|_| keep);
                        return Some(Service { maintenance_node, ..service.clone() });
                    }
                    if candidates.contains(back) {
                        return Some(leave(back.clone(), Some(back.clone())));
                    }
                }
                let failback = self.ha.resources.get(&guest).is_some_and(|r| r.failback);
                let misplaced = failback && !candidates.contains(&service.node);
                self.ha.choose(guest).filter(|_| misplaced).map(|target| leave(target, None))
            }
            _ => None,
        }
    }

    /// The worker is done: the guest is there, or it is `started` where it was, to be tried again a round later.
    fn settle(&self, guest: GuestId, service: &Service) -> Option<Service> {
        let worker = service.worker.as_ref()?;
        let good = match &self.tasks.iter().find(|t| &t.upid == worker).map(|t| &t.state) {
            Some(TaskState::Running) => return None,
            Some(TaskState::Ended { status, .. }) => status == "OK",
            None => false,
        };
        // What failed at its very end may be on either side; the configuration knows.
        let found = self.guests.get(&guest).map_or(&service.node, |g| &g.node);
        let node = if good { service.target.as_ref().unwrap_or(found) } else { found };
        Some(Service {
            state: ServiceState::Started,
            node: node.clone(),
            target: None,
            worker: None,
            ..service.clone()
        })
    }

    /// The guest starts elsewhere, whatever lock it had.
    fn recover(&mut self, guest: GuestId, service: &Service) -> Option<Service> {
        let target = self.ha.choose(guest)?;
        self.place(guest, &target);
        self.set_lock(guest, None);
        Some(Service {
            state: ServiceState::Started,
            node: target,
            target: None,
            command: None,
            maintenance_node: None,
            ..service.clone()
        })
    }
}
