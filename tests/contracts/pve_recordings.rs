//! Every recording of the real Proxmox API goes through the client, and a reviewed table says what must come out.
//!
//! `pve_recordings.expected` has one line for each file, `FILE | WHAT`. A file without a line fails, a line without a file fails,
//! and so does any difference.

use std::{collections::BTreeMap, fs, path::PathBuf};

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::pve_replay::{Exchange, replay};

fn tests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")
}

#[test]
fn every_recording_gives_what_the_table_expects() {
    let expected = table();
    let told = recordings().into_iter().map(|(file, recording)| (file.clone(), tell(&file, &recording)));
    let told: BTreeMap<String, String> = told.collect();
    let mut wrong = String::new();
    for (file, told) in &told {
        if expected.get(file) != Some(told) {
            wrong += &format!("{file} | {told}\n");
        }
    }
    for file in expected.keys().filter(|file| !told.contains_key(*file)) {
        wrong += &format!("{file} is in the table, but there is no such recording\n");
    }
    assert!(wrong.is_empty(), "the table does not agree with what the client made of these:\n{wrong}");
}

fn table() -> BTreeMap<String, String> {
    let text = fs::read_to_string(tests().join("contracts/pve_recordings.expected")).expect("the table");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs = lines.map(|line| line.split_once(" | ").unwrap_or_else(|| panic!("no ' | ' in {line:?}")));
    pairs.map(|(file, what)| (file.to_owned(), what.to_owned())).collect()
}

fn recordings() -> BTreeMap<String, Value> {
    let folder = fs::read_dir(tests().join("data/pve/recordings")).expect("the recordings");
    let files = folder.map(|entry| entry.expect("an entry").path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    files
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let recording = serde_json::from_slice(&fs::read(&path).expect("readable"));
            (name, recording.expect("recordings are JSON"))
        })
        .collect()
}

fn tell(file: &str, recording: &Value) -> String {
    match recording["kind"].as_str() {
        Some("transport-facts") => {
            let idle = recording["measured"]["keep_alive_idle_timeout_s"].as_f64().expect("measured");
            format!("facts, idle connections live {idle} s")
        }
        Some("permission-sweep") => sweep(recording),
        Some(_) if file.ends_with("-timeline.json") => timeline(recording),
        Some(kind) => panic!("{file}: unknown kind {kind}"),
        None => replay(&exchange(&recording["request"], &recording["response"])),
    }
}

fn exchange(request: &Value, response: &Value) -> Exchange {
    Exchange {
        method: method(request),
        path: request["path"].as_str().expect("a path").to_owned(),
        status: response["status"].as_u64().expect("a status") as u16,
        reason: response["reason"].as_str().unwrap_or_default().to_owned(),
        body: match &response["body"] {
            Value::String(text) => Bytes::from(text.clone()),
            body => Bytes::from(body.to_string()),
        },
    }
}

fn method(request: &Value) -> Method {
    request["method"].as_str().and_then(|m| m.parse().ok()).expect("a method")
}

/// The bodies of successes were not kept, so only the refusals are replayed.
fn sweep(recording: &Value) -> String {
    let exchanges = recording["exchanges"].as_array().expect("exchanges");
    let refused = exchanges.iter().filter(|e| e["status"] != 200);
    let told = refused.map(|e| {
        let response = json!({"status": e["status"], "reason": e["reason"], "body": {"data": null}});
        replay(&exchange(&e["request"], &response))
    });
    format!("{} calls, refused: {}", exchanges.len(), counted(told))
}

/// All samples of all polls and all answers of the API among the events.
fn timeline(recording: &Value) -> String {
    let list = |name: &str| recording[name].as_array().unwrap_or_else(|| panic!("no {name}"));
    let mut told = Vec::new();
    for poll in list("polls") {
        let samples = list("samples_on_change").iter().filter(|sample| sample["poll"] == poll["key"]);
        let answers = samples.map(|sample| {
            let body = whole(poll["path"].as_str().expect("a path"), &sample["body"]);
            let response = json!({
                "status": sample["http"], "reason": sample["reason"], "body": body_of(&sample["http"], body),
            });
            replay(&exchange(&json!({"method": "GET", "path": poll["path"]}), &response))
        });
        told.push(format!("{} {}", poll["key"].as_str().expect("a key"), in_short(answers)));
    }
    let events = list("events").iter().filter_map(event);
    let events = counted(events.map(|e| first_words(&e)));
    told.push(if events.is_empty() {
        "no answers among the events".to_owned()
    } else {
        format!("events {events}")
    });
    told.join("; ")
}

