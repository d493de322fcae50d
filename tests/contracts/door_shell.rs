//! The control API, and the commands of a shell behind it: the real `pitlane-hand` acts on the simulated cluster.
//! (That script comes from the same repository; a real sshd in front of it is `tests/run`'s business.)

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use pitlane::model::ids::NodeName;
use pitlane::sim::http::Options;
use serde_json::{Value, json};

use crate::door_world::{Lab, recorded_world};

const HAND: &str = "src/adapters/hand/pitlane-hand";
const BIN: &str = "tests/lab/bin";

fn here(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a program as root of member `root` would.
async fn run(program: &Path, words: &[&str], root: &Path) -> Output {
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", here(BIN).display());
    let mut command = tokio::process::Command::new("/bin/sh");
    command
        .arg(program)
        .args(words)
        .env_clear()
        .env("PATH", path)
        .env("PITLANE_HAND_ROOT", root)
        .kill_on_drop(true);
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, command.output()).await.expect("it ends").expect("a shell")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

struct Member {
    root: tempfile::TempDir,
}

impl Member {
    fn of(lab: &Lab, name: &str) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        lab.door.prepare_root(&NodeName::from(name), root.path()).expect("written");
        Self { root }
    }

    async fn tool(&self, tool: &str, words: &[&str]) -> Output {
        run(&here(BIN).join(tool), words, self.root.path()).await
    }

    async fn hand(&self, words: &[&str]) -> Output {
        run(&here(HAND), words, self.root.path()).await
    }
}

#[tokio::test]
async fn the_commands_speak_as_the_real_ones() {
    let lab = Lab::still(recorded_world()).await;
    let member = Member::of(&lab, "pve2");
    let status = member.tool("pvecm", &["status"]).await;
    assert!(text(&status.stdout).lines().any(|line| line == "Quorate:          Yes"), "{status:?}");
    let members = std::fs::read_to_string(member.root.path().join("etc/pve/.members")).expect("refreshed");
    let members: Value = serde_json::from_str(&members).expect("JSON");
    assert_eq!((&members["nodename"], &members["nodelist"]["pve3"]["online"]), (&json!("pve2"), &json!(1)));
    assert!(text(&member.tool("pvecm", &["nodes"]).await.stdout).contains("pve2 (local)"));

    let client = ["--connect-timeout", "5", "--format", "json"];
    for (words, key) in [
        (&["status"][..], "health"),
        (&["quorum_status"], "quorum_names"),
        (&["osd", "tree"], "nodes"),
        (&["osd", "dump"], "crush_node_flags"),
        (&["mgr", "dump"], "active_name"),
    ] {
        let said = member.tool("ceph", &[&client, words].concat()).await;
        let json: Value = serde_json::from_str(&text(&said.stdout)).expect("JSON");
        assert!(json.get(key).is_some() && said.status.success(), "{words:?}: {json}");
    }
    let one = member.tool("ceph", &["osd", "ok-to-stop", "0", "--format", "json"]).await;
    assert_eq!(one.status.code(), Some(0));
    let two = member.tool("ceph", &["osd", "ok-to-stop", "0", "1", "--format", "json"]).await;
    assert_eq!(two.status.code(), Some(16));
    let body: Value = serde_json::from_str(&text(&two.stdout)).expect("a body beside EBUSY");
    assert_eq!(body["ok_to_stop"], false);
    assert!(text(&two.stderr).starts_with("Error EBUSY"));
    assert_eq!(
        member.tool("ceph", &["osd", "purge", "0"]).await.status.code(),
        Some(22),
        "there is no such verb here"
    );

    lab.control("POST", "/node/pve2/cut?how=network").await;
    let alone = member.tool("pvecm", &["status"]).await;
    assert!(text(&alone.stdout).contains("Quorate:          No"));
    assert_eq!(member.tool("ceph", &["status"]).await.status.code(), Some(1), "no monitor within reach");
}

#[tokio::test]
async fn a_shell_without_the_cluster_says_so() {
    let root = tempfile::tempdir().expect("a directory");
    let said = run(&here(BIN).join("ceph"), &["status"], root.path()).await;
    assert_eq!(said.status.code(), Some(125));
    assert!(text(&said.stderr).contains("nobody wrote where"), "{said:?}");
}

