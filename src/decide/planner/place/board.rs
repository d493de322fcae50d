//! The table that placing works on: units (guests that go together), where each of them is, and how to take moves back.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Wishes;
use super::super::instance::{GuestAt, Instance, Kind, NodeAt, Role, Way, gain};
use super::super::load::{Load, NOWHERE, Ties};

/// Index into [`Board::units`].
pub type UnitAt = usize;

/// Guests that go together, mostly one.
#[derive(Clone, Debug)]
pub struct Unit {
    pub guests: Vec<GuestAt>,
    pub home: NodeAt,
    /// MiB, and thousandths of vCPUs, of all that run.
    pub memory: i64,
    pub cpus: i64,
    /// It is asked of it that it moves; else it would only make room.
    pub asked: bool,
    /// Nodes that could take it if they were empty, ascending.
    pub goes: Vec<NodeAt>,
    /// Of these, the ones it would rather go to.
    pub prefer: Vec<NodeAt>,
    /// Mbit to send.
    pub bits: f64,
    /// The most that one of its guests writes, Mbit/s.
    pub dirty: f64,
    /// Under way: it arrives where it is going, whatever is planned now.
    pub pinned: bool,
}

#[derive(Clone, Debug)]
pub struct Board<'a> {
    pub inst: &'a Instance,
    pub ties: &'a Ties,
    pub load: Load<'a>,
    /// The asked ones first, the others as they are needed.
    pub units: Vec<Unit>,
    /// Where each unit is; `NOWHERE`: lifted, or not placed yet.
    pub at: Vec<NodeAt>,
    /// How many units were asked for.
    pub asked: usize,
    /// Memory that must stay free on each node, MiB.
    pub keep: Vec<i64>,
    /// Mbit promised to each node.
    pub inbound: Vec<f64>,
    /// Seconds that the whole takes at least.
    pub bound: f64,
    /// Questions that may still be asked: what makes every search end, at the same place on every machine.
    pub fuel: i64,
    /// Guests that are on each node at the beginning.
    residents: Vec<Vec<GuestAt>>,
    /// Moved by an earlier plan: they have had their turn.
    settled: BTreeSet<GuestAt>,
    /// Guests under way, and where to.
    running: BTreeMap<GuestAt, NodeAt>,
    unit_of: Vec<u32>,
    trail: Vec<(UnitAt, NodeAt)>,
}

/// A place in the history of a board.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

const NO_UNIT: u32 = u32::MAX;
/// Share of the least time before which it does not matter when something arrives.
const EARLY: f64 = 0.9;

impl<'a> Board<'a> {
    /// As it is now, all that is asked for lifted.
    pub fn new(inst: &'a Instance, ties: &'a Ties, bound: f64, wishes: &Wishes) -> Self {
        let mut residents = vec![Vec::new(); inst.nodes.len()];
        for (at, guest) in inst.guests.iter().enumerate() {
            residents[guest.node].push(at);
        }
        let mut board = Self {
            inst,
            ties,
            load: Load::of(inst),
            units: Vec::new(),
            at: Vec::new(),
            asked: 0,
            keep: vec![0; inst.nodes.len()],
            inbound: vec![0.0; inst.nodes.len()],
            bound,
            fuel: i64::MAX,
            residents,
            settled: wishes.done.iter().copied().collect(),
            running: wishes.running.iter().copied().collect(),
            unit_of: vec![NO_UNIT; inst.guests.len()],
            trail: Vec::new(),
        };
        for guest in inst.leavers() {
            let under_way = board.running.contains_key(&guest);
            if board.unit_of[guest] == NO_UNIT && !under_way && board.movable(guest) {
                let unit = board.make(guest);
                board.lift(unit);
            }
        }
        // Who belongs to a guest under way goes after it, asked for or not: what is under way does not turn back.
        for guest in wishes.running.iter().flat_map(|(guest, _)| ties.bundle(inst, *guest)) {
            let under_way = board.running.contains_key(&guest);
            if board.unit_of[guest] == NO_UNIT && !under_way && board.movable(guest) {
                let unit = board.make(guest);
                board.lift(unit);
            }
        }
        board.asked = board.units.len();
        for (guest, to) in &wishes.running {
            let unit = board.make(*guest);
            board.set(unit, *to);
        }
        board.trail.clear();
        board
    }

