//! The built-in ticket system.

use super::*;

#[tokio::test]
async fn the_board_does_everything_once() {
    let bench = Bench::new();
    let board = bench.store().board();
    let id = |subject: &str| StepId::new(CaseId(1), subject);
    let order = WorkOrder {
        node: "pve1".into(),
        title: "pve1: FAN3 failing".into(),
        body: "see the sheet".into(),
        checklist: vec!["compare the serial".into()],
    };
    assert!(matches!(board.look(CaseId(1)).await, Seen::Unknown { why: Trouble::Refused(_) }));
    assert!(board.comment(&id("c"), CaseId(1), "to nobody").await.is_err());
    for _ in 0..2 {
        let ticket = board.open(&id("open"), CaseId(1), &order).await;
        assert_eq!(ticket, Ok(TicketRef::from("WO-1")));
        board.comment(&id("comment/1"), CaseId(1), "a second alarm").await.expect("said");
    }
    let status = async || match board.look(CaseId(1)).await {
        Seen::Known { value, at } => {
            assert_eq!(at, bench.clock.now());
            value.status
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(status().await, WorkOrderStatus::Open);
    let done = Ask::Done { case: CaseId(1), note: "new fan".into(), hands_off: false };
    bench.store().request(&request("r1", done)).await.expect("stored");
    assert_eq!(status().await, WorkOrderStatus::Open, "asked, not yet accepted");
    let accepted = Reply::Accepted { case: Some(CaseId(1)) };
    let replies = BTreeMap::from([(RequestId::from("r1"), accepted)]);
    bench.commit(Decision { replies, ..Decision::default() }).await.expect("commits");
    assert_eq!(status().await, WorkOrderStatus::Done);
    board.reopen(&id("reopen/2"), CaseId(1), "it still rattles").await.expect("said");
    assert_eq!(status().await, WorkOrderStatus::Open);
    board.close(&id("close"), CaseId(1), "called off").await.expect("said");
    board.reopen(&id("reopen/2"), CaseId(1), "an echo after a crash").await.expect("heard before");
    assert_eq!(status().await, WorkOrderStatus::Cancelled, "an echo must not reopen it");
    let sheet = board.sheet(CaseId(1)).await.expect("reads").expect("is there");
    let said: Vec<&str> = sheet.comments.iter().map(|comment| comment.text.as_str()).collect();
    assert_eq!(said, ["a second alarm", "it still rattles", "called off"]);
    assert_eq!((sheet.order, sheet.closed_at.is_some()), (order.clone(), true));
    let second = board.open(&id("open/another"), CaseId(1), &order).await;
    assert_eq!(second, Ok(TicketRef::from("WO-2")), "another key is another work order, as anywhere else");
    assert_eq!(board.sheets(9).await.expect("reads").len(), 2);
}
