//! A ticket system is not asked every few seconds: an answer is good for the poll's span, unless the bell rang.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::model::ids::{CaseId, TicketRef};
use crate::model::observed::WorkOrderView;
use crate::model::seen::{Seen, Trouble};
use crate::model::step::{StepId, WorkOrder};
use crate::model::time::{Time, age};
use crate::ports::{Clock, Tickets};

/// After a failure it is asked again sooner.
const AGAIN_MAX: Duration = Duration::from_secs(15);

/// The port, with answers kept for a while.
pub struct Polled {
    inner: Arc<dyn Tickets>,
    every: Duration,
    clock: Arc<dyn Clock>,
    seen: Mutex<BTreeMap<CaseId, (Time, Seen<WorkOrderView>)>>,
}

impl Polled {
    pub fn new(inner: Arc<dyn Tickets>, every: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { inner, every, clock, seen: Mutex::default() }
    }

    /// Somebody says that something changed: the next look asks.
    pub fn rung(&self) {
        self.kept().clear();
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<CaseId, (Time, Seen<WorkOrderView>)>> {
        // A map of copies is right whoever panicked.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn good(&self, case: CaseId) -> Option<Seen<WorkOrderView>> {
        let now = self.clock.now();
        let kept = self.kept();
        let (asked, seen) = kept.get(&case)?;
        let span = if matches!(seen, Seen::Known { .. }) { self.every } else { self.every.min(AGAIN_MAX) };
        (age(now, *asked) < span).then(|| seen.clone())
    }
}

#[async_trait]
impl Tickets for Polled {
    async fn open(&self, key: &StepId, case: CaseId, order: &WorkOrder) -> Result<TicketRef, Trouble> {
        self.kept().remove(&case);
        self.inner.open(key, case, order).await
    }

    async fn reopen(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.kept().remove(&case);
        self.inner.reopen(key, case, text).await
    }

    async fn comment(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.inner.comment(key, case, text).await
    }

    async fn close(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        // Nobody asks after a closed one: what is kept does not grow.
        self.kept().remove(&case);
        self.inner.close(key, case, text).await
    }

    async fn look(&self, case: CaseId) -> Seen<WorkOrderView> {
        if let Some(seen) = self.good(case) {
            return seen;
        }
        let asked = self.clock.now();
        let seen = self.inner.look(case).await;
        self.kept().insert(case, (asked, seen.clone()));
        seen
    }
}