#[tokio::test]
async fn the_hand_takes_and_gives_back_through_the_shell() {
    let lab = Lab::open(recorded_world(), Options { speed: 50.0, ..Options::default() }).await;
    let member = Member::of(&lab, "pve2");
    let shown = member.hand(&["show"]).await;
    let shown: Value = serde_json::from_str(&text(&shown.stdout)).unwrap_or_else(|_| panic!("{shown:?}"));
    assert_eq!(
        (&shown["node"], &shown["quorate"], &shown["ceph"]),
        (&json!("pve2"), &json!(true), &json!("answered"))
    );

    let done = member.hand(&["maintenance", "on", "pve1"]).await;
    assert!(done.status.success(), "{done:?}");
    // Queued is asked for: at once, before the master has read it.
    let second = member.hand(&["maintenance", "on", "pve3"]).await;
    assert_eq!(second.status.code(), Some(3), "{second:?}");
    assert!(text(&second.stderr).contains("in maintenance already: pve1"));
    assert!(member.hand(&["noout", "on", "pve1"]).await.status.success());
    assert_eq!(member.hand(&["noout", "on", "pve3"]).await.status.code(), Some(3));

    let deadline = Instant::now() + Duration::from_secs(30);
    let settled = async |node: &str, maintenance: bool| loop {
        let world = lab.control("GET", "/world").await;
        if world["guests"]["101"]["node"] == node && world["nodes"]["pve1"]["maintenance"] == maintenance {
            return world;
        }
        assert!(Instant::now() < deadline, "HA never settled: {world}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let drained = settled("pve2", true).await;
    assert_eq!(drained["noout"], json!({ "pve1": "pitlane" }));
    assert_eq!(drained["nodes"]["pve1"]["maintenance_by"], "pitlane");

    assert!(member.hand(&["noout", "off", "pve1"]).await.status.success());
    assert!(member.hand(&["maintenance", "off", "pve1"]).await.status.success());
    let home = settled("pve1", false).await;
    assert_eq!((&home["noout"], &home["violations"]), (&json!({}), &json!([])));
    let effects = &home["effects_of_pitlane"];
    let counts = json!({ "maintenance_on": 1, "maintenance_off": 1, "noout_on": 1, "noout_off": 1 });
    assert_eq!(effects, &counts);
    assert_eq!(lab.door.violation(), None);
}

#[tokio::test]
async fn the_control_api_steers_and_only_its_token_may() {
    let lab = Lab::still(recorded_world()).await;
    let stranger = lab.client.get(format!("{}/world", lab.door.control_url)).send().await.expect("an answer");
    assert_eq!(stranger.status().as_u16(), 401);
    let before = lab.control("GET", "/world").await;
    let after = lab.control("POST", "/advance?secs=60").await;
    assert_ne!(before["now"], after["now"]);
    assert_eq!(lab.control("POST", "/guest/100/lock?as=snapshot").await["guests"]["100"]["lock"], "snapshot");
    assert_eq!(lab.control("POST", "/guest/100/unlock").await["guests"]["100"]["lock"], json!(null));
    assert_eq!(lab.control("POST", "/noout/pve2/on").await["noout"], json!({ "pve2": "human" }));
    assert_eq!(lab.control("POST", "/maintenance/pve2/on").await["nodes"]["pve2"]["maintenance_by"], "human");
    assert_eq!(lab.control("POST", "/node/pve3/die").await["nodes"]["pve3"]["state"], "off");
    assert_eq!(lab.control("POST", "/node/pve3/boot").await["nodes"]["pve3"]["state"], "booting");
    for wrong in [
        "/node/pve9/die",
        "/node/pve1/explode",
        "/guest/999/lock",
        "/advance?secs=x",
        "/technician/pve1/sings",
    ] {
        let request = lab.client.post(format!("{}{wrong}", lab.door.control_url));
        let said = request.bearer_auth(&lab.door.control_token).send().await.expect("an answer");
        assert_eq!(said.status().as_u16(), 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_technician_who_opens_a_full_node_stops_the_world() {
    let lab = Lab::still(recorded_world()).await;
    let request = lab.client.post(format!("{}/technician/pve1/opens", lab.door.control_url));
    let said = request.bearer_auth(&lab.door.control_token).send().await.expect("an answer");
    assert_eq!(said.status().as_u16(), 500);
    let words = lab.door.violation().expect("it stopped");
    assert!(words.contains("pve1 is opened with guests aboard"), "{words}");
}
