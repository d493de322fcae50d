//! What one cluster remembers, behind the ports, and the right by which it is written: in a file of this machine, or in a
//! database that several instances share.

use std::sync::Arc;

use pitlane::adapters::store::{
    Keep, PostgresFleet, PostgresSettings, PostgresStore, SqliteStore, StoreError,
};
use pitlane::cli::Stop;
use pitlane::config::{Config, Database};
use pitlane::model::ids::ClusterName;
use pitlane::ports::{AlwaysGood, Archive, Clock, Fleet, Inbox, NoTenure, Outbox, Store, Tenure, Tickets};

use super::{failed, usage};

/// Of which cluster alerts are that lead to none. No cluster can have this name.
const NO_CLUSTER: &str = "*";

/// Cheap to clone.
#[derive(Clone)]
pub struct Stored {
    pub store: Arc<dyn Store>,
    pub inbox: Arc<dyn Inbox>,
    pub outbox: Arc<dyn Outbox>,
    pub archive: Arc<dyn Archive>,
    /// The built-in ticket system.
    pub board: Arc<dyn Tickets>,
    /// Budgets that count over several clusters, where there are others.
    pub fleet: Option<Arc<dyn Fleet>>,
    pub tenure: Arc<dyn Tenure>,
}

impl Stored {
    /// The lock of the file is the lease.
    pub fn file(store: &SqliteStore, fleet: Option<Arc<dyn Fleet>>) -> Self {
        Self {
            store: Arc::new(store.clone()),
            inbox: Arc::new(store.clone()),
            outbox: Arc::new(store.clone()),
            archive: Arc::new(store.clone()),
            board: Arc::new(store.board()),
            fleet,
            tenure: Arc::new(AlwaysGood),
        }
    }
}

/// How long what is over is kept, as the configuration has it.
pub fn kept(config: &Config) -> Keep {
    Keep {
        closed_cases: config.keep.closed_cases.map(|kept| kept.0),
        journal: config.keep.journal.map(|kept| kept.0),
    }
}

/// One cluster in a database.
#[derive(Clone)]
pub struct Shared {
    pub database: PostgresFleet,
    pub cluster: ClusterName,
    pub clock: Arc<dyn Clock>,
    pub keep: Keep,
    /// Budgets are shared with others.
    pub in_fleet: bool,
}

impl Shared {
    /// For reading, and for taking in: nothing is decided by it.
    ///
    /// # Errors
    /// The cluster has no name.
    pub fn without_lease(&self) -> Result<Stored, Stop> {
        self.under(Arc::new(NoTenure)).map_err(usage)
    }

    /// Under this very right, and never another one that comes after it.
    ///
    /// # Errors
    /// The cluster has no name.
    pub fn under(&self, tenure: Arc<dyn Tenure>) -> Result<Stored, String> {
        let store = self.database.store(&self.cluster, tenure.clone(), self.clock.clone());
        let store = store.map_err(|e| e.chain())?;
        store.keep(self.keep);
        let fleet = self.in_fleet.then(|| Arc::new(self.database.budgets(tenure.clone())) as Arc<dyn Fleet>);
        Ok(Stored {
            inbox: Arc::new(store.clone()),
            outbox: Arc::new(store.clone()),
            archive: Arc::new(store.clone()),
            board: Arc::new(store.board()),
            store: Arc::new(store),
            fleet,
            tenure,
        })
    }
}

/// Where alerts are kept that lead to no cluster: any instance takes them in.
///
/// # Errors
/// None that can happen: the name is ours.
pub fn of_no_cluster(database: &PostgresFleet, clock: &Arc<dyn Clock>) -> Result<Stored, Stop> {
    let (cluster, clock) = (ClusterName::from(NO_CLUSTER), clock.clone());
    Shared { database: database.clone(), cluster, clock, keep: Keep::default(), in_fleet: true }
        .without_lease()
}

/// Connects, if the configuration names a database.
///
/// # Errors
/// It cannot be reached, or not be used.
pub async fn database(config: &Config) -> Result<Option<PostgresFleet>, Stop> {
    let Some(database) = &config.database else { return Ok(None) };
    let connected = connect(database).await;
    connected.map(Some).map_err(|e| match e {
        StoreError::Address(_) => usage(e.chain()),
        e => failed("the database", e.chain()),
    })
}

/// As another life of this program.
///
/// # Errors
/// It cannot be reached, or not be used.
pub async fn connect(database: &Database) -> Result<PostgresFleet, StoreError> {
    PostgresFleet::connect(&settings(database)).await
}

fn settings(database: &Database) -> PostgresSettings {
    let Database { url, password, ca_pem, lease } = database.clone();
    let password = password.map(|password| password.0);
    PostgresSettings { url, password, ca_pem, holder: life(), lease: lease.0 }
}

/// This life of this process: where it is, for people, and what no other one will ever have.
fn life() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim().split('.').next().filter(|host| !host.is_empty()).unwrap_or("pitlane").to_owned();
    let mut bytes = [0; 6];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).expect("an operating system without randomness cannot do TLS either");
    let chance: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{host}-{}-{chance}", std::process::id())
}

/// A cluster in the database, for the command line: reading alone.
///
/// # Errors
/// It cannot be reached, or not be used.
pub async fn reader(database: &Database, cluster: &ClusterName) -> Result<PostgresStore, StoreError> {
    connect(database).await?.store(cluster, Arc::new(NoTenure), Arc::new(super::SystemClock))
}
