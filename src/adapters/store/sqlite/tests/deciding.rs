//! Commits, and what a load makes of them.

use super::*;

fn closed(when: Time) -> Phase {
    let paid = Settled::of(&Owed::default()).expect("nothing is owed");
    Phase::Closed { at: when, ending: Ending::Returned, paid }
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let mut bench = Bench::new();
    let pause = Pause { by: "anna".into(), at: at(3), reason: "visitors".into() };
    bench.store().request(&request("r1", Ask::Resume)).await.expect("stored");
    bench
        .commit(Decision {
            cases: vec![case(1, confirming())],
            notes: vec![note(1, remark("first")), note(1, remark("second"))],
            steps: vec![comment_step(1, "comment/1")],
            pause: Some(Some(pause.clone())),
            ..Decision::default()
        })
        .await
        .expect("commits");
    bench.reopen();
    let state = bench.store().load().await.expect("loads");
    assert_eq!(state.cases, [Case { revision: 1, ..case(1, confirming()) }]);
    assert_eq!(state.requests, [request("r1", Ask::Resume)]);
    assert_eq!(state.paused, Some(pause));
    assert_eq!(state.next_case, 2);
    let owed = Attempt { tries: 1, at: at(0), outcome: Outcome::Owed };
    assert_eq!(state.ledger, BTreeMap::from([(StepId::new(CaseId(1), "comment/1"), owed)]));
    let story = bench.store().journal(Some(CaseId(1)), 0, 10).await.expect("reads");
    assert_eq!(story, [(1, note(1, remark("first"))), (2, note(1, remark("second")))]);
}

#[tokio::test]
async fn an_empty_store_begins_with_case_1() {
    let bench = Bench::new();
    assert_eq!(bench.store().load().await.expect("loads"), State { next_case: 1, ..State::default() });
    bench.commit(Decision::default()).await.expect("nothing is easily committed");
}

#[tokio::test]
async fn a_commit_on_an_old_revision_writes_nothing_at_all() {
    let bench = Bench::new();
    bench.store().request(&request("r1", Ask::Resume)).await.expect("stored");
    let first = Decision { cases: vec![case(1, confirming())], ..Decision::default() };
    bench.commit(first).await.expect("commits");
    let before = bench.store().load().await.expect("loads");
    let late = Decision {
        // The new case would fit; the old one, read at revision 7, does not.
        cases: vec![
            case(2, confirming()),
            Case { revision: 7, ..case(1, Phase::Stranded { since: at(5), cancelled: None }) },
        ],
        notes: vec![note(1, remark("never said"))],
        steps: vec![comment_step(1, "comment/1")],
        replies: BTreeMap::from([(RequestId::from("r1"), Reply::Accepted { case: None })]),
        pause: Some(Some(Pause { by: "anna".into(), at: at(3), reason: String::new() })),
        ..Decision::default()
    };
    assert_eq!(bench.commit(late).await, Err(Uncommitted::Conflict));
    assert_eq!(bench.store().load().await.expect("loads"), before);
    assert_eq!(bench.store().journal(None, 0, 10).await.expect("reads"), []);
    assert_eq!(bench.store().verify().await.expect("whole").seq, 0);
}

#[tokio::test]
async fn revisions_count_up_and_a_number_is_given_once() {
    let bench = Bench::new();
    let put = |revision, phase| {
        let cases = vec![Case { revision, ..case(4, phase) }];
        bench.commit(Decision { cases, ..Decision::default() })
    };
    put(0, confirming()).await.expect("new");
    assert_eq!(put(0, confirming()).await, Err(Uncommitted::Conflict), "the number is taken");
    put(1, Phase::Stranded { since: at(1), cancelled: None }).await.expect("on what was read");
    assert_eq!(put(1, confirming()).await, Err(Uncommitted::Conflict), "decided twice on one reading");
    let state = bench.store().load().await.expect("loads");
    assert_eq!((state.cases[0].revision, state.next_case), (2, 5));
}

