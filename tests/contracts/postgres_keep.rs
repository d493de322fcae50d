//! What is over goes from the database as it goes from a file: the oldest first, and the journal's chain still holds.

use std::time::Duration;

use pitlane::adapters::store::Keep;
use pitlane::model::case::{Case, Origin, Phase};
use pitlane::model::ids::CaseId;
use pitlane::model::note::Note;
use pitlane::model::state::Decision;
use pitlane::model::time::Time;
use pitlane::ports::{Clock as _, Store as _};

use crate::postgres::{LONG, database, leading, new_cluster};
use crate::postgres_store::{Still, clock, remarks};

#[tokio::test]
async fn what_is_over_is_let_go_where_that_is_said_and_the_chain_still_holds() {
    let (database, cluster) = (database(), new_cluster());
    let fleet = database.instance(LONG).await;
    let (store, lease) = leading(&fleet, &cluster, clock()).await;
    let long_ago: Time = "2024-01-01T00:00:00Z".parse().expect("a time");
    let aged = |words: &[&str], case: Option<CaseId>, at: Time| {
        remarks(words).notes.into_iter().map(move |note| Note { at, case, ..note }).collect::<Vec<_>>()
    };
    let notes = [
        aged(&["old a", "old b"], None, long_ago),
        aged(&["of an open case"], Some(CaseId(1)), long_ago),
        aged(&["old, and behind that"], None, long_ago),
        aged(&["young"], None, Still.now()),
    ];
    let decision = Decision { notes: notes.concat(), cases: vec![open_case(1)], ..Decision::default() };
    store.commit(&decision, Still.now()).await.expect("holds it");
    let whole = store.verify().await.expect("holds");
    let lines = store.lines(None, 0, 9).await.expect("reads");
    let day = Duration::from_secs(24 * 3600);
    store.keep(Keep { closed_cases: Some(400 * day), journal: Some(400 * day) });
    store.load().await.expect("loads");
    let head = store.verify().await.expect("holds");
    assert_eq!(
        (head.begins_after, head.entries(), &head.hash),
        (2, 3, &whole.hash),
        "an open case keeps its own"
    );
    assert_eq!(store.lines(None, 0, 9).await.expect("reads"), lines[2..], "what is left says what it said");
    assert_eq!(store.inspect().await.expect("is whole").journal, head);
    store.commit(&remarks(&["next"]), Still.now()).await.expect("holds it");
    assert_eq!(store.verify().await.expect("holds").seq, 6);
    drop(lease);
}

fn open_case(id: u64) -> Case {
    Case {
        id: CaseId(id),
        node: "pve1".into(),
        policy: "fan".into(),
        origin: Origin::Person { by: "anna".into(), reason: "dust".into(), yes: false },
        opened_at: Still.now(),
        faults: Default::default(),
        phase: Phase::Confirming { since: Still.now() },
        owed: Default::default(),
        wait: None,
        overran: false,
        late: false,
        heal: false,
        in_place: None,
        took: None,
        parts: Default::default(),
        revision: 0,
    }
}
