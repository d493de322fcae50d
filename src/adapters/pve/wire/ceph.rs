//! Ceph as Proxmox passes it on. What the `ceph` client says itself is the business of another adapter.

use serde::Deserialize;

use super::{Flag, Int, Stat, Table, Text};

/// `/cluster/ceph/status`: the parts of `ceph status` that a decision may need.
#[derive(Debug, Clone, Deserialize)]
pub struct CephStatus {
    pub health: CephHealth,
    pub osdmap: Option<OsdCounts>,
    pub pgmap: Option<PgMap>,
    /// Monitors in quorum.
    #[serde(default)]
    pub quorum_names: Vec<Text>,
    pub monmap: Option<MonMap>,
    pub mgrmap: Option<MgrMap>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct CephHealth {
    /// `HEALTH_OK`, `HEALTH_WARN`, `HEALTH_ERR`.
    pub status: Text,
    #[serde(default)]
    pub checks: Table<CheckRow>,
}

/// One health check, by its code.
#[derive(Debug, Clone, Deserialize)]
pub struct CheckRow {
    pub severity: Text,
    pub summary: Option<CheckSummary>,
    pub muted: Option<Flag>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct CheckSummary {
    pub message: Option<Text>,
    pub count: Option<Int>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct OsdCounts {
    pub num_osds: Option<Int>,
    pub num_up_osds: Option<Int>,
    pub num_in_osds: Option<Int>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct PgMap {
    pub num_pgs: Option<Int>,
    #[serde(default)]
    pub pgs_by_state: Vec<PgState>,
    /// Missing when nothing is.
    pub degraded_objects: Option<Stat>,
    pub misplaced_objects: Option<Stat>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct PgState {
    /// `active+clean`
    pub state_name: Text,
    pub count: Int,
}

#[derive(Debug, Clone, Deserialize)]
pub struct MonMap {
    #[serde(default)]
    pub mons: Vec<Named>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct MgrMap {
    pub available: Option<Flag>,
    pub active_name: Option<Text>,
    #[serde(default)]
    pub standbys: Vec<Named>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Named {
    pub name: Text,
}

/// A row of `/cluster/ceph/flags`: the global flags only, never those of a host.
#[derive(Debug, Clone, Deserialize)]
pub struct CephFlag {
    pub name: Text,
    pub value: Flag,
}

/// `/nodes/N/ceph/cmd-safety`. Says "safe" for daemons that do not exist, and for some seconds after another one stopped.
#[derive(Debug, Clone, Deserialize)]
pub struct CmdSafety {
    pub safe: Flag,
    pub status: Option<Text>,
}

/// `/nodes/N/ceph/osd`: the CRUSH tree with the state of every OSD.
#[derive(Debug, Clone, Deserialize)]
pub struct OsdTree {
    pub root: CrushNode,
    /// Flags of the map, comma-separated.
    pub flags: Option<Text>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct CrushNode {
    /// The root of the tree is nameless.
    pub name: Option<Text>,
    /// `root`, `datacenter`, `rack`, `host`, `osd`, …
    #[serde(rename = "type")]
    pub kind: Option<Text>,
    pub id: Option<Int>,
    /// OSD: `up` or `down`.
    pub status: Option<Text>,
    /// OSD: takes part in placement.
    #[serde(rename = "in")]
    pub in_: Option<Flag>,
    /// OSD: where it lives.
    pub host: Option<Text>,
    #[serde(default)]
    pub children: Vec<CrushNode>,
}

impl OsdTree {
    /// All OSDs, wherever they hang.
    pub fn osds(&self) -> Vec<&CrushNode> {
        let mut found = Vec::new();
        let mut open = vec![&self.root];
        while let Some(node) = open.pop() {
            if node.kind.as_deref() == Some("osd") {
                found.push(node);
            }
            open.extend(&node.children);
        }
        found.sort_by_key(|osd| osd.id);
        found
    }
}
