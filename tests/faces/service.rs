//! A real service whose cluster is silent: what it cannot see is unknown, and unknown is no.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::said;

/// A service that is stopped when the test ends, however it ends.
struct Service {
    child: Child,
    dir: tempfile::TempDir,
    url: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hash(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `tls`: what stands in the section `http` beside address and tokens.
fn configured(tls: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("writable");
    write("operate", "operate\n");
    write("read", "read\n");
    write("wrong", "wrong\n");
    let (operate, read) = (hash("operate"), hash("read"));
    write(
        "tokens.yaml",
        &format!(
            "tokens:\n  - {{name: alice, role: operate, sha256: {operate}}}\n  - {{name: bob, role: read, sha256: \
             {read}}}\n"
        ),
    );
    write("pve", "pitlane@pve!main=00000000-0000-0000-0000-000000000000\n");
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    write("cert.pem", &pair.cert.pem());
    write("key.pem", &pair.signing_key.serialize_pem());
    // Nobody listens on ports 1 and 2 of loopback.
    let proxmox = "proxmox:\n  endpoints:\n    - {node: pve1, url: \"https://127.0.0.1:1\"}\n    - {node: pve2, url: \
                   \"https://127.0.0.1:2\"}\n  token_file: pve\n";
    let http = format!("http: {{listen: \"127.0.0.1:0\", tokens_file: tokens.yaml{tls}}}\n");
    write(
        "pitlane.yaml",
        &format!("mode: approve\nstate: state\nkill_file: stop\n{proxmox}ceph: {{setup: none}}\n{http}"),
    );
    dir
}

impl Service {
    fn start(tls: &str) -> Self {
        let dir = configured(tls);
        let program: PathBuf = assert_cmd::cargo::cargo_bin("pitlane");
        let mut child = Command::new(program)
            .args(["run", "--config", "pitlane.yaml"])
            .env_remove("PITLANE_LOG")
            .current_dir(dir.path())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let url = lines
            .by_ref()
            .map(|line| line.expect("text"))
            .find_map(|line| line.split("serves ").nth(1).map(|at| format!("http://{at}")))
            .expect("it says where it listens");
        // Somebody has to read on, or it would block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, dir, url }
    }

    fn ask(&self, token: &str, words: &[&str]) -> (i32, String, String) {
        let at = ["--config", "pitlane.yaml", "--url", &self.url, "--token-file", token];
        said(self.dir.path(), &[&at[..], words].concat())
    }

    fn terminate(&mut self) -> i32 {
        let pid = self.child.id().to_string();
        let killed = Command::new("kill").args(["-TERM", &pid]).status().expect("kill is there");
        assert!(killed.success());
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().expect("ours") {
                return status.code().expect("it ended by itself");
            }
            assert!(Instant::now() < deadline, "it does not stop");
            std::thread::yield_now();
        }
    }
}

#[test]
fn blind_is_no_within_fifteen_seconds() {
    let service = Service::start("");
    let began = Instant::now();
    let (code, out, _) = service.ask("read", &["check", "pve1"]);
    assert!(began.elapsed() < Duration::from_secs(15));
    assert_eq!(code, 4, "{out}");
    assert!(out.contains("quorum") && out.contains("unknown is no") && out.contains("n/a"), "{out}");
    let (code, out, _) = service.ask("read", &["--json", "check", "pve1"]);
    let judged: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &judged["verdict"]["node"]), (4, &serde_json::json!("pve1")));
    let (code, out, err) = service.ask("operate", &["--drain", "pve1"]);
    assert_eq!(code, 4, "{out}");
    assert!(err.contains("Nothing was asked for"), "{err}");
}

#[test]
fn people_ask_and_are_answered_and_what_is_held_is_told_without_the_service() {
    let mut service = Service::start("");
    assert_eq!(service.ask("wrong", &["status"]).0, 3);
    let (code, _, err) = service.ask("read", &["pause"]);
    assert!(code == 3 && err.contains("needs the role operate"), "{code} {err}");
    assert_eq!(service.ask("operate", &["pause", "--reason", "storm"]).0, 0);
    let (code, out, _) = service.ask("read", &["status"]);
    assert!(code == 0 && out.contains("Paused by alice") && out.contains("storm"), "{code} {out}");
    assert_eq!(service.ask("operate", &["resume"]).0, 0);
    let (code, _, err) = service.ask("operate", &["abort", "99", "--reason", "x"]);
    assert!(code == 3 && err.contains("refused"), "{code} {err}");
    assert_eq!(service.ask("read", &["show", "99"]).0, 1);

    // A second one does not touch the state of the first.
    let (code, _, err) = said(service.dir.path(), &["run", "--config", "pitlane.yaml"]);
    assert_eq!(code, 1, "{err}");

    assert_eq!(service.terminate(), 0, "a graceful end");
    let (code, out, err) = service.ask("read", &["owed"]);
    assert!(code == 0 && out.contains("Nothing is owed"), "{code} {out} {err}");
    let (code, out, _) = service.ask("read", &["audit", "verify"]);
    assert!(code == 0 && out.contains("whole"), "{code} {out}");
}

#[test]
fn tls_is_spoken_where_it_is_configured_and_strangers_are_not_trusted() {
    let mut service = Service::start(", tls: {cert: cert.pem, key: key.pem}");
    service.url = service.url.replace("http://127.0.0.1", "https://localhost");
    let (code, _, err) = service.ask("read", &["cases", "--ca-file", "cert.pem"]);
    assert_eq!(code, 0, "{err}");
    // The configuration names the certificate, so whoever reads it trusts it; elsewhere it is a stranger's.
    std::fs::rename(service.dir.path().join("pitlane.yaml"), service.dir.path().join("moved.yaml"))
        .expect("ours");
    let (code, _, err) = service.ask("read", &["cases"]);
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("certificate") || err.contains("UnknownIssuer"), "{err}");
    assert_eq!(service.terminate(), 0, "a graceful end");
}
