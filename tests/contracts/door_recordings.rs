//! Door two against the recordings of the real cluster: the same members, of the same types, the same errors in the same
//! words. What differs is listed here with its reason; a difference that has gone must leave the list.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::door_shape::{Classify, Shape};
use crate::door_world::{Lab, Recording, recorded_world, recordings};

/// Differences between door two and the recordings, and why they are none of a client's business.
const ARGUED: &[(&str, &str)] = &[
    ("/cluster/resources missing data[lxc stopped].tags", TAGS),
    ("/nodes/{node}/lxc missing data[stopped].tags", TAGS),
    ("/nodes/{node}/lxc/{vmid}/status/current missing data.tags", TAGS),
    ("/nodes/{node}/qemu missing data[running].tags", TAGS),
    (
        "/nodes/{node}/ceph/status missing data.pgmap.unknown_pgs_ratio",
        "recorded a minute after Ceph was made",
    ),
    ("/nodes/{node}/disks/list data[].osdid-list: array, seen as {\"null\"}", DISKS),
    ("/nodes/{node}/disks/list data[].wearout: number, seen as {\"string\"}", DISKS),
    ("/storage missing data[].path", "directories have a path; most of the world's storages are RBD and LVM"),
    ("/storage extra data[].server", "the lab had no backup server; Proxmox's configuration names it so"),
];
const DISKS: &str =
    "recorded of a virtual disk without an OSD, which wears not; the world's disks are SSDs with OSDs";
const TAGS: &str = "the world's guests have no tags";

/// Paths with names in them, as one call.
fn template(path: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if parts.first() == Some(&"nodes") && parts.len() > 1 {
        parts[1] = "{node}";
        if matches!(parts.get(2), Some(&"qemu" | &"lxc")) && parts.len() > 3 {
            parts[3] = "{vmid}";
        }
        if parts.get(2) == Some(&"storage") && parts.len() > 3 {
            parts[3] = "{storage}";
        }
        if parts.get(2) == Some(&"tasks") && parts.len() > 3 {
            parts[3] = "{upid}";
        }
    }
    if parts.starts_with(&["cluster", "ha", "resources"]) && parts.len() > 3 {
        parts[3] = "{sid}";
    }
    if parts.starts_with(&["cluster", "ceph", "flags"]) && parts.len() > 3 {
        parts[3] = "{flag}";
    }
    format!("/{}", parts.join("/"))
}

/// Rows of one call that are of different kinds.
fn classes(call: &str) -> Classify {
    fn text<'a>(row: &'a Value, key: &str) -> &'a str {
        row[key].as_str().unwrap_or_default()
    }
    match call {
        "/cluster/resources" => |row| format!("{} {}", text(row, "type"), text(row, "status")),
        "/cluster/status" | "/cluster/ha/status/current" => |row| text(row, "type").to_owned(),
        "/nodes" | "/nodes/{node}/qemu" | "/nodes/{node}/lxc" => |row| text(row, "status").to_owned(),
        "/cluster/tasks" | "/nodes/{node}/tasks" => |row| {
            let runs = if row["status"] == "RUNNING" { "running" } else { "ended" };
            let by = if text(row, "upid").contains('!') { "token" } else { "user" };
            format!("{runs} by {by}")
        },
        _ => |row| match row["type"].as_str() {
            // The OSD tree: roots, hosts and OSDs are rows of one list.
            Some(kind @ ("root" | "host" | "osd")) => kind.to_owned(),
            _ => String::new(),
        },
    }
}

/// Answers of one call that differ as a whole: a running guest has members that a stopped one has not.
fn variant(call: &str, data: &Value) -> String {
    let word = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
    match call {
        "/nodes/{node}/qemu/{vmid}/status/current" | "/nodes/{node}/lxc/{vmid}/status/current" => {
            word("status")
        }
        "/nodes/{node}/tasks/{upid}/status" => {
            let by = if word("upid").contains('!') { "token" } else { "user" };
            format!("{} {by}", word("status"))
        }
        "/nodes/{node}/ceph/cmd-safety" => data["safe"].to_string(),
        // Without HA the file is all but empty.
        "/cluster/ha/status/manager_status" => data["lrm_status"].is_object().to_string(),
        _ => String::new(),
    }
}

