//! The real program where machines fail it: a full disk, a disk that breaks, ten minutes without a processor, a token that
//! was deleted. It says so in plain words, begins nothing that it cannot write down or see, and goes on by itself.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pitlane::model::ids::NodeName;
use pitlane::sim::World;
use pitlane::sim::world::{Actor, Expect, audit};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::disk::Disk;
use crate::hands::simulated_ceph;
use crate::site::{MANUAL, QUICK, SOON, Site};

/// A drain of many guests takes a while, even on two busy cores.
const LONG: Duration = Duration::from_secs(240);
/// So long nothing may change while the program says that it stands still.
const STILL: Duration = Duration::from_secs(4);

pub fn world() -> World {
    members(3)
}

pub fn members(nodes: u32) -> World {
    let builder = (101..113).fold(World::builder(nodes), |builder, guest| builder.vm(guest, "pve1"));
    builder.vm(201, "pve2").vm(301, "pve3").ceph(1).at(pitlane::model::time::Time::now()).build()
}

/// A site with a drain of pve1 under way: noout is held, and a guest has left.
pub async fn draining(site: &mut Site, more: &str) {
    site.put("policies/manual.yaml", MANUAL);
    let ceph = simulated_ceph(site, "pve2");
    site.configure(&format!("mode: approve\n{QUICK}{ceph}{more}"));
    site.start().await;
    let drain = json!({"ask": "drain", "node": "pve1", "reason": "dust", "yes": true});
    let asked = async || site.ask("alice", &drain, "drain-1").await;
    site.until("the drain is asked for", SOON, asked, Option::is_some).await;
    let left = async || site.strays().len();
    site.until("a guest has left", LONG, left, |left| *left > 0).await;
}

/// From wherever it is to the end of the case, with nothing broken on the way.
pub async fn ends_well(site: &Site) {
    site.phase(1, "handed-over", LONG).await;
    assert_eq!(site.strays().len(), 12, "{:?}", site.strays());
    let said = site.said("tom", &["done", "1", "--note", "cleaned", "--wait"]).await;
    assert_eq!(said.code, 0, "{said:?}\n{}", site.log_tail());
    assert_eq!(site.door.violation(), None);
    assert!(site.strays().is_empty(), "{:?}", site.strays());
    let wrong = audit(&site.world.lock().expect("unhurt"), &Expect::default());
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(site.work_orders(), [(1, "closed".to_owned())]);
    assert_eq!(site.said("bob", &["--json", "owed"]).await.out.trim(), "[]");
}

/// Everything that pitlane has ever done to the cluster.
fn done(site: &Site) -> Vec<(String, usize)> {
    let world = site.world.lock().expect("unhurt");
    world.effects_of(Actor::Pitlane).into_iter().map(|(kind, times)| (kind.to_string(), times)).collect()
}

