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

use super::absorb::Wards;
use super::instance::{Instance, NPlusOne};
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
const FUEL_CHAINS: i64 = 1_500_000;
const FUEL_EXACT: i64 = 20_000_000;
const FUEL_ROOM: i64 = 6_000_000;
const FUEL_SPARE: i64 = 4_000_000;
const FUEL_SPREAD: i64 = 1_000_000;

/// Chains of one out, one in: longer ones cost much and find little.
const CHAIN_MAX: usize = 3;

/// Places all that can be placed. What stays behind is nowhere on the board.
pub fn place<'a>(inst: &'a Instance, ties: &'a Ties, bound: f64, wards: &Wards) -> Board<'a> {
    let mut board = Board::new(inst, ties, bound);
    simple(&mut board);
    if !board.left().is_empty() {
        chains(&mut board, Whom::Asked, FUEL_CHAINS);
    }
    if !board.left().is_empty() {
        board.fuel = FUEL_EXACT;
        exact(&mut board);
    }
    if !board.left().is_empty() {
        chains(&mut board, Whom::All, FUEL_ROOM);
        send_home(&mut board);
    }
    board.fuel = FUEL_SPREAD;
    spread(&mut board);
    if inst.params.n_plus_one != NPlusOne::Off {
        board.fuel = FUEL_SPARE;
        let safe = spare(&mut board, wards, inst.params.n_plus_one);
        if !safe && inst.params.n_plus_one == NPlusOne::Required {
            leave_for_safety(&mut board, wards);
        }
    }
    board.keep.fill(0);
    board
}

/// The first attempts; the one that leaves fewest behind stays.
fn simple(board: &mut Board) {
    let all: Vec<UnitAt> = (0..board.asked).collect();
    let mut best: Option<(usize, Vec<usize>)> = None;
    let attempts = [
        (Order::LargestFirst, Fit::Even),
        (Order::ChoosyFirst, Fit::Even),
        (Order::LargestFirst, Fit::Tight),
        (Order::ChoosyFirst, Fit::Tight),
        (Order::SmallestFirst, Fit::Tight),
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
        for unit in order(board, left, Order::LargestFirst) {
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

/// N+1 is required and cannot be had with everybody: those stay behind whose going hurts most.
fn leave_for_safety(board: &mut Board, wards: &Wards) {
    let placed: Vec<UnitAt> = (0..board.asked).filter(|u| board.at[*u] != NOWHERE).collect();
    let fails = |board: &Board| wards.fails(&board.load, board.ties).len();
    let with_all = fails(board);
    let mark = board.mark();
    for unit in &placed {
        board.lift(*unit);
    }
    let least = fails(board);
    board.back_to(mark);
    if least >= with_all {
        // Nobody who stays would make it better: it was so before.
        return;
    }
    for unit in order(board, placed, Order::LargestFirst) {
        if fails(board) <= least {
            break;
        }
        board.lift(unit);
    }
    // Some may go after all, now that the large ones stay.
    for unit in order(board, board.left(), Order::SmallestFirst) {
        for node in board.units[unit].goes.clone() {
            if board.fits(unit, node) {
                let mark = board.mark();
                board.put(unit, node);
                if fails(board) <= least {
                    break;
                }
                board.back_to(mark);
            }
        }
    }
}
