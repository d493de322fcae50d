//! A step that outlives its turn is not begun: what was decided on an old look must not be done to the world of now.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pitlane::model::ids::CaseId;
use pitlane::model::step::Outcome;
use pitlane::sim::world::Actor;

use crate::deadly::Scythe;
use crate::harness::Teller;
use crate::script::{self, Until};

const WHOLE_WAY: &str = include_str!("crash.script");

/// Each commit takes half as long again as a step may wait: nothing is begun. Then the disk is well, and all is.
#[test]
fn a_step_that_outlives_its_turn_is_not_begun() {
    let script = script::parse(WHOLE_WAY).expect("the crash tests read this script");
    let mut teller = Teller::new(&script, Scythe::idle()).expect("the scene can be set");
    let step_for = teller.rules.limits.step_for.0.as_secs();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        teller.scythe.stall.store(step_for + step_for / 2, Ordering::SeqCst);
        teller.run(&Until::At(Duration::from_secs(3600))).await.expect("an hour passes");
        assert_eq!(
            teller.doors.world().effects_of(Actor::Pitlane),
            BTreeMap::new(),
            "steps were begun too late"
        );
        let ledger = teller.store.ledger(CaseId(1)).await.expect("the ledger is in memory");
        assert!(!ledger.is_empty(), "no step was planned: the test shows nothing");
        for (id, attempt) in &ledger {
            assert_eq!(attempt.outcome, Outcome::Expired, "{id}");
        }

        teller.scythe.stall.store(0, Ordering::SeqCst);
        teller.run(&Until::Closed).await.expect("the case is closed when the disk is well again");
        let left = teller.left_behind().await.expect("the end can be told");
        for line in ["guests not as they were: none", "held: none", "work orders open: 0"] {
            assert!(left.contains(line), "{line}? {left}");
        }
    });
}
