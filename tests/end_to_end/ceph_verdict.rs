//! A real Ceph in trouble, and what the program says about it: `pitlane check` and one drain in front of Ceph's own daemons;
//! Proxmox is simulated. Where it is Ceph's own answer that misleads, the test shows that first.
//!
//! Three hosts, two OSDs and a monitor each, a manager on the first two. One lab for everything, for it takes half a minute to
//! come up: each part leaves it sound.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use pitlane::model::ids::{HostName, NodeName, OsdId};
use pitlane::model::shown::Judged;
use pitlane::model::verdict::{Answer, Check, CheckName, Verdict};
use pitlane::model::wait::{Source, Wait};
use pitlane::sim::World;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::ceph_real::admin;
use crate::chain::must;
use crate::lab::Lab;
use crate::site::{MANUAL, Site};

/// For what a killed daemon takes until all of Ceph agrees on it, on two busy cores.
const LONG: Duration = Duration::from_secs(150);

/// A quiet loop: each look starts Ceph's client eight times, and the questions here are asked by the test.
const LIMITS: &str = "clean_for: 2s, turn_busy: 2s, turn_quiet: 20s, step_for: 30s, fresh_for: 30s";

/// What cannot be answered while the monitors have no majority.
const OF_CEPH: [CheckName; 5] = [
    CheckName::CephHealth,
    CheckName::CephFlags,
    CheckName::OkToStop,
    CheckName::Redundancy,
    CheckName::CephVersions,
];

struct Troubled {
    site: Site,
    ceph: Lab,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_real_ceph_in_trouble_gets_no_wrong_yes() {
    let lab = spawn_blocking(|| Lab::up("ceph-lab", &["--host-prefix", "pve"])).await;
    let ceph = lab.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    let world = World::builder(3).vm(101, "pve1").vm(201, "pve2").vm(301, "pve3").ceph(2);
    let site = Site::open(world.at(pitlane::model::time::Time::now()).build(), 3.0).await;
    let mut troubled = Troubled { site, ceph };
    troubled.site.put("policies/manual.yaml", MANUAL);
    troubled.configure(LIMITS);
    troubled.site.start().await;

    troubled.sound("pve2").await;
    troubled.pools_that_ceph_itself_would_stop().await;
    troubled.an_error_that_is_none_and_what_is_not_allowed().await;
    troubled.a_second_failure_while_noout_is_held().await;
    troubled.a_host_that_is_down_and_a_muted_cluster().await;
    troubled.a_lost_quorum().await;
}

impl Troubled {
    fn configure(&self, limits: &str) {
        self.site.configure(&format!(
            "mode: approve\nlimits: {{{limits}}}\npolicies: policies\nceph: {{client: {{program: /usr/bin/ceph, conf: {}, \
             keyring: {}}}}}\n",
            self.ceph.fact("conf"),
            self.ceph.fact("keyring")
        ));
    }

    fn admin(&self, words: &[&str]) -> Value {
        admin(&self.ceph, words)
    }

    fn marks(&self) -> Value {
        self.admin(&["osd", "dump"])["crush_node_flags"].clone()
    }

    /// `pitlane check`, again and again until it says so.
    async fn verdict(&self, node: &str, what: &str, so: impl Fn(&Verdict) -> bool) -> Verdict {
        let ask = async || {
            let said = self.site.said("bob", &["--json", "check", node]).await;
            serde_json::from_str::<Judged>(&said.out).map(|judged| judged.verdict).map_err(|_| said)
        };
        let seen = self.site.until(what, LONG, ask, |seen| seen.as_ref().is_ok_and(&so)).await;
        seen.expect("it was just seen")
    }

    /// Ceph's own word, until it is so.
    async fn until(&self, what: &str, words: &[&str], so: impl Fn(&Value) -> bool) -> Value {
        self.site.until(what, LONG, async || self.admin(words), so).await
    }

    async fn sound(&self, node: &str) -> Verdict {
        let verdict = self.verdict(node, "a yes", Verdict::clear).await;
        assert_eq!(check(&verdict, CheckName::CephHealth).answer, Answer::Pass, "{verdict:?}");
        assert_eq!(check(&verdict, CheckName::OkToStop).answer, Answer::Pass, "{verdict:?}");
        verdict
    }