/// What is compared: a guest's configuration has the keys that its owner wrote, and paths of privileges are free, too.
fn comparable(call: &str, data: &Value) -> Value {
    const EVERY_GUEST: [&str; 7] = ["digest", "memory", "ostype", "scsihw", "boot", "smbios1", "name"];
    match (call, data) {
        (call, Value::Object(map)) if call.ends_with("/config") => {
            let kept = map.iter().filter(|(key, _)| EVERY_GUEST.contains(&key.as_str()));
            kept.map(|(key, value)| (key.clone(), value.clone())).collect()
        }
        ("/access/permissions", Value::Object(map)) => {
            let flags = |value: &Value| value.as_object().map(|map| map.values().cloned().collect());
            map.values().map(|value| flags(value).unwrap_or(Value::Null)).collect()
        }
        _ => data.clone(),
    }
}

type Shapes = BTreeMap<(String, String), Shape>;

/// What the real cluster said to tokens that may see everything.
fn learned() -> Shapes {
    let mut shapes = Shapes::new();
    for recording in recordings() {
        let narrow = recording.file.starts_with("limited-") || recording.file.starts_with("privsep-");
        if recording.method != "GET" || recording.status != 200 || narrow {
            continue;
        }
        let call = template(&recording.path);
        let data = comparable(&call, &recording.body["data"]);
        let shape = shapes.entry((call.clone(), variant(&call, &data))).or_default();
        shape.learn(&data, classes(&call));
    }
    shapes
}

/// The same question for the simulated cluster: guests and tasks are where they are there.
fn translated(lab: &Lab, recording: &Recording) -> String {
    let world = lab.world.lock().expect("the world lives");
    let mut parts: Vec<String> = recording.path.split('/').map(str::to_owned).collect();
    if parts.get(1).is_some_and(|part| part == "nodes") && parts.len() > 4 {
        if matches!(parts[3].as_str(), "qemu" | "lxc")
            && let Some(guest) =
                parts[4].parse().ok().and_then(|id| world.guests.get(&pitlane::model::ids::GuestId(id)))
        {
            parts[2] = guest.node.to_string();
        }
        if parts[3] == "tasks" {
            let by_token = parts[4].contains('!');
            let running = recording.body["data"]["status"] == "running";
            let found = world
                .tasks
                .iter()
                .find(|task| task.runs() == running && task.upid.as_str().contains('!') == by_token);
            let task = found.expect("the world has tasks of all kinds");
            (parts[2], parts[4]) = (task.node.to_string(), task.upid.to_string());
        }
    }
    let query: Vec<String> = match &recording.query {
        Value::Object(map) => {
            let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            map.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect()
        }
        _ => Vec::new(),
    };
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}{mark}{}", parts.join("/"), query.join("&"))
}

/// Tasks of both kinds of owner, running and ended, and HA in use.
async fn with_tasks() -> Lab {
    let lab = Lab::still(recorded_world()).await;
    {
        let mut world = lab.world.lock().expect("the world lives");
        world.human_backs_up(pitlane::model::ids::GuestId(106), 5);
        world.human_backs_up(pitlane::model::ids::GuestId(107), 900);
    }
    for (at, guest, target, pause) in [("pve2", 100, "pve1", 60), ("pve3", 109, "pve2", 1)] {
        let path = format!("/nodes/{at}/qemu/{guest}/migrate");
        let token = pitlane::sim::http::Token::pitlane(crate::door_world::SECRET);
        let said = lab.ask("POST", "pve3", &path, &[("target", target), ("online", "1")], Some(&token)).await;
        assert_eq!(said.status, 200, "{said:?}");
        lab.door.advance(pause).expect("the world lives");
    }
    lab
}

