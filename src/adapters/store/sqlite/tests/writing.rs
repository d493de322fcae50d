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
