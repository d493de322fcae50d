//! What every ticket system is held to, whatever its manners: one ticket a case, found again after any crash.
//!
//! Find (in all statuses) → create → read back → settle duplicates → converge. No system that we know can refuse a second
//! create, so the lowest ticket that carries the case's id counts, and ours that do not are cancelled with a word. A call
//! whose answer is lost is "unknown": the next try searches first. Nothing said is believed without reading it back.
//!
//! It must never close, cancel or reopen a ticket that does not carry the case's id.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::error::TicketError;
use crate::model::ids::{CaseId, TicketRef};
use crate::model::observed::{WorkOrderStatus, WorkOrderView};
use crate::model::seen::{Seen, Trouble};
use crate::model::step::{StepId, WorkOrder};
use crate::model::tickets::correlation;
use crate::model::time::{Time, age};
use crate::ports::{Clock, Tickets};

/// One ticket as its system shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// What the system's own requests call it.
    pub number: String,
    /// What people call it.
    pub name: String,
    pub carries: Carries,
    pub status: WorkOrderStatus,
    pub title: String,
    pub owner: Option<String>,
    pub url: Option<String>,
}

/// How a ticket belongs to a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// By the system's own field: this is how it counts.
    Id,
    /// In its title only: we wrote it, and the system did not keep the field.
    TitleOnly,
}

/// What is written on a new ticket.
pub struct Paper<'a> {
    /// The correlation id.
    pub id: &'a str,
    pub case: CaseId,
    pub title: String,
    pub body: String,
    pub order: &'a WorkOrder,
}

/// Where to search for the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Where it counts: cheap enough for every look.
    Field,
    /// In titles as well, for those that lost the field: before something is done.
    Titles,
}

/// What a ticket is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Become {
    Open,
    Closed,
    Cancelled,
}

/// What a look around brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// What is there, in words.
    pub saw: Vec<String>,
    /// What is missing or wrong, and what to do.
    pub lacks: Vec<String>,
}

