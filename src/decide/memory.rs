//! What is remembered of a machine's earlier cases: a part that fails again after it was served, and how often a node was
//! taken out for an alarm.
//!
//! It makes the work order ask for another part and, where a node was tried often enough, for a person. It opens nothing,
//! and it never has a say in giving back.

use std::time::Duration;

use super::view::View;
use crate::model::case::{Case, Origin};
use crate::model::fault::FaultKey;
use crate::model::ids::CaseId;
use crate::model::state::Earlier;
use crate::model::time::{Period, age};

/// A part that was served before, and fails again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    pub fault: FaultKey,
    /// This time included.
    pub times: u32,
    pub within: Period,
    /// The earlier cases, oldest first.
    pub cases: Vec<CaseId>,
    /// So often that it is to be replaced.
    pub enough: bool,
}

/// Each fault of the case that an earlier case of the window served.
pub fn returned(case: &Case, view: &View) -> Vec<Returned> {
    let one = |fault: &FaultKey| {
        let memory = &view.policy_of(case, fault).ok()?.memory;
        let served = |earlier: &&Earlier| {
            earlier.served
                && earlier.faults.contains(fault)
                && recent(view, earlier.closed_at, memory.within.0)
        };
        let cases: Vec<CaseId> =
            view.state.earlier.iter().filter(|e| e.case != case.id).filter(served).map(|e| e.case).collect();
        let times = u32::try_from(cases.len()).unwrap_or(u32::MAX).saturating_add(1);
        let enough = times >= memory.returns;
        (times > 1).then(|| Returned { fault: fault.clone(), times, within: memory.within, cases, enough })
    };
    case.faults.iter().filter_map(one).collect()
}

/// How often an alarm took the case's node out within the window; `None`: that is not bounded, or a person asked.
pub fn attempts(case: Option<&Case>, view: &View) -> Option<u32> {
    let bound = view.rules.budgets.attempts_per_node.as_ref()?;
    let case = case.filter(|case| matches!(case.origin, Origin::Alarm { .. }))?;
    let counts = |earlier: &&Earlier| {
        earlier.by_alarm
            && earlier.node == case.node
            && earlier.drained_at.is_some_and(|at| recent(view, at, bound.within.0))
    };
    Some(u32::try_from(view.state.earlier.iter().filter(counts).count()).unwrap_or(u32::MAX))
}

fn recent(view: &View, at: crate::model::time::Time, within: Duration) -> bool {
    age(view.now, at) <= within
}

/// `third`, `12th`.
pub fn ordinal(n: u32) -> String {
    const WORDS: [&str; 10] =
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
    let word = usize::try_from(n).ok().and_then(|n| WORDS.get(n.checked_sub(1)?));
    word.map_or_else(|| format!("{n}th"), |word| (*word).to_owned())
}
