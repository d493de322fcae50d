//! What a telling remembers in: memory; or with PITLANE_STORE=postgres a real PostgreSQL, where each telling is a cluster of its
//! own. The words must be the same.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pitlane::model::ids::ClusterName;
use pitlane::model::notice::{Notice, NoticeId};
use pitlane::ports::{Archive, Lease, Outbox, Store};
use pitlane::sim::{Doors, MemoryStore};
use tokio::runtime::Runtime;

use crate::postgres::{self, Database, LONG};

/// All that a store can be asked for.
pub trait Remembers: Store + Outbox + Archive {}

impl<S: Store + Outbox + Archive> Remembers for S {}

pub struct Kept {
    pub all: Arc<dyn Remembers>,
    /// Every notice that was written, in its first words.
    told: Mutex<BTreeMap<NoticeId, Notice>>,
    /// Held as long as the story is told.
    _lease: Option<Arc<dyn Lease>>,
}

impl Deref for Kept {
    type Target = dyn Remembers;

    fn deref(&self) -> &Self::Target {
        &*self.all
    }
}

impl Kept {
    pub fn new(doors: &Doors) -> Arc<Self> {
        let (all, lease): (Arc<dyn Remembers>, _) = match database() {
            None => (Arc::new(MemoryStore::default()), None),
            Some(database) => {
                let (store, lease) = in_postgres(&database, doors.clone());
                (store, Some(lease))
            }
        };
        Arc::new(Self { all, told: Mutex::default(), _lease: lease })
    }

    pub fn told(&self, notices: &[Notice]) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for notice in notices {
            told.entry(notice.id.clone()).or_insert_with(|| notice.clone());
        }
    }

    pub fn notices(&self) -> Vec<Notice> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// Up as long as somebody holds it: whoever tells many stories does.
pub fn database() -> Option<Arc<Database>> {
    (std::env::var("PITLANE_STORE").as_deref() == Ok("postgres")).then(postgres::database)
}

/// Apart from the telling's own threads: it may be told inside of another runtime.
fn in_postgres(database: &Arc<Database>, doors: Doors) -> (Arc<dyn Remembers>, Arc<dyn Lease>) {
    static APART: OnceLock<Runtime> = OnceLock::new();
    let apart = APART.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().expect("a runtime")
    });
    let (database, cluster): (_, ClusterName) = (database.clone(), postgres::new_cluster());
    let made = std::thread::spawn(move || {
        apart.block_on(async {
            let fleet = database.instance(LONG).await;
            let (store, lease) = postgres::leading(&fleet, &cluster, Arc::new(doors)).await;
            (Arc::new(store) as Arc<dyn Remembers>, lease)
        })
    });
    made.join().expect("the database answers")
}
