//! What only a judgement needs of Proxmox: backups, replication, processors. Slow lists, so they are read for nodes
//! that are judged, every few minutes at most, and keep the time at which they were true.
//!
//! Backups that the token may not see are left out of Proxmox's lists in silence: an empty list here means nothing
//! before the token's rights were looked at.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::ids::{GuestId, NodeName};
use crate::model::seen::Seen;
use crate::model::time::Time;

/// One survey for one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    pub asked_at: Time,
    /// Replication jobs of the node's guests.
    pub replicas: Seen<Vec<Replica>>,
    /// Storages by name, as configured; those for backups with what lies on them.
    pub stores: Seen<BTreeMap<String, Store>>,
    /// Every member that is online.
    pub machines: BTreeMap<NodeName, Seen<Machine>>,
}

/// A replication job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// `101-0`
    pub job: String,
    pub guest: GuestId,
    pub target: Option<NodeName>,
    pub disabled: bool,
    /// The last run that ended well; `None`: never.
    pub synced: Option<Time>,
    /// Runs that failed since then.
    pub failed: u32,
    /// What the last failure said.
    pub error: Option<String>,
}

/// A storage, and where what it holds lies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Store {
    /// Proxmox's type: `pbs`, `nfs`, `rbd`, `dir`, …
    pub kind: String,
    /// All nodes see the same. Otherwise each has its own of that name.
    pub shared: bool,
    /// Only there; empty: everywhere.
    pub nodes: BTreeSet<NodeName>,
    /// The machine that serves it, as configured.
    pub server: Option<String>,
    /// What it lies on, where that can be told. Two storages on one thing are lost together.
    pub base: Option<String>,
    /// Of a storage that is not shared: what the judged node's own holds. Not asked: it is not for backups.
    pub backups: Seen<Vec<Backup>>,
}

/// A backup, as its storage lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    pub guest: GuestId,
    /// When it began.
    pub at: Time,
    /// As the storage counts: an archive's own size, or on a backup server that of the disks.
    pub bytes: u64,
    /// A backup server's verification; `None` where nobody has verified.
    pub verified: Option<bool>,
}

/// What a live migration meets on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub model: String,
    /// The processor's features, as Linux names them.
    pub flags: BTreeSet<String>,
    /// `9.2.11`
    pub version: String,
}
