//! Every call of pitlane fits Proxmox's published schema: the path exists, every parameter is known, every required one is there,
//! and a token may make it.

use std::{collections::BTreeSet, fs, path::PathBuf};

use pitlane::adapters::pve::{
    Call,
    calls::{self, GuestAt, GuestKind, LxcMove, NodeCommand, QemuMove, TaskFilter},
};
use serde_json::Value;

/// A call without the type of its answer.
struct Plain {
    method: String,
    path: String,
    parameters: Vec<(&'static str, String)>,
}

fn plain<T>(call: Call<T>) -> Plain {
    Plain { method: call.method.to_string(), path: call.path, parameters: call.parameters }
}

/// All calls, with every optional parameter set. `only_9` holds those an 8.4 node is never sent.
fn all(only_9: bool) -> Vec<Plain> {
    let upid = "UPID:pve1:0000012B:00043B30:6B02228B:qmigrate:100:pitlane@pve!ctl:".parse().expect("a task");
    let qemu = GuestAt { node: "pve1", kind: GuestKind::Qemu, vmid: 100 };
    let lxc = GuestAt { node: "pve1", kind: GuestKind::Lxc, vmid: 200 };
    let conntrack = only_9.then_some(true);
    let qemu_move =
        QemuMove { target: "pve2", online: true, with_local_disks: true, bwlimit: Some(1), conntrack };
    let lxc_move = LxcMove { target: "pve2", restart: true, shutdown_secs_max: Some(60), bwlimit: Some(1) };
    let filter = TaskFilter {
        active_only: false,
        vmid: Some(100),
        kind: Some("qmigrate"),
        since_secs: Some(1),
        limit: Some(5),
    };
    let mut calls = vec![
        plain(calls::version()),
        plain(calls::cluster_status()),
        plain(calls::cluster_resources()),
        plain(calls::cluster_members()),
        plain(calls::qdevice()),
        plain(calls::cluster_options()),
        plain(calls::backup_jobs()),
        plain(calls::cluster_tasks()),
        plain(calls::storages()),
        plain(calls::backups("pve1", "pbs")),
        plain(calls::permissions()),
        plain(calls::ha_manager_status()),
        plain(calls::ha_current()),
        plain(calls::ha_resources()),
        plain(calls::ha_resource("vm:101")),
        plain(calls::ha_groups()),
        plain(calls::ceph_status()),
        plain(calls::ceph_flags()),
        plain(calls::ceph_flag("noout")),
        plain(calls::set_ceph_flag("noout", true)),
        plain(calls::osd_tree("pve1")),
        plain(calls::ok_to_stop("pve1", "osd", "0")),
        plain(calls::nodes()),
        plain(calls::node_status("pve1")),
        plain(calls::node_version("pve1")),
        plain(calls::node_time("pve1")),
        plain(calls::node_services("pve1")),
        plain(calls::node_storages("pve1")),
        plain(calls::replication_jobs("pve1")),
        plain(calls::node_power("pve1", NodeCommand::Shutdown)),
        plain(calls::node_power("pve1", NodeCommand::Reboot)),
        plain(calls::tasks("pve1", &filter)),
        plain(calls::tasks("pve1", &TaskFilter { active_only: true, ..filter })),
        plain(calls::task_status(&upid)),
        plain(calls::task_log(&upid, 0, 50)),
        plain(calls::cancel_task(&upid)),
        plain(calls::migrate_qemu("pve1", 100, &qemu_move)),
        plain(calls::migrate_lxc("pve1", 200, &lxc_move)),
        plain(calls::preconditions(qemu)),
    ];
    for at in [qemu, lxc] {
        calls.push(plain(calls::guests(at.node, at.kind)));
        calls.push(plain(calls::guest_config(at)));
        calls.push(plain(calls::guest_current(at)));
        calls.push(plain(calls::start(at)));
        calls.push(plain(calls::resume(at)));
        calls.push(plain(calls::shutdown(at, 60)));
    }
    if only_9 {
        calls.push(plain(calls::preconditions(lxc)));
        calls.push(plain(calls::ha_rules()));
    }
    calls
}

fn methods() -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/pve/schema.json");
    let mut schema: Value = serde_json::from_slice(&fs::read(path).expect("the schema")).expect("JSON");
    serde_json::from_value(schema["methods"].take()).expect("a list of methods")
}

