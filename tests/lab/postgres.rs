//! A real PostgreSQL for tests, started by `tests/lab/postgres-lab`; or the database that PITLANE_POSTGRES names, which may be
//! another one with the same protocol. Its tables are made by whichever test comes first.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use pitlane::adapters::store::{PostgresFleet, PostgresSettings, PostgresStore};
use pitlane::model::ids::ClusterName;
use pitlane::ports::{Clock, Lease, Leases as _};

/// Down when the last test that uses it has ended.
pub struct Database {
    url: String,
    lab: Option<(PathBuf, tempfile::TempDir)>,
}

static UP: Mutex<Weak<Database>> = Mutex::new(Weak::new());

/// The one that is up, or a new one.
pub fn database() -> Arc<Database> {
    let mut up = UP.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(database) = up.upgrade() {
        return database;
    }
    let database = Arc::new(Database::up());
    *up = Arc::downgrade(&database);
    database
}

impl Database {
    fn up() -> Self {
        if let Ok(url) = std::env::var("PITLANE_POSTGRES") {
            return Self { url, lab: None };
        }
        let labs = std::env::var_os("PITLANE_LABS")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/lab"), PathBuf::from);
        let (script, dir) = (labs.join("postgres-lab"), tempfile::tempdir().expect("a directory"));
        let lab = dir.path().join("db");
        let up = Command::new(&script)
            .arg("up")
            .arg("--fast")
            .arg("--dir")
            .arg(&lab)
            .output()
            .expect("python3 is there");
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
        let facts: serde_json::Value = serde_json::from_slice(&up.stdout).expect("JSON");
        let url = facts["url"].as_str().expect("an address").to_owned();
        Self { url, lab: Some((script, dir)) }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// As another life of an instance, with this lease.
    pub fn settings(&self, lease: Duration) -> PostgresSettings {
        static LIVES: AtomicU32 = AtomicU32::new(0);
        let holder = format!("test-{}-{}", std::process::id(), LIVES.fetch_add(1, Ordering::SeqCst));
        PostgresSettings { url: self.url.clone(), password: None, ca_pem: None, holder, lease }
    }

    pub async fn instance(&self, lease: Duration) -> PostgresFleet {
        PostgresFleet::connect(&self.settings(lease)).await.expect("the lab answers")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some((script, dir)) = &self.lab {
            let down = Command::new(script).arg("down").arg("--dir").arg(dir.path().join("db")).status();
            if !down.is_ok_and(|status| status.success()) {
                eprintln!("the database in {} would not go down", dir.path().display());
            }
        }
    }
}

/// A name that no other test uses.
pub fn new_cluster() -> ClusterName {
    static CLUSTERS: AtomicU32 = AtomicU32::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    ClusterName(format!(
        "c{}-{}-{}",
        std::process::id(),
        now.as_nanos(),
        CLUSTERS.fetch_add(1, Ordering::SeqCst)
    ))
}

/// Long enough for any test.
pub const LONG: Duration = Duration::from_secs(900);

/// The cluster's store, with its lease.
pub async fn leading(
    fleet: &PostgresFleet,
    cluster: &ClusterName,
    clock: Arc<dyn Clock>,
) -> (PostgresStore, Arc<dyn Lease>) {
    let lease = fleet.leases().take(cluster).await.expect("answers").expect("is free");
    (fleet.store(cluster, lease.clone(), clock).expect("has a name"), lease)
}
