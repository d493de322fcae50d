//! The files that the documents show, given to the real program: what an operator copies must work.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::said;

/// The YAML block of a document that begins with this comment.
fn block(document: &str, title: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(document);
    let text = fs::read_to_string(&path).expect("the document");
    let start =
        text.find(&format!("```yaml\n# {title}\n")).unwrap_or_else(|| panic!("{document} shows no {title}"));
    let block = &text[start + "```yaml\n".len()..];
    block[..block.find("\n```").expect("the block ends")].to_owned() + "\n"
}

/// A file that only we may read.
fn put(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().expect("below the directory")).expect("writable");
    fs::write(&path, text).expect("writable");
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).expect("ours");
}

#[test]
fn the_configuration_of_the_manual_is_good_and_leaves_nothing_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let put = |name: &str, text: &str| put(dir.path(), name, text);
    // Where the unit would make a directory for it, this machine has none.
    let switch = ("# kill_file: /run/pitlane/stop", "kill_file: stop              ");
    let config = block("INSTALL.md", "pitlane configuration");
    assert!(config.contains(switch.0), "the manual names the kill file");
    put("pitlane.yaml", &config.replace(switch.0, switch.1));
    put("tokens.yaml", &block("INSTALL.md", "pitlane tokens"));
    put("secrets/proxmox", "pitlane@pve!ctl=00000000-0000-0000-0000-000000000000\n");
    for name in ["secrets/hand", "secrets/ceph.client.pitlane.keyring", "known_hosts", "pve-root-ca.pem"] {
        put(name, "");
    }
    for name in ["fan.yaml", "manual.yaml"] {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(name);
        put(&format!("policies/{name}"), &fs::read_to_string(shipped).expect("shipped"));
    }
    let (code, out, err) = said(dir.path(), &["config", "check", "--config", "pitlane.yaml"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(!out.contains("Note:"), "something is missing in the manual:\n{out}");
}

#[test]
fn the_files_of_a_fleet_are_good_and_a_key_in_the_wrong_one_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let put = |name: &str, text: &str| put(dir.path(), name, text);
    put("pitlane.yaml", &block("FLEET.md", "pitlane fleet"));
    put("tokens.yaml", &block("INSTALL.md", "pitlane tokens"));
    put("clusters/token", "pitlane@pve!ctl=00000000-0000-0000-0000-000000000000\n");
    let cluster = |host: u8, more: &str| {
        format!(
            "{more}proxmox: {{token_file: token, endpoints: [{{node: pve1, url: \"https://192.0.2.{host}:8006\"}}]}}\n"
        )
    };
    put("clusters/berlin.yaml", &cluster(11, ""));
    put("clusters/paris.yaml", &cluster(21, "mode: approve\n"));
    let check = ["config", "check", "--config", "pitlane.yaml"];
    let (code, out, err) = said(dir.path(), &check);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("2 clusters") && out.contains("paris: mode approve"), "{out}");
    put("clusters/paris.yaml", &cluster(21, "state: elsewhere\n"));
    let (code, out, _) = said(dir.path(), &check);
    assert!(
        code == 2 && out.contains("clusters/paris.yaml:1:") && out.contains("fleet's file"),
        "{code} {out}"
    );
}

#[test]
fn the_policy_of_the_manual_passes_its_own_tests() {
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["gpu.yaml", "gpu.test.yaml"] {
        fs::write(dir.path().join(name), block("POLICIES.md", name)).expect("writable");
    }
    let (code, out, err) = said(dir.path(), &["policy", "test", "."]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("4 of 4 tests passed."), "{out}");
}
