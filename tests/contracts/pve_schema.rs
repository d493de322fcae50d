//! Every call of pitlane fits Proxmox's published schema: the path exists, every parameter is known, every required one is there,
//! and a token may make it.

use std::{collections::BTreeSet, fs, path::PathBuf};

use pitlane::adapters::pve::statement::{Newest, Plain, all, needs};
use serde_json::Value;

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
    let mistakes: Vec<String> = all(Newest::Nine).iter().flat_map(|call| mistakes(&methods, call)).collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

/// A node of 8.4 refuses a whole call for one word it does not know.
#[test]
fn what_an_older_node_is_sent_existed_there() {
    let methods = methods();
    for call in all(Newest::Eight) {
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

/// Where the schema names one right on one path, the published list names the same.
#[test]
fn the_rights_that_are_published_are_the_schemas() {
    let methods = methods();
    let mut compared = 0;
    for call in all(Newest::Nine) {
        let (method, _) = find(&methods, &call).expect("checked above");
        let permissions = &method["permissions"];
        let check = &permissions["check"];
        // Several rights of which any will do, and calls that answer everybody, are told in words.
        let (Some(path), Some([right])) = (check[1].as_str(), check[2].as_array().map(Vec::as_slice)) else {
            continue;
        };
        if permissions["user"] == "all" {
            continue;
        }
        let path = path.replace("{node}", "NODE").replace("{vmid}", "VMID");
        let wanted = format!("{} on {path}", right.as_str().expect("a right"));
        assert_eq!(needs(call.name), wanted, "{}", call.name);
        compared += 1;
    }
    assert!(compared > 20);
}

/// The check must be able to fail.
#[test]
fn wrong_calls_are_found() {
    let methods = methods();
    let call = |method: &str, path: &str, parameters: &[(&'static str, &str)]| {
        let parameters = parameters.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        mistakes(&methods, &Plain { name: "", method: method.to_owned(), path: path.to_owned(), parameters })
            .len()
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
