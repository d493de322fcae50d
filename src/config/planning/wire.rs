//! `pitlane-plan-instance/1` and `pitlane-plan/1` as they stand in files.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The only format that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InstanceFormat {
    #[serde(rename = "pitlane-plan-instance/1")]
    One,
}

/// A cluster, and which nodes are to be emptied or filled again.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "pitlane plan instance")]
pub struct InstanceFile {
    pub format: InstanceFormat,
    pub id: String,
    #[serde(default)]
    pub description: String,
    pub kind: KindFile,
    pub params: ParamsFile,
    pub storages: BTreeMap<String, StorageFile>,
    #[schemars(length(min = 1))]
    pub nodes: Vec<NodeFile>,
    /// Nodes to empty.
    #[serde(default)]
    pub drain: Vec<String>,
    /// Repaired nodes whose guests come home.
    #[serde(default)]
    pub returning: Vec<String>,
    pub guests: Vec<GuestFile>,
    #[serde(default)]
    pub rules: Vec<RuleFile>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KindFile {
    Drain,
    Return,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParamsFile {
    /// vCPUs allowed per core.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub cpu_overcommit: f64,
    pub n_plus_one: NPlusOneFile,
    #[schemars(range(min = 1, max = 1000))]
    pub slots_out: u32,
    #[schemars(range(min = 1, max = 1000))]
    pub slots_in: u32,
    #[schemars(range(min = 1, max = 100_000))]
    pub max_parallel: Option<u32>,
    /// Mbit/s.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub stream_mbps: f64,
    #[schemars(range(min = 0))]
    pub setup_s: f64,
    #[schemars(range(min = 0))]
    pub restart_s: f64,
    #[schemars(range(min = 0))]
    pub cold_s: f64,
    #[schemars(range(min = 0))]
    pub offline_s: f64,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NPlusOneFile {
    Required,
    Preferred,
    Off,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StorageFile {
    pub shared: bool,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeFile {
    pub id: String,
    /// Cores.
    #[schemars(range(min = 0))]
    pub cpu: f64,
    #[schemars(range(min = 0))]
    pub mem_mib: f64,
    #[schemars(range(min = 0))]
    pub mem_reserved_mib: f64,
    /// Of the migration network.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub nic_mbps: f64,
    pub state: NodeStateFile,
    /// Free MiB; null where it is shared.
    pub storages: BTreeMap<String, Option<f64>>,
    /// Slots in all.
    #[serde(default)]
    pub devices: BTreeMap<String, u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NodeStateFile {
    Online,
    Drain,
    Maintenance,
    Offline,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GuestFile {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: GuestKindFile,
    pub node: String,
    pub running: bool,
    #[schemars(range(min = 0, max = 100_000))]
    pub cpu: u32,
    #[schemars(range(min = 0))]
    pub mem_mib: f64,
    #[schemars(range(min = 0))]
    pub mem_used_mib: f64,
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub cpu_used: f64,
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub dirty_mbps: f64,
    pub migrate: MigrateFile,
    #[serde(default)]
    pub may_stop: bool,
    #[serde(default)]
    pub ha: bool,
    /// Storage and MiB.
    #[serde(default)]
    #[schemars(with = "Disks")]
    pub disks: Vec<(String, f64)>,
    #[serde(default)]
    pub devices: BTreeMap<String, u32>,
    /// Nothing else will do.
    pub allowed: Option<Vec<String>>,
    /// Better there.
    pub prefer: Option<Vec<String>>,
    pub home: Option<String>,
}

/// How a disk list is described to editors: pairs have no place in the schemas that are checked here.
#[derive(JsonSchema)]
#[schemars(transparent)]
#[allow(dead_code)]
struct Disks(Vec<Vec<String>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GuestKindFile {
    Qemu,
    Lxc,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MigrateFile {
    Live,
    Restart,
    Cold,
    Offline,
    No,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: RuleKindFile,
    pub guests: Vec<String>,
    pub strict: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RuleKindFile {
    Affinity,
    AntiAffinity,
}

/// A plan as it is written.
#[derive(Clone, Debug, Serialize)]
pub struct PlanFile<'a> {
    pub format: &'static str,
    pub instance: &'a str,
    pub moves: Vec<MoveFile<'a>>,
    pub unplaced: Vec<UnplacedFile<'a>>,
    pub schedule: ScheduleFile,
    pub forecast: ForecastFile,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<&'a str>,
}

/// A move, or a shutdown where `action` is `stop`.
#[derive(Clone, Debug, Serialize)]
pub struct MoveFile<'a> {
    pub guest: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<&'static str>,
    pub wave: u32,
    pub after: Vec<&'a str>,
}

#[derive(Clone, Debug, Serialize)]
pub struct UnplacedFile<'a> {
    pub guest: &'a str,
    /// For people: what keeps it.
    pub why: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blockers: Vec<BlockerFile<'a>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct BlockerFile<'a> {
    pub node: &'a str,
    pub reason: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub struct ScheduleFile {
    pub admission: &'static str,
    pub max_parallel: Option<usize>,
    pub per_source: usize,
    pub per_target: usize,
    pub guard_dirty: bool,
    pub head_of_line: bool,
}

/// What the model says will happen, in seconds and shares.
#[derive(Clone, Debug, Serialize)]
pub struct ForecastFile {
    pub makespan_s: f64,
    pub bound_s: f64,
    pub throttled_s: f64,
    pub imbalance_std: f64,
    pub n1_fail: usize,
    pub made_room: usize,
}
