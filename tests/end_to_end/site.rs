//! One site: a simulated cluster behind door two, and the real program with its own configuration in front of it.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pitlane::model::ids::GuestId;
use pitlane::model::observed::GuestKind;
use pitlane::model::time::Time;
use pitlane::sim::World;
use pitlane::sim::http::{Options, Running, Token, serve};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::process::{Child, Command};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pitlane");
/// Long enough for two busy cores; a command that waits longer says so itself.
const COMMAND_MAX: Duration = Duration::from_secs(320);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Name, role. The token is the name; files of these names hold them.
const PEOPLE: [(&str, &str); 4] =
    [("alice", "operate"), ("bob", "read"), ("tom", "technician"), ("alertmanager", "alerts")];

const WORK_ORDERS: &str = "SELECT case_id, CASE WHEN closed_at IS NULL THEN status ELSE 'closed' END FROM work_orders \
                           ORDER BY number";

/// Spans short enough for a test and long enough for its meaning; and a budget for more than two drains.
pub const QUICK: &str = "limits: {clean_for: 2s, turn_busy: 1s, turn_quiet: 2s, step_for: 30s, fresh_for: 30s}\nbudgets: \
                         {drains_per_day_max: 100}\npolicies: policies\n";

/// For drains that a person asks for.
pub const MANUAL: &str = r#"policy: manual
match: []
confirm: {steady_for: 0s, or_episodes: 1, within: 1s, clears_after: 0s}
respond: {action: drain, mode: approve, time_box: 4h, containers: restart}
work_order: {title: "{{ node }}: maintenance", checklist: [do the work]}
prove: {soak: 3s, checks: [alerts_clear, node_services, osds_up, pgs_clean]}
"#;

/// Patience for one event on two busy cores.
pub const SOON: Duration = Duration::from_secs(60);

/// Three nodes, four guests on the first of them.
pub fn small(seed: u64) -> World {
    World::builder(3)
        .seed(seed)
        .at(Time::now())
        .vm(101, "pve1")
        .vm(102, "pve1")
        .vm(103, "pve1")
        .vm(104, "pve1")
        .vm(201, "pve2")
        .guest(302, "pve3", |guest| guest.kind = GuestKind::Lxc)
        .build()
}

