//! Tight packings: node after node is filled with what wastes least, all combinations if need be, until the fuel is out.
//!
//! A node is only left when nothing that is still to be placed would fit: a guest that fits here and goes elsewhere could
//! as well be here. Together with the sum that may be wasted in all, that prunes enough for what greedy cannot do.

use super::super::instance::NodeAt;
use super::super::load::NOWHERE;
use super::board::{Board, UnitAt};

/// More than these are not searched: greedy and chains serve them better.
const UNITS_MAX: usize = 96;
const NODES_MAX: usize = 48;

struct Search<'b, 'a> {
    board: &'b mut Board<'a>,
    /// Largest first.
    units: Vec<UnitAt>,
    /// The next unit that is just like this one.
    twin: Vec<bool>,
    nodes: Vec<NodeAt>,
    /// Sum of memory from each unit on.
    rest: Vec<i64>,
    /// What one node may waste, MiB.
    cap: i64,
}

/// Places all asked units, or none more than before. Only memory makes packings tight; units without follow easily.
pub fn exact(board: &mut Board) -> bool {
    let all: Vec<UnitAt> = (0..board.asked).collect();
    let mut units: Vec<UnitAt> = all.iter().copied().filter(|u| board.units[*u].memory > 0).collect();
    let mut nodes: Vec<NodeAt> = units.iter().flat_map(|u| board.units[*u].goes.clone()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    if units.len() > UNITS_MAX || nodes.len() > NODES_MAX {
        return false;
    }
    let before = board.at.clone();
    let mark = board.mark();
    for unit in &all {
        if board.at[*unit] != NOWHERE {
            board.lift(*unit);
        }
    }
    units.sort_by_key(|u| (std::cmp::Reverse(board.units[*u].memory), *u));
    let free = |board: &Board, node: &NodeAt| (board.load.memory[*node] - board.keep[*node]).max(0);
    nodes.sort_by_key(|node| (free(board, node), *node));
    let wanted: i64 = units.iter().map(|u| board.units[*u].memory).sum();
    let waste = nodes.iter().map(|node| free(board, node)).sum::<i64>() - wanted;
    // One that fits nowhere even now never will: the search could only prove it the long way.
    let hopeless = (0..all.len()).any(|u| !nodes.iter().any(|node| board.fits(u, *node)) && !light(board, u));
    if waste < 0 || hopeless {
        board.back_to(mark);
        return false;
    }
    let mut rest: Vec<i64> = units.iter().rev().fold(vec![0], |mut sums, u| {
        sums.push(sums.last().copied().unwrap_or(0) + board.units[*u].memory);
        sums
    });
    rest.reverse();
    let twin = units.windows(2).map(|pair| alike(board, pair[0], pair[1])).chain([false]).collect();
    let mut search = Search { board, units, twin, nodes, rest, cap: 0 };
    let found = search.ever_looser(waste);
    let board = search.board;
    if found && place_the_light(board, &all) {
        return true;
    }
    board.become_like(&before);
    false
}

/// Without memory it goes to nodes that the search does not look at.
fn light(board: &Board, unit: UnitAt) -> bool {
    board.units[unit].memory == 0
}

fn place_the_light(board: &mut Board, all: &[UnitAt]) -> bool {
    super::greedy::greedy(board, all, super::greedy::Fit::Even);
    board.left().is_empty()
}

/// Would one do as well as the other everywhere?
fn alike(board: &Board, a: UnitAt, b: UnitAt) -> bool {
    let (a, b) = (&board.units[a], &board.units[b]);
    let plain = |guests: &[usize]| {
        guests.len() == 1 && board.ties.apart(board.inst, guests[0]).next().is_none() && {
            let guest = &board.inst.guests[guests[0]];
            guest.devices.is_empty() && guest.disks.iter().all(|(st, _)| board.inst.storages[*st].shared)
        }
    };
    a.memory == b.memory && a.cpus == b.cpus && a.goes == b.goes && plain(&a.guests) && plain(&b.guests)
}

impl Search<'_, '_> {
    /// First with what may be wasted shared out evenly, then with more and more of it on one node: a node that is filled
    /// badly early spoils all that comes after it.
    fn ever_looser(&mut self, waste: i64) -> bool {
        let fuel = self.board.fuel;
        let evenly = waste / self.nodes.len().max(1) as i64;
        let mark = self.board.mark();
        let caps = [evenly, 2 * evenly + 1, 4 * evenly + 3, 8 * evenly + 7, waste];
        self.board.fuel = 0;
        for cap in caps {
            self.cap = cap;
            // The smallest holes first, then the largest: either may be the ones with little choice.
            for _ in 0..2 {
                // What one round leaves is the next one's.
                self.board.fuel += fuel / 10;
                if self.node(0, waste) {
                    return true;
                }
                self.board.back_to(mark);
                self.nodes.reverse();
            }
        }
        false
    }

    fn node(&mut self, at: usize, waste: i64) -> bool {
        if self.units.iter().all(|u| self.board.at[*u] != NOWHERE) {
            return true;
        }
        match self.nodes.get(at) {
            Some(node) => self.fill(at, *node, 0, waste),
            None => false,
        }
    }

    /// Adds units from `from` on to the node, then goes to the next one.
    fn fill(&mut self, at: usize, node: NodeAt, from: usize, waste: i64) -> bool {
        let room = self.board.load.memory[node] - self.board.keep[node];
        // Even all that is smaller would leave too much unused here.
        if room - self.rest[from] > waste.min(self.cap) {
            return false;
        }
        let mut skip_twins = false;
        for i in from..self.units.len() {
            let unit = self.units[i];
            let skip = std::mem::replace(&mut skip_twins, false);
            if self.board.at[unit] != NOWHERE {
                skip_twins = skip && self.twin[i];
                continue;
            }
            if skip {
                skip_twins = self.twin[i];
                continue;
            }
            if self.board.fuel <= 0 {
                return false;
            }
            if self.board.units[unit].memory <= room && self.board.fits(unit, node) {
                let mark = self.board.mark();
                self.board.put(unit, node);
                if self.fill(at, node, i + 1, waste) {
                    return true;
                }
                self.board.back_to(mark);
                skip_twins = self.twin[i];
            }
        }
        let fuller = (0..self.units.len()).any(|i| {
            let unit = self.units[i];
            self.board.at[unit] == NOWHERE && self.board.fits(unit, node)
        });
        !fuller && room.max(0) <= waste.min(self.cap) && self.node(at + 1, waste - room.max(0))
    }
}
