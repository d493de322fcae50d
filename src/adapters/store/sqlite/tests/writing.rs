//! Group commit: who is told what.

use super::*;

#[tokio::test]
async fn one_write_that_fails_does_not_harm_those_committed_with_it() {
    let bench = Bench::new();
    let writes = (0..200u64).map(|n| {
        let store = bench.store().clone();
        async move {
            if n % 3 == 0 {
                let cases = vec![Case { revision: 5, ..case(n + 1, confirming()) }];
                store.commit(&Decision { cases, ..Decision::default() }, at(0)).await.is_ok()
            } else {
                store.ingest(vec![episode(n, 0, None)]).await.is_ok()
            }
        }
    });
    let answers = futures::future::join_all(writes).await;
    for (n, ok) in answers.iter().enumerate() {
        assert_eq!(*ok, n % 3 != 0, "write {n}");
    }
    let stored = bench.store().episodes(at(0)).await.expect("reads").len();
    assert_eq!(stored, answers.iter().filter(|ok| **ok).count());
}

#[tokio::test]
async fn when_the_transaction_is_lost_everybody_in_it_is_told() {
    let bench = Bench::new();
    let shared = &bench.store().shared;
    // As SQLite does by itself on a full disk.
    let lost =
        shared.write("losing it", |conn| conn.execute_batch("ROLLBACK").map_err(error::sql("rolling")));
    assert!(matches!(lost.await, Err(StoreError::Uncommitted(_))));
    bench.store().ingest(vec![episode(1, 0, None)]).await.expect("and the next one works");
}

#[tokio::test]
async fn whatever_is_written_makes_another_count_and_reading_does_not() {
    let bench = Bench::new();
    let store = bench.store();
    let count = async || store.written().await.expect("the store works").expect("it counts");
    store.load().await.expect("a state, and what is pruned at first");
    let before = count().await;
    store.load().await.expect("a state");
    store.episodes(at(0)).await.expect("reads");
    assert_eq!(count().await, before);
    store.ingest(vec![episode(1, 0, None)]).await.expect("stored");
    let told = count().await;
    assert_ne!(told, before);
    // Of another door to the same file, too.
    store.delivered(&NoticeId("n".into()), &ChannelName("mail".into()), at(0), &Ok(())).await.ok();
    assert_ne!(count().await, told);
}
