//! Every recording goes through the client, call by call, laid over the healthy cluster; what comes out is compared
//! with the written table beside this file. Its columns: the recording, the call's place in it, the command, and what
//! a look (or the joint question, or the write) makes of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use pitlane::model::ids::{HostName, OsdId};
use pitlane::model::observed::{CephView, OkToStop, Osd, PoolKind};
use pitlane::model::seen::Seen;
use pitlane::model::step::Switch;
use pitlane::ports::Ceph;
use serde_json::{Value, json};

use crate::ceph_healthy::mgr_dump;
use crate::ceph_replay::{Replay, recorded, recording, said};

const LOOKED: [&str; 4] = ["status", "osd tree", "quorum_status", "osd crush rule dump"];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder().join("data/ceph"))
        .expect("the recordings")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("plain names"))
        .filter(|name| name.ends_with(".json"))
        .collect();
    names.sort();
    names
}

/// What a view says, in one line: only what differs from a healthy cluster, beside its shape.
fn digest(seen: &Seen<CephView>) -> String {
    let view = match seen {
        Seen::Known { value, .. } => value,
        Seen::Unknown { why } => return format!("UNKNOWN {why}"),
        Seen::NotAsked => return "not asked".into(),
    };
    let mut text = format!("{}/{} mons", view.quorum.len(), view.monitors.len());
    let osds = |pick: fn(&Osd) -> bool| {
        view.osds
            .iter()
            .filter(|(_, osd)| pick(osd))
            .map(|(id, _)| id.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let _ = write!(text, ", {} osds on {} hosts", view.osds.len(), view.hosts.len());
    for (what, which) in [("down", osds(|o| !o.up)), ("out", osds(|o| !o.r#in))] {
        if !which.is_empty() {
            let _ = write!(text, ", {what}: {which}");
        }
    }
    let checks: Vec<&str> = view.checks.keys().map(String::as_str).collect();
    if !checks.is_empty() {
        let _ = write!(text, ", checks {}", checks.join(" "));
    }
    if view.flags.contains("noout") {
        text.push_str(", noout for all");
    }
    for (host, flags) in &view.host_flags {
        let _ = write!(text, ", {host}: {}", flags.iter().cloned().collect::<Vec<_>>().join(" "));
    }
    for (state, n) in view.unclean_pgs() {
        let _ = write!(text, ", {n} {state}");
    }
    for host in view.unmatched_hosts() {
        let _ = write!(text, ", {host} is nobody's");
    }
    text
}

/// Lays one recorded call over the healthy cluster and does what leads to that call. `None`: we never make it.
async fn replay(command: &str, call: &Value) -> Option<String> {
    let replay = Arc::new(Replay::healthy());
    let words: Vec<&str> = command.split(' ').collect();
    if LOOKED.contains(&command) {
        replay.set(command, [recorded(call)]);
        return Some(digest(&replay.client().look().await));
    }
    match words.as_slice() {
        // Cut to its flags in the recordings: those are laid over the whole dump.
        ["osd", "dump"] => {
            let mut dump = replay.body("osd dump");
            for (key, value) in call["stdout"].as_object()? {
                dump[key] = value.clone();
            }
            replay.set("osd dump", [said(0, &dump, "")]);
            Some(digest(&replay.client().look().await))
        }
        ["health", "detail"] => {
            let mut status = replay.body("status");
            status["health"] = call["stdout"].clone();
            replay.set("status", [said(0, &status, "")]);
            Some(digest(&replay.client().look().await))
        }
        ["osd", "ok-to-stop", ids @ ..] => {
            let ids: Vec<OsdId> = ids.iter().map(|id| id.parse().ok().map(OsdId)).collect::<Option<_>>()?;
            // A host that has exactly the OSDs that were asked about, those that do not exist included.
            let host = HostName::from("asked");
            let osd = || Osd { host: host.clone(), up: true, r#in: true, version: None };
            let view = CephView { osds: ids.iter().map(|id| (*id, osd())).collect(), ..CephView::default() };
            replay.set(command, [recorded(call)]);
            Some(match replay.client().ok_to_stop(&host, &view).await {
                Seen::Known { value: OkToStop { ok, ok_pgs, bad_pgs, .. }, .. } => {
                    format!("{}: {ok_pgs} good, {bad_pgs} bad", if ok { "YES" } else { "NO" })
                }
                Seen::Unknown { why } => format!("UNKNOWN {why}"),
                Seen::NotAsked => "not asked".into(),
            })
        }
        ["osd", set @ ("set-group" | "unset-group"), "noout", host] => {
            let to = if *set == "set-group" { Switch::On } else { Switch::Off };
            let mut before = replay.body("osd dump");
            let mut after = before.clone();
            let (was, is) = if to == Switch::On {
                (json!({}), json!({*host: ["noout"]}))
            } else {
                (json!({*host: ["noout"]}), json!({}))
            };
            before["crush_node_flags"] = was;
            after["crush_node_flags"] = is;
            // Where the write hung for want of a quorum, so does reading back; without a rc there is no knowing which.
            let after = if call["rc"].is_null() { None } else { said(0, &after, "") };
            replay.set("osd dump", [said(0, &before, ""), after]);
            replay.set(command, [recorded(call)]);
            let end = replay.client().noout(&HostName((*host).into()), to).await;
            let asked = replay.asked().iter().any(|c| c == command);
            Some(format!(
                "{}{}",
                if asked { "" } else { "(not asked) " },
                end.map_or_else(|t| t.to_string(), |()| "done".into())
            ))
        }
        ["mgr", "fail", name] => {
            replay.set(
                "mgr dump",
                [said(0, &mgr_dump(name, &["node2"]), ""), said(0, &mgr_dump("node2", &[name]), "")],
            );
            replay.set(command, [recorded(call)]);
            Some(replay.client().fail_mgr(name).await.map_or_else(|t| t.to_string(), |()| "done".into()))
        }
        ["mgr", "stat"] => {
            let stat = &call["stdout"];
            let mut dump = replay.body("mgr dump");
            for key in ["available", "active_name"] {
                dump[key] = stat[key].clone();
            }
            replay.set("mgr dump", [said(0, &dump, "")]);
            let view = replay.client().look().await;
            Some(format!("active manager {:?}", view.any_age().and_then(|v| v.active_mgr.as_deref())))
        }
        _ => None,
    }
}

/// Recording 11: what each set of rights lets pass, and three keys that are none.
async fn rights(file: &Value, table: &mut String) {
    const TRIED: [(&str, &str); 4] = [
        ("okosd", "osd ok-to-stop 0"),
        ("setgroup", "osd set-group noout node2"),
        ("unsetgroup", "osd unset-group noout node2"),
        ("mgrfail", "mgr fail node1"),
    ];
    for trial in file["trials"].as_array().into_iter().flatten() {
        for (key, command) in TRIED {
            let result = &trial["results"][key];
            let call = match (result["rc"].as_i64(), key) {
                (Some(rc), _) => json!({"rc": rc, "stdout_text": "\n", "stderr": result["err"]}),
                (None, "okosd") => {
                    let body =
                        json!({"ok_to_stop": true, "osds": [0], "num_ok_pgs": 17, "num_not_ok_pgs": 0});
                    json!({"rc": 0, "stdout": body})
                }
                (None, _) => json!({"rc": 0, "stdout_text": "\n"}),
            };
            let line = replay(command, &call).await.expect("it is ours");
            let label = trial["label"].as_str().expect("a label");
            let _ = writeln!(table, "11 {label} | {command} | {line}");
        }
    }
    for call in file["bad_credentials"].as_array().into_iter().flatten() {
        let line = replay("quorum_status", call).await.expect("it is ours");
        let name = call["command"].as_str().and_then(|c| c.split(' ').nth(2)).expect("a name");
        let _ = writeln!(table, "11 {name} | quorum_status | {line}");
    }
}

#[tokio::test]
async fn every_recording_is_understood_as_the_table_says() {
    let mut table = String::new();
    for name in names() {
        let mut not_ours = 0;
        let file = recording(&name);
        for (n, call) in file["calls"].as_array().into_iter().flatten().enumerate() {
            let Some(command) = call["command"].as_str().and_then(|c| c.strip_prefix("ceph ")) else {
                continue;
            };
            let command = command.trim_start_matches(|c: char| !c.is_ascii_alphabetic() || c == '-');
            let command = command
                .strip_prefix("connect-timeout ")
                .map_or(command, |rest| rest.split_once(' ').map_or(rest, |(_, command)| command));
            match replay(command, call).await {
                Some(line) => {
                    let _ = writeln!(table, "{}.{n:02} | {command} | {line}", &name[..2]);
                }
                None => not_ours += 1,
            }
        }
        rights(&file, &mut table).await;
        let _ = writeln!(table, "{} | {not_ours} calls that we never make", &name[..2]);
    }
    let path = folder().join("contracts/ceph_recordings.expected");
    let expected = fs::read_to_string(&path).unwrap_or_default();
    for (want, have) in expected.lines().zip(table.lines()) {
        assert_eq!(have, want, "in {}", path.display());
    }
    assert_eq!(table, expected, "{} has more or fewer lines", path.display());
}

/// The timelines hold digests of `status`: each becomes a status again. A lost quorum is unknown, whatever health says.
#[tokio::test]
async fn at_every_moment_of_every_timeline_a_lost_quorum_is_unknown() {
    let mut seen = BTreeMap::<bool, usize>::new();
    for name in names() {
        let file = recording(&name);
        let mut moments = Vec::new();
        moments_in(&file, &mut moments);
        for moment in moments {
            let replay = Arc::new(Replay::healthy());
            let quorum = moment["quorum"].as_u64().or(moment["quorum"].as_array().map(|q| q.len() as u64));
            let quorum = usize::try_from(quorum.expect("a number or a list")).expect("few");
            // Labs with four hosts had one monitor; the rest three.
            let monitors = if name.contains("4hosts") || name.starts_with("22") || name.starts_with("15") {
                1
            } else {
                3
            };
            let named = |n: usize| (1..=n).map(|i| format!("node{i}")).collect::<Vec<_>>();
            let mut status = replay.body("status");
            status["quorum_names"] = json!(named(quorum));
            status["health"]["status"] = moment["health"].clone();
            if let Some(pgs) = moment["pgs"].as_object() {
                let states: Vec<Value> =
                    pgs.iter().map(|(s, n)| json!({"state_name": s, "count": n})).collect();
                status["pgmap"]["pgs_by_state"] = json!(states);
            }
            let mut first = replay.body("quorum_status");
            first["monmap"]["mons"] = named(monitors).iter().map(|n| json!({"name": n})).collect();
            first["quorum_names"] = json!(named(monitors));
            replay.set("quorum_status", [said(0, &first, "")]);
            replay.set("status", [said(0, &status, "")]);
            let known = replay.client().look().await.any_age().is_some();
            assert_eq!(known, quorum * 2 > monitors, "{name}: {moment}");
            *seen.entry(known).or_default() += 1;
        }
    }
    assert!(seen[&false] >= 8 && seen[&true] >= 100, "{seen:?}: the recordings have both in plenty");
}

/// Digests stand at many depths; each has health and quorum.
fn moments_in<'a>(value: &'a Value, moments: &mut Vec<&'a Value>) {
    match value {
        // A whole `status` is no digest.
        Value::Object(map) if map.contains_key("fsid") => {}
        Value::Object(map) if map.contains_key("health") && map.contains_key("quorum") => moments.push(value),
        Value::Object(map) => map.values().for_each(|v| moments_in(v, moments)),
        Value::Array(list) => list.iter().for_each(|v| moments_in(v, moments)),
        _ => {}
    }
}

/// Recording 18 made an erasure-coded pool of profile e21 with a rule of its own.
#[tokio::test]
async fn pools_are_known_by_their_copies_and_their_spread() {
    let replay = Arc::new(Replay::healthy());
    let file = recording("18-ok-to-stop-by-pool-kind.json");
    let calls = file["calls"].as_array().expect("calls");
    let detail = calls.iter().find(|c| c["command"] == "ceph osd pool ls detail").expect("a list of pools");
    let mut dump = replay.body("osd dump");
    dump["pools"] = detail["stdout"].clone();
    dump["erasure_code_profiles"]["e21"] = json!({"k": "2", "m": "1", "crush-failure-domain": "host"});
    let mut rules = replay.body("osd crush rule dump");
    let indep = json!({"rule_id": 2, "rule_name": "pec", "steps": [
        {"op": "set_chooseleaf_tries", "num": 5}, {"op": "take", "item": -1, "item_name": "default"},
        {"op": "chooseleaf_indep", "num": 0, "type": "host"}, {"op": "emit"}]});
    rules.as_array_mut().expect("a list of rules").push(indep);
    replay.set("osd dump", [said(0, &dump, "")]);
    replay.set("osd crush rule dump", [said(0, &rules, "")]);
    let seen = replay.client().look().await;
    let pools = &seen.any_age().expect("known").pools;
    let pool = |name: &str| pools.iter().find(|p| p.name == name).unwrap_or_else(|| panic!("no pool {name}"));
    assert_eq!((pool("lab").kind, pool("lab").size, pool("lab").min_size), (PoolKind::Replicated, 3, 2));
    assert_eq!((pool("pec").kind, pool("pec").size), (PoolKind::Erasure { data: 2 }, 3));
    assert_eq!(pool("pec").failure_domain, "host");
    // A pool whose profile is not in the map has unknown needs, so the whole look is none.
    dump["erasure_code_profiles"].as_object_mut().expect("a map").remove("e21");
    replay.set("osd dump", [said(0, &dump, "")]);
    let blind = replay.client().look().await;
    assert!(digest(&blind).contains("pool pec has no readable erasure profile"), "{}", digest(&blind));
}

/// Asked only where there is a filesystem; the one that serves is told from the one that stands by.
#[tokio::test]
async fn metadata_servers_are_told_by_name() {
    let replay = Arc::new(Replay::healthy());
    let mut status = replay.body("status");
    status["fsmap"] = serde_json::json!({ "epoch": 6, "by_rank": [], "up:standby": 0 });
    replay.set("status", [said(0, &status, "")]);
    let view = replay.client().look().await.any_age().cloned().expect("a view");
    assert_eq!((view.mds.len(), replay.asked().contains(&"fs dump".to_owned())), (0, false));

    let serving =
        serde_json::json!({ "filesystem_id": 1, "rank": 0, "name": "node2", "status": "up:active" });
    status["fsmap"] = serde_json::json!({ "epoch": 6, "by_rank": [serving], "up:standby": 1 });
    replay.set("status", [said(0, &status, "")]);
    let view = replay.client().look().await.any_age().cloned().expect("a view");
    let told: Vec<_> = view.mds.iter().map(|mds| (mds.name.as_str(), mds.serves.as_deref())).collect();
    assert_eq!(told, [("node1", None), ("node2", Some("labfs"))]);
}

/// A status that does not say whether there is a filesystem says nothing about metadata servers; they are asked for.
#[tokio::test]
async fn what_the_status_does_not_say_of_filesystems_is_asked() {
    let healthy = Replay::healthy().body("status");
    assert_eq!(healthy["fsmap"]["by_rank"], serde_json::json!([]), "this one has none, and says so");
    for part in ["fsmap", "by_rank"] {
        let replay = Arc::new(Replay::healthy());
        let mut status = healthy.clone();
        let map = if part == "fsmap" { &mut status } else { &mut status["fsmap"] };
        map.as_object_mut().expect("a map").remove(part);
        replay.set("status", [said(0, &status, "")]);
        let view = replay.client().look().await.any_age().cloned().expect("a view");
        let serving: Vec<_> = view.mds.iter().filter_map(|mds| mds.serves.as_deref()).collect();
        assert_eq!(serving, ["labfs"], "without {part}");
        // And if nobody answers that either, nothing of this look is known.
        replay.set("fs dump", [None]);
        let blind = replay.client().look().await;
        assert!(digest(&blind).contains("fs dump"), "without {part}: {}", digest(&blind));
    }
}
