//! Budgets, the breaker and the kill switch stop beginnings. What is held is given back all the same: over every turn of the
//! crash tests' stories, and from every moment of them.

use std::time::Duration;

use pitlane::decide::decide;
use pitlane::model::case::{Case, Phase};
use pitlane::model::ids::{Person, RequestId};
use pitlane::model::request::{Ask, Request};
use pitlane::model::state::State;

use crate::crash::{IN_PLACE, ROOM, WHOLE_WAY};
use crate::deadly::Scythe;
use crate::events::exhaust;
use crate::harness::Teller;
use crate::script::{self, Script, Until};

/// A debug build takes samples.
const MOMENTS_APART: usize = if cfg!(debug_assertions) { 7 } else { 1 };
/// What these stories need is less; whoever is stopped for good needs more.
const END: Duration = Duration::from_secs(24 * 3600);
const STEP: Duration = Duration::from_secs(10);

fn way(text: &str) -> Script {
    script::parse(text).expect("the crash tests read this script")
}

fn teller(script: &Script) -> Teller {
    Teller::new(script, Scythe::idle()).expect("the scene can be set")
}

fn block_on<T>(ends: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(ends)
}

async fn holding(teller: &Teller) -> Option<Case> {
    let cases = teller.store.cases(100).await.expect("it is in memory");
    cases.into_iter().find(|case| case.open() && !case.owed.nothing())
}

async fn closed(teller: &Teller) -> bool {
    let cases = teller.store.cases(100).await.expect("it is in memory");
    !cases.is_empty() && cases.iter().all(|case| !case.open())
}

/// The same turn, decided with budgets as they are and with none left: while everything goes back, the decisions are one.
#[test]
fn no_budget_changes_a_turn_that_gives_back() {
    let mut compared = 0;
    for text in [WHOLE_WAY, IN_PLACE, ROOM] {
        let script = way(text);
        let mut teller = teller(&script);
        block_on(async {
            let mut until = Duration::ZERO;
            while !closed(&teller).await {
                until += STEP;
                assert!(until < END, "the story ends");
                teller.run(&Until::At(until)).await.expect("the story goes on");
                let shown = teller.reconciler.shown().borrow().clone();
                let gives = |case: &Case| matches!(case.phase, Phase::GivingBack { .. });
                let cases: Vec<Case> = shown.state.cases.iter().filter(|case| gives(case)).cloned().collect();
                if cases.is_empty() {
                    continue;
                }
                let state = State { cases, ..(*shown.state).clone() };
                let mut without = teller.rules.clone();
                exhaust(&mut without);
                let free = decide(&state, &shown.observed, &teller.rules);
                let bound = decide(&state, &shown.observed, &without);
                assert_eq!((free.steps, free.cases, free.notes), (bound.steps, bound.cases, bound.notes));
                compared += 1;
            }
        });
    }
    assert!(compared > 10, "only {compared} turns gave something back: that shows nothing");
}

/// Each moment at which something is held: from there on the budgets are exhausted and every other machine alarms, and a
/// person calls it off. Everything is given back.
#[test]
fn whatever_is_exhausted_everything_goes_home() {
    from_every_moment(|teller| {
        exhaust(&mut teller.rules);
        teller.restart();
        for node in ["pve1", "pve3"] {
            for part in ["FAN7", "FAN8"] {
                let told = teller.fires(node, part, pitlane::sim::world::Sensor::Bad);
                block_on(teller.store.ingest(vec![told])).expect("it is in memory");
            }
        }
    });
}

/// The same with the kill switch pulled for two minutes: nothing at all is done meanwhile (the world panics), and then
/// everything is given back.
#[test]
fn a_released_kill_switch_leaves_nothing_behind() {
    from_every_moment(|teller| {
        pull(teller, true);
        let until = pitlane::model::time::age(teller.now(), teller.began) + Duration::from_secs(120);
        block_on(teller.run(&Until::At(until))).expect("two minutes pass");
        pull(teller, false);
    });
}

fn pull(teller: &mut Teller, pulled: bool) {
    let path = pulled.then(|| std::env::current_exe().expect("this test is a file"));
    teller.kill = path;
    teller.doors.world().kill_switch = pulled;
    teller.restart();
}

/// `trouble`: what happens at that moment. Then a person calls it off, and says that nobody works on the machine.
fn from_every_moment(trouble: impl Fn(&mut Teller)) {
    let mut tried = 0;
    for text in [WHOLE_WAY, IN_PLACE, ROOM] {
        let script = way(text);
        let mut moment = 0;
        loop {
            let mut teller = teller(&script);
            let at = STEP * u32::try_from(moment).expect("few");
            block_on(teller.run(&Until::At(at))).expect("the story begins");
            if block_on(closed(&teller)) {
                break;
            }
            moment += MOMENTS_APART;
            let Some(case) = block_on(holding(&teller)) else { continue };
            trouble(&mut teller);
            // Who has not begun by then reads on the page that it is called off, and never begins.
            let begins = |what: &str| ["opens", "pulls"].contains(&what);
            teller.events.retain(|event| !event.words.get(1).is_some_and(|what| begins(what)));
            ask(&mut teller, 1, Ask::Abort { case: case.id, reason: "enough".to_owned() });
            let left = block_on(to_the_end(&mut teller, &case));
            for line in ["guests not as they were: none", "held: none", "work orders open: 0"] {
                assert!(left.contains(line), "from {at:?} in {}: {line}?\n{left}", case.phase.name());
            }
            tried += 1;
        }
    }
    assert!(tried > 10, "only {tried} moments were tried: that shows nothing");
}

fn ask(teller: &mut Teller, n: u32, ask: Ask) {
    let id = RequestId(format!("enough-{n}"));
    let request = Request { id, by: Person::from("operator"), at: teller.now(), ask };
    block_on(teller.store.request(&request)).expect("it is in memory");
}

/// Until that case is closed; a machine that is open is closed, and that is said.
async fn to_the_end(teller: &mut Teller, case: &Case) -> String {
    let mut until = pitlane::model::time::age(teller.now(), teller.began);
    let mut said = 1;
    loop {
        until += STEP * 6;
        assert!(until < END, "case {} does not end\n{}", case.id, teller.history().await.unwrap_or_default());
        teller.run(&Until::At(until)).await.unwrap_or_else(|why| panic!("{why}"));
        let now = teller.store.case(case.id).await.expect("it is in memory").expect("it is there");
        if !now.open() {
            return teller.left_behind().await.expect("the end can be told");
        }
        if matches!(now.phase, Phase::HandedOver { cancelled: Some(_), claim: None, .. })
            && teller.events.is_empty()
        {
            said += 1;
            let what = Ask::Done { case: case.id, note: String::new(), hands_off: true };
            let request = Request {
                id: RequestId(format!("enough-{said}")),
                by: Person::from("technician"),
                at: teller.now(),
                ask: what,
            };
            teller.store.request(&request).await.expect("it is in memory");
        }
    }
}
