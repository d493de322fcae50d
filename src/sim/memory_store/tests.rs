use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::model::case::{Origin, Phase};
use crate::model::ids::Person;
use crate::model::request::Ask;
use crate::sim::world::sensor::{episode, fan};

fn at(second: i64) -> Time {
    Time::from_second(1_800_000_000 + second).expect("in range")
}

fn case(revision: u64) -> Case {
    Case {
        id: CaseId(1),
        node: "pve1".into(),
        policy: "manual".into(),
        origin: Origin::Person { by: Person::from("kim"), reason: String::new(), yes: true },
        opened_at: at(0),
        faults: BTreeSet::new(),
        phase: Phase::Confirming { since: at(0) },
        owed: crate::model::owed::Owed::default(),
        wait: None,
        overran: false,
        late: false,
        heal: false,
        in_place: None,
        took: None,
        parts: Default::default(),
        revision,
    }
}

fn deciding(case: Case) -> Decision {
    Decision { cases: vec![case], ..Decision::default() }
}

#[tokio::test]
async fn a_commit_on_an_old_revision_changes_nothing() {
    let store = MemoryStore::new();
    assert_eq!(store.load().await.expect("loads").next_case, 1);
    store.commit(&deciding(case(0)), at(1)).await.expect("new");
    assert_eq!(store.commit(&deciding(case(0)), at(2)).await, Err(Uncommitted::Conflict));
    let second = Case { id: CaseId(2), ..case(0) };
    let half = Decision { cases: vec![second, case(7)], ..Decision::default() };
    assert_eq!(store.commit(&half, at(3)).await, Err(Uncommitted::Conflict));
    let state = store.load().await.expect("loads");
    assert_eq!((state.cases.len(), state.cases[0].revision, state.next_case), (1, 1, 2));
}

#[tokio::test]
async fn a_failure_after_the_write_has_written() {
    let store = MemoryStore::new();
    store.fail(Writing::Commit, Fails::Before);
    assert!(store.commit(&deciding(case(0)), at(1)).await.is_err());
    assert!(store.load().await.expect("loads").cases.is_empty());
    store.fail(Writing::Commit, Fails::After);
    assert!(store.commit(&deciding(case(0)), at(1)).await.is_err());
    let reborn = MemoryStore::from(store.snapshot());
    assert_eq!(reborn.load().await.expect("loads").cases.len(), 1);
}

#[tokio::test]
async fn an_end_once_heard_stays_whatever_comes_later() {
    let store = MemoryStore::new();
    let fault = fan("pve1", "FAN3");
    let firing = episode(&fault, at(0), None);
    let over = episode(&fault, at(0), Some(at(9)));
    let told = store.ingest(vec![firing.clone(), over, firing]).await.expect("stored");
    assert_eq!(told, Ingested { new: 1, resolved: 1, known: 1 });
    assert_eq!(store.episodes(at(5)).await.expect("read")[0].ends_at, Some(at(9)));
    assert!(store.episodes(at(9)).await.expect("read").is_empty());
}

#[tokio::test]
async fn the_same_request_twice_is_one_and_is_answered_once() {
    let store = MemoryStore::new();
    let ask = |reason: &str| Request {
        id: "r1".into(),
        by: "kim".into(),
        at: at(0),
        ask: Ask::Pause { reason: reason.into() },
    };
    store.request(&ask("storm")).await.expect("stored");
    store.request(&Request { at: at(5), ..ask("storm") }).await.expect("the same");
    assert!(store.request(&ask("other")).await.is_err());
    assert_eq!(store.load().await.expect("loads").requests.len(), 1);
    let replies = BTreeMap::from([("r1".into(), Reply::Accepted { case: None })]);
    let answer = Decision { replies, ..Decision::default() };
    store.commit(&answer, at(6)).await.expect("answered");
    assert_eq!(store.commit(&answer, at(7)).await, Err(Uncommitted::Conflict));
    assert!(store.load().await.expect("loads").requests.is_empty());
    assert!(store.reply(&"r1".into()).await.expect("read").is_some());
}
