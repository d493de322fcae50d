//! Everything breaks at once, and pitlane only watches: each real alert is what the shipped policy of its class calls it, by
//! node and part; and when all is mended, nothing fires.

use std::collections::BTreeSet;

use pitlane::sim::World;
use serde_json::Value;

use super::Chain;
use crate::site::SOON;

/// How it breaks, how it is mended, and what is seen of it: node, policy, part.
type Row =
    (&'static [&'static str], &'static [&'static str], &'static [(&'static str, &'static str, &'static str)]);

const CLASSES: [Row; 11] = [
    (
        &["fan", "pve1", "3", "0", "--host"],
        &["fan", "pve1", "3", "8000"],
        &[("pve1", "fan", "FAN3"), ("pve1", "fan", "fan3")],
    ),
    (
        &["temp", "pve2", "cpu1", "97"],
        &["temp", "pve2", "cpu1", "48"],
        &[("pve2", "temperature", "CPU1 Temp")],
    ),
    (&["temp", "pve2", "inlet", "45"], &["temp", "pve2", "inlet", "23"], &[("pve2", "room", "Inlet Temp")]),
    (&["psu", "pve3", "1", "input-lost"], &["psu", "pve3", "1", "ok"], &[("pve3", "psu", "PS1 Status")]),
    (&["ecc", "pve1", "ue"], &["ecc", "pve1", "ok"], &[("pve1", "ecc", "Mem ECC"), ("pve1", "ecc", "0")]),
    (&["drive", "pve3", "1", "predictive"], &["drive", "pve3", "1", "ok"], &[("pve3", "disk", "Drive 1")]),
    (
        &["smart", "pve2", "/dev/sdb", "fail"],
        &["smart", "pve2", "/dev/sdb", "ok"],
        &[("pve2", "disk", "sdb")],
    ),
    (&["raid", "pve1", "degraded"], &["raid", "pve1", "ok"], &[("pve1", "disk", "md0")]),
    (&["nic", "pve2", "eno2", "down"], &["nic", "pve2", "eno2", "up"], &[("pve2", "nic", "bond0")]),
    // The rate is over a minute, so it comes last: a minute after the last error it is quiet.
    (&["ecc", "pve2", "ce", "--count", "40"], &["ecc", "pve2", "ok"], &[("pve2", "ecc-correctable", "0")]),
    (&["host", "pve3", "stop"], &["host", "pve3", "start"], &[("pve3", "node-down", "")]),
];
/// Of a node of its own: a BMC that is silent takes all that it said back.
const SILENT: Row = (&["bmc", "pve4", "hang"], &["bmc", "pve4", "ok"], &[("pve4", "bmc", "")]);

fn world() -> World {
    let now = pitlane::model::time::Time::now();
    World::builder(4).at(now).vm(101, "pve1").vm(201, "pve2").vm(301, "pve3").vm(401, "pve4").build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_class_is_called_by_its_name() {
    let nodes = &["--nodes", "pve1", "pve2", "pve3", "pve4"];
    let chain = Chain::open_in("observe", world(), nodes, |_, _| "ceph: {setup: none}\n".to_owned()).await;
    let rows: Vec<Row> = CLASSES.into_iter().chain([SILENT]).collect();
    for (breaks, _, _) in &rows {
        chain.does(breaks[0], &breaks[1..]);
    }
    let all: BTreeSet<String> =
        rows.iter().flat_map(|row| row.2).map(|(n, p, c)| format!("{p} {c} of {n}")).collect();
    let seen = async || firing(&chain).await;
    chain.site.until("all of them fire, and nothing else", SOON * 2, seen, |seen| *seen == all).await;
    let status = chain.site.get("/api/v1/status").await.expect("an answer");
    assert_eq!(status["unplaced"], serde_json::json!([]), "{status}");

    for (_, mends, _) in &rows {
        chain.does(mends[0], &mends[1..]);
    }
    chain.site.until("nothing fires", SOON * 3, seen, BTreeSet::is_empty).await;
    // It watched, and no more.
    assert_eq!(chain.site.work_orders(), []);
    chain.at_rest().await;
}

/// Faults that fire: policy, part, node.
async fn firing(chain: &Chain) -> BTreeSet<String> {
    let status = chain.site.get("/api/v1/status").await.unwrap_or_default();
    let faults = status["faults"].as_array().cloned().unwrap_or_default();
    let fires = |fault: &&Value| {
        fault["episodes"].as_array().is_some_and(|all| all.iter().any(|episode| episode["ends_at"].is_null()))
    };
    let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let name = |f: &Value| {
        format!("{} {} of {}", word(&f["policy"]), word(&f["key"]["component"]), word(&f["key"]["node"]))
    };
    faults.iter().filter(fires).map(name).collect()
}
