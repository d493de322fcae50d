//! A case is one maintenance of one node. It is in a phase, and a phase is a desired world.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::fault::FaultKey;
use super::ids::{CaseId, GuestId, NodeName, OsdId, Person, PlanHash, PolicyName};
use super::owed::Owed;
use super::parts::Parts;
use super::plan::Move;
use super::proof::{Clearance, Drained, EmptyRead, Settled};
use super::rates::Took;
use super::time::Time;
use super::wait::Wait;

/// One maintenance of one node, from the first alarm until nothing is owed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    pub id: CaseId,
    pub node: NodeName,
    pub policy: PolicyName,
    pub origin: Origin,
    pub opened_at: Time,
    /// What is broken, as far as alarms told. A second alarm of the node joins here.
    pub faults: BTreeSet<FaultKey>,
    pub phase: Phase,
    /// The node works on while some of its disks are served. `None`: the whole node leaves.
    #[serde(default)]
    pub in_place: Option<InPlace>,
    pub owed: Owed,
    /// What stands in the way now.
    pub wait: Option<Wait>,
    /// The time box's overrun was told.
    pub overran: bool,
    /// That it can no longer be called off in time was told.
    #[serde(default)]
    pub late: bool,
    /// A person chose to let Ceph heal: noout goes back although OSDs are down.
    pub heal: bool,
    /// How long the drain was planned to take, and took.
    #[serde(default)]
    pub took: Option<Took>,
    /// The machine's parts before it was touched.
    #[serde(default)]
    pub parts: Parts,
    /// Grows with each commit; a commit on an older revision is refused.
    pub revision: u64,
}

/// What is served while its node works on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InPlace {
    /// The OSDs on the broken disks. Only grows: a disk that was pulled out can no longer be asked. Empty: not known yet.
    pub osds: BTreeSet<OsdId>,
    /// The disks for people: `sdb (bay 2, serial S1)`.
    pub disks: BTreeSet<String>,
}

/// Why a case was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "origin")]
pub enum Origin {
    Alarm {
        fault: FaultKey,
    },
    /// `yes`: whoever asked agrees to the plan, whatever it turns out to be.
    Person {
        by: Person,
        reason: String,
        yes: bool,
    },
}

/// Where a case stands. Each phase holds exactly what it needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "phase")]
pub enum Phase {
    /// Is it true? Nothing is touched.
    Confirming {
        since: Time,
    },
    /// It is true. May the node leave, and does somebody agree?
    Preparing {
        since: Time,
        approval: Option<Approval>,
        shown: Option<PlanHash>,
        /// Guests on other nodes that are looked at in full, because they might make room.
        #[serde(default)]
        room: BTreeSet<GuestId>,
    },
    /// The node leaves: manager moved off, HA maintenance on, noout held, guests away.
    Draining {
        since: Time,
        clearance: Clearance,
        empty: Option<EmptyRead>,
        /// The moves as they were planned again on the way; empty: as approved.
        #[serde(default)]
        course: Vec<Move>,
        /// Targets at which a guest's move failed: another one is tried before these.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        failed_at: BTreeMap<GuestId, BTreeSet<NodeName>>,
    },
    /// It is the technician's.
    HandedOver {
        since: Time,
        handover: Handover,
        claim: Option<Claim>,
        cancelled: Option<Cancelled>,
    },
    /// "Done" is a claim. Everything stays as it is until the checks were good for the whole soak.
    Proving {
        since: Time,
        handover: Handover,
        claim: Claim,
        good_since: Option<Time>,
        cancelled: Option<Cancelled>,
    },
    /// Everything goes back. Success, abort and false alarm all walk this way.
    GivingBack {
        since: Time,
        why: Ending,
        clean_since: Option<Time>,
        handover: Option<Handover>,
        /// The way home of the guests that we move; empty: not planned yet.
        #[serde(default)]
        course: Vec<Move>,
    },
    /// The node died with guests aboard. Nothing new is taken.
    Stranded {
        since: Time,
        /// Called off before it died: it is not drained anew when it is back.
        #[serde(default)]
        cancelled: Option<Cancelled>,
    },
    Closed {
        at: Time,
        ending: Ending,
        paid: Settled,
    },
}

/// How the node came into the technician's hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "came")]
pub enum Handover {
    Drained {
        proof: Drained,
    },
    /// It died first; HA and people took its guests back.
    Died {
        at: Time,
    },
    /// Only these OSDs' disks are. The node works on with its guests aboard, and nobody may switch it off.
    InPlace {
        osds: BTreeSet<OsdId>,
        /// All OSDs of the host at that time: as many have to be there afterwards, whatever they are called.
        beside: BTreeSet<OsdId>,
    },
    /// Called off on the way out, while a work order was with a technician: somebody may have a hand in the machine, and
    /// guests may be aboard. Nothing more is taken; what is held stays so until nobody works on it.
    Halfway,
}

