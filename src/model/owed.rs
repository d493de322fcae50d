//! What pitlane took from the cluster and has to give back. Written down before it is taken.
//!
//! A debt is made in the commit that plans the step. If we die between, the next turn sees the debt unpaid, or never
//! taken; both are fine. What someone else set before us is never a debt of ours, so we never clear it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::fault::FaultKey;
use super::ids::{GuestId, HostName, NodeName, TicketRef};
use super::observed::{GuestKind, LocateTarget, Power, pairs};
use super::silence::SilenceDebt;
use super::time::Time;

/// Everything one case owes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Owed {
    pub maintenance: Option<Debt>,
    pub noout: Option<(HostName, Debt)>,
    pub guests: BTreeMap<GuestId, GuestDebt>,
    pub work_order: Option<WorkOrderDebt>,
    /// Locate LEDs that we lit.
    #[serde(default, with = "pairs")]
    pub locate: BTreeMap<LocateTarget, Debt>,
    /// Our silence in Alertmanager.
    #[serde(default)]
    pub silence: Option<Box<SilenceDebt>>,
}

/// Something held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debt {
    pub since: Time,
    pub reason: String,
    /// When holding it becomes an alarm of its own.
    pub alarm_at: Time,
    /// Seen in the cluster at least once. A debt never seen was perhaps never taken.
    pub seen: bool,
    /// One of our tries may have had its effect. While none may have, a mark that appears is somebody else's.
    #[serde(default)]
    pub unsure: bool,
}

/// A guest that has a way home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestDebt {
    pub name: String,
    pub kind: GuestKind,
    pub home: NodeName,
    /// As it was when we found it; so it shall be again.
    pub was: Power,
    pub ha: bool,
    /// It sees its node's own processor (`cpu: host`): live it goes only to a node that has what it sees.
    #[serde(default)]
    pub native: bool,
    pub at: Whereabouts,
    /// Nobody lists it, look after look. `None`: it is listed, or that cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
}

/// Since when nobody lists a guest, and how many looks have said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    pub since: Time,
    pub looks: u32,
}

/// Where an owed guest is on its way, as last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Whereabouts {
    Aboard,
    Leaving {
        to: Option<NodeName>,
        since: Time,
    },
    Away {
        node: NodeName,
    },
    /// Shut down, on its own node.
    ShutDown,
    Returning {
        from: NodeName,
        since: Time,
    },
    Home,
    /// It cannot go home, and that is told: a warning in the report, not a failure of the case.
    Stays {
        node: Option<NodeName>,
        why: String,
    },
}

/// A work order that must end closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkOrderDebt {
    pub since: Time,
    /// 1 when first opened, one more for each time it was reopened.
    pub round: u32,
    pub ticket: Option<TicketRef>,
    /// Why it was reopened last.
    #[serde(default)]
    pub why: String,
    /// A danger that the sheet tells of and that is not said to be over, and how many it has told.
    #[serde(default)]
    pub warning: Option<String>,
    #[serde(default)]
    pub warned: u32,
    /// Faults that the technician has been told of.
    #[serde(default)]
    pub names: BTreeSet<FaultKey>,
}

impl WorkOrderDebt {
    /// It was not done: another round.
    pub fn again(&mut self, why: &str) {
        self.round += 1;
        why.clone_into(&mut self.why);
    }
}

impl GuestDebt {
    pub fn paid(&self) -> bool {
        matches!(self.at, Whereabouts::Home | Whereabouts::Stays { .. })
    }
}

impl Owed {
    pub fn nothing(&self) -> bool {
        self.maintenance.is_none()
            && self.noout.is_none()
            && self.work_order.is_none()
            && self.locate.is_empty()
            && self.silence.as_ref().is_none_or(|silence| silence.left)
            && self.guests.values().all(GuestDebt::paid)
    }

    /// Guests that stay away from home for good.
    pub fn stay(&self) -> usize {
        self.guests.values().filter(|debt| matches!(debt.at, Whereabouts::Stays { .. })).count()
    }

    /// Guests that still have to go home.
    pub fn away(&self) -> impl Iterator<Item = (GuestId, &GuestDebt)> {
        self.guests.iter().filter(|(_, debt)| !debt.paid()).map(|(id, debt)| (*id, debt))
    }
}
