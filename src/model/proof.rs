//! Proofs: values that exist only if something was shown. Each is made in one place, here, by showing it; also when
//! it is read back from the store, so that no file can claim what was never proved.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::case::Approval;
use super::ids::NodeName;
use super::owed::Owed;
use super::plan::Plan;
use super::time::{Time, age};
use super::verdict::Verdict;

/// Two sightings of an empty node closer together than this prove nothing: lists lag by seconds.
pub const EMPTY_APART_MIN: Duration = Duration::from_secs(12);

/// The verdict was clear, and whoever had to approve has approved: the node may leave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clearance {
    plan: Plan,
    at: Time,
    approval: Option<Approval>,
}

impl Clearance {
    /// `approval`: needed for this very plan, or `None` where the policy acts by itself.
    pub fn of(verdict: &Verdict, plan: Plan, approval: Option<Approval>) -> Option<Self> {
        let approved = approval.as_ref().is_none_or(|a| a.hash == plan.hash());
        (verdict.clear() && verdict.node == plan.node && approved).then_some(Self {
            plan,
            at: verdict.at,
            approval,
        })
    }

    /// The same clearance for a plan that a person approved while the node was already leaving.
    pub fn renewed(&self, plan: Plan, approval: Approval) -> Option<Self> {
        (approval.hash == plan.hash() && plan.node == self.plan.node).then_some(Self {
            plan,
            at: approval.at,
            approval: Some(approval),
        })
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn approval(&self) -> Option<&Approval> {
        self.approval.as_ref()
    }
}

/// One sighting of a node without running guests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmptyRead {
    pub at: Time,
    /// Who said so.
    pub members: BTreeSet<NodeName>,
}

/// The node was seen empty twice, far enough apart, by as many members as could be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredDrained", into = "StoredDrained")]
pub struct Drained {
    first: EmptyRead,
    second: EmptyRead,
}

impl Drained {
    pub fn of(first: EmptyRead, second: EmptyRead) -> Option<Self> {
        let apart = second.at > first.at && age(second.at, first.at) >= EMPTY_APART_MIN;
        (apart && !first.members.is_empty() && !second.members.is_empty()).then_some(Self { first, second })
    }

    pub fn at(&self) -> Time {
        self.second.at
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct StoredDrained {
    first: EmptyRead,
    second: EmptyRead,
}

impl TryFrom<StoredDrained> for Drained {
    type Error = &'static str;

    fn try_from(stored: StoredDrained) -> Result<Self, Self::Error> {
        Self::of(stored.first, stored.second).ok_or("the stored case claims an emptiness that was not shown")
    }
}

impl From<Drained> for StoredDrained {
    fn from(drained: Drained) -> Self {
        Self { first: drained.first, second: drained.second }
    }
}

/// Nothing is owed any more. No `Settled`, no closing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredSettled", into = "StoredSettled")]
pub struct Settled {
    owed: Owed,
}

impl Settled {
    /// What was owed, if all of it is paid.
    pub fn of(owed: &Owed) -> Option<Self> {
        owed.nothing().then(|| Self { owed: owed.clone() })
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct StoredSettled {
    owed: Owed,
}

impl TryFrom<StoredSettled> for Settled {
    type Error = &'static str;

    fn try_from(stored: StoredSettled) -> Result<Self, Self::Error> {
        Self::of(&stored.owed).ok_or("the stored case is closed and still owes something")
    }
}

impl From<Settled> for StoredSettled {
    fn from(settled: Settled) -> Self {
        Self { owed: settled.owed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(node: &str, maintenance: bool) -> Plan {
        let json = serde_json::json!({
            "node": node, "maintenance": maintenance, "noout": null, "moves": [], "ha": {}, "stops": {}, "stays": {},
            "warnings": [],
        });
        serde_json::from_value(json).expect("a plan")
    }

    fn approval(of: &Plan) -> Approval {
        let at = "2026-03-01T10:00:00Z".parse().expect("a time");
        Approval { by: "alice".into(), at, hash: of.hash(), second: None }
    }

    #[test]
    fn a_clearance_is_renewed_only_for_the_plan_that_was_approved_and_only_for_its_node() {
        let (first, second, elsewhere) = (plan("pve2", false), plan("pve2", true), plan("pve3", true));
        let cleared = Clearance { at: approval(&first).at, plan: first, approval: None };
        let renewed = |plan: &Plan, approved: &Plan| cleared.renewed(plan.clone(), approval(approved));
        assert_eq!(renewed(&second, &second).map(|new| new.plan), Some(second.clone()));
        assert_eq!(renewed(&second, &elsewhere), None, "another plan was approved");
        assert_eq!(renewed(&elsewhere, &elsewhere), None, "another node");
    }
}