/// The method of the schema that `call` is, and the names its path binds.
fn find<'a>(methods: &'a [Value], call: &Plain) -> Option<(&'a Value, BTreeSet<String>)> {
    let segments: Vec<&str> = call.path.split('/').collect();
    let matching = methods.iter().filter(|m| m["method"] == call.method.as_str()).filter_map(|method| {
        let template: Vec<&str> = method["path"].as_str()?.split('/').collect();
        let mut bound = BTreeSet::new();
        let fits = template.len() == segments.len()
            && template.iter().zip(&segments).all(|(part, segment)| {
                let name = part.strip_prefix('{').and_then(|p| p.strip_suffix('}'));
                name.map_or(part == segment, |name| bound.insert(name.to_owned()))
            });
        fits.then_some((method, bound))
    });
    // A literal path wins over one with a placeholder at the same place.
    matching.min_by_key(|(_, bound)| bound.len())
}

fn mistakes(methods: &[Value], call: &Plain) -> Vec<String> {
    let at = format!("{} {}", call.method, call.path);
    let Some((method, bound)) = find(methods, call) else { return vec![format!("{at}: no such call")] };
    let mut mistakes = Vec::new();
    if method["allowtoken"] == false {
        mistakes.push(format!("{at}: not for tokens"));
    }
    let known = method["params"].as_array().expect("params");
    for (name, value) in &call.parameters {
        match known.iter().find(|p| p["name"] == *name) {
            None => mistakes.push(format!("{at}: unknown parameter {name}")),
            Some(parameter) => {
                mistakes.extend(bad_value(parameter, value).map(|why| format!("{at}: {name} {why}")))
            }
        }
    }
    for parameter in known.iter().filter(|p| p["optional"] != true) {
        let name = parameter["name"].as_str().expect("a name");
        if !bound.contains(name) && !call.parameters.iter().any(|(given, _)| *given == name) {
            mistakes.push(format!("{at}: {name} is missing"));
        }
    }
    mistakes
}

fn bad_value(parameter: &Value, value: &str) -> Option<String> {
    let allowed = parameter["enum"].as_array();
    if allowed.is_some_and(|allowed| !allowed.iter().any(|word| word == value)) {
        return Some(format!("may not be {value:?}"));
    }
    let fits = match parameter["type"].as_str() {
        Some("integer") => value.parse::<i64>().is_ok(),
        Some("boolean") => matches!(value, "0" | "1"),
        _ => true,
    };
    (!fits).then(|| format!("cannot be {value:?}"))
}

#[test]
fn every_call_fits_the_schema() {
    let methods = methods();
    let mistakes: Vec<String> = all(true).iter().flat_map(|call| mistakes(&methods, call)).collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

/// A node of 8.4 refuses a whole call for one word it does not know.
#[test]
fn what_an_older_node_is_sent_existed_there() {
    let methods = methods();
    for call in all(false) {
        let (method, _) = find(&methods, &call).expect("checked above");
        let at = format!("{} {}", call.method, call.path);
        assert_ne!(method["v84"], "absent", "{at} is new in 9");
        let new: Vec<&str> = method["v84"]["params_only_9"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let sent: Vec<&str> =
            call.parameters.iter().map(|(name, _)| *name).filter(|name| new.contains(name)).collect();
        assert!(sent.is_empty(), "{at}: {sent:?} are new in 9");
    }
}

/// The check must be able to fail.
#[test]
fn wrong_calls_are_found() {
    let methods = methods();
    let call = |method: &str, path: &str, parameters: &[(&'static str, &str)]| {
        let parameters = parameters.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        mistakes(&methods, &Plain { method: method.to_owned(), path: path.to_owned(), parameters }).len()
    };
    assert_eq!(call("GET", "/cluster/nonsense", &[]), 1, "no such path");
    assert_eq!(call("DELETE", "/cluster/status", &[]), 1, "no such method");
    assert_eq!(call("POST", "/nodes/a/qemu/100/migrate", &[]), 1, "no target");
    assert_eq!(
        call("POST", "/nodes/a/qemu/100/migrate", &[("target", "b"), ("bogus", "1")]),
        1,
        "unknown word"
    );
    assert_eq!(
        call("POST", "/nodes/a/qemu/100/migrate", &[("target", "b"), ("online", "yes")]),
        1,
        "no boolean"
    );
    assert_eq!(call("POST", "/nodes/a/status", &[("command", "explode")]), 1, "not in the list");
}
