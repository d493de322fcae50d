//! Backups and replication of the world: every guest is backed up each night to a backup server outside, unless somebody
//! arranged it otherwise. What the token may not list is left out in silence, as in Proxmox.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{Backup, GuestKind, Machine, Replica, Store, Survey};
use crate::model::seen::{Seen, Trouble};
use crate::model::time::Time;

use super::build::GIB;
use super::{Guest, World};

/// The nightly job begins at one o'clock, and what it writes is that large.
const NIGHTLY_AT_SECS: i64 = 3600;
const DAY_SECS: i64 = 86_400;
const SIZE: u64 = 32 * GIB;
/// Where the nightly job puts everything.
pub const NIGHTLY: &str = "pbs";
/// Where directories are mounted.
pub const DIRECTORIES: &str = "/srv";
pub const NIGHTLY_SERVER: &str = "10.99.9.1";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Backups {
    /// Storages for backups.
    pub stores: BTreeMap<String, BackupStore>,
    /// Guests that the nightly job does not know, with what there is of them.
    pub odd: BTreeMap<GuestId, Vec<Kept>>,
    pub jobs: Vec<Replica>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackupStore {
    pub kind: String,
    pub shared: bool,
    pub server: Option<String>,
    /// It does not answer.
    pub hangs: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    pub store: String,
    pub at: Time,
    pub verified: Option<bool>,
}

impl Default for Backups {
    fn default() -> Self {
        let nightly = BackupStore {
            kind: "pbs".to_owned(),
            shared: true,
            server: Some(NIGHTLY_SERVER.to_owned()),
            hangs: false,
        };
        Self { stores: [(NIGHTLY.to_owned(), nightly)].into(), odd: BTreeMap::new(), jobs: Vec::new() }
    }
}

impl World {
    /// What a survey for `node` finds.
    pub fn survey(&self, node: &NodeName) -> Survey {
        let at = self.now;
        let machine = |name: &NodeName| match self.may(&format!("/nodes/{name}"), "Sys.Audit") {
            true => Seen::known(self.machine_of(name), at),
            false => Trouble::Refused("Permission check failed".to_owned()).into(),
        };
        let online = self.nodes.iter().filter(|(_, n)| n.joined());
        Survey {
            asked_at: at,
            replicas: Seen::known(self.replicas_on(node), at),
            stores: Seen::known(self.stores(node), at),
            machines: online.map(|(name, _)| (name.clone(), machine(name))).collect(),
        }
    }

    pub(crate) fn machine_of(&self, name: &NodeName) -> Machine {
        let Some(node) = self.nodes.get(name) else { return Machine::default() };
        Machine { version: node.version.clone(), ..node.machine.clone() }
    }

    pub(crate) fn replicas_on(&self, node: &NodeName) -> Vec<Replica> {
        let here = |job: &&Replica| {
            self.guests.get(&job.guest).is_some_and(|guest| &guest.node == node)
                && self.may(&format!("/vms/{}", job.guest), "VM.Audit")
        };
        self.backups.jobs.iter().filter(here).cloned().collect()
    }

    fn stores(&self, node: &NodeName) -> BTreeMap<String, Store> {
        let mut found = BTreeMap::new();
        for (name, has) in self.nodes.values().flat_map(|node| &node.storages) {
            if self.sees_storage(name) {
                found.insert(name.clone(), disks_on(has.shared));
            }
        }
        for (name, store) in &self.backups.stores {
            if !self.sees_storage(name) {
                continue;
            }
            let backups = match store.hangs {
                true => Trouble::TooSlow("its backups were not listed in time".to_owned()).into(),
                false => Seen::known(self.backups_on(name, node), self.now),
            };
            found.insert(name.clone(), Store { backups, ..of_kind(name, store) });
        }
        found
    }

    fn sees_storage(&self, storage: &str) -> bool {
        let path = format!("/storage/{storage}");
        self.may(&path, "Datastore.Audit") || self.may(&path, "Datastore.AllocateSpace")
    }

    /// As the token sees them; of a storage that each node has for itself, what `node`'s own holds.
    fn backups_on(&self, storage: &str, node: &NodeName) -> Vec<Backup> {
        let path = format!("/storage/{storage}");
        let visible = |guest: &GuestId| {
            self.may(&path, "Datastore.Allocate")
                || self.may(&path, "Datastore.AllocateSpace")
                    && self.may(&format!("/vms/{guest}"), "VM.Backup")
        };
        self.all_backups_on(storage, node).into_iter().filter(|backup| visible(&backup.guest)).collect()
    }

    /// What there is in truth.
    pub(crate) fn all_backups_on(&self, storage: &str, node: &NodeName) -> Vec<Backup> {
        let shared = self.backups.stores.get(storage).is_some_and(|store| store.shared);
        let there = |guest: &Guest| shared || &guest.node == node;
        let mut found = Vec::new();
        for (id, _) in self.guests.iter().filter(|(_, guest)| !guest.template && there(guest)) {
            match self.backups.odd.get(id) {
                Some(kept) => {
                    found.extend(kept.iter().filter(|kept| kept.store == storage).map(|kept| Backup {
                        guest: *id,
                        at: kept.at,
                        bytes: SIZE,
                        verified: kept.verified,
                    }))
                }
                None if storage == NIGHTLY => {
                    found.push(Backup {
                        guest: *id,
                        at: self.last_night(),
                        bytes: SIZE,
                        verified: Some(true),
                    });
                }
                None => {}
            }
        }
        found
    }

    fn last_night(&self) -> Time {
        let secs = self.now.as_second() - NIGHTLY_AT_SECS;
        Time::from_second(secs.div_euclid(DAY_SECS) * DAY_SECS + NIGHTLY_AT_SECS).unwrap_or(self.now)
    }

    /// Storages under a guest's disks, as its configuration names them.
    pub(crate) fn storages_under(&self, guest: &Guest) -> Vec<String> {
        let shared = self
            .nodes
            .get(&guest.node)
            .and_then(|node| node.storages.iter().find(|(_, has)| has.shared).map(|(name, _)| name.clone()));
        let named = guest.storage_on.as_ref().map(|(storage, _)| storage.clone());
        let on_shared = named.clone().or(shared).filter(|_| guest.local_disks.is_empty() || named.is_some());
        let local = guest.local_disks.keys().filter_map(|volume| volume.split_once(':'));
        on_shared.into_iter().chain(local.map(|(storage, _)| storage.to_owned())).collect()
    }
}

/// The address of a guest's network card.
pub fn mac(id: GuestId, kind: GuestKind) -> String {
    let half = u8::from(kind == GuestKind::Lxc);
    format!("bc:24:11:{half:02x}:{:02x}:{:02x}", id.0 >> 8 & 0xFF, id.0 & 0xFF)
}

/// Shared storage is Ceph's, the rest is the node's own.
fn disks_on(shared: bool) -> Store {
    Store {
        kind: if shared { "rbd" } else { "lvmthin" }.to_owned(),
        shared,
        nodes: Default::default(),
        server: None,
        base: shared.then(|| "this cluster's Ceph".to_owned()),
        backups: Seen::NotAsked,
    }
}

fn of_kind(name: &str, store: &BackupStore) -> Store {
    let base = match (store.kind.as_str(), &store.server) {
        ("cephfs", _) => Some("this cluster's Ceph".to_owned()),
        (_, Some(server)) => Some(format!("the server {server}")),
        ("dir", None) if store.shared => Some(format!("the path {DIRECTORIES}/{name}")),
        _ => None,
    };
    Store {
        kind: store.kind.clone(),
        shared: store.shared,
        nodes: Default::default(),
        server: store.server.clone(),
        base,
        backups: Seen::NotAsked,
    }
}
