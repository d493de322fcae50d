//! N+1: if one more node were lost, could its HA guests start elsewhere?
//!
//! Worst fit and best fit, the largest first: HA itself does no better, so a yes here is worth something; a no may be
//! wrong and errs to the safe side.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::instance::{GuestAt, Instance, NodeAt};
use super::load::{Load, Ties};

/// HA guests of every node, the largest first: made once per placement.
#[derive(Clone, Debug)]
pub struct Wards {
    remaining: Vec<NodeAt>,
    /// Place of a node when the names are sorted: how ties are broken.
    rank: Vec<u32>,
    /// Guests that HA starts again, the largest first, by name where equal.
    order: Vec<GuestAt>,
}

impl Wards {
    pub fn of(inst: &Instance) -> Self {
        let mut names: Vec<NodeAt> = (0..inst.nodes.len()).collect();
        names.sort_by(|a, b| inst.nodes[*a].id.cmp(&inst.nodes[*b].id));
        let mut rank = vec![0; names.len()];
        for (place, node) in names.iter().enumerate() {
            rank[*node] = place as u32;
        }
        let mut order: Vec<GuestAt> =
            (0..inst.guests.len()).filter(|g| inst.guests[*g].ha && inst.guests[*g].running).collect();
        order.sort_by(|a, b| {
            let (x, y) = (&inst.guests[*a], &inst.guests[*b]);
            y.memory.cmp(&x.memory).then_with(|| x.id.cmp(&y.id))
        });
        Self { remaining: inst.remaining().collect(), rank, order }
    }

    /// Remaining nodes whose loss could not be absorbed.
    pub fn fails(&self, load: &Load, ties: &Ties) -> Vec<NodeAt> {
        let mut lost: Vec<Vec<GuestAt>> = vec![Vec::new(); load.inst.nodes.len()];
        for guest in &self.order {
            if let Some(there) = lost.get_mut(load.place[*guest]) {
                there.push(*guest);
            }
        }
        let free = |node: &NodeAt| load.memory[*node].max(0);
        let total: i64 = self.remaining.iter().map(free).sum();
        let mut found = Finder::new(self, load, ties);
        let mut fails = Vec::new();
        for node in &self.remaining {
            let sum: i64 = lost[*node].iter().map(|g| load.inst.guests[*g].memory).sum();
            let fits = lost[*node].is_empty()
                || (sum <= total - free(node)
                    && (found.worst_fit(*node, &lost[*node]) || found.best_fit(*node, &lost[*node])));
            if !fits {
                fails.push(*node);
            }
        }
        fails
    }

    /// Guests of a lost node that would find no place, by whichever of the two ways leaves fewer.
    pub fn homeless(&self, load: &Load, ties: &Ties, lost: NodeAt) -> Vec<GuestAt> {
        let there: Vec<GuestAt> = self.order.iter().copied().filter(|g| load.place[*g] == lost).collect();
        let mut finder = Finder::new(self, load, ties);
        let mut least = there.clone();
        for fit in [Finder::worst_fit, Finder::best_fit] {
            let (mut tried, mut without) = (there.clone(), Vec::new());
            // Whoever does not fit is left out, and the others are tried again.
            while !fit(&mut finder, lost, &tried) {
                let Some(largest) = (0..tried.len()).find(|n| !fit(&mut finder, lost, &tried[..=*n])) else {
                    break;
                };
                without.push(tried.remove(largest));
            }
            if without.len() < least.len() {
                least = without;
            }
        }
        least.sort_unstable();
        least
    }
}

struct Finder<'a> {
    wards: &'a Wards,
    load: &'a Load<'a>,
    ties: &'a Ties,
    /// Where guests would start, in this attempt.
    extra: Vec<(GuestAt, NodeAt)>,
    heap: BinaryHeap<Roomy>,
    skipped: Vec<Roomy>,
}

/// A node in the order in which worst fit asks: most memory first, then by name.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Roomy {
    free: i64,
    rank: u32,
    node: NodeAt,
}

impl Ord for Roomy {
    fn cmp(&self, other: &Self) -> Ordering {
        self.free.cmp(&other.free).then(other.rank.cmp(&self.rank))
    }
}

impl PartialOrd for Roomy {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<'a> Finder<'a> {
    fn new(wards: &'a Wards, load: &'a Load<'a>, ties: &'a Ties) -> Self {
        Self { wards, load, ties, extra: Vec::new(), heap: BinaryHeap::new(), skipped: Vec::new() }
    }

    fn roomy(&self, node: NodeAt) -> Roomy {
        Roomy { free: self.load.memory[node], rank: self.wards.rank[node], node }
    }

    fn others(&self, lost: NodeAt) -> impl Iterator<Item = NodeAt> + 'a {
        let remaining = &self.wards.remaining;
        remaining.iter().copied().filter(move |node| *node != lost)
    }

    fn worst_fit(&mut self, node: NodeAt, lost: &[GuestAt]) -> bool {
        self.extra.clear();
        let all: Vec<Roomy> = self.others(node).map(|n| self.roomy(n)).collect();
        self.heap = BinaryHeap::from(all);
        for guest in lost {
            let need = self.load.inst.guests[*guest].memory;
            let mut done = false;
            self.skipped.clear();
            while let Some(top) = self.heap.pop() {
                if top.free < need {
                    self.skipped.push(top);
                    break;
                }
                if self.takes(*guest, top.node) {
                    self.heap.push(Roomy { free: top.free - need, ..top });
                    self.started(*guest, top.node);
                    done = true;
                    break;
                }
                self.skipped.push(top);
            }
            self.heap.extend(self.skipped.drain(..));
            if !done {
                return false;
            }
        }
        true
    }

    fn best_fit(&mut self, node: NodeAt, lost: &[GuestAt]) -> bool {
        self.extra.clear();
        let mut all: Vec<Roomy> = self.others(node).map(|n| self.roomy(n)).collect();
        for guest in lost {
            let need = self.load.inst.guests[*guest].memory;
            let best = (0..all.len())
                .filter(|i| all[*i].free >= need && self.takes(*guest, all[*i].node))
                .min_by_key(|i| (all[*i].free, all[*i].rank));
            let Some(best) = best else { return false };
            all[best].free -= need;
            self.started(*guest, all[best].node);
        }
        true
    }

    fn started(&mut self, guest: GuestAt, node: NodeAt) {
        if self.ties.apart(self.load.inst, guest).next().is_some() {
            self.extra.push((guest, node));
        }
    }

    fn takes(&self, guest: GuestAt, node: NodeAt) -> bool {
        let g = &self.load.inst.guests[guest];
        g.restarts.as_ref().is_none_or(|nodes| nodes.binary_search(&node).is_ok())
            && self.load.has_device(guest, node)
            && !self
                .ties
                .apart(self.load.inst, guest)
                .any(|other| self.load.place[other] == node || self.extra.contains(&(other, node)))
    }
}
