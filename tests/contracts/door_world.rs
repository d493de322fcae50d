//! A simulated cluster that looks like the recorded one, with its door open, and a plain client for it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::ext::ReasonPhrase;
use pitlane::model::ids::{GuestId, NodeName};
use pitlane::model::observed::{Affinity, Replica};
use pitlane::sim::World;
use pitlane::sim::http::{Grant, Options, Running, Token, serve};
use pitlane::sim::world::Run;
use pitlane::sim::world::backups::{BackupStore, Kept};
use serde_json::{Value, json};

pub const SECRET: &str = "simulated-secret";

/// Three members with the guests of the recordings' own table, but no Ceph pools of that size.
pub fn recorded_world() -> World {
    let stopped = |guest: &mut pitlane::sim::world::Guest| guest.run = Run::Stopped;
    World::builder(3)
        .vm(100, "pve2")
        .vm(101, "pve1")
        .guest(102, "pve1", stopped)
        .guest(103, "pve1", |guest| {
            guest.local_disks = [("local-lvm:vm-103-disk-0".to_owned(), 8 << 30)].into();
        })
        .guest(104, "pve1", |guest| {
            guest.devices = vec!["usb0".to_owned()];
            stopped(guest);
        })
        .guest(105, "pve1", |guest| {
            guest.template = true;
            stopped(guest);
        })
        .vm(106, "pve2")
        .vm(107, "pve3")
        .guest(108, "pve3", |guest| {
            guest.lock = Some("backup".to_owned());
            stopped(guest);
        })
        .vm(109, "pve3")
        .guest(200, "pve1", |guest| {
            guest.kind = pitlane::model::observed::GuestKind::Lxc;
            guest.name = "ct1".to_owned();
            stopped(guest);
        })
        .ha(&[101, 106, 107])
        .node_rule("db-nodes", &[101], &[("pve1", 2), ("pve2", 1)], true)
        .guest_rule("apps-apart", Affinity::Apart, &[106, 107])
        .ceph(1)
        .with(directory_of_backups)
        .build()
}

/// A directory that all nodes mount, with an archive of one guest beside the nightly backups of the others.
fn directory_of_backups(world: &mut World) {
    let store = BackupStore { kind: "dir".to_owned(), shared: true, server: None, hangs: false };
    world.backups.stores.insert("shared".to_owned(), store);
    let at = world.now - jiff::SignedDuration::from_hours(31);
    let kept = Kept { store: "shared".to_owned(), at, verified: None };
    world.backups.odd.insert(GuestId(100), vec![kept]);
    world.backups.jobs.push(Replica {
        job: "103-0".to_owned(),
        guest: GuestId(103),
        target: Some("pve2".into()),
        disabled: false,
        synced: Some(at),
        failed: 2,
        error: Some("no route to host".to_owned()),
    });
}

/// The token of the recordings that may audit guest 100 and nothing else.
pub fn limited() -> Token {
    let rights = ["Mapping.Audit", "Datastore.Audit", "VM.Audit", "Pool.Audit", "Sys.Audit", "SDN.Audit"];
    Token::new("limited@pve!t1", "other-secret", vec![Grant::new("/vms/100", &rights)])
}

/// An open door, the world behind it, and a client that believes its authority.
pub struct Lab {
    pub world: Arc<Mutex<World>>,
    pub door: Running,
    pub client: reqwest::Client,
}

/// An answer, as it came.
#[derive(Debug)]
pub struct Said {
    pub status: u16,
    pub reason: String,
    pub connection: String,
    pub server: String,
    pub content_type: String,
    /// The JSON, or the text as a JSON string.
    pub body: Value,
}

impl Lab {
    /// pitlane's own token, and one that may look at a single guest.
    fn tokens() -> Vec<Token> {
        vec![Token::pitlane(SECRET), limited()]
    }

    /// Time stands still unless a test lets it pass; nothing is delayed.
    pub async fn still(world: World) -> Self {
        Self::open(world, Options { speed: 0.0, tokens: Self::tokens(), ..Options::default() }).await
    }

    pub async fn open(world: World, options: Options) -> Self {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let world = Arc::new(Mutex::new(world));
        let door = serve(Arc::clone(&world), options).await.expect("loopback has free ports");
        let client = client(&door);
        Self { world, door, client }
    }

    /// With pitlane's own token.
    pub async fn get(&self, via: &str, path: &str) -> Said {
        self.ask("GET", via, path, &[], Some(&Token::pitlane(SECRET))).await
    }

