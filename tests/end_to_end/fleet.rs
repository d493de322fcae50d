//! Two clusters with nodes of the same names behind one process: each is looked after as though by itself, alerts and people come to
//! the one that they mean, a cluster that hangs holds up itself alone, and what they share is counted over both, whenever the
//! process dies.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use pitlane::adapters::store::SqliteFleet;
use pitlane::model::ids::{CaseId, NodeName};
use pitlane::model::observed::GuestKind;
use pitlane::model::shared::Place;
use pitlane::model::time::Time;
use pitlane::ports::{Claimed, Fleet as _};
use pitlane::sim::World;
use serde_json::{Value, json};

use crate::hardship::pager;
use crate::network::behind_proxies;
use crate::proxy::{Manner, Proxy};
use crate::site::{MANUAL, QUICK, SOON, Site};

/// A drain, or a return, of a small cluster on two busy cores.
const LONG: Duration = Duration::from_secs(240);

fn world(seed: u64) -> World {
    World::builder(3)
        .seed(seed)
        .at(Time::now())
        .vm(101, "pve1")
        .vm(102, "pve1")
        .vm(201, "pve2")
        .guest(302, "pve3", |guest| guest.kind = GuestKind::Lxc)
        .build()
}

/// The fleet's process is berlin's site; paris is a door elsewhere, behind a network of its own.
struct House {
    berlin: Site,
    paris: Site,
    network: Vec<Proxy>,
}

impl House {
    async fn open() -> Self {
        let (berlin, (paris, network)) = (Site::open(world(1), 8.0).await, behind_proxies(world(2)).await);
        berlin.put("policies/manual.yaml", MANUAL);
        let listen = berlin.listen();
        berlin.put(
            "pitlane.yaml",
            &format!(
                "state: state\nkill_file: stop\nhttp: {{listen: \"{listen}\", tokens_file: tokens.yaml}}\nclusters: clusters\n\
                 shared_budgets:\n  - {{name: one-technician, nodes_out_max: 1, clusters: [berlin, paris]}}\n"
            ),
        );
        let quick = QUICK.replace("policies: policies", "policies: ../policies");
        for (name, site) in [("berlin", &berlin), ("paris", &paris)] {
            let own = format!(
                "mode: approve\nself: {{outside: true}}\nceph: {{setup: none}}\n{quick}{}",
                site.reached()
            );
            berlin.put(&format!("clusters/{name}.yaml"), &own);
        }
        Self { berlin, paris, network }
    }

    fn site(&self, cluster: &str) -> &Site {
        if cluster == "berlin" { &self.berlin } else { &self.paris }
    }

    async fn get(&self, cluster: &str, path: &str) -> Option<Value> {
        self.berlin.get(&format!("/clusters/{cluster}/api/v1{path}")).await
    }

    /// The first case of a cluster is in this phase; its view.
    async fn phase(&self, cluster: &str, phase: &str) -> Value {
        let look = async || self.get(cluster, "/cases/1").await;
        let so = |view: &Option<Value>| view.as_ref().is_some_and(|v| v["case"]["phase"]["phase"] == phase);
        self.berlin.until(&format!("{cluster} is {phase}"), LONG, look, so).await.expect("it was just seen")
    }

    async fn drain(&self, cluster: &str) {
        let said = self
            .berlin
            .said(
                "alice",
                &["--cluster", cluster, "drain", "pve1", "--when-clear", "--yes", "--reason", "dust"],
            )
            .await;
        assert!([0, 5].contains(&said.code), "{said:?}");
    }

