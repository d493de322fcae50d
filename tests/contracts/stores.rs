//! The store in memory, on which stories and crash tests stand, the one in a file and the one in PostgreSQL promise the same:
//! whatever is done to all of them, all answer the same and remember the same.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pitlane::adapters::store::{self, PostgresFleet};
use pitlane::model::alert::{Episode, Listed};
use pitlane::model::case::{Case, Ending, Origin, Phase};
use pitlane::model::ids::{CaseId, Fingerprint, GuestId, Person, RequestId, Upid};
use pitlane::model::labels::Labels;
use pitlane::model::note::{Note, Noted};
use pitlane::model::notice::{ChannelName, Notice, NoticeId, Urgency};
use pitlane::model::observed::GuestKind;
use pitlane::model::owed::Owed;
use pitlane::model::proof::Settled;
use pitlane::model::rates::{MEASURED_MAX, Measured, Sent};
use pitlane::model::request::{Ask, Reply, Request};
use pitlane::model::seen::Trouble;
use pitlane::model::state::{Decision, Pause};
use pitlane::model::step::{Action, Outcome, Step, StepId};
use pitlane::model::time::{Time, after};
use pitlane::ports::{Archive, Clock, Outbox, Store, Uncommitted};
use pitlane::sim::memory_store::MemoryStore;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::postgres::{LONG, database, leading, new_cluster};

/// What may be done to a store. Numbers are small, so that things meet.
#[derive(Clone, Debug)]
enum Act {
    Commit {
        cases: Vec<(u64, u64, u8)>,
        notes: u8,
        steps: Vec<u8>,
        replies: Vec<u8>,
        pause: Option<bool>,
    },
    Record {
        case: u64,
        step: u8,
        done: bool,
    },
    Deliver {
        notice: u8,
        channel: u8,
        arrived: bool,
    },
    Ingest(Vec<(u8, u8, Option<u8>)>),
    /// Alert, start and when it was last updated; and alert and start of what is gone.
    Level(Vec<(u8, u8, u8)>, Vec<(u8, u8)>),
    Request {
        id: u8,
        ask: u8,
    },
    /// Task and end.
    Learn(Vec<(u8, u8)>),
}

/// A minute after the last commit, whatever it was: both stores remember the same past.
struct Still;

impl Clock for Still {
    fn now(&self) -> Time {
        at(60)
    }
}

fn at(secs: u64) -> Time {
    after("2026-03-01T10:00:00Z".parse().expect("a time"), Duration::from_secs(secs))
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let case = (1..4u64, 0..4u64, 0..3u8);
    let commit = (
        prop::collection::vec(case, 0..3),
        0..3u8,
        prop::collection::vec(0..3u8, 0..3),
        prop::collection::vec(0..3u8, 0..2),
        prop::option::weighted(0.2, any::<bool>()),
    );
    let told = (0..3u8, 0..3u8, prop::option::of(3..6u8));
    let act = prop_oneof![
        4 => commit.prop_map(|(cases, notes, steps, replies, pause)| Act::Commit { cases, notes, steps, replies, pause }),
        2 => (0..3u8, 0..2u8, any::<bool>())
            .prop_map(|(notice, channel, arrived)| Act::Deliver { notice, channel, arrived }),
        1 => (1..4u64, 0..3u8, any::<bool>()).prop_map(|(case, step, done)| Act::Record { case, step, done }),
        1 => prop::collection::vec(told, 0..5).prop_map(Act::Ingest),
        1 => (prop::collection::vec((0..3u8, 0..3u8, 2..7u8), 0..3), prop::collection::vec((0..3u8, 0..3u8), 0..3))
            .prop_map(|(listed, gone)| Act::Level(listed, gone)),
        2 => (0..3u8, 0..2u8).prop_map(|(id, ask)| Act::Request { id, ask }),
        1 => prop::collection::vec((0..4u8, 0..6u8), 0..4).prop_map(Act::Learn),
    ];
    prop::collection::vec(act, 1..24)
}

/// Each case is a new database with some twenty waits for the disk.
#[test]
fn memory_and_file_answer_and_remember_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
    compare(48, |acts| runtime.block_on(same(&acts, None)));
}

/// Each case is a cluster of its own, in one database, reached by one instance: what is made once is made once.
#[test]
fn postgres_answers_and_remembers_the_same() {
    let database = database();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
    let fleet = runtime.block_on(database.instance(LONG));
    compare(12, |acts| runtime.block_on(same(&acts, Some(&fleet))));
}

