//! The configuration read again while the service runs.

use std::fs;
use std::process::Command;

use super::running::{Service, configured, hash, until};

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

/// A case of each of these nodes that is open in the state directory, as an earlier process left it.
pub fn left_open(dir: &std::path::Path, nodes: &[&str]) {
    use pitlane::model::case::{Case, Origin, Phase};
    use pitlane::model::state::Decision;
    use pitlane::model::time::Time;
    use pitlane::ports::{Clock, Store};

    struct Now;
    impl Clock for Now {
        fn now(&self) -> Time {
            Time::now()
        }
    }
    let at = Time::now();
    let case = |(n, node): (u64, &&str)| Case {
        id: pitlane::model::ids::CaseId(n),
        node: (*node).into(),
        policy: "manual".into(),
        origin: Origin::Person { by: "alice".into(), reason: "new firmware".into(), yes: false },
        opened_at: at,
        faults: Default::default(),
        phase: Phase::Preparing { since: at, approval: None, shown: None, room: Default::default() },
        in_place: None,
        owed: Default::default(),
        wait: None,
        overran: false,
        late: false,
        heal: false,
        parts: Default::default(),
        took: None,
        revision: 0,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let store =
            pitlane::adapters::store::open(&dir.join("state"), std::sync::Arc::new(Now)).expect("a store");
        let decision = Decision { cases: (1..).zip(nodes).map(case).collect(), ..Decision::default() };
        store.commit(&decision, at).await.expect("it is written");
    });
}

#[test]
fn another_cluster_is_refused_while_a_case_is_open() {
    let dir = configured("");
    let file = dir.path().join("pitlane.yaml");
    let plain = fs::read_to_string(&file).expect("readable");
    fs::write(&file, format!("name: lab\n{plain}")).expect("writable");
    left_open(dir.path(), &["pve1"]);
    let service = Service::started(dir, Command::new(assert_cmd::cargo::cargo_bin("pitlane")));
    for (other, words) in [
        (
            format!("name: shop\n{plain}"),
            "name: the running configuration is of cluster lab, this one of shop",
        ),
        (plain.clone(), "here is no name"),
        (
            format!("name: lab\n{plain}").replace("pve1", "web1").replace("pve2", "web2"),
            "asks pve1 and pve2, this one web1 and web2",
        ),
    ] {
        service.write("pitlane.yaml", &other);
        let (code, out, err) = service.ask("operate", &["reload"]);
        assert_eq!(code, 2, "{out}{err}");
        assert!(out.contains(words) && out.contains("Case 1 of pve1 is open"), "{words} is not in\n{out}");
        let (_, out, _) = service.ask("read", &["status"]);
        assert!(out.contains(words), "status tells it, too: {out}");
        until("the log tells it", || service.log().contains(words));
    }
    // The same cluster with one member less is the same cluster.
    let fewer: String = format!("name: lab\n{plain}")
        .lines()
        .filter(|line| !line.contains("pve2"))
        .map(|line| format!("{line}\n"))
        .collect();
    service.write("pitlane.yaml", &fewer);
    let (code, out, err) = service.ask("operate", &["reload"]);
    assert_eq!(code, 0, "{out}{err}");
}

#[test]
fn without_an_open_case_another_cluster_counts() {
    let dir = configured("");
    let file = dir.path().join("pitlane.yaml");
    let plain = fs::read_to_string(&file).expect("readable");
    fs::write(&file, format!("name: lab\n{plain}")).expect("writable");
    let service = Service::started(dir, Command::new(assert_cmd::cargo::cargo_bin("pitlane")));
    service.write("pitlane.yaml", &format!("name: shop\n{plain}"));
    let (code, out, err) = service.ask("operate", &["reload"]);
    assert_eq!(code, 0, "{out}{err}");
}

#[test]
fn what_the_ticket_system_lacks_is_told_where_mistakes_are() {
    let service = Service::start("");
    let plain = service.read("pitlane.yaml");
    // Nobody listens on port 1 of loopback.
    service.write("robot", "1-2-3\n");
    let tickets = "tickets: {kind: rt, url: \"http://127.0.0.1:1/\", token_file: robot, queue: Hardware}\n";
    service.write("pitlane.yaml", &format!("name: lab\n{plain}{tickets}"));
    let words = "tickets: Request Tracker: no connection while asking for its version";
    let (code, out, err) = service.ask("operate", &["reload"]);
    assert!(code == 0 && out.contains(words), "it counts, and lacks something: {code} {out}{err}");
    let (_, out, _) = service.ask("operate", &["--json", "reload"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(json["tickets_lack"][0], words, "{out}");
    let (_, out, _) = service.ask("read", &["status"]);
    assert!(out.contains(words), "{out}");
    assert!(service.log().contains(words), "{}", service.log());
    service.write("pitlane.yaml", &plain);
    let (_, out, _) = service.ask("operate", &["reload"]);
    assert!(!out.contains("tickets:"), "the board lacks nothing: {out}");
}

#[test]
fn calendars_count_with_their_policies_or_not_at_all() {
    let service = Service::start("");
    let policies = service.dir.path().join("policies");
    fs::create_dir(&policies).expect("writable");
    let of_house = |name: &str| {
        fs::read_to_string(format!("{}/policies/{name}", env!("CARGO_MANIFEST_DIR"))).expect("shipped")
    };
    let fan = of_house("fan.yaml").replace("mode: approve", "mode: approve, when: staffed-hours");
    fs::write(policies.join("fan.yaml"), fan).expect("writable");
    fs::write(policies.join("manual.yaml"), of_house("manual.yaml")).expect("writable");
    let config = service.read("pitlane.yaml").replace("state: state", "state: state\npolicies: policies");
    service.write("pitlane.yaml", &config);

    let (code, out, _) = service.ask("operate", &["reload"]);
    assert!(
        code == 2 && out.contains("fan.yaml:7:47: respond.when: there is no calendar staffed-hours"),
        "{out}"
    );

    let calendar = policies.join("staffed-hours.calendar.yaml");
    let text = of_house("staffed-hours.calendar.yaml");
    fs::write(&calendar, text.replace("to: 17:00", "to: 07:00")).expect("writable");
    let (code, out, _) = service.ask("operate", &["reload"]);
    assert!(code == 2 && out.contains("a window from 07:00 to 07:00 has no length"), "{out}");
    let (_, out, _) = service.ask("read", &["status"]);
    assert!(out.contains("has no length"), "status tells it: {out}");

    fs::write(&calendar, text).expect("writable");
    let (code, out, err) = service.ask("operate", &["reload"]);
    assert!(code == 0 && out.contains("counts from the next turn"), "{code} {out}{err}");
    let file = service.dir.path().join("pitlane.yaml");
    let check = Command::new(assert_cmd::cargo::cargo_bin("pitlane"))
        .args(["config", "check", "--config"])
        .arg(&file)
        .output()
        .expect("it runs");
    let out = String::from_utf8_lossy(&check.stdout);
    assert!(out.contains("Calendar staffed-hours: ") && out.contains("named by fan."), "{out}");
}