    /// Ceph asks whether the groups stay available, and says yes with the last copy left.
    async fn pools_that_ceph_itself_would_stop(&self) {
        let copies = |pool: &str, have| Wait::NoSpareCopy { pool: pool.to_owned(), have };
        let short = |pool: &str| Wait::TooFewCopies { pool: pool.to_owned(), have: 1, need: 2 };
        self.admin(&["osd", "pool", "create", "two", "8", "8", "replicated"]);
        self.admin(&["osd", "pool", "set", "two", "size", "2"]);
        let blocked = |v: &Verdict| {
            reasons(v, CheckName::OkToStop).iter().any(|why| matches!(why, Wait::NotOkToStop { .. }))
        };
        let verdict = self.verdict("pve2", "two copies, both needed", blocked).await;
        assert_eq!(reasons(&verdict, CheckName::Redundancy), [short("two")], "{verdict:?}");

        self.admin(&["osd", "pool", "set", "two", "min_size", "1"]);
        self.admin(&[
            "osd",
            "erasure-code-profile",
            "set",
            "hosts",
            "k=2",
            "m=1",
            "crush-failure-domain=host",
        ]);
        self.admin(&["osd", "pool", "create", "over-hosts", "8", "8", "erasure", "hosts"]);
        let erasure = copies("over-hosts", 2);
        let warned = |v: &Verdict| v.clear() && reasons(v, CheckName::Redundancy).contains(&erasure);
        let verdict = self.verdict("pve2", "yes by Ceph, with a warning by us", warned).await;
        let said = reasons(&verdict, CheckName::Redundancy);
        for pool in [copies("lab", 2), copies("two", 1)] {
            assert!(said.contains(&pool), "{pool:?}: {said:?}");
        }
        assert!(reading(&verdict, CheckName::Redundancy).contains("two keeps 1 of 2 copies"), "{verdict:?}");

        // Over OSDs two of three shards may lie on one host. Whether some do is luck: then Ceph says no as well.
        self.admin(&["osd", "erasure-code-profile", "set", "osds", "k=2", "m=1", "crush-failure-domain=osd"]);
        self.admin(&["osd", "pool", "create", "over-osds", "8", "8", "erasure", "osds"]);
        let short = short("over-osds");
        let so = |v: &Verdict| reasons(v, CheckName::Redundancy).contains(&short);
        assert!(!self.verdict("pve2", "shards over OSDs", so).await.clear());
        self.admin(&["config", "set", "mon", "mon_allow_pool_delete", "true"]);
        self.admin(&["osd", "pool", "delete", "over-osds", "over-osds", "--yes-i-really-really-mean-it"]);
        self.sound("pve2").await;
    }

