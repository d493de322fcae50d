//! A state with open cases, as the real loop leaves it: each node of a simulated cluster has alarmed.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use pitlane::adapters::{alertmanager, store};
use pitlane::model::time::Time;
use pitlane::ports::{AlwaysGood, Clock, Store};
use pitlane::reconcile::{Reconciler, World};
use pitlane::sim::{self, Doors};
use pitlane::telemetry::Metrics;
use tokio::sync::Notify;

use super::{alerts, now};
use crate::rules::rules;

/// More than enough: all of them are opened in the turn after the alarms.
const TURNS_MAX: usize = 20;

/// Makes `state`, with so many cases open in it.
pub fn open(state: &Path, cases: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(alarmed(state, cases));
}

async fn alarmed(state: &Path, cases: usize) {
    let present = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let present = Time::from_second(present as i64).expect("a near instant");
    let nodes = u32::try_from(cases).expect("few");
    let doors = Doors::new(sim::World::builder(nodes).at(present).build());
    let clock: Arc<dyn Clock> = Arc::new(doors.clone());
    let store = store::open(state, clock.clone()).expect("a store");
    let outside = World {
        pve: Arc::new(doors.clone()),
        hand: None,
        ceph: None,
        sensors: None,
        alarms: None,
        alerts_missed: Arc::default(),
        tenure: Arc::new(AlwaysGood),
        bmc: None,
        tickets: Arc::new(store.board()),
        store: Arc::new(store.clone()),
        fleet: None,
        clock,
        meter: Arc::new(Metrics::new().expect("metrics")),
        kill_files: Vec::new(),
    };
    let reconciler = Reconciler::new(outside, rules(), Arc::new(Notify::new()));
    let began = now();
    // The first alert of each node: eight fans each.
    for node in 1..=cases {
        let body = alerts::delivered(node * 8, 1, &began);
        let told = alertmanager::parse(body.as_bytes(), present).expect("good");
        store.ingest(told.episodes).await.expect("stored");
    }
    for _ in 0..TURNS_MAX {
        reconciler.turn().await.expect("a turn");
        if store.load().await.expect("loads").cases.len() == cases {
            return;
        }
    }
    panic!("fewer than {cases} cases after {TURNS_MAX} turns");
}
