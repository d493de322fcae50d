//! The whole loop on real input: a BMC's fan, FreeIPMI's exporter, Prometheus, Alertmanager; the program; Ceph's own
//! daemons; a real sshd with the root helper. Only Proxmox itself is simulated, behind its HTTP API.

use std::path::Path;

use pitlane::model::ids::NodeName;
use pitlane::sim::World;
use pitlane::sim::world::{Actor, Run};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::ceph_real::admin;
use crate::chain::{alarms, must};
use crate::hands::Hands;
use crate::lab::Lab;
use crate::site::{QUICK, SOON, Site};

/// The shipped policy with spans for a test. The simulated clocks run fast, so they are no part of the proof.
const FAN: &str = r#"policy: fan
match: ['alarm_class="fan"', 'severity=~"warning|critical"']
component_labels: [component, name, sensor, fan]
confirm: {steady_for: 5s, or_episodes: 3, within: 15s, clears_after: 60s}
respond: {action: drain, mode: approve, time_box: 4h, containers: ask}
work_order:
  title: "{{ node }}: {{ component }} failing intermittently"
  checklist: [clean the fan and its duct, spin test for five minutes]
sensor:
  promql: 'ipmi_fan_speed_state{node="{{ node }}", name="{{ component }}"} == bool 0'
prove: {soak: 15s, checks: [alerts_clear, sensors_ok, node_services, osds_up, pgs_clean]}
"#;

fn pve1() -> NodeName {
    NodeName::from("pve1")
}

/// Three members, a dozen guests.
fn world() -> World {
    let stopped = |guest: &mut pitlane::sim::world::Guest| guest.run = Run::Stopped;
    World::builder(3)
        .at(pitlane::model::time::Time::now())
        .vm(101, "pve1")
        .vm(102, "pve1")
        .vm(103, "pve1")
        .vm(104, "pve1")
        .ct(105, "pve1")
        .guest(106, "pve1", stopped)
        .vm(201, "pve2")
        .vm(202, "pve2")
        .ct(203, "pve2")
        .vm(301, "pve3")
        .vm(302, "pve3")
        .guest(303, "pve3", stopped)
        .ha(&[103, 104, 202, 302])
        .ceph(2)
        .build()
}