    /// A manager's module that finds its port taken makes HEALTH_ERR of a sound cluster. Codes count, and whose list they are on.
    async fn an_error_that_is_none_and_what_is_not_allowed(&self) {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = taken.local_addr().expect("bound").port().to_string();
        self.admin(&["config", "set", "mgr", "mgr/prometheus/server_addr", "127.0.0.1"]);
        self.admin(&["config", "set", "mgr", "mgr/prometheus/server_port", &port]);
        self.admin(&["mgr", "module", "enable", "prometheus"]);
        let failed = |v: &Value| v["status"] == "HEALTH_ERR" && v["checks"]["MGR_MODULE_ERROR"].is_object();
        self.until("a module that failed", &["health"], failed).await;
        self.sound("pve2").await;
        assert_eq!(self.admin(&["health"])["status"], "HEALTH_ERR", "all the while");

        self.configure(&format!("{LIMITS}, ceph_benign: [OSD_FLAGS]"));
        let said = self.site.said("alice", &["reload"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        let named = |v: &Verdict| health_codes(v) == ["MGR_MODULE_ERROR"];
        let verdict = self.verdict("pve2", "a code that is not on the list", named).await;
        assert!(
            words(&verdict).contains("add MGR_MODULE_ERROR to limits.ceph_benign"),
            "{}",
            words(&verdict)
        );
        assert_eq!(self.site.said("bob", &["check", "pve2"]).await.code, 3);
        self.configure(LIMITS);
        assert_eq!(self.site.said("alice", &["reload"]).await.code, 0);
        self.admin(&["mgr", "module", "disable", "prometheus"]);
        self.until("health", &["health"], |v| v["status"] == "HEALTH_OK").await;
    }

    /// A drain of the node with the active manager; a monitor elsewhere dies before the machine is switched off, an OSD
    /// elsewhere while it is off.
    async fn a_second_failure_while_noout_is_held(&self) {
        self.active_manager_on_pve1().await;
        self.sound("pve1").await;
        let drain = json!({"ask": "drain", "node": "pve1", "reason": "dust", "yes": true});
        self.site.ask("alice", &drain, "drain-1").await.expect("an answer");
        let safe = async || self.site.get("/api/v1/cases/1").await.map(|v| v["safe_to_power_off"].clone());
        let yes = |safe: &Option<Value>| safe.as_ref().is_some_and(|safe| safe["Ok"].is_string());
        self.site.until("safe to power off", LONG, safe, yes).await;
        assert_eq!(self.marks(), json!({"pve1": ["noout"]}));
        assert_eq!(self.admin(&["mgr", "dump"])["active_name"], "pve2", "handed over before");

        must(&self.ceph, "kill-daemon", &["mon.pve3"]);
        let no = |safe: &Option<Value>| {
            safe.as_ref().is_some_and(|s| s["Err"].as_str().is_some_and(|no| no.contains("1 of 3 monitors")))
        };
        self.site.until("the last majority stays on", LONG, safe, no).await;
        must(&self.ceph, "start-daemon", &["mon.pve3"]);
        self.site.until("safe again", LONG, safe, yes).await;

        self.site.world.lock().expect("unhurt").technician_opens(&NodeName::from("pve1"));
        must(&self.ceph, "kill-host", &["1"]);
        self.until("its OSDs down", &["osd", "tree"], |tree| down(tree) == [0, 1].into()).await;
        must(&self.ceph, "kill-daemon", &["osd.4"]);
        let told = "a second failure while the node is out: OSD 4 is down on pve3";
        let story = async || self.site.story(1).await;
        self.site.until("the second failure is told", LONG, story, |story| story.contains(told)).await;
        let verdict = self.verdict("pve3", "nothing else may leave", |v| !down_here(v).is_empty()).await;
        assert_eq!(down_here(&verdict), [0, 1, 4].map(OsdId), "{verdict:?}");
        assert_eq!(check(&verdict, CheckName::Budgets).answer, Answer::Block, "{verdict:?}");
        assert_eq!(self.marks(), json!({"pve1": ["noout"]}), "held all the while, and nothing else");

        must(&self.ceph, "start-daemon", &["osd.4"]);
        must(&self.ceph, "start-host", &["1"]);
        self.site.world.lock().expect("unhurt").technician_closes(&NodeName::from("pve1"));
        let said = self.site.said("tom", &["done", "1", "--note", "cleaned", "--wait"]).await;
        assert_eq!(said.code, 0, "{said:?}\n{}", self.site.log_tail());
        assert_eq!(self.marks(), json!({}), "given back");
        assert!(self.site.strays().is_empty(), "{:?}", self.site.strays());
        assert_eq!(self.site.said("bob", &["--json", "owed"]).await.out.trim(), "[]");
    }

    async fn active_manager_on_pve1(&self) {
        let on_pve1 = |v: &Value| v["active_name"] == "pve1" && v["available"] == true;
        if self.admin(&["mgr", "dump"])["active_name"] != "pve1" {
            self.admin(&["mgr", "fail", "pve2"]);
        }
        self.until("the manager on pve1", &["mgr", "dump"], on_pve1).await;
    }

    /// Ceph says yes to stopping a host that is down, and HEALTH_OK once somebody has muted what it says.
    async fn a_host_that_is_down_and_a_muted_cluster(&self) {
        must(&self.ceph, "kill-host", &["3"]);
        let dead = |v: &Value| v["checks"]["OSD_HOST_DOWN"].is_object();
        self.until("the dead host", &["health"], dead).await;
        let muted = async || {
            let health = self.admin(&["health"]);
            let codes = health["checks"].as_object().cloned().unwrap_or_default();
            for (code, _) in codes.iter().filter(|(_, check)| check["muted"] != true) {
                self.mute(code);
            }
            health["status"].clone()
        };
        self.site.until("HEALTH_OK, by muting", LONG, muted, |status| status == "HEALTH_OK").await;
        let ceph = self.admin(&["osd", "ok-to-stop", "4", "5"]);
        assert_eq!((&ceph["ok_to_stop"], &ceph["num_ok_pgs"]), (&json!(true), &json!(0)), "{ceph}");

        let empty = Wait::EmptyAnswer { host: HostName::from("pve3") };
        let so = |v: &Verdict| reasons(v, CheckName::OkToStop).contains(&empty);
        let verdict = self.verdict("pve3", "a yes about nothing is none", so).await;
        assert_eq!(down_here(&verdict), [4, 5].map(OsdId), "{verdict:?}");
        let said = words(&verdict);
        assert!(said.contains("Ceph says yes for pve3 but counted no placement group"), "{said}");
        assert!(said.contains("OSD_HOST_DOWN: 1 host (2 osds) down (muted)"), "{said}");
        let codes = health_codes(&verdict);
        assert!(codes.contains(&"OSD_HOST_DOWN") && codes.contains(&"MON_DOWN"), "{codes:?}");
        // Of its neighbour, the monitors' majority.
        let alone = Wait::MonsAfter { left: 1, monitors: 3 };
        let so = |v: &Verdict| reasons(v, CheckName::CephHealth).contains(&alone);
        assert!(!self.verdict("pve1", "the monitors' majority", so).await.clear());
        assert_eq!(self.admin(&["health"])["status"], "HEALTH_OK", "all the while");
    }

    /// The host before is still dead; with another one the monitors lose their majority.
    async fn a_lost_quorum(&self) {
        must(&self.ceph, "kill-host", &["2"]);
        let blind = |v: &Verdict| OF_CEPH.iter().all(|name| check(v, *name).answer == Answer::Unknown);
        let verdict = self.verdict("pve1", "all of Ceph unknown", blind).await;
        assert!(words(&verdict).contains("cannot see Ceph: "), "{}", words(&verdict));
        for name in OF_CEPH {
            let cannot_see = |why: &Wait| matches!(why, Wait::CannotSee { source: Source::Ceph, .. });
            assert!(reasons(&verdict, name).iter().all(cannot_see), "{verdict:?}");
        }
        let drain = ["drain", "pve1", "--reason", "dust", "--yes"];
        let said = self.site.said("alice", &drain).await;
        assert_eq!(said.code, 4, "{said:?}");

        for host in ["2", "3"] {
            must(&self.ceph, "start-host", &[host]);
        }
        self.sound("pve1").await;
        assert_eq!(self.marks(), json!({}));
        assert_eq!(self.site.get("/api/v1/cases/2").await, None, "no case was opened");
        assert_eq!(self.site.door.violation(), None);
    }

    /// A code may be gone by now; then there is nothing to mute, and Ceph says so.
    fn mute(&self, code: &str) {
        let words = ["health", "mute", code, "1h", "--sticky"];
        crate::ceph_real::ceph(&self.ceph, "client.admin", "admin_keyring", &words);
    }
}

fn check(verdict: &Verdict, name: CheckName) -> &Check {
    verdict.checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no {name}: {verdict:?}"))
}

fn reasons(verdict: &Verdict, name: CheckName) -> &[Wait] {
    &check(verdict, name).reasons
}

/// All that stands in the way and what to do about it, as people read it, without the lines of the table.
fn words(verdict: &Verdict) -> String {
    let told = |why: &Wait| format!("{why}: {}\n", why.remedy());
    verdict.reasons().iter().map(told).collect()
}

fn reading(verdict: &Verdict, name: CheckName) -> &str {
    &check(verdict, name).reading
}

/// Health codes that say no.
fn health_codes(verdict: &Verdict) -> Vec<&str> {
    let said = reasons(verdict, CheckName::CephHealth).iter();
    said.filter_map(|why| match why {
        Wait::CephHealth { code, .. } => Some(code.as_str()),
        _ => None,
    })
    .collect()
}

/// OSDs that say no because they are down.
fn down_here(verdict: &Verdict) -> Vec<OsdId> {
    let said = reasons(verdict, CheckName::CephHealth).iter();
    said.filter_map(|why| match why {
        Wait::OsdsDown { osds } => Some(osds.clone()),
        _ => None,
    })
    .flatten()
    .collect()
}

fn down(tree: &Value) -> BTreeSet<u64> {
    let nodes = tree["nodes"].as_array().cloned().unwrap_or_default();
    nodes.iter().filter(|node| node["status"] == "down").filter_map(|node| node["id"].as_u64()).collect()
}
