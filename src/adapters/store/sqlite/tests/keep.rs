//! Closed cases and old entries of the journal, let go where it was asked for.

use super::*;

fn closed(id: u64) -> Case {
    let paid = Settled::of(&Owed::default()).expect("nothing is owed");
    case(id, Phase::Closed { at: at(10), ending: Ending::FalseAlarm, paid })
}

/// Three cases with a work order each: the first is over, the second is closed but its work order is open, the third is open.
async fn lived() -> Bench {
    let bench = Bench::new();
    let order = WorkOrder {
        node: "pve1".into(),
        title: "a fan".into(),
        body: "see there".into(),
        checklist: Vec::new(),
    };
    let story = Decision {
        cases: vec![closed(1), closed(2), case(3, confirming())],
        notes: [1, 2, 1, 3, 1].iter().map(|id| note(*id, remark(&format!("of case {id}")))).collect(),
        steps: vec![comment_step(1, "comment/1"), comment_step(3, "comment/3")],
        ..Decision::default()
    };
    bench.commit(story).await.expect("commits");
    let board = bench.store().board();
    for id in 1..=3 {
        board.open(&StepId::new(CaseId(id), "open"), CaseId(id), &order).await.expect("opens");
    }
    board.comment(&StepId::new(CaseId(1), "comment/1"), CaseId(1), "words").await.expect("said");
    board.close(&StepId::new(CaseId(1), "close"), CaseId(1), "over").await.expect("closes");
    bench
}

const KEPT: Keep =
    Keep { closed_cases: Some(Duration::from_secs(400 * DAY)), journal: Some(Duration::from_secs(1)) };

async fn cases(bench: &Bench) -> Vec<u64> {
    let mut all: Vec<u64> =
        bench.store().cases(9).await.expect("reads").iter().map(|case| case.id.0).collect();
    all.sort_unstable();
    all
}

#[tokio::test]
async fn nothing_that_is_over_goes_unless_it_was_said_and_nothing_that_decisions_read() {
    let bench = lived().await;
    bench.set(at(4000 * DAY));
    bench.store().load().await.expect("loads, and prunes");
    assert_eq!((cases(&bench).await.len(), bench.store().verify().await.expect("whole").entries()), (3, 5));
    let bench = lived().await;
    bench.store().keep(KEPT);
    bench.set(at(400 * DAY));
    bench.store().load().await.expect("loads, and prunes");
    assert_eq!((cases(&bench).await.len(), bench.store().verify().await.expect("whole").entries()), (3, 5));
}

#[tokio::test]
async fn what_is_over_goes_and_what_is_open_stays() {
    let bench = lived().await;
    bench.store().keep(KEPT);
    let before = bench.store().verify().await.expect("whole");
    bench.set(at(401 * DAY));
    let state = bench.store().load().await.expect("loads, and prunes");
    assert_eq!((cases(&bench).await, state.next_case), (vec![2, 3], 4), "a number is never given twice");
    assert_eq!(bench.store().board().sheets(9).await.expect("reads").len(), 2);
    assert_eq!(bench.store().ledger(CaseId(1)).await.expect("reads"), BTreeMap::new());
    // The fourth entry is of an open case: it stays, and with it everything after it.
    let head = bench.store().verify().await.expect("whole");
    assert_eq!(head, Head { begins_after: 3, ..before });
    bench
        .commit(Decision { notes: vec![note(3, remark("more"))], ..Decision::default() })
        .await
        .expect("commits");
    let head = bench.store().verify().await.expect("whole");
    assert_eq!((head.seq, head.entries()), (6, 3));
    let reader = Reader::open(bench.dir.path()).expect("opens");
    assert_eq!(Reader::inspect(bench.dir.path()).await.expect("whole").journal, head);
    let lines: Vec<serde_json::Value> = reader
        .lines(None, 0, 9)
        .await
        .expect("reads")
        .iter()
        .map(|(_, line)| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    assert_eq!(
        lines.iter().map(|line| line["seq"].as_u64()).collect::<Vec<_>>(),
        [Some(4), Some(5), Some(6)]
    );
    assert!(lines.windows(2).all(|pair| pair[1]["before"] == pair[0]["hash"]));
    assert_eq!(lines[2]["hash"], head.hash);
    assert_eq!(lines[0]["before"].as_str().map(str::len), Some(64), "what went before is still named");
    let of_three = reader.lines(Some(CaseId(3)), 4, 9).await.expect("reads");
    assert_eq!(of_three.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [6]);
    // What is not let go cannot be deleted, and a hole is seen.
    let conn = Connection::open(bench.dir.path().join(open::DATABASE)).expect("opens");
    assert!(conn.execute_batch("DELETE FROM journal WHERE seq = 4").is_err());
    bench.meddle("DROP TRIGGER journal_is_not_cut; DELETE FROM journal WHERE seq = 4");
    assert!(matches!(bench.store().verify().await, Err(StoreError::Journal { seq: 4, .. })));
}

#[tokio::test]
async fn entries_that_do_not_fit_the_chain_are_evidence_and_stay() {
    let bench = lived().await;
    bench.meddle(
        "DROP TRIGGER journal_is_not_changed; UPDATE journal SET doc = replace(doc, 'case', 'CASE') WHERE seq = 2",
    );
    bench.store().keep(KEPT);
    bench.set(at(401 * DAY));
    bench.store().load().await.expect("loads");
    assert!(matches!(bench.store().verify().await, Err(StoreError::Journal { seq: 2, .. })));
    let lines = Reader::open(bench.dir.path()).expect("opens").lines(None, 0, 9).await.expect("reads");
    assert_eq!(lines.len(), 5);
    assert_eq!(cases(&bench).await, [2, 3], "the rest goes on");
}

#[tokio::test]
async fn where_more_is_due_than_goes_at_once_the_next_turn_goes_on() {
    let bench = Bench::new();
    let over: Vec<Episode> = (0..7_000).map(|n| episode(n, 0, Some(10))).collect();
    bench.store().ingest(over).await.expect("stored");
    bench.set(at(31 * DAY));
    for left in [2_000, 0] {
        bench.store().load().await.expect("loads, and prunes");
        assert_eq!(bench.store().episodes(Time::UNIX_EPOCH).await.expect("reads").len(), left);
    }
}
