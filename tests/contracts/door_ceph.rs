//! pitlane's own Ceph client over the fake `ceph` of `tests/lab/bin`: it reads the world as door one shows it.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;

use pitlane::adapters::ceph::{CephClient, CephProgram, Limits};
use pitlane::model::ids::{HostName, NodeName};
use pitlane::model::seen::Seen;
use pitlane::model::step::Switch;
use pitlane::ports::Ceph;
use pitlane::sim::Doors;
use serde_json::{Value, json};

use crate::door_world::{Lab, recorded_world};

/// A directory with the fake client, and where it finds the world; pitlane starts its client without an environment.
fn client(lab: &Lab, folder: &tempfile::TempDir) -> CephClient {
    let tool = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/lab/bin/sim-tool");
    let program = folder.path().join("ceph");
    symlink(tool, &program).expect("linked");
    lab.door.prepare_root(&NodeName::from("pve2"), folder.path()).expect("written");
    let keyring = folder.path().join("keyring");
    std::fs::write(&keyring, "[client.pitlane]\n").expect("written");
    let program =
        CephProgram { program, conf: "/etc/ceph/ceph.conf".into(), keyring, name: "client.pitlane".into() };
    CephClient::new(Arc::new(program), Arc::new(doors(lab)), Limits::default())
}

fn doors(lab: &Lab) -> Doors {
    Doors::from(Arc::clone(&lab.world))
}

fn told<T: serde::Serialize>(seen: &Seen<T>) -> Value {
    serde_json::to_value(seen).expect("a view is JSON")
}

#[tokio::test]
async fn the_same_ceph_through_both_doors() {
    let lab = Lab::still(recorded_world()).await;
    let folder = tempfile::tempdir().expect("a directory");
    let (over_shell, direct) = (client(&lab, &folder), doors(&lab));
    let host = HostName::from("pve1");

    let compare = async |what: &str| {
        let (shell, straight) = (over_shell.look().await, Ceph::look(&direct).await);
        let (mut shell, mut straight) = (told(&shell), told(&straight));
        let seen = |view: &Value| view["known"]["value"].is_object();
        assert!(seen(&shell) && seen(&straight), "{what}: {shell} {straight}");
        // Flags that every cluster has are no news; the world leaves them out.
        for view in [&mut shell, &mut straight] {
            let internal = ["sortbitwise", "recovery_deletes", "purged_snapdirs", "pglog_hardlimit"];
            if let Some(flags) = view["known"]["value"]["flags"].as_array_mut() {
                flags.retain(|flag| !internal.contains(&flag.as_str().unwrap_or_default()));
            }
        }
        assert_eq!(shell["known"]["value"], straight["known"]["value"], "{what}");
    };
    compare("healthy").await;

    over_shell.noout(&host, Switch::On).await.expect("taken");
    compare("noout on pve1").await;
    let Seen::Known { value: view, .. } = over_shell.look().await else { panic!("it was seen") };
    assert_eq!(view.host_flags[&host], BTreeSet::from(["noout".to_owned()]));
    let joint = told(&over_shell.ok_to_stop(&host, &view).await);
    assert_eq!(
        joint["known"]["value"],
        told(&Ceph::ok_to_stop(&direct, &host, &view).await)["known"]["value"]
    );
    assert_eq!(joint["known"]["value"]["ok"], true);
    over_shell.fail_mgr("pve1").await.expect("failed over");
    over_shell.noout(&host, Switch::Off).await.expect("given back");
    lab.door.advance(30).expect("alive");
    compare("given back").await;

    lab.control("POST", "/node/pve3/die").await;
    lab.door.advance(120).expect("alive");
    compare("pve3 dead").await;
    let effects = lab.control("GET", "/world").await["effects_of_pitlane"].clone();
    assert_eq!(effects, json!({ "noout_on": 1, "noout_off": 1, "fail_mgr": 1 }));
}
