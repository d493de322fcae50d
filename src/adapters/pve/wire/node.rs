//! One node: its row, its state, clock, services, storages and replication jobs.

use serde::Deserialize;

use super::{Flag, Int, Items, Num, Stat, Text};

/// A row of `/nodes`. Without rights the figures are missing; so is everything but the name for a node that was dead at our start.
#[derive(Debug, Clone, Deserialize)]
pub struct NodeRow {
    pub node: Text,
    /// `online`, `offline`, `unknown`.
    pub status: Option<Text>,
    pub maxcpu: Option<Stat>,
    pub cpu: Option<Stat>,
    /// Bytes.
    pub maxmem: Option<Stat>,
    pub mem: Option<Stat>,
    /// Seconds.
    pub uptime: Option<Int>,
    /// SHA-256 of the node's own certificate.
    pub ssl_fingerprint: Option<Text>,
}

/// `/nodes/N/status`, executed by the node itself.
#[derive(Debug, Clone, Deserialize)]
pub struct NodeStatus {
    /// `pve-manager/9.2.11/14a22df35955d97d`
    pub pveversion: Option<Text>,
    pub kversion: Option<Text>,
    /// Seconds.
    pub uptime: Option<Int>,
    pub memory: Option<Memory>,
    pub cpuinfo: Option<CpuInfo>,
    #[serde(default)]
    pub loadavg: Vec<Num>,
}

/// Bytes.
#[derive(Debug, Clone, Deserialize)]
pub struct Memory {
    pub total: Option<Int>,
    pub used: Option<Int>,
    pub free: Option<Int>,
    /// 9.x.
    pub available: Option<Int>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct CpuInfo {
    pub model: Option<Text>,
    pub cpus: Option<Int>,
    pub sockets: Option<Int>,
    pub flags: Option<Text>,
}

impl NodeStatus {
    /// `9.2.11`
    pub fn version(&self) -> Option<&str> {
        self.pveversion.as_deref()?.split('/').nth(1)
    }
}

/// `/nodes/N/time`, seconds since 1970.
#[derive(Debug, Clone, Deserialize)]
pub struct NodeTime {
    pub time: Int,
    pub timezone: Option<Text>,
}

/// A row of `/nodes/N/services`.
#[derive(Debug, Clone, Deserialize)]
pub struct ServiceRow {
    pub service: Text,
    /// 9.x and 8.4: `active`, `failed`, …
    #[serde(rename = "active-state")]
    pub active_state: Option<Text>,
    /// `running`, `dead`, `exited`, …
    pub state: Option<Text>,
    /// `enabled`, `disabled`, `not-found`, `masked`, …
    #[serde(rename = "unit-state")]
    pub unit_state: Option<Text>,
}

/// A row of `/nodes/N/storage`.
#[derive(Debug, Clone, Deserialize)]
pub struct StorageRow {
    pub storage: Text,
    #[serde(rename = "type")]
    pub kind: Option<Text>,
    #[serde(default)]
    pub content: Items,
    pub active: Option<Flag>,
    pub enabled: Option<Flag>,
    pub shared: Option<Flag>,
    /// Bytes.
    pub total: Option<Int>,
    pub avail: Option<Int>,
}

/// A row of `/storage`: the configuration of a storage, the same on all nodes.
#[derive(Debug, Clone, Deserialize)]
pub struct StorageConfig {
    pub storage: Text,
    #[serde(rename = "type")]
    pub kind: Text,
    #[serde(default)]
    pub content: Items,
    /// The administrator's word. Network storages are shared by their type, whatever stands here.
    pub shared: Option<Flag>,
    /// Only on these nodes; all when missing.
    pub nodes: Option<Items>,
    pub disable: Option<Flag>,
    /// The machine that serves it: NFS, CIFS, a backup server.
    pub server: Option<Text>,
    /// The same for iSCSI.
    pub portal: Option<Text>,
    /// Monitors of a Ceph that is not this cluster's own.
    pub monhost: Option<Text>,
    pub path: Option<Text>,
}

/// A row of `/nodes/N/storage/S/content?content=backup`. Rows that the token may not see are left out in silence.
#[derive(Debug, Clone, Deserialize)]
pub struct BackupRow {
    pub volid: Text,
    /// Missing for files that Proxmox cannot tell whose they are.
    pub vmid: Option<Int>,
    /// Seconds since 1970.
    pub ctime: Option<Int>,
    /// Bytes.
    pub size: Option<Int>,
    pub verification: Option<Verification>,
}

/// What a backup server says of one snapshot.
#[derive(Debug, Clone, Deserialize)]
pub struct Verification {
    /// `ok`, `failed`, `none`
    pub state: Option<Text>,
}

/// A row of `/nodes/N/replication`: jobs whose guest is on N.
#[derive(Debug, Clone, Deserialize)]
pub struct ReplicationJob {
    pub id: Text,
    pub guest: Option<Int>,
    pub target: Option<Text>,
    pub schedule: Option<Text>,
    pub disable: Option<Flag>,
    /// Seconds since 1970; 0 means never.
    pub last_sync: Option<Int>,
    pub fail_count: Option<Int>,
    pub error: Option<Text>,
    /// Set while it runs.
    pub pid: Option<Int>,
}
