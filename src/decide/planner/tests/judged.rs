//! The planner's own judge, fed with plans that nobody would make.

use super::super::instance::{Instance, MBIT_PER_MIB};
use super::super::{Admission, Planned, PlannedMove, check};
use super::{cluster, guest};

/// All to the second node at once.
fn at_once(inst: &Instance) -> Planned {
    let go = |guest| PlannedMove {
        guest,
        to: 1,
        after: Vec::new(),
        running: false,
        wave: 0,
        starts: 0.0,
        ends: 0.0,
    };
    Planned { moves: (0..inst.guests.len()).map(go).collect(), ..Planned::default() }
}

/// Two that write as fast as a wire for one alone would bear: `dirty` Mbit/s each.
fn two(dirty: f64) -> Instance {
    let mut inst = cluster(2, vec![guest("x", 0, 10_000), guest("y", 0, 10_000)]);
    inst.guests.iter_mut().for_each(|guest| guest.dirty = dirty);
    inst
}

#[test]
fn every_second_for_which_a_guest_is_slowed_down_is_counted_for_each_guest() {
    let inst = two(4500.0);
    let done = check(&inst, &at_once(&inst), Admission::Guarded);
    assert_eq!(done.violations, []);
    // Half the wire is 5000, of which at least a fifth is gained.
    let sending = 10_000.0 * MBIT_PER_MIB / 1000.0;
    assert!((done.throttled - 2.0 * sending).abs() < 0.01, "{done:?}");
    assert!((done.makespan - (3.0 + sending)).abs() < 0.01, "{done:?}");
}

/// 4500 are more than half the wire bears without slowing down (4000), and less than half the wire.
#[test]
fn a_start_that_would_slow_somebody_down_waits_where_the_plan_says_so() {
    let inst = two(4500.0);
    let plan = Planned { guard_dirty: true, ..at_once(&inst) };
    let done = check(&inst, &plan, Admission::Guarded);
    let alone = 3.0 + 10_000.0 * MBIT_PER_MIB / 3500.0;
    assert_eq!((done.violations.as_slice(), done.throttled), ([].as_slice(), 0.0));
    assert!((done.makespan - 2.0 * alone).abs() < 0.01, "one after the other: {done:?}");
}
