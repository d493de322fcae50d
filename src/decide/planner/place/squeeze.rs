//! Finding a place for one more unit by sending others elsewhere: chains of one out, one in.
//!
//! Others that were asked for are moved first, because they move anyway; residents only where told so, since each of
//! them is a customer who is moved for somebody else's sake.

use super::super::instance::NodeAt;
use super::super::load::NOWHERE;
use super::board::{Board, UnitAt};
use super::greedy::{Fit, best};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Only those that move anyway.
    Asked,
    /// Residents, too.
    All,
}

/// Units tried as the one that goes, per node.
const TRIED_MAX: usize = 40;

/// Finds a place for a lifted unit, `depth` others in a chain at most. On failure nothing has changed.
pub fn squeeze(board: &mut Board, unit: UnitAt, whom: Whom, depth: usize) -> bool {
    if let Some(node) = best(board, unit, Fit::Tight) {
        board.put(unit, node);
        return true;
    }
    if depth == 0 || board.fuel <= 0 {
        return false;
    }
    for node in by_deficit(board, unit) {
        if board.fuel <= 0 {
            return false;
        }
        let several_first = piece_max(board, unit, node) < i64::MAX;
        if (several_first && several_go(board, unit, node, whom))
            || one_goes(board, unit, node, whom, depth)
            || (!several_first && several_go(board, unit, node, whom))
        {
            return true;
        }
    }
    false
}

/// Where the least is missing, first.
fn by_deficit(board: &Board, unit: UnitAt) -> Vec<NodeAt> {
    let u = &board.units[unit];
    let mut nodes: Vec<(i64, NodeAt)> =
        u.goes.iter().map(|node| (u.memory - board.load.memory[*node] + board.keep[*node], *node)).collect();
    nodes.sort_unstable();
    nodes.into_iter().map(|(_, node)| node).collect()
}

fn candidates(board: &mut Board, node: NodeAt, whom: Whom) -> Vec<UnitAt> {
    let mut units = board.placed_on(node);
    if whom == Whom::All {
        units.extend(board.residents_on(node));
    }
    units
}

/// One other goes, the smallest that is enough, and finds its own place, by a chain of its own if need be.
fn one_goes(board: &mut Board, unit: UnitAt, node: NodeAt, whom: Whom, depth: usize) -> bool {
    let mut others = candidates(board, node, whom);
    others.sort_by_key(|u| (!board.units[*u].asked, board.units[*u].memory, *u));
    let missing = board.units[unit].memory - board.load.memory[node] + board.keep[node];
    let mut tried = 0;
    for other in others {
        if board.units[other].memory < missing && missing > 0 {
            continue;
        }
        tried += 1;
        if tried > TRIED_MAX || board.fuel <= 0 {
            break;
        }
        let mark = board.mark();
        board.lift(other);
        if board.fits(unit, node) {
            board.put(unit, node);
            // A chain that leads in a circle would only swap the two for ever; smaller ones end it.
            let smaller = board.units[other].memory < board.units[unit].memory || depth > 1;
            let deeper = if smaller { depth - 1 } else { 0 };
            if squeeze(board, other, whom, deeper) {
                return true;
            }
        }
        board.back_to(mark);
    }
    false
}