/// Nothing is begun while it stands still.
pub async fn begins_nothing(site: &Site, why: &str) {
    let before = done(site);
    let end = tokio::time::Instant::now() + STILL;
    while tokio::time::Instant::now() < end {
        assert_eq!(done(site), before, "{why}\n{}", site.log_tail());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What a probe is told: status and words.
pub async fn probe(site: &Site) -> (u16, String) {
    let answer = reqwest::get(format!("{}/readyz", site.url)).await;
    match answer {
        Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap_or_default()),
        Err(_) => (0, String::new()),
    }
}

pub async fn not_ready(site: &Site, words: &str) {
    let so = |(code, said): &(u16, String)| *code == 503 && said.contains(words);
    site.until("the probe says why it is not ready", SOON, async || probe(site).await, so).await;
}

pub async fn ready(site: &Site) {
    site.until("ready again", LONG, async || probe(site).await, |(code, _)| *code == 200).await;
}

/// Somebody's pager: what it was sent.
pub async fn pager() -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/page", listener.local_addr().expect("bound"));
    let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
    let pages = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut request, mut part) = (Vec::new(), [0; 4096]);
            while let Ok(read @ 1..) = stream.read(&mut part).await {
                request.extend_from_slice(&part[..read]);
                let text = String::from_utf8_lossy(&request);
                let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
                if let Ok(page) = serde_json::from_str(&body) {
                    pages.lock().expect("unhurt").push(page);
                    let _ = stream
                        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                        .await;
                    break;
                }
            }
        }
    });
    (url, heard)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_disk_stops_it_is_paged_and_it_goes_on_when_there_is_room() {
    let mut site = Site::open(world(), 8.0).await;
    let disk = Disk::mounted(site.path("disk.img"), site.path("state"));
    let (url, heard) = pager().await;
    draining(
        &mut site,
        &format!("notify: {{channels: {{oncall: {{webhook: \"{url}\"}}}}, page: [oncall]}}\n"),
    )
    .await;

    disk.fill();
    not_ready(&site, "store cannot be read or written").await;
    let said = site.said("bob", &["status"]).await;
    assert!(said.code != 0 && said.out.contains("the disk of the state directory is full"), "{said:?}");
    assert!(site.log_tail().contains("the disk of the state directory is full"), "{}", site.log_tail());
    begins_nothing(&site, "begun with a full disk").await;
    let told = |words: &'static str| {
        let heard = Arc::clone(&heard);
        move || {
            let pages = heard.lock().expect("unhurt");
            let so =
                pages.iter().any(|page| page["title"].as_str().is_some_and(|title| title.contains(words)));
            std::future::ready(so)
        }
    };
    site.until("somebody is woken", Duration::from_secs(150), told("stands still"), |so| *so).await;

    disk.make_room();
    ready(&site).await;
    site.until("and told that it goes on", SOON, told("goes on"), |so| *so).await;
    ends_well(&site).await;
    let said = site.said("bob", &["store", "verify"]).await;
    assert!(said.code == 0 && said.out.contains("whole"), "{said:?}");
    site.kill().await;
}

/// Nothing is to be done, so the loop has nothing to write. It must not look well all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_idle_service_with_a_full_disk_turns_alerts_away_and_is_not_ready() {
    let mut site = Site::open(world(), 8.0).await;
    let disk = Disk::mounted(site.path("disk.img"), site.path("state"));
    site.put("policies/manual.yaml", MANUAL);
    site.configure(&format!("mode: approve\n{QUICK}ceph: {{setup: none}}\n"));
    site.start().await;
    disk.fill();
    let deliver = async |number: usize| {
        let alert = json!({"status": "firing", "labels": {"alertname": "Fan", "n": number.to_string()},
                           "startsAt": "2026-01-01T00:00:00Z"});
        let url = format!("{}/alerts/alertmanager", site.url);
        let sent =
            reqwest::Client::new().post(url).bearer_auth("alertmanager").json(&json!({"alerts": [alert]}));
        sent.send().await.expect("it answers").status().as_u16()
    };
    // What is left of the log's last page takes a few.
    let mut number = 0;
    while deliver(number).await == 200 {
        number += 1;
        assert!(number < 5_000, "a full disk takes everything");
    }
    assert_eq!(deliver(number).await, 503);
    not_ready(&site, "store cannot be read or written").await;
    disk.make_room();
    ready(&site).await;
    assert_eq!(deliver(number).await, 200);
    site.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_disk_that_breaks_stops_it_and_what_was_owed_is_known_afterwards() {
    let mut site = Site::open(world(), 8.0).await;
    let disk = Disk::mounted(site.path("disk.img"), site.path("state"));
    draining(&mut site, "").await;

    disk.breaks();
    not_ready(&site, "store cannot be read or written").await;
    let said = site.said("bob", &["status"]).await;
    let plain = ["does not let us write", "does not do what it is asked"];
    assert!(said.code != 0 && plain.iter().any(|words| said.out.contains(words)), "{said:?}");
    begins_nothing(&site, "begun with a disk that is read-only").await;

    // Started again on the same disk it refuses in words; on the repaired one it goes on.
    site.kill().await;
    let said = site.said("bob", &["run"]).await;
    assert!(said.code == 1 && said.err.contains("Read-only file system"), "{said:?}");
    disk.repaired();
    site.start().await;
    ends_well(&site).await;
    site.kill().await;
}

