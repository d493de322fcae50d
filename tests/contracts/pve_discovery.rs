//! Members that nobody configured, over real TLS; and `config discover` against the simulated cluster's door.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use pitlane::adapters::pve::{ApiToken, Member, Proxmox, Settings, Trust, TrustOthers};
use pitlane::model::ids::NodeName;
use pitlane::model::seen::Seen;
use pitlane::ports::Pve;

use crate::door_world::{Lab, SECRET, recorded_world};
use crate::pve_server::{Act, Seen as Asked, Server, answer};
use crate::served::Wall;

/// A member of two: who it is, and the cluster as both see it.
fn member(name: &'static str) -> impl Fn(&Asked) -> Act + Send + Sync + 'static {
    move |asked| {
        let local = |node: &str| u8::from(node == name);
        let row = |node: &str, ip: &str| {
            format!(r#"{{"type":"node","name":"{node}","online":1,"ip":"{ip}","local":{}}}"#, local(node))
        };
        let (one, two) = (row("pve1", "127.0.0.1"), row("pve2", "127.0.0.2"));
        let body = if asked.head.contains("/cluster/status") {
            format!(r#"{{"data":[{{"type":"cluster","name":"c","quorate":1,"nodes":2}},{one},{two}]}}"#)
        } else {
            r#"{"data":[]}"#.to_owned()
        };
        Act::Say(answer(200, "OK", &body))
    }
}

/// `pve1` is configured; `pve2` listens on the same port of another address, with a certificate for this name.
async fn two(name: &str) -> (Server, Server) {
    for _ in 0..20 {
        let one = Server::start(member("pve1")).await;
        let port = one.url.rsplit(':').next().expect("a port").to_owned();
        if let Ok(two) = Server::named(&format!("127.0.0.2:{port}"), name, member("pve2")).await {
            return (one, two);
        }
    }
    panic!("no port is free on both addresses");
}

fn proxmox(one: &Server, others: TrustOthers) -> Proxmox {
    let trust = Trust::Pinned(vec![one.fingerprint]);
    let member = Member { node: "pve1".into(), url: one.url.clone(), trust };
    let mut settings = Settings::new(vec![member], ApiToken::new("pitlane@pve!ctl", "secret"));
    settings.others = others;
    Proxmox::connect(settings, Arc::new(Wall)).expect("the settings are good")
}

/// Looks once through anybody, then around `pve1`: who answered?
async fn around_the_first(pve: &Proxmox) -> Option<NodeName> {
    let (none, first) = (BTreeSet::new(), BTreeSet::from([NodeName::from("pve1")]));
    let view = pve.look(&BTreeSet::new(), &BTreeSet::new(), &none).await;
    assert!(matches!(view.first, Seen::Known { .. }), "{:?}", view.first);
    match pve.look(&BTreeSet::new(), &BTreeSet::new(), &first).await.first {
        Seen::Known { value, .. } => Some(value.member),
        _ => None,
    }
}

#[tokio::test]
async fn a_found_member_with_a_pin_of_its_own_answers_while_the_first_is_out() {
    let (one, two) = two("pve2").await;
    let pinned = TrustOthers::Pinned([("pve2".into(), vec![two.fingerprint])].into());
    let pve = proxmox(&one, pinned);
    assert_eq!(around_the_first(&pve).await, Some("pve2".into()));
    assert!(pve.not_asked().is_empty());
}

#[tokio::test]
async fn the_clusters_authority_vouches_for_the_nodes_name_and_for_no_other() {
    for (name, answers) in [("pve2", true), ("pve9", false)] {
        let (one, two) = two(name).await;
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, format!("{}{}", one.authority, two.authority)).expect("writable");
        let pve = proxmox(&one, TrustOthers::CaFile(file));
        assert_eq!(around_the_first(&pve).await, answers.then(|| "pve2".into()), "{name}");
        assert_eq!(two.seen().is_empty(), !answers, "the token travels to nobody who is not believed");
    }
}

#[tokio::test]
async fn a_member_without_trust_is_told_of_and_never_asked() {
    let (one, two) = two("pve2").await;
    let pve = proxmox(&one, TrustOthers::Nobody);
    assert_eq!(around_the_first(&pve).await, None);
    assert!(two.seen().is_empty());
    let told = pve.not_asked();
    assert!(told[&NodeName::from("pve2")].contains("whom to believe"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn discover_prints_what_config_check_accepts() {
    let lab = Lab::still(recorded_world()).await;
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("writable");
    write("proxmox", &format!("pitlane@pve!ctl={SECRET}\n"));
    write("ca.pem", &lab.door.ca_pem);
    let endpoint = lab.door.endpoints[&NodeName::from("pve2")].clone();
    let pin = lab.door.fingerprints[&NodeName::from("pve2")].clone();
    for trust in [["--api-ca-file", "ca.pem"], ["--fingerprint", &pin]] {
        let words = ["config", "discover", "--endpoint", &endpoint, "--api-token-file", "proxmox"];
        let (code, out, err) = pitlane(dir.path(), &[&words[..], &trust].concat()).await;
        assert_eq!(code, Some(0), "{out}{err}");
        for found in
            ["through pve2", "3 members, 11 guests", "HA manages 3", "setup: hyperconverged", "{node: pve3"]
        {
            assert!(out.contains(found), "{found} is not in\n{out}");
        }
        write("found.yaml", &out);
        let (code, out, err) = pitlane(dir.path(), &["config", "check", "--config", "found.yaml"]).await;
        assert_eq!(code, Some(0), "{out}{err}");
    }
    let words = ["config", "discover", "--endpoint", &endpoint, "--api-token-file", "proxmox"];
    let (code, _, err) =
        pitlane(dir.path(), &[&words[..], &["--fingerprint", &"AA".repeat(32)]].concat()).await;
    assert_eq!(code, Some(4), "a stranger is not believed: {err}");
    write("empty", "");
    let words = ["config", "discover", "--endpoint", &endpoint, "--api-token-file", "empty"];
    let (code, _, err) = pitlane(dir.path(), &words).await;
    assert!(code == Some(2) && err.contains("USER@REALM!NAME=UUID"), "{err}");
}

async fn pitlane(dir: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    let program = env!("CARGO_BIN_EXE_pitlane");
    let output =
        tokio::process::Command::new(program).args(words).current_dir(dir).output().await.expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}