/// Several go until the unit fits: few large ones, or, where the unit is late, several at a time.
fn several_go(board: &mut Board, unit: UnitAt, node: NodeAt, whom: Whom) -> bool {
    let mark = board.mark();
    let Some(apart) = kept_away_by(board, unit, node, whom) else { return false };
    for other in apart {
        if !goes_elsewhere(board, other, node) {
            board.back_to(mark);
            return false;
        }
    }
    let piece = piece_max(board, unit, node);
    let mut others = candidates(board, node, whom);
    others.sort_by_key(|u| (board.units[*u].memory, *u));
    while !board.fits(unit, node) {
        let missing = board.units[unit].memory - board.load.memory[node] + board.keep[node];
        if board.fuel <= 0 || missing <= 0 {
            break;
        }
        // The smallest that is enough; else the largest of those that are not too long under way; else the shortest.
        let pick = |asked: bool| {
            let size = |i: &usize| board.units[others[*i]].memory;
            let some = || (0..others.len()).filter(|i| board.units[others[*i]].asked == asked);
            let enough = some().filter(|i| size(i) >= missing && size(i) <= piece).min_by_key(size);
            enough
                .or_else(|| some().filter(|i| size(i) <= piece).max_by_key(size))
                .or_else(|| some().min_by_key(size))
        };
        let Some(i) = pick(true).or_else(|| pick(false)) else { break };
        let other = others.remove(i);
        if board.at[other] == node && other != unit {
            goes_elsewhere(board, other, node);
        }
    }
    if board.fits(unit, node) {
        board.put(unit, node);
        return true;
    }
    board.back_to(mark);
    false
}

/// Units on the node that strict rules keep the unit away from; `None`: one of them cannot go.
fn kept_away_by(board: &mut Board, unit: UnitAt, node: NodeAt, whom: Whom) -> Option<Vec<UnitAt>> {
    let guests = board.units[unit].guests.clone();
    let others = guests.iter().flat_map(|g| board.ties.apart(board.inst, *g));
    let there: Vec<_> = others.filter(|o| board.load.place[*o] == node).collect();
    let units = there.into_iter().map(|guest| board.unit(guest));
    let units: Option<Vec<UnitAt>> = units.collect();
    units.filter(|units| units.iter().all(|u| whom == Whom::All || board.units[*u].asked))
}

/// The largest that one of those should be that go for this unit, MiB. A unit that takes most of the time by itself must
/// not wait for one that takes as long again: what goes for it goes in pieces, side by side.
fn piece_max(board: &Board, unit: UnitAt, node: NodeAt) -> i64 {
    let spare = board.bound - board.secs(unit);
    if spare > 0.3 * board.bound {
        return i64::MAX;
    }
    let missing = board.units[unit].memory - board.load.memory[node] + board.keep[node];
    let streams = (board.inst.nodes[node].nic / board.inst.params.stream).ceil().max(1.0) as i64;
    (missing / streams).max(1)
}

fn goes_elsewhere(board: &mut Board, unit: UnitAt, not: NodeAt) -> bool {
    let mark = board.mark();
    board.lift(unit);
    match best_elsewhere(board, unit, not) {
        Some(to) => {
            board.put(unit, to);
            true
        }
        None => {
            board.back_to(mark);
            false
        }
    }
}

fn best_elsewhere(board: &mut Board, unit: UnitAt, not: NodeAt) -> Option<NodeAt> {
    let kept = board.keep[not];
    board.keep[not] = i64::MAX / 4;
    let memory = board.units[unit].memory;
    let found = if memory > 0 { best(board, unit, Fit::Tight) } else { None };
    board.keep[not] = kept;
    found.filter(|node| *node != not)
}

/// Sends those home that were moved for nothing.
pub fn send_home(board: &mut Board) {
    for unit in board.asked..board.units.len() {
        let home = board.units[unit].home;
        let at = board.at[unit];
        if at == home || at == NOWHERE || board.units[unit].pinned {
            continue;
        }
        board.lift(unit);
        // A resident's own node is none of the places it could go to, so ask the ledger.
        let guests = board.units[unit].guests.clone();
        let mut put = 0;
        for guest in &guests {
            if board.load.refuses(board.ties, *guest, home).is_some() {
                break;
            }
            board.load.put(*guest, home);
            put += 1;
        }
        for guest in &guests[..put] {
            board.load.lift(*guest);
        }
        let room =
            put == guests.len() && board.load.memory[home] - board.keep[home] >= board.units[unit].memory;
        board.put(unit, if room { home } else { at });
    }
}
