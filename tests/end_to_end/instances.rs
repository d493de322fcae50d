//! Two instances over one real PostgreSQL in front of one cluster: whoever leads is killed, or stopped for longer than its lease, in the
//! middle of a drain and of a return. The other one goes on where it was, and everything is done once.

use std::process::Command;
use std::time::Duration;

use pitlane::model::ids::NodeName;
use pitlane::sim::World;
use serde_json::Value;

use crate::postgres::{Database, database, new_cluster};
use crate::site::{MANUAL, QUICK, Site, small};

/// A drain, or a return, of a small cluster on two busy cores, with one change of leaders.
const LONG: Duration = Duration::from_secs(240);

/// The first one's door is the cluster of both; the second one's is nobody's.
struct Pair {
    both: [Site; 2],
}

impl Pair {
    async fn open(database: &Database) -> Self {
        let both = [Site::open(small(11), 8.0).await, Site::open(World::builder(1).build(), 1.0).await];
        let (name, url) = (new_cluster().0, database.url());
        for site in &both {
            site.put("policies/manual.yaml", MANUAL);
            let (listen, reached) = (site.listen(), both[0].reached());
            let text = format!(
                "name: {name}\nmode: approve\nkill_file: stop\nself: {{outside: true}}\nceph: {{setup: none}}\nhttp: {{listen: \
                 \"{listen}\", tokens_file: tokens.yaml}}\n{reached}{QUICK}store: {{postgres: {{url: \"{url}\", lease: 6s}}}}\n"
            );
            site.put("pitlane.yaml", &text);
        }
        Self { both }
    }

    /// Which of them looks after the cluster, as soon as one does.
    async fn leader(&self) -> usize {
        let look = async || {
            for (n, site) in self.both.iter().enumerate() {
                let status = site.get("/api/v1/status").await.unwrap_or_default();
                if status["ready"] == true && status["led_by"].is_null() {
                    return Some(n);
                }
            }
            None
        };
        self.both[0].until("one of them leads", LONG, look, Option::is_some).await.expect("just seen")
    }

    async fn phase(&self, by: usize, phase: &str) -> Value {
        self.both[by].phase(1, phase, LONG).await
    }

    fn signal(&self, which: usize, name: &str) {
        let pid = self.both[which].pid().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill is there");
        assert!(sent.success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_leads_dies_or_sleeps_and_the_other_one_goes_on() {
    let database = database();
    let mut pair = Pair::open(&database).await;
    pair.both[0].start().await;
    assert_eq!(pair.leader().await, 0);
    pair.both[1].start().await;

    // Asked of the one that waits.
    let words = ["drain", "pve1", "--when-clear", "--yes", "--reason", "dust"];
    let said = pair.both[1].said("alice", &words).await;
    assert!([0, 5].contains(&said.code), "{said:?}");
    pair.phase(1, "draining").await;

    // It dies in the drain, and comes back later: it waits then.
    pair.both[0].kill().await;
    assert_eq!(pair.leader().await, 1);
    pair.both[0].start().await;
    pair.phase(0, "handed-over").await;
    assert_eq!(pair.leader().await, 1, "nothing was taken from it");
    let safe = async || {
        let view = pair.both[1].get("/api/v1/cases/1").await.unwrap_or_default();
        !view["safe_to_power_off"]["Ok"].is_null()
    };
    pair.both[1].until("safe to power off", LONG, safe, |safe| *safe).await;
    let elsewhere = pair.both[0].get("/api/v1/cases/1").await.expect("it is in the archive");
    assert!(
        elsewhere["safe_to_power_off"]["Err"].as_str().is_some_and(|why| why.contains("ask it")),
        "who does not look says nothing is safe: {elsewhere}"
    );
    {
        let mut world = pair.both[0].world.lock().expect("unhurt");
        let node = NodeName::from("pve1");
        world.technician_opens(&node);
        world.advance_secs(30);
        world.technician_closes(&node);
    }
    let said = pair.both[0].said("tom", &["done", "1", "--note", "cleaned"]).await;
    assert_eq!(said.code, 0, "{said:?}");

    // It sleeps in the return for longer than its lease, and wakes when the other one is at work.
    pair.phase(1, "giving-back").await;
    pair.signal(1, "STOP");
    let first = async || {
        let status = pair.both[0].get("/api/v1/status").await.unwrap_or_default();
        status["ready"] == true && status["led_by"].is_null()
    };
    pair.both[0].until("the first one goes on", LONG, first, |leads| *leads).await;
    pair.signal(1, "CONT");
    pair.phase(0, "closed").await;
    let waits = async || pair.both[1].get("/api/v1/status").await.unwrap_or_default()["led_by"].is_string();
    pair.both[1].until("the one that slept waits", LONG, waits, |waits| *waits).await;

    let cluster = &pair.both[0];
    assert_eq!(cluster.door.violation(), None);
    assert!(cluster.strays().is_empty(), "{:?}", cluster.strays());
    let owed = pair.both[1].said("bob", &["--json", "owed"]).await;
    assert_eq!((owed.code, owed.out.trim()), (0, "[]"), "{owed:?}");
    let whole = pair.both[1].said("bob", &["store", "verify"]).await;
    assert!(
        whole.code == 0 && whole.out.contains(" 1 cases") && whole.out.contains(" 1 work orders"),
        "{whole:?}"
    );
}
