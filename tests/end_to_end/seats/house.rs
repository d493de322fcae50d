//! A cluster and the instances in front of it; and the people's part of a maintenance, asked of whichever instance answers.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pitlane::model::ids::{ClusterName, NodeName};
use pitlane::model::observed::GuestKind;
use pitlane::model::time::Time;
use pitlane::sim::World;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::process::Child;

use super::LEASE;
use super::ways::{DATABASE, Machine};
use crate::hands::{Hands, simulated_ceph};
use crate::postgres::{Database, new_cluster};
use crate::site::{MANUAL, QUICK, Site};

/// Whoever is stopped takes a connection and never answers.
const ANSWER_MAX: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(200);
const PORT: u16 = 9690;

/// How far the maintenance has come, as was seen from outside.
pub const DRAINING: u8 = 1;
pub const HANDED_OVER: u8 = 2;
pub const GIVING_BACK: u8 = 3;
pub const CLOSED: u8 = 4;

pub struct House {
    pub name: ClusterName,
    pub instances: Vec<Instance>,
    far: AtomicU8,
    /// The process that leads, as the watch sees it; 0: none.
    leader: AtomicU32,
    finished: AtomicBool,
    /// Down with the house.
    _hands: Option<Hands>,
}

/// A machine, and the program on it.
pub struct Instance {
    pub site: Site,
    pub machine: Machine,
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    child: Option<Child>,
    /// Something is being done to it.
    troubled: bool,
    stopped: bool,
    cut_off: bool,
}

impl Instance {
    pub fn start(&self) {
        let child = self.site.service(&self.machine.enter());
        self.now.lock().expect("whole").child = Some(child);
    }

    /// SIGKILL.
    pub async fn kill(&self) {
        let mut child = self.now.lock().expect("whole").child.take().expect("it was started");
        if let Some(status) = child.try_wait().expect("ours") {
            panic!("the service ended by itself: {status}\n{}", self.site.log_tail());
        }
        child.kill().await.expect("ours");
    }

    /// SIGSTOP and SIGCONT.
    pub fn stop(&self, stopped: bool) {
        let mut now = self.now.lock().expect("whole");
        let pid = now.child.as_ref().and_then(Child::id).expect("it was started").to_string();
        // Not fit before it is stopped; fit after it goes on.
        now.stopped = true;
        let signal = if stopped { "-STOP" } else { "-CONT" };
        let sent = std::process::Command::new("kill").args([signal, &pid]).status().expect("kill is there");
        assert!(sent.success());
        now.stopped = stopped;
    }

    /// Does it reach the database? To be said before the cable is cut, and after it is whole.
    pub fn cut_off(&self, cut_off: bool) {
        self.now.lock().expect("whole").cut_off = cut_off;
    }

    /// What was done to it is over.
    pub fn is_well(&self) {
        self.now.lock().expect("whole").troubled = false;
    }

    /// Its process, if it lives, is awake and reaches the database.
    fn fit(&self) -> Option<u32> {
        let now = self.now.lock().expect("whole");
        if now.stopped || now.cut_off { None } else { now.child.as_ref().and_then(Child::id) }
    }
}

fn world(seed: u64, with_ceph: bool) -> World {
    let world = World::builder(3)
        .seed(seed)
        .at(Time::now())
        .vm(101, "pve1")
        .vm(102, "pve1")
        .vm(103, "pve1")
        .ct(104, "pve1")
        .vm(201, "pve2")
        .guest(302, "pve3", |guest| guest.kind = GuestKind::Lxc);
    if with_ceph { world.ha(&[103]).ceph(2).build() } else { world.build() }
}

impl House {
    /// So many instances, all started. With Ceph there is also a helper on each member, which sets what Proxmox's API does not.
    pub async fn open(seed: u64, instances: usize, with_ceph: bool, database: &Database) -> Self {
        static MACHINES: AtomicUsize = AtomicUsize::new(0);
        let name = new_cluster();
        let mut sites = vec![Site::open(world(seed, with_ceph), 8.0).await];
        while sites.len() < instances {
            // Its own door is nobody's.
            sites.push(Site::open(World::builder(1).build(), 1.0).await);
        }
        let hands = with_ceph.then(|| Hands::up(&sites[0], &["pve2", "pve3", "pve1"], None));
        let ceph =
            if with_ceph { simulated_ceph(&sites[0], "pve2") } else { "ceph: {setup: none}\n".to_owned() };
        let (reached, hand) = (sites[0].reached(), hands.as_ref().map(Hands::yaml).unwrap_or_default());
        let url = database.url().replace("127.0.0.1", DATABASE);
        let known =
            with_ceph.then(|| fs::read_to_string(sites[0].path("known_hosts")).expect("just written"));
        let furnish = |mut site: Site| {
            let machine = Machine::new(MACHINES.fetch_add(1, Ordering::SeqCst));
            site.url = format!("http://{}:{PORT}", machine.listens());
            site.put("policies/manual.yaml", MANUAL);
            if let Some(known) = &known {
                site.put("known_hosts", known);
                site.put("ceph/keyring", "[client.pitlane]\n");
            }
            let listen = site.listen().to_owned();
            let lease = LEASE.as_secs();
            let text = format!(
                "name: {name}\nmode: approve\nkill_file: stop\nself: {{outside: true}}\nhttp: {{listen: \"{listen}\", tokens_file: \
                 tokens.yaml}}\n{reached}{QUICK}{ceph}{hand}store: {{postgres: {{url: \"{url}\", lease: {lease}s}}}}\n"
            );
            site.put("pitlane.yaml", &text);
            let instance = Instance { site, machine, now: Mutex::new(Now::default()) };
            instance.start();
            instance
        };
        let instances = sites.into_iter().map(furnish).collect();
        Self {
            name,
            instances,
            far: AtomicU8::new(0),
            leader: AtomicU32::new(0),
            finished: AtomicBool::new(false),
            _hands: hands,
        }
    }

