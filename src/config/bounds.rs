//! `budgets`, `limits` and `packing` of `pitlane.yaml`: what is not given keeps its default.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::formats::Bytes;
use crate::model::ids::NodeName;
use crate::model::rules::NPlusOne;
use crate::model::time::Period;

/// Limits on what is seen, whoever caused it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetsFile {
    #[schemars(range(min = 1))]
    pub nodes_out_max: Option<u32>,
    pub drains_per_day_max: Option<u32>,
    #[schemars(range(min = 1))]
    pub nodes_alarming_max: Option<u32>,
    /// Node → failure domain; at most one node out of each.
    #[serde(default)]
    pub domains: BTreeMap<NodeName, String>,
    /// How often alarms may take one and the same node out: `{max: 3, within: 30d}` if not given. Then a person decides.
    pub attempts_per_node: Option<AttemptsFile>,
}

/// So many times within so long.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttemptsFile {
    #[schemars(range(min = 1))]
    pub max: u32,
    /// Not more than 400d.
    pub within: Period,
}

/// Spans that the loop works with; what is not given keeps its default.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsFile {
    pub fresh_for: Option<Period>,
    pub empty_apart: Option<Period>,
    pub clean_for: Option<Period>,
    pub migration_max: Option<Period>,
    pub ha_stuck_after: Option<Period>,
    pub ha_return_within: Option<Period>,
    pub step_for: Option<Period>,
    pub proof_patience: Option<Period>,
    #[schemars(range(min = 1))]
    pub migration_tries_max: Option<u32>,
    pub turn_busy: Option<Period>,
    pub turn_quiet: Option<Period>,
    /// Health codes of Ceph that do not stop a drain. Replaces the list that is built in.
    pub ceph_benign: Option<Vec<String>>,
    /// A guest whose last good backup is older is warned of. 36h if not given.
    pub backup_max_age: Option<Period>,
    /// A guest whose replication is further behind is warned of. 1h if not given.
    pub replication_max_lag: Option<Period>,
    /// Bytes that a restore brings back each second, as you have seen it. Without it, how long a restore takes is
    /// unknown.
    pub restore_rate: Option<Bytes>,
    /// Without a good backup of every guest, away from what would be lost with it, a node does not leave. A warning
    /// if not.
    #[serde(default)]
    pub require_backup: bool,
}

/// How full the others may become, and how many guests move at once.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PackingFile {
    #[schemars(range(min = 0.1, max = 100))]
    pub cpu_overcommit: Option<f64>,
    pub node_reserve: Option<Bytes>,
    pub guest_overhead: Option<Bytes>,
    #[schemars(range(max = 100))]
    pub guest_overhead_percent: Option<u8>,
    #[schemars(range(min = 1))]
    pub slots_out: Option<u32>,
    #[schemars(range(min = 1))]
    pub slots_in: Option<u32>,
    pub n_plus_one: Option<NPlusOne>,
    /// Mbit/s of the network that migrations use, each way. Without it, what was measured counts, or else 1 Gbit/s.
    /// It changes forecasts and the order of moves, never what is safe.
    #[schemars(range(min = 10, max = 1_000_000))]
    pub nic_mbps: Option<u32>,
    /// Node → Mbit/s, where a node's network is another one.
    #[serde(default)]
    pub nics_mbps: BTreeMap<NodeName, u32>,
}