fn compare(cases: u32, run: impl Fn(Vec<Act>) -> Result<(), TestCaseError>) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    if let Err(failed) = TestRunner::new(config).run(&acts(), run) {
        panic!("{failed}");
    }
}

async fn same(acts: &[Act], fleet: Option<&PostgresFleet>) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = store::open(dir.path(), Arc::new(Still)).expect("opens");
    let memory = MemoryStore::new();
    let remote = match fleet {
        Some(fleet) => Some(leading(fleet, &new_cluster(), Arc::new(Still)).await),
        None => None,
    };
    for (n, act) in acts.iter().enumerate() {
        let expected = perform(&memory, act).await;
        prop_assert_eq!(perform(&disk, act).await, expected.clone(), "{:?}", act);
        if let Some((remote, _)) = &remote {
            prop_assert_eq!(perform(remote, act).await, expected, "PostgreSQL: {:?}", act);
        }
        let expected = remembered(&memory).await;
        prop_assert_eq!(remembered(&disk).await, expected.clone(), "{:?}", act);
        // Each is a dozen transactions: now and then is enough to find where it began.
        let now_and_then = n % 6 == 5 || n + 1 == acts.len();
        if let Some((remote, _)) = remote.as_ref().filter(|_| now_and_then) {
            prop_assert_eq!(remembered(remote).await, expected, "PostgreSQL: {:?}", act);
        }
    }
    let head = disk.verify().await.expect("the chain holds");
    let (Some(fleet), Some((remote, lease))) = (fleet, remote) else { return Ok(()) };
    prop_assert_eq!(remote.verify().await.expect("the chain holds"), head.clone());
    remote.inspect().await.expect("every row can be read");
    drop((remote, lease));
    moves(fleet, disk, dir.path(), &memory, head).await
}

/// Moved from the file into the database, it is what it was, and the file is not used again.
async fn moves(
    fleet: &PostgresFleet,
    disk: store::SqliteStore,
    dir: &Path,
    memory: &MemoryStore,
    head: store::Head,
) -> Result<(), TestCaseError> {
    let before = remembered(memory).await;
    drop(disk);
    let cluster = new_cluster();
    let moved = fleet.take_over(dir, &cluster, "the tests").await.expect("is whole, and not there yet");
    prop_assert_eq!(&moved.holds.journal, &head);
    let (remote, _lease) = leading(fleet, &cluster, Arc::new(Still)).await;
    prop_assert_eq!(remembered(&remote).await, before);
    prop_assert_eq!(remote.verify().await.expect("the chain holds"), head);
    let again = fleet.take_over(dir, &new_cluster(), "elsewhere").await;
    let refused = [again.map(drop), store::open(dir, Arc::new(Still)).map(drop)];
    let moved = refused.iter().all(|said| matches!(said, Err(store::StoreError::Moved { .. })));
    prop_assert!(moved, "{:?}", refused);
    Ok(())
}