    pub fn world(&self) -> &Arc<Mutex<World>> {
        &self.instances[0].site.world
    }

    /// Processes of those that could lead.
    pub fn fit(&self) -> BTreeSet<u32> {
        self.instances.iter().filter_map(Instance::fit).collect()
    }

    pub fn leads(&self, pid: Option<u32>) {
        self.leader.store(pid.unwrap_or_default(), Ordering::SeqCst);
    }

    /// One to whom something can be done now: the leader, or one of the others. It is left alone by everything else until
    /// [`Instance::is_well`].
    pub fn pick(&self, leader: bool, dice: &mut StdRng) -> Option<usize> {
        let leads = self.leader.load(Ordering::SeqCst);
        if leads == 0 {
            return None;
        }
        let meant = |instance: &Instance| {
            let now = instance.now.lock().expect("whole");
            let pid = now.child.as_ref().and_then(Child::id);
            !now.troubled && pid.is_some_and(|pid| (pid == leads) == leader)
        };
        let meant: Vec<usize> = (0..self.instances.len()).filter(|n| meant(&self.instances[*n])).collect();
        let picked = *meant.get(dice.random_range(0..meant.len().max(1)))?;
        self.instances[picked].now.lock().expect("whole").troubled = true;
        Some(picked)
    }

    pub fn far(&self) -> u8 {
        self.far.load(Ordering::SeqCst)
    }

    pub fn finish(&self) {
        self.finished.store(true, Ordering::SeqCst);
    }

    pub fn is_finished(&self) -> bool {
        self.finished.load(Ordering::SeqCst)
    }

    /// Asks for the drain; opens the machine and closes it when that is safe; says done; sees it closed. All of whoever answers.
    pub async fn there_and_back(&self) {
        let drain = json!({"ask": "drain", "node": "pve1", "reason": "dust", "yes": true});
        self.until(async |site| {
            site.ask("alice", &drain, "drain").await?;
            site.get("/api/v1/cases/1").await.map(drop)
        })
        .await;
        let opened = AtomicBool::new(false);
        self.until(async |site| {
            let view = self.view(site).await?;
            if view["safe_to_power_off"]["Ok"].is_null() || opened.swap(true, Ordering::SeqCst) {
                return None;
            }
            let mut world = self.world().lock().expect("unhurt");
            // It panics with somebody aboard.
            world.technician_opens(&NodeName::from("pve1"));
            world.advance_secs(30);
            world.technician_closes(&NodeName::from("pve1"));
            Some(())
        })
        .await;
        let done = json!({"ask": "done", "case": 1, "note": "cleaned", "hands_off": false});
        self.until(async |site| {
            let receipt = site.ask("tom", &done, "done").await?;
            let reply = site.get(&format!("/api/v1/requests/{}", receipt["request"].as_str()?)).await?;
            (reply["reply"]["reply"] == "accepted").then_some(())
        })
        .await;
        self.until(async |site| (self.view(site).await?["case"]["phase"]["phase"] == "closed").then_some(()))
            .await;
    }

    /// Asks all that could answer, again and again until one has said so.
    async fn until(&self, said: impl AsyncFn(&Site) -> Option<()>) {
        loop {
            for instance in self.instances.iter().filter(|instance| instance.fit().is_some()) {
                let answer = tokio::time::timeout(ANSWER_MAX, said(&instance.site)).await;
                assert_eq!(self.instances[0].site.door.violation(), None);
                if answer == Ok(Some(())) {
                    return;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn view(&self, site: &Site) -> Option<Value> {
        let view = site.get("/api/v1/cases/1").await?;
        let far = match view["case"]["phase"]["phase"].as_str()? {
            "draining" => DRAINING,
            "handed-over" => HANDED_OVER,
            "giving-back" | "proving" => GIVING_BACK,
            "closed" => CLOSED,
            _ => 0,
        };
        self.far.fetch_max(far, Ordering::SeqCst);
        Some(view)
    }

    /// Nothing owed, one case and one work order, and a whole journal.
    pub async fn wrong_in_store(&self) -> Vec<String> {
        let site = &self.instances[0].site;
        let mut wrong = Vec::new();
        for (words, wanted) in [
            (&["--json", "owed", "--offline"][..], &["[]"][..]),
            (&["store", "verify"], &[" 1 cases", " 1 work orders"]),
            (&["audit", "verify"], &["whole"]),
        ] {
            let said = site.said("bob", words).await;
            if said.code != 0 || !wanted.iter().all(|want| said.out.contains(want)) {
                wrong.push(format!("{words:?}: {said:?}"));
            }
        }
        wrong
    }

    /// For a person who looks for the reason.
    pub async fn last_words(&self) -> String {
        let mut text = String::new();
        for (n, instance) in self.instances.iter().enumerate() {
            let fit = instance.fit();
            let view = tokio::time::timeout(ANSWER_MAX, instance.site.get("/api/v1/cases/1")).await;
            let view = view.ok().flatten().map(|view| view["case"].to_string());
            text +=
                &format!("--- instance {n}, fit: {fit:?}, case: {view:?}\n{}\n", instance.site.log_tail());
        }
        text
    }
}
