//! The protocol as it is meant keeps every promise, in each hardship, and never ends where nobody can lead.

use super::explore::{Explored, explore};
use super::moves::{self, Move};
use super::rules::{Hardships, Lasts, PROTOCOL, Rules};
use super::world::{Broken, World};

pub const PROMISES: [Broken; 6] = [
    Broken::TwoTickets,
    Broken::Ghost,
    Broken::PastHolderWrote,
    Broken::DebtForgotten,
    Broken::ClosedOwing,
    Broken::TwoLeaders,
];

/// Fewer ticks make fewer states; a debug build has not the time for more.
pub const TTL_OF_MANY_STATES: i8 = if cfg!(debug_assertions) { 2 } else { 3 };

#[test]
fn statements_may_arrive_late() {
    keeps(Rules { hardships: Hardships { late: true, ..PROTOCOL.hardships }, ..PROTOCOL });
}

#[test]
fn clocks_may_run_slow_within_the_margin() {
    keeps(Rules { hardships: Hardships { slow: true, ..PROTOCOL.hardships }, ..PROTOCOL });
}

#[test]
fn one_clock_may_stand_or_be_set() {
    let hardships = Hardships { set: true, ..PROTOCOL.hardships };
    keeps(Rules { ttl: TTL_OF_MANY_STATES, hardships, ..PROTOCOL });
}

#[test]
fn calls_may_take_the_rest_of_the_lease() {
    let hardships = Hardships { slow: true, ..PROTOCOL.hardships };
    keeps(Rules { calls_last: Lasts::TheRest, hardships, ..PROTOCOL });
}

#[test]
fn two_hardships_may_come_together() {
    let hardships = Hardships { late: true, slow: true, ..PROTOCOL.hardships };
    keeps(Rules { ttl: 2, hardships, ..PROTOCOL });
}

fn keeps(rules: Rules) {
    let all = explore(rules, &PROMISES);
    println!(
        "{} states, {} moves, {} deep: {:?}",
        all.states.len(),
        all.edges.len(),
        all.depth,
        rules.hardships
    );
    if let Some((broken, at)) = all.found {
        panic!("{broken:?} after {:#?}", all.way(at));
    }
    says_something(&all);
    goes_on(&all);
}

/// A model in which nothing happens keeps every promise.
fn says_something(all: &Explored) {
    let some = |what: &str, found: &dyn Fn(&World) -> bool| {
        assert!(all.states.keys().any(found), "no state in which {what}");
    };
    some("the person's abort is through", &|world| world.flag.asked && moves::settled(world));
    some("nobody ever called off, and all is done", &|world| !world.flag.asked && moves::settled(world));
    some("a call outlives its process", &|world| world.calls.iter().flatten().any(|call| !call.awaited));
    if all.rules.hardships.slow {
        some("a call is on its way to the last moment of its lease", &|world| {
            world.lease.left == 0
                && world.calls.iter().flatten().any(|call| Some(call.of) == world.lease.holder)
        });
    }
}

/// From everywhere each instance gets to lead, and everything gets done, if it lives and the database answers: with nothing but
/// its own moves and time, so whatever the other one does or has left behind.
pub fn goes_on(all: &Explored) {
    for of in 0..2 {
        let leads = |world: &World| {
            let proc = world.procs[usize::from(of)];
            let mine =
                world.lease.holder == Some(of) && proc.held.is_some_and(|held| held.term == world.lease.term);
            mine && all.rules.may_begin(proc.held.as_ref())
        };
        for (what, ticks) in
            [("leads", all.ticks_to(of, leads)), ("is done", all.ticks_to(of, moves::settled))]
        {
            let never = ticks.iter().filter(|ticks| ticks.is_none()).count();
            let most = ticks.iter().flatten().max().copied().unwrap_or(0);
            println!("  instance {of} {what} after at most {most} ticks");
            assert_eq!(never, 0, "states from which instance {of} never {what}");
            let soon = what != "leads" || most <= u32::from(all.rules.ttl.unsigned_abs()) + 1;
            assert!(soon, "nobody leads for {most} ticks, and no lease lasts as long");
        }
    }
}

/// The shortest way to a broken promise, one move a line.
pub fn way_to(rules: Rules, broken: Broken) -> Option<Vec<Move>> {
    let all = explore(rules, &[broken]);
    println!("{} states until {broken:?}", all.states.len());
    let (_, at) = all.found?;
    let way = all.way(at);
    way.iter().for_each(|step| println!("  {step:?}"));
    Some(way)
}