    /// Can the guest move, with all that must go along? One that is to be shut down holds nobody back.
    fn movable(&self, guest: GuestAt) -> bool {
        let inst = self.inst;
        // Only on a node that shall be empty is anybody shut down.
        let stops = |at: GuestAt| {
            let same_node = inst.guests[at].node == inst.guests[guest].node;
            inst.guests[at].may_stop && inst.kind == Kind::Drain && inst.leaves(at) && same_node
        };
        let settled = |g: &GuestAt| self.settled.contains(g) && !inst.leaves(*g);
        inst.guests[guest].way != Way::No
            && self
                .ties
                .bundle(inst, guest)
                .iter()
                .all(|other| (inst.guests[*other].way != Way::No || stops(*other)) && !settled(other))
    }

    fn make(&mut self, guest: GuestAt) -> UnitAt {
        let inst = self.inst;
        let mut guests = self.ties.bundle(inst, guest);
        guests.retain(|g| inst.guests[*g].way != Way::No);
        // What is under way goes by itself; who belongs to it goes to the same node.
        let pinned = self.running.contains_key(&guest);
        let with = guests.iter().find_map(|g| self.running.get(g)).copied();
        guests.retain(|g| if pinned { *g == guest } else { !self.running.contains_key(g) });
        let asked = guests.iter().any(|g| inst.leaves(*g)) || with.is_some();
        let homeward = |g: &GuestAt, node: &NodeAt| {
            inst.kind == Kind::Drain || !inst.leaves(*g) || inst.guests[*g].home == Some(*node)
        };
        let goes: Vec<NodeAt> = (0..inst.nodes.len())
            .filter(|node| *node != inst.guests[guest].node)
            .filter(|node| inst.nodes[*node].role == Role::Open && with.is_none_or(|with| with == *node))
            .filter(|node| guests.iter().all(|g| self.load.never(*g, *node).is_none() && homeward(g, node)))
            .collect();
        let mut prefer = self.ties.others_of_split(inst, &guests);
        if prefer.is_empty() {
            prefer = guests.iter().flat_map(|g| inst.guests[*g].prefer.iter().copied()).collect();
        }
        prefer.retain(|node| goes.binary_search(node).is_ok());
        prefer.sort_unstable();
        prefer.dedup();
        let works: Vec<_> = guests.iter().map(|g| inst.work(&inst.guests[*g])).collect();
        let running = || guests.iter().map(|g| &inst.guests[*g]).filter(|g| g.running);
        let at = self.units.len();
        let unit = Unit {
            home: inst.guests[guest].node,
            memory: running().map(|g| g.memory).sum(),
            cpus: running().map(|g| i64::from(g.cpus) * 1000).sum(),
            asked,
            goes,
            prefer,
            bits: works.iter().map(|work| work.disk + work.memory).sum(),
            dirty: works.iter().map(|work| work.dirty).fold(0.0, f64::max),
            pinned,
            guests,
        };
        for g in &unit.guests {
            self.unit_of[*g] = at as u32;
        }
        self.at.push(unit.home);
        self.units.push(unit);
        at
    }

    /// Does `node` take the unit as things are?
    pub fn fits(&mut self, unit: UnitAt, node: NodeAt) -> bool {
        self.fuel -= 1;
        let u = &self.units[unit];
        if self.load.memory[node] - self.keep[node] < u.memory && u.memory > 0 {
            return false;
        }
        if (self.load.cpus[node] < u.cpus && u.cpus > 0) || u.goes.binary_search(&node).is_err() {
            return false;
        }
        if let [guest] = u.guests[..] {
            return self.load.refuses(self.ties, guest, node).is_none();
        }
        let guests = u.guests.clone();
        let was = self.at[unit];
        self.set(unit, NOWHERE);
        let mut put = 0;
        for guest in &guests {
            if self.load.refuses(self.ties, *guest, node).is_some() {
                break;
            }
            self.load.put(*guest, node);
            put += 1;
        }
        for guest in &guests[..put] {
            self.load.lift(*guest);
        }
        self.set(unit, was);
        put == guests.len()
    }

    /// Puts a unit down, wherever it was.
    pub fn put(&mut self, unit: UnitAt, node: NodeAt) {
        self.trail.push((unit, self.at[unit]));
        self.set(unit, node);
    }

    pub fn lift(&mut self, unit: UnitAt) {
        self.trail.push((unit, self.at[unit]));
        self.set(unit, NOWHERE);
    }

