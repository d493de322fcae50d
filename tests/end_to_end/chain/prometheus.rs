//! Prometheus dies, and with it every alert resolves: nothing is a false alarm, and nothing is proved, until somebody can
//! read the part again.

use pitlane::sim::World;
use serde_json::json;

use super::{CLEARS_AFTER, Chain, aboard};
use crate::site::SOON;

fn world() -> World {
    World::builder(3)
        .at(pitlane::model::time::Time::now())
        .vm(101, "pve1")
        .vm(201, "pve2")
        .vm(301, "pve3")
        .build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dead_prometheus_closes_nothing() {
    let chain = Chain::open(world(), &[], |_, _| "ceph: {setup: none}\n".to_owned()).await;
    chain.does("fan", &["pve1", "2", "0"]);
    let one = chain.case_of("pve1").await;
    chain.site.phase(one, "handed-over", SOON).await;
    // A second one, that has to wait for the first.
    chain.does("fan", &["pve3", "5", "0"]);
    let three = chain.case_of("pve3").await;
    chain.waits(three, "nodes-out").await;

    chain.does("prometheus", &["kill"]);
    let firing = async || chain.firing("fan").await;
    chain.site.until("every alert is resolved", SOON, firing, |alerts| *alerts == Some(0)).await;
    chain.done(one, "looks fine").await;
    let case = chain.waits(one, "sensors_ok").await;
    assert_eq!((&case["phase"]["phase"], &case["phase"]["good_since"]), (&json!("proving"), &json!(null)));
    // Quiet for longer than a false alarm needs, and still nobody closes anything.
    let nothing = async || assert_eq!(chain.phases().await, ["proving", "preparing"]);
    chain.for_a_while(CLEARS_AFTER * 2, nothing).await;
    assert_eq!(aboard(&chain.site, "pve1"), 0, "nobody came home");

    // It is back, and the fan still stands: the alarm fires again, and what was said to be done was not.
    chain.does("prometheus", &["start"]);
    let case = chain.waits(one, "the alarm fires").await;
    assert_eq!(case["phase"]["good_since"], json!(null), "{case}");
    chain.does("fan", &["pve1", "2", "8000"]);
    chain.site.phase(one, "closed", SOON * 2).await;
    chain.site.phase(three, "handed-over", SOON).await;
    chain.does("fan", &["pve3", "5", "8000"]);
    chain.done(three, "new fan").await;
    chain.site.phase(three, "closed", SOON * 2).await;
    chain.at_rest().await;
}
