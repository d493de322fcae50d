//! What the loop needs from outside. An adapter implements one of these; the simulated cluster implements all.
//!
//! Every call ends: adapters keep their own deadlines, the loop keeps one above them. An error here is a [`Trouble`]:
//! what a person needs to know, without the library that it came from.

mod leases;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;

use crate::model::alert::{Episode, EpisodeKey, Episodes, Listed};
use crate::model::fault::FaultKey;
use crate::model::ids::{CaseId, GuestId, HostName, NodeName, OsdId, RequestId, TicketRef, Upid};
use crate::model::note::Note;
use crate::model::notice::{ChannelName, Notice, NoticeId, Undelivered};
use crate::model::observed::{
    AlarmsView, BmcView, CephView, GuestKind, HandView, Inventory, LocateTarget, OkToStop, PveView, Reading,
    Survey, TaskLog, WorkOrderView,
};
use crate::model::plan::How;
use crate::model::rates::Measured;
use crate::model::request::{Reply, Request};
use crate::model::rules::SensorQuery;
use crate::model::seen::{Seen, Trouble};
use crate::model::shared::Place;
use crate::model::silence::{Silence, SilenceMark, SilencesView};
use crate::model::state::{Decision, State};
use crate::model::step::{Outcome, StepId, Switch, WorkOrder};
use crate::model::time::Time;

pub use leases::{AlwaysGood, Bells, Fence, Held, Lease, Leases, NoTenure, Renewed, Tenure};

/// Proxmox VE, through its HTTP API.
#[async_trait]
pub trait Pve: Send + Sync {
    /// One look. `nodes`: to be read in full. `guests`: to be read in full wherever they are. `avoid`: nodes under
    /// maintenance, never to be asked through. With no nodes at most four calls are made. Parts that could not be
    /// read say so; the call never fails.
    async fn look(
        &self,
        nodes: &BTreeSet<NodeName>,
        guests: &BTreeSet<GuestId>,
        avoid: &BTreeSet<NodeName>,
    ) -> PveView;

    /// Members that are known and never asked, with the reason: for people.
    fn not_asked(&self) -> BTreeMap<NodeName, String> {
        BTreeMap::new()
    }

    /// Disks, network cards, memory and processors of a node, as its running system sees them. Slow; ask seldom.
    /// `avoid`: nodes never to be asked through.
    async fn inventory(&self, node: &NodeName, avoid: &BTreeSet<NodeName>) -> Seen<Inventory>;

    /// What only a judgement of the node needs: backups, replication, processors. Slow; ask seldom. Parts that could
    /// not be read say so; the call never fails. `avoid`: nodes never to be asked through.
    async fn survey(&self, node: &NodeName, avoid: &BTreeSet<NodeName>) -> Survey;

    /// Guests whose migrations run on this node now, in one cheap call: what wakes the loop between two looks.
    async fn moves_running(
        &self,
        node: &NodeName,
        avoid: &BTreeSet<NodeName>,
    ) -> Result<BTreeSet<GuestId>, Trouble>;

    /// Asks for a migration. The answer is the task's id; that it was accepted, not that it happened.
    ///
    /// # Errors
    /// [`Trouble::TooSlow`]: it may have begun all the same.
    async fn migrate(&self, order: &Migration) -> Result<Upid, Trouble>;

    /// Cancels a task of ours. Best effort; what it left behind is seen by the next look.
    async fn cancel(&self, on: &NodeName, task: &Upid, avoid: &NodeName) -> Result<(), Trouble>;

    /// The log of a task that has ended: its first and its last lines. For learning only.
    async fn task_log(&self, task: &Upid, avoid: &BTreeSet<NodeName>) -> Result<TaskLog, Trouble>;

    /// Starts a stopped guest, or resumes a paused one. Accepted, not done: look.
    async fn start(
        &self,
        guest: GuestId,
        kind: GuestKind,
        on: &NodeName,
        avoid: &NodeName,
    ) -> Result<(), Trouble>;

