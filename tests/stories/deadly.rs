//! Death at a chosen boundary: before and after every commit, before and after every effect.
//!
//! The process "dies" by never going on: the turn's future is dropped where it stands, and a new loop begins with
//! nothing but what was stored.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use pitlane::model::alert::{Episode, EpisodeKey, Episodes, Listed};
use pitlane::model::fault::FaultKey;
use pitlane::model::ids::{CaseId, GuestId, HostName, NodeName, RequestId, TicketRef, Upid};
use pitlane::model::notice::Notice;
use pitlane::model::observed::{
    AlarmsView, BmcView, CephView, GuestKind, HandView, Inventory, LocateTarget, OkToStop, PveView, Reading,
    Survey, TaskLog, WorkOrderView,
};
use pitlane::model::rates::Measured;
use pitlane::model::request::{Reply, Request};
use pitlane::model::rules::SensorQuery;
use pitlane::model::seen::{Seen, Trouble};
use pitlane::model::silence::{Silence, SilencesView};
use pitlane::model::state::{Decision, State};
use pitlane::model::step::{Outcome, StepId, Switch, WorkOrder};
use pitlane::model::time::Time;
use pitlane::ports::{
    Alarms, Bmc, Ceph, EndSilence, Hand, Ingested, Migration, Notifier, Pve, Sensors, Store, Tickets,
    Uncommitted,
};
use pitlane::sim::Doors;
use tokio::sync::Notify;

use crate::kept::Kept;

/// Counts boundaries, and strikes at the chosen ones.
#[derive(Debug, Default)]
pub struct Scythe {
    passed: AtomicUsize,
    strikes: BTreeSet<usize>,
    fell: Notify,
    /// Seconds that pass while a decision is written down: a disk that hangs, or a machine that was suspended.
    pub stall: AtomicU64,
}

impl Scythe {
    pub fn idle() -> Arc<Self> {
        Arc::default()
    }

    /// Strikes at these boundaries, counted from 0 over all lives.
    pub fn at(strikes: impl IntoIterator<Item = usize>) -> Arc<Self> {
        Arc::new(Self { strikes: strikes.into_iter().collect(), ..Self::default() })
    }

    /// How many boundaries were passed so far.
    pub fn passed(&self) -> usize {
        self.passed.load(Ordering::SeqCst)
    }

    /// Ends when the process has died.
    pub async fn fell(&self) {
        self.fell.notified().await;
    }

