//! What the operator decided beforehand: policies, budgets, limits. Everything `decide` needs to know that is not seen.

mod policy;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::{GuestId, NodeName, PolicyName};
use super::notice::NotifyRules;
use super::shared::SharedRules;
use super::silence::SilenceRules;
use super::time::Period;

pub use policy::{
    Confirm, ContainerPolicy, Correlate, ImmovablePolicy, Memory, OnOverrun, Policy, ProofCheck, Prove,
    Respond, Response, Scope, SensorQuery, WorkOrderText,
};

/// The rules of one cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// The cluster's ceiling: no policy acts more freely than this.
    pub mode: Mode,
    /// In the order of their files; the first whose matchers fit takes the alert.
    pub policies: Vec<Policy>,
    pub mapping: Mapping,
    pub ceph: CephSetup,
    pub hand: HandSetup,
    #[serde(default)]
    pub alarms: AlarmsSetup,
    pub budgets: Budgets,
    pub limits: Limits,
    pub packing: Packing,
    #[serde(default)]
    pub notify: NotifyRules,
    /// Where pitlane itself runs.
    #[serde(default)]
    pub own: OwnHome,
    /// What may be silenced in Alertmanager while a node is out; `None`: nothing.
    #[serde(default)]
    pub silences: Option<SilenceRules>,
    /// Budgets that count over other clusters, too; `None`: this cluster has no part in any.
    #[serde(default)]
    pub shared: Option<SharedRules>,
}

impl Rules {
    pub fn policy(&self, name: &PolicyName) -> Option<&Policy> {
        self.policies.iter().find(|p| &p.name == name)
    }

    /// The policy that speaks for a fault of a case: the case's own where the class is its own, else the first of
    /// that class.
    pub fn policy_of(&self, case: &PolicyName, class: &str) -> Option<&Policy> {
        let own = self.policy(case);
        own.filter(|policy| policy.class == class)
            .or_else(|| self.policies.iter().find(|policy| policy.class == class))
            .or(own)
    }

    /// The policy's mode under the cluster's ceiling.
    pub fn mode_of(&self, policy: &Policy) -> Mode {
        policy.respond.mode.min(self.mode)
    }
}

/// How freely pitlane acts.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Journal what it would do; touch nothing, send nothing.
    #[default]
    Observe,
    /// A person approves each plan.
    Approve,
    /// Go ahead when the verdict is clear.
    Act,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Observe => "observe",
            Self::Approve => "approve",
            Self::Act => "act",
        })
    }
}

/// How an alert names a node; see the resolver in `decide`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Labels whose value may be a member's name, in order.
    pub node_labels: Vec<String>,
    /// BMC address or chassis serial → node.
    pub map: BTreeMap<String, NodeName>,
}

impl Default for Mapping {
    fn default() -> Self {
        let labels = ["node", "nodename", "hostname", "pve_node"];
        Self { node_labels: labels.map(str::to_owned).to_vec(), map: BTreeMap::new() }
    }
}

/// Absent is known: what the operator declares, and the looks confirm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CephSetup {
    None,
    /// Storage lives on machines that are no members; our nodes carry no OSD.
    External,
    #[default]
    Hyperconverged,
}

/// Whether the root helper is installed on the members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandSetup {
    #[default]
    Absent,
    Installed,
}

/// Whether Alertmanager is asked what fires. Where it is, a delivered alarm alone takes no node out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmsSetup {
    #[default]
    Delivered,
    Polled,
}

/// Limits on what is seen, whoever caused it. They stop starting; they never stop giving back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budgets {
    pub nodes_out_max: u32,
    pub drains_per_day_max: u32,
    /// So many nodes alarming at once is not hardware: a feed, a room, a bad rule.
    pub nodes_alarming_max: u32,
    /// Node → failure domain (rack, feed); at most one node out of each.
    pub domains: BTreeMap<NodeName, String>,
    /// How often alarms may take one and the same node out; then a person decides. `None`: as often as they want.
    #[serde(default = "Attempts::some")]
    pub attempts_per_node: Option<Attempts>,
}

/// So many times within so long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    pub max: u32,
    pub within: Period,
}

impl Attempts {
    /// Three drains of one machine in a month did not help it; a fourth will not either.
    pub fn some() -> Option<Self> {
        Some(Self { max: 3, within: Period::hours(30 * 24) })
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            nodes_out_max: 1,
            drains_per_day_max: 2,
            nodes_alarming_max: 3,
            domains: BTreeMap::new(),
            attempts_per_node: Attempts::some(),
        }
    }
}