impl Handover {
    /// The node works on with guests aboard: nobody may switch it off, and when it dies they are stranded.
    pub fn works_on(&self) -> bool {
        matches!(self, Self::InPlace { .. } | Self::Halfway)
    }
}

/// A person's yes to one plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub by: Person,
    pub at: Time,
    pub hash: PlanHash,
    /// Who agreed after that, where the policy wants two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<Person>,
}

/// The technician says that it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub by: Person,
    pub at: Time,
    pub note: String,
    #[serde(default)]
    pub said: Said,
}

/// Where the technician said it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// To pitlane.
    #[default]
    Here,
    /// In the ticket: then the ticket can take it back, too.
    InTheTicket,
}

/// A person called it off after the node was handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    pub by: Person,
    pub at: Time,
    pub reason: String,
}

/// How a case ends, known from the moment it starts to give back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ending")]
pub enum Ending {
    Returned,
    /// Its disks were served in place; it was never away.
    Served,
    FalseAlarm,
    Aborted {
        by: Person,
        reason: String,
    },
    /// Closed by a person without the node's return.
    Retired {
        by: Person,
        reason: String,
    },
}

impl Case {
    pub fn open(&self) -> bool {
        !matches!(self.phase, Phase::Closed { .. })
    }

    /// The plan that a person, or a second one, may agree to now.
    pub fn awaits_approval(&self) -> Option<&PlanHash> {
        match (&self.phase, &self.wait) {
            (Phase::Preparing { shown: Some(plan), approval: None, .. }, _) => Some(plan),
            (Phase::Preparing { shown: Some(plan), .. }, Some(Wait::SecondPerson { .. })) => Some(plan),
            _ => None,
        }
    }

    /// The node is, or may soon be, out of service because of this case.
    pub fn holds_the_node(&self) -> bool {
        !matches!(self.phase, Phase::Confirming { .. } | Phase::Preparing { .. } | Phase::Closed { .. })
    }
}

impl Phase {
    /// It is judged from now on; nobody has seen a plan or agreed to one.
    pub fn preparing(since: Time) -> Self {
        Self::Preparing { since, approval: None, shown: None, room: BTreeSet::new() }
    }

    /// The name alone, from a closed set.
    pub fn name(&self) -> PhaseName {
        match self {
            Self::Confirming { .. } => PhaseName::Confirming,
            Self::Preparing { .. } => PhaseName::Preparing,
            Self::Draining { .. } => PhaseName::Draining,
            Self::HandedOver { .. } => PhaseName::HandedOver,
            Self::Proving { .. } => PhaseName::Proving,
            Self::GivingBack { .. } => PhaseName::GivingBack,
            Self::Stranded { .. } => PhaseName::Stranded,
            Self::Closed { .. } => PhaseName::Closed,
        }
    }

    pub fn since(&self) -> Time {
        match self {
            Self::Confirming { since }
            | Self::Preparing { since, .. }
            | Self::Draining { since, .. }
            | Self::HandedOver { since, .. }
            | Self::Proving { since, .. }
            | Self::GivingBack { since, .. }
            | Self::Stranded { since, .. }
            | Self::Closed { at: since, .. } => *since,
        }
    }
}

/// A phase without its contents: for labels, lists and the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PhaseName {
    Confirming,
    Preparing,
    Draining,
    HandedOver,
    Proving,
    GivingBack,
    Stranded,
    Closed,
}

impl PhaseName {
    pub const ALL: [Self; 8] = [
        Self::Confirming,
        Self::Preparing,
        Self::Draining,
        Self::HandedOver,
        Self::Proving,
        Self::GivingBack,
        Self::Stranded,
        Self::Closed,
    ];
}

impl fmt::Display for PhaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Confirming => "confirming",
            Self::Preparing => "preparing",
            Self::Draining => "draining",
            Self::HandedOver => "handed-over",
            Self::Proving => "proving",
            Self::GivingBack => "giving-back",
            Self::Stranded => "stranded",
            Self::Closed => "closed",
        })
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned => f.write_str("the node is back in service"),
            Self::Served => f.write_str("the disks are served"),
            Self::FalseAlarm => f.write_str("a false alarm"),
            Self::Aborted { by, reason } if reason.is_empty() => write!(f, "called off by {by}"),
            Self::Aborted { by, reason } => write!(f, "called off by {by}: {reason}"),
            Self::Retired { by, reason } => write!(f, "retired by {by}: {reason}"),
        }
    }
}