fn body_of(status: &Value, data: Value) -> Value {
    match status.as_u64() {
        Some(200) => json!({ "data": data }),
        // The recorder kept the reason phrase of errors, and no body.
        _ => json!(""),
    }
}

/// "POST /nodes/pve1/qemu/100/migrate (sent to pve2)" and its answer; other events are not answers.
fn event(event: &Value) -> Option<String> {
    let (method, rest) = event["action"].as_str()?.split_once(' ')?;
    let path = rest.strip_suffix(')')?.split_once(" (sent to ")?.0;
    let detail = &event["detail"];
    let status = detail["status"].as_u64().filter(|_| path.starts_with('/'))?;
    let request = json!({"method": method, "path": format!("/api2/json{path}")});
    let body = if detail["response"].is_object() {
        detail["response"].clone()
    } else {
        json!({"data": whole(path, &detail["data"]), "message": detail["message"]})
    };
    Some(replay(&exchange(&request, &json!({"status": status, "reason": detail["reason"], "body": body}))))
}

/// Some answers were kept in a shape of the recorder's own; this gives them back the shape of the API.
fn whole(path: &str, body: &Value) -> Value {
    let path = path.split('?').next().unwrap_or_default();
    if path.ends_with("/cluster/ceph/status") && body.get("checks").is_some() {
        let checks = body["checks"].as_object().expect("checks").iter().map(|(code, check)| {
            let check = json!({"severity": check[0], "summary": {"message": check[1]}, "muted": check[2]});
            (code.clone(), check)
        });
        return json!({
            "health": {"status": body["health"], "checks": checks.collect::<serde_json::Map<_, _>>()},
            "osdmap": body["osdmap"],
            "quorum_names": body["quorum_names"],
            "pgmap": {"pgs_by_state": body["pgs_by_state"], "degraded_objects": body["degraded"]},
        });
    }
    if path.ends_with("/ceph/osd") && body.is_array() {
        let osds = body.as_array().expect("a list").iter().map(|osd| {
            let mut osd = osd.clone();
            osd["type"] = json!("osd");
            osd["id"] = json!(osd["name"].as_str().expect("a name").trim_start_matches("osd."));
            osd
        });
        return json!({"root": {"children": osds.collect::<Vec<_>>()}});
    }
    if path.ends_with("/ceph/flags") && body.is_object() {
        let flags = body.as_object().expect("an object").iter();
        return flags.map(|(name, value)| json!({"name": name, "value": value})).collect();
    }
    if path.ends_with("/manager_status") && body.get("vm:101").is_some() {
        return json!({"manager_status": {"service_status": body}});
    }
    body.clone()
}

/// Short answers as the sequence of their changes, long ones counted.
fn in_short(answers: impl Iterator<Item = String>) -> String {
    let answers: Vec<String> = answers.collect();
    let mut changes = answers.clone();
    changes.dedup();
    if changes.iter().all(|answer| answer.len() < 60) && changes.len() <= 12 {
        return changes.join(" → ");
    }
    counted(answers.iter().map(|answer| first_words(answer)))
}

/// `ok` for all that was understood, the whole text for what was not.
fn first_words(answer: &str) -> String {
    if answer.starts_with("ok ") { "ok".to_owned() } else { answer.to_owned() }
}

fn counted(answers: impl Iterator<Item = String>) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    answers.for_each(|answer| *counts.entry(answer).or_default() += 1);
    let counts: Vec<String> = counts.iter().map(|(answer, count)| format!("{count}× {answer}")).collect();
    counts.join(", ")
}
