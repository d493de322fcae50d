//! The webhook with its store, served: in this process, or in a child that can be killed and measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pitlane::adapters::alertmanager::{Answer, Intake, Limits, Receiver, Tokens, router};
use pitlane::adapters::store::{self, SqliteStore};
use pitlane::model::access::{KnownToken, Role};
use pitlane::model::time::Time;
use pitlane::ports::Clock;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

pub const TOKEN: &str = "a token for tests";

/// Known, but not to deliver alerts.
pub const OPERATOR: &str = "an operator's token";

/// Tells a child which state directory to serve.
const DIR: &str = "PITLANE_TEST_SERVES";

/// No answer takes longer than this, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The machine's clock.
pub struct Wall;

impl Clock for Wall {
    fn now(&self) -> Time {
        Time::now()
    }
}

/// A webhook in this process.
pub struct Served {
    pub address: SocketAddr,
    pub store: SqliteStore,
    pub bell: Arc<Notify>,
    pub intake: Arc<Intake>,
    /// Set when a delivery left alerts out.
    pub missed: Arc<AtomicBool>,
    /// What was answered, in order.
    pub answers: Arc<Mutex<Vec<Answer>>>,
}

pub async fn here(dir: &Path, limits: Limits) -> Served {
    let store = store::open(dir, Arc::new(Wall)).expect("opens");
    let missed = Arc::new(AtomicBool::new(false));
    let (bell, intake) = (Arc::new(Notify::new()), Arc::new(Intake::new(limits, Arc::clone(&missed))));
    let answers = Arc::new(Mutex::new(Vec::new()));
    let told = answers.clone();
    let receiver = Receiver {
        store: Arc::new(store.clone()),
        clock: Arc::new(Wall),
        bell: bell.clone(),
        intake: intake.clone(),
        tokens: Tokens::of(&[
            known("another", Role::Alerts),
            known(TOKEN, Role::Alerts),
            known(OPERATOR, Role::Operate),
        ]),
        heard: Arc::new(move |answer| told.lock().expect("whole").push(answer.clone())),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router(receiver)).await });
    Served { address, store, bell, intake, missed, answers }
}

fn known(token: &str, role: Role) -> KnownToken {
    KnownToken { name: "test".into(), role, sha256: Sha256::digest(token).into(), clusters: None }
}

/// The same webhook in a child process: this very test program, told to run `test` only.
pub struct InChild {
    child: Child,
    pub address: SocketAddr,
}

impl InChild {
    /// `test` must begin with [`serve_if_child`].
    pub fn start(test: &str, dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(DIR, dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let said = BufReader::new(child.stdout.take().expect("piped"));
        let address = said
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("listening on ").and_then(|(_, text)| text.parse().ok()))
            .expect("the child says where it listens");
        Self { child, address }
    }

    /// SIGKILL, and gone when this returns.
    pub fn kill(mut self) {
        self.child.kill().expect("kills");
        self.child.wait().expect("ends");
    }

    /// The most memory it ever had, in bytes.
    pub fn peak(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("runs");
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux tells");
        let kib: usize = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
        kib * 1024
    }
}

/// In the child: serves until killed, or until the parent is gone. Elsewhere it does nothing.
pub fn serve_if_child() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let runtime = tokio::runtime::Runtime::new().expect("starts");
    let served = runtime.block_on(here(&dir, Limits::default()));
    println!("listening on {}", served.address);
    // Ends when the parent does, however that ends: nothing is ever written to it.
    let _ = std::io::stdin().read(&mut [0]);
    std::process::exit(0);
}

/// One connection, spoken plainly, so that a test can stop in the middle of a request.
pub struct Caller(TcpStream);

impl Caller {
    pub fn to(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    /// The head of a delivery; `framing` is its Content-Length or Transfer-Encoding line.
    pub fn head(&mut self, token: Option<&str>, framing: &str) -> std::io::Result<()> {
        let auth = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let head = format!("POST /alerts/alertmanager HTTP/1.1\r\nHost: here\r\n{auth}{framing}\r\n\r\n");
        self.0.write_all(head.as_bytes())
    }

    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)
    }

    /// The answer's status.
    pub fn status(&mut self) -> std::io::Result<u16> {
        let mut answer = BufReader::new(&self.0);
        let mut line = String::new();
        answer.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut length = 0;
        loop {
            line.clear();
            if answer.read_line(&mut line)? <= 2 {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        answer.read_exact(&mut vec![0; length])?;
        status.ok_or_else(|| std::io::Error::other("no answer"))
    }

    /// A whole delivery; the connection can be used again.
    pub fn deliver(&mut self, body: &[u8]) -> std::io::Result<u16> {
        self.head(Some(TOKEN), &format!("Content-Length: {}", body.len()))?;
        self.send(body)?;
        self.status()
    }
}

/// One delivery in a thread of its own, so that it may be called from async tests.
pub async fn deliver(address: SocketAddr, body: impl Into<Vec<u8>>) -> u16 {
    let body = body.into();
    tokio::task::spawn_blocking(move || Caller::to(address)?.deliver(&body))
        .await
        .expect("does not panic")
        .expect("an answer")
}
