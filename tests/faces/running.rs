//! A real service whose cluster is silent, for the tests that need one.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::said;

/// A service that is stopped when the test ends, however it ends.
pub struct Service {
    child: Child,
    pub dir: tempfile::TempDir,
    pub url: String,
    /// What it has logged so far.
    log: Arc<Mutex<String>>,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn hash(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `tls`: what stands in the section `http` beside address and tokens.
pub fn configured(tls: &str) -> tempfile::TempDir {
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
    pub fn start(tls: &str) -> Self {
        Self::started(configured(tls), Command::new(assert_cmd::cargo::cargo_bin("pitlane")))
    }

    /// By a program that becomes pitlane.
    pub fn started(dir: tempfile::TempDir, mut program: Command) -> Self {
        let mut child = program
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
        let log = Arc::new(Mutex::new(String::new()));
        let heard = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                heard.lock().expect("no reader panics").push_str(&format!("{line}\n"));
            }
        });
        Self { child, dir, url, log }
    }

    /// The same directory, after this process: a new one.
    pub fn again(mut self) -> Self {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().expect("a directory"));
        Self::started(dir, Command::new(assert_cmd::cargo::cargo_bin("pitlane")))
    }

    pub fn log(&self) -> String {
        self.log.lock().expect("no reader panics").clone()
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).expect("writable");
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).expect("readable")
    }

    /// Without a token, as a probe asks: status and body.
    pub fn probe(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.url.trim_start_matches("http://")).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        let _ = write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let mut answer = String::new();
        // One that is closed as it comes answers nothing.
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    pub fn get(&self, path: &str, token: &str) -> String {
        let mut stream = TcpStream::connect(self.url.trim_start_matches("http://")).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
        )
        .expect("writable");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    }

    pub fn post(&self, path: &str, token: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.url.trim_start_matches("http://")).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        let length = body.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .expect("writable");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    }

    /// What it holds of the machine's memory, in MiB.
    pub fn resident_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux tells it");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") / 1024
    }

    /// Changes a limit of the running process.
    pub fn prlimit(&self, limit: &str) {
        let pid = self.child.id().to_string();
        let done =
            Command::new("prlimit").args(["--pid", &pid, limit]).status().expect("util-linux is there");
        assert!(done.success());
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let killed = Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill is there");
        assert!(killed.success());
    }

    pub fn ask(&self, token: &str, words: &[&str]) -> (i32, String, String) {
        let at = ["--config", "pitlane.yaml", "--url", &self.url, "--token-file", token];
        said(self.dir.path(), &[&at[..], words].concat())
    }

    pub fn terminate(&mut self) -> i32 {
        self.signal("TERM");
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

/// Waits for a condition, with a deadline; says what was waited for.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(40);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 40 s: {what}");
        std::thread::yield_now();
    }
}
