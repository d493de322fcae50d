//! The store's promises, in memory: for stories and crash tests. A [`Shelf`] is everything that is durable; a crash is
//! a new [`MemoryStore`] on the last shelf. It must promise exactly what the real store promises, and can be told to
//! fail before or after it has written.

mod shelf;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::model::alert::{Episode, EpisodeKey, Episodes, Listed};
use crate::model::case::Case;
use crate::model::ids::{CaseId, RequestId};
use crate::model::note::Note;
use crate::model::notice::{ChannelName, NoticeId, Undelivered};
use crate::model::rates::Measured;
use crate::model::request::{Reply, Request};
use crate::model::seen::Trouble;
use crate::model::shown::Unreadable;
use crate::model::state::{Decision, State};
use crate::model::step::{Attempt, Outcome, StepId};
use crate::model::time::Time;
use crate::ports::{Archive, Ingested, Outbox, Store, Uncommitted};

pub use shelf::Shelf;

#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    shelf: Shelf,
    failures: Vec<Failure>,
}

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    Load,
    Commit,
    Record,
    Ingest,
    Request,
}

/// Where it fails. After the write the caller is told of a failure all the same: it cannot know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fails {
    Before,
    After,
}

#[derive(Clone, Copy, Debug)]
struct Failure {
    what: Writing,
    when: Fails,
}

impl From<Shelf> for MemoryStore {
    fn from(shelf: Shelf) -> Self {
        Self { inner: Arc::new(Mutex::new(Inner { shelf, failures: Vec::new() })) }
    }
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    /// What would be found after a crash now.
    pub fn snapshot(&self) -> Shelf {
        self.lock().shelf.clone()
    }

    /// The next call of that kind fails, once. Told twice, it fails twice.
    pub fn fail(&self, what: Writing, when: Fails) {
        self.lock().failures.push(Failure { what, when });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T, E: From<Trouble>>(
        &self,
        what: Writing,
        write: impl FnOnce(&mut Shelf) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut inner = self.lock();
        let at = inner.failures.iter().position(|f| f.what == what);
        let fails = at.map(|at| inner.failures.remove(at).when);
        let trouble = || E::from(Trouble::Unreachable("the disk failed".into()));
        if fails == Some(Fails::Before) {
            return Err(trouble());
        }
        let done = write(&mut inner.shelf)?;
        if fails == Some(Fails::After) { Err(trouble()) } else { Ok(done) }
    }
}

impl From<Trouble> for Uncommitted {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load(&self) -> Result<State, Trouble> {
        self.write(Writing::Load, |shelf| Ok(shelf.state()))
    }

    async fn episodes(&self, since: Time) -> Result<Episodes, Trouble> {
        Ok(self.lock().shelf.episodes_since(since).into())
    }

    async fn commit(&self, decision: &Decision, at: Time) -> Result<(), Uncommitted> {
        self.write(Writing::Commit, |shelf| {
            // All or nothing: the next shelf is written beside the old one.
            let mut next = shelf.clone();
            next.commit(decision, at)?;
            *shelf = next;
            Ok(())
        })
    }

    async fn record(&self, step: &StepId, at: Time, outcome: &Outcome) -> Result<(), Trouble> {
        self.write(Writing::Record, |shelf| shelf.record(step, at, outcome))
    }

    async fn ingest(&self, told: Vec<Episode>) -> Result<Ingested, Trouble> {
        self.write(Writing::Ingest, |shelf| Ok(shelf.ingest(told)))
    }

    async fn level(&self, listed: Vec<Listed>, gone: Vec<EpisodeKey>, at: Time) -> Result<Ingested, Trouble> {
        self.write(Writing::Ingest, |shelf| Ok(shelf.level(listed, gone, at)))
    }

    async fn poison(&self, body: &[u8], why: &str, at: Time) -> Result<(), Trouble> {
        self.lock().shelf.poison(body, why, at);
        Ok(())
    }

    async fn learn(&self, measured: Vec<Measured>) -> Result<(), Trouble> {
        self.lock().shelf.learn(measured);
        Ok(())
    }

    async fn learned(&self) -> Result<Vec<Measured>, Trouble> {
        Ok(self.lock().shelf.learned())
    }

    async fn request(&self, request: &Request) -> Result<(), Trouble> {
        self.write(Writing::Request, |shelf| shelf.request(request))
    }

    async fn reply(&self, id: &RequestId) -> Result<Option<Reply>, Trouble> {
        Ok(self.lock().shelf.reply(id))
    }
}

#[async_trait]
impl Outbox for MemoryStore {
    async fn undelivered(&self) -> Result<Vec<Undelivered>, Trouble> {
        Ok(self.lock().shelf.undelivered())
    }

    async fn delivered(
        &self,
        id: &NoticeId,
        channel: &ChannelName,
        at: Time,
        sent: &Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        self.write(Writing::Record, |shelf| shelf.delivered(id, channel, at, sent))
    }
}

#[async_trait]
impl Archive for MemoryStore {
    async fn cases(&self, limit: usize) -> Result<Vec<Case>, Trouble> {
        Ok(self.lock().shelf.newest_cases(limit))
    }

    async fn case(&self, id: CaseId) -> Result<Option<Case>, Trouble> {
        Ok(self.lock().shelf.case(id))
    }

    async fn journal(
        &self,
        case: Option<CaseId>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Note)>, Trouble> {
        Ok(self.lock().shelf.journal(case, after, limit))
    }

    async fn ledger(&self, case: CaseId) -> Result<BTreeMap<StepId, Attempt>, Trouble> {
        Ok(self.lock().shelf.ledger_of(case))
    }

    async fn unreadable(&self, newest: usize) -> Result<Unreadable, Trouble> {
        Ok(self.lock().shelf.unreadable(newest))
    }
}

#[cfg(test)]
mod tests;
