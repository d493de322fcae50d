//! The hand against a real sshd and the real `pitlane-hand`, with small scripts in the place of Proxmox's tools.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pitlane::adapters::hand::{HandConfig, Member, SshHand};
use pitlane::model::ids::NodeName;
use pitlane::model::seen::Seen;
use pitlane::model::step::Switch;
use pitlane::ports::Hand;
use serde_json::json;

use crate::lab::{Lab, Now, script};

/// The tools of one cluster: all members share them, as they share `/etc/pve`.
struct Tools {
    dir: tempfile::TempDir,
}

impl Tools {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("tools").tempdir().expect("a directory");
        let tools = Self { dir };
        let at = tools.dir.path().display().to_string();
        tools.put("quorate", "Yes");
        tools.put("flags", "{}");
        tools.put("active", "node1");
        tools.tool("pvecm", &format!("printf 'Quorate:          %s\\n' \"$(cat {at}/quorate)\""));
        tools.tool("ha-manager", &format!("echo \"$*\" >>{at}/asked"));
        tools.tool(
            "ceph",
            &format!(
                r#"case "$*" in
"osd tree --format json") echo '{{"nodes":[{{"id":-3,"name":"node2","type":"host"}},{{"id":2,"name":"osd.2","type":"osd"}}],"stray":[]}}' ;;
"osd dump --format json") printf '{{"crush_node_flags":%s}}' "$(cat {at}/flags)" ;;
"osd set-group noout node2") echo '{{"node2":["noout"]}}' >{at}/flags ;;
"osd unset-group noout node2") echo '{{}}' >{at}/flags ;;
"mgr dump --format json") printf '{{"active_name":"%s","standbys":[{{"name":"node9"}}]}}' "$(cat {at}/active)" ;;
"mgr fail node1") echo node9 >{at}/active ;;
*) echo "not expected: $*" >&2; exit 22 ;;
esac"#
            ),
        );
        tools
    }

    fn bin(&self) -> PathBuf {
        self.dir.path().join("bin")
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).expect("our own directory");
    }

    fn asked(&self) -> String {
        fs::read_to_string(self.dir.path().join("asked")).unwrap_or_default()
    }

    fn tool(&self, name: &str, body: &str) {
        fs::create_dir_all(self.bin()).expect("our own directory");
        script(&self.bin().join(name), body);
    }

    /// The cluster file system as the named member shows it.
    fn root(&self, name: &str) -> PathBuf {
        let root = self.dir.path().join(name);
        fs::create_dir_all(root.join("etc/pve/ha")).expect("our own directory");
        let members =
            json!({"nodename": name, "nodelist": {"pve1": {"id": 1}, "pve2": {"id": 2}, "pve3": {"id": 3}}});
        fs::write(root.join("etc/pve/.members"), members.to_string()).expect("our own directory");
        fs::write(root.join("etc/pve/ceph.conf"), "").expect("our own directory");
        fs::write(root.join("etc/pve/ha/manager_status"), "{}").expect("our own directory");
        root
    }

    fn member(&self, name: &str) -> Lab {
        let (bin, root) = (self.bin(), self.root(name));
        Lab::up("sshd-lab", &["--bin", text(&bin), "--root", text(&root)])
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("plain names")
}

/// One way to each member. The members' keys differ, as do their host keys, so both go into one file each.
fn hand(members: &[(&str, &Lab)], known_hosts: &Path) -> SshHand {
    let lines: String = members
        .iter()
        .map(|(_, lab)| fs::read_to_string(lab.fact("known_hosts")).expect("the lab's file"))
        .collect();
    fs::write(known_hosts, lines).expect("our own directory");
    // A real cluster has one key of ours on every member; here the first lab's key is let into all of them.
    let key = PathBuf::from(members[0].1.fact("key"));
    let public = fs::read_to_string(key.with_extension("pub")).expect("the lab's key");
    for (_, lab) in members {
        let path = lab.dir().join("authorized_keys");
        let line = fs::read_to_string(&path).expect("the lab's file");
        let forced = line.split(" ssh-ed25519 ").next().expect("options first");
        fs::write(&path, format!("{forced} {public}")).expect("the lab's file");
    }
    let to = |(node, lab): &(&str, &Lab)| Member {
        node: NodeName::from(*node),
        address: lab.fact("host"),
        port: lab.fact("port").parse().expect("a port"),
    };
    let config = HandConfig {
        ssh: PathBuf::from("/usr/bin/ssh"),
        key,
        known_hosts: known_hosts.to_owned(),
        user: members[0].1.fact("user"),
        members: members.iter().map(to).collect(),
        call: Duration::from_secs(60),
        whole: Duration::from_secs(90),
    };
    SshHand::new(config, Arc::new(Now))
}

