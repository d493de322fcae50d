//! What Proxmox's answers look like.
//!
//! Decoding is lenient about spelling (a boolean may be `1`, `"1"` or `true`; a number may be a string; members we do not know
//! are ignored; missing members are `None`) and strict about meaning: a value that cannot be read, and `null` where a list was
//! promised, fail the whole answer, because an answer half understood looks like an empty cluster. The types here are not the
//! model: they keep Proxmox's names.

mod access;
mod ceph;
mod cluster;
mod guest;
mod ha;
mod hardware;
mod lenient;
mod migrate;
mod node;
mod rows;
mod task;

pub use access::{Permissions, Version};
pub use ceph::{CephFlag, CephHealth, CephStatus, CheckRow, CmdSafety, CrushNode, OsdTree};
pub use cluster::{
    BackupJob, ClusterMember, ClusterOptions, ClusterStatus, ClusterStatusRow, Qdevice, Resource,
};
pub use guest::{GuestConfig, GuestCurrent, GuestRow};
pub use ha::{
    HaCurrent, HaCurrentRow, HaGroup, HaResource, HaRule, LrmStatus, ManagerState, ManagerStatus,
    NodeRequest, ServiceStatus,
};
pub use hardware::{DiskRow, NetworkRow};
pub use lenient::{Flag, Int, Items, Num, Stat, Table, Text, Word};
pub use migrate::{LocalDisk, Obstacles, Preconditions};
pub use node::{
    BackupRow, NodeRow, NodeStatus, NodeTime, ReplicationJob, ServiceRow, StorageConfig, StorageRow,
};
pub use rows::Row;
pub use task::{LogLine, TaskEnd, TaskRow, TaskStatus};

use serde::Deserialize;

/// `{"data": …, "total": …}` around every answer.
#[derive(Debug, Deserialize)]
pub struct Envelope<T> {
    pub data: T,
    /// Rows there are, whatever the limit was.
    pub total: Option<u64>,
}

impl<'a, T: Deserialize<'a>> Envelope<T> {
    /// # Errors
    /// What could not be read, for people; never quotes the body.
    pub fn read(body: &'a [u8]) -> Result<Envelope<T>, String> {
        if body.is_empty() {
            return Err("the body is empty".to_owned());
        }
        // Once for the whole body: otherwise each string in it is looked at for itself, which takes a fifth longer.
        let body = std::str::from_utf8(body).map_err(|e| e.to_string())?;
        serde_json::from_str(body).map_err(|e| e.to_string())
    }
}

/// The answer of an order that has nothing to say (`null`), or says something we do not need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nothing;

impl<'de> Deserialize<'de> for Nothing {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Nothing, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Nothing)
    }
}
