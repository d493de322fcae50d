//! A policy: which alerts it takes, when it believes them, what it does, and what proves that the work was good.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Mode;
use crate::model::calendar::Calendar;
use crate::model::ids::PolicyName;
use crate::model::matcher::{Labels, Matcher};
use crate::model::notice::Recipients;
use crate::model::time::Period;

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
    /// When a part that comes back is to be replaced.
    #[serde(default)]
    pub memory: Memory,
    /// Who is told, where that differs from the cluster's rule.
    #[serde(default)]
    pub notify: Recipients,
    /// When many faults of this class are one thing that is not hardware.
    #[serde(default)]
    pub correlate: Option<Correlate>,
}

/// A part that fails for so many times within the window, and was served in between, is not served again but replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// This time included.
    pub returns: u32,
    pub within: Period,
}

impl Default for Memory {
    /// Cleaned twice within a quarter, and failing again: the dust is not what is wrong with it.
    fn default() -> Self {
        Self { returns: 3, within: Period::hours(90 * 24) }
    }
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
    /// Work begins only while this is open; `None`: at any hour. It holds nothing back that has begun, and no return.
    #[serde(default)]
    pub when: Option<Calendar>,
    /// How long the node may be out before people are told that it overran.
    pub time_box: Period,
    /// What happens when calling it off later would overrun the time box.
    #[serde(default)]
    pub on_overrun: OnOverrun,
    /// Light the machine's locate LED while the technician has it.
    #[serde(default)]
    pub locate: bool,
    /// Two people have to agree to each plan.
    #[serde(default)]
    pub second_person: bool,
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

/// What happens when a case can no longer be called off within its time box.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnOverrun {
    /// People are told.
    #[default]
    Tell,
    /// Before the hand-over the drain is called off, so that everything is home in time. After it, a person is called
    /// and chooses.
    BackOut,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_expression_may_be_written_without_a_list() {
        let read = |json: &str| serde_json::from_str::<SensorQuery>(json).expect("a query").promql;
        assert_eq!(read(r#"{"promql": "fan_ok"}"#), ["fan_ok"]);
        assert_eq!(read(r#"{"promql": ["fan_ok", "rpm > 0"], "bmc": true}"#), ["fan_ok", "rpm > 0"]);
    }
}
