//! The configuration read again while the service runs.

use std::fs;

use super::running::{Service, hash, until};

#[test]
fn what_is_wrong_changes_nothing_and_is_told_everywhere() {
    let service = Service::start("");
    let good = service.read("pitlane.yaml");
    service.write("pitlane.yaml", &good.replace("mode: approve", "mode: atc\nmdoe: act"));
    let (code, out, err) = service.ask("operate", &["reload"]);
    assert_eq!(code, 2, "{out}{err}");
    for words in ["is wrong", "pitlane.yaml:1:7: mode cannot be \"atc\"", "pitlane.yaml:2:1: mdoe"] {
        assert!(out.contains(words), "{words} is not in\n{out}");
    }
    let (_, out, _) = service.ask("read", &["status"]);
    assert!(out.contains("mode approve") && out.contains("2:1: mdoe"), "the old one counts: {out}");
    until("the log tells the mistakes", || service.log().contains("mdoe"));
    let (code, out, _) = service.ask("operate", &["--json", "reload"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, json["refused"]["mistakes"].as_array().map(Vec::len)), (2, Some(2)), "{out}");
    let (code, _, err) = service.ask("read", &["reload"]);
    assert!(code == 3 && err.contains("needs the role operate"), "{code} {err}");

    service.write("pitlane.yaml", &good.replace("mode: approve", "mode: observe"));
    let (code, out, err) = service.ask("operate", &["reload"]);
    assert!(code == 0 && out.contains("counts from the next turn"), "{code} {out}{err}");
    let (_, out, _) = service.ask("read", &["status"]);
    assert!(out.contains("mode observe") && !out.contains("mdoe"), "{out}");
}

#[test]
fn a_hangup_reads_tokens_and_policies_again_and_says_what_needs_a_restart() {
    let service = Service::start("");
    let policies = service.dir.path().join("policies");
    fs::create_dir(&policies).expect("writable");
    for name in ["fan.yaml", "manual.yaml"] {
        let shipped = format!("{}/policies/{name}", env!("CARGO_MANIFEST_DIR"));
        fs::copy(shipped, policies.join(name)).expect("shipped");
    }
    // bob's token is taken back, carol gets one; the address and the state directory cannot change.
    service.write("carol", "carol\n");
    let carol = format!("  - {{name: carol, role: read, sha256: {}}}\n", hash("carol"));
    service.write(
        "tokens.yaml",
        &service.read("tokens.yaml").replace(
            &format!(", role: read, sha256: {}}}", hash("read")),
            &format!(", role: read, sha256: {}}}", hash("gone")),
        ),
    );
    let tokens = service.read("tokens.yaml");
    service.write("tokens.yaml", &(tokens + &carol));
    let config = service.read("pitlane.yaml");
    let config = config
        .replace("state: state", "state: elsewhere\npolicies: policies")
        .replace("127.0.0.1:0", "127.0.0.1:1");
    service.write("pitlane.yaml", &config);
    assert_eq!(service.ask("carol", &["cases"]).0, 2, "not yet known");
    service.signal("HUP");
    until("carol is known", || service.ask("carol", &["cases"]).0 == 0);
    assert_eq!(service.ask("read", &["cases"]).0, 2, "bob's token is no good any more");
    let (_, out, _) = service.ask("carol", &["status"]);
    assert!(out.contains("Counts only after a restart: http.listen, state."), "{out}");
    assert!(!service.dir.path().join("elsewhere").exists(), "the state stays where it is");
    let (_, out, _) = service.ask("carol", &["--json", "status"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(json["config"]["refused"], serde_json::Value::Null, "{out}");
}
