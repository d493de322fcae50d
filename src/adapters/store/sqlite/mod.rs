//! What pitlane remembers, in one SQLite file: cases, journal, steps, requests, episodes, and the built-in board.
//!
//! One writer thread owns the one connection that writes ([`writer`]); reads go beside it ([`reader`]). What is
//! acknowledged is on the disk. It must never decide anything, and never begin anew over what it cannot read.

mod archive;
mod backup;
mod board;
mod commit;
mod copies;
mod copying;
mod episodes;
mod inbox;
mod inspect;
mod journal;
mod keep;
mod known;
mod leaving;
mod load;
mod mark;
mod measured;
mod notices;
mod open;
mod place;
mod places;
mod prune;
mod reader;
mod rows;
mod swap;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;

pub use backup::{backup, restore};
pub use board::Board;
pub use copies::Copies;
pub use copying::{Copied, keep_copying};
pub use inspect::{Inspected, inspect};
pub use keep::Keep;
pub(super) use leaving::Leaving;
pub use leaving::nothing_left;
pub use place::fit;
pub use places::SqliteFleet;

use super::chain::Head;
use super::error::StoreError;
use super::poison::Poison;
use super::{case_row, chain, deciding, documents, error, poison, seal, sheet};
use crate::model::alert::{Episode, EpisodeKey, Episodes, Listed};
use crate::model::case::Case;
use crate::model::ids::{CaseId, RequestId};
use crate::model::note::Note;
use crate::model::notice::{ChannelName, NoticeId, Undelivered};
use crate::model::rates::{Measured, Rates};
use crate::model::request::{Reply, Request};
use crate::model::seen::Trouble;
use crate::model::state::{Decision, State};
use crate::model::step::{Attempt, Outcome, StepId};
use crate::model::time::Time;
use crate::ports::{Archive, Clock, Ingested, Outbox, Store, Uncommitted};

/// The journal's whole chain is walked within this, or the walk is given up: some millions of entries.
const VERIFY: Duration = Duration::from_secs(300);

/// The store, with the right to write. Cheap to clone; the state directory is held until the last clone is gone.
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

/// Reading only: beside a running service, or without one (`audit verify`).
pub struct Reader {
    readers: reader::Readers,
}

/// What the store and the board share.
struct Shared {
    writer: writer::Writer,
    readers: reader::Readers,
    clock: Arc<dyn Clock>,
    rates: super::rates::Known,
    keep: Mutex<Keep>,
    alerts: Arc<known::Known>,
    /// One reads all episodes; the others wait for what it finds.
    reading: tokio::sync::Mutex<()>,
}

impl Shared {
    fn now(&self) -> Time {
        self.clock.now()
    }

    async fn write<T, F>(&self, doing: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.writer.write(doing, work).await
    }

    async fn read<T, F>(&self, doing: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.readers.read(doing, reader::DEADLINE, work).await
    }
}

/// Opens the state directory, making it where it is missing. Blocks for a moment: call it while starting.
///
/// # Errors
/// The directory is not ours to use, another pitlane holds it, or the file is damaged or of a newer version: each
/// with the file's name and what to do.
pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<SqliteStore, StoreError> {
    let writable = open::writable(dir)?;
    let readers = reader::Readers::open(dir)?;
    let writer = writer::Writer::start(writable).map_err(|e| StoreError::Directory {
        dir: dir.into(),
        why: format!("the store's thread does not start: {e}"),
    })?;
    let (rates, keep, alerts, reading) = Default::default();
    Ok(SqliteStore { shared: Arc::new(Shared { writer, readers, clock, rates, keep, alerts, reading }) })
}

impl SqliteStore {
    /// The built-in ticket system in the same file.
    pub fn board(&self) -> Board {
        Board { shared: Arc::clone(&self.shared) }
    }

    /// How long closed cases and the journal are kept; for ever if this is never said.
    pub fn keep(&self, keep: Keep) {
        *self.shared.keep.lock().unwrap_or_else(PoisonError::into_inner) = keep;
    }

    /// Walks the journal's hash chain; the head it returns may be noted elsewhere.
    ///
    /// # Errors
    /// [`StoreError::Journal`] names the first entry that does not fit.
    pub async fn verify(&self) -> Result<Head, StoreError> {
        self.shared.readers.read("verifying the journal", VERIFY, journal::verify).await
    }

