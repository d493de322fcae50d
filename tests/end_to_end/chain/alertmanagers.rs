//! Alertmanager is killed between the fault and its repair, so that "resolved" never comes; and a pair with one member dead.
//! What it lists, asked again and again, is the level; and a member that cannot be asked may list anything.

use std::time::Duration;

use pitlane::sim::World;
use serde_json::json;

use super::Chain;
use crate::lab::Lab;
use crate::site::{SOON, Site};

/// Three absences, at least twenty seconds apart, and a poll every thirty.
const LEVEL_WITHIN: Duration = Duration::from_secs(180);
/// Longer than a whole level would need to end an episode.
const LONG_ENOUGH: Duration = Duration::from_secs(75);

fn world() -> World {
    World::builder(3)
        .at(pitlane::model::time::Time::now())
        .vm(101, "pve1")
        .vm(201, "pve2")
        .vm(301, "pve3")
        .build()
}

/// Asked at all of its members.
fn polled(_: &Site, lab: &Lab) -> String {
    format!("ceph: {{setup: none}}\nalertmanager: {{urls: {}}}\n", lab.fact("alertmanagers"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_resolved_that_never_comes_is_ended_by_the_level_of_all_members() {
    let chain = Chain::open(world(), &["--pair"], polled).await;
    chain.does("fan", &["pve1", "3", "0"]);
    let case = chain.case_of("pve1").await;
    chain.site.phase(case, "handed-over", SOON).await;
    // Both tell it, and both tell it again: one case, one work order.
    assert_eq!(chain.phases().await.len(), 1);
    assert_eq!(chain.site.work_orders(), [(1, "open".to_owned())]);

    for member in ["1", "2"] {
        chain.does("alertmanager", &["kill", member]);
    }
    chain.does("fan", &["pve1", "3", "8000"]);
    let turns = async || good_fan(&chain).await;
    chain.site.until("Prometheus sees the fan turn", SOON, turns, |good| *good).await;
    chain.done(case, "new fan").await;
    chain.does("alertmanager", &["start", "1"]);
    let firing = async || chain.firing("fan").await;
    chain.site.until("the first one lists nothing", SOON, firing, |alerts| *alerts == Some(0)).await;

    // Half of the pair is not asked, and what it might list is not known: the alarm fires until that is over.
    chain.waits(case, "the alarm fires").await;
    let open = async || {
        let seen = chain.case(case).await.expect("an answer");
        assert_eq!(
            (&seen["phase"]["phase"], &seen["phase"]["good_since"]),
            (&json!("proving"), &json!(null))
        );
    };
    chain.for_a_while(LONG_ENOUGH, open).await;
    chain.waits(case, "the alarm fires").await;

    chain.does("alertmanager", &["start", "2"]);
    chain.site.phase(case, "closed", LEVEL_WITHIN).await;
    assert_eq!(chain.site.work_orders(), [(1, "closed".to_owned())]);
    chain.at_rest().await;
}

/// As Prometheus reads it.
async fn good_fan(chain: &Chain) -> bool {
    let url = format!(
        "{}/api/v1/query?query=ipmi_fan_speed_state%7Bname%3D%22FAN3%22%2Cnode%3D%22pve1%22%7D",
        chain.fact("prometheus")
    );
    let Ok(said) = reqwest::Client::new().get(url).timeout(SOON).send().await else { return false };
    said.text().await.is_ok_and(|text| text.contains("\"0\"]"))
}