    async fn pass(&self) {
        let boundary = self.passed.fetch_add(1, Ordering::SeqCst);
        if self.strikes.contains(&boundary) {
            self.fell.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

/// All ports, with boundaries around whatever changes something.
pub struct Deadly {
    doors: Doors,
    store: Arc<Kept>,
    scythe: Arc<Scythe>,
}

impl Deadly {
    pub fn new(doors: Doors, store: Arc<Kept>, scythe: Arc<Scythe>) -> Self {
        Self { doors, store, scythe }
    }

    async fn around<T>(&self, effect: impl Future<Output = T>) -> T {
        self.scythe.pass().await;
        let done = effect.await;
        self.scythe.pass().await;
        done
    }
}

#[async_trait]
impl Pve for Deadly {
    async fn look(
        &self,
        nodes: &BTreeSet<NodeName>,
        guests: &BTreeSet<GuestId>,
        avoid: &BTreeSet<NodeName>,
    ) -> PveView {
        Pve::look(&self.doors, nodes, guests, avoid).await
    }

    async fn inventory(&self, node: &NodeName, avoid: &BTreeSet<NodeName>) -> Seen<Inventory> {
        Pve::inventory(&self.doors, node, avoid).await
    }

    async fn survey(&self, node: &NodeName, avoid: &BTreeSet<NodeName>) -> Survey {
        Pve::survey(&self.doors, node, avoid).await
    }

    async fn moves_running(
        &self,
        node: &NodeName,
        avoid: &BTreeSet<NodeName>,
    ) -> Result<BTreeSet<GuestId>, Trouble> {
        self.doors.moves_running(node, avoid).await
    }

    async fn migrate(&self, order: &Migration) -> Result<Upid, Trouble> {
        self.around(self.doors.migrate(order)).await
    }

    async fn cancel(&self, on: &NodeName, task: &Upid, avoid: &NodeName) -> Result<(), Trouble> {
        self.around(self.doors.cancel(on, task, avoid)).await
    }

    async fn task_log(&self, task: &Upid, avoid: &BTreeSet<NodeName>) -> Result<TaskLog, Trouble> {
        self.doors.task_log(task, avoid).await
    }

    async fn start(
        &self,
        guest: GuestId,
        kind: GuestKind,
        on: &NodeName,
        avoid: &NodeName,
    ) -> Result<(), Trouble> {
        self.around(self.doors.start(guest, kind, on, avoid)).await
    }

    async fn shutdown(
        &self,
        guest: GuestId,
        kind: GuestKind,
        on: &NodeName,
        avoid: &NodeName,
    ) -> Result<(), Trouble> {
        self.around(self.doors.shutdown(guest, kind, on, avoid)).await
    }
}

#[async_trait]
impl Hand for Deadly {
    async fn show(&self, avoid: &BTreeSet<NodeName>) -> Seen<HandView> {
        self.doors.show(avoid).await
    }

    async fn maintenance(&self, node: &NodeName, to: Switch) -> Result<(), Trouble> {
        self.around(self.doors.maintenance(node, to)).await
    }

    async fn noout(&self, host: &HostName, to: Switch, avoid: &NodeName) -> Result<(), Trouble> {
        self.around(Hand::noout(&self.doors, host, to, avoid)).await
    }

    async fn fail_mgr(&self, mgr: &str, avoid: &NodeName) -> Result<(), Trouble> {
        self.around(Hand::fail_mgr(&self.doors, mgr, avoid)).await
    }
}

#[async_trait]
impl Ceph for Deadly {
    async fn may_stop(&self, osds: &BTreeSet<pitlane::model::ids::OsdId>, view: &CephView) -> Seen<OkToStop> {
        Ceph::may_stop(&self.doors, osds, view).await
    }

    async fn look(&self) -> Seen<CephView> {
        Ceph::look(&self.doors).await
    }

    async fn ok_to_stop(&self, host: &HostName, view: &CephView) -> Seen<OkToStop> {
        self.doors.ok_to_stop(host, view).await
    }

    async fn noout(&self, host: &HostName, to: Switch) -> Result<(), Trouble> {
        self.around(Ceph::noout(&self.doors, host, to)).await
    }

    async fn fail_mgr(&self, mgr: &str) -> Result<(), Trouble> {
        self.around(Ceph::fail_mgr(&self.doors, mgr)).await
    }
}

#[async_trait]
impl Sensors for Deadly {
    async fn read(&self, fault: &FaultKey, query: &SensorQuery) -> Seen<Reading> {
        self.doors.read(fault, query).await
    }
}

#[async_trait]
impl Alarms for Deadly {
    async fn poll(&self) -> Seen<AlarmsView> {
        self.doors.poll().await
    }

    async fn silences(&self) -> Seen<SilencesView> {
        self.doors.silences().await
    }

    async fn silence(&self, silence: &Silence, until: Time) -> Result<(), Trouble> {
        self.around(self.doors.silence(silence, until)).await
    }

    async fn end_silence(&self, which: &EndSilence) -> Result<(), Trouble> {
        self.around(self.doors.end_silence(which)).await
    }
}

#[async_trait]
impl Bmc for Deadly {
    async fn look(&self, node: &NodeName) -> Seen<BmcView> {
        Bmc::look(&self.doors, node).await
    }

    async fn inventory(&self, node: &NodeName) -> Seen<Inventory> {
        Bmc::inventory(&self.doors, node).await
    }

    async fn locate(&self, node: &NodeName, target: &LocateTarget, to: Switch) -> Result<(), Trouble> {
        self.around(self.doors.locate(node, target, to)).await
    }
}

#[async_trait]
impl Tickets for Deadly {
    async fn open(&self, key: &StepId, case: CaseId, order: &WorkOrder) -> Result<TicketRef, Trouble> {
        self.around(self.doors.open(key, case, order)).await
    }

    async fn reopen(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.around(self.doors.reopen(key, case, text)).await
    }

    async fn comment(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.around(self.doors.comment(key, case, text)).await
    }

    async fn close(&self, key: &StepId, case: CaseId, text: &str) -> Result<(), Trouble> {
        self.around(self.doors.close(key, case, text)).await
    }

    async fn look(&self, case: CaseId) -> Seen<WorkOrderView> {
        Tickets::look(&self.doors, case).await
    }
}

#[async_trait]
impl Notifier for Deadly {
    async fn send(&self, notice: &Notice) -> Result<(), Trouble> {
        self.around(self.doors.send(notice)).await
    }
}

#[async_trait]
impl Store for Deadly {
    async fn load(&self) -> Result<State, Trouble> {
        self.store.load().await
    }

    async fn episodes(&self, since: Time) -> Result<Episodes, Trouble> {
        self.store.episodes(since).await
    }

    async fn commit(&self, decision: &Decision, at: Time) -> Result<(), Uncommitted> {
        let writing = async {
            let written = self.store.commit(decision, at).await;
            if written.is_ok() {
                self.store.told(&decision.notices);
            }
            written
        };
        let written = self.around(writing).await;
        self.doors.advance_secs(self.scythe.stall.load(Ordering::SeqCst));
        written
    }

    async fn record(&self, step: &StepId, at: Time, outcome: &Outcome) -> Result<(), Trouble> {
        self.store.record(step, at, outcome).await
    }

    async fn ingest(&self, told: Vec<Episode>) -> Result<Ingested, Trouble> {
        self.store.ingest(told).await
    }

    async fn level(&self, listed: Vec<Listed>, gone: Vec<EpisodeKey>, at: Time) -> Result<Ingested, Trouble> {
        self.around(self.store.level(listed, gone, at)).await
    }

    async fn poison(&self, body: &[u8], why: &str, at: Time) -> Result<(), Trouble> {
        self.store.poison(body, why, at).await
    }

    async fn learn(&self, measured: Vec<Measured>) -> Result<(), Trouble> {
        self.around(self.store.learn(measured)).await
    }

    async fn learned(&self) -> Result<Vec<Measured>, Trouble> {
        self.store.learned().await
    }

    async fn request(&self, request: &Request) -> Result<(), Trouble> {
        self.store.request(request).await
    }

    async fn reply(&self, id: &RequestId) -> Result<Option<Reply>, Trouble> {
        self.store.reply(id).await
    }
}
