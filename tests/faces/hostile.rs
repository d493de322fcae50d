//! Alerts by whoever can write a label: what they name may be read, and does nothing.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::running::{Service, hash, until};

/// Each would like to be something else.
const HOSTILE: [&str; 9] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "FAN\r\nSet-Cookie: a=b\r\n\r\n<h1>",
    "$(touch /tmp/owned)`id`;|&&",
    "a\"} or vector(1) #",
    "\u{202e}3NAF\u{2066}",
    "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m",
    "x\n2026-01-01T00:00:00Z ERROR forged: everything is lost",
    "nul\0nul",
];

#[test]
fn a_label_is_read_and_does_nothing() {
    let dir = super::running::configured("");
    let write = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).expect("writable");
        std::fs::set_permissions(dir.path().join(name), PermissionsExt::from_mode(0o600)).expect("ours");
    };
    let tokens = std::fs::read_to_string(dir.path().join("tokens.yaml")).expect("readable");
    write("tokens.yaml", &format!("{tokens}  - {{name: am, role: alerts, sha256: {}}}\n", hash("alerts")));
    let service = Service::started(dir, {
        let mut program = std::process::Command::new("env");
        program.args(["PITLANE_LOG=debug"]).arg(assert_cmd::cargo::cargo_bin("pitlane"));
        program
    });
    let huge = "H".repeat(1 << 20);
    let mut alerts = Vec::new();
    for (n, evil) in HOSTILE.iter().copied().chain([huge.as_str()]).enumerate() {
        alerts.push(json!({
            "status": "firing",
            "labels": {"alertname": evil, "alarm_class": "fan", "severity": "critical", "node": evil, "component": evil},
            "annotations": {"summary": evil},
            "startsAt": "2026-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": evil, "fingerprint": format!("{n:016x}"),
        }));
    }
    let body = json!({"version": "4", "status": "firing", "receiver": "pitlane", "groupLabels": {}, "commonLabels": {},
        "commonAnnotations": {}, "externalURL": "http://am", "groupKey": "{}", "truncatedAlerts": 0, "alerts": alerts});
    let answer = service.post("/alerts/alertmanager", "alerts", &body.to_string());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // What nobody can read is kept for people, and shown to them.
    let garbage = format!("{}\u{1b}[2J{}", HOSTILE.join("\n"), "\u{9b}2J");
    assert!(service.post("/alerts/alertmanager", "alerts", &garbage).starts_with("HTTP/1.1 200"));
    until("a turn saw them", || service.ask("read", &["--json", "status"]).1.contains("\"turn_at\": \"2"));
    let hostile_reason = HOSTILE.join(" ");
    let _ = service.ask("operate", &["pause", "--reason", &hostile_reason.replace('\0', "")]);
    for words in
        [&["status"][..], &["alerts"], &["alerts", "--unreadable"], &["cases"], &["--json", "status"]]
    {
        let (_, out, err) = service.ask("read", words);
        for (what, text) in [("out", &out), ("err", &err)] {
            let strange = text.chars().find(|c| {
                (c.is_control() && !matches!(c, '\n' | '\t'))
                    || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            });
            assert_eq!(strange, None, "{words:?} {what}: {text:?}");
        }
        if words.contains(&"--json") {
            let status: serde_json::Value = serde_json::from_str(&out).expect("still JSON");
            assert!(
                status["paused"]["reason"].as_str().is_some_and(|why| why.contains("\u{202e}3NAF")),
                "what was written is there: {out}"
            );
        }
    }
    let log = service.log();
    assert!(!log.lines().any(|line| line.starts_with("2026-01-01T00:00:00Z ERROR forged")), "{log}");
    assert!(!log.contains('\u{1b}') && !log.contains('\u{202e}') && !log.contains('\0'), "{log:?}");
    assert!(!std::path::Path::new("/tmp/owned").exists());
    assert_eq!(service.ask("read", &["cases"]).0, 0, "it goes on");
}
