//! What the store in PostgreSQL promises beyond what every store does: several instances beside each other, leases, a database
//! that goes away and comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pitlane::adapters::store::{PostgresFleet, PostgresStore, StoreError};
use pitlane::model::alert::Episode;
use pitlane::model::ids::{CaseId, ClusterName, Fingerprint, Person, RequestId};
use pitlane::model::labels::Labels;
use pitlane::model::note::{Note, Noted};
use pitlane::model::notice::{ChannelName, Notice, NoticeId, Urgency};
use pitlane::model::request::{Ask, Request};
use pitlane::model::seen::Trouble;
use pitlane::model::shared::Place;
use pitlane::model::state::Decision;
use pitlane::model::step::{StepId, WorkOrder};
use pitlane::model::time::Time;
use pitlane::ports::{
    AlwaysGood, Archive, Bells, Claimed, Clock, Fleet, Lease, Leases, NoTenure, Outbox, Renewed, Store,
    Tenure, Tickets, Uncommitted,
};

use crate::postgres::{Database, LONG, database, leading, new_cluster};

pub struct Still;

impl Clock for Still {
    fn now(&self) -> Time {
        "2026-03-01T10:00:00Z".parse().expect("a time")
    }
}

pub fn clock() -> Arc<dyn Clock> {
    Arc::new(Still)
}

/// By hand, beside pitlane.
async fn psql(database: &Database, statement: &str) {
    let (client, talk) =
        tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.expect("connects");
    tokio::spawn(talk);
    client.batch_execute(statement).await.expect(statement);
}

pub fn remarks(words: &[&str]) -> Decision {
    let what = |word: &&str| Noted::Remark { by: Person::from("anna"), text: (*word).to_owned() };
    let note = |word| Note { at: Still.now(), case: None, what: what(word) };
    Decision { notes: words.iter().map(note).collect(), ..Decision::default() }
}

fn notice(id: &str) -> Notice {
    Notice {
        id: NoticeId(id.into()),
        at: Still.now(),
        urgency: Urgency::Page,
        title: String::new(),
        body: String::new(),
        node: None,
        case: None,
        to: vec![ChannelName("mail".into())].into_iter().collect(),
    }
}

fn episode(alert: &str, ends_at: Option<Time>) -> Episode {
    Episode {
        fingerprint: Fingerprint(alert.to_owned()),
        labels: Labels::from([("node", "pve\u{0}\u{1}1")]),
        starts_at: Still.now(),
        received_at: Still.now(),
        ends_at,
    }
}

fn fenced<T: std::fmt::Debug>(said: Result<T, Trouble>) -> bool {
    matches!(said, Err(Trouble::Refused(text)) if text.contains("lease"))
}

