//! The real `pitlane-hand` behind real sshds, one for each of some members; its tools act on the simulated cluster.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use pitlane::model::ids::NodeName;

use crate::lab::Lab;
use crate::site::Site;

pub struct Hands {
    labs: Vec<(&'static str, Lab)>,
}

/// The commands that a shell of a simulated member has.
pub fn tool(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/bin").join(name)
}

impl Hands {
    /// `ceph`: the program that the hand finds by this name; the simulated cluster's own if not given.
    pub fn up(site: &Site, members: &[&'static str], ceph: Option<&Path>) -> Self {
        let bin = site.path("bin");
        fs::create_dir_all(&bin).expect("our own directory");
        for name in ["ha-manager", "pvecm"] {
            symlink(tool(name), bin.join(name)).expect("our own directory");
        }
        symlink(ceph.map_or_else(|| tool("ceph"), Path::to_owned), bin.join("ceph"))
            .expect("our own directory");
        let up = |member: &&'static str| {
            let root = site.path(&format!("root-{member}"));
            site.door.prepare_root(&NodeName::from(*member), &root).expect("our own directory");
            let (bin, root) = (bin.display().to_string(), root.display().to_string());
            (*member, Lab::up("sshd-lab", &["--bin", &bin, "--root", &root]))
        };
        let hands = Self { labs: members.iter().map(up).collect() };
        hands.share(site);
        hands
    }

    /// A cluster has one key of ours on every member, and one file with the host keys of all of them.
    fn share(&self, site: &Site) {
        let mut known = String::new();
        let public = PathBuf::from(self.labs[0].1.fact("key")).with_extension("pub");
        let public = fs::read_to_string(public).expect("the lab's key");
        for (_, lab) in &self.labs {
            known += &fs::read_to_string(lab.fact("known_hosts")).expect("the lab's file");
            let path = lab.dir().join("authorized_keys");
            let line = fs::read_to_string(&path).expect("the lab's file");
            let forced = line.split(" ssh-ed25519 ").next().expect("options first").to_owned();
            fs::write(&path, format!("{forced} {public}")).expect("the lab's file");
        }
        site.put("known_hosts", &known);
    }

    /// `hand:` of the configuration.
    pub fn yaml(&self) -> String {
        let first = &self.labs[0].1;
        let mut text = format!(
            "hand:\n  user: {}\n  key: {}\n  known_hosts: known_hosts\n  members:\n",
            first.fact("user"),
            first.fact("key")
        );
        for (member, lab) in &self.labs {
            text += &format!(
                "    - {{node: {member}, address: {}, port: {}}}\n",
                lab.fact("host"),
                lab.fact("port")
            );
        }
        text
    }
}

/// A `ceph` client for pitlane itself that speaks to the simulated cluster as `member`. pitlane starts it without an
/// environment, so where the cluster is stands beside it.
pub fn simulated_ceph(site: &Site, member: &str) -> String {
    let folder = site.path("ceph");
    site.door.prepare_root(&NodeName::from(member), &folder).expect("our own directory");
    let program = folder.join("ceph");
    symlink(tool("sim-tool"), &program).expect("our own directory");
    site.put("ceph/keyring", "[client.pitlane]\n");
    format!(
        "ceph: {{client: {{program: \"{}\", conf: /dev/null, keyring: ceph/keyring}}}}\n",
        program.display()
    )
}
