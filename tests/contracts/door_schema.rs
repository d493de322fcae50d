//! Door two against Proxmox's own schema: it serves what it says it serves, refuses what the schema refuses, knows every
//! parameter that the schema knows, and answers with the types that the schema names.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::door_world::{Lab, SECRET, data_folder, recorded_world};
use pitlane::sim::http::Token;

/// Every call that door two serves. pitlane's client uses all of them; a call that is not here answers 501.
const SERVED: &[(&str, &str)] = &[
    ("DELETE", "/nodes/{node}/tasks/{upid}"),
    ("GET", "/access/permissions"),
    ("GET", "/cluster/backup"),
    ("GET", "/cluster/ceph/flags"),
    ("GET", "/cluster/ceph/flags/{flag}"),
    ("GET", "/cluster/ceph/status"),
    ("GET", "/cluster/config/nodes"),
    ("GET", "/cluster/config/qdevice"),
    ("GET", "/cluster/ha/groups"),
    ("GET", "/cluster/ha/resources"),
    ("GET", "/cluster/ha/resources/{sid}"),
    ("GET", "/cluster/ha/rules"),
    ("GET", "/cluster/ha/status/current"),
    ("GET", "/cluster/ha/status/manager_status"),
    ("GET", "/cluster/options"),
    ("GET", "/cluster/resources"),
    ("GET", "/cluster/status"),
    ("GET", "/cluster/tasks"),
    ("GET", "/nodes"),
    ("GET", "/nodes/{node}/ceph/cmd-safety"),
    ("GET", "/nodes/{node}/ceph/osd"),
    ("GET", "/nodes/{node}/ceph/status"),
    ("GET", "/nodes/{node}/disks/list"),
    ("GET", "/nodes/{node}/lxc"),
    ("GET", "/nodes/{node}/lxc/{vmid}/config"),
    ("GET", "/nodes/{node}/lxc/{vmid}/migrate"),
    ("GET", "/nodes/{node}/lxc/{vmid}/status/current"),
    ("GET", "/nodes/{node}/network"),
    ("GET", "/nodes/{node}/qemu"),
    ("GET", "/nodes/{node}/qemu/{vmid}/config"),
    ("GET", "/nodes/{node}/qemu/{vmid}/migrate"),
    ("GET", "/nodes/{node}/qemu/{vmid}/status/current"),
    ("GET", "/nodes/{node}/replication"),
    ("GET", "/nodes/{node}/services"),
    ("GET", "/nodes/{node}/status"),
    ("GET", "/nodes/{node}/storage"),
    ("GET", "/nodes/{node}/storage/{storage}/content"),
    ("GET", "/nodes/{node}/tasks"),
    ("GET", "/nodes/{node}/tasks/{upid}/log"),
    ("GET", "/nodes/{node}/tasks/{upid}/status"),
    ("GET", "/nodes/{node}/time"),
    ("GET", "/nodes/{node}/version"),
    ("GET", "/storage"),
    ("GET", "/version"),
    ("POST", "/nodes/{node}/lxc/{vmid}/migrate"),
    ("POST", "/nodes/{node}/lxc/{vmid}/status/resume"),
    ("POST", "/nodes/{node}/lxc/{vmid}/status/shutdown"),
    ("POST", "/nodes/{node}/lxc/{vmid}/status/start"),
    ("POST", "/nodes/{node}/lxc/{vmid}/status/stop"),
    ("POST", "/nodes/{node}/qemu/{vmid}/migrate"),
    ("POST", "/nodes/{node}/qemu/{vmid}/status/resume"),
    ("POST", "/nodes/{node}/qemu/{vmid}/status/shutdown"),
    ("POST", "/nodes/{node}/qemu/{vmid}/status/start"),
    ("POST", "/nodes/{node}/qemu/{vmid}/status/stop"),
    ("POST", "/nodes/{node}/status"),
    ("PUT", "/cluster/ceph/flags/{flag}"),
];

/// Where the real cluster itself was recorded to differ from its schema, and door two follows the recording.
const REAL_CLUSTER_DIFFERS: &[&str] = &[
    "/cluster/options ha",
    "/cluster/options crs",
    // A disk without an OSD has no list of them.
    "/nodes/{node}/disks/list [].osdid-list: null",
];

