//! The contract on a desk with every bad manner that we know.

use std::collections::BTreeSet;

use super::*;
use crate::model::ids::NodeName;

/// A ticket system in memory.
#[derive(Default)]
struct Shelf {
    tickets: Vec<Ticket>,
    said: Vec<(String, String, String)>,
    /// Numbers that the search does not show.
    hidden: BTreeSet<String>,
    lag: Duration,
    /// One ticket at most keeps the field; the others lose it without a word.
    unique: bool,
    /// The field is never kept.
    forgets: bool,
    /// A yes to a change of status, and nothing changes.
    deaf: bool,
    /// The ticket is created and the answer is lost.
    lost: u32,
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Shelf>>);

impl Memory {
    fn shelf(&self) -> std::sync::MutexGuard<'_, Shelf> {
        lock(&self.0)
    }

    fn is(&self, number: usize) -> WorkOrderStatus {
        self.shelf().tickets[number - 1].status
    }

    fn person_sets(&self, number: usize, status: WorkOrderStatus) {
        self.shelf().tickets[number - 1].status = status;
    }
}

#[async_trait]
impl Desk for Memory {
    async fn find(&self, _id: &str, depth: Depth) -> Result<Vec<Ticket>, TicketError> {
        let shelf = self.shelf();
        let seen = |t: &&Ticket| {
            !shelf.hidden.contains(&t.number) && (depth == Depth::Titles || t.carries == Carries::Id)
        };
        Ok(shelf.tickets.iter().filter(seen).cloned().collect())
    }

    async fn create(&self, paper: &Paper<'_>) -> Result<String, TicketError> {
        let mut shelf = self.shelf();
        let number = (shelf.tickets.len() + 1).to_string();
        let taken = shelf.unique && shelf.tickets.iter().any(|t| t.carries == Carries::Id);
        let carries = if taken || shelf.forgets { Carries::TitleOnly } else { Carries::Id };
        let status = WorkOrderStatus::Open;
        let (name, title) = (format!("T{number}"), paper.title.clone());
        shelf.tickets.push(Ticket { name, number, carries, status, title, owner: None, url: None });
        if shelf.lost > 0 {
            shelf.lost -= 1;
            return Err(TicketError::Broken { system: "T".into(), doing: "creating" });
        }
        Ok(shelf.tickets.len().to_string())
    }

    async fn read(&self, number: &str, id: &str) -> Result<Ticket, TicketError> {
        let found = self.shelf().tickets.iter().find(|t| t.number == number).cloned();
        found.ok_or_else(|| TicketError::NoTicket(id.to_owned()))
    }

    async fn adopt(&self, number: &str, _id: &str) -> Result<(), TicketError> {
        let mut shelf = self.shelf();
        let keeps = !shelf.forgets;
        for ticket in shelf.tickets.iter_mut().filter(|t| keeps && t.number == number) {
            ticket.carries = Carries::Id;
        }
        Ok(())
    }

    async fn become_(&self, number: &str, to: Become, _text: &str) -> Result<(), TicketError> {
        let mut shelf = self.shelf();
        let hears = !shelf.deaf;
        for ticket in shelf.tickets.iter_mut().filter(|t| hears && t.number == number) {
            ticket.status = match to {
                Become::Open => WorkOrderStatus::Open,
                Become::Closed => WorkOrderStatus::Done,
                Become::Cancelled => WorkOrderStatus::Cancelled,
            };
        }
        Ok(())
    }

    async fn comment(&self, number: &str, receipt: &str, text: &str) -> Result<(), TicketError> {
        self.shelf().said.push((number.to_owned(), receipt.to_owned(), text.to_owned()));
        Ok(())
    }

    async fn said(&self, number: &str, receipt: &str) -> Result<bool, TicketError> {
        Ok(self.shelf().said.iter().any(|(n, r, _)| n == number && r == receipt))
    }

