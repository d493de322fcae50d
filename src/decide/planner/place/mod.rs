//! Where everybody goes. Hard rules always; then fewest left behind, N+1, the node empty early, balance, few moves.
//!
//! First the simple way, which is enough for most clusters. Only what it leaves behind is searched for: among those that
//! move anyway, then exactly, and last by moving residents. Every search has fuel, so that it ends, and counts questions
//! and not seconds, so that the same cluster gives the same plan on every machine.

mod board;
mod exact;
mod exchange;
mod greedy;
mod spare;
mod spread;
mod squeeze;

use super::Wishes;
use super::absorb::Wards;
use super::instance::{GuestAt, Instance, NPlusOne, NodeAt};
use super::load::{NOWHERE, Ties};

pub use board::{Board, UnitAt};
pub use greedy::{Fit, best};
pub use spread::imbalance;

use exact::exact;
use exchange::exchange;
use greedy::{Order, greedy, order};
use spare::spare;
use spread::spread;
use squeeze::{Whom, send_home, squeeze};

/// Questions ("does it fit there?") for each of the searches. A million take some ten milliseconds.
const FUEL_CHAINS: u64 = 1_500_000;
const FUEL_EXACT: u64 = 20_000_000;
const FUEL_ROOM: u64 = 6_000_000;
const FUEL_SPARE: u64 = 4_000_000;
const FUEL_SPREAD: u64 = 1_000_000;

/// Chains of one out, one in: longer ones cost much and find little.
const CHAIN_MAX: usize = 3;

/// Places all that can be placed. What stays behind is nowhere on the board.
pub fn place<'a>(
    inst: &'a Instance,
    ties: &'a Ties,
    bound: f64,
    wards: &Wards,
    wishes: &Wishes,
) -> Board<'a> {
    let fuel = |budget: u64| wishes.effort.of(budget) as i64;
    let mut board = Board::new(inst, ties, bound, wishes);
    keep_promises(&mut board, &wishes.keep);
    simple(&mut board);
    if !board.left().is_empty() {
        chains(&mut board, Whom::Asked, fuel(FUEL_CHAINS));
    }
    if !board.left().is_empty() {
        board.fuel = fuel(FUEL_EXACT);
        exact(&mut board);
    }
    if !board.left().is_empty() {
        chains(&mut board, Whom::All, fuel(FUEL_ROOM));
        send_home(&mut board);
    }
    // What was promised stays where it was promised: evening out is no reason to break a word.
    if wishes.keep.is_empty() {
        board.fuel = fuel(FUEL_SPREAD);
        spread(&mut board, &mut |_| false);
    }
    if inst.params.n_plus_one != NPlusOne::Off && !wards.fails(&board.load, board.ties).is_empty() {
        board.fuel = fuel(FUEL_SPARE);
        let safe = spare(&mut board, wards, inst.params.n_plus_one);
        if !safe && inst.params.n_plus_one == NPlusOne::Required {
            leave_for_safety(&mut board, wards);
        }
        board.fuel = fuel(FUEL_SPREAD);
        spread_safely(&mut board, wards);
    }
    board
}

/// Guests go where an earlier plan said, as far as that still works. Those that make room first, and again as long as one
/// makes room for the next.
fn keep_promises(board: &mut Board, keep: &[(GuestAt, NodeAt)]) {
    let inst = board.inst;
    let (asked, others): (Vec<_>, Vec<_>) = keep.iter().copied().partition(|(guest, _)| inst.leaves(*guest));
    let mut waiting: Vec<(GuestAt, NodeAt)> = others.into_iter().chain(asked).collect();
    loop {
        let before = waiting.len();
        waiting.retain(|(guest, to)| {
            let Some(unit) = board.unit(*guest) else { return false };
            if board.at[unit] != *to && !board.fits(unit, *to) {
                return true;
            }
            board.put(unit, *to);
            false
        });
        if waiting.len() == before {
            return;
        }
    }
}