async fn up(kind: &'static str, args: Vec<String>) -> Lab {
    let lab = spawn_blocking(move || Lab::up(kind, &args.iter().map(String::as_str).collect::<Vec<_>>()));
    lab.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

fn marks(ceph: &Lab) -> Value {
    admin(ceph, &["osd", "dump"])["crush_node_flags"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn from_a_fan_to_a_node_that_is_home_again() {
    let mut site = Site::open(world(), 3.0).await;
    let prefix = ["--host-prefix", "pve"].map(str::to_owned);
    let (ceph, alarms) = tokio::join!(up("ceph-lab", prefix.into()), alarms(&site, &[]));
    let real_ceph = Path::new(&ceph.fact("bin")).join("ceph");
    let hands = Hands::up(&site, &["pve2", "pve3"], Some(&real_ceph));
    site.put("policies/fan.yaml", FAN);
    site.configure(&format!(
        "mode: approve\n{QUICK}{}prometheus: {{url: \"{}\"}}\nceph: {{client: {{program: /usr/bin/ceph, conf: {}, \
         keyring: {}}}}}\n",
        hands.yaml(),
        alarms.fact("prometheus"),
        ceph.fact("conf"),
        ceph.fact("keyring")
    ));
    site.start().await;
    assert_eq!(marks(&ceph), json!({}), "a fresh Ceph");

    must(&alarms, "fan", &["pve1", "3", "0"]);
    let case = async || site.get("/api/v1/cases/1").await;
    let shown = |view: &Option<Value>| view.as_ref().is_some_and(|v| v["case"]["phase"]["shown"].is_string());
    let view = site.until("a plan is shown", SOON, case, shown).await.expect("just seen");
    assert!(site.strays().is_empty(), "nobody leaves before somebody agrees");
    let hash = view["case"]["phase"]["shown"].as_str().expect("a hash").to_owned();
    let said = site.said("alice", &["approve", "1", "--plan", &hash]).await;
    assert_eq!(said.code, 0, "{said:?}\n{}", site.log_tail());

    let safe = |view: &Option<Value>| {
        view.as_ref().is_some_and(|v| {
            !v["safe_to_power_off"]["Ok"].is_null() && v["case"]["owed"]["work_order"].is_object()
        })
    };
    site.until("the node may be switched off", SOON * 2, case, safe).await;
    out_of_service(&site, &ceph).await;
    repaired(&site, &ceph, &alarms).await;

    let said = site.said("tom", &["done", "1", "--note", "new fan", "--wait", "--timeout", "5m"]).await;
    assert_eq!(said.code, 0, "{said:?}\n{}", site.log_tail());
    back_in_service(&site, &ceph).await;
}

/// What was taken is held by the real Ceph and by HA, and the node is empty.
async fn out_of_service(site: &Site, ceph: &Lab) {
    assert_eq!(marks(ceph), json!({"pve1": ["noout"]}), "one host's, not the cluster's");
    let flags = admin(ceph, &["osd", "dump"])["flags_set"].to_string();
    assert!(!flags.contains("noout"), "{flags}");
    let active = admin(ceph, &["mgr", "dump"])["active_name"].clone();
    assert_ne!(active, "pve1", "the manager is not where the technician works");
    let world = site.world.lock().expect("unhurt");
    assert_eq!(world.ha.maintenance_by.get(&pve1()).map(|(by, _)| *by), Some(Actor::Pitlane));
    let aboard: Vec<_> =
        world.guests.iter().filter(|(_, g)| g.node == pve1() && g.run != Run::Stopped).collect();
    assert!(aboard.is_empty(), "{aboard:?}");
    drop(world);
    assert_eq!(site.work_orders(), [(1, "open".to_owned())]);
}

/// The technician opens the machine: its OSDs and monitor die with it. Then a new fan, and power.
async fn repaired(site: &Site, ceph: &Lab, alarms: &Lab) {
    // It panics with a guest aboard.
    site.world.lock().expect("unhurt").technician_opens(&pve1());
    must(ceph, "kill-host", &["1"]);
    must(alarms, "fan", &["pve1", "3", "8000"]);
    let off = async || site.get("/api/v1/cases/1").await.map(|v| v["safe_to_power_off"].clone());
    let down = async || {
        let osds = admin(ceph, &["osd", "dump"])["osds"].as_array().cloned().unwrap_or_default();
        osds.iter().filter(|osd| osd["up"] == 0 && osd["in"] == 1).count()
    };
    site.until("Ceph misses two OSDs and keeps them in", SOON, down, |osds| *osds == 2).await;
    site.until("the case is still told", SOON, off, Option::is_some).await;
    assert_eq!(marks(ceph), json!({"pve1": ["noout"]}), "held all the while");
    must(ceph, "start-host", &["1"]);
    site.world.lock().expect("unhurt").technician_closes(&pve1());
}

async fn back_in_service(site: &Site, ceph: &Lab) {
    let story = site.story(1).await;
    println!("{story}");
    assert_eq!(marks(ceph), json!({}), "given back\n{story}");
    assert_eq!(site.door.violation(), None);
    assert!(site.strays().is_empty(), "{:?}\n{story}", site.strays());
    let maintained = site.world.lock().expect("unhurt").ha.maintenance_by.clone();
    assert!(maintained.is_empty(), "{maintained:?}");
    assert_eq!(site.work_orders(), [(1, "closed".to_owned())]);
    let said = site.said("bob", &["--json", "owed"]).await;
    assert_eq!((said.code, said.out.trim()), (0, "[]"), "{said:?}");
    let said = site.said("bob", &["audit", "verify"]).await;
    assert!(said.code == 0 && said.out.contains("whole"), "{said:?}");
    let mut rest = story.as_str();
    for told in [
        "An alarm opens a case for pve1",
        "alice approves plan",
        "HA is asked to empty pve1",
        "Ceph is asked for noout on pve1",
        "pve1 is empty, seen twice",
        "Work order",
        "tom says that the work is done",
        "Proved: all checks stayed good for 15s",
        "noout on pve1 is gone",
        "HA maintenance of pve1 is over",
        "The work order is closed",
        "Nothing is owed",
    ] {
        let at = rest.find(told).unwrap_or_else(|| panic!("not told in its place: {told}\n{story}"));
        rest = &rest[at..];
    }
}
