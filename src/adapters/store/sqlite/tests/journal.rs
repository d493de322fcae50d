//! The hash chain.

use super::*;

#[tokio::test]
async fn the_journal_shows_every_meddling() {
    let story = || Decision {
        notes: (1..=5).map(|n| note(1, remark(&format!("line {n}")))).collect(),
        ..Decision::default()
    };
    for (meddling, seq) in [
        ("UPDATE journal SET doc = replace(doc, 'line 3', 'line X') WHERE seq = 3", 3),
        ("UPDATE journal SET at = '2020-01-01T00:00:00.000000000Z' WHERE seq = 2", 2),
        ("UPDATE journal SET case_id = NULL WHERE seq = 4", 4),
        ("DELETE FROM journal WHERE seq = 2", 2),
        ("DELETE FROM journal WHERE seq = 5", 4),
        ("UPDATE journal SET seq = -seq; UPDATE journal SET seq = 6 + seq", 1),
    ] {
        let bench = Bench::new();
        bench.commit(story()).await.expect("commits");
        assert_eq!(bench.store().verify().await.expect("whole").seq, 5);
        bench.meddle(&format!(
            "DROP TRIGGER journal_is_not_changed; DROP TRIGGER journal_is_not_cut; {meddling}"
        ));
        let found = Reader::open(bench.dir.path()).expect("opens beside the service").verify().await;
        match found {
            Err(StoreError::Journal { seq: at, .. }) => assert_eq!(at, seq, "{meddling}"),
            other => panic!("{meddling}: {other:?}"),
        }
        // Going on writing does not heal it.
        bench.commit(story()).await.expect("a broken journal must not keep flags from being given back");
        assert!(bench.store().verify().await.is_err(), "{meddling}");
    }
}

#[tokio::test]
async fn the_journal_cannot_be_changed_by_mistake() {
    let bench = Bench::new();
    bench
        .commit(Decision { notes: vec![note(1, remark("a line"))], ..Decision::default() })
        .await
        .expect("commits");
    let conn = Connection::open(bench.dir.path().join(open::DATABASE)).expect("opens");
    for mistake in ["DELETE FROM journal", "UPDATE journal SET doc = ''"] {
        assert!(conn.execute_batch(mistake).is_err(), "{mistake}");
    }
}

#[test]
fn a_reader_needs_a_database_that_is_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let refused = Reader::open(dir.path()).err().expect("nothing to read").to_string();
    assert!(refused.contains("has the service run"), "{refused}");
    assert!(!Path::new(&dir.path().join(open::DATABASE)).exists(), "reading creates nothing");
}
