//! Episodes, requests, poison, and forgetting them.

use super::*;

#[tokio::test]
async fn a_request_is_made_once_and_answered_once() {
    let bench = Bench::new();
    let ask = request("r1", Ask::Pause { reason: "visitors".into() });
    bench.store().request(&ask).await.expect("stored");
    bench.store().request(&Request { at: at(50), ..ask.clone() }).await.expect("the same, asked again");
    let other = Request { ask: Ask::Resume, ..ask.clone() };
    assert!(matches!(bench.store().request(&other).await, Err(Trouble::Refused(_))));
    assert_eq!(bench.store().load().await.expect("loads").requests, std::slice::from_ref(&ask));
    assert_eq!(bench.store().reply(&ask.id).await, Ok(None));
    let no = Reply::Refused { why: "not today".into() };
    let answer =
        || Decision { replies: BTreeMap::from([(ask.id.clone(), no.clone())]), ..Decision::default() };
    bench.commit(answer()).await.expect("commits");
    assert_eq!(bench.commit(answer()).await, Err(Uncommitted::Conflict));
    assert_eq!(bench.store().reply(&ask.id).await, Ok(Some(no.clone())));
    assert_eq!(bench.store().load().await.expect("loads").requests, []);
    assert_eq!(bench.store().reply(&RequestId::from("r2")).await, Ok(None));
}

#[tokio::test]
async fn a_loop_that_stands_still_does_not_gather_requests_for_ever() {
    let bench = Bench::new();
    let many: Vec<Request> = (0..1000).map(|n| request(&format!("r{n}"), Ask::Resume)).collect();
    let stored = futures::future::join_all(many.iter().map(|one| bench.store().request(one))).await;
    assert!(stored.iter().all(Result::is_ok));
    let one_more = bench.store().request(&request("more", Ask::Resume)).await;
    assert!(matches!(one_more, Err(Trouble::Refused(why)) if why.contains("1000")));
}

#[tokio::test]
async fn old_episodes_and_answered_requests_are_forgotten_and_nothing_else() {
    let bench = Bench::new();
    let told = vec![
        episode(1, 0, Some(10)),
        episode(2, 0, None),
        episode(3, 0, Some(10 + 5 * DAY)),
        // Never resolved, but the same alert fired again: it is over.
        episode(4, 0, None),
        episode(4, 60, None),
    ];
    bench.store().ingest(told).await.expect("stored");
    for id in ["answered", "waiting"] {
        bench.store().request(&request(id, Ask::Resume)).await.expect("stored");
    }
    let answered = RequestId::from("answered");
    let replies = BTreeMap::from([(answered.clone(), Reply::Accepted { case: None })]);
    bench.commit(Decision { replies, ..Decision::default() }).await.expect("commits");
    bench.store().load().await.expect("loads");
    assert_eq!(bench.store().episodes(Time::UNIX_EPOCH).await.expect("reads").len(), 5, "too early");
    bench.set(at(31 * DAY));
    let state = bench.store().load().await.expect("loads");
    assert_eq!(state.requests.len(), 1);
    assert_eq!(bench.store().reply(&answered).await, Ok(None));
    let left = bench.store().episodes(Time::UNIX_EPOCH).await.expect("reads");
    let left: Vec<(&str, Time)> = left.iter().map(|e| (e.fingerprint.as_str(), e.starts_at)).collect();
    assert_eq!(left, [("2", at(0)), ("3", at(0)), ("4", at(60))]);
}

#[tokio::test]
async fn pruning_waits_an_hour_between_two_times() {
    let bench = Bench::new();
    bench.store().load().await.expect("loads, and prunes");
    bench.store().ingest(vec![episode(1, 0, Some(1))]).await.expect("stored");
    let horizon = 30 * DAY + 2;
    let pruned = at(horizon - 3599);
    bench.meddle(&format!(
        "UPDATE meta SET value = '{pruned}' WHERE key = 'pruned_at'; DELETE FROM meta WHERE key = 'seal'"
    ));
    bench.set(at(horizon));
    bench.store().load().await.expect("loads");
    assert_eq!(bench.store().episodes(Time::UNIX_EPOCH).await.expect("reads").len(), 1);
    bench.set(at(horizon + 1));
    bench.store().load().await.expect("loads");
    assert_eq!(bench.store().episodes(Time::UNIX_EPOCH).await.expect("reads").len(), 0);
}

#[tokio::test]
async fn of_unreadable_deliveries_the_beginning_is_kept() {
    let bench = Bench::new();
    bench.store().poison(&[b'x'; 100_000], "not JSON", at(1)).await.expect("stored");
    let kept = bench.store().poisoned(5).await.expect("reads");
    assert_eq!((kept[0].size, kept[0].body.len(), kept[0].why.as_str()), (100_000, 65_536, "not JSON"));
}

fn memory() -> Connection {
    let conn = Connection::open_in_memory().expect("opens");
    for migration in [include_str!("../schema/0001_begin.sql"), include_str!("../schema/0004_seals.sql")] {
        conn.execute_batch(migration).expect("the schema");
    }
    conn
}

fn telling() -> impl Strategy<Value = Vec<Episode>> {
    let one =
        (0..4u64, 0..4u64, prop::option::of(10..14u64), 0..9u64).prop_map(|(alert, start, end, delay)| {
            let told = episode(alert, start, end);
            Episode { received_at: at(start + delay), ..told }
        });
    prop::collection::vec(one, 0..24)
}

fn every(conn: &Connection) -> Vec<Episode> {
    episodes::since(conn, Time::UNIX_EPOCH, &[]).expect("reads")
}

proptest! {
    #[test]
    fn the_order_of_deliveries_and_their_repetition_do_not_matter(
        (told, shuffled) in telling().prop_flat_map(|told| (Just(told.clone()), Just(told).prop_shuffle())),
        cut in 1..7usize,
    ) {
        let once = memory();
        episodes::ingest(&once, &told).expect("stored");
        let expected = every(&once);
        let again = memory();
        for part in shuffled.chunks(cut).chain(told.chunks(cut)) {
            let before = every(&again);
            episodes::ingest(&again, part).expect("stored");
            for known in before.iter().filter(|known| !known.fires()) {
                let same = |e: &&Episode| (&e.fingerprint, e.starts_at) == (&known.fingerprint, known.starts_at);
                let now = every(&again);
                prop_assert!(now.iter().find(same).is_some_and(|e| !e.fires()), "an ended episode fires again");
            }
        }
        prop_assert_eq!(every(&again), expected.clone());
        let third = episodes::ingest(&again, &told).expect("stored");
        prop_assert_eq!(third.count, Ingested { new: 0, resolved: 0, known: told.len() });
        prop_assert_eq!(third.news, [], "nothing is what it was not");
        // And each told episode is there exactly once.
        let keys: BTreeSet<(Fingerprint, Time)> =
            told.iter().map(|e| (e.fingerprint.clone(), e.starts_at)).collect();
        prop_assert_eq!(expected.len(), keys.len());
    }
}
