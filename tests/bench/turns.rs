//! What a quiet turn over a whole fleet costs: calls, bytes, processor time, allocations, resident memory.
//!
//! `cargo bench --bench turns -- [--clusters 100] [--nodes 100] [--guests 1000] [--turns 60] [--store memory|sqlite]`
//!
//! Each cluster has its own loop and its own store. The answers are made for each call and not counted; everything else is:
//! the store, the look, decoding, deciding, showing. The turns of one minute follow one another, as they do in a service that
//! spreads them. Halfway all loops are thrown away and begun anew, as after a restart.

mod rules;
mod turns {
    pub mod bodies;
    pub mod fleet;
    pub mod spent;
}

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use pitlane::reconcile::Reconciler;
use turns::bodies::Cluster;
use turns::fleet::{Asked, Stepped, reconciler};
use turns::spent::{Counting, Spent, resident};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Wanted {
    clusters: u32,
    nodes: u32,
    guests: u32,
    turns: u32,
    sqlite: bool,
}

impl Wanted {
    fn read() -> Wanted {
        let words: Vec<String> = std::env::args().collect();
        let after = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
        let number = |name: &str, usual: u32| {
            after(name).map_or(usual, |word| word.parse().unwrap_or_else(|_| panic!("{name} takes a number")))
        };
        Wanted {
            clusters: number("--clusters", 100),
            nodes: number("--nodes", 100),
            guests: number("--guests", 1000),
            turns: number("--turns", 60),
            sqlite: after("--store").is_some_and(|word| word == "sqlite"),
        }
    }
}

struct Fleet {
    clock: Arc<Stepped>,
    asked: Arc<Asked>,
    loops: Vec<Reconciler>,
}

impl Fleet {
    fn begin(wanted: &Wanted, clock: &Arc<Stepped>, asked: &Arc<Asked>, state: Option<&Path>) -> Fleet {
        let each = (0..wanted.clusters).map(|number| {
            let cluster = Cluster { number, nodes: wanted.nodes, guests: wanted.guests };
            let state = state.map(|dir| dir.join(format!("c{number:03}")));
            reconciler(cluster, clock, asked, state.as_deref())
        });
        Fleet { clock: clock.clone(), asked: asked.clone(), loops: each.collect() }
    }

    /// One turn of each.
    async fn turn(&self) -> Turned {
        self.clock.step(60);
        let (calls, bytes) = (self.asked.calls.load(Relaxed), self.asked.bytes.load(Relaxed));
        let began = Spent::now();
        for each in &self.loops {
            each.turn().await.expect("a turn");
        }
        Turned {
            cpu: began.cpu_since(),
            allocations: began.allocations_since(),
            calls: self.asked.calls.load(Relaxed) - calls,
            bytes: self.asked.bytes.load(Relaxed) - bytes,
        }
    }

    /// Nothing was left out to be quick.
    fn check(&self, wanted: &Wanted) {
        for each in &self.loops {
            let shown = each.shown().borrow().clone();
            let seen = shown.observed.pve.first.any_age().expect("the cluster is seen");
            assert_eq!(
                (seen.nodes.len(), seen.guests.len()),
                (wanted.nodes as usize, wanted.guests as usize)
            );
            assert!(
                shown.observed.pve.ha.any_age().is_some()
                    && shown.observed.pve.privileges.any_age().is_some()
            );
        }
        let other = self.asked.other.lock().expect("nobody panics while holding it");
        assert!(other.is_empty(), "a quiet turn asks nothing else: {other:?}");
    }
}

#[derive(Clone, Copy)]
struct Turned {
    cpu: Duration,
    allocations: u64,
    calls: u64,
    bytes: u64,
}

fn median<T: Ord + Copy>(values: impl Iterator<Item = T>) -> T {
    let mut all: Vec<T> = values.collect();
    all.sort();
    all[all.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn tell(what: &str, turned: &[Turned]) {
    let cpu = |at: Duration| format!("{:.1}", ms(at));
    let (min, max) = (turned.iter().map(|t| t.cpu).min(), turned.iter().map(|t| t.cpu).max());
    let (now, most) = resident();
    println!(
        "{what:<22} cpu {} ms (least {}, most {}; median of {}), {} allocations, resident {now:.1} MiB (most {most:.1})",
        cpu(median(turned.iter().map(|t| t.cpu))),
        cpu(min.unwrap_or_default()),
        cpu(max.unwrap_or_default()),
        turned.len(),
        median(turned.iter().map(|t| t.allocations)),
    );
}

async fn measure(wanted: &Wanted, state: Option<&Path>) {
    let (clock, asked) = (Stepped::new(), Arc::new(Asked::default()));
    println!("before anything: resident {:.1} MiB", resident().0);
    let mut fleet = Fleet::begin(wanted, &clock, &asked, state);
    println!("loops and stores made: resident {:.1} MiB", resident().0);
    for (when, restart) in [("first", false), ("after the restart", true)] {
        if restart {
            fleet.loops.clear();
            fleet = Fleet::begin(wanted, &clock, &asked, state);
        }
        tell(&format!("{when}, one look"), &[fleet.turn().await]);
        let mut early = Vec::new();
        for _ in 0..5 {
            early.push(fleet.turn().await);
        }
        tell(&format!("{when}, quiet turns"), &early);
        let mut late = Vec::new();
        for n in 6..wanted.turns {
            let turned = fleet.turn().await;
            if n + 5 >= wanted.turns {
                late.push(turned);
            }
        }
        if !late.is_empty() {
            tell(&format!("{when}, after {} turns", wanted.turns), &late);
        }
        fleet.check(wanted);
        let Turned { calls, bytes, .. } = early[0];
        println!(
            "{:.1} calls for each cluster, {:.1} MB decoded in a turn over all",
            calls as f64 / f64::from(wanted.clusters),
            bytes as f64 / 1e6
        );
    }
}

fn main() {
    let wanted = Wanted::read();
    let state = wanted.sqlite.then(|| temporary().join("turns-bench"));
    if let Some(dir) = &state {
        // What an earlier run left.
        let _ = std::fs::remove_dir_all(dir);
    }
    println!(
        "{} clusters of {} nodes and {} guests; store: {}",
        wanted.clusters,
        wanted.nodes,
        wanted.guests,
        if wanted.sqlite { "a SQLite file each" } else { "in memory" }
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(&wanted, state.as_deref()));
}

/// Cargo's own directory for such files, where Cargo has started this.
fn temporary() -> PathBuf {
    option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from)
}