#[tokio::test]
async fn every_recorded_answer_has_its_like() {
    let lab = with_tasks().await;
    let shapes = learned();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut compared = BTreeSet::new();
    for recording in
        recordings().iter().filter(|recording| recording.method == "GET" && recording.status == 200)
    {
        let call = template(&recording.path);
        let path = translated(&lab, recording);
        let said = lab.get("pve1", &path).await;
        if said.status == 501 {
            continue; // Not served; `door_schema.rs` holds the list of what is.
        }
        let data = &comparable(&call, &said.body["data"]);
        if said.status != 200 {
            found
                .entry(format!("{call} answers {} {}", said.status, said.reason))
                .or_default()
                .insert(recording.file.clone());
            continue;
        }
        compared.insert(call.clone());
        let Some(shape) = shapes.get(&(call.clone(), variant(&call, data))) else { continue };
        for difference in shape.differences(data, classes(&call)) {
            found.entry(format!("{call} {difference}")).or_default().insert(recording.file.clone());
        }
    }
    assert!(compared.len() >= 30, "only {} calls were compared: {compared:?}", compared.len());
    let argued: BTreeSet<String> = ARGUED.iter().map(|(what, _)| (*what).to_owned()).collect();
    let news: Vec<_> = found.iter().filter(|(what, _)| !argued.contains(*what)).collect();
    let gone: Vec<_> = argued.iter().filter(|what| !found.contains_key(*what)).collect();
    let lines = |list: &[(&String, &BTreeSet<String>)]| {
        list.iter()
            .map(|(what, files)| format!("{what}  ({})\n", files.first().map_or("", |file| file)))
            .collect::<String>()
    };
    assert!(news.is_empty() && gone.is_empty(), "not argued:\n{}argued and gone: {gone:#?}", lines(&news));
}

/// Errors that belong to a state of the cluster, or to calls that door two does not serve.
const OTHER_STATES: &[(&str, &str)] = &[
    ("ceph-", "Ceph's monitors are down: `door_manners.rs`"),
    ("noquorum-", "the member is cut off: `door_manners.rs`"),
    ("error-595-", "a machine or a daemon is down: `door_manners.rs`"),
    ("error-dead-node-", "a machine is down: `door_manners.rs`"),
    ("error-596-", "a frozen daemon is not simulated"),
    ("error-401-", "without a token: `door_manners.rs`"),
    ("get-cluster-ceph-status-notinstalled", "without Ceph: `door_manners.rs`"),
    ("error-bulk-", "bulk calls are not served, and pitlane never makes them"),
    ("minimal-node-migrateall", "bulk calls are not served"),
    ("get-qemu-agent-", "guest agents are not served"),
    ("ha-resource-", "HA resources are only read"),
    ("post-ceph-restart-bulk", "bulk calls are not served"),
];

#[tokio::test]
async fn every_recorded_error_is_said_in_the_same_words() {
    let lab = Lab::still(recorded_world()).await;
    let mut replayed = 0;
    for recording in recordings().into_iter().filter(|recording| recording.status >= 400) {
        if OTHER_STATES.iter().any(|(file, _)| recording.file.starts_with(file)) {
            continue;
        }
        let said = lab.replay(&recording).await;
        let file = &recording.file;
        assert_eq!((said.status, &said.reason), (recording.status, &recording.reason), "{file}");
        assert_eq!(said.body, recording.body, "{file}");
        assert_eq!(
            (said.connection.as_str(), said.server.as_str()),
            ("close", "pve-api-daemon/3.0"),
            "{file}"
        );
        replayed += 1;
    }
    assert!(replayed >= 28, "only {replayed} errors were replayed");
    assert_eq!(lab.door.violation(), None);
}
