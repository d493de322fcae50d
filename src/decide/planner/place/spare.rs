//! Room for one more loss: where even spreading leaves no hole that is large enough, some nodes keep theirs.
//!
//! Holes first: the guests that come go to the other nodes, evenly. Then single moves, judged by the whole question.
//! Residents move only where N+1 is required and nothing else helps.

use super::super::absorb::Wards;
use super::super::instance::{NPlusOne, NodeAt};
use super::super::load::NOWHERE;
use super::board::{Board, UnitAt};
use super::greedy::{Fit, Order, greedy, order};

/// Nodes that keep a hole, at most.
const HOLES_MAX: usize = 16;

/// Improves N+1 without leaving anybody behind; `true`: the loss of any node can be absorbed.
pub fn spare(board: &mut Board, wards: &Wards, asked: NPlusOne) -> bool {
    let fails = |board: &Board| wards.fails(&board.load, board.ties);
    let mut failing = fails(board);
    if failing.is_empty() {
        return true;
    }
    let mut best = (failing.len(), board.at.clone());
    let behind = board.left_guests();
    for size in hole_sizes(board, &failing) {
        for holes in 1..=HOLES_MAX.min(board.keep.len()) {
            if board.fuel <= 0 {
                break;
            }
            keep_holes(board, holes, size);
            if board.left_guests() <= behind {
                let now = fails(board).len();
                if now < best.0 {
                    best = (now, board.at.clone());
                }
                if now == 0 {
                    board.keep.fill(0);
                    return true;
                }
            }
        }
    }
    board.keep.fill(0);
    board.become_like(&best.1);
    failing = fails(board);
    by_moves(board, wards, &mut failing, false);
    if !failing.is_empty() && asked == NPlusOne::Required {
        by_moves(board, wards, &mut failing, true);
    }
    failing.is_empty()
}

/// Sizes of holes worth keeping, MiB: the largest that have to fit when a failing node is lost.
fn hole_sizes(board: &Board, failing: &[NodeAt]) -> Vec<i64> {
    let guests = board.inst.guests.iter().enumerate();
    let mut sizes: Vec<i64> = guests
        .filter(|(at, g)| g.ha && g.running && failing.contains(&board.load.place[*at]))
        .map(|(_, g)| g.memory)
        .collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.dedup();
    sizes.truncate(3);
    sizes
}

/// Places all anew, so that the `holes` emptiest nodes keep `size` MiB.
fn keep_holes(board: &mut Board, holes: usize, size: i64) {
    let all: Vec<UnitAt> = (0..board.asked).collect();
    for unit in &all {
        if board.at[*unit] != NOWHERE {
            board.lift(*unit);
        }
    }
    board.keep.fill(0);
    let mut nodes: Vec<NodeAt> = board.inst.remaining().collect();
    nodes.sort_by_key(|n| (std::cmp::Reverse(board.load.memory[*n]), *n));
    for node in nodes.into_iter().take(holes) {
        board.keep[node] = size.min(board.load.memory[node]).max(0);
    }
    let largest = order(board, all, Order::Largest);
    let mark = board.mark();
    greedy(board, &largest, Fit::Even);
    if !board.left().is_empty() {
        board.back_to(mark);
        greedy(board, &largest, Fit::Tight);
    }
}

/// One unit at a time goes where fewer losses hurt; the smaller harm decides, then balance.
fn by_moves(board: &mut Board, wards: &Wards, failing: &mut Vec<NodeAt>, residents: bool) {
    /// Whole questions asked: each costs as much as planning a small cluster.
    const ASKED_MAX: usize = 400;
    let mut asked = 0;
    while !failing.is_empty() {
        let mut units: Vec<UnitAt> = (0..board.asked).filter(|u| board.at[*u] != NOWHERE).collect();
        if residents {
            let nodes: Vec<NodeAt> = board.inst.remaining().collect();
            for node in nodes {
                units.extend(board.residents_on(node));
            }
        }
        units.retain(|u| board.units[*u].memory > 0);
        units.sort_by_key(|u| (!board.units[*u].asked, std::cmp::Reverse(board.units[*u].memory), *u));
        if !one_move(board, wards, failing, &units, &mut asked, ASKED_MAX) {
            return;
        }
    }
}

fn one_move(
    board: &mut Board,
    wards: &Wards,
    failing: &mut Vec<NodeAt>,
    units: &[UnitAt],
    asked: &mut usize,
    most: usize,
) -> bool {
    for unit in units {
        let mut nodes = board.units[*unit].goes.clone();
        nodes.sort_by(|a, b| board.pressure(*a, 0).total_cmp(&board.pressure(*b, 0)).then(a.cmp(b)));
        let from = board.at[*unit];
        for node in nodes.into_iter().filter(|n| *n != from) {
            if *asked >= most || board.fuel <= 0 {
                return false;
            }
            if !board.fits(*unit, node) {
                continue;
            }
            let mark = board.mark();
            board.put(*unit, node);
            *asked += 1;
            let now = wards.fails(&board.load, board.ties);
            if now.len() < failing.len() {
                *failing = now;
                return true;
            }
            board.back_to(mark);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::super::load::Ties;
    use super::super::super::tests::{cluster, guest, quick};
    use super::*;

    #[test]
    fn a_hole_is_as_large_as_the_largest_that_a_loss_would_send_there() {
        let all = [10, 50, 20, 30, 50, 40].map(|gib| guest("g", 1, gib * 1000));
        let mut inst = cluster(3, all.to_vec());
        inst.guests[3].ha = false;
        inst.guests[5].node = 2;
        let ties = Ties::of(&inst);
        let board = Board::new(&inst, &ties, 0.0, &quick());
        assert_eq!(hole_sizes(&board, &[1]), [50_000, 20_000, 10_000]);
        assert_eq!(hole_sizes(&board, &[1, 2]), [50_000, 40_000, 20_000]);
    }
}
