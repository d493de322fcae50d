//! Disks: one that carries an OSD is changed while its node works on; a mirror that lost a member, and a disk without an
//! OSD, wait for a person, and drain nobody.

use pitlane::model::ids::{HostName, NodeName, OsdId};
use pitlane::sim::World;
use serde_json::Value;

use super::{Chain, aboard};
use crate::hands::simulated_ceph;
use crate::site::SOON;

fn world() -> World {
    World::builder(3)
        .at(pitlane::model::time::Time::now())
        .vm(101, "pve1")
        .vm(201, "pve2")
        .vm(202, "pve2")
        .vm(301, "pve3")
        .ceph(2)
        .build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_osds_disk_is_changed_in_place_and_a_mirror_waits_for_a_person() {
    // Ceph is asked as a member whose disks are whole.
    let chain = Chain::open(world(), &[], |site, _| simulated_ceph(site, "pve3")).await;
    let osd = osd_on(&chain, "pve2", "/dev/sdb");
    chain.does("smart", &["pve2", "/dev/sdb", "fail"]);
    let two = chain.case_of("pve2").await;
    let view = chain.site.phase(two, "handed-over", SOON).await;
    assert_eq!(aboard(&chain.site, "pve2"), 2, "nobody had to leave");
    assert!(held(&chain, "pve2") && !held(&chain, "pve1"), "one host's noout");
    assert!(view["safe_to_power_off"]["Ok"].is_null(), "its guests are aboard: {view}");
    let order = work_order(&chain, two).await;
    assert!(order.contains("/dev/sdb") && order.contains(&osd.to_string()), "{order}");

    // Meanwhile the mirror of another node loses a member. No OSD is on it, so there is nothing that pitlane may do.
    chain.does("raid", &["pve1", "degraded"]);
    let one = chain.case_of("pve1").await;
    let waits = chain.waits(one, "disk-unknown").await;
    assert_eq!(waits["phase"]["phase"], "preparing", "{waits}");
    chain.does("smart", &["pve3", "/dev/sda", "fail"]);
    let three = chain.case_of("pve3").await;
    let waits = chain.waits(three, "no-osd-on").await;
    assert_eq!(waits["phase"]["phase"], "preparing", "{waits}");

    // Out, at a moment when Ceph does not need it; the world panics at any other.
    let pull = async || {
        chain.site.get(&format!("/api/v1/cases/{two}")).await.map(|view| view["safe_to_pull"].clone())
    };
    let yes = |pull: &Option<Value>| pull.as_ref().is_some_and(|pull| !pull["Ok"].is_null());
    chain.site.until("the disk may be taken out", SOON, pull, yes).await;
    chain.site.world.lock().expect("unhurt").technician_pulls(osd);
    chain.does("smart", &["pve2", "/dev/sdb", "ok"]);
    chain.done(two, "new disk").await;
    chain.waits(two, "osds_up").await;
    assert!(held(&chain, "pve2"), "still held");
    // And in: the new one brings the OSD back.
    chain.site.world.lock().expect("unhurt").technician_inserts(&HostName::from("pve2"), osd, osd);
    chain.site.phase(two, "closed", SOON * 2).await;
    assert!(!held(&chain, "pve2"));
    assert!(chain.site.strays().is_empty(), "nobody was moved at all");

    // Quiet again, and still nobody can tell which disk it was: whoever mended it says so.
    chain.does("raid", &["pve1", "ok"]);
    chain.does("smart", &["pve3", "/dev/sda", "ok"]);
    let quiet = async || chain.firing("disk").await;
    chain.site.until("no disk fails", SOON, quiet, |alerts| *alerts == Some(0)).await;
    for case in [one, three] {
        let said =
            chain.site.said("alice", &["abort", &case.to_string(), "--reason", "the mirror is whole"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        chain.site.phase(case, "closed", SOON).await;
    }
    chain.at_rest().await;
}

fn osd_on(chain: &Chain, node: &str, path: &str) -> OsdId {
    let world = chain.site.world.lock().expect("unhurt");
    let mut parts = world.machines[&NodeName::from(node)].inside.parts.values();
    let disk = parts.find(|part| part.path.as_deref() == Some(path)).expect("such a disk");
    *disk.osds.first().expect("it carries an OSD")
}

fn held(chain: &Chain, node: &str) -> bool {
    let world = chain.site.world.lock().expect("unhurt");
    world.ceph.as_ref().expect("there is Ceph").host_noout.contains_key(&HostName::from(node))
}

/// What the technician reads.
async fn work_order(chain: &Chain, case: u64) -> String {
    let view: Value = chain.site.get(&format!("/api/v1/cases/{case}")).await.expect("an answer");
    view.to_string()
}