/// What was answered, without the words.
async fn perform<S: Store + Outbox>(store: &S, act: &Act) -> String {
    match act {
        Act::Commit { cases, notes, steps, replies, pause } => {
            let decision = Decision {
                cases: cases.iter().map(|(id, revision, phase)| case(*id, *revision, *phase)).collect(),
                notes: (0..*notes).map(|n| note(cases.first().map(|case| case.0), n)).collect(),
                notices: (0..*notes).map(|n| notice(cases.first().map(|case| case.0), n)).collect(),
                // Steps belong to a case of the same decision.
                steps: cases.iter().zip(steps).map(|(case, subject)| step(case.0, *subject)).collect(),
                replies: replies.iter().map(|id| (request_id(*id), Reply::Accepted { case: None })).collect(),
                pause: pause
                    .map(|pull| pull.then(|| Pause { by: "anna".into(), at: at(1), reason: "x".into() })),
                ..Decision::default()
            };
            match store.commit(&decision, at(2)).await {
                Ok(()) => "committed".into(),
                Err(Uncommitted::Conflict) => "conflict".into(),
                Err(Uncommitted::Trouble(trouble)) => trouble.kind().into(),
            }
        }
        Act::Deliver { notice, channel, arrived } => {
            let sent = if *arrived { Ok(()) } else { Err(Trouble::Unreachable("away".into())) };
            let id = NoticeId(format!("notice-{notice}"));
            let said = store.delivered(&id, &ChannelName(format!("channel-{channel}")), at(3), &sent).await;
            said.map_or_else(|trouble| trouble.kind().into(), |()| "delivered".into())
        }
        Act::Record { case, step, done } => {
            let outcome = if *done { Outcome::Done { ticket: None } } else { Outcome::Expired };
            let said = store.record(&step_id(*case, *step), at(3), &outcome).await;
            said.map_or_else(|trouble| trouble.kind().into(), |()| "recorded".into())
        }
        Act::Ingest(told) => {
            let told = told.iter().map(|(alert, start, end)| episode(*alert, *start, *end)).collect();
            format!("{:?}", store.ingest(told).await.expect("stores"))
        }
        Act::Level(listed, gone) => {
            let listed = listed.iter().map(|(alert, start, updated)| Listed {
                episode: episode(*alert, *start, None),
                updated_at: at(u64::from(*updated)),
                suppressed: false,
            });
            let gone = gone.iter().map(|(alert, start)| episode(*alert, *start, None).key());
            format!("{:?}", store.level(listed.collect(), gone.collect(), at(5)).await.expect("stores"))
        }
        Act::Learn(told) => {
            let told = told.iter().map(|(task, end)| measured(u16::from(*task), *end));
            store.learn(told.collect()).await.expect("stores");
            "learned".into()
        }
        Act::Request { id, ask } => {
            let ask = if *ask == 0 { Ask::Resume } else { Ask::Pause { reason: "x".into() } };
            let request =
                Request { id: request_id(*id), by: Person::from("anna"), at: at(u64::from(*id)), ask };
            let said = store.request(&request).await;
            said.map_or_else(|trouble| trouble.kind().into(), |()| "asked".into())
        }
    }
}

/// Everything that a store can be asked for.
async fn remembered<S: Store + Archive + Outbox>(store: &S) -> String {
    let state = store.load().await.expect("loads");
    let episodes = store.episodes(at(4)).await.expect("reads");
    let cases = store.cases(2).await.expect("reads");
    let journal = store.journal(None, 1, 5).await.expect("reads");
    let story = store.journal(Some(CaseId(1)), 0, 9).await.expect("reads");
    let ledger = store.ledger(CaseId(2)).await.expect("reads");
    let untold = store.undelivered().await.expect("reads");
    let learned = store.learned().await.expect("reads");
    let mut replies = Vec::new();
    for id in 0..3 {
        replies.push(store.reply(&request_id(id)).await.expect("reads"));
    }
    format!(
        "{state:#?}{episodes:#?}{cases:#?}{journal:#?}{story:#?}{ledger:#?}{replies:#?}{untold:#?}{learned:#?}"
    )
}