    /// Asks a running guest to shut down, never by force. Accepted, not done: look.
    async fn shutdown(
        &self,
        guest: GuestId,
        kind: GuestKind,
        on: &NodeName,
        avoid: &NodeName,
    ) -> Result<(), Trouble>;
}

/// One guest's move, as Proxmox is asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    pub guest: GuestId,
    pub kind: GuestKind,
    pub from: NodeName,
    pub to: NodeName,
    pub how: How,
    /// Never to be asked through: the node under maintenance.
    pub avoid: NodeName,
}

/// The root helper on the members: what Proxmox's API cannot do.
#[async_trait]
pub trait Hand: Send + Sync {
    /// Asks a member other than those in `avoid`.
    async fn show(&self, avoid: &BTreeSet<NodeName>) -> Seen<HandView>;
    async fn maintenance(&self, node: &NodeName, to: Switch) -> Result<(), Trouble>;
    async fn noout(&self, host: &HostName, to: Switch, avoid: &NodeName) -> Result<(), Trouble>;
    async fn fail_mgr(&self, mgr: &str, avoid: &NodeName) -> Result<(), Trouble>;
}

/// Ceph, through its own client with a narrow key.
#[async_trait]
pub trait Ceph: Send + Sync {
    /// Quorum first, in the same round as everything else.
    async fn look(&self) -> Seen<CephView>;
    /// One joint question for all OSDs of the host, resolved from the tree.
    async fn ok_to_stop(&self, host: &HostName, view: &CephView) -> Seen<OkToStop>;
    /// One joint question for exactly these OSDs. One that the tree does not show is refused: Ceph says yes to it.
    async fn may_stop(&self, osds: &BTreeSet<OsdId>, view: &CephView) -> Seen<OkToStop>;
    async fn noout(&self, host: &HostName, to: Switch) -> Result<(), Trouble>;
    async fn fail_mgr(&self, mgr: &str) -> Result<(), Trouble>;
}

/// Where the truth about a part can be read.
#[async_trait]
pub trait Sensors: Send + Sync {
    async fn read(&self, fault: &FaultKey, query: &SensorQuery) -> Seen<Reading>;
}

/// Alertmanager, asked what fires at this moment.
#[async_trait]
pub trait Alarms: Send + Sync {
    /// The union of all members, silenced and inhibited alerts included. What they list, who did not answer, nothing
    /// else: following one poll with another is the loop's. Unknown only where nobody answered.
    async fn poll(&self) -> Seen<AlarmsView>;

    /// Everything with a mark of pitlane's, of all clusters. What is gossiped is known from one member that answers.
    async fn silences(&self) -> Seen<SilencesView>;

    /// Makes ours end at `until`: the one that is there, or else a new one. It is looked for first, so that doing it
    /// twice sets one.
    ///
    /// # Errors
    /// [`Trouble::TooSlow`]: it may be set all the same.
    async fn silence(&self, silence: &Silence, until: Time) -> Result<(), Trouble>;

    /// Ends ours now: all with this mark, or of all of them the one with this id. One that a person changed stays.
    async fn end_silence(&self, which: &EndSilence) -> Result<(), Trouble>;
}

/// Which silence of ours is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndSilence {
    Of(SilenceMark),
    Id(String),
}

/// The machines' management controllers (Redfish, IPMI). A node without a configured one is
/// [`Trouble::NotConfigured`]; one that does not answer is unknown.
#[async_trait]
pub trait Bmc: Send + Sync {
    /// Power and locate LEDs, at this moment.
    async fn look(&self, node: &NodeName) -> Seen<BmcView>;
    /// Every part that the controller lists. All of it or unknown: half a list would look like parts that vanished.
    async fn inventory(&self, node: &NodeName) -> Seen<Inventory>;
    /// Asked, not seen: look.
    async fn locate(&self, node: &NodeName, target: &LocateTarget, to: Switch) -> Result<(), Trouble>;
}

