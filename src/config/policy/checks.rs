//! Rules across the fields of a policy file, and what its texts and queries may name. Each mistake has its place.

use super::PolicyFile;
use crate::config::calendars::ENDING;
use crate::config::mistakes::{Mistakes, Place, meant};
use crate::config::reader::Read;
use crate::config::tree::Kind;
use crate::config::{query, witnesses};
use crate::model::state::EARLIER_MAX;
use crate::model::time::Period;
use crate::model::wait_text::list;

/// What `{{ … }}` may name in texts and queries.
const PLACEHOLDERS: [&str; 2] = ["node", "component"];
/// And in what the technician reads.
const TOLD: [&str; 3] = ["node", "component", "returns"];

/// Rules across fields. Each looks only at parts that are right by themselves.
pub(super) fn across(read: &Read<PolicyFile>, mistakes: &mut Mistakes) {
    if let Kind::Map(entries) = &read.root.kind
        && let Some(entry) = entries.iter().find(|entry| entry.key == "calendar")
    {
        let text = format!(
            "this is a calendar, and its file's name says that it is a policy; let the name end in {ENDING}"
        );
        mistakes.add(entry.key_place, text);
    }
    let period = |pointer| read.get::<Period>(pointer);
    let place = |path: &str| read.root.at(path).place;
    if let (Some(soak), Some(within)) = (period("/prove/soak"), period("/confirm/within"))
        && soak < within
    {
        let text = format!(
            "prove.soak is {soak} and confirm.within {within}: a flapping part would count as repaired before it \
             could fail again; write {within} or more"
        );
        mistakes.add(place("prove.soak"), text);
    }
    if let (Some(steady), Some(within)) = (period("/confirm/steady_for"), period("/confirm/within"))
        && steady > within
    {
        let text = format!("confirm.steady_for is longer than confirm.within; write {within} or less");
        mistakes.add(place("confirm.steady_for"), text);
    }
    if period("/respond/move_within").is_some_and(|within| within.0.is_zero()) {
        let text = "respond.move_within is 0s: every migration would be cancelled as it begins; write how long one may take, or \
                    leave it out and it follows from the guest's size";
        mistakes.add(place("respond.move_within"), text);
    }
    if period("/respond/time_box").is_some_and(|time_box| time_box.0.is_zero()) {
        let text = "respond.time_box is 0s: every case would overrun as it begins; write how long the work may take, \
                    such as 4h";
        mistakes.add(place("respond.time_box"), text);
    }
    if period("/memory/within").is_some_and(|within| within > EARLIER_MAX) {
        let text = format!("memory.within is longer than what is remembered; write {EARLIER_MAX} or less");
        mistakes.add(place("memory.within"), text);
    }
    let json = &read.json;
    if json["respond"]["second_person"] == true && json["respond"]["mode"] == "act" {
        let text = "respond.second_person wants two people to agree, and mode: act asks nobody; write mode: approve, or take \
                    second_person out";
        mistakes.add(place("respond.second_person"), text);
    }
    let serves =
        json["respond"]["action"].as_str().is_some_and(|action| ["drain", "in_place"].contains(&action));
    for part in ["work_order", "prove"] {
        let written = read.root.at(part).place != read.root.place;
        if serves && json.get(part).is_none_or(|value| value.is_null()) && !written {
            let text =
                format!("respond.action is a work on the machine, and {part} is not given; add {part}:");
            mistakes.add(place("respond.action"), text);
        }
    }
    for (i, set) in json["or_match"].as_array().into_iter().flatten().enumerate() {
        if set.as_array().is_some_and(Vec::is_empty) {
            let path = format!("or_match.{i}");
            let text = format!("{path} is empty and would fit every alert; write matchers, or take it out");
            mistakes.add(place(&path), text);
        }
    }
    let checks = |name: &str| json["prove"]["checks"].as_array().is_some_and(|c| c.iter().any(|c| c == name));
    let class = json["class"].as_str().or_else(|| json["policy"].as_str()).unwrap_or_default();
    if checks("sensors_ok")
        && !witnesses::known(class)
        && json.get("sensor").is_none()
        && read.root.at("sensor").place == read.root.place
    {
        let text = "prove.checks asks for sensors_ok and the policy names no sensor; add sensor: {promql: …} or \
                    take sensors_ok out";
        mistakes.add(place("prove.checks"), text);
    }
    if let Some(title) = json["work_order"]["title"].as_str() {
        placeholders(title, &TOLD, "work_order.title", place("work_order.title"), mistakes);
    }
    for (path, text) in queries(json) {
        placeholders(&text, &PLACEHOLDERS, &path, place(&path), mistakes);
        for wrong in query::mistakes(&text) {
            mistakes.add(place(&path), format!("{path}: {wrong}"));
        }
    }
    for (i, line) in json["work_order"]["checklist"].as_array().into_iter().flatten().enumerate() {
        let path = format!("work_order.checklist.{i}");
        placeholders(line.as_str().unwrap_or_default(), &TOLD, &path, place(&path), mistakes);
    }
}

/// One query or a list of them, each with its path.
fn queries(json: &serde_json::Value) -> Vec<(String, String)> {
    let told = &json["sensor"]["promql"];
    match (told.as_str(), told.as_array()) {
        (Some(one), _) => vec![("sensor.promql".to_owned(), one.to_owned())],
        (None, Some(all)) => {
            let text = |(i, query): (usize, &serde_json::Value)| {
                Some((format!("sensor.promql.{i}"), query.as_str()?.to_owned()))
            };
            all.iter().enumerate().filter_map(text).collect()
        }
        (None, None) => Vec::new(),
    }
}

fn placeholders(text: &str, known: &[&'static str], path: &str, place: Place, mistakes: &mut Mistakes) {
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let Some(end) = rest[start..].find("}}") else {
            mistakes.add(place, format!("{path}: {{{{ is never closed; write {{{{ node }}}}"));
            return;
        };
        let name = rest[start + 2..start + end].trim();
        if !known.contains(&name) {
            let hint = meant(name, known.iter().copied()).unwrap_or("node");
            let text = format!(
                "{path}: {{{{ {name} }}}} is not known; write {{{{ {hint} }}}} ({} are filled in)",
                list(known)
            );
            mistakes.add(place, text);
        } else if rest[start..start + end + 2] != format!("{{{{ {name} }}}}") {
            let text = format!("{path}: write {{{{ {name} }}}} with one space on each side of the name");
            mistakes.add(place, text);
        }
        rest = &rest[start + end + 2..];
    }
}