    async fn retitle(&self, number: &str, title: &str) -> Result<(), TicketError> {
        for ticket in self.shelf().tickets.iter_mut().filter(|t| t.number == number) {
            title.clone_into(&mut ticket.title);
        }
        Ok(())
    }

    async fn preflight(&self) -> Vec<String> {
        Vec::new()
    }

    fn done(&self) -> Option<&str> {
        Some("closed")
    }

    fn lag(&self) -> Duration {
        self.shelf().lag
    }
}

struct Ticking(Mutex<Time>);

impl Clock for Ticking {
    fn now(&self) -> Time {
        *lock(&self.0)
    }
}

const CASE: CaseId = CaseId(1);

fn key(subject: &str) -> StepId {
    StepId::new(CASE, subject)
}

fn order() -> WorkOrder {
    let checklist = vec!["clean the fan".to_owned()];
    WorkOrder {
        node: NodeName::from("pve2"),
        title: "pve2: FAN3".into(),
        body: "It fails.".into(),
        checklist,
    }
}

fn clock() -> Arc<Ticking> {
    Arc::new(Ticking(Mutex::new("2026-01-01T00:00:00Z".parse().expect("a valid instant"))))
}

/// A new process in front of the same system.
fn held(desk: &Memory) -> Held {
    Held::new(Box::new(desk.clone()), "T", "lab", clock())
}

async fn open(tickets: &Held) -> Result<TicketRef, Trouble> {
    tickets.open(&key("work-order"), CASE, &order()).await
}

#[tokio::test]
async fn an_answer_that_was_lost_leaves_one_ticket() {
    let desk = Memory::default();
    desk.shelf().lost = 1;
    assert!(matches!(open(&held(&desk)).await, Err(Trouble::TooSlow(_))));
    // The process died meanwhile: another one asks again.
    assert_eq!(open(&held(&desk)).await, Ok(TicketRef("T1".into())));
    assert_eq!(open(&held(&desk)).await, Ok(TicketRef("T1".into())));
    assert_eq!(desk.shelf().tickets.len(), 1);
}

#[tokio::test]
async fn of_two_tickets_the_lowest_counts_and_the_other_is_cancelled_with_a_word() {
    for unique in [false, true] {
        let desk = Memory::default();
        desk.shelf().unique = unique;
        // The search hid the first one from a second writer.
        open(&held(&desk)).await.expect("a ticket");
        desk.shelf().hidden.insert("1".into());
        let second = Held::new(Box::new(desk.clone()), "T", "lab", clock());
        let paper = order();
        let id = correlation("lab", CASE);
        let title = format!("{} [{id}]", paper.title);
        desk.create(&Paper { id: &id, case: CASE, title, body: String::new(), order: &paper })
            .await
            .expect("created");
        desk.shelf().hidden.clear();
        assert_eq!(open(&second).await, Ok(TicketRef("T1".into())), "unique: {unique}");
        assert_eq!(desk.is(1), WorkOrderStatus::Open);
        assert_eq!(desk.is(2), WorkOrderStatus::Cancelled);
        assert!(desk.shelf().said.iter().any(|(n, _, text)| n == "2" && text.contains("duplicate of T1")));
    }
}

#[tokio::test]
async fn a_persons_copy_of_the_ticket_is_left_alone() {
    let desk = Memory::default();
    open(&held(&desk)).await.expect("a ticket");
    let copy = desk.shelf().tickets[0].clone();
    desk.shelf().tickets.push(Ticket {
        number: "2".into(),
        name: "T2".into(),
        title: format!("CLONE - {}", copy.title),
        ..copy
    });
    open(&held(&desk)).await.expect("a ticket");
    assert_eq!(desk.is(2), WorkOrderStatus::Open);
}

#[tokio::test]
async fn a_ticket_that_lost_its_field_is_adopted_and_never_made_again() {
    let desk = Memory::default();
    desk.shelf().forgets = true;
    for _ in 0..3 {
        let said = open(&held(&desk)).await.expect_err("it has no id");
        assert!(said.text().contains("right"), "{said}");
    }
    assert_eq!(desk.shelf().tickets.len(), 1, "one ticket for each try");
    desk.shelf().forgets = false;
    assert_eq!(open(&held(&desk)).await, Ok(TicketRef("T1".into())));
}

