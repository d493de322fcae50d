//! What a person at a shell gets: a drain with its progress, a no with its reasons, and an answer in time when the
//! cluster is silent. And what a stranger, or a storm, gets at the door.

use std::time::{Duration, Instant};

use pitlane::model::ids::{GuestId, NodeName};
use pitlane::sim::World;
use pitlane::sim::world::Run;
use serde_json::{Value, json};

use crate::hands::simulated_ceph;
use crate::site::{MANUAL, QUICK, SOON, Said, Site};

/// "Unknown" has to come within this.
const BLIND_MAX: Duration = Duration::from_secs(15);
const MEGA: usize = 1 << 20;

fn world() -> World {
    World::builder(3)
        .vm(101, "pve1")
        .vm(102, "pve1")
        .ct(103, "pve1")
        .guest(104, "pve1", |guest| guest.run = Run::Stopped)
        .vm(105, "pve2")
        .vm(106, "pve3")
        .ceph(1)
        .build()
}

async fn site() -> Site {
    let mut site = Site::open(world(), 5.0).await;
    site.put("policies/manual.yaml", MANUAL);
    let ceph = simulated_ceph(&site, "pve2");
    site.configure(&format!("mode: approve\n{QUICK}{ceph}"));
    site.start().await;
    site
}

/// The verdict's checks by name: the answer.
fn answers(said: &Said) -> Value {
    let judged: Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {said:?}"));
    let checks = judged["verdict"]["checks"].as_array().expect("a list of checks").clone();
    checks.into_iter().map(|check| (check["name"].as_str().expect("a name").to_owned(), check)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_drain_from_the_shell_and_a_no_with_its_reasons() {
    let site = site().await;

    site.world.lock().expect("unhurt").set_lock(GuestId(101), Some("backup"));
    for words in [&["--drain", "pve1"][..], &["drain", "pve1", "--wait"]] {
        let said = site.said("alice", words).await;
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.out.contains("101") && said.out.contains("backup"), "{said:?}");
        assert!(said.err.contains("Nothing was asked for"), "{said:?}");
    }
    assert_eq!(site.get("/api/v1/cases").await, Some(json!([])), "a refused drain leaves nothing behind");
    site.world.lock().expect("unhurt").set_lock(GuestId(101), None);

    let said = site.said("bob", &["--drain", "pve1", "--yes"]).await;
    assert!(said.code == 3 && said.err.contains("operate"), "{said:?}");

    there_and_back(&site, 1, &["--drain", "pve1", "--reason", "dust", "--yes"]).await;
    there_and_back(&site, 2, &["drain", "pve1", "--wait", "--reason", "dust again", "--yes"]).await;
    assert_eq!(site.door.violation(), None);
}

async fn there_and_back(site: &Site, case: u64, words: &[&str]) {
    let said = site.said("alice", words).await;
    assert_eq!(said.code, 0, "{said:?}\n{}", site.log_tail());
    for told in ["Accepted", "noout", "101", "102", "103", "is empty"] {
        assert!(said.out.contains(told), "nothing of {told}: {said:?}");
    }
    let away = site.strays();
    assert_eq!(away.len(), 4, "three ran and one lay on the node: {away:?}");
    let id = case.to_string();
    let said = site.said("tom", &["done", &id, "--note", "cleaned", "--wait"]).await;
    assert_eq!(said.code, 0, "{said:?}\n{}", site.log_tail());
    assert!(said.out.contains("back in service"), "{said:?}");
    assert!(site.strays().is_empty(), "{:?}", site.strays());
    assert_eq!(site.said("bob", &["owed"]).await.code, 0);
    let orders: Vec<(u64, String)> = (1..=case).map(|case| (case, "closed".to_owned())).collect();
    assert_eq!(site.work_orders(), orders);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_cannot_be_seen_is_no_in_time() {
    let site = site().await;
    let said = site.said("bob", &["check", "pve1"]).await;
    assert_eq!(said.code, 0, "{said:?}");

    // The member on which our Ceph client runs loses its network: no monitor answers it.
    site.world.lock().expect("unhurt").cut(&NodeName::from("pve2"), pitlane::sim::world::Cut::Network);
    blind(&site, "ceph-health").await;
    site.world.lock().expect("unhurt").heal_cut(&NodeName::from("pve2"));
    let healed = async || site.said("bob", &["check", "pve1"]).await.code;
    site.until("the check says yes again", SOON, healed, |code| *code == 0).await;

    for node in ["pve1", "pve2", "pve3"] {
        site.world.lock().expect("unhurt").node_dies(&NodeName::from(node));
    }
    blind(&site, "quorum").await;
    let began = Instant::now();
    let said = site.said("alice", &["--drain", "pve1", "--yes"]).await;
    assert!(said.code == 4 && began.elapsed() < BLIND_MAX, "{:?} {said:?}", began.elapsed());
}

async fn blind(site: &Site, check: &str) {
    let began = Instant::now();
    let said = site.said("bob", &["--json", "check", "pve1"]).await;
    assert!(began.elapsed() < BLIND_MAX, "{:?}", began.elapsed());
    let checks = answers(&said);
    let asked = checks.as_object().expect("checks").get(check);
    let asked = asked.unwrap_or_else(|| panic!("no check of {check}: {checks}"));
    assert_eq!(asked["answer"], "unknown", "{asked}");
    // A member that is cut off is a no that we do see; with nothing but silence it is "cannot see".
    assert!(matches!(said.code, 3 | 4), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn strangers_floods_and_storms_at_the_webhook() {
    let site = site().await;
    let http = reqwest::Client::new();
    let webhook = format!("{}/alerts/alertmanager", site.url);
    let post = async |token: &str, body: reqwest::Body| {
        let said = http.post(&webhook).bearer_auth(token).body(body).timeout(SOON).send().await;
        said.map(|said| said.status().as_u16())
    };

    assert_eq!(post("stranger", "{}".into()).await.expect("an answer"), 401);
    assert_eq!(post("alice", "{}".into()).await.expect("an answer"), 403, "operators deliver no alerts");
    let said = site.said("known_nowhere", &["status"]).await;
    assert_eq!(said.code, 2, "there is no such token file: {said:?}");
    site.put("stranger", "stranger\n");
    let said = site.said("stranger", &["status"]).await;
    assert_eq!(said.code, 2, "a token that nobody knows: {said:?}");

    let before = peak_memory(site.pid());
    assert_eq!(post("alertmanager", vec![b' '; 100 * MEGA].into()).await.expect("an answer"), 413);
    // Without a length, in pieces: it has to be counted.
    let pieces = futures::stream::iter((0..100).map(|_| Ok::<_, std::io::Error>(vec![b' '; MEGA])));
    match post("alertmanager", reqwest::Body::wrap_stream(pieces)).await {
        Ok(status) => assert_eq!(status, 413),
        // The answer was there before the body was gone, and the connection closed.
        Err(error) => assert!(error.is_request() || error.is_body(), "{error:?}"),
    }
    let grown = peak_memory(site.pid()) - before;
    assert!(grown < 90 * MEGA, "{} MiB for bodies that nobody wanted", grown / MEGA);

    let storm: Vec<Value> = (0..10_000).map(alert).collect();
    let body = json!({
        "version": "4", "groupKey": "{}:{}", "status": "firing", "receiver": "pitlane", "groupLabels": {},
        "commonLabels": {}, "commonAnnotations": {}, "externalURL": "", "truncatedAlerts": 0, "alerts": storm,
    });
    assert_eq!(post("alertmanager", body.to_string().into()).await.expect("an answer"), 200);
    let mut metrics = site.get("/metrics").await.map(|m| m.to_string()).unwrap_or_default();
    metrics.truncate(20_000);
    assert!(metrics.contains("10000"), "ten thousand are counted: {metrics}");
    let turned = async || site.get("/readyz").await;
    site.until("the loop still turns", SOON, turned, Option::is_some).await;
    let said = site.said("bob", &["status"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(site.work_orders().is_empty());
}

/// One of many: other parts of machines that are no members.
fn alert(n: u32) -> Value {
    json!({
        "status": "firing", "fingerprint": format!("{n:016x}"), "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "annotations": {},
        "labels": {"alertname": "Storm", "node": format!("other{n}"), "part": format!("part{n}")},
    })
}

/// Bytes that the process ever had in memory at once.
fn peak_memory(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux says so");
    let kib: usize = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
    kib * 1024
}