    /// Deliveries that could not be read, newest first.
    ///
    /// # Errors
    /// The database could not be read.
    pub async fn poisoned(&self, limit: usize) -> Result<Vec<Poison>, StoreError> {
        self.shared.read("listing unreadable deliveries", move |conn| inbox::poisoned(conn, limit)).await
    }

    /// How fast guests move. A forecast is never worth a turn: what cannot be read was never measured.
    async fn rates(&self, now: Time) -> Rates {
        if let Some(known) = self.shared.rates.at(now) {
            return known;
        }
        match self.shared.read("reading measurements", measured::newest).await {
            Ok(all) => self.shared.rates.learn(&all, now),
            Err(error) => {
                tracing::warn!("measurements could not be read: {}", error.chain());
                Rates::default()
            }
        }
    }

    /// What is heard of alerts. The next turn knows it before anybody is told that it is durable.
    async fn tell<F>(&self, doing: &'static str, work: F) -> Result<Ingested, Trouble>
    where
        F: Fn(&Connection) -> Result<episodes::Heard, StoreError> + Send + 'static,
    {
        let known = Arc::clone(&self.shared.alerts);
        let then =
            move |heard: Option<&episodes::Heard>| known.heard(heard.map(|heard| heard.news.as_slice()));
        Ok(self.shared.writer.tell(doing, work, then).await?.count)
    }

    async fn prune_when_due(&self, now: Time) -> Result<(), StoreError> {
        if !self.shared.read("asking when it was pruned", move |conn| prune::due(conn, now)).await? {
            return Ok(());
        }
        let keep = *self.shared.keep.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = self.shared.write("pruning", move |conn| prune::prune(conn, keep, now)).await?;
        if gone.alerts {
            self.shared.alerts.forget();
        }
        let rows = gone.rows;
        tracing::debug!(rows, "the store forgot {rows} rows that no decision needs any more");
        Ok(())
    }
}

impl Reader {
    /// For a state directory that a service has used. Does not need the service to be stopped.
    ///
    /// # Errors
    /// There is no database, or it is damaged, or of another version.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { readers: reader::Readers::open(dir)? })
    }

