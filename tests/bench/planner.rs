//! How long planning takes: reading, placing, scheduling and the check, for each of the public instances.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use pitlane::config::planning::instance;
use pitlane::decide::planner::{Effort, Wishes, plan};

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

criterion_group!(benches, public_instances);
criterion_main!(benches);
