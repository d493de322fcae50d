//! A power supply that is pulled out raises no alarm and reads as good: the list of parts is what misses it.

use pitlane::sim::World;

use super::Chain;
use crate::lab::Lab;
use crate::site::{SOON, Site};

const NODES: [&str; 3] = ["pve1", "pve2", "pve3"];

fn world() -> World {
    World::builder(3)
        .at(pitlane::model::time::Time::now())
        .vm(101, "pve1")
        .vm(201, "pve2")
        .vm(301, "pve3")
        .build()
}

/// The boards of the lab, asked by ourselves, too.
fn boards(site: &Site, lab: &Lab) -> String {
    site.put("bmc-password", &lab.fact("password"));
    let board = |node: &str| {
        let address = lab.facts["bmc"][node].as_str().expect("an address");
        let user = lab.fact("user");
        format!(
            "    {node}: {{ipmi: \"{address}\", user: {user}, password_file: bmc-password, workarounds: [opensesspriv]}}\n"
        )
    };
    format!("ceph: {{setup: none}}\nbmc:\n  nodes:\n{}", NODES.map(board).concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_supply_that_was_pulled_out_is_not_repaired() {
    let chain = Chain::open(world(), &[], boards).await;
    chain.does("psu", &["pve1", "1", "failed"]);
    let case = chain.case_of("pve1").await;
    chain.site.phase(case, "handed-over", SOON * 2).await;

    // Out of its bay: the alarm is over, and every sensor is content.
    chain.does("psu", &["pve1", "1", "absent"]);
    let firing = async || chain.firing("psu").await;
    chain.site.until("the alarm is resolved", SOON, firing, |alerts| *alerts == Some(0)).await;
    chain.done(case, "took it out").await;
    let waits = chain.waits_long(case, "power supply", SOON * 3).await;
    assert_eq!(waits["phase"]["phase"], "proving", "{waits}");
    assert!(waits["wait"].to_string().contains("inventory"), "the alarm and the sensor are content: {waits}");

    // Another one goes in; it has another serial number, and the story says so.
    chain.does("psu", &["pve1", "1", "ok", "--serial", "NEW-PS-77"]);
    chain.site.phase(case, "closed", SOON * 4).await;
    let story = chain.site.story(case).await;
    assert!(story.contains("NEW-PS-77"), "{story}");
    chain.at_rest().await;
}