#[tokio::test]
async fn a_planned_step_is_owed_until_it_is_recorded_and_counts_its_tries() {
    let bench = Bench::new();
    let id = StepId::new(CaseId(1), "comment/1");
    let plan = |cases| Decision { cases, steps: vec![comment_step(1, "comment/1")], ..Decision::default() };
    bench.commit(plan(vec![case(1, confirming())])).await.expect("commits");
    let done = Outcome::Done { ticket: Some(TicketRef::from("WO-1")) };
    bench.store().record(&id, at(9), &done).await.expect("recorded");
    let attempt = |tries, at, outcome| BTreeMap::from([(id.clone(), Attempt { tries, at, outcome })]);
    assert_eq!(bench.store().load().await.expect("loads").ledger, attempt(1, at(9), done));
    bench.set(at(20));
    bench.commit(plan(vec![])).await.expect("planned again");
    assert_eq!(bench.store().ledger(CaseId(1)).await.expect("reads"), attempt(2, at(20), Outcome::Owed));
    let unknown = bench.store().record(&StepId::new(CaseId(1), "never"), at(9), &Outcome::Expired).await;
    assert!(matches!(unknown, Err(Trouble::Nonsense(why)) if why.contains("never planned")));
}

#[tokio::test]
async fn closed_cases_are_remembered_for_thirty_days_with_the_time_of_their_drain() {
    let bench = Bench::new();
    let drained = note(1, Noted::DrainBegins { node: "pve1".into() });
    let first = Decision { cases: vec![case(1, confirming())], notes: vec![drained], ..Decision::default() };
    bench.commit(first).await.expect("commits");
    let cases = vec![Case { revision: 1, ..case(1, closed(at(100))) }, case(2, confirming())];
    let steps = vec![comment_step(1, "comment/1"), comment_step(2, "comment/1")];
    bench.commit(Decision { cases, steps, ..Decision::default() }).await.expect("commits");
    let state = bench.store().load().await.expect("loads");
    assert_eq!(state.cases.iter().map(|case| case.id.0).collect::<Vec<_>>(), [2]);
    assert_eq!(state.past.len(), 1);
    assert_eq!((state.past[0].closed_at, state.past[0].drained_at), (at(100), Some(at(1))));
    let steps: Vec<String> = state.ledger.into_keys().map(|id| id.0).collect();
    assert_eq!(steps, ["case-2/comment/1"], "steps of open cases only");
    bench.set(at(101 + 30 * DAY));
    assert_eq!(bench.store().load().await.expect("loads").past, []);
    let all: Vec<u64> = bench.store().cases(9).await.expect("reads").iter().map(|case| case.id.0).collect();
    assert_eq!(all, [2, 1], "open ones first, and no case is ever forgotten");
    assert!(bench.store().case(CaseId(1)).await.expect("reads").is_some());
    assert!(bench.store().case(CaseId(3)).await.expect("reads").is_none());
}

#[tokio::test]
async fn a_machine_with_an_open_case_remembers_its_earlier_ones_for_longer() {
    let bench = Bench::new();
    bench
        .commit(Decision { cases: vec![case(1, confirming())], ..Decision::default() })
        .await
        .expect("commits");
    let cases = vec![Case { revision: 1, ..case(1, closed(at(100))) }];
    bench.commit(Decision { cases, ..Decision::default() }).await.expect("commits");
    assert_eq!(bench.store().load().await.expect("loads").earlier, [], "no case is open: nothing is read");
    bench.set(at(101 + 90 * DAY));
    let cases = vec![case(2, confirming()), Case { node: "pve9".into(), ..case(3, confirming()) }];
    bench.commit(Decision { cases, ..Decision::default() }).await.expect("commits");
    let state = bench.store().load().await.expect("loads");
    assert_eq!(state.past, [], "the daily budget forgot it long ago");
    let told: Vec<_> =
        state.earlier.iter().map(|e| (e.case.0, e.faults.len(), e.served, e.by_alarm)).collect();
    assert_eq!(told, [(1, 1, true, true)]);
    // Read as "no faults", a machine that failed for the third time would be one that fails for the first.
    for spoilt in [
        "json_remove(doc, '$.faults')",
        "json_set(doc, '$.faults', 'none')",
        "json_set(doc, '$.faults', json('[7]'))",
    ] {
        bench.meddle(&format!("UPDATE cases SET doc = {spoilt} WHERE id = 1"));
        let why = bench.store().load().await.expect_err("a spoilt row refuses").to_string();
        assert!(why.contains("case 1 (pve1)"), "{spoilt}: {why}");
    }
    bench.meddle("UPDATE cases SET doc = json_set(doc, '$.faults', json('[]')) WHERE id = 1");
    assert_eq!(bench.store().load().await.expect("loads").earlier[0].faults.len(), 0, "none is no mistake");
    bench.set(at(101 + 401 * DAY));
    assert_eq!(bench.store().load().await.expect("loads").earlier, []);
}

