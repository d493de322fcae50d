//! Ceph's JSON, as 16 to 20 write it. Read leniently: what we do not need may be missing or new, but what we decide on
//! must be there. A missing list of OSDs is an error, never an empty one. Deliberately not read: `status`'s own summary
//! of the OSD map (flat in 16, nested in older ones; the tree and the dump say more) and the health's one-word level.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, de};

use super::command::Command;
use super::error::CephError;

/// Reads an answer. The client sends a line feed ahead of some.
pub fn read<T: DeserializeOwned>(command: &Command, text: &str) -> Result<T, CephError> {
    serde_json::from_str(text.trim())
        .map_err(|e| CephError::Garbled { command: command.text(), why: e.to_string() })
}

#[derive(Debug, Deserialize)]
pub struct QuorumStatus {
    /// The only sign of a lost quorum: empty, or a minority.
    pub quorum_names: BTreeSet<String>,
    pub monmap: MonMap,
}

#[derive(Debug, Deserialize)]
pub struct MonMap {
    pub mons: Vec<Named>,
}

#[derive(Debug, Deserialize)]
pub struct Named {
    pub name: String,
}

#[derive(Debug, Deserialize)]
pub struct Status {
    pub health: Health,
    pub quorum_names: BTreeSet<String>,
    pub pgmap: PgMap,
    /// `None`: not said. Then nobody knows whether there is a filesystem.
    pub fsmap: Option<FsMap>,
}

impl Status {
    /// It says itself that no filesystem is served. What is missing says nothing.
    pub fn serves_no_filesystem(&self) -> bool {
        self.fsmap.as_ref().and_then(|map| map.by_rank.as_ref()).is_some_and(Vec::is_empty)
    }
}

/// Enough to know whether there is anything to ask.
#[derive(Debug, Deserialize)]
pub struct FsMap {
    pub by_rank: Option<Vec<serde_json::Value>>,
}

#[derive(Debug, Deserialize)]
pub struct FsDump {
    pub standbys: Vec<Named>,
    pub filesystems: Vec<Filesystem>,
}

#[derive(Debug, Deserialize)]
pub struct Filesystem {
    pub mdsmap: MdsMap,
}

#[derive(Debug, Deserialize)]
pub struct MdsMap {
    pub fs_name: String,
    /// By the daemon's number.
    pub info: BTreeMap<String, MdsInfo>,
}

#[derive(Debug, Deserialize)]
pub struct MdsInfo {
    pub name: String,
    /// `up:active`, `up:standby-replay`, `up:rejoin`, …
    pub state: String,
}

#[derive(Debug, Deserialize)]
pub struct Health {
    pub checks: BTreeMap<String, Check>,
}

#[derive(Debug, Deserialize)]
pub struct Check {
    pub severity: String,
    pub summary: Summary,
    #[serde(default)]
    pub muted: bool,
}

#[derive(Debug, Deserialize)]
pub struct Summary {
    pub message: String,
}

#[derive(Debug, Deserialize)]
pub struct PgMap {
    /// Absent while there is no pool.
    #[serde(default)]
    pub pgs_by_state: Vec<PgState>,
    pub num_pgs: u64,
}

#[derive(Debug, Deserialize)]
pub struct PgState {
    pub state_name: String,
    pub count: u64,
}

#[derive(Debug, Deserialize)]
pub struct Tree {
    pub nodes: Vec<TreeNode>,
}

#[derive(Debug, Deserialize)]
pub struct TreeNode {
    /// Buckets count downwards from -1, OSDs upwards from 0.
    pub id: i64,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub children: Vec<i64>,
    /// OSDs only: `up`, `down`, `destroyed`.
    pub status: Option<String>,
    /// OSDs only: 0 is out.
    pub reweight: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub struct Dump {
    /// `noout,sortbitwise,…`; the list is newer than the string.
    pub flags: Option<String>,
    pub flags_set: Option<BTreeSet<String>>,
    /// CRUSH bucket → flags. Without it other people's marks would be unseen, so it must be there.
    pub crush_node_flags: BTreeMap<String, BTreeSet<String>>,
    #[serde(default)]
    pub device_class_flags: BTreeMap<String, BTreeSet<String>>,
    /// Changes with every change of the CRUSH map.
    pub crush_version: Option<u64>,
    pub osds: Vec<DumpOsd>,
    pub pools: Vec<DumpPool>,
    #[serde(default)]
    pub erasure_code_profiles: BTreeMap<String, BTreeMap<String, String>>,
}

/// `osd dump` cut down to the flags: all that reading a flag back needs.
#[derive(Debug, Deserialize)]
pub struct Flags {
    pub crush_node_flags: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Debug, Deserialize)]
pub struct DumpOsd {
    pub osd: i64,
    /// The epoch of its last start.
    pub up_from: Option<u64>,
    /// `exists`, `up`, `noout`, …
    #[serde(default)]
    pub state: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub struct DumpPool {
    pub pool_name: String,
    /// 1 replicated, 3 erasure.
    #[serde(rename = "type")]
    pub kind: u32,
    pub size: u32,
    pub min_size: u32,
    pub crush_rule: i64,
    #[serde(default)]
    pub erasure_code_profile: String,
}

#[derive(Debug, Deserialize)]
pub struct MgrDump {
    pub available: bool,
    pub active_name: String,
    pub standbys: Vec<Named>,
}

impl MgrDump {
    /// None while a new one is still starting: it answers nothing yet.
    pub fn active(&self) -> Option<&str> {
        (self.available && !self.active_name.is_empty()).then_some(self.active_name.as_str())
    }

    pub fn standby(&self, name: &str) -> bool {
        self.standbys.iter().any(|s| s.name == name)
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct Metadata {
    pub id: i64,
    /// Absent for an OSD that never started.
    pub hostname: Option<String>,
    /// `16.2.15`
    pub ceph_version_short: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Rule {
    pub rule_id: i64,
    pub steps: Vec<RuleStep>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct RuleStep {
    pub op: String,
    #[serde(default)]
    pub num: i64,
    #[serde(default, rename = "type")]
    pub kind: String,
}

#[derive(Debug, Deserialize)]
pub struct OkBody {
    pub ok_to_stop: bool,
    #[serde(deserialize_with = "ids")]
    pub osds: BTreeSet<u32>,
    pub num_ok_pgs: u64,
    pub num_not_ok_pgs: u64,
}

/// Numbers, or their digits: Ceph writes ids both ways in its answers.
fn ids<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Number(u32),
        Digits(String),
    }
    Vec::<Id>::deserialize(from)?
        .into_iter()
        .map(|id| match id {
            Id::Number(n) => Ok(n),
            Id::Digits(d) => d.parse().map_err(de::Error::custom),
        })
        .collect()
}
