//! The two servers, each in a directory of its own, and what they use.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::load::Target;

/// `printf %s alerts | sha256sum`: the bench's own token, of a server that lives for seconds on loopback.
const TOKEN: &str = "alerts";
const TOKEN_SHA256: &str = "deb3e366c077c2288d22ec2434789afa0f0374e9070ed1c8426f88674864df11";

/// A process of ours; it ends with this value.
pub struct Server {
    child: Child,
    pub target: Target,
    /// From the start of the process until it was ready.
    pub ready_after: Duration,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).and_then(|bound| bound.local_addr()).expect("a port").port()
}

/// A directory below `root` that is new.
pub fn fresh(root: &Path, name: &str) -> PathBuf {
    let dir = root.join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a directory");
    dir
}

pub fn alertmanager(program: &Path, root: &Path) -> Server {
    let dir = fresh(root, "alertmanager");
    let port = free_port();
    // What Prometheus sends here is kept and grouped, and nobody is told.
    let settings =
        "route: {receiver: none, group_by: [alertname], group_wait: 30s}\nreceivers: [{name: none}]\n";
    fs::write(dir.join("am.yml"), settings).expect("writable");
    let began = Instant::now();
    let child = Command::new(program)
        .arg(format!("--config.file={}", dir.join("am.yml").display()))
        .arg(format!("--storage.path={}", dir.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("alertmanager starts");
    started(
        child,
        port,
        "/-/ready",
        began,
        Target { address: SocketAddr::from(([127, 0, 0, 1], port)), path: "/api/v2/alerts", token: None },
    )
}

/// `again`: with the state that is there.
pub fn pitlane(program: &Path, root: &Path, again: bool) -> Server {
    let dir = if again { root.join("pitlane") } else { fresh(root, "pitlane") };
    let port = free_port();
    let write = |name: &str, text: &str| fs::write(dir.join(name), text).expect("writable");
    write("tokens.yaml", &format!("tokens:\n  - {{name: am, role: alerts, sha256: {TOKEN_SHA256}}}\n"));
    write("pve", "pitlane@pve!main=00000000-0000-0000-0000-000000000000\n");
    write(
        "pitlane.yaml",
        &format!(
            "mode: observe\nstate: state\nproxmox:\n  endpoints:\n    - {{node: pve1, url: \"https://127.0.0.1:1\"}}\n  \
             token_file: pve\nceph: {{setup: none}}\nhttp: {{listen: \"127.0.0.1:{port}\", tokens_file: tokens.yaml}}\n"
        ),
    );
    let log = fs::File::create(dir.join("log")).expect("writable");
    let began = Instant::now();
    let child = Command::new(program)
        .args(["run", "--config", "pitlane.yaml"])
        .current_dir(&dir)
        .stderr(log)
        .stdout(Stdio::null())
        .spawn()
        .expect("pitlane starts");
    started(
        child,
        port,
        "/readyz",
        began,
        Target {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            path: "/alerts/alertmanager",
            token: Some(TOKEN),
        },
    )
}

/// Waits until it answers this path at all: with a silent cluster pitlane answers, and says that it is blind.
fn started(child: Child, port: u16, path: &str, began: Instant, target: Target) -> Server {
    let mut server = Server { child, target, ready_after: Duration::ZERO };
    while !answers(port, path) {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not answer");
        assert!(server.child.try_wait().expect("ours").is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(1));
    }
    server.ready_after = began.elapsed();
    server
}

fn answers(port: u16, path: &str) -> bool {
    use std::io::{Read, Write};
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
    let asked = write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut said = String::new();
    asked.is_ok() && stream.read_to_string(&mut said).is_ok() && said.starts_with("HTTP/1.1 ")
}

impl Server {
    fn read(&self, what: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{what}", self.child.id())).expect("the server runs")
    }

    /// CPU seconds so far, its own and those of children that ended.
    pub fn cpu(&self) -> f64 {
        let stat = self.read("stat");
        let fields = stat.rsplit(") ").next().expect("a name in brackets").split(' ');
        let ticks: u64 = fields.skip(11).take(4).map(|field| field.parse::<u64>().expect("a count")).sum();
        // The kernel counts a hundred ticks a second on every Linux that we build for.
        ticks as f64 / 100.0
    }

    fn status(&self, field: &str) -> f64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field");
        line.trim_start_matches(':').trim().trim_end_matches(" kB").trim().parse::<f64>().expect("a size")
            / 1024.0
    }

    /// MiB in memory now.
    pub fn resident(&self) -> f64 {
        self.status("VmRSS")
    }

    /// MiB of it that are no file's.
    pub fn own(&self) -> f64 {
        self.status("RssAnon")
    }

    /// The most that it ever had, in MiB.
    pub fn peak(&self) -> f64 {
        self.status("VmHWM")
    }
}
