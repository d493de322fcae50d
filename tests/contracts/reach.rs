//! What pitlane can say to other systems: the list that it publishes is whole, nobody speaks beside it, and nothing of it
//! destroys.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use pitlane::adapters::ceph::Command;
use pitlane::adapters::pve::statement::{Newest, all};
use pitlane::adapters::statement;
use pitlane::model::reach::{Call, Effect, System};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// Every source file of the program, without its unit tests and comments.
fn sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut dirs: Vec<PathBuf> = vec![root().join("src")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("sources").map(|entry| entry.expect("an entry").path()) {
            let name = entry.strip_prefix(root()).expect("below the root").display().to_string();
            if entry.is_dir() {
                dirs.push(entry);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") && !name.contains("/tests/") {
                let whole = text(&name);
                let code = whole.split("\n#[cfg(test)]").next().unwrap_or_default();
                let code: Vec<&str> =
                    code.lines().map(|l| l.split("//").next().unwrap_or_default()).collect();
                found.insert(name, code.join("\n"));
            }
        }
    }
    assert!(found.len() > 200, "the sources were found");
    found
}

/// The files that hold any of these words.
fn holding(words: &[&str], among: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let holds = |code: &str| words.iter().any(|word| code.contains(word));
    sources().into_iter().filter(|(name, code)| among(name) && holds(code)).map(|(name, _)| name).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The variants of an enumeration, as its file spells them.
fn variants(file: &str, head: &str) -> usize {
    let code = text(file);
    let body = code.split(head).nth(1).unwrap_or_else(|| panic!("{file} has no {head}"));
    let body = body.split("\n}").next().unwrap_or_default();
    body.lines().filter(|l| l.trim_start().starts_with(|c: char| c.is_ascii_uppercase())).count()
}

fn orders(system: System) -> BTreeSet<String> {
    let all = statement().into_iter().filter(|call| call.system == system && call.effect != Effect::Read);
    all.map(|call| format!("{} {}", call.method, call.path)).collect()
}

/// What auditors read is what the program says. `PITLANE_BLESS=1` writes it anew.
#[test]
fn the_published_list_is_the_programs_own() {
    let path = root().join("docs/calls.json");
    let now = serde_json::to_string_pretty(&statement()).expect("JSON") + "\n";
    if std::env::var_os("PITLANE_BLESS").is_some() {
        fs::write(&path, &now).expect("writable");
    }
    let published = fs::read_to_string(&path).expect("docs/calls.json");
    assert!(published == now, "docs/calls.json is stale; PITLANE_BLESS=1 writes it, then read what changed");
    let read: Vec<Call> = serde_json::from_str(&published).expect("machines can read it");
    assert_eq!(read, statement());
}

#[test]
fn every_call_stands_in_the_list() {
    let code = text("src/adapters/pve/calls.rs");
    let made: BTreeSet<&str> = code
        .match_indices("\npub fn ")
        .filter_map(|(at, head)| code[at + head.len()..].split(['(', '<']).next())
        .collect();
    let listed: BTreeSet<&str> = all(Newest::Nine).iter().map(|call| call.name).collect();
    assert_eq!(made, listed);
    let kinds: BTreeSet<String> =
        Command::all().iter().map(|c| format!("{:?}", std::mem::discriminant(c))).collect();
    assert_eq!(kinds.len(), variants("src/adapters/ceph/command.rs", "pub enum Command {"));
    for (system, file, head, words) in [
        (System::Hand, "src/adapters/hand/verb.rs", "pub enum Verb<'a> {", 2),
        (System::Alertmanager, "src/adapters/alertmanager/calls.rs", "pub enum Asked<'a> {", 9),
        (System::RequestTracker, "src/adapters/tickets/rt/calls.rs", "pub enum Asked<'a> {", 9),
    ] {
        let word = |call: &Call| {
            format!("{} {}", call.method, call.path).split(' ').take(words + 1).collect::<Vec<_>>().join(" ")
        };
        let told: BTreeSet<String> = statement().iter().filter(|c| c.system == system).map(word).collect();
        assert_eq!(told.len(), variants(file, head), "{told:?}");
    }
}

/// An order that nobody gives is a right that nobody needs.
#[test]
fn every_order_for_proxmox_is_given_by_somebody() {
    for call in all(Newest::Nine).iter().filter(|call| call.method != "GET") {
        let word = format!("calls::{}(", call.name);
        let own = |name: &str| name.starts_with("src/adapters/pve/") && !name.ends_with("/statement.rs");
        assert!(!holding(&[&word], own).is_empty(), "{} is never given; take it out of calls.rs", call.name);
    }
}

#[test]
fn nobody_speaks_to_proxmox_beside_its_calls() {
    let makers = holding(&["Call::get(", "Call::on(", "Call::<", "Method::"], |name| {
        name.starts_with("src/adapters/pve/")
    });
    assert_eq!(makers, set(&["src/adapters/pve/calls.rs", "src/adapters/pve/request.rs"]));
    // The address of the API stands in one place; the simulated cluster of stories and demo answers there, and the list tells it.
    let addressed = holding(&["api2/json", "PVEAPIToken"], |name| {
        !name.starts_with("src/sim/") && !name.starts_with("src/demo/")
    });
    let wanted = ["src/adapters/pve/request.rs", "src/adapters/pve/statement.rs"];
    assert_eq!(addressed, set(&wanted));
    let senders = holding(&["to_http("], |_| true);
    assert_eq!(senders, set(&["src/adapters/pve/client.rs", "src/adapters/pve/request.rs"]));
}

/// Which file speaks with which methods, whoever listens.
#[test]
fn nobody_speaks_http_beside_the_list() {
    let changing = [
        "Method::POST",
        "Method::PUT",
        "Method::PATCH",
        "Method::DELETE",
        ".post(",
        ".put(",
        ".patch(",
        ".delete(",
    ];
    let wanted = [
        "src/adapters/alertmanager/calls.rs",
        "src/adapters/bmc/redfish/http.rs",
        "src/adapters/bmc/redfish/mod.rs", // asks http.rs to
        "src/adapters/notify/webhook.rs",
        "src/adapters/pve/calls.rs",
        "src/adapters/pve/request.rs", // how each method carries its parameters
        "src/adapters/tickets/http/talk.rs",
        "src/adapters/tickets/rt/calls.rs",
        "src/adapters/tickets/rt/mod.rs", // its own name for a change
    ];
    assert_eq!(holding(&changing, |name| name.starts_with("src/adapters/")), set(&wanted));
    let clients = holding(&["reqwest"], |name| !name.starts_with("src/adapters/"));
    assert_eq!(
        clients,
        set(&["src/cli/client.rs", "src/demo/people.rs"]),
        "the command line and the demo ask our own service, nobody else"
    );
    let redfish = sources().remove("src/adapters/bmc/redfish/http.rs").expect("there");
    assert!(!redfish.contains("POST") && !redfish.contains("DELETE"), "power is a POST; nobody sends one");
}

#[test]
fn programs_are_run_by_those_who_tell_their_words() {
    let runners = holding(&["child::{", "child::run", "process::Command"], |_| true);
    let wanted = [
        "src/adapters/bmc/ipmi/mod.rs",
        "src/adapters/ceph/runner.rs",
        "src/adapters/ceph/error.rs", // reads what was said
        "src/adapters/child.rs",
        "src/adapters/hand/error.rs", // reads what was said
        "src/adapters/hand/ssh.rs",
    ];
    let strange: Vec<_> = runners.difference(&set(&wanted)).cloned().collect();
    assert!(strange.is_empty(), "these run programs beside the list: {strange:?}");
}

/// The whole of what changes anything, system by system. A line more here is a decision, not a slip.
#[test]
fn nothing_that_is_said_destroys() {
    let proxmox = [
        // Ends a running task: a migration that takes too long. The one DELETE there is.
        "DELETE /api2/json/nodes/NODE/tasks/UPID",
        "POST /api2/json/nodes/NODE/lxc/VMID/migrate",
        "POST /api2/json/nodes/NODE/lxc/VMID/status/resume",
        "POST /api2/json/nodes/NODE/lxc/VMID/status/shutdown",
        "POST /api2/json/nodes/NODE/lxc/VMID/status/start",
        "POST /api2/json/nodes/NODE/qemu/VMID/migrate",
        "POST /api2/json/nodes/NODE/qemu/VMID/status/resume",
        "POST /api2/json/nodes/NODE/qemu/VMID/status/shutdown",
        "POST /api2/json/nodes/NODE/qemu/VMID/status/start",
    ];
    assert_eq!(orders(System::Proxmox), set(&proxmox));
    let ceph =
        ["run ceph mgr fail MGR", "run ceph osd set-group noout HOST", "run ceph osd unset-group noout HOST"];
    assert_eq!(orders(System::Ceph), set(&ceph));
    let hand = [
        "run pitlane-hand maintenance off NODE",
        "run pitlane-hand maintenance on NODE",
        "run pitlane-hand mgr-fail MGR",
        "run pitlane-hand noout off HOST",
        "run pitlane-hand noout on HOST",
    ];
    assert_eq!(orders(System::Hand), set(&hand));
    let bmc = [
        "PATCH /redfish/v1/LINK",
        "run ipmi-chassis --chassis-identify=FORCE",
        "run ipmi-chassis --chassis-identify=TURN-OFF",
    ];
    assert_eq!(orders(System::Bmc), set(&bmc));
    assert_eq!(orders(System::Prometheus), set(&[]));
    let silences = ["DELETE /api/v2/silence/ID", "POST /api/v2/silences"];
    assert_eq!(orders(System::Alertmanager), set(&silences));
}

#[test]
fn no_parameter_forces_or_skips() {
    let forbidden = [
        "force",
        "skiplock",
        "purge",
        "destroy-unreferenced-disks",
        "forceStop",
        "overrule-shutdown",
        "migration_type",
    ];
    for call in statement() {
        for parameter in &call.parameters {
            assert!(
                !forbidden.contains(&parameter.as_str()),
                "{} {} with {parameter}",
                call.method,
                call.path
            );
        }
    }
}

/// The helper runs as root: whatever asks it, these are all the acts that its script knows.
#[test]
fn the_helper_knows_no_act_that_destroys() {
    let script = text("src/adapters/hand/pitlane-hand");
    let acts: BTreeSet<String> = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            line.split("act ").nth(1).filter(|_| line.contains("act ha-") || line.contains("act ceph"))
        })
        .map(|rest| rest.split_whitespace().take(4).collect::<Vec<_>>().join(" "))
        .collect();
    assert!(!acts.is_empty(), "the script's acts were found");
    for act in &acts {
        for word in
            ["destroy", "purge", "rm", "remove", "delete", "zap", "out", "lost", "kill", "stop", "fence"]
        {
            assert!(act.split([' ', '-']).all(|part| part != word), "the helper can {act}");
        }
    }
    for tool in [
        "qm ",
        "pct ",
        "pvesm ",
        "pveceph ",
        "vzdump ",
        "wipefs",
        "mkfs",
        "rados ",
        "rbd ",
        "systemctl ",
        "reboot",
        "poweroff",
        " eval ",
    ] {
        let uses = script.lines().filter(|l| !l.trim_start().starts_with('#')).any(|l| l.contains(tool));
        assert!(!uses, "the helper runs {tool}");
    }
}