/// Until it is granted, and how long that took.
async fn taken(fleet: &PostgresFleet, cluster: &ClusterName) -> (Arc<dyn Lease>, Duration) {
    let began = Instant::now();
    loop {
        if let Some(lease) = fleet.leases().take(cluster).await.expect("answers") {
            return (lease, began.elapsed());
        }
        assert!(began.elapsed() < Duration::from_secs(60), "nobody renews it, and it does not become free");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_a_past_holder_decides_is_refused_and_nothing_of_it_stays() {
    let (database, cluster) = (database(), new_cluster());
    let (first, second) = (database.instance(Duration::from_secs(2)).await, database.instance(LONG).await);
    let (past, lease) = leading(&first, &cluster, clock()).await;
    let key = StepId::new(CaseId(1), "comment/x");
    past.commit(&Decision { notices: vec![notice("n")], ..remarks(&["first"]) }, Still.now())
        .await
        .expect("holds it");
    assert!(second.leases().take(&cluster).await.expect("answers").is_none(), "somebody has it");
    let (now_its, _) = taken(&second, &cluster).await;
    assert_eq!(now_its.fence().expect("good").term, 2);
    assert_eq!((lease.left(), lease.fence()), (Duration::ZERO, None), "it stopped by its own count before");
    assert_eq!(lease.renew().await, Ok(Renewed::Lost));

    // One that goes by a clock that stood still: only the database can stop it.
    struct Believes(pitlane::ports::Fence);
    impl Tenure for Believes {
        fn fence(&self) -> Option<pitlane::ports::Fence> {
            Some(self.0.clone())
        }
        fn left(&self) -> Duration {
            Duration::MAX
        }
    }
    let held =
        second.leases().holders().await.expect("reads").into_iter().find(|held| held.cluster == cluster);
    let mut fence = held.expect("held").fence;
    assert_eq!(Some(&fence), now_its.fence().as_ref());
    fence.term -= 1;
    let zombie = first.store(&cluster, Arc::new(Believes(fence)), clock()).expect("has a name");
    for past in [&past, &zombie] {
        let said = past.commit(&remarks(&["second"]), Still.now()).await;
        assert!(matches!(&said, Err(Uncommitted::Trouble(Trouble::Refused(_)))), "{said:?}");
        let done = pitlane::model::step::Outcome::Expired;
        assert!(fenced(past.record(&key, Still.now(), &done).await));
        assert!(fenced(
            past.delivered(&NoticeId("n".into()), &ChannelName("mail".into()), Still.now(), &Ok(())).await
        ));
        assert!(fenced(past.level(vec![], vec![episode("a", None).key()], Still.now()).await));
        let order =
            WorkOrder { node: "pve1".into(), title: String::new(), body: String::new(), checklist: vec![] };
        assert!(fenced(past.board().open(&key, CaseId(1), &order).await));
        assert!(fenced(past.board().comment(&key, CaseId(1), "words").await));
        // Taking in needs no lease.
        past.ingest(vec![episode("a", None)]).await.expect("stores");
        past.poison(b"?", "no JSON", Still.now()).await.expect("stores");
    }
    let store = second.store(&cluster, now_its, clock()).expect("has a name");
    assert_eq!(store.journal(None, 0, 9).await.expect("reads").len(), 1);
    assert_eq!(store.undelivered().await.expect("reads")[0].tries, 0);
    assert_eq!(store.unreadable(9).await.expect("reads").count, 2);
    assert!(store.board().sheets(9).await.expect("reads").is_empty());
    store.commit(&remarks(&["third"]), Still.now()).await.expect("holds it");
    assert_eq!(store.verify().await.expect("holds").seq, 2);
}

#[tokio::test]
async fn a_lease_goes_on_while_it_is_renewed_and_is_free_at_once_when_given_up() {
    let (database, cluster) = (database(), new_cluster());
    let (first, second) = (database.instance(Duration::from_secs(3)).await, database.instance(LONG).await);
    let lease = first.leases().take(&cluster).await.expect("answers").expect("is free");
    assert!(
        first.leases().take(&cluster).await.expect("answers").is_none(),
        "not even oneself takes it twice"
    );
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(lease.renew().await, Ok(Renewed::Still));
        assert!(second.leases().take(&cluster).await.expect("answers").is_none(), "somebody has it");
    }
    lease.give_up().await.expect("answers");
    assert_eq!(lease.left(), Duration::ZERO);
    let (next, waited) = taken(&second, &cluster).await;
    assert!(waited < Duration::from_secs(2), "{waited:?}");
    assert_eq!((next.fence().expect("good").term, lease.renew().await), (2, Ok(Renewed::Lost)));
    lease.give_up().await.expect("is not there any more");
    assert_eq!(next.renew().await, Ok(Renewed::Still), "what is given up late is nobody else's");
}

#[tokio::test]
async fn a_store_without_a_lease_decides_nothing() {
    let database = database();
    let fleet = database.instance(LONG).await;
    for tenure in [Arc::new(NoTenure) as Arc<dyn Tenure>, Arc::new(AlwaysGood)] {
        let store = fleet.store(&new_cluster(), tenure, clock()).expect("has a name");
        let said = store.commit(&remarks(&["x"]), Still.now()).await;
        assert!(matches!(&said, Err(Uncommitted::Trouble(Trouble::Refused(_)))), "{said:?}");
        assert!(store.load().await.is_ok(), "it can be looked at");
    }
    assert!(
        fleet.store(&ClusterName(String::new()), Arc::new(AlwaysGood), clock()).is_err(),
        "it needs a name"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clusters_do_not_see_each_other() {
    let database = database();
    let fleet = database.instance(LONG).await;
    let (one, _a) = leading(&fleet, &new_cluster(), clock()).await;
    let (other, _b) = leading(&fleet, &new_cluster(), clock()).await;
    one.ingest(vec![episode("a", None)]).await.expect("stores");
    one.commit(&Decision { notices: vec![notice("n")], ..remarks(&["x", "y"]) }, Still.now())
        .await
        .expect("holds it");
    let nothing = other.load().await.expect("loads");
    assert_eq!((nothing.told.len(), nothing.next_case), (0, 1));
    assert!(other.episodes(Time::MIN).await.expect("reads").is_empty());
    assert!(other.journal(None, 0, 9).await.expect("reads").is_empty());
    assert_eq!(
        one.episodes(Time::MIN).await.expect("reads")[..],
        [episode("a", None)],
        "every character came back"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_take_the_same_deliveries_in_at_the_same_time() {
    let (database, cluster) = (database(), new_cluster());
    let (first, second) = (database.instance(LONG).await, database.instance(LONG).await);
    let store =
        |fleet: &PostgresFleet| fleet.store(&cluster, Arc::new(NoTenure), clock()).expect("has a name");
    let (first, second) = (store(&first), store(&second));
    let told = |round: usize| {
        (0..20).map(|alert| episode(&format!("{}", round / 4 * 7 + alert), None)).collect::<Vec<_>>()
    };
    let mut running = Vec::new();
    for round in 0..40 {
        let store = if round % 2 == 0 { first.clone() } else { second.clone() };
        let mut told = told(round);
        if round % 3 == 0 {
            told.reverse();
        }
        running.push(tokio::spawn(async move { store.ingest(told).await }));
    }
    let (mut new, mut known) = (0, 0);
    for one in running {
        let count = one.await.expect("ends").expect("is stored");
        (new, known) = (new + count.new, known + count.known);
    }
    let stored = first.episodes(Time::MIN).await.expect("reads").len();
    assert_eq!((new, new + known), (stored, 40 * 20), "each is new once");
}

#[tokio::test]
async fn the_bell_is_rung_for_what_is_new_and_for_nothing_else() {
    let (database, cluster) = (database(), new_cluster());
    let fleet = database.instance(LONG).await;
    let store = fleet.store(&cluster, Arc::new(NoTenure), clock()).expect("has a name");
    let rung = async || {
        let of = [cluster.clone(), new_cluster()];
        fleet.rung(&of).await.expect("reads").get(&cluster).copied().unwrap_or_default()
    };
    assert_eq!(rung().await, 0);
    store.ingest(vec![episode("a", None)]).await.expect("stores");
    assert_eq!(rung().await, 1);
    store.ingest(vec![episode("a", None)]).await.expect("stores");
    assert_eq!(rung().await, 1, "known already");
    let request = Request { id: RequestId("r".into()), by: "anna".into(), at: Still.now(), ask: Ask::Resume };
    for _ in 0..2 {
        store.request(&request).await.expect("stores");
        assert_eq!(rung().await, 2);
    }
    store.ingest(vec![episode("a", Some(Still.now()))]).await.expect("stores");
    assert_eq!(rung().await, 3, "it is over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_claims_at_the_same_time_so_many_are_granted_as_there_are_places() {
    let database = database();
    let budget = new_cluster().0;
    let mut running = Vec::new();
    for _ in 0..3 {
        let fleet = database.instance(LONG).await;
        for _ in 0..4 {
            let (cluster, fleet, budget) = (new_cluster(), fleet.clone(), budget.clone());
            running.push(tokio::spawn(async move {
                let lease = fleet.leases().take(&cluster).await.expect("answers").expect("is free");
                let place = Place {
                    budget: budget.as_str().into(),
                    cluster,
                    node: "pve1".into(),
                    case: Some(CaseId(1)),
                    since: Still.now(),
                };
                let budgets = fleet.budgets(lease.clone());
                let said = budgets.claim(&place, 3).await;
                if said == Ok(Claimed::Granted) {
                    assert_eq!(budgets.claim(&place, 3).await, Ok(Claimed::Granted), "its own again");
                }
                (said, place, lease)
            }));
        }
    }
    let mut granted = Vec::new();
    let mut others = Vec::new();
    for one in running {
        match one.await.expect("ends") {
            (Ok(Claimed::Granted), place, lease) => granted.push((place, lease)),
            (said, place, lease) => {
                assert_eq!(said, Ok(Claimed::Full));
                others.push((place, lease));
            }
        }
    }
    assert_eq!((granted.len(), others.len()), (3, 9));
    let fleet = database.instance(LONG).await;
    let ours = async || {
        let places = fleet.budgets(Arc::new(NoTenure)).places().await.expect("reads");
        places.into_iter().filter(|place| place.budget.0 == budget).collect::<Vec<_>>()
    };
    let (place, lease) = &granted[0];
    assert!(ours().await.contains(place));
    assert!(fenced(fleet.budgets(Arc::new(NoTenure)).release(place).await), "only its holder gives it back");
    for _ in 0..2 {
        fleet.budgets(lease.clone()).release(place).await.expect("gives back");
        assert_eq!(ours().await.len(), 2);
    }
    let (next, lease) = &others[0];
    assert_eq!(fleet.budgets(lease.clone()).claim(next, 3).await, Ok(Claimed::Granted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_first_makes_the_tables_and_a_newer_schema_is_respected() {
    let up = database();
    let name = new_cluster().0.replace('-', "_");
    psql(&up, &format!("CREATE DATABASE {name}")).await;
    let mut settings = up.settings(LONG);
    settings.url = up.url().rsplit_once('/').map(|(front, _)| format!("{front}/{name}")).expect("an address");
    let mut running = Vec::new();
    for life in 0..6 {
        let settings =
            pitlane::adapters::store::PostgresSettings { holder: format!("life-{life}"), ..settings.clone() };
        running.push(tokio::spawn(async move { PostgresFleet::connect(&settings).await }));
    }
    let mut fleets = Vec::new();
    for one in running {
        fleets.push(one.await.expect("ends").expect("connects"));
    }
    let cluster = new_cluster();
    let (store, lease) = leading(&fleets[0], &cluster, clock()).await;
    store.commit(&remarks(&["x"]), Still.now()).await.expect("holds it");

    let (client, talk) =
        tokio_postgres::connect(&settings.url, tokio_postgres::NoTls).await.expect("connects");
    tokio::spawn(talk);
    // The next version, which this one can live with.
    client.batch_execute("UPDATE schema SET version = version + 1").await.expect("writes");
    assert_eq!(lease.renew().await, Ok(Renewed::Still));
    PostgresFleet::connect(&settings).await.expect("works beside it");
    // The one after that.
    client
        .batch_execute("UPDATE schema SET version = version + 1, oldest_reader = version + 1")
        .await
        .expect("writes");
    let said = PostgresFleet::connect(&settings).await.map(drop);
    assert!(matches!(&said, Err(StoreError::NewerDatabase { .. })), "{said:?}");
    assert!(lease.renew().await.is_err_and(|why| why.to_string().contains("newer pitlane")));
    assert_eq!(lease.left(), Duration::ZERO, "whoever knows the tables leads now");
    assert!(fleets[1].leases().take(&cluster).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_are_made_again_and_no_commit_is_half() {
    let (database, cluster) = (database(), new_cluster());
    let mut settings = database.settings(LONG);
    // So that those of other tests are left alone.
    settings.url = format!("{}?options=-c%20pitlane.test%3D1", settings.url);
    let fleet = PostgresFleet::connect(&settings).await.expect("connects");
    let (store, _lease) = leading(&fleet, &cluster, clock()).await;
    let writing = {
        let store = store.clone();
        tokio::spawn(async move {
            let (mut kept, mut unknown) = (0_u64, 0_u64);
            for n in 0..60 {
                match store.commit(&remarks(&[&format!("{n} a"), &format!("{n} b")]), Still.now()).await {
                    Ok(()) => kept += 1,
                    Err(Uncommitted::Trouble(Trouble::TooSlow(_))) => unknown += 1,
                    Err(other) => {
                        assert!(matches!(other, Uncommitted::Trouble(Trouble::Unreachable(_))), "{other:?}")
                    }
                }
            }
            (kept, unknown)
        })
    };
    let (client, talk) =
        tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.expect("connects");
    tokio::spawn(talk);
    while !writing.is_finished() {
        let cut = "SELECT pg_terminate_backend(l.pid) FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
            WHERE a.application_name = 'pitlane' AND a.query LIKE '%journal%' AND a.pid <> pg_backend_pid()";
        client.batch_execute(cut).await.expect("is the lab's owner");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let (kept, unknown) = writing.await.expect("ends");
    let entries = store.verify().await.expect("the chain holds").seq;
    assert_eq!(entries % 2, 0, "both or none");
    assert!(
        (2 * kept..=2 * (kept + unknown)).contains(&entries),
        "{kept} kept, {unknown} unknown, {entries} entries"
    );
    assert!(kept > 0);
}

#[tokio::test]
async fn a_row_that_somebody_changed_is_refused_and_named() {
    let database = database();
    let fleet = database.instance(LONG).await;
    let changed = async |statement: &str| -> PostgresStore {
        let cluster = new_cluster();
        let (store, lease) = leading(&fleet, &cluster, clock()).await;
        std::mem::forget(lease);
        let request =
            Request { id: RequestId("r".into()), by: "anna".into(), at: Still.now(), ask: Ask::Resume };
        store.request(&request).await.expect("stores");
        store.ingest(vec![episode("a", None)]).await.expect("stores");
        let pause = pitlane::model::state::Pause { by: "anna".into(), at: Still.now(), reason: "x".into() };
        store
            .commit(&Decision { pause: Some(Some(pause)), ..remarks(&["x", "y"]) }, Still.now())
            .await
            .expect("holds it");
        store.inspect().await.expect("is whole");
        psql(&database, &format!("{statement} AND cluster = '{cluster}'")).await;
        store
    };
    for (statement, want) in [
        ("UPDATE meta SET key = 'pausf' WHERE key = 'pause'", "the store's own record"),
        ("DELETE FROM meta WHERE key = 'seal'", "the store's own record"),
        ("UPDATE requests SET doc = replace(doc, 'anna', 'anne') WHERE id = 'r'", "request r"),
    ] {
        let store = changed(statement).await;
        let said = store.load().await.expect_err(statement).to_string();
        assert!(said.contains(want), "{statement}: {said}");
        assert!(store.inspect().await.is_err());
    }
    let store =
        changed("UPDATE episodes SET starts_at = replace(starts_at, '10:', '11:') WHERE fingerprint = 'a'")
            .await;
    assert!(store.episodes(Time::MIN).await.is_err_and(|why| why.to_string().contains("alert a")));
    for (statement, want) in [
        ("UPDATE journal SET doc = replace(doc, '\"x\"', '\"z\"') WHERE seq = 1", "entry 1"),
        ("DELETE FROM journal WHERE seq = 2", "entry 1: it is the last one"),
        ("DELETE FROM journal WHERE seq = 1", "entry 1: it is missing"),
    ] {
        let said = changed(statement).await.verify().await.expect_err(statement).to_string();
        assert!(said.contains(want), "{statement}: {said}");
    }
}

#[tokio::test]
async fn a_cluster_that_is_there_is_not_written_over() {
    let (database, cluster) = (database(), new_cluster());
    let fleet = database.instance(LONG).await;
    let (store, lease) = leading(&fleet, &cluster, clock()).await;
    store.commit(&remarks(&["x"]), Still.now()).await.expect("holds it");
    let dir = tempfile::tempdir().expect("a directory");
    drop(pitlane::adapters::store::open(dir.path(), clock()).expect("opens"));
    let said = fleet.take_over(dir.path(), &cluster, "x").await;
    assert!(matches!(&said, Err(StoreError::There { .. })), "{said:?}");
    assert_eq!(store.verify().await.expect("holds").seq, 1);
    // Not served, but somebody has taken an alert in.
    let other = new_cluster();
    let inbox = fleet.store(&other, Arc::new(NoTenure), clock()).expect("has a name");
    inbox.ingest(vec![episode("a", None)]).await.expect("stores");
    let said = fleet.take_over(dir.path(), &other, "x").await;
    assert!(matches!(&said, Err(StoreError::There { .. })), "{said:?}");
    assert!(fleet.leases().take(&other).await.expect("answers").is_some(), "nothing of the attempt stayed");
    let open =
        pitlane::adapters::store::open(dir.path(), clock()).expect("is not marked, and nobody holds it");
    let said = fleet.take_over(dir.path(), &new_cluster(), "x").await;
    assert!(matches!(&said, Err(StoreError::Held { .. })), "{said:?}");
    drop((open, lease));
}
