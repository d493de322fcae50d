//! Death at every boundary, at every pair of them, and by seed with blind sources: always the same end.

use std::sync::Arc;

use crate::deadly::Scythe;
use crate::harness::Teller;
use crate::script::{self, Script};

/// A debug build is twenty times slower and only takes samples; `tests/run` runs these tests in release, all of them.
const SEEDS: u64 = if cfg!(debug_assertions) { 25 } else { 5_000 };
const PAIRS_APART: usize = if cfg!(debug_assertions) { 29 } else { 1 };

/// How many boundaries lie between the second deaths that are tried; `PITLANE_PAIRS_APART` says it otherwise.
fn pairs_apart() -> usize {
    asked("PITLANE_PAIRS_APART")
        .and_then(|n| usize::try_from(n).ok())
        .filter(|n| *n > 0)
        .unwrap_or(PAIRS_APART)
}

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|n| n.parse().ok())
}

/// The whole way of a case, short: HA and not, a container, a stopped guest, noout, work order, proof, home.
pub const WHOLE_WAY: &str = include_str!("crash.script");
/// A disk changed while its node works on.
pub const IN_PLACE: &str = include_str!("crash-in-place.script");
/// A canary, and a resident that makes room.
pub const ROOM: &str = include_str!("crash-room.script");
/// A second failure while noout is held, healed, and the case called off.
const ABORTED: &str = include_str!("crash-aborted.script");
/// A node that dies with guests aboard and comes back, with approvals by a person.
const STRANDED: &str = include_str!("crash-stranded.script");

/// How the world must be left, whoever died on the way. What was done and how often may differ; what is left may not.
fn end_of(script: &Script, scythe: Arc<Scythe>, fog: Option<u64>) -> Result<(String, usize), String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let mut teller = Teller::new(script, scythe)?;
    if let Some(seed) = fog {
        let mut world = teller.doors.world();
        world.chance = pitlane::sim::world::Chance::new(seed);
        world.mishaps.by_chance = 5;
    }
    runtime.block_on(async {
        teller.run(&script.until).await?;
        let untold = teller.everybody_is_told().await?;
        let left = teller.left_behind().await?;
        let kept: Vec<&str> = left.lines().filter(|line| !line.starts_with("pitlane did")).collect();
        let (orders, silences) = {
            let world = teller.doors.world();
            (world.board.orders.len(), world.silences.len())
        };
        Ok((
            format!(
                "{}\nwork orders in all: {orders}\nsilences in all: {silences}\nuntold: {untold}",
                kept.join("\n")
            ),
            teller.scythe.passed(),
        ))
    })
}

fn way(text: &str) -> Script {
    script::parse(text).expect("the story's own test reads this script")
}

#[test]
fn death_at_every_boundary_and_every_pair_leaves_the_same_world() {
    deaths_at_every_boundary(WHOLE_WAY);
}

#[test]
fn death_at_every_boundary_of_a_service_in_place_leaves_the_same_world() {
    deaths_at_every_boundary(IN_PLACE);
}

#[test]
fn death_at_every_boundary_while_a_resident_makes_room_leaves_the_same_world() {
    deaths_at_every_boundary(ROOM);
}

#[test]
fn death_at_every_boundary_of_a_case_that_is_called_off_leaves_the_same_world() {
    deaths_at_every_boundary(ABORTED);
}

#[test]
fn death_at_every_boundary_while_the_node_itself_dies_leaves_the_same_world() {
    deaths_at_every_boundary(STRANDED);
}

fn deaths_at_every_boundary(text: &str) {
    let script = way(text);
    let _database = crate::kept::database();
    let (expected, boundaries) =
        end_of(&script, Scythe::idle(), None).expect("the story ends without deaths");
    assert!(boundaries > 20, "only {boundaries} boundaries: the story is too short to say anything");
    let mut strikes = Vec::new();
    for first in 0..boundaries {
        strikes.push(vec![first]);
        strikes.extend((first + 1..boundaries).step_by(pairs_apart()).map(|second| vec![first, second]));
    }
    let lives = strikes.len();
    let wrong = crate::beside(&strikes, |strikes| match end_of(&script, Scythe::at(strikes.clone()), None) {
        Ok((end, _)) if end == expected => None,
        Ok((end, _)) => Some(format!("death at {strikes:?} leaves\n{end}")),
        Err(why) => Some(format!("death at {strikes:?}: {why}")),
    });
    println!("{lives} histories with deaths at {boundaries} boundaries");
    assert!(
        wrong.is_empty(),
        "{} of {lives} wrong, expected\n{expected}\n{}",
        wrong.len(),
        wrong[..wrong.len().min(3)].join("\n")
    );
}

#[test]
fn death_by_seed_with_blind_sources_leaves_the_same_world() {
    deaths_by_seed(WHOLE_WAY);
}

#[test]
fn death_by_seed_in_a_service_in_place_leaves_the_same_world() {
    deaths_by_seed(IN_PLACE);
}

#[test]
fn death_by_seed_while_a_resident_makes_room_leaves_the_same_world() {
    deaths_by_seed(ROOM);
}

#[test]
fn death_by_seed_in_a_case_that_is_called_off_leaves_the_same_world() {
    deaths_by_seed(ABORTED);
}

#[test]
fn death_by_seed_while_the_node_itself_dies_leaves_the_same_world() {
    deaths_by_seed(STRANDED);
}

fn deaths_by_seed(text: &str) {
    let seeds: u64 = asked("PITLANE_SEEDS").unwrap_or(SEEDS);
    let script = way(text);
    let _database = crate::kept::database();
    let (expected, boundaries) =
        end_of(&script, Scythe::idle(), None).expect("the story ends without deaths");
    let live = |seed: u64| {
        let mut chance = pitlane::sim::world::Chance::new(seed);
        let deaths = chance.below(4);
        let strikes: Vec<usize> =
            (0..deaths).map(|_| usize::try_from(chance.below(boundaries as u64 * 2)).unwrap_or(0)).collect();
        match end_of(&script, Scythe::at(strikes.clone()), Some(seed)) {
            Ok((end, _)) if end == expected => None,
            Ok((end, _)) => Some(format!("seed {seed}, death at {strikes:?} leaves\n{end}")),
            Err(why) => Some(format!("seed {seed}, death at {strikes:?}: {why}")),
        }
    };
    let wrong = crate::beside(&(0..seeds).collect::<Vec<u64>>(), |seed| live(*seed));
    assert!(
        wrong.is_empty(),
        "{} of {seeds} wrong, expected\n{expected}\n{}",
        wrong.len(),
        wrong[..wrong.len().min(3)].join("\n")
    );
}