/// Ten minutes of the cluster's time, and longer than any fact is believed: freshness and the lives of steps are seconds
/// here, so that the same happens within seconds as in ten minutes with the defaults.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_minutes_without_a_processor_end_no_guest_and_no_case() {
    let mut site = Site::open(world(), 8.0).await;
    draining(&mut site, "").await;
    let config = std::fs::read_to_string(site.path("pitlane.yaml")).expect("ours");
    site.put("pitlane.yaml", &config.replace("step_for: 30s, fresh_for: 30s", "step_for: 3s, fresh_for: 3s"));
    let said = site.said("alice", &["reload"]).await;
    assert_eq!(said.code, 0, "{said:?}");

    for _ in 0..3 {
        signal(&site, "STOP");
        // Meanwhile a target dies and comes back, and what was moving has long arrived.
        site.world.lock().expect("unhurt").node_dies(&NodeName::from("pve3"));
        site.door.advance(300).expect("unhurt");
        site.world.lock().expect("unhurt").node_boots(&NodeName::from("pve3"));
        site.door.advance(300).expect("unhurt");
        tokio::time::sleep(Duration::from_secs(4)).await;
        signal(&site, "CONT");
        ready(&site).await;
        assert_eq!(site.door.violation(), None, "{}", site.log_tail());
    }
    ends_well(&site).await;
    site.kill().await;
}

fn signal(site: &Site, name: &str) {
    let pid = site.pid().to_string();
    let sent =
        std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill is there");
    assert!(sent.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_deleted_token_is_blindness_and_a_new_one_ends_it() {
    let mut site = Site::open(world(), 8.0).await;
    draining(&mut site, "").await;
    site.door.revoke("pitlane@pve!ctl", true);
    not_ready(&site, "the cluster cannot be seen").await;
    let said = site.said("bob", &["status"]).await;
    assert!(said.code == 4 && said.out.contains("BLIND"), "{said:?}");
    assert!(said.out.contains("401") || said.out.contains("token"), "it says why: {said:?}");
    begins_nothing(&site, "begun without a token").await;
    let said = site.said("bob", &["check", "pve2"]).await;
    // 3 where something else is known to stand in the way as well: Ceph is still seen.
    assert!(
        matches!(said.code, 3 | 4) && said.out.contains("cannot see the cluster"),
        "unknown is no: {said:?}"
    );
    site.door.revoke("pitlane@pve!ctl", false);
    ready(&site).await;
    ends_well(&site).await;
    site.kill().await;
}

/// Where Debian keeps it, on any machine.
fn faketime() -> String {
    let listed =
        std::process::Command::new("dpkg").args(["-L", "libfaketime"]).output().expect("a Debian machine");
    let files = String::from_utf8(listed.stdout).expect("text");
    let found = files.lines().find(|line| line.ends_with("/libfaketime.so.1"));
    found.expect("apt-get install libfaketime (tests/lab/install does it)").to_owned()
}

/// Somebody sets the clock of pitlane's own machine: an hour forward, a day back, right again. The steady clock, which
/// nobody can set, goes on as it does in life.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_clock_that_is_set_is_told_and_breaks_nothing() {
    let mut site = Site::open(world(), 8.0).await;
    site.put("clock", "+0\n");
    site.env = vec![
        ("LD_PRELOAD", faketime()),
        ("FAKETIME_TIMESTAMP_FILE", site.path("clock").display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    draining(&mut site, "").await;
    for (clock, told) in
        [("+3600\n", "set forward by 3"), ("-86400\n", "set back by"), ("+0\n", "set forward by 8")]
    {
        site.put("clock", clock);
        let heard = async || std::fs::read_to_string(site.path("log")).is_ok_and(|log| log.contains(told));
        site.until(&format!("the log tells {told}"), SOON, heard, |heard| *heard).await;
        ready(&site).await;
        assert_eq!(site.door.violation(), None, "{}", site.log_tail());
    }
    ends_well(&site).await;
    site.kill().await;
}