/// A ticket system. Every call carries the step's id; doing one twice is doing it once.
#[async_trait]
pub trait Tickets: Send + Sync {
    async fn open(&self, key: &StepId, case: CaseId, order: &WorkOrder) -> Result<TicketRef, Trouble>;
    async fn reopen(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble>;
    async fn comment(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble>;
    /// One that was never written is closed.
    async fn close(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble>;
    async fn look(&self, case: CaseId) -> Seen<WorkOrderView>;
}

/// Where deliveries of alerts are kept: the store of a cluster, or whoever sorts them to several.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// As [`Store::ingest`].
    async fn ingest(&self, told: Vec<Episode>) -> Result<Ingested, Trouble>;

    /// As [`Store::poison`].
    async fn poison(&self, body: &[u8], why: &str, at: Time) -> Result<(), Trouble>;
}

#[async_trait]
impl<S: Store + ?Sized> Inbox for S {
    async fn ingest(&self, told: Vec<Episode>) -> Result<Ingested, Trouble> {
        Store::ingest(self, told).await
    }

    async fn poison(&self, body: &[u8], why: &str, at: Time) -> Result<(), Trouble> {
        Store::poison(self, body, why, at).await
    }
}

/// What is remembered. One writer; a commit is all or nothing.
#[async_trait]
pub trait Store: Send + Sync {
    async fn load(&self) -> Result<State, Trouble>;

    /// A number that is another one after whatever was written, by whomever, and durable when it is told. While it is the same,
    /// [`Store::load`] and [`Store::episodes`] say the same, but for what is forgotten with time. `None`: this store does not count.
    ///
    /// # Errors
    /// As [`Store::load`]: the store does not take writes.
    async fn written(&self) -> Result<Option<u64>, Trouble> {
        Ok(None)
    }

    /// Episodes that still fire, and those that ended after `since`.
    async fn episodes(&self, since: Time) -> Result<Episodes, Trouble>;

    /// Cases (compare-and-swap on the revision), notes, planned steps, replies and pause: in one transaction.
    ///
    /// # Errors
    /// [`Uncommitted::Conflict`]: somebody else decided meanwhile; load, look and decide again.
    async fn commit(&self, decision: &Decision, at: Time) -> Result<(), Uncommitted>;

    /// What became of a step.
    async fn record(&self, step: &StepId, at: Time, outcome: &Outcome) -> Result<(), Trouble>;

    /// Durable when it returns. Within an episode only firing → resolved is kept.
    async fn ingest(&self, told: Vec<Episode>) -> Result<Ingested, Trouble>;

    /// The level: `listed` fires, as [`Episode::level`] has it; `gone` ended at `at`, if nobody has said so before.
    /// Durable when it returns.
    async fn level(&self, listed: Vec<Listed>, gone: Vec<EpisodeKey>, at: Time) -> Result<Ingested, Trouble>;

    /// A delivery that we could not read, kept for people. Durable when it returns.
    async fn poison(&self, body: &[u8], why: &str, at: Time) -> Result<(), Trouble>;

    /// Keeps measurements, each task once; the newest [`MEASURED_MAX`] of them.
    async fn learn(&self, measured: Vec<Measured>) -> Result<(), Trouble>;

    /// What is kept of them, oldest first.
    async fn learned(&self) -> Result<Vec<Measured>, Trouble>;

    /// Durable when it returns; the same id twice is one request.
    async fn request(&self, request: &Request) -> Result<(), Trouble>;

    /// What became of a request; `None` while nobody has decided.
    async fn reply(&self, id: &RequestId) -> Result<Option<Reply>, Trouble>;
}

/// Notices that are written and not yet delivered.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Oldest first; a thousand at most.
    async fn undelivered(&self) -> Result<Vec<Undelivered>, Trouble>;

    /// What became of one try. Durable when it returns.
    async fn delivered(
        &self,
        id: &NoticeId,
        channel: &ChannelName,
        at: Time,
        sent: &Result<(), Trouble>,
    ) -> Result<(), Trouble>;
}

/// What clusters share: the places in the budgets that count over several of them.
#[async_trait]
pub trait Fleet: Send + Sync {
    /// Every place that is taken, of every cluster.
    async fn places(&self) -> Result<Vec<Place>, Trouble>;

