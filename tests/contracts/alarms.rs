//! Every recorded delivery of a real Alertmanager goes through parser and store: in order, twice, backwards, and as
//! two peers of an HA pair would deliver it. The episodes are the same each time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pitlane::adapters::alertmanager::{fingerprint, parse};
use pitlane::adapters::store;
use pitlane::model::alert::Episodes;
use pitlane::model::matcher::Labels;
use pitlane::model::time::{Time, after};
use pitlane::ports::Store;
use serde_json::Value;

use crate::served::Wall;

/// File, deliveries, episodes, episodes still firing at its end. Counted from the recordings by other means than ours.
const EXPECTED: [(&str, usize, usize, usize); 23] = [
    ("api-status", 0, 0, 0),
    ("auth-basic", 2, 1, 0),
    ("auth-tls", 2, 1, 0),
    ("bmc-hang", 27, 9, 0),
    ("every-class", 27, 19, 2),
    ("flap-4s", 43, 18, 0),
    ("grouped-100", 3, 100, 0),
    ("ha-slow-receiver", 3, 1, 0),
    ("ha-split", 4, 1, 0),
    ("odd-labels", 18, 9, 0),
    ("prometheus-dies", 5, 3, 0),
    ("receiver-404", 19, 1, 0),
    ("receiver-429", 16, 1, 0),
    ("receiver-500", 36, 1, 0),
    ("repeat-interval", 5, 1, 0),
    ("restart-nobody-resends", 1, 1, 1),
    ("restart-sigterm", 2, 1, 0),
    ("send-resolved-false", 1, 1, 1),
    ("silence-api", 1, 1, 1),
    ("silence-during-fault", 4, 2, 0),
    ("single-firing-resolved", 8, 2, 0),
    ("stale-firing", 8, 1, 0),
    ("two-nodes-at-once", 22, 8, 0),
];

/// One recorded request: when it came, and the bytes that came.
#[derive(Clone)]
struct Delivery {
    at: Time,
    wire: Vec<u8>,
}

#[tokio::test]
async fn any_order_gives_the_same_episodes() {
    for (name, deliveries, episodes, firing) in EXPECTED {
        let told = recording(name);
        assert_eq!(told.len(), deliveries, "{name}");
        let expected = replay(&told).await;
        assert_eq!(expected.len(), episodes, "{name}: episodes");
        assert_eq!(expected.iter().filter(|e| e.fires()).count(), firing, "{name}: still firing");

        let twice: Vec<Delivery> = told.iter().chain(&told).cloned().collect();
        assert_eq!(replay(&twice).await, expected, "{name}: twice");
        let backwards: Vec<Delivery> = told.iter().rev().cloned().collect();
        assert_eq!(replay(&backwards).await, expected, "{name}: backwards");
        for lag in [1, 3] {
            assert_eq!(replay(&pair(&told, lag)).await, expected, "{name}: a peer {lag} deliveries behind");
        }
    }
}

#[test]
fn every_recording_has_its_row() {
    let mut found: Vec<String> = std::fs::read_dir(folder())
        .expect("the recordings are there")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .collect();
    found.sort();
    let mut rows: Vec<&str> = EXPECTED.iter().map(|row| row.0).collect();
    rows.sort_unstable();
    assert_eq!(found, rows);
}

#[test]
fn our_fingerprint_is_alertmanager_s() {
    let mut seen = 0;
    for (name, ..) in EXPECTED {
        for alert in document(name)["deliveries"].as_array().into_iter().flatten().flat_map(alerts) {
            let labels: Labels = serde_json::from_value(alert["labels"].clone()).expect("texts");
            assert_eq!(alert["fingerprint"], fingerprint(&labels).as_str(), "{name}: {labels:?}");
            seen += 1;
        }
    }
    assert!(seen > 500, "only {seen} alerts compared");
}

#[test]
fn without_its_fingerprint_an_alert_is_the_same_episode() {
    for delivery in recording("odd-labels").iter().chain(&recording("every-class")) {
        let told = parse(&delivery.wire, delivery.at).expect("a delivery");
        assert_eq!(told.bad.count, 0);
        let mut body: Value = serde_json::from_slice(&delivery.wire).expect("JSON");
        for alert in body["alerts"].as_array_mut().expect("a list") {
            alert.as_object_mut().expect("an object").remove("fingerprint");
        }
        let bare = parse(body.to_string().as_bytes(), delivery.at).expect("a delivery");
        assert_eq!(bare.episodes, told.episodes);
    }
}

#[tokio::test]
async fn a_flapping_fan_shows_as_many_starts_as_alertmanager_let_through() {
    let episodes = replay(&recording("flap-4s")).await;
    let mut starts: Vec<Time> = episodes
        .iter()
        .filter(|e| &e.labels["alertname"] == "IpmiFanSpeedBad" && &e.labels["name"] == "FAN5")
        .map(|e| e.starts_at)
        .collect();
    starts.dedup();
    assert_eq!(starts.len(), 8, "{starts:?}");
}

#[tokio::test]
async fn an_ended_episode_that_is_told_as_firing_once_more_stays_ended() {
    let told = recording("stale-firing");
    let dir = tempfile::tempdir().expect("a directory");
    let store = store::open(dir.path(), Arc::new(Wall)).expect("opens");
    let mut ended = false;
    for delivery in &told {
        store.ingest(parse(&delivery.wire, delivery.at).expect("reads").episodes).await.expect("stores");
        let now = store.episodes(Time::UNIX_EPOCH).await.expect("reads");
        assert!(!(ended && now[0].fires()), "it came back");
        ended = !now[0].fires();
    }
    assert!(ended);
}

/// Two peers: the second says everything too, some deliveries later.
fn pair(told: &[Delivery], lag: usize) -> Vec<Delivery> {
    let late = (0..told.len() + lag).flat_map(|n| {
        let first = told.get(n);
        let second = n.checked_sub(lag).and_then(|n| told.get(n));
        first.into_iter().chain(second)
    });
    late.cloned().collect()
}

async fn replay(told: &[Delivery]) -> Episodes {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store::open(dir.path(), Arc::new(Wall)).expect("opens");
    for delivery in told {
        let parsed = parse(&delivery.wire, delivery.at).expect("a delivery");
        assert_eq!((parsed.bad.count, parsed.truncated), (0, 0));
        store.ingest(parsed.episodes).await.expect("stores");
    }
    store.episodes(Time::UNIX_EPOCH).await.expect("reads")
}

fn recording(name: &str) -> Vec<Delivery> {
    let document = document(name);
    let began: Time = document["t0"].as_str().and_then(|text| text.parse().ok()).expect("t0");
    let deliveries = document["deliveries"].as_array().expect("a list");
    deliveries
        .iter()
        .map(|delivery| {
            let wire = wire(&delivery["body"]);
            assert_eq!(delivery["content_length"], wire.len(), "{name}: these are not the bytes that came");
            let since = delivery["t"].as_f64().expect("seconds");
            Delivery { at: after(began, Duration::from_secs_f64(since)), wire }
        })
        .collect()
}

/// As Go writes JSON.
fn wire(body: &Value) -> Vec<u8> {
    let text = body.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    (text + "\n").into_bytes()
}

fn alerts(delivery: &Value) -> impl Iterator<Item = &Value> {
    delivery["body"]["alerts"].as_array().into_iter().flatten()
}

fn document(name: &str) -> Value {
    let file = folder().join(name).with_extension("json");
    let text = std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_slice(&text).expect("a recording is JSON")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/alarms")
}