    fn set(&mut self, unit: UnitAt, node: NodeAt) {
        let was = self.at[unit];
        let u = &self.units[unit];
        if was != NOWHERE {
            if was != u.home {
                self.inbound[was] -= u.bits;
            }
            for guest in &u.guests {
                self.load.lift(*guest);
            }
        }
        if node != NOWHERE {
            if node != u.home {
                self.inbound[node] += u.bits;
            }
            for guest in &u.guests {
                self.load.put(*guest, node);
            }
        }
        self.at[unit] = node;
    }

    pub fn mark(&self) -> Mark {
        Mark(self.trail.len())
    }

    pub fn back_to(&mut self, mark: Mark) {
        while self.trail.len() > mark.0 {
            if let Some((unit, node)) = self.trail.pop() {
                self.set(unit, node);
            }
        }
    }

    /// Asked units that are nowhere.
    pub fn left(&self) -> Vec<UnitAt> {
        (0..self.asked).filter(|unit| self.at[*unit] == NOWHERE).collect()
    }

    /// Guests that are nowhere.
    pub fn left_guests(&self) -> usize {
        self.left().iter().map(|unit| self.units[*unit].guests.len()).sum()
    }

    /// Units on `node` that were asked for and put there.
    pub fn placed_on(&self, node: NodeAt) -> Vec<UnitAt> {
        (0..self.asked).filter(|unit| self.at[*unit] == node).collect()
    }

    /// Units that live on `node` and could go elsewhere; made as they are needed.
    pub fn residents_on(&mut self, node: NodeAt) -> Vec<UnitAt> {
        let mut units: Vec<UnitAt> = Vec::new();
        for i in 0..self.residents[node].len() {
            let guest = self.residents[node][i];
            if self.inst.leaves(guest) || !self.inst.guests[guest].running || !self.movable(guest) {
                continue;
            }
            let unit = match self.unit_of[guest] {
                NO_UNIT => self.make(guest),
                made => made as usize,
            };
            if self.at[unit] == node && !self.units[unit].asked && !units.contains(&unit) {
                units.push(unit);
            }
        }
        // Others that came to make room somewhere else.
        let came = (self.asked..self.units.len())
            .filter(|u| self.at[*u] == node && self.units[*u].home != node && !self.units[*u].pinned);
        units.extend(came.collect::<Vec<_>>());
        units
    }

    /// The unit of a guest, if it can move.
    pub fn unit(&mut self, guest: GuestAt) -> Option<UnitAt> {
        match self.unit_of[guest] {
            NO_UNIT if self.movable(guest) => Some(self.make(guest)),
            NO_UNIT => None,
            made => Some(made as usize).filter(|unit| !self.units[*unit].pinned),
        }
    }

    /// Use of memory of a node, 1 = full, with `more` MiB on it.
    pub fn pressure(&self, node: NodeAt, more: i64) -> f64 {
        let all = self.inst.nodes[node].memory.max(1);
        (all - self.load.memory[node] + more) as f64 / all as f64
    }

    /// When the unit would have arrived, and the node taken in all that is promised to it, as a share of the time that
    /// the whole takes at least; 0 while that is early enough not to matter.
    pub fn lateness(&self, unit: UnitAt, node: NodeAt) -> f64 {
        let u = &self.units[unit];
        if u.bits == 0.0 || self.bound <= 0.0 {
            return 0.0;
        }
        let nic = self.inst.nodes[node].nic;
        let rate = nic.min(self.inst.params.stream);
        let there = if self.at[unit] == node { 0.0 } else { u.bits };
        let late = ((self.inbound[node] + there) / nic).max(u.bits / gain(rate, u.dirty)) / self.bound;
        if late <= EARLY { 0.0 } else { late }
    }

    /// Seconds that the unit takes at best.
    pub fn secs(&self, unit: UnitAt) -> f64 {
        let u = &self.units[unit];
        u.bits / gain(self.inst.params.stream.min(self.inst.nodes[u.home].nic), u.dirty)
    }

    /// Everything as it is in `other`, which was made from this board.
    pub fn become_like(&mut self, at: &[NodeAt]) {
        for unit in 0..self.units.len() {
            let to = at.get(unit).copied().unwrap_or(self.units[unit].home);
            if self.at[unit] != to {
                self.set(unit, NOWHERE);
            }
        }
        for unit in 0..self.units.len() {
            let to = at.get(unit).copied().unwrap_or(self.units[unit].home);
            if self.at[unit] != to {
                self.set(unit, to);
            }
        }
        self.trail.clear();
    }
}
