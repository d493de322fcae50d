//! Two recorded stories, HA maintenance and the death of a node, seen as the model sees them: one line for each change of what
//! matters. The times are those of the recording, in seconds, rounded down.

use std::{fs, path::PathBuf};

use pitlane::{
    adapters::pve::{manager, opinion},
    model::{
        ids::{GuestId, NodeName},
        observed::{HaView, Opinion},
    },
};
use serde::de::DeserializeOwned;
use serde_json::Value;

struct Sample {
    at: u64,
    poll: String,
    body: Value,
}

fn samples(file: &str) -> Vec<Sample> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/pve/recordings").join(file);
    let recording: Value = serde_json::from_slice(&fs::read(path).expect("a recording")).expect("JSON");
    let samples = recording["samples_on_change"].as_array().expect("samples").iter();
    let good = samples.filter(|sample| sample["http"] == 200);
    good.map(|sample| Sample {
        at: sample["t"].as_f64().expect("a time") as u64,
        poll: sample["poll"].as_str().expect("a poll").to_owned(),
        body: sample["body"].clone(),
    })
    .collect()
}

fn read<T: DeserializeOwned>(body: &Value) -> T {
    serde_json::from_value(body.clone()).expect("every sample decodes")
}

/// The answer as it came.
fn answer(body: &Value) -> Vec<u8> {
    serde_json::json!({ "data": body }).to_string().into_bytes()
}

/// Follows the looks of a story and writes a line whenever what `tell` says has changed.
fn story(file: &str, tell: impl Fn(&Opinion, &HaView) -> String) -> Vec<String> {
    let member = NodeName::from("pve1");
    let (mut status, mut resources, mut ha) = (None, None, None);
    let mut lines: Vec<String> = Vec::new();
    let mut last = String::new();
    for sample in samples(file) {
        match sample.poll.as_str() {
            "cluster-status" => status = Some(read(&sample.body)),
            "cluster-resources" => resources = Some(answer(&sample.body)),
            "ha-manager-status" => {
                ha = Some(manager::ha(read(&sample.body)).expect("pve1 keeps quorum"));
            }
            _ => continue,
        }
        let (Some(status), Some(resources), Some(ha)) = (&status, &resources, &ha) else { continue };
        let opinion = opinion::opinion(&member, status, resources).expect("rows").expect("whole answers");
        let told = tell(&opinion, ha);
        if told != last {
            lines.push(format!("{} {told}", sample.at));
            last = told;
        }
    }
    lines
}

fn place(opinion: &Opinion, ha: &HaView, guest: u32) -> String {
    let list = &opinion.guests[&GuestId(guest)];
    let service = &ha.services[&GuestId(guest)];
    let target = service.target.as_ref().map(|target| format!(">{target}")).unwrap_or_default();
    format!("{guest}@{} {:?} ha={}{target}:{}", list.node, list.power, service.node, service.state)
}

#[test]
fn ha_maintenance_is_asked_for_then_in_effect_then_the_guest_leaves_and_returns() {
    let node = NodeName::from("pve2");
    let lines = story("ha-maintenance-timeline.json", |opinion, ha| {
        let asked = if ha.maintenance_requested(&node) { "asked" } else { "-" };
        let effect = if ha.in_maintenance(&node) { "in-effect" } else { "-" };
        format!("{asked} {effect} {}", place(opinion, ha, 106))
    });
    // In effect before the guest moves; the configuration moves before HA has settled; after "off", maintenance lasts nine seconds more.
    let expected = [
        "0 - - 106@pve2 Running ha=pve2:started",
        "13 asked - 106@pve2 Running ha=pve2:started",
        "22 asked in-effect 106@pve2 Running ha=pve2>pve1:migrate",
        "30 asked in-effect 106@pve1 Running ha=pve2>pve1:migrate",
        "42 asked in-effect 106@pve1 Running ha=pve1:started",
        "73 - in-effect 106@pve1 Running ha=pve1:started",
        "82 - - 106@pve1 Running ha=pve1>pve2:migrate",
        "91 - - 106@pve2 Running ha=pve1>pve2:migrate",
        "102 - - 106@pve2 Running ha=pve2:started",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_dead_node_is_offline_long_before_ha_gives_it_up() {
    let node = NodeName::from("pve3");
    let lines = story("node-death-timeline.json", |opinion, ha| {
        let state = ha.nodes.get(&node).map(|node| node.state);
        let online = if opinion.online(&node) { "online" } else { "offline" };
        format!("{online} {state:?} {}", place(opinion, ha, 107))
    });
    // For two minutes the dead node's guest reads "running" there, and the manager says "online" for the first ten seconds.
    let expected = [
        "0 online Some(Online) 107@pve3 Running ha=pve3:started",
        "9 offline Some(Online) 107@pve3 Running ha=pve3:started",
        "19 offline Some(Unknown) 107@pve3 Running ha=pve3:started",
        "69 offline Some(Fence) 107@pve3 Running ha=pve3:fence",
        "140 offline Some(Unknown) 107@pve3 Running ha=pve1:started",
        "140 offline Some(Unknown) 107@pve1 Running ha=pve1:started",
        "162 online Some(Unknown) 107@pve1 Running ha=pve1:started",
        "170 online Some(Online) 107@pve1 Running ha=pve1:started",
    ];
    assert_eq!(lines, expected);
}
