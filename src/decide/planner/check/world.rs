//! A second, plain account of the cluster, for the check alone: everything on both sides while it is in flight.

use std::collections::BTreeMap;

use super::super::instance::{GuestAt, Instance, NodeAt, Role, RuleKind, Way};
use super::super::outcome::Reason;

pub struct World<'a> {
    inst: &'a Instance,
    /// MiB in use, thousandths of vCPUs in use.
    pub memory: Vec<i64>,
    cpus: Vec<i64>,
    /// Free: by node and storage or device.
    stores: BTreeMap<(NodeAt, usize), i64>,
    devices: BTreeMap<(NodeAt, usize), i64>,
    /// Where a guest is, and where it is on its way to.
    pub at: Vec<NodeAt>,
    pub coming: Vec<Option<NodeAt>>,
    pub stopped: Vec<bool>,
    /// Strict rules that keep apart, by guest.
    apart: BTreeMap<GuestAt, Vec<usize>>,
}

impl<'a> World<'a> {
    pub fn new(inst: &'a Instance) -> Self {
        let mut world = Self {
            inst,
            memory: vec![0; inst.nodes.len()],
            cpus: vec![0; inst.nodes.len()],
            stores: BTreeMap::new(),
            devices: BTreeMap::new(),
            at: inst.guests.iter().map(|g| g.node).collect(),
            coming: vec![None; inst.guests.len()],
            stopped: vec![false; inst.guests.len()],
            apart: BTreeMap::new(),
        };
        for (n, node) in inst.nodes.iter().enumerate() {
            world
                .stores
                .extend(node.storages.iter().map(|(s, free)| ((n, *s), free.unwrap_or(i64::MAX / 4))));
            world.devices.extend(node.devices.iter().map(|(d, count)| ((n, *d), *count)));
        }
        for (i, guest) in inst.guests.iter().enumerate() {
            world.run(i, guest.node, 1);
            for (device, count) in &guest.devices {
                *world.devices.entry((guest.node, *device)).or_insert(0) -= count;
            }
        }
        for (r, rule) in inst.rules.iter().enumerate() {
            if rule.strict && rule.kind == RuleKind::Apart {
                for guest in &rule.guests {
                    world.apart.entry(*guest).or_default().push(r);
                }
            }
        }
        world
    }

    fn run(&mut self, guest: GuestAt, node: NodeAt, sign: i64) {
        let g = &self.inst.guests[guest];
        if g.running {
            self.memory[node] += sign * g.memory;
            self.cpus[node] += sign * i64::from(g.cpus) * 1000;
        }
    }

    fn hold(&mut self, guest: GuestAt, node: NodeAt, sign: i64) {
        self.run(guest, node, sign);
        let g = &self.inst.guests[guest];
        for (storage, mib) in &g.disks {
            if !self.inst.storages[*storage].shared {
                *self.stores.entry((node, *storage)).or_insert(0) -= sign * mib;
            }
        }
        for (device, count) in &g.devices {
            *self.devices.entry((node, *device)).or_insert(0) -= sign * count;
        }
    }

    pub fn begin(&mut self, guest: GuestAt, to: NodeAt) {
        self.hold(guest, to, 1);
        self.coming[guest] = Some(to);
    }

    pub fn end(&mut self, guest: GuestAt) {
        if let Some(to) = self.coming[guest].take() {
            self.hold(guest, self.at[guest], -1);
            self.at[guest] = to;
        }
    }

    pub fn stop(&mut self, guest: GuestAt) {
        if !self.stopped[guest] {
            self.run(guest, self.at[guest], -1);
            self.stopped[guest] = true;
        }
    }

    /// Why the guest may not set out for `to` now.
    pub fn refuses(&self, guest: GuestAt, to: NodeAt) -> Option<Reason> {
        let (g, node) = (&self.inst.guests[guest], &self.inst.nodes[to]);
        if g.way == Way::No {
            return Some(Reason::Immovable);
        }
        if node.role != Role::Open {
            return Some(Reason::NodeClosed);
        }
        if g.allowed.as_ref().is_some_and(|allowed| !allowed.contains(&to)) {
            return Some(Reason::NotAllowed);
        }
        for (storage, mib) in &g.disks {
            let free = self.stores.get(&(to, *storage));
            let shared = self.inst.storages[*storage].shared;
            if !node.storages.iter().any(|(has, _)| has == storage)
                || (!shared && free.is_none_or(|free| free < mib))
            {
                return Some(Reason::Storage);
            }
        }
        if g.devices.iter().any(|(d, count)| self.devices.get(&(to, *d)).copied().unwrap_or(0) < *count) {
            return Some(Reason::Device);
        }
        let rules = self.apart.get(&guest).into_iter().flatten();
        let others = rules.flat_map(|r| &self.inst.rules[*r].guests).filter(|other| **other != guest);
        for other in others {
            if self.at[*other] == to || self.coming[*other] == Some(to) {
                return Some(Reason::Apart);
            }
        }
        if g.running && self.memory[to] + g.memory > node.memory {
            return Some(Reason::Memory);
        }
        let cpus = node.cores * self.inst.params.cpu_overcommit * 1000.0;
        if g.running && (self.cpus[to] + i64::from(g.cpus) * 1000) as f64 > cpus + 1e-6 {
            return Some(Reason::Cpu);
        }
        None
    }
}
