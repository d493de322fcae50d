//! A turn that hangs gives no sign of life, whatever else of the process still answers: then systemd's watchdog ends it, and
//! the next process finds everything written down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pitlane::model::ids::{Person, RequestId};
use pitlane::model::request::{Ask, Request};
use pitlane::model::seen::Trouble;
use pitlane::model::shown::Shown;
use pitlane::model::step::{Action, Outcome};
use pitlane::model::wait::Source;
use pitlane::ports::{Looker, Meter};
use pitlane::reconcile::Reconciler;
use pitlane::sim::Doors;
use tokio_util::sync::CancellationToken;

use crate::deadly::Scythe;
use crate::harness::reconciler;
use crate::kept::Kept;
use crate::script;
use crate::setting::setting;

/// Whoever feeds the watchdog feeds it at each of these.
#[derive(Default)]
struct Signs {
    all: AtomicUsize,
    waits: AtomicUsize,
}

impl Signs {
    fn seen(&self) -> usize {
        self.all.load(Ordering::SeqCst)
    }

    fn one(&self) {
        self.all.fetch_add(1, Ordering::SeqCst);
    }
}

impl Meter for Signs {
    fn begins(&self) {
        self.one();
    }
    fn waits(&self) {
        self.waits.fetch_add(1, Ordering::SeqCst);
        self.one();
    }
    fn turn(&self, _took: Duration, _shown: &Shown) {
        self.one();
    }
    fn look(&self, _source: Source, _outcome: Result<(), &Trouble>) {
        self.one();
    }
    fn step(&self, _action: &Action, _outcome: &Outcome) {
        self.one();
    }
}

/// A loop on a small cluster with one request in its inbox, and its signs of life. `strikes`: the commit that never ends.
async fn running(
    strikes: &[usize],
) -> (Arc<Reconciler>, Arc<Signs>, Arc<Scythe>, tokio::task::JoinHandle<()>) {
    let script = script::parse("nodes 3\nvm 101 on pve2\n").expect("a scene");
    let (world, rules) = setting(&script).expect("a scene");
    let now = world.now;
    let doors = Doors::new(world);
    let store = Kept::new(&doors);
    let ask = Ask::Drain { node: "pve2".into(), reason: "new firmware".into(), yes: true };
    let request = Request { id: RequestId("ask-1".to_owned()), by: Person::from("alice"), at: now, ask };
    store.request(&request).await.expect("it is in memory");
    let (scythe, signs) = (Scythe::at(strikes.iter().copied()), Arc::new(Signs::default()));
    let loops = Arc::new(reconciler(&doors, &store, &scythe, &rules, None, &Arc::default(), signs.clone()));
    let turning = loops.clone();
    let task = tokio::spawn(async move { turning.run(CancellationToken::new()).await });
    (loops, signs, scythe, task)
}

#[tokio::test]
async fn a_turn_that_hangs_gives_no_sign_of_life() {
    let (loops, signs, scythe, task) = running(&[0]).await;
    let fell = tokio::time::timeout(Duration::from_secs(30), scythe.fell()).await;
    fell.expect("the first commit hangs");
    let hung = signs.seen();
    assert!(hung > 0, "the turn began, and looked");
    // Somebody looks at the console again and again: the process answers, and the loop hangs all the same.
    for _ in 0..10 {
        loops.judge(&"pve3".into()).await.expect("a judgement");
    }
    assert_eq!(signs.seen(), hung, "a turn that hangs was held to be alive");
    assert!(!task.is_finished(), "it hangs, and did not end");
    task.abort();
}

#[tokio::test]
async fn a_loop_that_turns_and_waits_does() {
    let (_loops, signs, _scythe, task) = running(&[]).await;
    let waits = async {
        while signs.waits.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waits)
        .await
        .expect("it waits between two turns, and says so");
    task.abort();
}