#[tokio::test]
async fn every_phase_comes_back_as_it_was() {
    let bench = Bench::new();
    let read = |when| EmptyRead { at: when, members: BTreeSet::from([NodeName::from("pve2")]) };
    let proof = Drained::of(read(at(10)), read(at(30))).expect("far enough apart");
    let handover = crate::model::case::Handover::Drained { proof };
    let mut handed = case(2, Phase::HandedOver { since: at(31), handover, claim: None, cancelled: None });
    let debt = Debt { since: at(1), reason: "fan".into(), alarm_at: at(9), seen: true, unsure: false };
    handed.owed.noout = Some(("host-a".into(), debt.clone()));
    handed.owed.maintenance = Some(debt);
    let cases =
        vec![case(1, Phase::Stranded { since: at(1), cancelled: None }), handed, case(3, closed(at(4)))];
    bench.commit(Decision { cases: cases.clone(), ..Decision::default() }).await.expect("commits");
    for case in cases {
        let stored = bench.store().case(case.id).await.expect("reads");
        assert_eq!(stored, Some(Case { revision: 1, ..case }));
    }
}

#[tokio::test]
async fn a_document_that_claims_too_much_stops_the_load_and_is_named() {
    for (lie, said) in [
        ("doc = 'not json'", "case 1 (pve1)"),
        ("doc = json_set(doc, '$.phase.phase', 'dreaming')", "case 1 (pve1)"),
        // Closed, and still holding maintenance.
        (
            "doc = json_set(doc, '$.phase.paid.owed.maintenance', json('{\"since\":\"2026-03-01T10:00:00Z\",\
              \"reason\":\"x\",\"alarm_at\":\"2026-03-01T10:00:00Z\",\"seen\":true}'))",
            "still owes",
        ),
        ("node = 'pve2'", "different things"),
        ("revision = 9", "different things"),
        ("phase = 'stranded'", "different things"),
        ("closed_at = NULL", "different things"),
    ] {
        let bench = Bench::new();
        let cases = vec![case(1, closed(at(1)))];
        bench.commit(Decision { cases, ..Decision::default() }).await.expect("commits");
        // As a row from before there were seals: its own proofs must be enough.
        bench.meddle(&format!("UPDATE cases SET seal = NULL, {lie}"));
        match bench.store().load().await {
            Err(Trouble::Nonsense(why)) => {
                assert!(why.contains(said) && why.contains("case 1"), "{lie}: {why}")
            }
            other => panic!("{lie}: {other:?}"),
        }
    }
}

/// A forecast is worth less than a turn.
#[tokio::test]
async fn measurements_that_nobody_can_read_cost_nothing_else() {
    let bench = Bench::new();
    let measured = crate::model::rates::Measured {
        task: crate::model::ids::Upid("UPID:pve1:1".into()),
        guest: crate::model::ids::GuestId(101),
        kind: crate::model::observed::GuestKind::Qemu,
        from: "pve1".into(),
        to: "pve2".into(),
        started: at(0),
        ended: at(9),
        ran: true,
        memory: None,
        disks: None,
        dirty: None,
        downtime_ms: Some(7),
        fixed_ms: None,
    };
    bench.store().learn(vec![measured]).await.expect("kept");
    assert_eq!(bench.store().load().await.expect("loads").rates.downtime_ms.value, 7);
    bench.meddle("INSERT INTO measured VALUES ('UPID:pve1:2', '2026-03-01', '{\"half\":')");
    assert_eq!(bench.store().learned().await.expect("the others").len(), 1);
    bench.meddle("DROP TABLE measured");
    bench.set(at(7_200));
    let rates = bench.store().load().await.expect("a turn needs no measurements").rates;
    assert_eq!(rates, crate::model::rates::Rates::default());
}
