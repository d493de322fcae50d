//! Two or three instances over one real PostgreSQL, in front of one cluster, each on a machine with a network of its own. While a node is
//! drained, served and given back they are killed, lose their power, are stopped for longer than their lease, and are cut off from the
//! database, from the cluster, or from both: drawn by seed. Everything is done once, and nobody leads for no longer than twice a lease
//! while there is an instance that could.
//!
//! `PITLANE_SEATS=300` tries so many seeds, `PITLANE_SEATS_FROM=1234` begins with another one, `PITLANE_SEATS_BESIDE=4` tries so many at a time.

mod doubles;
mod house;
mod trouble;
mod watch;
mod ways;

use std::sync::Arc;
use std::time::Duration;

use pitlane::sim::world::{Expect, audit};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

use crate::postgres::{Database, database};
use crate::site::SOON;

use house::House;
use trouble::Troubles;
use watch::Tally;

/// In the ordinary run.
const SEEDS: u64 = 6;
/// They wait more than they compute.
const BESIDE: usize = 3;
/// The shortest that the configuration allows.
const LEASE: Duration = Duration::from_secs(6);
/// One there and back with all its hardships. It is there to end a test that hangs.
const PATIENCE: Duration = Duration::from_secs(600);
/// A command of a dead one has ended by then: what it did is seen.
const SETTLED: Duration = Duration::from_secs(3);

#[test]
fn by_seed() {
    within("seats::by_seed", all());
}

#[test]
fn a_machine_that_vanishes_leaves_no_session_in_the_database() {
    within("seats::a_machine_that_vanishes_leaves_no_session_in_the_database", vanishing());
}

/// The test of this name, in networks of its own.
fn within(test: &str, what: impl Future<Output = ()>) {
    if ways::within_our_own(test).is_some() {
        return;
    }
    ways::prepare();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("starts");
    runtime.block_on(what);
}

/// The database has room for so many sessions, and would by itself keep those of a dead machine for hours.
async fn vanishing() {
    let database = database();
    let house = House::open(0, 2, false, &database).await;
    let (client, talk) = tokio_postgres::connect(database.url(), NoTls).await.expect("the lab answers");
    let talk = tokio::spawn(talk);
    let instance = &house.instances[0];
    let address = instance.machine.asks_from();
    let sessions = async || -> i64 {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE host(client_addr) = $1";
        client.query_one(count, &[&address]).await.expect("the lab answers").get(0)
    };
    let site = &instance.site;
    site.until("it speaks with the database", SOON, &sessions, |count| *count > 0).await;
    site.until("it serves", SOON, async || site.get("/api/v1/status").await, Option::is_some).await;
    instance.machine.cut(&ways::CABLES);
    instance.kill().await;
    assert!(sessions().await > 0, "nobody told the database");
    site.until("the database has ended them", SOON, &sessions, |count| *count == 0).await;
    talk.abort();
}

fn asked(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}

async fn all() {
    let (seeds, first) = (asked("PITLANE_SEATS", SEEDS), asked("PITLANE_SEATS_FROM", 0));
    let beside = usize::try_from(asked("PITLANE_SEATS_BESIDE", BESIDE as u64)).expect("few");
    let (room, database) = (Arc::new(Semaphore::new(beside)), database());
    let mut runs = JoinSet::new();
    for seed in first..first + seeds {
        let (room, database) = (room.clone(), database.clone());
        runs.spawn(async move {
            let _place = room.acquire_owned().await.expect("open");
            // On a thread of its own: what panics there is one seed's.
            let run = tokio::task::spawn_blocking(move || Handle::current().block_on(one(seed, database)));
            (seed, run.await)
        });
    }
    let (mut sum, mut failed) = (Tally::default(), Vec::new());
    while let Some(run) = runs.join_next().await {
        match run.expect("it only waits") {
            (_, Ok(tally)) => sum = sum + tally,
            (seed, Err(_)) => failed.push(seed),
        }
        if seeds > SEEDS {
            eprintln!("seats: so far {sum}; failed: {failed:?}");
        }
    }
    println!("seats: {sum}");
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
}

/// One node there and back.
async fn one(seed: u64, database: Arc<Database>) -> Tally {
    let mut dice = StdRng::seed_from_u64(seed);
    let house =
        Arc::new(House::open(seed, dice.random_range(2..=3), dice.random_ratio(1, 3), &database).await);
    let watch = tokio::spawn(watch::leaderless(house.clone(), database));
    let troubles = Troubles::draw(&mut dice);
    let words = troubles.to_string();
    let hardships = tokio::spawn(troubles.happen(house.clone(), dice));
    let whole = async {
        house.there_and_back().await;
        hardships.await.expect("the hardships come to their end")
    };
    let Ok(happened) = tokio::time::timeout(PATIENCE, whole).await else {
        panic!("seed {seed} is not over within {PATIENCE:?}; {words}\n{}", house.last_words().await)
    };
    tokio::time::sleep(SETTLED).await;
    house.finish();
    let (leaderless, gasps) = watch.await.expect("it ends when the house does");
    let mut wrong = {
        let world = house.world().lock().expect("unhurt");
        let mut wrong = audit(&world, &Expect::default());
        wrong.extend(doubles::of(&world));
        wrong
    };
    wrong.extend(house.wrong_in_store().await);
    if leaderless > LEASE * 2 {
        wrong.push(format!("nobody led for {leaderless:?}"));
    }
    if !wrong.is_empty() {
        let done = doubles::told(&house.world().lock().expect("unhurt"));
        panic!("seed {seed}; {words}\n{wrong:#?}\n{done}\n{}", house.last_words().await);
    }
    happened + Tally { seeds: 1, leaderless, gasps, ..Tally::default() }
}
