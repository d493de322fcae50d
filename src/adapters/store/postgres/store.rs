//! One cluster in the database, behind the store's ports.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::super::Keep;
use super::super::chain::Head;
use super::super::error::StoreError;
use super::super::rates::Known;
use super::super::sheet::{Said, Sheet};
use super::super::{deciding, poison};
use super::board::Which;
use super::intake::Intake;
use super::pool::{DEADLINE, PATIENCE, Pool, attempt};
use super::{board, commit, episodes, inbox, journal, load, measured, notices, prune};
use crate::model::alert::{Episode, EpisodeKey, Episodes, Listed};
use crate::model::case::Case;
use crate::model::ids::{CaseId, ClusterName, RequestId, TicketRef};
use crate::model::note::Note;
use crate::model::notice::{ChannelName, NoticeId, Undelivered};
use crate::model::observed::WorkOrderView;
use crate::model::rates::{Measured, Rates};
use crate::model::request::{Reply, Request};
use crate::model::seen::{Seen, Trouble};
use crate::model::shown::Unreadable;
use crate::model::state::{Decision, State};
use crate::model::step::{Attempt, Outcome, StepId, WorkOrder};
use crate::model::time::Time;
use crate::ports::{Archive, Clock, Fence, Ingested, Outbox, Store, Tenure, Tickets, Uncommitted};

/// One cluster's store. Made by [`PostgresFleet::store`](super::PostgresFleet::store). Cheap to clone.
#[derive(Clone)]
pub struct PostgresStore {
    shared: Arc<Shared>,
}

struct Shared {
    pub(super) pool: Arc<Pool>,
    cluster: ClusterName,
    tenure: Arc<dyn Tenure>,
    clock: Arc<dyn Clock>,
    rates: Known,
    keep: Mutex<Keep>,
    intake: Arc<Intake>,
}

impl Shared {
    /// With what a decision is fenced.
    fn fence(&self) -> Result<Fence, StoreError> {
        self.tenure.fence().ok_or_else(|| StoreError::Fenced(self.cluster.clone()))
    }
}

/// One transaction, made with the cluster's name.
macro_rules! ask {
    ($self:expr, $doing:expr, ($conn:ident, $cluster:ident) => $work:expr) => {{
        let (pool, $cluster) = (&*$self.shared.pool, &$self.shared.cluster);
        attempt!(pool, DEADLINE, $doing, $conn => $work)
    }};
}

impl PostgresStore {
    pub(super) fn new(
        pool: Arc<Pool>,
        cluster: ClusterName,
        tenure: Arc<dyn Tenure>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let intake = Arc::new(Intake::new(Arc::clone(&pool), cluster.clone()));
        Self {
            shared: Arc::new(Shared {
                pool,
                cluster,
                tenure,
                clock,
                rates: Known::default(),
                keep: Mutex::default(),
                intake,
            }),
        }
    }

    /// The built-in ticket system in the same database.
    pub fn board(&self) -> PostgresBoard {
        PostgresBoard { shared: Arc::clone(&self.shared) }
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
        let (pool, cluster) = (&*self.shared.pool, &self.shared.cluster);
        attempt!(pool, PATIENCE, "verifying the journal", conn => journal::verify(conn, cluster))
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
        let doing = "reading the journal";
        ask!(self, doing, (conn, cluster) => journal::lines(conn, cluster, case, after, limit))
    }

