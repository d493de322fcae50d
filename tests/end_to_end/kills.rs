//! Fifty times kill -9 (`PITLANE_KILLS` says how often), at random moments of drains and returns: the same end. The root helper and the Ceph client are
//! children that outlive their parent's death, so an act may still happen after the one who asked for it is gone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pitlane::model::ids::NodeName;
use pitlane::model::observed::GuestKind;
use pitlane::sim::World;
use pitlane::sim::world::{Expect, Run, audit};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::hands::{Hands, simulated_ceph};
use crate::site::{MANUAL, QUICK, Site};

/// In the ordinary run; `tests/run --long` has 200.
const KILLS: usize = 50;
const SEED: u64 = 4;
/// So that every phase gets its share, and a slow machine comes to the end of each.
const DEATHS_PER_PHASE: usize = 12;
/// One there and back, killed every few seconds. It is there to end a test that hangs.
const PATIENCE: Duration = Duration::from_secs(600);
/// Milliseconds that a process may live: some die before they answer, most in the middle of a turn.
const LIFE_MS: std::ops::Range<u64> = 200..4_500;

fn world() -> World {
    World::builder(3)
        .seed(SEED)
        .at(pitlane::model::time::Time::now())
        .vm(101, "pve1")
        .vm(102, "pve1")
        .vm(103, "pve1")
        .vm(104, "pve1")
        .ct(105, "pve1")
        .vm(106, "pve1")
        .guest(107, "pve1", |guest| guest.run = Run::Stopped)
        .vm(201, "pve2")
        .vm(301, "pve3")
        .vm(302, "pve3")
        .guest(303, "pve3", |guest| guest.kind = GuestKind::Lxc)
        .vm(304, "pve3")
        .ha(&[103, 104, 302])
        .ceph(2)
        .build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kills_change_nothing() {
    let wanted: usize = std::env::var("PITLANE_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    let mut site = Site::open(world(), 8.0).await;
    site.put("policies/manual.yaml", MANUAL);
    // Never the node that is served: pve2 is asked by our Ceph client, and is not drained here.
    let hands = Hands::up(&site, &["pve2", "pve3", "pve1"], None);
    let ceph = simulated_ceph(&site, "pve2");
    site.configure(&format!("mode: approve\n{QUICK}{ceph}{}", hands.yaml()));
    site.start().await;

    let mut life = StdRng::seed_from_u64(SEED);
    let mut kills = 0;
    let mut rounds = 0;
    let mut phases = BTreeMap::new();
    // As many there-and-backs as it takes to die so often in the middle of one.
    while kills < wanted {
        rounds += 1;
        let node = ["pve1", "pve3"][rounds % 2];
        let case = u64::try_from(rounds).expect("few");
        for phase in round(&mut site, &mut life, case, node, wanted - kills).await {
            kills += 1;
            *phases.entry(phase).or_insert(0) += 1;
        }
    }
    println!("{kills} kills in {rounds} rounds; the phase that was seen last: {phases:?}");
    assert!(phases.contains_key("draining") && phases.contains_key("giving-back"), "{phases:?}");

    assert_eq!(kills, wanted);
    assert_eq!(site.door.violation(), None);
    assert!(site.strays().is_empty(), "{:?}", site.strays());
    let wrong = audit(&site.world.lock().expect("unhurt"), &Expect::default());
    assert_eq!(wrong, Vec::<String>::new());
    let one_each: Vec<(u64, String)> = (1..=rounds as u64).map(|case| (case, "closed".to_owned())).collect();
    assert_eq!(site.work_orders(), one_each);
    let said = site.said("bob", &["--json", "owed"]).await;
    assert_eq!((said.code, said.out.trim()), (0, "[]"), "{said:?}");
    let said = site.said("bob", &["audit", "verify"]).await;
    assert!(said.code == 0 && said.out.contains("whole"), "{said:?}");
}

/// One drain and return of a node with a process that keeps dying: the phase that was seen last before each death.
async fn round(site: &mut Site, life: &mut StdRng, case: u64, node: &str, kills_max: usize) -> Vec<String> {
    let steps = AtomicUsize::new(0);
    let mut kills = Vec::new();
    let end = tokio::time::Instant::now() + PATIENCE;
    let mut last = Value::Null;
    while steps.load(Ordering::Relaxed) < STEPS {
        assert!(
            tokio::time::Instant::now() < end,
            "case {case} is not over after {} kills and {} steps; last: {last}\n{}",
            kills.len(),
            steps.load(Ordering::Relaxed),
            site.log_tail()
        );
        assert_eq!(site.door.violation(), None, "{}", site.log_tail());
        let span = Duration::from_millis(life.random_range(LIFE_MS));
        let story = async {
            while steps.load(Ordering::Relaxed) < STEPS {
                if let Some(done) = step(site, case, node, steps.load(Ordering::Relaxed)).await {
                    if done == json!(true) {
                        steps.fetch_add(1, Ordering::Relaxed);
                    } else {
                        last = done;
                    }
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        // The story goes on until the process has lived long enough.
        if tokio::time::timeout(span, story).await.is_err() {
            let phase = last["phase"]["phase"].as_str().unwrap_or("not seen yet");
            let deaths = kills.iter().filter(|seen| *seen == phase).count();
            if kills.len() < kills_max && deaths < DEATHS_PER_PHASE {
                kills.push(phase.to_owned());
                site.kill().await;
                site.spawn();
            }
        }
    }
    kills
}

const STEPS: usize = 4;

/// The people's part, each step repeatable: ask for the drain; open the machine and close it when it is safe; say done;
/// see it closed. `true`: this step is behind us. `None`: nobody answers.
async fn step(site: &Site, case: u64, node: &str, number: usize) -> Option<Value> {
    let view = async || site.get(&format!("/api/v1/cases/{case}")).await;
    match number {
        0 => {
            let drain = json!({"ask": "drain", "node": node, "reason": "dust", "yes": true});
            site.ask("alice", &drain, &format!("drain-{case}")).await?;
            Some(json!(view().await.is_some()))
        }
        1 => {
            let view = view().await?;
            let safe = !view["safe_to_power_off"]["Ok"].is_null();
            if safe {
                let mut world = site.world.lock().expect("unhurt");
                // It panics with somebody aboard.
                world.technician_opens(&NodeName::from(node));
                world.advance_secs(30);
                world.technician_closes(&NodeName::from(node));
            }
            Some(if safe { json!(true) } else { view["case"].clone() })
        }
        2 => {
            let done = json!({"ask": "done", "case": case, "note": "cleaned", "hands_off": false});
            let receipt = site.ask("tom", &done, &format!("done-{case}")).await?;
            let id = receipt["request"].as_str()?.to_owned();
            let reply = site.get(&format!("/api/v1/requests/{id}")).await?;
            Some(json!(reply["reply"]["reply"] == "accepted"))
        }
        _ => {
            let view = view().await?;
            let closed = view["case"]["phase"]["phase"] == "closed";
            Some(if closed { json!(true) } else { view["case"].clone() })
        }
    }
}
