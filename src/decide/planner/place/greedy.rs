//! The first placement: the most wanting first, each to the emptiest node or into the tightest hole.

use super::super::instance::NodeAt;
use super::super::load::NOWHERE;
use super::board::{Board, UnitAt};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// To the node whose memory is used least: evens out.
    Even,
    /// Into the smallest hole that is large enough: keeps the large holes.
    Tight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Largest,
    /// Leaves the fewest behind where not all fit.
    Smallest,
    /// Those with the fewest nodes to go to, then the largest.
    Choosy,
}

/// The order in which units are placed.
pub fn order(board: &Board, mut units: Vec<UnitAt>, by: Order) -> Vec<UnitAt> {
    let need = |u: &UnitAt| {
        let unit = &board.units[*u];
        (unit.memory, unit.cpus)
    };
    match by {
        Order::Largest => units.sort_by_key(|u| (std::cmp::Reverse(need(u)), *u)),
        Order::Smallest => units.sort_by_key(|u| (need(u), *u)),
        Order::Choosy => units.sort_by_key(|u| {
            let few = board.units[*u].goes.len();
            (few, std::cmp::Reverse(need(u)), *u)
        }),
    }
    units
}

/// Places what is left, in this order; what finds no place stays lifted.
pub fn greedy(board: &mut Board, order: &[UnitAt], fit: Fit) {
    for unit in order {
        if board.at[*unit] == NOWHERE
            && let Some(node) = best(board, *unit, fit)
        {
            board.put(*unit, node);
        }
    }
}

/// The best node that takes the unit now: not one that would finish last, one that it would rather go to, then by fit.
pub fn best(board: &mut Board, unit: UnitAt, fit: Fit) -> Option<NodeAt> {
    let memory = board.units[unit].memory;
    let mut found: Option<((f64, bool, f64), NodeAt)> = None;
    for i in 0..board.units[unit].goes.len() {
        let node = board.units[unit].goes[i];
        let even = board.pressure(node, memory);
        let liked = &board.units[unit].prefer;
        let strange = !liked.is_empty() && liked.binary_search(&node).is_err();
        let score = match fit {
            Fit::Even => even,
            Fit::Tight => (board.load.memory[node] - board.keep[node] - memory) as f64,
        };
        let rank = (board.lateness(unit, node), strange, score);
        if found.as_ref().is_none_or(|(least, _)| less(&rank, least)) && board.fits(unit, node) {
            found = Some((rank, node));
        }
    }
    found.map(|(_, node)| node)
}

fn less(a: &(f64, bool, f64), b: &(f64, bool, f64)) -> bool {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.total_cmp(&b.2)).is_lt()
}
