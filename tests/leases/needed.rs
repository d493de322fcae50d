//! No rule is one too many: without it the checker finds the broken promise, by a shortest way, which is printed. Each of
//! these worlds, with the rule, is among those of `holds`.

use super::holds::{TTL_OF_MANY_STATES, way_to};
use super::rules::{Clocks, Hardships, Lasts, PROTOCOL, Rules};
use super::world::Broken;

fn breaks(rules: Rules, broken: Broken) {
    let way =
        way_to(rules, broken).unwrap_or_else(|| panic!("{broken:?} is not found: the rule is not needed"));
    assert!(way.len() > 3, "nobody can have led before so few moves: {way:?}");
}

const SLOW: Hardships = Hardships { slow: true, ..PROTOCOL.hardships };
const SET: Hardships = Hardships { set: true, ..PROTOCOL.hardships };
const LATE: Hardships = Hardships { late: true, ..PROTOCOL.hardships };

#[test]
fn without_asking_for_the_lease_before_each_call_there_are_ghosts() {
    breaks(Rules { steps_expire: false, ..PROTOCOL }, Broken::Ghost);
}

#[test]
fn without_the_fence_a_past_holder_writes() {
    breaks(Rules { fenced: false, ..PROTOCOL }, Broken::PastHolderWrote);
}

#[test]
fn counted_from_the_answer_two_lead() {
    breaks(Rules { counts_from_sending: false, ..PROTOCOL }, Broken::TwoLeaders);
}

#[test]
fn counted_from_the_answer_there_are_ghosts() {
    breaks(Rules { counts_from_sending: false, ..PROTOCOL }, Broken::Ghost);
}

#[test]
fn steps_of_an_earlier_lease_of_ones_own_are_ghosts() {
    breaks(Rules { steps_keep_their_term: false, ..PROTOCOL }, Broken::Ghost);
}

#[test]
fn a_late_commit_without_a_revision_closes_a_case_that_owes() {
    breaks(Rules { revisions: false, hardships: LATE, ..PROTOCOL }, Broken::ClosedOwing);
}

#[test]
fn the_steady_clock_alone_is_deceived() {
    breaks(
        Rules { reads: Clocks::Steady, ttl: TTL_OF_MANY_STATES, hardships: SET, ..PROTOCOL },
        Broken::Ghost,
    );
}

#[test]
fn the_wall_clock_alone_is_deceived() {
    breaks(Rules { reads: Clocks::Wall, ttl: TTL_OF_MANY_STATES, hardships: SET, ..PROTOCOL }, Broken::Ghost);
}

#[test]
fn without_a_margin_a_slow_clock_is_enough() {
    breaks(Rules { margin: 0, hardships: SLOW, ..PROTOCOL }, Broken::Ghost);
}

#[test]
fn a_call_that_only_its_process_ends_is_a_ghost() {
    breaks(Rules { calls_last: Lasts::Longer(PROTOCOL.ttl), ..PROTOCOL }, Broken::Ghost);
}

#[test]
fn with_an_id_from_chance_there_are_two_tickets() {
    breaks(Rules { same_id: false, ..PROTOCOL }, Broken::TwoTickets);
}

#[test]
fn given_up_in_the_middle_of_a_turn_its_call_is_a_ghost() {
    breaks(Rules { leaves_between_turns: false, ..PROTOCOL }, Broken::Ghost);
}

#[test]
fn given_up_while_an_answer_is_awaited_two_lead() {
    breaks(Rules { leaves_unasked: false, ..PROTOCOL }, Broken::TwoLeaders);
}