fn case(id: u64, revision: u64, phase: u8) -> Case {
    let phase = match phase {
        0 => Phase::Confirming { since: at(0) },
        1 => Phase::Stranded { since: at(1), cancelled: None },
        _ => {
            let paid = Settled::of(&Owed::default()).expect("nothing is owed");
            Phase::Closed { at: at(2), ending: Ending::Returned, paid }
        }
    };
    Case {
        id: CaseId(id),
        node: "pve1".into(),
        policy: "fan".into(),
        origin: Origin::Person { by: "anna".into(), reason: "dust".into(), yes: false },
        opened_at: at(0),
        faults: BTreeSet::new(),
        phase,
        owed: Owed::default(),
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

/// To one channel or two; the same id may come again with other words.
fn notice(case: Option<u64>, n: u8) -> Notice {
    Notice {
        id: NoticeId(format!("notice-{n}")),
        at: at(u64::from(n)),
        urgency: Urgency::Page,
        title: format!("for case {case:?}"),
        body: String::new(),
        node: None,
        case: case.map(CaseId),
        to: (0..=n.min(1)).map(|n| ChannelName(format!("channel-{n}"))).collect(),
    }
}

fn note(case: Option<u64>, n: u8) -> Note {
    let what = match n {
        0 => Noted::DrainBegins { node: "pve1".into() },
        _ => Noted::Remark { by: "anna".into(), text: format!("remark {n}") },
    };
    Note { at: at(u64::from(n)), case: case.map(CaseId), what }
}

fn step(case: u64, subject: u8) -> Step {
    Step {
        id: step_id(case, subject),
        case: CaseId(case),
        node: "pve1".into(),
        action: Action::Comment { text: "words".into() },
        not_after: at(9),
    }
}

fn step_id(case: u64, subject: u8) -> StepId {
    StepId::new(CaseId(case), &format!("comment/{subject}"))
}

fn measured(task: u16, end: u8) -> Measured {
    Measured {
        task: Upid(format!("UPID:pve1:{task:04}")),
        guest: GuestId(100 + u32::from(task)),
        kind: GuestKind::Qemu,
        from: "pve1".into(),
        to: "pve2".into(),
        started: at(0),
        ended: at(u64::from(end)),
        ran: true,
        memory: Some(Sent { bytes: 1 << 30, millis: 1_000, rate: Some(u64::from(task) << 20) }),
        disks: None,
        dirty: None,
        downtime_ms: Some(u64::from(end)),
        fixed_ms: None,
    }
}

/// What was measured is kept each task once, and no more than the newest.
#[tokio::test]
async fn measurements_are_kept_once_and_the_oldest_are_forgotten() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = store::open(dir.path(), Arc::new(Still)).expect("opens");
    let memory = MemoryStore::new();
    let database = database();
    let (remote, _lease) = leading(&database.instance(LONG).await, &new_cluster(), Arc::new(Still)).await;
    let max = MEASURED_MAX as u16;
    for from in [0, 100, 100] {
        let told: Vec<Measured> = (from..from + max).map(|n| measured(n, u8::from(n >= 100))).collect();
        disk.learn(told.clone()).await.expect("stores");
        remote.learn(told.clone()).await.expect("stores");
        memory.learn(told).await.expect("stores");
    }
    let kept = disk.learned().await.expect("reads");
    assert_eq!(kept, memory.learned().await.expect("reads"));
    assert_eq!(kept, remote.learned().await.expect("reads"));
    assert_eq!(kept.len(), MEASURED_MAX);
    assert_eq!((kept[0].task.as_str(), kept[499].task.as_str()), ("UPID:pve1:0100", "UPID:pve1:0599"));
    let rates = disk.load().await.expect("loads").rates;
    assert_eq!(rates, memory.load().await.expect("loads").rates);
    assert_eq!(rates.migrations, 500);
}

fn request_id(id: u8) -> RequestId {
    RequestId(format!("request-{id}"))
}

fn episode(alert: u8, start: u8, end: Option<u8>) -> Episode {
    Episode {
        fingerprint: Fingerprint(alert.to_string()),
        labels: Labels::from([("node", "pve1")]),
        starts_at: at(start.into()),
        received_at: at(start.into()),
        ends_at: end.map(|end| at(end.into())),
    }
}

/// What a list and its absence do to one episode, on all stores.
#[tokio::test]
async fn the_level_beats_the_edge() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = store::open(dir.path(), Arc::new(Still)).expect("opens");
    let memory = MemoryStore::new();
    let database = database();
    let (remote, _lease) = leading(&database.instance(LONG).await, &new_cluster(), Arc::new(Still)).await;
    for store in [&disk as &dyn Store, &memory, &remote] {
        let listed = |updated: u64| {
            vec![Listed { episode: episode(1, 0, None), updated_at: at(updated), suppressed: true }]
        };
        let key = episode(1, 0, None).key();
        let ends = async || store.episodes(at(0)).await.expect("reads").first().map(|e| e.ends_at);
        let said = store.level(listed(1), Vec::new(), at(1)).await.expect("stores");
        assert_eq!((said.new, said.resolved, said.known), (1, 0, 0), "listed, and never delivered");
        assert_eq!(ends().await, Some(None));
        store.ingest(vec![episode(1, 0, Some(4))]).await.expect("stores");
        store.level(listed(3), Vec::new(), at(5)).await.expect("stores");
        assert_eq!(ends().await, Some(Some(at(4))), "a list older than the end");
        let said = store.level(listed(5), Vec::new(), at(6)).await.expect("stores");
        assert_eq!((said.new, ends().await), (1, Some(None)), "a list newer than the end");
        store.ingest(vec![episode(1, 0, None)]).await.expect("stores");
        let said = store.level(Vec::new(), vec![key.clone()], at(9)).await.expect("stores");
        assert_eq!((said.resolved, ends().await), (1, Some(Some(at(9)))), "listed nowhere any more");
        store.ingest(vec![episode(1, 0, None)]).await.expect("stores");
        let said = store.level(Vec::new(), vec![key], at(12)).await.expect("stores");
        assert_eq!((said.resolved, ends().await), (0, Some(Some(at(9)))), "over is over, and told once");
    }
}