    /// Takes a place, if fewer than `max` other nodes have one in its budget. Taking one's own again is granted, and keeps when
    /// it was taken. Durable when it returns; of several at the same time no more than `max` are granted.
    async fn claim(&self, place: &Place, max: u32) -> Result<Claimed, Trouble>;

    /// Gives the place of this node back. One that is not there was given back already.
    async fn release(&self, place: &Place) -> Result<(), Trouble>;
}

/// A way to people. The notice's id is the idempotency key: sending twice is sending once, as far as the other side can.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// # Errors
    /// [`Trouble::TooSlow`]: it may have arrived all the same.
    async fn send(&self, notice: &Notice) -> Result<(), Trouble>;

    /// For a person who tests: whoever of several recipients did not get it is a failure here.
    ///
    /// # Errors
    /// As [`Notifier::send`].
    async fn try_out(&self, notice: &Notice) -> Result<(), Trouble> {
        self.send(notice).await
    }
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    Granted,
    /// So many others have one.
    Full,
}

/// What a delivery changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ingested {
    pub new: usize,
    pub resolved: usize,
    pub known: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncommitted {
    #[error("somebody else decided meanwhile")]
    Conflict,
    #[error("{0}")]
    Trouble(Trouble),
}

/// What the faces read from the store.
#[async_trait]
pub trait Archive: Send + Sync {
    /// Newest first, open ones before closed ones.
    async fn cases(&self, limit: usize) -> Result<Vec<crate::model::case::Case>, Trouble>;
    async fn case(&self, id: CaseId) -> Result<Option<crate::model::case::Case>, Trouble>;
    /// A case's story (`None`: everything), oldest first, after the given sequence number.
    async fn journal(
        &self,
        case: Option<CaseId>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Note)>, Trouble>;
    async fn ledger(&self, case: CaseId) -> Result<BTreeMap<StepId, crate::model::step::Attempt>, Trouble>;
    /// How many deliveries nobody could read, and the newest of them.
    async fn unreadable(&self, newest: usize) -> Result<crate::model::shown::Unreadable, Trouble>;
}

/// The configuration of a running service, for faces: they ask for it to be read again, they never read it.
#[async_trait]
pub trait Configuration: Send + Sync {
    /// Reads all files again. What is wrong changes nothing; what is right counts from the next turn on.
    async fn reload(&self) -> crate::model::shown::InForce;
    fn in_force(&self) -> crate::model::shown::InForce;
}

/// A fresh judgement on request: the loop looks and judges, and touches nothing.
#[async_trait]
pub trait Looker: Send + Sync {
    /// Ends within 15 s. What could not be seen is in the verdict; an error means that there is none.
    async fn judge(&self, node: &NodeName) -> Result<crate::model::shown::Judged, Trouble>;
}

/// What time it is. Stories bring their own.
pub trait Clock: Send + Sync {
    fn now(&self) -> Time;

    /// How long this clock has run, by a count that nobody can set: what `now` differs from it by, it was set.
    fn ran(&self) -> Duration {
        static BEGAN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        BEGAN.get_or_init(std::time::Instant::now).elapsed()
    }
}

/// Where the loop counts. Numbers are for machines; people read the journal.
pub trait Meter: Send + Sync {
    /// A turn begins.
    fn begins(&self) {}
    /// The loop is alive and waits for its next turn: said every few seconds, by the loop itself.
    fn waits(&self) {}
    fn turn(&self, took: Duration, shown: &crate::model::shown::Shown);
    fn look(&self, source: crate::model::wait::Source, outcome: Result<(), &Trouble>);
    fn step(&self, action: &crate::model::step::Action, outcome: &Outcome);
}
