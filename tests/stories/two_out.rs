//! Two nodes may be out at once, and both are drained side by side into what little room the others have. The simulated
//! world stops whoever promises the same room, or the same slot, twice.

use std::fmt::Write as _;
use std::time::Duration;

use pitlane::model::case::Phase;
use pitlane::ports::Archive;
use pitlane::sim::world::Chance;

use crate::deadly::Scythe;
use crate::harness::Teller;
use crate::script::{self, Until};

/// Three nodes with room for the guests of two others, and one guest more to spare.
fn script(seed: u64) -> String {
    let mut chance = Chance::new(seed);
    let mut text = "nodes 5 gib 64\nbudget nodes 2\nbudget drains 9\n".to_owned();
    for id in 0..8 {
        let node = if id % 2 == 0 { "pve2" } else { "pve3" };
        let gib = 6 + chance.below(6);
        let _ = writeln!(text, "vm {} on {node} gib {gib} cpus 1", 200 + id);
    }
    for node in [1, 4, 5] {
        // What they carry leaves as from 24 to 29 GiB free.
        let _ = writeln!(text, "vm {} on pve{node} gib {} cpus 1", 300 + node, 31 + chance.below(6));
    }
    let (first, second) = (10, 10 + chance.below(3) * 10);
    let _ = writeln!(text, "at {first}s ask drain pve2 yes\nat {second}s ask drain pve3 yes\nuntil 1h");
    text
}

#[test]
fn two_drains_side_by_side_promise_no_room_twice() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut both = 0;
    let seeds = if cfg!(debug_assertions) { 10 } else { 200 };
    for seed in 0..seeds {
        let script = script::parse(&script(seed)).expect("the script can be read");
        let mut teller = Teller::new(&script, Scythe::idle()).expect("the scene can be set");
        let told = runtime.block_on(teller.run(&Until::At(Duration::from_secs(1800))));
        assert_eq!(teller.doors.world().safety.violations, Vec::<String>::new(), "seed {seed}");
        told.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        let cases = runtime.block_on(teller.store.cases(10)).expect("cases are in memory");
        let out = cases.iter().filter(|case| matches!(case.phase, Phase::HandedOver { .. })).count();
        both += usize::from(out == 2);
    }
    assert!(
        both * 4 > seeds as usize,
        "only {both} of {seeds} clusters let both nodes leave: nothing was shown"
    );
}
