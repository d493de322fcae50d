//! The room is hot: every node says so at once. No node is broken and moving guests makes no cold, so nobody drains, and a
//! person is called.

use std::time::Duration;

use pitlane::sim::World;

use super::pager::Pager;
use super::{Chain, aboard};
use crate::site::SOON;

const NODES: [&str; 3] = ["pve1", "pve2", "pve3"];

fn world() -> World {
    World::builder(3)
        .at(pitlane::model::time::Time::now())
        .vm(101, "pve1")
        .vm(201, "pve2")
        .vm(301, "pve3")
        .build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hot_room_calls_a_person_and_drains_nobody() {
    let pager = Pager::listen().await;
    let channel = format!(
        "ceph: {{setup: none}}\nnotify: {{channels: {{oncall: {{webhook: \"{}\"}}}}, page: [oncall]}}\n",
        pager.url
    );
    let chain = Chain::open(world(), &[], |_, _| channel.clone()).await;
    for node in NODES {
        chain.does("temp", &[node, "inlet", "45"]);
    }
    let told = async || pager.told();
    let all = |told: &Vec<String>| !told.is_empty();
    chain.site.until("somebody is called", SOON, told, all).await;
    // And the processors get hot with it: three nodes of one class at once are a room, not three broken nodes.
    for node in NODES {
        chain.does("temp", &[node, "cpu1", "97"]);
    }
    let nobody = async || {
        for (node, guests) in NODES.into_iter().zip([1, 1, 1]) {
            assert_eq!(aboard(&chain.site, node), guests, "nobody leaves {node}");
        }
        let phases = chain.phases().await;
        let begun = |phase: &String| ["draining", "handed-over"].contains(&phase.as_str());
        assert!(!phases.iter().any(begun), "{phases:?}");
    };
    chain.for_a_while(Duration::from_secs(20), nobody).await;
    // Cooled down: what was opened, if anything, is a false alarm now.
    for node in NODES {
        chain.does("temp", &[node, "inlet", "23"]);
        chain.does("temp", &[node, "cpu1", "48"]);
    }
    let open = async || chain.phases().await;
    let closed = |phases: &Vec<String>| phases.iter().all(|phase| phase == "closed");
    chain.site.until("no case is open", SOON * 2, open, closed).await;
    // Once a spell, not once a turn.
    let told = pager.told();
    assert!(told.len() <= NODES.len() * 2, "{told:?}");
    assert_eq!(chain.site.work_orders(), []);
    chain.at_rest().await;
}
