//! A healthy cluster's answer to each of our reads: recording 01, three hosts with two OSDs each. The fuzzer includes this file,
//! so that both ask the same cluster.
//!
//! Two answers were recorded in another form than the one that we ask for, and are put into it: the manager map and the
//! list of all OSDs' metadata. Of metadata servers there is a recording of its own.

use std::collections::BTreeMap;

use serde_json::{Value, json};

const HEALTHY: &str = include_str!("../data/ceph/01-healthy.json");
const METADATA_SERVERS: &str = include_str!("../data/ceph/17-mds.json");

/// Command, without `ceph` in front, and what it prints.
pub fn answers() -> BTreeMap<&'static str, Value> {
    let read = |text: &str| -> Value { serde_json::from_str(text).expect("a recording") };
    let (healthy, servers) = (read(HEALTHY), read(METADATA_SERVERS));
    let find = |file: &Value, command: &str| {
        let calls = file["calls"].as_array().expect("a list of calls");
        let call = calls.iter().find(|call| call["command"] == command);
        call.unwrap_or_else(|| panic!("no {command}"))["stdout"].clone()
    };
    let one = find(&healthy, "ceph osd metadata 2");
    let hosts = find(&healthy, "ceph osd numa-status");
    let of = |osd: &Value| {
        let mut of_osd = one.clone();
        of_osd["id"] = osd["osd"].clone();
        of_osd["hostname"] = osd["host"].clone();
        of_osd
    };
    let metadata: Vec<Value> = hosts.as_array().expect("a list of OSDs").iter().map(of).collect();
    let recorded = ["status", "osd tree", "osd dump", "quorum_status", "osd crush rule dump"];
    let mut all: BTreeMap<_, _> =
        recorded.into_iter().map(|command| (command, find(&healthy, &format!("ceph {command}")))).collect();
    all.insert("mgr dump", mgr_dump("node1", &["node2"]));
    all.insert("osd metadata", json!(metadata));
    // One serves and one stands by.
    all.insert("fs dump", find(&servers, "ceph fs dump"));
    all
}

pub fn mgr_dump(active: &str, standbys: &[&str]) -> Value {
    let standbys: Vec<Value> = standbys.iter().map(|name| json!({"gid": 1, "name": name})).collect();
    json!({"epoch": 4, "available": !active.is_empty(), "active_name": active, "standbys": standbys})
}
