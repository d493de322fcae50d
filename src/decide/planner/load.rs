//! What every node has left, and who is where: the ledger that placing works on.
//!
//! One entry per guest: it is in one place or lifted. That a moving guest counts on both sides is a matter of time, and
//! time is not in here; `order` and `check` see to it.

use super::instance::{GuestAt, Instance, Kind, NodeAt, Role, RuleKind, Way};
use super::outcome::Reason;

/// Lifted: nowhere.
pub const NOWHERE: NodeAt = usize::MAX;
/// Free space of a storage that the node does not have.
const ABSENT: i64 = i64::MIN / 4;

#[derive(Clone, Debug)]
pub struct Load<'a> {
    pub inst: &'a Instance,
    /// MiB; negative: already too full.
    pub memory: Vec<i64>,
    /// Thousandths of a vCPU.
    pub cpus: Vec<i64>,
    /// Node × storage, MiB.
    stores: Vec<i64>,
    /// Node × device.
    devices: Vec<i64>,
    /// Where each guest is, or will be.
    pub place: Vec<NodeAt>,
}

/// Which strict rules a guest is in; made once, used by everybody.
#[derive(Clone, Debug)]
pub struct Ties {
    apart: Vec<Vec<u32>>,
    together: Vec<Vec<u32>>,
    /// As `together`, of groups that are apart now.
    split: Vec<Vec<u32>>,
}

impl Ties {
    pub fn of(inst: &Instance) -> Self {
        let none = vec![Vec::new(); inst.guests.len()];
        let mut ties = Self { apart: none.clone(), together: none.clone(), split: none };
        for (at, rule) in inst.rules.iter().enumerate().filter(|(_, rule)| rule.strict) {
            // Together binds only those that are together: what is split already stays as it is. One that will be shut
            // down counts no more, so the others are looked at without it, too.
            let same = |guests: &[GuestAt]| {
                guests.windows(2).all(|w| inst.guests[w[0]].node == inst.guests[w[1]].node)
            };
            let stops = |g: &GuestAt| inst.kind == Kind::Drain && inst.guests[*g].may_stop && inst.leaves(*g);
            let lasting: Vec<GuestAt> = rule.guests.iter().copied().filter(|g| !stops(g)).collect();
            let whole = same(&rule.guests);
            for guest in &rule.guests {
                let bound = whole || (same(&lasting) && lasting.contains(guest));
                let list = match rule.kind {
                    RuleKind::Apart => &mut ties.apart,
                    RuleKind::Together if bound => &mut ties.together,
                    RuleKind::Together => &mut ties.split,
                };
                list[*guest].push(at as u32);
            }
        }
        ties
    }

    pub fn apart<'a>(&'a self, inst: &'a Instance, guest: GuestAt) -> impl Iterator<Item = GuestAt> + 'a {
        let rules = self.apart[guest].iter();
        rules.flat_map(|rule| inst.rules[*rule as usize].guests.iter().copied()).filter(move |o| *o != guest)
    }

    /// Where the others are of strict groups that these guests have been parted from: a plan that was broken off.
    pub fn others_of_split(&self, inst: &Instance, guests: &[GuestAt]) -> Vec<NodeAt> {
        let rules = guests.iter().flat_map(|g| &self.split[*g]);
        let members = rules.flat_map(|rule| &inst.rules[*rule as usize].guests);
        let others = members.filter(|g| !guests.contains(g));
        others.map(|g| inst.guests[*g].node).collect()
    }

    /// All that have to stay with this guest, itself included, ascending.
    pub fn bundle(&self, inst: &Instance, guest: GuestAt) -> Vec<GuestAt> {
        let mut all = vec![guest];
        let mut next = 0;
        while next < all.len() {
            for rule in &self.together[all[next]] {
                for other in &inst.rules[*rule as usize].guests {
                    if self.together[*other].contains(rule) && !all.contains(other) {
                        all.push(*other);
                    }
                }
            }
            next += 1;
        }
        all.sort_unstable();
        all
    }
}

impl<'a> Load<'a> {
    /// As it is before anything moves.
    pub fn of(inst: &'a Instance) -> Self {
        let (s, d) = (inst.storages.len(), inst.devices.len());
        let mut load = Self {
            inst,
            memory: inst.nodes.iter().map(|node| node.memory).collect(),
            cpus: (0..inst.nodes.len()).map(|node| inst.cpus(node)).collect(),
            stores: vec![ABSENT; inst.nodes.len() * s],
            devices: vec![0; inst.nodes.len() * d],
            place: vec![NOWHERE; inst.guests.len()],
        };
        for (at, node) in inst.nodes.iter().enumerate() {
            for (storage, free) in &node.storages {
                load.stores[at * s + storage] = free.unwrap_or(0);
            }
            for (device, count) in &node.devices {
                load.devices[at * d + device] = *count;
            }
        }
        for (at, guest) in inst.guests.iter().enumerate() {
            // Free space of storages is as seen: what is there is taken off already.
            for (storage, mib) in &guest.disks {
                load.stores[guest.node * s + storage] += mib;
            }
            load.put(at, guest.node);
        }
        load
    }

    pub fn put(&mut self, guest: GuestAt, node: NodeAt) {
        self.count(guest, node, 1);
        self.place[guest] = node;
    }

    pub fn lift(&mut self, guest: GuestAt) {
        let node = self.place[guest];
        if node != NOWHERE {
            self.count(guest, node, -1);
            self.place[guest] = NOWHERE;
        }
    }

