//! Memory errors: one that could not be corrected empties the node; corrected ones count by their rate.

use std::time::Duration;

use pitlane::sim::World;

use super::{Chain, aboard};
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
async fn lost_data_drains_and_corrected_errors_count_by_their_rate() {
    let chain = Chain::open(world(), &[], |_, _| "ceph: {setup: none}\n".to_owned()).await;
    // A flipped bit now and then is normal: the rule does not fire, so there is nothing to wait for but time.
    chain.does("ecc", &["pve3", "ce", "--count", "2"]);
    chain.does("ecc", &["pve1", "ue"]);
    let one = chain.case_of("pve1").await;
    chain.site.phase(one, "handed-over", SOON).await;
    assert_eq!(aboard(&chain.site, "pve1"), 0);
    let alone =
        async || assert_eq!(chain.phases().await, ["handed-over"], "two corrected errors are nobody's case");
    chain.for_a_while(Duration::from_secs(4), alone).await;

    // Many within a minute are: believed, and it waits for the first.
    chain.does("ecc", &["pve3", "ce", "--count", "40"]);
    let three = chain.case_of("pve3").await;
    let waits = chain.waits(three, "nodes-out").await;
    assert_eq!(waits["policy"], "ecc-correctable", "{waits}");

    // Done is said, and the counter still stands: a machine that was not switched off has no new memory.
    chain.done(one, "reseated").await;
    let case = chain.waits(one, "the alarm fires").await;
    assert_eq!(case["phase"]["phase"], "proving", "{case}");
    chain.does("ecc", &["pve1", "ok"]);
    chain.site.phase(one, "closed", SOON * 2).await;
    assert_eq!(chain.site.door.violation(), None);
}
