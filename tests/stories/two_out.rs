//! Two nodes may be out at once, and both are drained side by side into what little room the others have. The simulated
//! world stops whoever promises the same room, or the same slot, twice.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use pitlane::model::case::{Case, Phase};
use pitlane::model::ids::{GuestId, NodeName};
use pitlane::model::observed::Opinion;
use pitlane::model::rules::Packing;
use pitlane::model::seen::Seen;
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

/// The plan that a person agrees to is made while the other node is still being drained. Already then it counts on no room
/// that the other plan counts on: when the second begins, everything that both plans want fits.
#[test]
fn two_plans_promise_no_room_twice() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut looked = 0;
    for seed in 0..if cfg!(debug_assertions) { 12 } else { 200 } {
        let script = script::parse(&script(seed)).expect("the script can be read");
        let mut teller = Teller::new(&script, Scythe::idle()).expect("the scene can be set");
        for secs in 9..60 {
            let told = runtime.block_on(teller.run(&Until::At(Duration::from_secs(secs))));
            told.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
            let shown = teller.reconciler.shown().borrow().clone();
            let Seen::Known { value: cluster, .. } = &shown.observed.pve.first else { continue };
            let cases = &shown.state.cases;
            let waiting = cases.iter().any(|case| waiting(case, cluster));
            if waiting && cases.iter().filter(|c| matches!(c.phase, Phase::Draining { .. })).count() == 2 {
                let over = overfull(cases, cluster, &teller.rules.packing);
                assert!(over.is_empty(), "seed {seed}, {secs} s: {over:?}");
                looked += 1;
                break;
            }
        }
    }
    assert!(looked > 3, "only {looked} clusters were drained side by side: nothing was shown");
}

/// Some of its moves have not ended.
fn waiting(case: &Case, cluster: &Opinion) -> bool {
    matches!(&case.phase, Phase::Draining { clearance, .. }
        if clearance.plan().moves.iter().any(|m| cluster.guests[&m.guest].node == case.node))
}

/// Nodes that could not hold what they have and what is planned to come, in MiB.
fn overfull(cases: &[Case], cluster: &Opinion, packing: &Packing) -> BTreeMap<NodeName, i128> {
    let mut at: BTreeMap<GuestId, &NodeName> = cluster.guests.iter().map(|(id, g)| (*id, &g.node)).collect();
    for case in cases {
        let Phase::Draining { clearance, .. } = &case.phase else { continue };
        for step in &clearance.plan().moves {
            let home = step.from.as_ref().unwrap_or(&case.node);
            if at[&step.guest] == home {
                at.insert(step.guest, &step.to);
            }
        }
    }
    let left = |node: &NodeName| -> i128 {
        let capacity = cluster.nodes[node].capacity.expect("the world shows it").memory;
        let costs = at.iter().filter(|(_, there)| **there == node).map(|(id, _)| {
            let memory = cluster.guests[id].memory;
            memory + packing.guest_overhead + memory / 100 * u64::from(packing.guest_overhead_percent)
        });
        i128::from(capacity) - i128::from(packing.node_reserve) - i128::from(costs.sum::<u64>())
    };
    let nodes = cluster.nodes.keys().filter(|node| cases.iter().all(|case| &case.node != *node));
    nodes.map(|node| (node.clone(), left(node) >> 20)).filter(|(_, left)| *left < 0).collect()
}
