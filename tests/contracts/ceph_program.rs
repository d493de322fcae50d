//! The client as a process: a small script plays it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pitlane::adapters::ceph::{CephClient, CephProgram, Limits};
use pitlane::model::seen::{Seen, Trouble};
use pitlane::ports::Ceph;

use crate::ceph_replay::Stopped;

/// Writes a program.
pub fn script(path: &Path, body: &str) {
    // Written by a process of its own: a fork of another test's thread may hold what we write open a moment longer, and
    // then the program is "busy" when it is started.
    let mut shell = Command::new("/bin/sh")
        .args(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell");
    let text = format!("#!/bin/sh\n{body}\n");
    shell.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("it reads");
    assert!(shell.wait().expect("it ends").success(), "{}", path.display());
}

fn client(dir: &Path, body: &str) -> CephClient {
    script(&dir.join("ceph"), body);
    let program = CephProgram {
        program: dir.join("ceph"),
        conf: dir.join("ceph.conf"),
        keyring: dir.join("keyring"),
        name: "client.pitlane".into(),
    };
    let limits = Limits { look: Duration::from_millis(1500), ..Limits::default() };
    CephClient::new(Arc::new(program), Arc::new(Stopped), limits)
}

async fn why(dir: &Path, body: &str) -> Trouble {
    match client(dir, body).look().await {
        Seen::Unknown { why } => why,
        other => panic!("{body}: it must be unknown, not {other:?}"),
    }
}

fn ready() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("keyring"), "").expect("a file");
    dir
}

#[tokio::test]
async fn it_is_called_with_our_key_and_nothing_of_ours_else() {
    let dir = ready();
    let log = dir.path().join("log");
    why(dir.path(), &format!("{{ echo \"$@\"; env; }} >{}; exit 22", log.display())).await;
    let log = fs::read_to_string(log).expect("the script wrote it");
    let d = dir.path().display();
    let first = format!(
        "--conf {d}/ceph.conf --name client.pitlane --keyring {d}/keyring --connect-timeout 5 --format json quorum_status"
    );
    assert_eq!(log.lines().next(), Some(first.as_str()));
    assert!(!log.contains("CARGO"), "our environment stays with us: {log}");
}

#[tokio::test]
async fn each_way_to_fail_has_its_name() {
    let refused = "Error EACCES: access denied: does your client key have mgr caps?";
    let connecting = "(error connecting to the cluster)";
    let table = [
        (format!("echo '{refused}' >&2; exit 13"), "refused", "our key lacks the right"),
        (
            format!("echo '[errno 13] RADOS permission denied {connecting}' >&2; exit 13"),
            "refused",
            "our key",
        ),
        (
            format!("echo '[errno 2] RADOS object not found {connecting}' >&2; exit 1"),
            "not_configured",
            "keyring",
        ),
        ("{ echo no keyring found at /x; echo Error EINVAL; } >&2; exit 22".into(), "refused", "22"),
        ("echo 'timed out' >&2; exit 1".into(), "unreachable", "no monitor"),
        (format!("echo '[errno 110] RADOS timed out {connecting}' >&2; exit 1"), "unreachable", "no monitor"),
        ("echo 'error calling conf_read_file' >&2; exit 1".into(), "not_configured", "configuration"),
        ("echo '{\"quorum\": []'".into(), "nonsense", "quorum_status"),
        ("echo '{}'".into(), "nonsense", "quorum_names"),
        ("kill -9 $$".into(), "nonsense", "signal"),
        ("echo 'Error EINVAL: no valid command' >&2; exit 22".into(), "refused", "22"),
    ];
    for (body, kind, words) in table {
        let dir = ready();
        let why = why(dir.path(), &body).await;
        assert_eq!(why.kind(), kind, "{body}: {why}");
        assert!(why.text().contains(words), "{body}: {why}");
    }
}

#[tokio::test]
async fn a_hang_ends_by_itself() {
    let dir = ready();
    let began = Instant::now();
    let why = why(dir.path(), "sleep 1000").await;
    assert_eq!(why.kind(), "too_slow", "{why}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn what_is_not_installed_is_a_matter_of_configuration() {
    let dir = tempfile::tempdir().expect("a directory");
    let no_key = why(dir.path(), "exit 0").await;
    assert_eq!((no_key.kind(), no_key.text()), ("not_configured", "the keyring file is missing"));
    fs::write(dir.path().join("keyring"), "").expect("a file");
    let client = client(dir.path(), "exit 0");
    fs::remove_file(dir.path().join("ceph")).expect("it was there");
    let Seen::Unknown { why } = client.look().await else { panic!("nobody answered") };
    assert_eq!(why.kind(), "not_configured");
    assert!(why.text().contains("install ceph-common"), "{why}");
}
