//! What `pitlane.yaml` may get wrong, each with its place; and what a good one means.

use std::path::PathBuf;

use super::*;
use crate::model::rules::{AlarmsSetup, Budgets, HandSetup, Limits, Mode, Packing};

const GOOD: &str = r#"mode: approve
state: state
proxmox:
  endpoints:
    - {node: pve1, url: "https://192.0.2.11:8006"}
    - {node: pve2, url: "https://192.0.2.12:8006"}
  token_file: token
ceph:
  setup: none
http:
  listen: 127.0.0.1:0
  tokens_file: tokens.yaml
budgets: {nodes_out_max: 2}
packing: {node_reserve: 4GiB}
"#;

const SHA: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("pitlane.yaml");
    std::fs::write(&path, text).expect("writable");
    std::fs::write(dir.path().join("token"), "pitlane@pve!main=00000000-0000-0000-0000-000000000000\n")
        .expect("writable");
    let tokens = format!("tokens:\n  - {{name: alice, role: operate, sha256: {SHA}}}\n");
    std::fs::write(dir.path().join("tokens.yaml"), tokens).expect("writable");
    (dir, path)
}

fn mistakes_in(text: &str) -> String {
    let (_dir, path) = written(text);
    load(&path).expect_err("must be refused").to_string()
}

#[test]
fn a_good_file_means_what_it_says() {
    let (dir, path) = written(GOOD);
    let config = load(&path).unwrap_or_else(|m| panic!("{m}"));
    assert_eq!(config.rules.mode, Mode::Approve);
    assert_eq!(config.state, dir.path().join("state"));
    assert_eq!(config.rules.budgets.nodes_out_max, 2);
    assert_eq!(config.rules.budgets.drains_per_day_max, Budgets::default().drains_per_day_max);
    assert_eq!(config.rules.packing.node_reserve, 4 << 30);
    assert_eq!(config.rules.hand, HandSetup::Absent);
    assert_eq!(config.proxmox.as_ref().map(|p| p.endpoints.len()), Some(2));
    assert_eq!(config.http.tokens[0].name, "alice");
    assert_eq!(config.http.tokens[0].sha256[0], 0x9f);
    assert!(!format!("{config:?}").contains("00000000-0000"), "a secret shows itself");
}

#[test]
fn an_empty_file_observes() {
    let (_dir, path) = written("");
    let config = load(&path).unwrap_or_else(|m| panic!("{m}"));
    assert_eq!(config.rules.mode, Mode::Observe);
    assert_eq!(config.rules.limits, Limits::default());
    assert_eq!(config.rules.packing, Packing::default());
}