    /// Inspects everything that is stored, without changing it. May take some seconds for a store of years.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub async fn inspect(dir: &Path) -> Result<Inspected, StoreError> {
        let dir = dir.to_owned();
        tokio::task::spawn_blocking(move || inspect::inspect_state(&dir))
            .await
            .map_err(|_| StoreError::Gone)?
    }

    /// The journal as lines of JSON with their hashes, of one case or all, after a number: at most so many.
    ///
    /// # Errors
    /// The database could not be read.
    pub async fn lines(
        &self,
        case: Option<CaseId>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, String)>, StoreError> {
        let read = move |conn: &Connection| journal::lines(conn, case, after, limit);
        self.readers.read("reading the journal", reader::DEADLINE, read).await
    }

    /// As [`SqliteStore::verify`].
    ///
    /// # Errors
    /// [`StoreError::Journal`] names the first entry that does not fit.
    pub async fn verify(&self) -> Result<Head, StoreError> {
        self.readers.read("verifying the journal", VERIFY, journal::verify).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn load(&self) -> Result<State, Trouble> {
        let now = self.shared.now();
        self.shared.writer.works().await?;
        if let Err(error) = self.prune_when_due(now).await {
            // Old rows cost room, not truth.
            tracing::warn!("the store could not be pruned: {}", error.chain());
        }
        let state = self.shared.read("loading", move |conn| load::state(conn, now)).await?;
        Ok(State { rates: self.rates(now).await, ..state })
    }

    async fn written(&self) -> Result<Option<u64>, Trouble> {
        self.shared.writer.works().await?;
        Ok(Some(self.shared.writer.written()))
    }

    async fn episodes(&self, since: Time) -> Result<Episodes, Trouble> {
        let known = &self.shared.alerts;
        if let Some(all) = known.now(since) {
            return Ok(all);
        }
        let _one_at_a_time = self.shared.reading.lock().await;
        if let Some(all) = known.now(since) {
            return Ok(all);
        }
        let before = known.reads();
        let read = move |conn: &Connection| episodes::since(conn, since, &before);
        let all = self.shared.read("reading the episodes", read).await?;
        Ok(known.read(since, all))
    }

    async fn commit(&self, decision: &Decision, at: Time) -> Result<(), Uncommitted> {
        if !deciding::needed(decision) {
            return Ok(());
        }
        let decision = Decision {
            cases: decision.cases.clone(),
            notes: decision.notes.clone(),
            notices: decision.notices.clone(),
            steps: decision.steps.clone(),
            replies: decision.replies.clone(),
            pause: decision.pause.clone(),
            ..Decision::default()
        };
        let write = move |conn: &Connection| commit::write(conn, &decision, at);
        Ok(self.shared.write("committing a decision", write).await?)
    }

    async fn record(&self, step: &StepId, at: Time, outcome: &Outcome) -> Result<(), Trouble> {
        let (step, outcome) = (step.clone(), outcome.clone());
        let write = move |conn: &Connection| commit::record(conn, &step, at, &outcome);
        Ok(self.shared.write("recording a step", write).await?)
    }

    async fn ingest(&self, told: Vec<Episode>) -> Result<Ingested, Trouble> {
        if told.is_empty() {
            return Ok(Ingested::default());
        }
        self.tell("storing alerts", move |conn| episodes::ingest(conn, &told)).await
    }

    async fn level(&self, listed: Vec<Listed>, gone: Vec<EpisodeKey>, at: Time) -> Result<Ingested, Trouble> {
        if listed.is_empty() && gone.is_empty() {
            return Ok(Ingested::default());
        }
        self.tell("storing what fires", move |conn| episodes::level(conn, &listed, &gone, at)).await
    }

    async fn poison(&self, body: &[u8], why: &str, at: Time) -> Result<(), Trouble> {
        let (kept, size, why) = poison::cut(body, why);
        let write = move |conn: &Connection| inbox::poison(conn, &kept, size, &why, at);
        Ok(self.shared.write("storing an unreadable delivery", write).await?)
    }

    async fn learn(&self, measured: Vec<Measured>) -> Result<(), Trouble> {
        if measured.is_empty() {
            return Ok(());
        }
        let kept =
            self.shared.write("keeping measurements", move |conn| measured::keep(conn, &measured)).await;
        self.shared.rates.forget();
        Ok(kept?)
    }

    async fn learned(&self) -> Result<Vec<Measured>, Trouble> {
        Ok(self.shared.read("reading measurements", measured::newest).await?)
    }

    async fn request(&self, request: &Request) -> Result<(), Trouble> {
        let request = request.clone();
        Ok(self.shared.write("storing a request", move |conn| inbox::request(conn, &request)).await?)
    }

    async fn reply(&self, id: &RequestId) -> Result<Option<Reply>, Trouble> {
        let id = id.clone();
        Ok(self.shared.read("reading a reply", move |conn| inbox::reply(conn, &id)).await?)
    }
}

#[async_trait]
impl Outbox for SqliteStore {
    async fn undelivered(&self) -> Result<Vec<Undelivered>, Trouble> {
        Ok(self.shared.read("reading the outbox", notices::undelivered).await?)
    }

    async fn delivered(
        &self,
        id: &NoticeId,
        channel: &ChannelName,
        at: Time,
        sent: &Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let (id, channel, sent) = (id.clone(), channel.clone(), sent.clone());
        let write = move |conn: &Connection| notices::delivered(conn, &id, &channel, at, &sent);
        Ok(self.shared.write("recording a delivery", write).await?)
    }
}

#[async_trait]
impl Archive for SqliteStore {
    async fn cases(&self, limit: usize) -> Result<Vec<Case>, Trouble> {
        Ok(self.shared.read("listing cases", move |conn| load::cases(conn, limit)).await?)
    }

    async fn case(&self, id: CaseId) -> Result<Option<Case>, Trouble> {
        Ok(self.shared.read("reading a case", move |conn| load::case(conn, id)).await?)
    }

    async fn journal(
        &self,
        case: Option<CaseId>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Note)>, Trouble> {
        let read = move |conn: &Connection| journal::read(conn, case, after, limit);
        Ok(self.shared.read("reading the journal", read).await?)
    }

    async fn ledger(&self, case: CaseId) -> Result<BTreeMap<StepId, Attempt>, Trouble> {
        Ok(self.shared.read("reading the ledger", move |conn| load::ledger(conn, Some(case))).await?)
    }

    async fn unreadable(&self, newest: usize) -> Result<crate::model::shown::Unreadable, Trouble> {
        let read = move |conn: &Connection| inbox::unreadable(conn, newest);
        Ok(self.shared.read("listing unreadable deliveries", read).await?)
    }
}