    /// Counts the guest in (1) or out (-1), wherever it is said to be.
    pub fn count(&mut self, at: GuestAt, node: NodeAt, sign: i64) {
        let inst = self.inst;
        let guest = &inst.guests[at];
        if guest.running {
            self.memory[node] -= sign * guest.memory;
            self.cpus[node] -= sign * i64::from(guest.cpus) * 1000;
        }
        for (storage, mib) in &guest.disks {
            self.stores[node * inst.storages.len() + storage] -= sign * mib;
        }
        for (device, count) in &guest.devices {
            self.devices[node * inst.devices.len() + device] -= sign * count;
        }
    }

    pub fn device(&self, node: NodeAt, device: usize) -> i64 {
        self.devices[node * self.inst.devices.len() + device]
    }

    pub fn has_device(&self, at: GuestAt, node: NodeAt) -> bool {
        self.inst.guests[at].devices.iter().all(|(device, count)| self.device(node, *device) >= *count)
    }

    /// Why `node` could never take the guest, however empty it were.
    pub fn never(&self, at: GuestAt, node: NodeAt) -> Option<Reason> {
        let (inst, guest) = (self.inst, &self.inst.guests[at]);
        let there = &inst.nodes[node];
        if guest.way == Way::No {
            return Some(Reason::Immovable);
        }
        if there.role != Role::Open {
            return Some(Reason::NodeClosed);
        }
        if guest.allowed.as_ref().is_some_and(|allowed| allowed.binary_search(&node).is_err()) {
            return Some(Reason::NotAllowed);
        }
        if guest.disks.iter().any(|(storage, _)| !there.storages.iter().any(|(has, _)| has == storage)) {
            return Some(Reason::Storage);
        }
        if guest.running && guest.memory > there.memory {
            return Some(Reason::Memory);
        }
        None
    }

    /// Why `node` does not take the guest as things are; the guest itself may be anywhere else.
    pub fn refuses(&self, ties: &Ties, at: GuestAt, node: NodeAt) -> Option<Reason> {
        let inst = self.inst;
        if let Some(why) = self.never(at, node)
            && why != Reason::Memory
        {
            return Some(why);
        }
        if let Some(why) = self.lacks(at, node)
            && !matches!(why, Reason::Memory | Reason::Cpu)
        {
            return Some(why);
        }
        if ties.apart(inst, at).any(|other| self.place[other] == node) {
            return Some(Reason::Apart);
        }
        self.lacks(at, node)
    }

    /// What `node` has too little of for the guest.
    pub fn lacks(&self, at: GuestAt, node: NodeAt) -> Option<Reason> {
        let inst = self.inst;
        let guest = &inst.guests[at];
        let s = inst.storages.len();
        if guest.disks.iter().any(|(st, mib)| !inst.storages[*st].shared && self.stores[node * s + st] < *mib)
        {
            return Some(Reason::Storage);
        }
        if !self.has_device(at, node) {
            return Some(Reason::Device);
        }
        if guest.running && self.memory[node] < guest.memory {
            return Some(Reason::Memory);
        }
        if guest.running && self.cpus[node] < i64::from(guest.cpus) * 1000 {
            return Some(Reason::Cpu);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{cluster, guest, rule};
    use super::*;

    /// Three guests that belong together, on these nodes; the last is on the node that leaves, and may be shut down.
    fn three(nodes: [usize; 2]) -> Instance {
        let mut inst = cluster(3, vec![guest("a", nodes[0], 1), guest("b", nodes[1], 1), guest("c", 0, 1)]);
        inst.guests[2].may_stop = true;
        inst.rules = vec![rule(RuleKind::Together, &[0, 1, 2])];
        inst
    }

    fn bundles(inst: &Instance) -> [Vec<GuestAt>; 3] {
        let ties = Ties::of(inst);
        [0, 1, 2].map(|guest| ties.bundle(inst, guest))
    }

    #[test]
    fn together_binds_who_is_together() {
        assert_eq!(bundles(&three([0, 0])), [vec![0, 1, 2], vec![0, 1, 2], vec![0, 1, 2]]);
        assert_eq!(bundles(&three([1, 2])), [vec![0], vec![1], vec![2]], "parted already");
    }

    #[test]
    fn one_that_will_be_shut_down_parts_nobody() {
        assert_eq!(bundles(&three([1, 1])), [vec![0, 1], vec![0, 1], vec![2]]);
    }

    #[test]
    fn a_disk_counts_on_its_own_node_and_its_own_storage() {
        let mut inst = cluster(3, vec![guest("x", 1, 1), guest("y", 0, 1)]);
        inst.storages[0].shared = false;
        inst.nodes.iter_mut().for_each(|node| node.storages = vec![(0, Some(70)), (1, Some(100))]);
        (inst.guests[0].disks, inst.guests[1].disks) = (vec![(1, 60)], vec![(1, 60)]);
        // What is there is taken off what the node shows.
        inst.nodes[1].storages[1].1 = Some(40);
        let mut load = Load::of(&inst);
        let lacks = |load: &Load| [1, 2].map(|node| load.lacks(1, node));
        assert_eq!(lacks(&load), [Some(Reason::Storage), None]);
        load.put(0, 2);
        assert_eq!(lacks(&load)[1], Some(Reason::Storage));
    }
}
