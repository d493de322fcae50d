//! Commands that need no service.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{pitlane, said};

#[test]
fn a_wrong_command_line_is_usage_and_says_what_to_write() {
    let dir = tempfile::tempdir().expect("a directory");
    for (words, expected) in [
        (&["chekc", "pve1"][..], "check"),
        (&["check"], "<NODE>"),
        (&["drain", "pve1", "--timeout", "90"], "such as 10m"),
        (&["approve", "1"], "--plan <HASH>"),
        (
            &["approve", "1", "--plan", "abc", "--url", "http://127.0.0.1:1", "--token-file", "t"],
            "first 12 characters",
        ),
        (&["--url", "http://127.0.0.1:1", "check", "pve1"], "--token-file FILE"),
        (&["check", "pve1"], "--url URL"),
        (&["check", "pve 1", "--url", "http://127.0.0.1:1", "--token-file", "t"], "is no node's name"),
        (&["run", "--config", "nowhere.yaml"], "nowhere.yaml:1:1: cannot read "),
        (&["owed", "--offline"], "--config FILE"),
    ] {
        fs::write(dir.path().join("t"), "token\n").expect("writable");
        let (code, _, err) = said(dir.path(), words);
        assert_eq!(code, 2, "{words:?}: {err}");
        assert!(err.contains(expected), "{words:?}: {err}");
    }
}

#[test]
fn help_tells_the_exit_codes() {
    let dir = tempfile::tempdir().expect("a directory");
    let (code, out, _) = said(dir.path(), &["--help"]);
    assert_eq!(code, 0);
    for words in ["Exit codes:", "4  cannot see", "--drain <NODE>"] {
        assert!(out.contains(words), "{words} is not in\n{out}");
    }
}

#[test]
fn a_service_that_does_not_answer_is_not_seen() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("t"), "token\n").expect("writable");
    let at = ["--url", "http://127.0.0.1:1", "--token-file", "t"];
    for command in [&["check", "pve1"][..], &["status"], &["--drain", "pve1"], &["pause"]] {
        let words: Vec<&str> = at.iter().chain(command).copied().collect();
        let (code, _, err) = said(dir.path(), &words);
        assert_eq!(code, 4, "{words:?}: {err}");
        assert!(err.contains("does not answer"), "{err}");
    }
    let (code, out, _) =
        said(dir.path(), &["--json", "status", "--url", "http://127.0.0.1:1", "--token-file", "t"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &json["exit"]), (4, &serde_json::json!(4)));
}

#[test]
fn all_mistakes_of_a_configuration_come_in_one_run() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("policies")).expect("writable");
    fs::write(dir.path().join("policies/fan.yaml"), "policy: fan\nmatch: ['x']\n").expect("writable");
    fs::write(dir.path().join("c.yaml"), "mdoe: act\npolicies: policies\nhttp: {listen: here}\n")
        .expect("writable");
    let (code, out, _) = said(dir.path(), &["config", "check", "--config", "c.yaml"]);
    assert_eq!(code, 2);
    for line in [
        "c.yaml:1:1: mdoe",
        "c.yaml:3:16: http.listen",
        "policies/fan.yaml:2:9: match.0",
        "confirm is missing",
    ] {
        assert!(out.contains(line), "{line} is not in\n{out}");
    }
    let (code, out, _) = said(dir.path(), &["config", "check", "--config", "c.yaml", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &json["mistakes"][0]["line"]), (2, &serde_json::json!(1)));
}

#[test]
fn policies_are_listed_tested_and_described() {
    let dir = tempfile::tempdir().expect("a directory");
    let (code, out, _) = said(dir.path(), &["policy", "test"]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("of 9 tests passed") || out.contains("tests passed."), "{out}");
    let (code, out, _) = said(dir.path(), &["policy", "list"]);
    assert!(code == 0 && out.contains("fan") && out.contains("manual"), "{out}");
    for words in [&["policy", "schema"][..], &["policy", "schema", "--tests"], &["config", "schema"]] {
        let (code, out, _) = said(dir.path(), words);
        let schema: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert!(code == 0 && schema["properties"].is_object(), "{words:?}");
    }
    fs::write(dir.path().join("a.test.yaml"), "policy: a\n").expect("writable");
    let (code, out, _) = said(dir.path(), &["policy", "test", "a.test.yaml"]);
    assert!(code == 2 && out.contains("a.test.yaml:1:1: "), "{code} {out}");
}

