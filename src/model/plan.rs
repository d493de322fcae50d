//! A plan says what pitlane would do to one node, all of it. The executor can do nothing that is not in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ids::{GuestId, HostName, NodeName, OsdId, PlanHash};
use super::observed::GuestKind;
use super::rates::Forecast;
use super::wait::Wait;

/// The drain of one node, or the service of some of its disks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub node: NodeName,
    /// HA maintenance will be asked for.
    pub maintenance: bool,
    /// noout will be held on this host.
    pub noout: Option<HostName>,
    /// Ours to move, in the order in which they leave.
    pub moves: Vec<Move>,
    /// HA's to move: guest → the nodes that HA may choose.
    pub ha: BTreeMap<GuestId, BTreeSet<NodeName>>,
    /// Cannot move: shut down for the time of the work, and started again.
    pub stops: BTreeMap<GuestId, String>,
    /// Left behind on purpose: stopped, and bound to the node.
    pub stays: BTreeMap<GuestId, String>,
    /// OSDs to be served while the node works on. Not empty: nothing moves, nothing but noout is held.
    #[serde(default)]
    pub in_place: BTreeSet<OsdId>,
    /// Goes first and alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<GuestId>,
    /// What the verdict warns of. Who approves has read this.
    pub warnings: Vec<Wait>,
    /// How long it is expected to take; no part of what is approved. `None`: nothing moves, or nobody can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
}

impl Plan {
    /// What an approval is bound to: the guests, our targets, HA's choices, the warnings' kinds; never a reading, never an order.
    pub fn hash(&self) -> PlanHash {
        let moves: BTreeMap<GuestId, (&NodeName, How)> =
            self.moves.iter().map(|m| (m.guest, (&m.to, m.how))).collect();
        let warnings: BTreeSet<String> = self.warnings.iter().map(Wait::subject).collect();
        let stays: BTreeSet<GuestId> = self.stays.keys().copied().collect();
        let stops: BTreeSet<GuestId> = self.stops.keys().copied().collect();
        let what = (&self.node, self.maintenance, &self.noout, moves, &self.ha, stops, stays, warnings);
        // A drain hashes as it did before there was any other service: approvals given then still hold.
        let bytes = match self.in_place.is_empty() {
            true => serde_json::to_vec(&what),
            false => serde_json::to_vec(&(what, &self.in_place)),
        };
        let bytes = bytes.expect("names, numbers and flags always serialise");
        PlanHash(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Our targets. An approval covers moving any of the plan's guests to any of these.
    pub fn targets(&self) -> BTreeSet<&NodeName> {
        self.moves.iter().map(|m| &m.to).collect()
    }

    /// How one of its guests moves, and what is special about it.
    pub fn words(&self, step: &Move) -> String {
        match &step.from {
            Some(from) => format!("{}, leaves {from} to make room", step.how),
            None if self.canary == Some(step.guest) => format!("{}, first and alone", step.how),
            None => step.how.to_string(),
        }
    }

    /// Was this guest part of what was approved, moved by us?
    pub fn covers(&self, guest: GuestId, to: &NodeName, how: How) -> bool {
        self.moves.iter().any(|m| m.guest == guest && m.how == how) && self.targets().contains(to)
    }
}

/// One guest's way off the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    pub guest: GuestId,
    pub name: String,
    pub kind: GuestKind,
    pub to: NodeName,
    pub how: How,
    /// Of a guest that only makes room: the node where it is and to which it returns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<NodeName>,
    /// Guests of the plan whose moves end before this one begins: what says how many go at a time. Not approved, and not
    /// what keeps anybody safe: room is looked for again before each start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<GuestId>,
}

/// How a guest moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Running, without a break.
    Live,
    /// Running, its local disks copied along.
    LiveWithDisks,
    /// Stopped, and stays so.
    Offline,
    /// A container: stopped, moved, started.
    Restart,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Live => "live",
            Self::LiveWithDisks => "live, with its local disks",
            Self::Offline => "stopped",
            Self::Restart => "with a restart",
        })
    }
}
