//! A real service whose cluster is silent: what it cannot see is unknown, and unknown is no.

use std::time::{Duration, Instant};

use super::running::Service;
use super::said;

#[test]
fn blind_is_no_within_fifteen_seconds() {
    let service = Service::start("");
    let began = Instant::now();
    let (code, out, _) = service.ask("read", &["check", "pve1"]);
    assert!(began.elapsed() < Duration::from_secs(15));
    assert_eq!(code, 4, "{out}");
    assert!(out.contains("quorum") && out.contains("unknown is no") && out.contains("n/a"), "{out}");
    let (code, out, _) = service.ask("read", &["--json", "check", "pve1"]);
    let judged: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &judged["verdict"]["node"]), (4, &serde_json::json!("pve1")));
    let (code, out, err) = service.ask("operate", &["--drain", "pve1"]);
    assert_eq!(code, 4, "{out}");
    assert!(err.contains("Nothing was asked for"), "{err}");
    // Whether it is a member cannot be seen: no "no", and no longer than was said.
    let began = Instant::now();
    let words = ["drain", "pve1", "--when-clear", "--wait", "--timeout", "30s"];
    let (code, _, err) = service.ask("operate", &words);
    assert_eq!(code, 4, "{err}");
    assert!(began.elapsed() < Duration::from_secs(35), "{:?}", began.elapsed());
}

#[test]
fn people_ask_and_are_answered_and_what_is_held_is_told_without_the_service() {
    let mut service = Service::start("");
    let (code, _, err) = service.ask("wrong", &["check", "pve1"]);
    assert!(code == 2 && err.contains("not known here"), "a wrong token is no verdict: {code} {err}");
    let (code, _, err) = service.ask("read", &["pause"]);
    assert!(code == 3 && err.contains("needs the role operate"), "{code} {err}");
    assert_eq!(service.ask("operate", &["pause", "--reason", "storm"]).0, 0);
    let (code, out, _) = service.ask("read", &["status"]);
    assert!(out.contains("Paused by alice") && out.contains("storm"), "{code} {out}");
    assert!(code == 4 && out.contains("BLIND, the cluster cannot be seen"), "{code} {out}");
    assert_eq!(service.ask("operate", &["resume"]).0, 0);
    let (code, _, err) = service.ask("operate", &["abort", "99", "--reason", "x"]);
    assert!(code == 3 && err.contains("refused"), "{code} {err}");
    assert_eq!(service.ask("read", &["show", "99"]).0, 1);

    // A second one does not touch the state of the first.
    let (code, _, err) = said(service.dir.path(), &["run", "--config", "pitlane.yaml"]);
    assert_eq!(code, 1, "{err}");

    assert_eq!(service.terminate(), 0, "a graceful end");
    let (code, out, err) = service.ask("read", &["owed"]);
    assert!(code == 0 && out.contains("Nothing is owed"), "{code} {out} {err}");
    let (code, out, _) = service.ask("read", &["audit", "verify"]);
    assert!(code == 0 && out.contains("whole"), "{code} {out}");
}

#[test]
fn tls_is_spoken_where_it_is_configured_and_strangers_are_not_trusted() {
    let mut service = Service::start(", tls: {cert: cert.pem, key: key.pem}");
    service.url = service.url.replace("http://127.0.0.1", "https://localhost");
    let (code, _, err) = service.ask("read", &["cases", "--ca-file", "cert.pem"]);
    assert_eq!(code, 0, "{err}");
    // The configuration names the certificate, so whoever reads it trusts it; elsewhere it is a stranger's.
    std::fs::rename(service.dir.path().join("pitlane.yaml"), service.dir.path().join("moved.yaml"))
        .expect("ours");
    let (code, _, err) = service.ask("read", &["cases"]);
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("certificate") || err.contains("UnknownIssuer"), "{err}");
    assert_eq!(service.terminate(), 0, "a graceful end");
}