/// A ticket system's manners, in its own words. Each call is one conversation and may be repeated.
#[async_trait]
pub trait Desk: Send + Sync {
    /// Every ticket with this id, in all statuses.
    async fn find(&self, id: &str, depth: Depth) -> Result<Vec<Ticket>, TicketError>;
    /// The ticket's number. `Err` may mean that it exists all the same.
    async fn create(&self, paper: &Paper<'_>) -> Result<String, TicketError>;
    /// As it is now, read by its number; the search may lag.
    async fn read(&self, number: &str, id: &str) -> Result<Ticket, TicketError>;
    /// Gives a ticket of ours the field that it lacks.
    async fn adopt(&self, number: &str, id: &str) -> Result<(), TicketError>;
    async fn become_(&self, number: &str, to: Become, text: &str) -> Result<(), TicketError>;
    async fn comment(&self, number: &str, receipt: &str, text: &str) -> Result<(), TicketError>;
    /// A comment with this receipt is there.
    async fn said(&self, number: &str, receipt: &str) -> Result<bool, TicketError>;
    /// The title, where it differs.
    async fn retitle(&self, number: &str, title: &str) -> Result<(), TicketError>;
    /// Whether everything that the configuration names exists there. A line for each thing that does not.
    async fn preflight(&self) -> Vec<String>;
    /// Beyond `preflight`, for a person who tests: which of our words the system does not know. Reads only.
    async fn words(&self, _survey: &mut Survey) -> Result<(), TicketError> {
        Ok(())
    }
    /// The word that says "done" in this system.
    fn done(&self) -> Option<&str>;
    /// So long may the search hide what was created. Zero where it never does.
    fn lag(&self) -> Duration;
}

/// The tickets port, for any desk.
pub struct Held {
    desk: Box<dyn Desk>,
    system: String,
    cluster: String,
    clock: Arc<dyn Clock>,
    began: Time,
    /// Creates whose outcome is not known, while this process lives.
    unclear: Mutex<BTreeMap<CaseId, Time>>,
    /// Where a case's ticket was found: an index that lags does not hide it from us any more.
    known: Mutex<BTreeMap<CaseId, String>>,
}

impl Held {
    /// `cluster`: fit for a correlation id; the configuration sees to that.
    pub fn new(desk: Box<dyn Desk>, system: &str, cluster: &str, clock: Arc<dyn Clock>) -> Self {
        let began = clock.now();
        Self {
            desk,
            system: system.to_owned(),
            cluster: cluster.to_owned(),
            clock,
            began,
            unclear: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// What the configuration names and the system does not have, in words.
    pub async fn preflight(&self) -> Vec<String> {
        self.desk.preflight().await
    }

    /// A look around for a person who tests: everything that can be read is read, and nothing is written.
    pub async fn survey(&self) -> Survey {
        let mut survey = Survey { lacks: self.preflight().await, ..Survey::default() };
        if !survey.lacks.is_empty() {
            return survey;
        }
        survey.saw.push(format!("{} answers; what the configuration names is there", self.system));
        let looked = async {
            // Cases begin at 1. What is found for this one is a search that does not search.
            let found = self.desk.find(&self.id(CaseId(0)), Depth::Titles).await?;
            if !found.is_empty() {
                survey
                    .lacks
                    .push(format!("its search finds {} tickets of a case that never was", found.len()));
                return Ok(());
            }
            survey.saw.push("its search answers, and finds nothing of a case that never was".to_owned());
            self.desk.words(&mut survey).await
        };
        if let Err(error) = looked.await {
            survey.lacks.push(error.to_string());
        }
        survey
    }

    fn id(&self, case: CaseId) -> String {
        correlation(&self.cluster, case)
    }

    /// All of the case's tickets: those that carry its id first, the lowest first.
    async fn all(&self, case: CaseId, depth: Depth) -> Result<Vec<Ticket>, TicketError> {
        let id = self.id(case);
        let mut found = self.desk.find(&id, depth).await?;
        let known = lock(&self.known).get(&case).cloned();
        if let Some(number) = known
            && !found.iter().any(|ticket| ticket.number == number)
        {
            // Not (yet) in the search, or no longer: its own page says.
            match self.desk.read(&number, &id).await {
                Ok(ticket) => found.push(ticket),
                Err(TicketError::NoTicket(_)) => {
                    lock(&self.known).remove(&case);
                }
                Err(other) => return Err(other),
            }
        }
        found.sort_by_key(|ticket| (ticket.carries == Carries::TitleOnly, rank(&ticket.name)));
        if let Some(first) = found.first().filter(|ticket| ticket.carries == Carries::Id) {
            lock(&self.known).insert(case, first.number.clone());
        }
        Ok(found)
    }

    /// The one that counts. Others of ours are cancelled; one that lost its field gets it.
    async fn settled(&self, case: CaseId) -> Result<Option<Ticket>, TicketError> {
        let id = self.id(case);
        let mut all = self.all(case, Depth::Titles).await?;
        let Some(first) = all.first() else { return Ok(None) };
        if first.carries == Carries::TitleOnly {
            self.desk.adopt(&first.number, &id).await?;
            all = self.all(case, Depth::Titles).await?;
        }
        let Some(first) = all.first().filter(|ticket| ticket.carries == Carries::Id).cloned() else {
            let (system, doing) = (self.system.clone(), "writing the correlation id on our ticket");
            let why =
                "it has none afterwards; does the robot have the right to change that field?".to_owned();
            return Err(TicketError::NotDone { system, doing, why });
        };
        // A person's copy has a title of its own, and stays.
        let ours = |t: &&Ticket| t.number != first.number && t.title == first.title;
        for extra in all.iter().filter(ours).filter(|t| !over(t.status)) {
            let text = format!("A duplicate of {}, which counts. There is nothing to do here.", first.name);
            self.desk.comment(&extra.number, "", &text).await?;
            self.make(&extra.number, &id, Become::Cancelled, &text).await?;
        }
        Ok(Some(first))
    }

    /// Changes its status and looks whether it did: a yes alone proves nothing.
    async fn make(&self, number: &str, id: &str, to: Become, text: &str) -> Result<(), TicketError> {
        self.desk.become_(number, to, text).await?;
        let now = self.desk.read(number, id).await?;
        let so = match to {
            Become::Open => !over(now.status),
            Become::Closed | Become::Cancelled => over(now.status),
        };
        if so {
            return Ok(());
        }
        let why = format!("{} is {}", now.name, word(now.status));
        Err(TicketError::NotDone { system: self.system.clone(), doing: "changing the ticket's status", why })
    }

    async fn ensure(&self, key: &StepId, case: CaseId, order: &WorkOrder) -> Result<TicketRef, TicketError> {
        let id = self.id(case);
        let title = format!("{} [{id}]", order.title);
        let paper = Paper { id: &id, case, title, body: body(&id, order, self.desk.done()), order };
        let mut first = self.settled(case).await?;
        if first.is_none() {
            self.may_create(case)?;
            match self.desk.create(&paper).await {
                Ok(number) => {
                    lock(&self.known).insert(case, number);
                }
                Err(error) => {
                    if error.unclear() {
                        lock(&self.unclear).insert(case, self.clock.now());
                    }
                    return Err(error);
                }
            }
            first = self.settled(case).await?;
        }
        let first = first.ok_or_else(|| TicketError::NoTicket(id.clone()))?;
        if over(first.status) {
            // Over before it was known to be open: of an earlier life of this cluster's memory, or somebody was quick.
            // Either way this work has to be claimed anew.
            self.make(&first.number, &id, Become::Open, "").await?;
            self.once(&first.number, key, &paper.body).await?;
        }
        if first.title != paper.title {
            self.desk.retitle(&first.number, &paper.title).await?;
        }
        lock(&self.unclear).remove(&case);
        Ok(TicketRef(first.name))
    }

    /// A search that lags is asked once more, when a create may have happened that nobody remembers.
    fn may_create(&self, case: CaseId) -> Result<(), TicketError> {
        let lag = self.desk.lag();
        let unclear = lock(&self.unclear).get(&case).copied();
        let since = unclear.map_or(self.began, |at| at.max(self.began));
        if age(self.clock.now(), since) >= lag {
            return Ok(());
        }
        Err(TicketError::Lagging { system: self.system.clone(), lag })
    }

    /// Says it, unless its receipt is there.
    async fn once(&self, number: &str, key: &StepId, text: &str) -> Result<(), TicketError> {
        let receipt = receipt(key);
        if text.trim().is_empty() || self.desk.said(number, &receipt).await? {
            return Ok(());
        }
        self.desk.comment(number, &receipt, text).await
    }

    async fn must_have(&self, case: CaseId) -> Result<Ticket, TicketError> {
        self.settled(case).await?.ok_or_else(|| TicketError::NoTicket(self.id(case)))
    }

    async fn try_reopen(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), TicketError> {
        let ticket = self.must_have(case).await?;
        // The comment is the receipt, so it comes last: where it is, what was done since is the technician's.
        if self.desk.said(&ticket.number, &receipt(key)).await? {
            return Ok(());
        }
        if over(ticket.status) {
            self.make(&ticket.number, &self.id(case), Become::Open, text).await?;
        }
        self.desk.comment(&ticket.number, &receipt(key), text).await
    }

    async fn try_close(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), TicketError> {
        // Called off before it was written: closed is what it is.
        let Some(ticket) = self.settled(case).await? else { return Ok(()) };
        self.once(&ticket.number, key, text).await?;
        if !over(ticket.status) {
            self.make(&ticket.number, &self.id(case), Become::Closed, text).await?;
        }
        lock(&self.known).remove(&case);
        Ok(())
    }

    async fn try_look(&self, case: CaseId) -> Result<WorkOrderView, TicketError> {
        let found =
            self.all(case, Depth::Field).await?.into_iter().find(|ticket| ticket.carries == Carries::Id);
        let ticket = found.ok_or_else(|| TicketError::NoTicket(self.id(case)))?;
        let Ticket { name, status, owner, url, .. } = ticket;
        Ok(WorkOrderView { ticket: TicketRef(name), status, owner, url })
    }
}

#[async_trait]
impl Tickets for Held {
    async fn open(&self, key: &StepId, case: CaseId, order: &WorkOrder) -> Result<TicketRef, Trouble> {
        Ok(self.ensure(key, case, order).await?)
    }

    async fn reopen(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        Ok(self.try_reopen(key, case, text).await?)
    }

    async fn comment(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        let ticket = self.must_have(case).await?;
        Ok(self.once(&ticket.number, key, text).await?)
    }

    async fn close(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        Ok(self.try_close(key, case, text).await?)
    }

    async fn look(&self, case: CaseId) -> Seen<WorkOrderView> {
        // Asked before the call: what is read was true then at the earliest.
        let at = self.clock.now();
        match self.try_look(case).await {
            Ok(view) => Seen::known(view, at),
            Err(error) => Trouble::from(error).into(),
        }
    }
}

/// A panic elsewhere does not make a map of numbers wrong.
fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn over(status: WorkOrderStatus) -> bool {
    matches!(status, WorkOrderStatus::Done | WorkOrderStatus::Cancelled)
}

fn word(status: WorkOrderStatus) -> &'static str {
    match status {
        WorkOrderStatus::Open => "open",
        WorkOrderStatus::InProgress => "in progress",
        WorkOrderStatus::Done => "done",
        WorkOrderStatus::Cancelled => "cancelled",
    }
}

/// What shows that a step was said: it stands in the comment.
fn receipt(key: &StepId) -> String {
    format!("pitlane {key}")
}

/// The lowest counts: `9` before `10`, `OPS-9` before `OPS-10`.
fn rank(number: &str) -> (usize, String, usize, String) {
    let digits = number.trim_start_matches(|c: char| !c.is_ascii_digit());
    let digits = if digits.chars().all(|c| c.is_ascii_digit()) { digits } else { "" };
    let words = &number[..number.len() - digits.len()];
    (words.len(), words.to_owned(), digits.len(), digits.to_owned())
}

/// The work order as text, with the id in a line of its own, so that a person and a text search find it. And how to say
/// "done" here: whoever reads the ticket alone may have no access to pitlane.
fn body(id: &str, order: &WorkOrder, done: Option<&str>) -> String {
    let list: String = order.checklist.iter().map(|line| format!("- {line}\n")).collect();
    let done = done.map_or_else(String::new, |word| {
        format!("\nDone? Say so in pitlane, as above, or set this ticket to \"{word}\": both say the same. The node is \
                 checked before it goes back to work.\n")
    });
    format!("{}\n\n{list}{done}\n{id}\n", order.body.trim_end())
}

#[cfg(test)]
mod tests;