/// Spans that the loop works with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// A fact older than this is not acted on.
    pub fresh_for: Period,
    /// Two sightings of an empty node lie at least so far apart.
    pub empty_apart: Period,
    /// Placement groups stay clean at least so long before noout goes.
    pub clean_for: Period,
    /// A migration that takes longer is cancelled.
    pub migration_max: Period,
    /// An HA guest that stays so long without moving is stuck.
    pub ha_stuck_after: Period,
    /// After maintenance ends, HA has so long to bring its guests home before we do it.
    pub ha_return_within: Period,
    /// An effect not begun by then is not begun at all.
    pub step_for: Period,
    /// Tries of one guest's migration before a person is asked.
    pub migration_tries_max: u32,
    /// So long after "done" the checks may still be bad before the work order is reopened.
    pub proof_patience: Period,
    /// The turn's pace while a case is open, and while none is.
    pub turn_busy: Period,
    pub turn_quiet: Period,
    /// Health codes of Ceph that do not stop a drain.
    pub ceph_benign: BTreeSet<String>,
    #[serde(default)]
    pub recovery: RecoveryLimits,
}

/// Where pitlane itself runs: as declared, and as this machine's network cards say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnHome {
    pub declared: Declared,
    /// Addresses of this machine's network cards, lower case. A guest that has one of them is the machine that we run on.
    #[serde(default)]
    pub macs: BTreeSet<String>,
}

impl OwnHome {
    /// On a machine that is no part of the cluster.
    pub fn outside() -> Self {
        Self { declared: Declared::Outside, macs: BTreeSet::new() }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Declared {
    #[default]
    Unset,
    Outside,
    Guest(GuestId),
    Node(NodeName),
}

/// What a guest must have, to be called recoverable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryLimits {
    /// A backup older than this is told.
    pub backup_max_age: Period,
    /// Replication that is further behind is told.
    pub replication_max_lag: Period,
    /// Bytes per second that a restore was seen to reach, as the operator declares it.
    pub restore_rate: Option<u64>,
    /// Without a good backup of every guest the node does not leave.
    pub required: Required,
}

/// Is lacking it a warning, or a no?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Required {
    #[default]
    No,
    Yes,
}

impl Default for RecoveryLimits {
    fn default() -> Self {
        // A nightly backup, and half a day for the one that failed.
        let backup_max_age = Period::hours(36);
        // Proxmox's own schedule is a quarter of an hour, and a failed job is tried again half an hour later.
        let replication_max_lag = Period::hours(1);
        Self { backup_max_age, replication_max_lag, restore_rate: None, required: Required::No }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let benign = [
            "OSD_FLAGS",
            "OSDMAP_FLAGS",
            "RECENT_CRASH",
            "RECENT_MGR_MODULE_CRASH",
            "TELEMETRY_CHANGED",
            "AUTH_INSECURE_GLOBAL_ID_RECLAIM_ALLOWED",
            "AUTH_INSECURE_GLOBAL_ID_RECLAIM",
            "POOL_APP_NOT_ENABLED",
            "POOL_PG_NUM_NOT_POWER_OF_TWO",
            "MON_MSGR2_NOT_ENABLED",
            "PG_NOT_DEEP_SCRUBBED",
            "PG_NOT_SCRUBBED",
            "MGR_MODULE_ERROR",
            "CEPHADM_CHECK_PUBLIC_MEMBERSHIP",
        ];
        Self {
            fresh_for: Period::secs(15),
            empty_apart: Period::secs(12),
            clean_for: Period::secs(10),
            migration_max: Period::hours(1),
            ha_stuck_after: Period::secs(90),
            ha_return_within: Period::mins(3),
            step_for: Period::secs(60),
            migration_tries_max: 3,
            proof_patience: Period::mins(30),
            turn_busy: Period::secs(10),
            turn_quiet: Period::secs(60),
            ceph_benign: benign.map(str::to_owned).into(),
            recovery: RecoveryLimits::default(),
        }
    }
}

/// How full the others may become, and how many guests move at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Packing {
    /// vCPUs allowed per core.
    pub cpu_overcommit: f64,
    /// Memory that each node keeps for itself, bytes.
    pub node_reserve: u64,
    /// What a virtual machine costs beyond its memory: a fixed part, bytes, and a share in percent.
    pub guest_overhead: u64,
    pub guest_overhead_percent: u8,
    pub slots_out: u32,
    pub slots_in: u32,
    pub n_plus_one: NPlusOne,
    /// Bytes per second of the network that migrations use, each way. `None`: as measured, or the slowest there is.
    #[serde(default)]
    pub nic: Option<u64>,
    /// Nodes whose network is another one.
    #[serde(default)]
    pub nics: BTreeMap<NodeName, u64>,
}

impl Packing {
    /// The network of one node, bytes per second, as far as the configuration says.
    pub fn nic(&self, node: &NodeName) -> Option<u64> {
        self.nics.get(node).copied().or(self.nic)
    }
}

/// Must the cluster survive one more loss after the drain?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NPlusOne {
    Required,
    /// Warn; a three-node cluster cannot have it.
    #[default]
    Preferred,
    Off,
}

impl Default for Packing {
    fn default() -> Self {
        Self {
            cpu_overcommit: 4.0,
            node_reserve: 2 << 30,
            guest_overhead: 256 << 20,
            guest_overhead_percent: 2,
            slots_out: 3,
            slots_in: 2,
            n_plus_one: NPlusOne::Preferred,
            nic: None,
            nics: BTreeMap::new(),
        }
    }
}
