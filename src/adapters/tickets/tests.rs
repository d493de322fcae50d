//! The board beside the team's system, and answers that are kept for a while.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::{Both, Polled};
use crate::model::ids::{CaseId, NodeName, TicketRef};
use crate::model::observed::{WorkOrderStatus, WorkOrderView};
use crate::model::seen::{Seen, Trouble};
use crate::model::step::{StepId, WorkOrder};
use crate::model::time::{Time, after};
use crate::ports::{Clock, Tickets};

/// A ticket system that counts, and may be down.
#[derive(Default)]
struct Counting {
    name: &'static str,
    down: AtomicBool,
    opened: AtomicUsize,
    told: AtomicUsize,
    looked: AtomicUsize,
}

impl Counting {
    fn called(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, ..Self::default() })
    }

    fn count(&self, what: &AtomicUsize) -> Result<(), Trouble> {
        if self.down.load(SeqCst) {
            return Err(Trouble::Unreachable(format!("{} is down", self.name)));
        }
        what.fetch_add(1, SeqCst);
        Ok(())
    }
}

#[async_trait]
impl Tickets for Counting {
    async fn open(&self, _key: &StepId, _case: CaseId, _order: &WorkOrder) -> Result<TicketRef, Trouble> {
        self.count(&self.opened).map(|()| TicketRef::from(self.name))
    }

    async fn reopen(&self, _key: &StepId, _case: CaseId, _text: &str) -> Result<(), Trouble> {
        self.count(&self.told)
    }

    async fn comment(&self, _key: &StepId, _case: CaseId, _text: &str) -> Result<(), Trouble> {
        self.count(&self.told)
    }

    async fn close(&self, _key: &StepId, _case: CaseId, _text: &str) -> Result<(), Trouble> {
        self.count(&self.told)
    }

    async fn look(&self, _case: CaseId) -> Seen<WorkOrderView> {
        self.looked.fetch_add(1, SeqCst);
        match self.down.load(SeqCst) {
            true => Trouble::Unreachable("down".into()).into(),
            false => {
                Seen::known(WorkOrderView::plain(self.name.into(), WorkOrderStatus::Open), Time::UNIX_EPOCH)
            }
        }
    }
}

const CASE: CaseId = CaseId(1);

fn key() -> StepId {
    StepId::new(CASE, "work-order")
}

fn order() -> WorkOrder {
    let node = NodeName::from("pve2");
    WorkOrder { node, title: "t".into(), body: "b".into(), checklist: Vec::new() }
}

#[tokio::test]
async fn the_board_has_it_while_the_teams_system_is_down_and_it_is_not_done_before_both_have() {
    let (board, team) = (Counting::called("WO-1"), Counting::called("RT-7"));
    let both = Both { board: board.clone(), team: team.clone() };
    team.down.store(true, SeqCst);
    assert!(both.open(&key(), CASE, &order()).await.is_err());
    assert!(both.comment(&key(), CASE, "x").await.is_err());
    assert!(both.reopen(&key(), CASE, "x").await.is_err());
    assert!(both.close(&key(), CASE, "x").await.is_err());
    assert_eq!((board.opened.load(SeqCst), board.told.load(SeqCst)), (1, 3));
    team.down.store(false, SeqCst);
    assert_eq!(both.open(&key(), CASE, &order()).await, Ok(TicketRef::from("RT-7")));
    assert_eq!(both.close(&key(), CASE, "x").await, Ok(()));
}

#[tokio::test]
async fn a_board_that_knows_nothing_of_the_teams_done_does_not_speak_for_it() {
    let (board, team) = (Counting::called("WO-1"), Counting::called("RT-7"));
    team.down.store(true, SeqCst);
    let both = Both { board: board.clone(), team };
    assert!(matches!(both.look(CASE).await, Seen::Unknown { .. }));
    assert_eq!(board.looked.load(SeqCst), 0);
}

struct Stepped(Mutex<Time>);

impl Clock for Stepped {
    fn now(&self) -> Time {
        *self.0.lock().expect("unhurt")
    }
}

#[tokio::test]
async fn an_answer_is_kept_until_its_time_is_over_or_the_bell_rings() {
    let (team, clock) = (Counting::called("RT-7"), Arc::new(Stepped(Mutex::new(Time::UNIX_EPOCH))));
    let polled = Polled::new(team.clone(), Duration::from_secs(60), clock.clone());
    let wait = |secs| {
        let mut now = clock.0.lock().expect("unhurt");
        *now = after(*now, Duration::from_secs(secs));
    };
    let asked = async || {
        polled.look(CASE).await;
        team.looked.load(SeqCst)
    };
    assert_eq!(asked().await, 1);
    wait(59);
    assert_eq!(asked().await, 1);
    wait(1);
    assert_eq!(asked().await, 2);
    polled.rung();
    assert_eq!(asked().await, 3);
    // What we changed ourselves is not answered from before.
    polled.reopen(&key(), CASE, "x").await.expect("up");
    assert_eq!(asked().await, 4);
    // One that is down is asked sooner, and not at every turn.
    team.down.store(true, SeqCst);
    polled.rung();
    assert_eq!(asked().await, 5);
    wait(14);
    assert_eq!(asked().await, 5);
    wait(1);
    assert_eq!(asked().await, 6);
}
