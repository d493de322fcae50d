//! What pitlane did more often than once, from the cluster's own memory.

use std::collections::BTreeMap;

use pitlane::model::ids::GuestId;
use pitlane::model::time::Time;
use pitlane::sim::World;
use pitlane::sim::world::{Actor, Effect, TaskState};

/// Each guest leaves once and comes home once; everything else is done once. No guest has two tasks at a time.
pub fn of(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    for ((kind, subject), times) in counted(world) {
        let once = if kind == "migrate" { 2 } else { 1 };
        if times != once {
            wrong.push(format!("{kind} {subject}: {times} times, expected {once}"));
        }
    }
    let mut spans: BTreeMap<GuestId, Vec<(Time, Time)>> = BTreeMap::new();
    for task in world.tasks.iter().filter(|task| task.by == Actor::Pitlane) {
        let ended = match &task.state {
            TaskState::Running => world.now,
            TaskState::Ended { at, .. } => *at,
        };
        if let Some(guest) = task.guest {
            spans.entry(guest).or_default().push((task.started, ended));
        }
    }
    for (guest, mut spans) in spans {
        spans.sort();
        if spans.windows(2).any(|two| two[1].0 < two[0].1) {
            wrong.push(format!("guest {guest} had two tasks at a time: {spans:?}"));
        }
    }
    wrong
}

fn counted(world: &World) -> BTreeMap<(&'static str, String), usize> {
    let mut counts = BTreeMap::new();
    for effect in world.effects.iter().filter(|effect| effect.by == Actor::Pitlane) {
        *counts.entry((effect.kind, effect.subject.clone())).or_default() += 1;
    }
    counts
}

/// For a person who looks for the reason.
pub fn told(world: &World) -> String {
    let effects = world.effects.iter().map(|e| format!("{} {:?} {} {}\n", e.at, e.by, e.kind, e.subject));
    let tasks = world
        .tasks
        .iter()
        .map(|t| format!("{} {} {:?} {:?} {:?}\n", t.started, t.kind, t.guest, t.by, t.state));
    effects.chain(tasks).collect()
}

#[test]
fn what_comes_twice_is_noticed() {
    let mut world = World::builder(1).vm(101, "pve1").build();
    let mut done = |kind, subject: &str| {
        let (at, by, subject) = (world.now, Actor::Pitlane, subject.to_owned());
        world.effects.push(Effect { at, by, kind, subject });
        of(&world).len()
    };
    assert_eq!(done("noout_on", "pve1"), 0);
    assert_eq!(done("migrate", "101"), 1, "it has not come home");
    assert_eq!(done("migrate", "101"), 0);
    assert_eq!(done("noout_on", "pve1"), 1, "a second time");
    assert_eq!(done("migrate", "101"), 2, "a third time");
}
