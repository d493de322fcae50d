//! What the operator decided beforehand: policies, budgets, limits. Everything `decide` needs to know that is not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::{NodeName, PolicyName};
use super::matcher::{Labels, Matcher};
use super::notice::{NotifyRules, Recipients};
use super::silence::SilenceRules;
use super::time::Period;

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
    /// What may be silenced in Alertmanager while a node is out; `None`: nothing.
    #[serde(default)]
    pub silences: Option<SilenceRules>,
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

/// One file in `policies/`: which alerts, how sure, what then, and what counts as repaired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub name: PolicyName,
    /// All must fit. Empty: no alert ever fits (the `manual` policy).
    pub matchers: Vec<Matcher>,
    /// Or all of one of these.
    #[serde(default)]
    pub or_matchers: Vec<Vec<Matcher>>,
    /// The alarm class of the faults it makes.
    pub class: String,
    /// Labels that may name the broken part; the first that is there wins.
    pub component_labels: Vec<String>,
    pub confirm: Confirm,
    pub respond: Respond,
    pub work_order: WorkOrderText,
    pub prove: Prove,
    /// Where the truth about the part can be read, whatever the alerts say.
    pub sensor: Option<SensorQuery>,
    /// Who is told, where that differs from the cluster's rule.
    #[serde(default)]
    pub notify: Recipients,
    /// When many faults of this class are one thing that is not hardware.
    #[serde(default)]
    pub correlate: Option<Correlate>,
}

/// So many nodes with this class within so short a time are a room or a feed, not so many broken parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correlate {
    pub nodes: u32,
    pub within: Period,
    pub scope: Scope,
}

/// Whose nodes are counted together.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All of the cluster: one room.
    #[default]
    Cluster,
    /// Those of one failure domain of `budgets.domains`: one rack, one feed.
    Domain,
}

impl Policy {
    pub fn wants(&self, labels: &Labels) -> bool {
        let fits = |all: &Vec<Matcher>| !all.is_empty() && all.iter().all(|m| m.matches(labels));
        fits(&self.matchers) || self.or_matchers.iter().any(fits)
    }
}

/// When an alert is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    /// Firing without a break for so long …
    pub steady_for: Period,
    /// … or that many episodes …
    pub or_episodes: u32,
    /// … within this window.
    pub within: Period,
    /// Quiet for so long, and a good sensor reading: a false alarm.
    pub clears_after: Period,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Respond {
    pub action: Response,
    pub mode: Mode,
    /// How long the node may be out before people are told that it overran.
    pub time_box: Period,
    /// Light the machine's locate LED while the technician has it.
    #[serde(default)]
    pub locate: bool,
    /// The smallest running guest outside of HA goes first and alone, before HA is told anything.
    #[serde(default)]
    pub canary: bool,
    /// A migration that takes longer is cancelled; `None`: that follows from the guest's size.
    #[serde(default)]
    pub move_within: Option<Period>,
    /// What to do with running containers, which cannot move live.
    pub containers: ContainerPolicy,
    /// What to do with running guests that cannot move at all.
    pub immovable: ImmovablePolicy,
}

/// What a confirmed fault leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// Take the node off the track.
    Drain,
    /// Serve the part while the node works on: its guests stay, Ceph is told to wait.
    InPlace,
    /// Call a person. Nothing is touched.
    Page,
    /// Write it down.
    Record,
}

impl Response {
    /// A confirmed fault opens a case of the node, or joins the open one.
    pub fn opens_a_case(self) -> bool {
        matches!(self, Self::Drain | Self::InPlace)
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Drain => "drain",
            Self::InPlace => "in_place",
            Self::Page => "page",
            Self::Record => "record",
        })
    }
}

/// Containers restart to move: who may decide that?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerPolicy {
    /// The plan says that they restart, and a person approves the plan (in mode act: they block).
    Ask,
    /// They may restart.
    Restart,
    /// They stay, and a running one blocks the drain.
    Stay,
}

/// Running guests bound to their machine (a passed-through device, a local CD image).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImmovablePolicy {
    /// They block the drain until a person has shut them down.
    Block,
    /// They are shut down when the plan is approved by a person, and started again at the end.
    ShutDown,
}

/// What the technician gets to read. `{{ node }}` and `{{ component }}` are filled in, nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkOrderText {
    pub title: String,
    pub checklist: Vec<String>,
}

/// What must be good, and for how long, before the node is believed to be repaired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prove {
    pub soak: Period,
    pub checks: Vec<ProofCheck>,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ProofCheck {
    /// No alert of the case's faults fires. Necessary, never sufficient.
    AlertsClear,
    /// Every part of the machine that was there before the drain is there again, or a person said why not.
    Inventory,
    /// The policy's sensor reads good for every fault of the case.
    SensorsOk,
    /// Proxmox's services run on the node.
    NodeServices,
    /// The node's clock agrees with ours.
    TimeSync,
    /// Every OSD of the host is up and in.
    OsdsUp,
    /// Every placement group is active and clean.
    PgsClean,
}

impl fmt::Display for ProofCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AlertsClear => "alerts_clear",
            Self::Inventory => "inventory",
            Self::SensorsOk => "sensors_ok",
            Self::NodeServices => "node_services",
            Self::TimeSync => "time_sync",
            Self::OsdsUp => "osds_up",
            Self::PgsClean => "pgs_clean",
        })
    }
}

/// The witnesses of a part. Its reading is good if at least one of them sees it and none says bad.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SensorQuery {
    /// Prometheus expressions that are true of a healthy part: each sample of an answer is 1 (good) or 0 (bad); no
    /// sample means that this witness does not see it. `{{ node }}` and `{{ component }}` are filled in, escaped.
    #[serde(deserialize_with = "one_or_many")]
    pub promql: Vec<String>,
    /// The machine's own controller, where one is configured for the node.
    #[serde(default)]
    pub bmc: bool,
}

/// Reports of older versions have one expression.
fn one_or_many<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Either::deserialize(d)? {
        Either::One(one) => vec![one],
        Either::Many(many) => many,
    })
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
}

impl Default for Budgets {
    fn default() -> Self {
        Self { nodes_out_max: 1, drains_per_day_max: 2, nodes_alarming_max: 3, domains: BTreeMap::new() }
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
