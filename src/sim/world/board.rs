//! The work-order board: a ticket system that keeps its promises about ids, and remembers everything said to it.

use serde::{Deserialize, Serialize};

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ids::{CaseId, TicketRef};
use crate::model::observed::{WorkOrderStatus, WorkOrderView};
use crate::model::seen::Trouble;
use crate::model::step::{StepId, WorkOrder};

use super::{Actor, World};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Board {
    pub orders: BTreeMap<TicketRef, Order>,
    /// Steps already done here: doing one again changes nothing.
    done: BTreeMap<StepId, TicketRef>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    pub case: CaseId,
    pub asked: WorkOrder,
    pub status: OrderStatus,
    /// What was said after it was opened, oldest first.
    pub said: Vec<String>,
    /// 1 when opened, one more for each reopening.
    pub rounds: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderStatus {
    Open,
    /// The technician's claim.
    Done,
    Cancelled,
    /// By pitlane, at the end.
    Closed,
}

impl Board {
    fn of(&self, case: CaseId) -> Option<(&TicketRef, &Order)> {
        self.orders.iter().rev().find(|(_, order)| order.case == case)
    }

    /// A case's latest work order.
    pub fn order_of(&self, case: CaseId) -> Option<&Order> {
        self.of(case).map(|(_, order)| order)
    }

    pub fn open_orders(&self) -> BTreeSet<&TicketRef> {
        self.orders.iter().filter(|(_, o)| o.status == OrderStatus::Open).map(|(ticket, _)| ticket).collect()
    }
}

impl World {
    pub fn open_order(&mut self, key: &StepId, case: CaseId, order: &WorkOrder) -> TicketRef {
        self.forbid_killed("opening a work order");
        if let Some(ticket) = self.board.done.get(key) {
            return ticket.clone();
        }
        let second = self.board.orders.values().any(|o| o.case == case && o.status != OrderStatus::Cancelled);
        self.forbid(second, || format!("two work orders for case {case}"));
        let ticket = TicketRef(format!("WO-{}", self.board.orders.len() + 1));
        self.board.orders.insert(
            ticket.clone(),
            Order { case, asked: order.clone(), status: OrderStatus::Open, said: Vec::new(), rounds: 1 },
        );
        self.board.done.insert(key.clone(), ticket.clone());
        self.note_effect(Actor::Pitlane, "open_work_order", key);
        ticket
    }

    /// Reopen, comment or close, by the word of `kind`.
    ///
    /// # Errors
    /// There is no work order for the case.
    pub fn tell_order(
        &mut self,
        key: &StepId,
        case: CaseId,
        kind: Telling,
        text: &str,
    ) -> Result<(), Trouble> {
        self.forbid_killed("writing to a work order");
        if self.board.done.contains_key(key) {
            return Ok(());
        }
        let Some(ticket) = self.board.of(case).map(|(ticket, _)| ticket.clone()) else {
            // Called off before it was written: closed is what it is.
            if kind == Telling::Close {
                return Ok(());
            }
            return Err(Trouble::Refused(format!("no work order for case {case}")));
        };
        if let Some(order) = self.board.orders.get_mut(&ticket) {
            order.said.push(text.to_owned());
            match kind {
                Telling::Reopen => {
                    order.status = OrderStatus::Open;
                    order.rounds += 1;
                }
                Telling::Comment => {}
                Telling::Close => order.status = OrderStatus::Closed,
            }
        }
        self.board.done.insert(key.clone(), ticket);
        self.note_effect(Actor::Pitlane, kind.name(), key);
        Ok(())
    }

    /// What a look at the case's work order shows.
    ///
    /// # Errors
    /// There is none.
    pub fn see_order(&self, case: CaseId) -> Result<WorkOrderView, Trouble> {
        let (ticket, order) =
            self.board.of(case).ok_or_else(|| Trouble::Refused(format!("no work order for case {case}")))?;
        let status = match order.status {
            OrderStatus::Open => WorkOrderStatus::Open,
            OrderStatus::Done | OrderStatus::Closed => WorkOrderStatus::Done,
            OrderStatus::Cancelled => WorkOrderStatus::Cancelled,
        };
        Ok(WorkOrderView::plain(ticket.clone(), status))
    }

    /// The technician ticks the order off. A claim, not a proof.
    pub fn technician_claims_done(&mut self, case: CaseId) {
        self.set_order(case, OrderStatus::Done);
    }

    /// Somebody cancels the order in the ticket system.
    pub fn human_cancels_order(&mut self, case: CaseId) {
        self.set_order(case, OrderStatus::Cancelled);
    }

    /// Somebody opens the order again in the ticket system.
    pub fn human_opens_order(&mut self, case: CaseId) {
        self.set_order(case, OrderStatus::Open);
    }

    fn set_order(&mut self, case: CaseId, status: OrderStatus) {
        let ticket = self.board.of(case).map(|(ticket, _)| ticket.clone());
        if let Some(order) = ticket.and_then(|t| self.board.orders.get_mut(&t)) {
            order.status = status;
        }
    }
}

/// What is said to a work order after it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Telling {
    Reopen,
    Comment,
    Close,
}

impl Telling {
    fn name(self) -> &'static str {
        match self {
            Self::Reopen => "reopen_work_order",
            Self::Comment => "comment",
            Self::Close => "close_work_order",
        }
    }
}