    /// Opens the machine when it is safe, closes it, says done, and sees everybody home.
    async fn serviced(&self, cluster: &str) {
        self.phase(cluster, "handed-over").await;
        let site = self.site(cluster);
        let safe = async || {
            self.get(cluster, "/cases/1").await.is_some_and(|v| !v["safe_to_power_off"]["Ok"].is_null())
        };
        self.berlin.until("safe to power off", LONG, safe, |safe| *safe).await;
        {
            let mut world = site.world.lock().expect("unhurt");
            let node = NodeName::from("pve1");
            world.technician_opens(&node);
            world.advance_secs(30);
            world.technician_closes(&node);
        }
        let said = self.berlin.said("tom", &["--cluster", cluster, "done", "1", "--note", "cleaned"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        self.phase(cluster, "closed").await;
        assert!(site.strays().is_empty(), "{cluster}: {:?}", site.strays());
    }

    async fn killed_and_back(&mut self) {
        self.berlin.kill().await;
        self.berlin.spawn();
        let look = async || self.get("berlin", "/status").await;
        self.berlin.until("it is back", SOON, look, Option::is_some).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_clusters_share_a_process_and_a_technician_and_nothing_else() {
    let mut house = House::open().await;
    house.berlin.start().await;
    let ready = async || house.berlin.get("/api/v1/clusters").await;
    let both = |lines: &Option<Value>| {
        lines
            .as_ref()
            .and_then(Value::as_array)
            .is_some_and(|all| all.iter().all(|line| line["well"] == true))
    };
    house.berlin.until("both are looked after", LONG, ready, both).await;

    // One technician: whoever was first. The other one says for whom it waits.
    house.drain("berlin").await;
    house.phase("berlin", "draining").await;
    house.drain("paris").await;
    let waits = async || house.get("paris", "/cases/1").await;
    let told = |view: &Option<Value>| {
        view.as_ref().is_some_and(|view| {
            view.to_string().contains("one-technician") && view.to_string().contains("berlin")
        })
    };
    house.berlin.until("paris waits for berlin", LONG, waits, told).await;
    house.killed_and_back().await;
    house.phase("berlin", "handed-over").await;
    assert_eq!(house.get("paris", "/cases/1").await.expect("known")["case"]["phase"]["phase"], "preparing");
    assert!(house.paris.strays().is_empty(), "nobody moved in paris: {:?}", house.paris.strays());

    // Back in berlin, the place is free: paris goes by itself, once, and comes home.
    house.serviced("berlin").await;
    house.killed_and_back().await;
    house.serviced("paris").await;

    for (cluster, site) in [("berlin", &house.berlin), ("paris", &house.paris)] {
        assert_eq!(site.door.violation(), None, "{cluster}");
        let owed = house.berlin.said("bob", &["--cluster", cluster, "--json", "owed"]).await;
        assert_eq!((owed.code, owed.out.trim()), (0, "[]"), "{owed:?}");
        let whole = house.berlin.said("bob", &["--cluster", cluster, "audit", "verify"]).await;
        assert!(whole.code == 0 && whole.out.contains("whole"), "{whole:?}");
    }
    let said = house.berlin.said("bob", &["status"]).await;
    assert!(said.code != 0 && said.err.contains("--cluster NAME"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn alerts_come_to_the_cluster_that_they_mean_and_a_dead_one_holds_up_nobody() {
    let mut house = House::open().await;
    house.berlin.start().await;
    let well = async || house.get("berlin", "/status").await;
    house
        .berlin
        .until("berlin is seen", LONG, well, |s| s.as_ref().is_some_and(|s| s["ready"] == true))
        .await;

    let alert = |labels: Value| {
        json!({"status": "firing", "labels": labels, "annotations": {}, "startsAt": Time::now().to_string(),
               "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "00112233445566aa", "generatorURL": ""})
    };
    let fan = |cluster: &str| json!({"alertname": "FanFailed", "node": "pve2", "cluster": cluster});
    let sent = house
        .deliver(json!([alert(fan("berlin")), alert(json!({"alertname": "FanFailed", "node": "pve2"}))]))
        .await;
    assert!([200, 503].contains(&sent), "{sent}");
    let hears =
        async |cluster: &str| house.get(cluster, "/status").await.unwrap_or_default()["unplaced"].to_string();
    let heard = async || hears("berlin").await;
    house
        .berlin
        .until("berlin hears of its fan, for which it has no policy", LONG, heard, |heard| {
            heard.contains("00112233445566aa")
        })
        .await;
    assert!(!hears("paris").await.contains("00112233445566aa"), "it is berlin's");
    let refused = async || {
        let sent = house.deliver(json!([alert(json!({"alertname": "FanFailed", "node": "pve2"}))])).await;
        (sent, house.berlin.said("bob", &["alerts", "--unreadable"]).await.out)
    };
    house
        .berlin
        .until("an alert that names no cluster is kept for people", LONG, refused, |(sent, out)| {
            *sent == 200 && out.contains("berlin and paris each have such a node")
        })
        .await;

    // Paris hangs: its own page says so, and berlin's turns go on as before.
    house.network.iter().for_each(|proxy| proxy.now(Manner::Swallows));
    let blind = async || house.berlin.get("/api/v1/clusters").await.unwrap_or_default();
    let lines = house.berlin.until("paris is told to be unseen", LONG, blind, |lines| {
        lines
            .as_array()
            .is_some_and(|all| all.iter().any(|line| line["name"] == "paris" && line["well"] == false))
    });
    lines.await;
    let turn = async || house.get("berlin", "/status").await.unwrap_or_default()["turn_at"].clone();
    let before = turn().await;
    house
        .berlin
        .until("berlin turns", Duration::from_secs(20), turn, |at| !at.is_null() && *at != before)
        .await;
    house.drain("berlin").await;
    house.phase("berlin", "draining").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_whose_state_cannot_be_used_wakes_people_once_and_the_others_are_served() {
    let mut house = House::open().await;
    let (url, heard) = pager().await;
    let oslo = format!(
        "mode: act\nself: {{outside: true}}\nceph: {{setup: none}}\n{}{}notify: {{channels: {{oncall: {{webhook: \"{url}\"}}}}, \
         page: [oncall]}}\n",
        QUICK.replace("policies: policies", "policies: ../policies"),
        house.berlin.reached().replace("127.0.0.1", "localhost"),
    );
    house.berlin.put("clusters/oslo.yaml", &oslo);
    // Its directory is a file.
    house.berlin.put("state/clusters/oslo", "");
    let state = house.berlin.path("state");
    fs::set_permissions(&state, Permissions::from_mode(0o700)).expect("our own directory");
    // And rome left the fleet when one of its nodes was out.
    let places = SqliteFleet::open(&state).expect("opens");
    let place = |cluster: &str| Place {
        budget: "one-technician".into(),
        cluster: cluster.into(),
        node: "pve1".into(),
        case: Some(CaseId(7)),
        since: Time::now(),
    };
    for cluster in ["rome", "oslo"] {
        assert_eq!(places.claim(&place(cluster), 2).await, Ok(Claimed::Granted));
    }
    house.berlin.start().await;
    let held = places.places().await.expect("reads");
    assert_eq!(held.iter().map(|place| place.cluster.as_str()).collect::<Vec<_>>(), ["oslo"], "{held:?}");

    let pages = || heard.lock().expect("unhurt").clone();
    let woken = async || pages();
    let said = house.berlin.until("somebody is woken", LONG, woken, |pages| !pages.is_empty()).await;
    assert_eq!(said[0]["title"], "oslo: not served: its state cannot be used", "{said:?}");
    assert!(said[0]["body"].as_str().is_some_and(|body| body.contains("it is a file")), "{said:?}");
    let lines = house.berlin.get("/api/v1/clusters").await.unwrap_or_default();
    let well: Vec<_> =
        lines.as_array().into_iter().flatten().map(|line| (&line["name"], &line["well"])).collect();
    assert_eq!(json!(well), json!([["berlin", true], ["oslo", false], ["paris", true]]), "{lines}");
    // Longer than the first pause after a try.
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(pages().len(), 1, "{:?}", pages());
}

impl House {
    async fn deliver(&self, alerts: Value) -> u16 {
        let body = json!({"version": "4", "groupKey": "g", "status": "firing", "receiver": "pitlane", "groupLabels": {},
                          "commonLabels": {}, "commonAnnotations": {}, "externalURL": "", "truncatedAlerts": 0, "alerts": alerts});
        let url = format!("{}/alerts/alertmanager", self.berlin.url);
        let post = reqwest::Client::new()
            .post(url)
            .bearer_auth("alertmanager")
            .header("content-type", "application/json");
        post.body(body.to_string()).send().await.expect("an answer").status().as_u16()
    }
}
