//! The built-in board and the team's ticket system together. The board is the floor: it has the work order even while the
//! team's system is down, and then the loop keeps trying, because a step is done only when both said so.

use std::sync::Arc;

use async_trait::async_trait;

use crate::model::ids::{CaseId, TicketRef};
use crate::model::observed::WorkOrderView;
use crate::model::seen::{Seen, Trouble};
use crate::model::step::{StepId, WorkOrder};
use crate::ports::Tickets;

/// Both, as one.
pub struct Both {
    pub board: Arc<dyn Tickets>,
    pub team: Arc<dyn Tickets>,
}

#[async_trait]
impl Tickets for Both {
    async fn open(&self, key: &StepId, case: CaseId, order: &WorkOrder) -> Result<TicketRef, Trouble> {
        self.board.open(key, case, order).await?;
        // What the team calls it is what the journal calls it.
        self.team.open(key, case, order).await
    }

    async fn reopen(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.board.reopen(key, case, text).await?;
        self.team.reopen(key, case, text).await
    }

    async fn comment(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.board.comment(key, case, text).await?;
        self.team.comment(key, case, text).await
    }

    async fn close(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.board.close(key, case, text).await?;
        self.team.close(key, case, text).await
    }

    /// The team's word alone. What is said on the board comes as a request, so nothing is lost; and a board that knows
    /// nothing of the team's "done" would look like a ticket that somebody reopened.
    async fn look(&self, case: CaseId) -> Seen<WorkOrderView> {
        self.team.look(case).await
    }
}
