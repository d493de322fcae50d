//! What one drain measures, the next one's forecast knows: in figures. And nothing else depends on it.

use pitlane::model::note::Noted;
use pitlane::model::rates::{Basis, Took};
use pitlane::model::time::age;
use pitlane::sim::world::{Call, Mishap};

use crate::deadly::Scythe;
use crate::harness::Teller;
use crate::script;

const TWICE: &str = include_str!("the-second-drain-knows-the-network/script");

/// Both drains as they were planned and as they went, and how many migrations were measured in all.
fn drains(spoil: impl Fn(&Teller)) -> (Vec<Took>, usize) {
    let script = script::parse(TWICE).expect("the story's own test reads this script");
    let mut teller = Teller::new(&script, Scythe::idle()).expect("the scene can be set");
    spoil(&teller);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        teller.run(&script.until).await.expect("both cases are closed");
        let journal = teller.store.journal(None, 0, 10_000).await.expect("the journal is in memory");
        let took = journal.iter().filter_map(|(_, note)| match &note.what {
            Noted::Took { took, .. } => Some(*took),
            _ => None,
        });
        (took.collect(), teller.store.learned().await.expect("the store is in memory").len())
    })
}

/// Seconds that were planned, and that it took.
fn figures(took: &Took) -> (u64, u64) {
    let until = took.until.expect("the node was empty");
    (took.planned.expect("there was a forecast").secs, age(until, took.since).as_secs())
}

#[test]
fn the_second_forecast_is_nearer_to_what_happens_than_the_first() {
    let (took, measured) = drains(|_| ());
    let [first, second] = took.as_slice() else { panic!("two drains: {took:?}") };
    let ((planned, real), (planned_again, real_again)) = (figures(first), figures(second));
    println!(
        "first {planned} s planned, {real} s real; second {planned_again} s planned, {real_again} s real"
    );
    assert_eq!(first.planned.map(|forecast| forecast.basis), Some(Basis::Default));
    let basis = second.planned.map(|forecast| forecast.basis);
    assert!(matches!(basis, Some(Basis::Measured { migrations: 5..=10, days: 30 })), "{basis:?}");
    assert!(measured >= 10, "five guests, there and back, and there again: {measured} measured");
    assert!(
        planned.abs_diff(real) > real,
        "the default is for a network of which nothing is known: {planned} s for {real} s"
    );
    assert!(
        planned_again.abs_diff(real_again) * 5 <= real_again,
        "a measured forecast is right within a fifth: {planned_again} s for {real_again} s"
    );
}

/// Logs that nobody can read cost a forecast, and not a second of a drain.
#[test]
fn a_drain_goes_as_well_without_any_log() {
    let blind = |teller: &Teller| {
        let until = teller.doors.world().later(7 * 24 * 3600);
        teller.doors.world().spoil_until(Call::PveTaskLog, Mishap::Unreachable, until);
    };
    let (with, _) = drains(|_| ());
    let (without, measured) = drains(blind);
    assert_eq!(measured, 0);
    assert_eq!(without.len(), 2);
    assert!(without.iter().all(|took| took.planned.is_some_and(|forecast| forecast.basis == Basis::Default)));
    assert_eq!(figures(&with[0]), figures(&without[0]), "the first drain knows nothing either way");
}
