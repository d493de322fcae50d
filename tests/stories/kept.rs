//! What a telling remembers in: memory; with `PITLANE_STORE=sqlite` a file of its own, read anew after each death; with
//! `PITLANE_STORE=postgres` a real PostgreSQL, where it is a cluster of its own. The words must be the same.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pitlane::adapters::store;
use pitlane::model::notice::{Notice, NoticeId};
use pitlane::ports::{Archive, Lease, Outbox, Store};
use pitlane::sim::{Doors, MemoryStore};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::postgres::{self, Database, LONG};

/// All that a store can be asked for.
pub trait Remembers: Store + Outbox + Archive {}

impl<S: Store + Outbox + Archive> Remembers for S {}

pub struct Kept {
    pub all: Arc<dyn Remembers>,
    /// Every notice that was written, in its first words.
    told: Mutex<BTreeMap<NoticeId, Notice>>,
    place: Place,
}

/// Held as long as the story is told.
enum Place {
    Memory,
    File(TempDir),
    Database { _lease: Arc<dyn Lease> },
}

impl Deref for Kept {
    type Target = dyn Remembers;

    fn deref(&self) -> &Self::Target {
        &*self.all
    }
}

impl Kept {
    pub fn new(doors: &Doors) -> Arc<Self> {
        let (all, place) = match asked().as_str() {
            "" => return Self::nothing(),
            "sqlite" => {
                let dir = directory();
                (in_file(dir.path(), doors), Place::File(dir))
            }
            "postgres" => {
                let (store, lease) = in_postgres(postgres::database(), doors.clone());
                (store, Place::Database { _lease: lease })
            }
            other => panic!("PITLANE_STORE={other}: write sqlite or postgres, or leave it away for memory"),
        };
        Arc::new(Self { all, told: Mutex::default(), place })
    }

    /// In memory, and empty.
    pub fn nothing() -> Arc<Self> {
        Arc::new(Self { all: Arc::new(MemoryStore::default()), told: Mutex::default(), place: Place::Memory })
    }

    /// After the death of all that used it: as the next process finds it.
    pub fn again(old: Arc<Self>, doors: &Doors) -> Arc<Self> {
        let Place::File(dir) = &old.place else { return old };
        let dir = dir.path().to_owned();
        let Self { all, told, place } = Arc::into_inner(old).expect("nothing of the old process is left");
        // With its lock.
        drop(all);
        Arc::new(Self { all: in_file(&dir, doors), told, place })
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

/// Where stories are told over one: up as long as somebody holds it, and whoever tells many does.
pub fn database() -> Option<Arc<Database>> {
    (asked() == "postgres").then(postgres::database)
}

fn asked() -> String {
    std::env::var_os("PITLANE_STORE").unwrap_or_default().to_string_lossy().into_owned()
}

fn in_file(dir: &Path, doors: &Doors) -> Arc<dyn Remembers> {
    Arc::new(store::open(&dir.join("state"), Arc::new(doors.clone())).expect("the state can be opened"))
}

/// In memory, where there is such a place: no machine loses its power in a story, and a disk would be waited for.
fn directory() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a directory")
}

/// Apart from the telling's own threads: it may be told inside of another runtime. An instance of its own, as its connections live in
/// the runtime in which they are made.
fn in_postgres(database: Arc<Database>, doors: Doors) -> (Arc<dyn Remembers>, Arc<dyn Lease>) {
    static APART: OnceLock<Runtime> = OnceLock::new();
    let apart = APART.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().expect("a runtime")
    });
    let made = std::thread::spawn(move || {
        apart.block_on(async {
            let fleet = database.instance(LONG).await;
            let cluster = postgres::new_cluster();
            let (store, lease) = postgres::leading(&fleet, &cluster, Arc::new(doors)).await;
            (Arc::new(store) as Arc<dyn Remembers>, lease)
        })
    });
    made.join().expect("the database answers")
}