fn avoid(names: &[&str]) -> BTreeSet<NodeName> {
    names.iter().map(|&n| n.into()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_helper_behind_a_real_sshd() {
    let tools = Tools::new();
    let (one, two) = (tools.member("pve1"), tools.member("pve2"));
    let hosts = tools.dir.path().join("known hosts");
    let hand = hand(&[("pve1", &one), ("pve2", &two)], &hosts);

    let seen = hand.show(&avoid(&[])).await;
    let view = seen.any_age().unwrap_or_else(|| panic!("{seen:?}")).clone();
    assert_eq!((view.member.as_str(), view.version.as_str(), view.quorate), ("pve1", "1", true));
    let seen = hand.show(&avoid(&["pve1"])).await;
    assert_eq!(seen.any_age().map(|view| view.member.as_str()), Some("pve2"), "{seen:?}");

    assert_eq!(hand.maintenance(&"pve3".into(), Switch::On).await, Ok(()));
    assert_eq!(hand.maintenance(&"pve3".into(), Switch::Off).await, Ok(()));
    let asked = "crm-command node-maintenance enable pve3\ncrm-command node-maintenance disable pve3\n";
    assert_eq!(tools.asked(), asked);
    let stranger = hand.maintenance(&"pve9".into(), Switch::On).await.expect_err("no such member");
    assert_eq!((stranger.kind(), stranger.text()), ("refused", "pve1: pve9 is not a member of this cluster"));

    assert_eq!(hand.noout(&"node2".into(), Switch::On, &"pve1".into()).await, Ok(()));
    assert_eq!(hand.noout(&"node2".into(), Switch::On, &"pve1".into()).await, Ok(()));
    assert_eq!(hand.noout(&"node2".into(), Switch::Off, &"pve1".into()).await, Ok(()));
    assert_eq!(hand.fail_mgr("node1", &"pve1".into()).await, Ok(()));

    tools.put("quorate", "No");
    let alone = hand.maintenance(&"pve3".into(), Switch::On).await.expect_err("no quorum, no taking");
    assert_eq!(alone.kind(), "refused", "{alone}");
    assert_eq!(hand.maintenance(&"pve3".into(), Switch::Off).await, Ok(()), "giving back is always allowed");
    let seen = hand.show(&avoid(&[])).await;
    assert!(seen.any_age().is_some_and(|view| !view.quorate), "{seen:?}");
    tools.put("quorate", "Yes");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_are_gone_or_not_themselves() {
    let tools = Tools::new();
    let (one, two) = (tools.member("pve1"), tools.member("pve2"));
    let hosts = tools.dir.path().join("known_hosts");

    // The addresses mixed up: both answer, as somebody else.
    let mixed = hand(&[("pve2", &one), ("pve1", &two)], &hosts);
    let Seen::Unknown { why } = mixed.show(&avoid(&["pve1"])).await else {
        panic!("it was pve1 that answered")
    };
    assert!(why.text().contains("it calls itself pve1"), "{why}");

    // The first one shows a host key that we do not know: it is not talked to, the second is.
    let pair = hand(&[("pve1", &one), ("pve2", &two)], &hosts);
    fs::write(&hosts, fs::read_to_string(two.fact("known_hosts")).expect("the lab's file")).expect("ours");
    let seen = pair.show(&avoid(&[])).await;
    assert_eq!(seen.any_age().map(|view| view.member.as_str()), Some("pve2"), "{seen:?}");
    let Seen::Unknown { why } = pair.show(&avoid(&["pve2"])).await else { panic!("nobody may answer") };
    assert_eq!(why.kind(), "unreachable", "{why}");
    assert!(why.text().contains("host key"), "{why}");

    // Both known again; then the second one refuses our key, then it is gone.
    let pair = hand(&[("pve1", &one), ("pve2", &two)], &hosts);
    fs::write(two.dir().join("authorized_keys"), "").expect("the lab's file");
    let Seen::Unknown { why } = pair.show(&avoid(&["pve1"])).await else { panic!("nobody may answer") };
    assert!(why.text().contains("pve2 does not accept our key"), "{why}");
    drop(two);
    let Seen::Unknown { why } = pair.show(&avoid(&["pve1"])).await else { panic!("nobody is there") };
    assert_eq!(why.kind(), "unreachable", "{why}");
    assert_eq!(pair.show(&avoid(&["pve2"])).await.any_age().map(|view| view.member.as_str()), Some("pve1"));
    assert_eq!(pair.maintenance(&"pve3".into(), Switch::On).await, Ok(()));
}
