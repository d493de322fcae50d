//! How long planning takes: reading, placing, scheduling and the check, for each of the public instances; and what a turn
//! pays for the plan of a large live cluster.

mod rules;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use pitlane::config::planning::instance;
use pitlane::decide;
use pitlane::decide::planner::{Effort, Wishes, plan};
use pitlane::model::observed::Observed;
use pitlane::model::state::State;
use pitlane::ports::Pve;
use pitlane::sim::world::GIB;
use pitlane::sim::{Doors, World};

const NAMES: [&str; 6] =
    ["p1-n3-u50", "p2-n8-u70", "p3-n32-u70", "p4-n100-u85", "p5-n8-tight", "p6-n8-return"];

fn public_instances(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("planner");
    group.sample_size(10);
    for name in NAMES {
        let path = format!("{}/tests/data/planner/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).expect(&path);
        group.bench_function(format!("{name}, read"), |b| {
            b.iter(|| instance(black_box(&text), name).expect("a good file"));
        });
        let inst = instance(&text, name).expect("a good file");
        for (word, effort) in [("full", Effort::Full), ("quick", Effort::Quick)] {
            let wishes = Wishes { effort, ..Wishes::default() };
            group.bench_function(format!("{name}, {word}"), |b| {
                b.iter(|| plan(black_box(&inst), &wishes).expect("a plan"));
            });
        }
    }
    group.finish();
}

/// A hundred nodes and eight thousand guests, one node to be drained: from what is seen to verdict and plan.
fn live(criterion: &mut Criterion) {
    let mut builder = World::builder(100).node_gib(512);
    for id in 0..8_000 {
        let node = format!("pve{}", id % 100 + 1);
        builder = builder.guest(1_000 + id, &node, |guest| guest.memory = (1 + u64::from(id % 7)) * GIB);
    }
    let doors = Doors::new(builder.build());
    let node = "pve2".into();
    let wished = [node].into();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let pve = runtime.block_on(doors.look(&wished, &Default::default(), &wished));
    let seen = Observed { pve, ..Observed::nothing(doors.world().now) };
    let rules = rules::rules();
    let mut group = criterion.benchmark_group("live");
    group.sample_size(10);
    for node in wished {
        let judged = || decide::judge(black_box(&node), &State::default(), &seen, &rules).expect("a policy");
        assert_eq!(judged().1.expect("a plan").moves.len(), 80, "every guest of the node has a place");
        group.bench_function("100 nodes, 8000 guests", |b| b.iter(judged));
    }
    group.finish();
}

criterion_group!(benches, public_instances, live);
criterion_main!(benches);