    /// Reads everything that is stored of the cluster, without changing it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub async fn inspect(&self) -> Result<super::super::Inspected, StoreError> {
        let (pool, cluster) = (&*self.shared.pool, &self.shared.cluster);
        attempt!(pool, PATIENCE, "inspecting the store", conn => super::inspect::inspect(conn, cluster))
    }

    /// How fast guests move. A forecast is never worth a turn: what cannot be read was never measured.
    async fn rates(&self, now: Time) -> Rates {
        if let Some(known) = self.shared.rates.at(now) {
            return known;
        }
        match ask!(self, "reading measurements", (conn, cluster) => measured::newest(conn, cluster)) {
            Ok(all) => self.shared.rates.learn(&all, now),
            Err(error) => {
                tracing::warn!("measurements could not be read: {}", error.chain());
                Rates::default()
            }
        }
    }

    /// Old rows cost room, not truth.
    async fn prune(&self, now: Time) {
        // Whoever decides forgets, too.
        let Some(fence) = self.shared.tenure.fence() else { return };
        let keep = *self.shared.keep.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) =
            ask!(self, "pruning", (conn, cluster) => prune::prune(conn, cluster, &fence, keep, now))
        {
            tracing::warn!("the store could not be pruned: {}", error.chain());
        }
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn load(&self) -> Result<State, Trouble> {
        let now = self.shared.clock.now();
        let load::Loaded { mut state, prune } =
            ask!(self, "loading", (conn, cluster) => load::state(conn, cluster, now))?;
        if prune {
            self.prune(now).await;
            // What was forgotten now must not be decided from.
            state = ask!(self, "loading", (conn, cluster) => load::state(conn, cluster, now))?.state;
        }
        Ok(State { rates: self.rates(now).await, ..state })
    }

    async fn episodes(&self, since: Time) -> Result<Episodes, Trouble> {
        let doing = "reading the episodes";
        Ok(ask!(self, doing, (conn, cluster) => episodes::since(conn, cluster, since))?.into())
    }

    async fn commit(&self, decision: &Decision, at: Time) -> Result<(), Uncommitted> {
        if !deciding::needed(decision) {
            return Ok(());
        }
        let fence = self.shared.fence()?;
        let doing = "committing a decision";
        Ok(ask!(self, doing, (conn, cluster) => commit::write(conn, cluster, &fence, decision, at))?)
    }

    async fn record(&self, step: &StepId, at: Time, outcome: &Outcome) -> Result<(), Trouble> {
        let fence = self.shared.fence()?;
        let doing = "recording a step";
        Ok(ask!(self, doing, (conn, cluster) => commit::record(conn, cluster, &fence, step, at, outcome))?)
    }

    async fn ingest(&self, told: Vec<Episode>) -> Result<Ingested, Trouble> {
        if told.is_empty() {
            return Ok(Ingested::default());
        }
        Ok(self.shared.intake.ingest(told).await?)
    }

    async fn level(&self, listed: Vec<Listed>, gone: Vec<EpisodeKey>, at: Time) -> Result<Ingested, Trouble> {
        if listed.is_empty() && gone.is_empty() {
            return Ok(Ingested::default());
        }
        let fence = self.shared.fence()?;
        let doing = "storing what fires";
        Ok(ask!(self, doing, (conn, cluster) => episodes::level(conn, cluster, &fence, &listed, &gone, at))?)
    }

    async fn poison(&self, body: &[u8], why: &str, at: Time) -> Result<(), Trouble> {
        let kept = poison::cut(body, why);
        let doing = "storing an unreadable delivery";
        Ok(ask!(self, doing, (conn, cluster) => inbox::poison(conn, cluster, &kept, at))?)
    }

    async fn learn(&self, measured: Vec<Measured>) -> Result<(), Trouble> {
        if measured.is_empty() {
            return Ok(());
        }
        let kept =
            ask!(self, "keeping measurements", (conn, cluster) => measured::keep(conn, cluster, &measured));
        self.shared.rates.forget();
        Ok(kept?)
    }

    async fn learned(&self) -> Result<Vec<Measured>, Trouble> {
        Ok(ask!(self, "reading measurements", (conn, cluster) => measured::newest(conn, cluster))?)
    }

    async fn request(&self, request: &Request) -> Result<(), Trouble> {
        Ok(ask!(self, "storing a request", (conn, cluster) => inbox::request(conn, cluster, request))?)
    }

    async fn reply(&self, id: &RequestId) -> Result<Option<Reply>, Trouble> {
        Ok(ask!(self, "reading a reply", (conn, cluster) => inbox::reply(conn, cluster, id))?)
    }
}

#[async_trait]
impl Outbox for PostgresStore {
    async fn undelivered(&self) -> Result<Vec<Undelivered>, Trouble> {
        Ok(ask!(self, "reading the outbox", (conn, cluster) => notices::undelivered(conn, cluster))?)
    }