fn methods() -> Vec<Value> {
    let text = std::fs::read(data_folder().join("schema.json")).expect("the schema");
    let schema: Value = serde_json::from_slice(&text).expect("JSON");
    schema["methods"].as_array().expect("a list").clone()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// A path with names that exist in the world; the guests are at home, and nothing is asked of a real task.
fn path_of(method: &Value) -> String {
    let path = text(method, "path");
    let (node, vmid) = if path.contains("/lxc/") { ("pve1", "200") } else { ("pve2", "100") };
    path.replace("{node}", node)
        .replace("{vmid}", vmid)
        .replace("{sid}", "vm:101")
        .replace("{flag}", "noout")
        .replace("{storage}", "pbs")
        .replace("{upid}", "UPID:pve2:00000999:00000001:6B022200:qmstart:999:root@pam:")
}

/// A token with every right, so that only parameters can be wrong.
fn root() -> Token {
    let all = [
        "Sys.Audit",
        "Sys.Modify",
        "Sys.PowerMgmt",
        "VM.Audit",
        "VM.Migrate",
        "VM.PowerMgmt",
        "Datastore.Audit",
        "SDN.Audit",
    ];
    Token::new("root@pve!all", SECRET, vec![pitlane::sim::http::Grant::new("/", &all)])
}

async fn lab() -> Lab {
    let options = pitlane::sim::http::Options { speed: 0.0, tokens: vec![root()], ..Default::default() };
    Lab::open(recorded_world(), options).await
}

/// Sends parameters where the method takes them.
async fn ask(lab: &Lab, method: &Value, params: &[(&str, &str)]) -> crate::door_world::Said {
    let (verb, path) = (text(method, "method"), path_of(method));
    if matches!(verb, "POST" | "PUT") {
        return lab.ask(verb, "pve1", &path, params, Some(&root())).await;
    }
    let query: Vec<String> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    lab.ask(verb, "pve1", &format!("{path}?{}", query.join("&")), &[], Some(&root())).await
}

/// The parameters that do not stand in the path.
fn free_params(method: &Value) -> Vec<&Value> {
    let path = text(method, "path");
    let params = method["params"].as_array().map(Vec::as_slice).unwrap_or_default();
    params.iter().filter(|param| !path.contains(&format!("{{{}}}", text(param, "name")))).collect()
}

#[tokio::test]
async fn exactly_the_listed_calls_are_served() {
    let lab = lab().await;
    let mut served = BTreeSet::new();
    for method in methods() {
        // A parameter that nobody knows stops every served call before it does anything.
        let said = ask(&lab, &method, &[("bogus", "1")]).await;
        match said.status {
            400 => {
                served.insert((text(&method, "method").to_owned(), text(&method, "path").to_owned()));
            }
            501 => {}
            other => panic!("{} {} answers {other}", text(&method, "method"), path_of(&method)),
        }
    }
    let listed: BTreeSet<(String, String)> =
        SERVED.iter().map(|(verb, path)| ((*verb).to_owned(), (*path).to_owned())).collect();
    assert_eq!(served, listed);
    assert!(lab.world.lock().expect("alive").effects.is_empty(), "nothing was done");
}

#[tokio::test]
async fn parameters_are_known_and_checked_as_the_schema_says() {
    let lab = lab().await;
    let mut checked = 0;
    for method in methods() {
        let name = format!("{} {}", text(&method, "method"), text(&method, "path"));
        if !SERVED.contains(&(text(&method, "method"), text(&method, "path"))) {
            continue;
        }
        let params = free_params(&method);
        // Everything that the schema knows, with values that it allows: only the unknown one is refused.
        let mut good: Vec<(&str, &str)> =
            params.iter().map(|param| (text(param, "name"), fine(param))).collect();
        good.push(("bogus", "1"));
        let said = ask(&lab, &method, &good).await;
        assert_eq!(wrong(&said.body), BTreeSet::from(["bogus".to_owned()]), "{name}: {}", said.body);
        // Values that no type allows.
        let picky = |param: &&&Value| text(param, "type") != "string" || param["enum"].is_array();
        let bad: Vec<(&str, &str)> =
            params.iter().filter(picky).map(|param| (text(param, "name"), "no such value")).collect();
        if !bad.is_empty() {
            let said = ask(&lab, &method, &bad).await;
            let names: BTreeSet<String> = bad.iter().map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(said.status, 400, "{name}");
            assert!(wrong(&said.body).is_superset(&names), "{name} {bad:?}: {}", said.body);
            checked += bad.len();
        }
        // What must be there.
        let said = ask(&lab, &method, &[("bogus", "1")]).await;
        for param in params.iter().filter(|param| param["optional"] != true) {
            let errors = &said.body["errors"];
            assert_eq!(errors[text(param, "name")], "property is missing and it is not optional", "{name}");
        }
    }
    assert!(checked >= 50, "only {checked} parameters were checked");
    assert!(lab.world.lock().expect("alive").effects.is_empty(), "nothing was done");
}

fn wrong(body: &Value) -> BTreeSet<String> {
    body["errors"].as_object().map(|errors| errors.keys().cloned().collect()).unwrap_or_default()
}

/// A value that the schema allows.
fn fine(param: &Value) -> &str {
    if let Some(first) = param["enum"].as_array().and_then(|values| values.first()) {
        return first.as_str().unwrap_or_default();
    }
    match (text(param, "type"), text(param, "format")) {
        ("boolean", _) => "1",
        ("integer" | "number", "pve-vmid") => "100",
        ("integer" | "number", _) => "5",
        (_, "pve-node") => "pve3",
        _ => "text",
    }
}

#[tokio::test]
async fn answers_have_the_types_of_the_schema() {
    let lab = lab().await;
    let (mut mistakes, mut answered) = (Vec::new(), 0);
    for method in methods() {
        let path = text(&method, "path");
        let asked = ("GET", path);
        if text(&method, "method") != "GET" || !SERVED.contains(&asked) || path.contains("{upid}") {
            continue; // A task's answers are held against the recordings.
        }
        let safety = [("service", "osd"), ("id", "0"), ("action", "stop")];
        let params: &[(&str, &str)] = if path.ends_with("cmd-safety") { &safety } else { &[] };
        let said = ask(&lab, &method, params).await;
        if path == "/cluster/ha/groups" {
            assert_eq!(said.status, 500);
            continue;
        }
        assert_eq!(said.status, 200, "{path}: {said:?}");
        answered += 1;
        let mut found = Vec::new();
        fits(&said.body["data"], &method["returns"], "", &mut found);
        mistakes.extend(found.into_iter().map(|what| format!("{path} {what}")));
    }
    mistakes.retain(|what| !REAL_CLUSTER_DIFFERS.iter().any(|known| what.starts_with(known)));
    assert!(answered >= 36, "only {answered} calls were asked");
    assert!(mistakes.is_empty(), "{mistakes:#?}");
}

/// Types, enumerations and members that must be there. Members that the schema does not list are common in reality.
fn fits(value: &Value, schema: &Value, at: &str, mistakes: &mut Vec<String>) {
    let kind = text(schema, "type");
    let good = match kind {
        "array" => value.is_array(),
        "object" => value.is_object(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean() || value == &json!(0) || value == &json!(1),
        "null" => value.is_null(),
        _ => true,
    };
    if !good {
        mistakes.push(format!("{at}: {value} is no {kind}"));
        return;
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        mistakes.push(format!("{at}: {value} is none of {words:?}"));
    }
    for item in value.as_array().into_iter().flatten() {
        fits(item, &schema["items"], &format!("{at}[]"), mistakes);
    }
    let (Some(map), Some(properties)) = (value.as_object(), schema["properties"].as_object()) else { return };
    for (name, property) in properties {
        let place = format!("{at}{}{name}", if at.is_empty() { "" } else { "." });
        let optional = property["optional"] == 1 || property["optional"] == true;
        match map.get(name) {
            Some(member) => fits(member, property, &place, mistakes),
            None if !optional => mistakes.push(format!("{place} is missing")),
            None => {}
        }
    }
}
