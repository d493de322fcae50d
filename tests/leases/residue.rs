//! What no lease can prevent: an instance asks, is stopped before what it sends has left it, and goes on when another leads.
//! The checker finds the ghost. What it also finds is that the ghost is all: nothing is done twice, nothing is written, no debt
//! is forgotten by whoever has watched for long enough, and everything still gets done.

use super::explore::explore;
use super::holds::{PROMISES, goes_on, way_to};
use super::rules::{Clocks, Hardships, PROTOCOL, Rules};
use super::world::Broken;

/// Shorter than elsewhere: patience makes many states.
const TTL: i8 = 2;

/// Longer than a lease lasts.
const STOPPED: u8 = TTL.unsigned_abs() + 1;

/// Whoever was stopped has sent, and its call has ended.
const PATIENCE: u8 = STOPPED + PROTOCOL.call.unsigned_abs();

const STOPS: Rules = Rules {
    hardships: Hardships { stops_before_sending: Some(STOPPED), ..PROTOCOL.hardships },
    ttl: TTL,
    ..PROTOCOL
};

#[test]
fn who_is_stopped_between_asking_and_sending_is_a_ghost() {
    assert!(way_to(STOPS, Broken::Ghost).is_some());
}

#[test]
fn a_ghost_finds_its_debt_forgotten_where_nobody_watched() {
    assert!(way_to(STOPS, Broken::DebtForgotten).is_some());
}

/// Patience only with what was never seen is not enough: the next holder takes it, gives it back, and sees it gone.
#[test]
fn a_ghost_finds_its_debt_forgotten_where_it_was_paid_once() {
    assert!(way_to(Rules { patience: PATIENCE, ..STOPS }, Broken::DebtForgotten).is_some());
}

#[test]
fn a_ghost_is_all() {
    let rules = Rules { patience: PATIENCE, seen_is_paid: false, ..STOPS };
    let but_ghosts: Vec<Broken> = PROMISES.into_iter().filter(|broken| *broken != Broken::Ghost).collect();
    let all = explore(rules, &but_ghosts);
    println!("{} states, {} moves, {} deep", all.states.len(), all.edges.len(), all.depth);
    if let Some((broken, at)) = all.found {
        panic!("{broken:?} after {:#?}", all.way(at));
    }
    goes_on(&all);
}

/// A virtual machine that is paused, and not told of it afterwards.
#[test]
fn two_clocks_that_deceive_in_one_lease_make_a_ghost() {
    let hardships = Hardships { set: true, both_at_once: true, ..PROTOCOL.hardships };
    assert!(way_to(Rules { ttl: TTL, reads: Clocks::Both, hardships, ..PROTOCOL }, Broken::Ghost).is_some());
}