#[test]
fn every_mistake_has_its_place_and_its_remedy() {
    let mut wrong = Vec::new();
    for (from, to, expected) in [
        (
            "mode: approve",
            "mode: aprove",
            "pitlane.yaml:1:7: mode cannot be \"aprove\"; did you mean approve?",
        ),
        ("mode: approve", "mdoe: approve", "pitlane.yaml:1:1: mdoe is not known; did you mean mode?"),
        ("state: state", "state: [a]", "2:8: state needs a text, found a list"),
        (
            "\"https://192.0.2.12:8006\"",
            "pve2",
            "6:25: proxmox.endpoints.1.url: \"pve2\" is no URL; write for example",
        ),
        ("node: pve2", "node: pve1", "6:14: proxmox.endpoints: pve1 is there twice; keep one"),
        ("token_file: token", "token: abc", "7:3: proxmox.token: secrets do not stand in this file"),
        ("token_file: token", "token_file: nowhere", "7:15: cannot read "),
        (
            "token_file: token",
            "token_file: tokens.yaml",
            "7:15: proxmox.token_file: what it holds is no API token",
        ),
        ("token_file: token", "token_env: PITLANE_NOT_SET", "the environment has no PITLANE_NOT_SET"),
        ("  token_file: token\n", "", "4:3: proxmox needs its token from one place"),
        (
            "token_file: token",
            "token_file: token\n  ca_file: nowhere.pem",
            "8:12: proxmox.ca_file: cannot read ",
        ),
        (
            "  token_file: token",
            "  fingerprints: {pve1: [\"9f:86\"], pve2: []}\n  token_file: token",
            "7:25: proxmox.fingerprints.pve1.0: this is no SHA-256; write its 64 hexadecimal digits",
        ),
        (
            "token_file: token",
            "token_file: token\n  fingerprints: {pve1: []}",
            "8:17: no fingerprint for pve2",
        ),
        ("setup: none", "setup: nome", "9:10: ceph.setup cannot be \"nome\"; did you mean none?"),
        ("127.0.0.1:0", "0.0.0.0:9690", "11:11: beyond loopback tokens would travel in the clear"),
        ("127.0.0.1:0", "localhost", "11:11: http.listen: \"localhost\" is no address with a port"),
        (
            "nodes_out_max: 2",
            "nodes_out_max: 0",
            "13:26: budgets.nodes_out_max: 0 is out of range; write 1 or more",
        ),
        (
            "nodes_out_max: 2",
            "nodes_out_max: 5000000000",
            "budgets.nodes_out_max: 5000000000 is out of range",
        ),
        ("4GiB", "4GB", "14:25: packing.node_reserve: \"4GB\" is no size; write for example 2GiB"),
        (
            "4GiB}",
            "4GiB}\nlimits: {empty_apart: 5s}",
            "15:23: limits.empty_apart: two sightings closer together",
        ),
        (
            "4GiB}",
            "4GiB}\nalertmanager: {urls: [\"http://127.0.0.1:9093\", \"http://127.0.0.1:9093/\"]}",
            "alertmanager.urls: http://127.0.0.1:9093/ is there twice; keep one",
        ),
        (
            "4GiB}",
            "4GiB}\nalertmanager: {urls: [\"http://192.0.2.5:9093\"], token_file: token}",
            "15:61: alertmanager.token_file: http://192.0.2.5:9093 would carry it in the clear; write https://",
        ),
        (
            "4GiB}",
            "4GiB}\nalertmanager: {urls: [\"http://[::1]:9093\"], user: me}",
            ": a login needs both; write user and password_file, or neither",
        ),
        (
            "4GiB}",
            "4GiB}\nalertmanager: {urls: [\"http://127.0.0.1:9093\"], silences: {alertnames: [NodeDown]}}",
            "15:59: name is missing; silences of ours are told from another cluster's by it",
        ),
        (
            "4GiB}",
            "4GiB}\nname: a b\nalertmanager: {urls: [\"http://127.0.0.1:9093\"], silences: {alertnames: [A]}}",
            "15:7: name: \"a b\" cannot stand in a silence; write letters",
        ),
        (
            "4GiB}",
            "4GiB}\nname: lab\nalertmanager: {urls: [\"http://127.0.0.1:9093\"], silences: {for: 1d, alertnames: [A]}}",
            "16:65: alertmanager.silences.for: 1d is no lease",
        ),
        (
            "4GiB}",
            "4GiB}\nname: lab\nalertmanager: {urls: [\"http://127.0.0.1:9093\"], silences: {for: 5m, alertnames: [A]}}",
            "write 10m to 4h",
        ),
        (
            "4GiB}",
            "4GiB}\nname: lab\nalertmanager: {urls: [\"http://127.0.0.1:9093\"], silences: {alertnames: []}}",
            "alertmanager.silences.alertnames needs at least 1 entry",
        ),
        (
            "4GiB}",
            "4GiB}\nname: lab\nalertmanager: {urls: [\"http://127.0.0.1:9093\"], silences: {alertnames: [\"Node.*\"]}}",
            "alertmanager.silences.alertnames: \"Node.*\" is no alert's name; write each as its rule has it",
        ),
        (
            "4GiB}",
            "4GiB}\nname: lab\nalertmanager: {urls: [\"http://127.0.0.1:9093\"], silences: {alertnames: [A, A]}}",
            "alertmanager.silences.alertnames: A is there twice; keep one",
        ),
        (
            "4GiB}",
            "4GiB}\nname: lab\nalertmanager: {silences: {alertnames: [A]}}",
            "16:16: alertmanager.urls is missing",
        ),
        (
            "4GiB}",
            "4GiB}\nprometheus: {url: \"http://127.0.0.1:9090\", ca_file: token}",
            ": prometheus.ca_file: ",
        ),
        (
            "4GiB}",
            "4GiB}\nprometheus: {url: \"http://127.0.0.1:9090\", token_file: tokens.yaml}",
            "must hold one line, the secret alone",
        ),
        (
            "127.0.0.1:0",
            "127.0.0.1:0\n  tls: {cert: token, key: token, alert_clients: [am1.example.org]}",
            ": nobody could tell whose certificates these are; add client_ca",
        ),
        (
            "127.0.0.1:0",
            "127.0.0.1:0\n  tls: {cert: token, key: token, client_ca: token, alert_clients: [\"a b\"]}",
            ": http.tls.alert_clients.0: \"a b\" is no name of a machine",
        ),
        (
            "127.0.0.1:0",
            "127.0.0.1:0\n  tls: {cert: token, key: token, clients: [{certificate: a.example.org, name: a, role: read}]}",
            ": nobody could tell whose certificates these are; add client_ca",
        ),
        (
            "127.0.0.1:0",
            "127.0.0.1:0\n  tls: {cert: token, key: token, client_ca: token, alert_clients: [a.example.org], \
             clients: [{certificate: A.example.org, name: a, role: operate}]}",
            "a.example.org is there twice; which of the two roles should count?",
        ),
        ("4GiB}", "4GiB}\npolicies: nowhere", "nowhere:1:1: cannot read "),
        ("4GiB}", "4GiB}\nmode: act", "15:1: mode is written twice, first in line 1; keep one"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let said = mistakes_in(&GOOD.replacen(from, to, 1));
        if !said.contains(expected) {
            wrong.push(format!("{to:?}\n  said      {said}\n  expected  {expected}"));
        }
        assert_eq!(said.lines().count(), 1, "one mistake, told once: {said}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn mistakes_of_all_files_come_in_one_run() {
    let text = GOOD.replace("approve", "aprove").replace("4GiB", "4GB").replace("node: pve2", "node: pve1");
    let (dir, path) = written(&format!("{text}policies: policies\n"));
    std::fs::create_dir(dir.path().join("policies")).expect("writable");
    std::fs::write(dir.path().join("policies/a.yaml"), "polcy: a\n").expect("writable");
    std::fs::write(dir.path().join("tokens.yaml"), "tokens: [{name: bob, role: root, sha256: 12}]\n")
        .expect("writable");
    let said = load(&path).expect_err("must be refused").to_string();
    for expected in
        ["1:7: mode", "6:14: proxmox.endpoints", "14:25: packing", "a.yaml:1:1: polcy", "tokens.yaml:1:28"]
    {
        assert!(said.contains(expected), "{expected} is not in\n{said}");
    }
}

#[test]
fn a_missing_configuration_says_so() {
    let said = load(Path::new("nowhere/pitlane.yaml")).expect_err("must be refused").to_string();
    assert!(said.starts_with("nowhere/pitlane.yaml:1:1: cannot read "), "{said}");
}

#[test]
fn what_may_be_silenced() {
    let silences = |more: &str| {
        let told = format!(
            "{GOOD}name: lab\nalertmanager: {{urls: [\"http://127.0.0.1:9093\"], silences: {{alertnames: [NodeDown]}}}}\n{more}"
        );
        let (_dir, path) = written(&told);
        load(&path).unwrap_or_else(|m| panic!("{m}")).rules.silences.expect("they are on")
    };
    let usual = silences("");
    assert_eq!(
        (usual.cluster.as_str(), usual.lease, usual.label.as_str()),
        ("lab", Period::mins(30), "node")
    );
    assert_eq!(usual.alertnames, ["NodeDown"]);
    assert_eq!(silences("mapping: {node_labels: [host]}\n").label, "host");
    let (_dir, path) = written(GOOD);
    assert_eq!(load(&path).unwrap_or_else(|m| panic!("{m}")).rules.silences, None, "off by default");
}

#[test]
fn whom_we_ask_and_how() {
    let told = format!(
        "{GOOD}alertmanager: {{urls: [\"https://192.0.2.5:9093\", \"https://192.0.2.6:9093\"], receiver: pitlane, \
         user: me, password_file: word, ca_file: ca.pem}}\n\
         prometheus: {{url: \"http://127.0.0.1:9090\", token_file: word}}\n"
    );
    let (dir, path) = written(&told);
    std::fs::write(dir.path().join("word"), "s3cret\n").expect("writable");
    let pem = "-----BEGIN CERTIFICATE-----\n";
    std::fs::write(dir.path().join("ca.pem"), pem).expect("writable");
    let config = load(&path).unwrap_or_else(|m| panic!("{m}"));
    assert_eq!(config.rules.alarms, AlarmsSetup::Polled);
    let asked = config.alertmanager.as_ref().expect("it is there");
    assert_eq!(asked.urls, ["https://192.0.2.5:9093", "https://192.0.2.6:9093"]);
    assert_eq!(asked.receiver.as_deref(), Some("pitlane"));
    assert_eq!(asked.basic, Some(("me".to_owned(), Secret("s3cret".to_owned()))));
    assert_eq!(asked.ca_pem.as_deref(), Some(pem.as_bytes()));
    let prometheus = config.prometheus.as_ref().expect("it is there");
    assert_eq!(prometheus.token, Some(Secret("s3cret".to_owned())));
    assert!(!format!("{config:?}").contains("s3cret"), "a secret shows itself");
}
