//! Many clusters at the transport port of the Proxmox adapter, and a real loop for each. No TLS, no sockets.

use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use pitlane::adapters::pve::{
    ApiToken, Endpoint, HttpTransport, Member, Proxmox, Settings, TransportError, Trust,
};
use pitlane::adapters::store;
use pitlane::model::time::Time;
use pitlane::ports::{Clock, Store, Tickets};
use pitlane::reconcile::{Reconciler, World};
use pitlane::sim::{Doors, MemoryStore};
use pitlane::telemetry::Metrics;
use tokio::sync::Notify;

use super::bodies::Cluster;
use super::spent::preparing;
use crate::rules::rules;

/// Seconds since 1970, stepped by the bench.
pub struct Stepped(AtomicI64);

const BEGAN: i64 = 1_795_302_400;

impl Stepped {
    pub fn new() -> Arc<Stepped> {
        Arc::new(Stepped(AtomicI64::new(BEGAN)))
    }

    pub fn step(&self, secs: i64) {
        self.0.fetch_add(secs, Relaxed);
    }

    fn turn(&self) -> u64 {
        ((self.0.load(Relaxed) - BEGAN) / 60) as u64
    }
}

impl Clock for Stepped {
    fn now(&self) -> Time {
        Time::from_second(self.0.load(Relaxed)).expect("a near instant")
    }

    fn ran(&self) -> Duration {
        Duration::from_secs((self.0.load(Relaxed) - BEGAN) as u64)
    }
}

/// What was asked of all clusters.
#[derive(Default)]
pub struct Asked {
    pub calls: AtomicU64,
    pub bytes: AtomicU64,
    pub other: Mutex<Vec<String>>,
}

struct Answers {
    cluster: Cluster,
    clock: Arc<Stepped>,
    asked: Arc<Asked>,
}

#[async_trait]
impl HttpTransport for Answers {
    async fn call(&self, at: &Endpoint, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        self.asked.calls.fetch_add(1, Relaxed);
        // A network takes its time: the answers of one look never arrive in one go.
        tokio::task::yield_now().await;
        let body = preparing(|| match request.uri().path().trim_start_matches("/api2/json") {
            "/cluster/status" => self.cluster.status(&at.node),
            "/cluster/resources" => self.cluster.resources(self.clock.turn()),
            "/cluster/ha/status/manager_status" => self.cluster.manager(self.clock.now().as_second()),
            "/access/permissions" => Cluster::permissions(),
            other => {
                self.asked.other.lock().expect("nobody panics while holding it").push(other.to_owned());
                String::new()
            }
        });
        self.asked.bytes.fetch_add(body.len() as u64, Relaxed);
        Ok(Response::new(Bytes::from(body)))
    }
}

/// One cluster's loop. `state`: a directory for its SQLite file, or `None` for a store in memory.
pub fn reconciler(
    cluster: Cluster,
    clock: &Arc<Stepped>,
    asked: &Arc<Asked>,
    state: Option<&Path>,
) -> Reconciler {
    let members = (0..3).map(|at| Member {
        node: cluster.node(at).as_str().into(),
        url: format!("https://{}:8006", cluster.node(at)),
        trust: Trust::SystemRoots,
    });
    let settings = Settings::new(members.collect(), ApiToken::new("pitlane@pve!ctl", "secret"));
    let answers = Answers { cluster, clock: clock.clone(), asked: asked.clone() };
    let pve = Proxmox::through(Arc::new(answers), settings, clock.clone());
    let (store, tickets): (Arc<dyn Store>, Arc<dyn Tickets>) = match state {
        Some(dir) => {
            std::fs::create_dir_all(dir).expect("a directory for the state");
            let store = store::open(dir, clock.clone()).expect("a store");
            let board = store.board();
            (Arc::new(store), Arc::new(board))
        }
        None => (Arc::new(MemoryStore::new()), Arc::new(Doors::new(pitlane::sim::World::builder(1).build()))),
    };
    let world = World {
        pve: Arc::new(pve),
        hand: None,
        ceph: None,
        sensors: None,
        alarms: None,
        alerts_missed: Arc::default(),
        tenure: Arc::new(pitlane::ports::AlwaysGood),
        bmc: None,
        tickets,
        store,
        fleet: None,
        clock: clock.clone(),
        meter: Arc::new(Metrics::new().expect("metrics")),
        // As an installation has them: one of the cluster, one of all.
        kill_files: vec!["/run/pitlane/turns-bench-cluster".into(), "/run/pitlane/turns-bench".into()],
    };
    Reconciler::new(world, rules(), Arc::new(Notify::new()))
}