#[test]
fn a_failing_policy_test_fails() {
    let dir = tempfile::tempdir().expect("a directory");
    let shipped = |name: &str| format!("{}/policies/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::copy(shipped("fan.yaml"), dir.path().join("fan.yaml")).expect("writable");
    let tests = fs::read_to_string(shipped("fan.test.yaml")).expect("shipped");
    fs::write(dir.path().join("fan.test.yaml"), tests.replace("component: FAN5", "component: FAN6"))
        .expect("writable");
    let (code, out, _) = said(dir.path(), &["policy", "test", "."]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("expected \"FAN6\", found \"FAN5\""), "{out}");
}

#[test]
fn a_recorded_turn_is_decided_again() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("bad.json"), "{\"state\": 1}").expect("writable");
    let (code, _, err) = said(dir.path(), &["explain", "--observed", "bad.json"]);
    assert!(code == 2 && err.contains("bad.json:1:") && err.contains("GET /api/v1/observed"), "{code} {err}");
    let mistakes = &mut pitlane::config::Mistakes::default();
    let rules = pitlane::model::rules::Rules {
        mode: pitlane::model::rules::Mode::Approve,
        policies: pitlane::config::policy::load(None, mistakes),
        mapping: Default::default(),
        ceph: Default::default(),
        hand: Default::default(),
        alarms: Default::default(),
        budgets: Default::default(),
        limits: Default::default(),
        packing: Default::default(),
        notify: Default::default(),
        own: pitlane::model::rules::OwnHome::outside(),
        silences: None,
        shared: None,
    };
    let at = "2026-01-01T12:00:00Z".parse().expect("a valid instant");
    let observed = pitlane::model::observed::Observed::nothing(at);
    let recorded = pitlane::model::shown::Recorded { state: Default::default(), observed, rules };
    fs::write(dir.path().join("turn.json"), serde_json::to_vec(&recorded).expect("JSON")).expect("writable");
    let (code, out, err) = said(dir.path(), &["explain", "--observed", "turn.json", "--node", "pve1"]);
    assert!(code == 0 && out.contains("Decided as of 2026-01-01 12:00:00Z"), "{code} {out} {err}");
    assert!(out.contains("NO, pve1 may not leave now") && out.contains("No steps."), "{out}");
    let (code, _, err) = said(dir.path(), &["explain", "--observed", "nowhere.json"]);
    assert!(code == 2 && err.contains("cannot be read"), "{code} {err}");
}

#[test]
fn pages_and_completions_are_written() {
    let dir = tempfile::tempdir().expect("a directory");
    pitlane(dir.path()).args(["man", "pages"]).assert().success();
    let page = fs::read_to_string(dir.path().join("pages/pitlane-drain.1")).expect("a page for drain");
    assert!(page.contains("when\\-clear"), "{page}");
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = said(dir.path(), &["completions", shell]);
        assert!(code == 0 && out.contains("drain"), "{shell}");
    }
}

#[test]
fn a_reader_that_has_read_enough_is_no_accident() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("pitlane"))
        .args(["completions", "bash"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .current_dir(dir.path())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn names_that_do_not_meet_and_secrets_that_others_can_read_are_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let put = |name: &str, text: &str, mode: u32| {
        fs::write(dir.path().join(name), text).expect("writable");
        fs::set_permissions(dir.path().join(name), PermissionsExt::from_mode(mode)).expect("ours");
    };
    put("pve", "pitlane@pve!main=00000000-0000-0000-0000-000000000000\n", 0o644);
    put("key", "", 0o600);
    put("hosts", "", 0o644);
    put(
        "c.yaml",
        "mode: act\nkill_file: nowhere/stop\nproxmox:\n  endpoints:\n    - {node: pve1, url: \"https://192.0.2.11:8006\"}\n    - \
         {node: pve2, url: \"https://192.0.2.12:8006\"}\n    - {node: pve3, url: \"https://192.0.2.13:8006\"}\n  token_file: pve\nhand:\n  key: key\n  known_hosts: hosts\n  \
         members:\n    - {node: pve1, address: 192.0.2.11}\nmapping: {map: {\"198.51.100.11\": pve-1}}\nbudgets: \
         {domains: {pve9: feed-a}}\n",
        0o644,
    );
    let (code, out, err) = said(dir.path(), &["config", "check", "--config", "c.yaml"]);
    assert_eq!(code, 0, "{out}{err}");
    for words in [
        "mapping.map names pve-1",
        "did you mean pve1?",
        "budgets.domains names pve9",
        "hand.members lacks pve2",
        "proxmox.token_file: everybody on this machine may use",
        "kill_file: there is no directory",
        "c.yaml:1:7: mode act needs to know where pitlane itself runs",
    ] {
        assert!(out.contains(words), "{words} is not in\n{out}");
    }
    assert!(!out.contains("hand.key:"), "{out}");
    let text = fs::read_to_string(dir.path().join("c.yaml")).expect("just written");
    put("c.yaml", &format!("{text}self: {{node: pve1}}\n"), 0o644);
    let (code, out, _) = said(dir.path(), &["config", "check", "--config", "c.yaml"]);
    assert!(code == 0 && !out.contains("mode act needs"), "{out}");
}