pub struct Site {
    pub world: Arc<Mutex<World>>,
    pub door: Running,
    dir: tempfile::TempDir,
    pub url: String,
    http: reqwest::Client,
    service: Option<Child>,
    /// What the service's process finds in its environment beside the usual.
    pub env: Vec<(&'static str, String)>,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Site {
    /// Opens the door and writes down who is who. Nothing of ours runs yet.
    pub async fn open(world: World, speed: f64) -> Self {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let world = Arc::new(Mutex::new(world));
        let options = Options { speed, tokens: vec![Token::pitlane("secret")], ..Options::default() };
        let door = serve(Arc::clone(&world), options).await.expect("loopback has free ports");
        let dir = tempfile::Builder::new().prefix("site").tempdir().expect("a temporary directory");
        let url = format!("http://127.0.0.1:{}", free_port());
        let site =
            Self { world, door, dir, url, http: reqwest::Client::new(), service: None, env: Vec::new() };
        site.put("pve", "pitlane@pve!ctl=secret\n");
        site.put("ca.pem", &site.door.ca_pem);
        let mut tokens = String::from("tokens:\n");
        for (name, role) in PEOPLE {
            site.put(name, &format!("{name}\n"));
            let sha256: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
            tokens += &format!("  - {{name: {name}, role: {role}, sha256: {sha256}}}\n");
        }
        site.put("tokens.yaml", &tokens);
        site
    }

    /// Writes `pitlane.yaml`: how the cluster is reached and who may ask, and then `more`.
    pub fn configure(&self, more: &str) {
        let (listen, reached) = (self.listen(), self.reached());
        self.put(
            "pitlane.yaml",
            &format!(
                "state: state\nkill_file: stop\nself: {{outside: true}}\nhttp: {{listen: \"{listen}\", tokens_file: tokens.yaml}}\n\
                 {reached}{more}"
            ),
        );
    }

    pub fn listen(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// `proxmox:` of a configuration, wherever its file lies.
    pub fn reached(&self) -> String {
        let endpoint = |(node, url)| format!("    - {{node: {node}, url: \"{url}\"}}\n");
        let endpoints: String = self.door.endpoints.iter().map(endpoint).collect();
        let (token, ca) = (self.path("pve"), self.path("ca.pem"));
        format!(
            "proxmox:\n  token_file: {}\n  ca_file: {}\n  endpoints:\n{endpoints}",
            token.display(),
            ca.display()
        )
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn put(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below our directory")).expect("our own directory");
        fs::write(path, text).expect("our own directory");
    }

    /// `pitlane run`, and waits until it answers.
    pub async fn start(&mut self) {
        self.spawn();
        self.until("the service answers", SOON, async || self.get("/readyz").await, Option::is_some).await;
    }

    /// `pitlane run`.
    pub fn spawn(&mut self) {
        self.service = Some(self.service(&[]));
    }

    /// `pitlane run`, with these words before it.
    pub fn service(&self, before: &[String]) -> Child {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).expect("ours");
        let mut program = program_after(before, self.dir.path());
        program.envs(self.env.iter().map(|(name, value)| (*name, value.as_str())));
        program.arg("run").stderr(log).stdout(Stdio::null()).spawn().expect("it starts")
    }

    /// The service's process.
    pub fn pid(&self) -> u32 {
        self.service.as_ref().and_then(Child::id).expect("it was started")
    }

    /// SIGKILL: as when the power goes.
    pub async fn kill(&mut self) {
        let mut child = self.service.take().expect("it was started");
        if let Some(status) = child.try_wait().expect("ours") {
            panic!("the service ended by itself: {status}\n{}", self.log_tail());
        }
        child.kill().await.expect("ours");
    }

    /// A command of `who`'s.
    pub async fn said(&self, who: &str, words: &[&str]) -> Said {
        let mut command = program(self.dir.path());
        command.args(["--token-file", who]).args(words);
        let output = tokio::time::timeout(COMMAND_MAX, command.output()).await;
        let output: Output = output.unwrap_or_else(|_| panic!("{words:?} does not end")).expect("it starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let code = output.status.code().expect("no signal");
        Said { code, out: text(output.stdout), err: text(output.stderr) }
    }

    /// A question to the API; `None` while nobody answers, or the answer is no.
    pub async fn get(&self, path: &str) -> Option<Value> {
        let ask = self.http.get(format!("{}{path}", self.url)).bearer_auth("bob").timeout(SOON);
        let said = ask.send().await.and_then(reqwest::Response::error_for_status);
        let text = async { said?.text().await }.await;
        // Shown if the test fails.
        let text = text.inspect_err(|why| println!("{why:#?}")).ok()?;
        Some(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Stores a request; the same key is the same request. `None` while nobody answers, or its store does not.
    pub async fn ask(&self, who: &str, what: &Value, key: &str) -> Option<Value> {
        let ask = self.http.post(format!("{}/api/v1/requests", self.url)).bearer_auth(who).timeout(SOON);
        let ask = ask.header("idempotency-key", key).header("content-type", "application/json");
        let said = ask.body(what.to_string()).send().await.ok()?;
        if said.status().is_server_error() {
            return None;
        }
        assert!(said.status().is_success(), "{what}: {}", said.status());
        serde_json::from_str(&said.text().await.ok()?).ok()
    }

    /// Waits until the case is in this phase; its whole view.
    pub async fn phase(&self, case: u64, phase: &str, limit: Duration) -> Value {
        let path = format!("/api/v1/cases/{case}");
        let so = |view: &Option<Value>| view.as_ref().is_some_and(|v| v["case"]["phase"]["phase"] == phase);
        let view =
            self.until(&format!("case {case} is {phase}"), limit, async || self.get(&path).await, so).await;
        view.expect("it was just seen")
    }

    /// Asks again and again until it is so.
    ///
    /// # Panics
    /// When it is not so in time, or the world was hurt meanwhile; says what was seen last, and the service's last words.
    pub async fn until<T: std::fmt::Debug>(
        &self,
        what: &str,
        limit: Duration,
        look: impl AsyncFn() -> T,
        so: impl Fn(&T) -> bool,
    ) -> T {
        let end = Instant::now() + limit;
        loop {
            let seen = look().await;
            if so(&seen) {
                return seen;
            }
            assert_eq!(self.door.violation(), None, "while waiting: {what}\n{}", self.log_tail());
            assert!(
                Instant::now() < end,
                "not within {limit:?}: {what}; last seen: {seen:?}\n{}",
                self.log_tail()
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Guests that are not where they were, or not as they were.
    pub fn strays(&self) -> BTreeMap<GuestId, String> {
        let world = self.world.lock().expect("unhurt");
        let away = world.guests.iter().filter(|(id, _)| !world.at_home(**id));
        away.map(|(id, guest)| (*id, format!("{:?} on {}, lock {:?}", guest.run, guest.node, guest.lock)))
            .collect()
    }

    /// Work orders ever written on the built-in board: case, state. `done` is the technician's word, `closed` ours.
    pub fn work_orders(&self) -> Vec<(u64, String)> {
        let db = rusqlite::Connection::open_with_flags(
            self.path("state/pitlane.db"),
            rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
        )
        .expect("the service's own file");
        let mut rows = db.prepare(WORK_ORDERS).expect("its board");
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("its board");
        rows.map(|row| row.expect("a row")).collect()
    }

    /// The case's story, a line each.
    pub async fn story(&self, case: u64) -> String {
        let view = self.get(&format!("/api/v1/cases/{case}")).await.expect("an answer");
        let lines = view["story"].as_array().expect("a list");
        lines.iter().map(|line| format!("{}\n", line["text"].as_str().unwrap_or("?"))).collect()
    }

    pub fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

/// The program in a directory, with nothing of this machine's environment. It dies with its handle.
fn program(dir: &Path) -> Command {
    program_after(&[], dir)
}

/// The same, with these words before it: another program that becomes this one.
fn program_after(before: &[String], dir: &Path) -> Command {
    let words: Vec<&str> = before.iter().map(String::as_str).chain([PROGRAM]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    for name in ["PITLANE_URL", "PITLANE_TOKEN_FILE", "PITLANE_CA_FILE", "PITLANE_LOG"] {
        command.env_remove(name);
    }
    command.env("PITLANE_CONFIG", "pitlane.yaml").current_dir(dir).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// A port that nobody has now, from below those that the kernel gives to outgoing connections: who sends us alarms, and
/// who starts again after a kill, has to know it beforehand. Never the same one twice.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 9_000).expect("below nine thousand");
    let mut ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed)).take(900);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("one of 900 ports is free")
}
