//! Two nodes break at once: one is served, the other waits its turn, and comes.

use pitlane::sim::World;
use serde_json::Value;

use super::{Chain, aboard};
use crate::site::SOON;

fn world() -> World {
    World::builder(3)
        .at(pitlane::model::time::Time::now())
        .vm(101, "pve1")
        .ct(102, "pve1")
        .vm(201, "pve2")
        .vm(301, "pve3")
        .vm(302, "pve3")
        .build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_at_once_are_served_one_after_the_other() {
    let chain = Chain::open(world(), &[], |_, _| "ceph: {setup: none}\n".to_owned()).await;
    chain.does("fan", &["pve1", "3", "0"]);
    chain.does("fan", &["pve3", "1", "0"]);
    let (one, three) = (chain.case_of("pve1").await, chain.case_of("pve3").await);
    let first =
        chain.site.until("one of them drains", SOON, async || holder(&chain).await, Option::is_some).await;
    let first = first.expect("just seen");
    let (second, node, fan, other, other_fan) =
        if first == one { (three, "pve1", "3", "pve3", "1") } else { (one, "pve3", "1", "pve1", "3") };
    chain.site.phase(first, "handed-over", SOON).await;
    let waits = chain.waits(second, "nodes-out").await;
    assert_eq!(waits["phase"]["phase"], "preparing", "{waits}");
    assert!(waits["wait"].to_string().contains(node), "it says who is out: {waits}");
    assert_eq!(aboard(&chain.site, node), 0);
    assert!(aboard(&chain.site, other) >= 2, "nobody left the one that waits");

    // While the first is with the technician the second never begins.
    chain.does("fan", &[node, fan, "8000"]);
    chain.done(first, "new fan").await;
    let closed = async || {
        holder(&chain).await;
        chain.case(first).await
    };
    let so = |case: &Option<Value>| case.as_ref().is_some_and(|case| case["phase"]["phase"] == "closed");
    chain.site.until("the first is home again", SOON * 2, closed, so).await;

    chain.site.phase(second, "handed-over", SOON).await;
    assert_eq!(aboard(&chain.site, other), 0);
    chain.does("fan", &[other, other_fan, "8000"]);
    chain.done(second, "new fan").await;
    chain.site.phase(second, "closed", SOON * 2).await;
    let orders: Vec<String> = chain.site.work_orders().into_iter().map(|(_, state)| state).collect();
    assert_eq!(orders, ["closed", "closed"]);
    chain.at_rest().await;
}

/// The case that holds its node, if one does.
///
/// # Panics
/// When two do.
async fn holder(chain: &Chain) -> Option<u64> {
    let cases = chain.site.get("/api/v1/cases").await?;
    let holds = |case: &&Value| {
        ["draining", "handed-over", "proving", "giving-back"]
            .contains(&case["phase"].as_str().unwrap_or_default())
    };
    let holders: Vec<u64> =
        cases.as_array()?.iter().filter(holds).filter_map(|case| case["id"].as_u64()).collect();
    assert!(holders.len() <= 1, "two nodes are out: {cases}");
    holders.first().copied()
}
