//! Work orders by mail, for teams whose desk is a mailbox. Mail can be written and not read back: the built-in board
//! carries the work order's status, and technicians answer there.
//!
//! The first letter of a case is the root of a thread; what follows answers it, so that a desk that turns mail into
//! tickets keeps one ticket for a case. It must never take a letter that was sent for one that was read.

use std::sync::Arc;

use async_trait::async_trait;

use crate::adapters::smtp::{Letter, Missed, Post, PostConfig, SmtpError};
use crate::model::ids::{CaseId, TicketRef};
use crate::model::observed::WorkOrderView;
use crate::model::seen::{Seen, Trouble};
use crate::model::step::{StepId, WorkOrder};
use crate::model::tickets::correlation;
use crate::ports::{Clock, Tickets};

/// The board, and a letter for everything that is written on it.
pub struct Mailed {
    board: Arc<dyn Tickets>,
    post: Arc<Post>,
    cluster: String,
    clock: Arc<dyn Clock>,
}

impl Mailed {
    /// `cluster`: fit for a correlation id; the configuration sees to that.
    ///
    /// # Errors
    /// A matter of configuration.
    pub fn new(
        board: Arc<dyn Tickets>,
        config: PostConfig,
        cluster: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SmtpError> {
        Ok(Self { board, post: Arc::new(Post::new(config)?), cluster: cluster.to_owned(), clock })
    }

    /// The same with another board.
    pub fn over(&self, board: Arc<dyn Tickets>) -> Self {
        Self { board, post: self.post.clone(), cluster: self.cluster.clone(), clock: self.clock.clone() }
    }

    async fn write(&self, key: &StepId, case: CaseId, title: &str, text: &str) -> Result<(), Trouble> {
        let id = correlation(&self.cluster, case);
        let key_of = |key: &StepId| format!("{}\n{key}", self.cluster);
        let letter = Letter {
            key: &key_of(key),
            // The step that opens a case's work order, as it has always been called.
            thread: Some(&key_of(&StepId::new(case, "work-order"))),
            subject: &format!("{title} [{id}]"),
            body: &format!("{}\n\n{}\n\n{id}\n", text.trim_end(), answer(case)),
            at: self.clock.now(),
            important: false,
        };
        let missed = self.post.send(&letter).await?;
        if missed.is_empty() {
            return Ok(());
        }
        // The others have it. Whoever looks at the work order sees who was not reached.
        let all: Vec<String> = missed.iter().map(|Missed { who, why }| format!("{who} ({why})")).collect();
        let text = format!("Mail did not reach {}. The others have it.", all.join(", "));
        tracing::error!(case = %case, "case {case}: {text}");
        self.board.comment(&StepId(format!("{key}/not-reached")), case, &text).await
    }
}

fn answer(case: CaseId) -> String {
    format!(
        "Nobody reads answers to this mail. When the work is done, say so in pitlane's console, or: pitlane done {case}"
    )
}

#[async_trait]
impl Tickets for Mailed {
    async fn open(&self, key: &StepId, case: CaseId, order: &WorkOrder) -> Result<TicketRef, Trouble> {
        let ticket = self.board.open(key, case, order).await?;
        let list: String = order.checklist.iter().map(|line| format!("- {line}\n")).collect();
        let text = format!("{}\n\n{list}", order.body.trim_end());
        self.write(key, case, &order.title, &text).await?;
        Ok(ticket)
    }

    async fn reopen(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.board.reopen(key, case, text).await?;
        self.write(key, case, "The work is not done", text).await
    }

    async fn comment(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.board.comment(key, case, text).await?;
        self.write(key, case, "News of the work", text).await
    }

    async fn close(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.board.close(key, case, text).await?;
        self.write(key, case, "There is nothing left to do", text).await
    }

    async fn look(&self, case: CaseId) -> Seen<WorkOrderView> {
        self.board.look(case).await
    }
}