#[tokio::test]
async fn where_the_search_lags_a_new_process_waits_before_it_creates() {
    let desk = Memory::default();
    desk.shelf().lag = Duration::from_secs(30);
    let time = clock();
    let tickets = Held::new(Box::new(desk.clone()), "T", "lab", time.clone());
    assert!(matches!(open(&tickets).await, Err(Trouble::TooSlow(_))));
    assert_eq!(desk.shelf().tickets.len(), 0);
    let later = crate::model::time::after(tickets.clock.now(), Duration::from_secs(30));
    *lock(&time.0) = later;
    assert!(open(&tickets).await.is_ok());
    // Not in the index yet; its own page is asked instead.
    desk.shelf().hidden.insert("1".into());
    assert_eq!(open(&tickets).await, Ok(TicketRef("T1".into())));
    assert!(matches!(tickets.look(CASE).await, Seen::Known { .. }));
    assert_eq!(desk.shelf().tickets.len(), 1);
}

#[tokio::test]
async fn a_yes_without_a_deed_is_no_yes() {
    let desk = Memory::default();
    open(&held(&desk)).await.expect("a ticket");
    desk.shelf().deaf = true;
    let said = held(&desk).close(&key("work-order/close-1"), CASE, "Closed.").await.expect_err("still open");
    assert!(said.text().contains("did not do it: T1 is open"), "{said}");
}

#[tokio::test]
async fn saying_it_twice_is_saying_it_once() {
    let desk = Memory::default();
    open(&held(&desk)).await.expect("a ticket");
    for _ in 0..2 {
        held(&desk).comment(&key("work-order/also"), CASE, "Also: FAN4.").await.expect("said");
    }
    assert_eq!(desk.shelf().said.len(), 1);
}

#[tokio::test]
async fn an_echo_of_a_reopening_does_not_undo_the_technicians_work() {
    let desk = Memory::default();
    open(&held(&desk)).await.expect("a ticket");
    desk.person_sets(1, WorkOrderStatus::Done);
    let reopen = key("work-order/reopen-2");
    held(&desk).reopen(&reopen, CASE, "Not done yet.").await.expect("reopened");
    assert_eq!(desk.is(1), WorkOrderStatus::Open);
    desk.person_sets(1, WorkOrderStatus::Done);
    held(&desk).reopen(&reopen, CASE, "Not done yet.").await.expect("said before");
    assert_eq!(desk.is(1), WorkOrderStatus::Done);
}

#[tokio::test]
async fn one_that_was_never_written_is_closed_and_never_created_by_that() {
    let desk = Memory::default();
    assert_eq!(held(&desk).close(&key("work-order/close-1"), CASE, "Closed.").await, Ok(()));
    assert!(matches!(held(&desk).look(CASE).await, Seen::Unknown { .. }));
    assert!(desk.shelf().tickets.is_empty());
}

#[tokio::test]
async fn a_ticket_of_an_earlier_life_is_opened_anew() {
    let desk = Memory::default();
    open(&held(&desk)).await.expect("a ticket");
    desk.person_sets(1, WorkOrderStatus::Done);
    // Our memory is lost, and case 1 is another one now: its work is not done because the old one's was.
    open(&held(&desk)).await.expect("the same ticket");
    assert_eq!(desk.is(1), WorkOrderStatus::Open);
    assert!(desk.shelf().said.iter().any(|(_, _, text)| text.contains("clean the fan")));
}

#[test]
fn nine_is_lower_than_ten() {
    let mut all = ["OPS-10", "10", "OPS-9", "9"];
    all.sort_by_key(|number| rank(number));
    assert_eq!(all, ["9", "10", "OPS-9", "OPS-10"]);
}
