//! "May this node leave now, yes or no, and why": the answer, check by check.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::NodeName;
use super::recovery::Card;
use super::time::{Period, Time};
use super::wait::Wait;

/// All checks of one node at one instant. Unknown is no.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub node: NodeName,
    pub at: Time,
    pub checks: Vec<Check>,
    /// What could be brought back of each of its guests, if it were lost. Empty where nobody looked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cards: Vec<Card>,
}

impl Verdict {
    /// Nothing blocks and nothing is unknown.
    pub fn clear(&self) -> bool {
        !self.checks.is_empty() && self.reasons().is_empty()
    }

    /// Why not, each thing once: several checks may stumble over one blind spot.
    pub fn reasons(&self) -> Vec<Wait> {
        let mut told = BTreeSet::new();
        let all = self.checks.iter().filter(|c| c.answer.stops()).flat_map(|c| &c.reasons);
        all.filter(|wait| told.insert(wait.subject())).cloned().collect()
    }

    pub fn warnings(&self) -> impl Iterator<Item = &Wait> {
        self.checks.iter().filter(|c| c.answer == Answer::Warn).flat_map(|c| &c.reasons)
    }
}

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    pub name: CheckName,
    pub answer: Answer,
    /// What was read, for people.
    pub reading: String,
    /// How old the reading was: since when it is true, not since when we have it.
    pub age: Option<Period>,
    /// Why it does not pass; several when several things are in the way. Never empty on warn, block or unknown.
    pub reasons: Vec<Wait>,
}

impl Check {
    pub fn remedies(&self) -> Vec<String> {
        let mut all: Vec<String> = self.reasons.iter().map(Wait::remedy).collect();
        all.dedup();
        all
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Pass,
    Warn,
    Block,
    /// We could not see it, so: no.
    Unknown,
    /// Declared absent, and seen to be absent.
    NotApplicable,
}

impl Answer {
    pub fn stops(self) -> bool {
        matches!(self, Self::Block | Self::Unknown)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Block => "block",
            Self::Unknown => "unknown",
            Self::NotApplicable => "n/a",
        })
    }
}

/// The questions, one file each in `decide/preflight/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckName {
    Quorum,
    Privileges,
    Alarms,
    Ha,
    HaCandidates,
    Guests,
    Locks,
    Capacity,
    NPlusOne,
    CephHealth,
    CephFlags,
    OkToStop,
    Redundancy,
    Budgets,
    Channels,
    /// Which OSDs the broken disks carry.
    Disks,
    Recoverability,
    Movers,
    Processors,
    Neighbours,
    CephVersions,
    Mds,
    /// Is it an hour at which work may begin?
    Window,
    /// Does pitlane itself run on the node?
    #[serde(rename = "self")]
    Itself,
}

impl fmt::Display for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Quorum => "quorum",
            Self::Privileges => "privileges",
            Self::Alarms => "alarms",
            Self::Ha => "ha",
            Self::HaCandidates => "ha-candidates",
            Self::Guests => "guests",
            Self::Locks => "locks",
            Self::Capacity => "capacity",
            Self::NPlusOne => "n-plus-one",
            Self::CephHealth => "ceph-health",
            Self::CephFlags => "ceph-flags",
            Self::OkToStop => "ok-to-stop",
            Self::Redundancy => "redundancy",
            Self::Budgets => "budgets",
            Self::Channels => "channels",
            Self::Disks => "disks",
            Self::Recoverability => "recoverability",
            Self::Movers => "movers",
            Self::Processors => "processors",
            Self::Neighbours => "neighbours",
            Self::CephVersions => "ceph-versions",
            Self::Mds => "mds",
            Self::Window => "window",
            Self::Itself => "self",
        })
    }
}