    async fn delivered(
        &self,
        id: &NoticeId,
        channel: &ChannelName,
        at: Time,
        sent: &Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let (fence, doing) = (self.shared.fence()?, "recording a delivery");
        let of = (id, channel);
        Ok(ask!(self, doing, (conn, cluster) => notices::delivered(conn, cluster, &fence, of, at, sent))?)
    }
}

#[async_trait]
impl Archive for PostgresStore {
    async fn cases(&self, limit: usize) -> Result<Vec<Case>, Trouble> {
        Ok(ask!(self, "listing cases", (conn, cluster) => load::cases(conn, cluster, limit))?)
    }

    async fn case(&self, id: CaseId) -> Result<Option<Case>, Trouble> {
        Ok(ask!(self, "reading a case", (conn, cluster) => load::case(conn, cluster, id))?)
    }

    async fn journal(
        &self,
        case: Option<CaseId>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Note)>, Trouble> {
        let doing = "reading the journal";
        Ok(ask!(self, doing, (conn, cluster) => journal::read(conn, cluster, case, after, limit))?)
    }

    async fn ledger(&self, case: CaseId) -> Result<BTreeMap<StepId, Attempt>, Trouble> {
        Ok(ask!(self, "reading the ledger", (conn, cluster) => load::ledger(conn, cluster, case))?)
    }

    async fn unreadable(&self, newest: usize) -> Result<Unreadable, Trouble> {
        let doing = "listing unreadable deliveries";
        Ok(ask!(self, doing, (conn, cluster) => inbox::unreadable(conn, cluster, newest))?)
    }
}

/// Work orders behind the tickets port. Made by [`PostgresStore::board`].
#[derive(Clone)]
pub struct PostgresBoard {
    shared: Arc<Shared>,
}

impl PostgresBoard {
    /// The newest work orders, newest first.
    ///
    /// # Errors
    /// The database could not be read, or a stored work order does not parse.
    pub async fn sheets(&self, limit: usize) -> Result<Vec<Sheet>, Trouble> {
        let doing = "listing work orders";
        Ok(ask!(self, doing, (conn, cluster) => board::sheets(conn, cluster, Which::Newest(limit)))?)
    }

    /// The case's work order; the last one where there are several.
    ///
    /// # Errors
    /// As [`PostgresBoard::sheets`].
    pub async fn sheet(&self, case: CaseId) -> Result<Option<Sheet>, Trouble> {
        let doing = "reading a work order";
        Ok(ask!(self, doing, (conn, cluster) => board::sheets(conn, cluster, Which::Of(case)))?.pop())
    }

    async fn say(&self, key: &StepId, case: CaseId, what: Said, text: &str) -> Result<(), Trouble> {
        let (fence, at, doing) = (self.shared.fence()?, self.shared.clock.now(), "writing on a work order");
        let said = (key, case, what, text);
        match (ask!(self, doing, (conn, cluster) => board::say(conn, cluster, &fence, said, at))?, what) {
            // Called off before it was written: closed is what it is.
            (Some(()), _) | (None, Said::Close) => Ok(()),
            (None, _) => {
                Err(Trouble::Refused(format!("case {case} has no work order on the board; open one first")))
            }
        }
    }
}

#[async_trait]
impl Tickets for PostgresBoard {
    async fn open(&self, key: &StepId, case: CaseId, order: &WorkOrder) -> Result<TicketRef, Trouble> {
        let (fence, at, doing) = (self.shared.fence()?, self.shared.clock.now(), "opening a work order");
        let order = (key, case, order);
        Ok(ask!(self, doing, (conn, cluster) => board::open(conn, cluster, &fence, order, at))?)
    }

    async fn reopen(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.say(key, case, Said::Reopen, text).await
    }

    async fn comment(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.say(key, case, Said::Comment, text).await
    }

    async fn close(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.say(key, case, Said::Close, text).await
    }

    async fn look(&self, case: CaseId) -> Seen<WorkOrderView> {
        // Asked before the read: what is read was true then at the earliest.
        let at = self.shared.clock.now();
        match self.sheet(case).await {
            Ok(Some(sheet)) => Seen::known(WorkOrderView::plain(sheet.ticket, sheet.status), at),
            Ok(None) => Trouble::Refused(format!("case {case} has no work order on the board")).into(),
            Err(why) => why.into(),
        }
    }
}
