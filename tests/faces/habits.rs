//! How the service behaves towards the machine it runs on: its service manager, its probes, its disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use super::running::{Service, configured, until};
use super::said;

fn program() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin("pitlane"))
}

#[test]
fn the_service_manager_is_told_when_it_is_ready_alive_reading_and_stopping() {
    let dir = configured("");
    let socket = UnixDatagram::bind(dir.path().join("notify")).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(40))).expect("a socket");
    let mut program = program();
    program.env("NOTIFY_SOCKET", dir.path().join("notify")).env("WATCHDOG_USEC", "180000000");
    let mut service = Service::started(dir, program);
    let mut heard = String::new();
    let mut hear = |wanted: &str| {
        let mut buffer = [0; 4096];
        while !heard.contains(wanted) {
            let n = socket.recv(&mut buffer).unwrap_or_else(|e| panic!("{wanted}: {e}; heard\n{heard}"));
            heard.push_str(&String::from_utf8_lossy(&buffer[..n]));
            heard.push('\n');
        }
        std::mem::take(&mut heard)
    };
    hear("READY=1");
    hear("WATCHDOG=1");
    assert!(hear("STATUS=").contains("blind, the cluster cannot be seen"), "it says that it is blind");
    // The second one comes from the loop that waits; it is fed without any request.
    hear("WATCHDOG=1");
    service.signal("HUP");
    assert!(hear("RELOADING=1").contains("MONOTONIC_USEC="), "systemd wants the moment");
    hear("READY=1");
    assert_eq!(service.terminate(), 0);
    hear("STOPPING=1");
}

#[test]
fn without_any_peer_it_lives_is_not_ready_and_says_why() {
    let service = Service::start("");
    assert!(service.probe("/livez").starts_with("HTTP/1.1 200"));
    until("it has looked", || service.probe("/readyz").contains("the cluster cannot be seen (unreachable)"));
    assert!(service.probe("/readyz").starts_with("HTTP/1.1 503"));
    until("it says so once in the log", || service.log().contains("the cluster cannot be seen"));
}

#[test]
fn the_log_is_as_the_command_line_wants_it() {
    for (flag, variable) in [(&["--log-format", "json"][..], None), (&[], Some("json"))] {
        let mut program = program();
        program.args(flag);
        if let Some(format) = variable {
            program.env("PITLANE_LOG_FORMAT", format);
        }
        let service = Service::started(configured(""), program);
        until("a line is logged", || !service.log().is_empty());
        let log = service.log();
        let line: serde_json::Value =
            serde_json::from_str(log.lines().next().expect("a line")).expect("JSON");
        assert!(line["level"].is_string(), "{log}");
    }
}

#[test]
fn a_full_disk_is_said_and_survived() {
    let dir = configured("");
    // The largest file that this process may write: the disk is full for every one that grows. A shell makes the signal
    // that goes with it harmless, as a really full disk sends none.
    let mut shell = Command::new("bash");
    let pitlane = assert_cmd::cargo::cargo_bin("pitlane");
    shell.args(["-c", "trap '' XFSZ; ulimit -S -f 400; exec \"$0\" \"$@\""]).arg(pitlane);
    let service = Service::started(dir, shell);
    // Notes of 4000 bytes until nothing goes in any more; each is answered and journaled, too.
    let note = serde_json::json!({"ask": "note", "case": 1, "text": "x".repeat(3_900)}).to_string();
    let mut said = String::new();
    until("the disk is full", || {
        said = service.post("/api/v1/requests", "operate", &note);
        !said.starts_with("HTTP/1.1 202")
    });
    assert!(
        said.starts_with("HTTP/1.1 503") && said.contains("Nothing is begun that cannot be written down"),
        "nothing is lost in silence: {said}"
    );
    assert!(service.probe("/livez").starts_with("HTTP/1.1 200"), "it lives");

    // What status and the log say of a disk that is full to the last byte: tests/end_to_end/hardship.rs.
    // There is room again: the same process goes on, and answers what was asked before.
    service.prlimit("--fsize=unlimited");
    until("the loop turns again", || {
        let (_, out, _) = service.ask("read", &["status"]);
        out.contains("last turn") && !out.contains("The last turn failed")
    });
    until("requests are taken again", || {
        service.post("/api/v1/requests", "operate", &note).starts_with("HTTP/1.1 202")
    });
}

#[test]
fn a_state_directory_that_others_can_look_into_is_refused_with_what_to_do() {
    let dir = configured("");
    fs::create_dir(dir.path().join("state")).expect("writable");
    fs::set_permissions(dir.path().join("state"), PermissionsExt::from_mode(0o755)).expect("chmod");
    let (code, _, err) = said(dir.path(), &["run", "--config", "pitlane.yaml"]);
    assert!(code == 1 && err.contains("chmod 0700"), "{code} {err}");
}

/// `pitlane demo | head -1`: whoever reads has read enough, and nothing is wrong.
#[test]
fn a_closed_pipe_ends_the_demo_quietly() {
    use std::io::{BufRead, BufReader, Read};
    for words in [&["demo", "--speed", "60"][..], &["--json", "demo", "--speed", "60"]] {
        let mut child = program()
            .args(words)
            .env_remove("PITLANE_LOG")
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut first = String::new();
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        lines.read_line(&mut first).expect("a line");
        assert!(first.contains("A simulated cluster"), "{first}");
        drop(lines);
        let mut said = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
        let ended = child.wait().expect("ours");
        assert!(ended.success() && said.is_empty(), "{ended}: {said}");
    }
}

#[test]
fn a_closed_pipe_is_the_readers_choice_for_every_answer() {
    for words in [&["completions", "bash"][..], &["policy", "schema"], &["policy", "list"], &["--help"]] {
        let mut child = program()
            .args(words)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("it starts");
        // Closed before anything was written.
        drop(child.stdout.take());
        let out = child.wait_with_output().expect("ours");
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(
            out.status.code().is_some() && !said.contains("panicked"),
            "{words:?}: {} {said}",
            out.status
        );
    }
}