/// The first attempts; the one that leaves fewest behind stays.
fn simple(board: &mut Board) {
    let all: Vec<UnitAt> = board.left();
    let mut best: Option<(usize, Vec<usize>)> = None;
    let attempts = [
        (Order::Largest, Fit::Even),
        (Order::Choosy, Fit::Even),
        (Order::Largest, Fit::Tight),
        (Order::Choosy, Fit::Tight),
        (Order::Smallest, Fit::Tight),
    ];
    let mark = board.mark();
    for (by, fit) in attempts {
        board.back_to(mark);
        let ordered = order(board, all.clone(), by);
        greedy(board, &ordered, fit);
        let behind = board.left_guests();
        if best.as_ref().is_none_or(|(least, _)| behind < *least) {
            best = Some((behind, board.at.clone()));
        }
        if behind == 0 {
            break;
        }
    }
    if let Some((_, at)) = best {
        board.become_like(&at);
    }
}

/// Chains for each one left, the largest first, as long as that helps; then one large for several small.
fn chains(board: &mut Board, whom: Whom, fuel: i64) {
    board.fuel = fuel;
    for depth in 1..=CHAIN_MAX {
        let left = board.left();
        for unit in order(board, left, Order::Largest) {
            // No single one may burn what the others need.
            board.fuel = board.fuel.min(fuel);
            squeeze(board, unit, whom, depth);
        }
        if board.left().is_empty() || board.fuel <= 0 {
            break;
        }
    }
    board.fuel = board.fuel.max(fuel / 4);
    exchange(board, whom);
}

/// Evens out what keeping holes made uneven, as far as no loss becomes harder to absorb.
fn spread_safely(board: &mut Board, wards: &Wards) {
    /// Whole questions: on a large cluster each costs a millisecond.
    const ASKED_MAX: usize = 300;
    let fails = |board: &Board| wards.fails(&board.load, board.ties).len();
    let least = fails(board);
    let mut asked = 0;
    spread(board, &mut |board| {
        asked += 1;
        asked > ASKED_MAX || fails(board) > least
    });
}

/// N+1 is required and cannot be had with everybody: as many go as it bears, tried in two orders.
fn leave_for_safety(board: &mut Board, wards: &Wards) {
    let placed: Vec<UnitAt> = (0..board.asked).filter(|u| board.at[*u] != NOWHERE).collect();
    let with_all = wards.fails(&board.load, board.ties).len();
    let before = board.at.clone();
    for unit in &placed {
        board.lift(*unit);
    }
    send_home(board);
    let least = wards.fails(&board.load, board.ties).len();
    if least >= with_all {
        // Nobody who stays would make it better: it was so before.
        board.become_like(&before);
        return;
    }
    let mark = board.mark();
    let mut best: Option<(usize, Vec<usize>)> = None;
    for by in [Order::Largest, Order::Smallest] {
        board.back_to(mark);
        let all: Vec<UnitAt> = (0..board.asked).collect();
        for unit in order(board, all, by) {
            place_safely(board, wards, unit, least);
        }
        let behind = board.left_guests();
        if best.as_ref().is_none_or(|(fewest, _)| behind < *fewest) {
            best = Some((behind, board.at.clone()));
        }
    }
    if let Some((_, at)) = best {
        board.become_like(&at);
    }
}

/// To the emptiest node with which no further loss becomes unbearable; else it stays.
fn place_safely(board: &mut Board, wards: &Wards, unit: UnitAt, least: usize) {
    /// Nodes tried: where the emptiest ones do not bear it, the others hardly do.
    const TRIED_MAX: usize = 12;
    let mut nodes = board.units[unit].goes.clone();
    nodes.sort_by(|a, b| board.pressure(*a, 0).total_cmp(&board.pressure(*b, 0)).then(a.cmp(b)));
    nodes.retain(|node| board.fits(unit, *node));
    for node in nodes.into_iter().take(TRIED_MAX) {
        let mark = board.mark();
        board.put(unit, node);
        if wards.fails(&board.load, board.ties).len() <= least {
            return;
        }
        board.back_to(mark);
    }
}

#[cfg(test)]
mod tests;