    pub async fn ask(
        &self,
        method: &str,
        via: &str,
        path: &str,
        form: &[(&str, &str)],
        token: Option<&Token>,
    ) -> Said {
        let base = &self.door.endpoints[&NodeName::from(via)];
        let method = method.parse().expect("a method");
        let mut request = self.client.request(method, format!("{base}/api2/json{path}"));
        if let Some(token) = token {
            request = request.header("Authorization", token.header());
        }
        if !form.is_empty() {
            request = request.form(form);
        }
        read(request.send().await.expect("an answer")).await
    }

    /// The recorded request, sent to door two.
    pub async fn replay(&self, recording: &Recording) -> Said {
        let base = &self.door.endpoints[&NodeName::from("pve1")];
        let method = recording.method.parse().expect("a method");
        let mut request = self.client.request(method, format!("{base}/api2/json{}", recording.path));
        let token = if recording.token == "limited@pve!t1" { limited() } else { Token::pitlane(SECRET) };
        request = request.header("Authorization", token.header());
        if let Some(query) = recording.query.as_object() {
            request = request.query(&query.iter().collect::<Vec<_>>());
        }
        request = match (&recording.posted, recording.encoding.as_str()) {
            (Value::Null, _) => request,
            (posted, "json") => request.json(posted),
            (Value::Object(posted), _) => request.form(&posted.iter().collect::<Vec<_>>()),
            (posted, _) => request
                .header("Content-Type", "text/xml")
                .body(posted.as_str().unwrap_or_default().to_owned()),
        };
        read(request.send().await.expect("an answer")).await
    }

    /// A call of the control API.
    pub async fn control(&self, method: &str, path: &str) -> Value {
        let method: reqwest::Method = method.parse().expect("a method");
        let request = self.client.request(method, format!("{}{path}", self.door.control_url));
        let answer = request.bearer_auth(&self.door.control_token).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap_or_default());
        answer.json().await.expect("JSON")
    }
}

pub fn client(door: &Running) -> reqwest::Client {
    let authority = reqwest::Certificate::from_pem(door.ca_pem.as_bytes()).expect("a certificate");
    reqwest::Client::builder()
        .tls_certs_only([authority])
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()
        .expect("a client")
}

pub async fn read(answer: reqwest::Response) -> Said {
    let header = |name: &str| {
        answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let reason = match answer.extensions().get::<ReasonPhrase>() {
        Some(reason) => String::from_utf8_lossy(reason.as_bytes()).into_owned(),
        None => answer.status().canonical_reason().unwrap_or_default().to_owned(),
    };
    let (connection, server, content_type) = (header("connection"), header("server"), header("content-type"));
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a body");
    let body = serde_json::from_str(&text).unwrap_or_else(|_| json!(text));
    Said { status, reason, connection, server, content_type, body }
}

pub fn data_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/pve")
}

/// One recorded exchange of the real cluster.
#[derive(Debug)]
pub struct Recording {
    pub file: String,
    pub method: String,
    /// Below `/api2/json`, percent-decoded.
    pub path: String,
    pub query: Value,
    /// What was posted: an object, or text.
    pub posted: Value,
    /// `form`, `json`, or empty.
    pub encoding: String,
    /// `pitlane@pve!ctl`, …
    pub token: String,
    pub status: u16,
    pub reason: String,
    pub body: Value,
}

/// All single exchanges, in the order of their names.
pub fn recordings() -> Vec<Recording> {
    let folder = data_folder().join("recordings");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the recordings")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let read = |path: PathBuf| {
        let file = path.file_name().expect("a name").to_string_lossy().into_owned();
        let whole: Value = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
        let (asked, said) = (whole.get("request")?, whole.get("response")?);
        Some(Recording {
            file,
            method: asked["method"].as_str()?.to_owned(),
            path: unescaped(asked["path"].as_str()?.strip_prefix("/api2/json")?),
            query: asked["query"].clone(),
            posted: asked["body"].clone(),
            encoding: asked["body_encoding"].as_str().unwrap_or_default().to_owned(),
            token: token_of(asked["headers"]["Authorization"].as_str().unwrap_or_default()),
            status: u16::try_from(said["status"].as_u64()?).ok()?,
            reason: said["reason"].as_str()?.to_owned(),
            body: said["body"].clone(),
        })
    };
    let found: Vec<Recording> = files.into_iter().filter_map(read).collect();
    assert!(found.len() > 150, "only {} recordings were found", found.len());
    found
}

/// The id in `PVEAPIToken=ID=<redacted>`.
fn token_of(header: &str) -> String {
    let id = header.strip_prefix("PVEAPIToken=").unwrap_or_default();
    id.split('=').next().unwrap_or_default().to_owned()
}

/// The escapes that UPIDs in paths carry.
fn unescaped(path: &str) -> String {
    path.replace("%3A", ":").replace("%40", "@").replace("%21", "!")
}
