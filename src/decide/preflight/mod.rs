//! "May this node leave now, yes or no, and why." One file per question. Unknown is no.

mod alarms;
mod budgets;
mod capacity;
mod ceph_flags;
mod ceph_health;
mod ceph_versions;
mod channel;
mod guests;
mod ha;
mod in_place;
mod itself;
mod locks;
mod mds;
mod movers;
mod n_plus_one;
mod neighbours;
mod ok_to_stop;
mod privileges;
mod processors;
mod quorum;
mod recoverability;
mod redundancy;
mod window;

use std::time::Duration;

use crate::model::case::Case;
use crate::model::ids::NodeName;
use crate::model::rules::Policy;
use crate::model::seen::Seen;
use crate::model::time::{Period, age};
use crate::model::verdict::{Answer, Check, CheckName, Verdict};
use crate::model::wait::Wait;

pub use budgets::{holding, seen_out, still_within};
pub use privileges::NEEDED as NEEDED_PRIVILEGES;

use super::plan::{Planned, plan};
use super::view::View;

pub(super) use in_place::judge as judge_in_place;
pub(super) use window::{Hour, hour, only_the_hour};

/// What a check may look at.
pub(super) struct Question<'a> {
    pub node: &'a NodeName,
    /// The case that asks, if there is one: what it holds itself is not in its way.
    pub case: Option<&'a Case>,
    pub view: &'a View<'a>,
    /// The plan as it would be now. Several checks read different things from it.
    pub planned: Result<Planned, Wait>,
}

/// Answers every question about `node`, and gives the plan that goes with the answer.
pub fn judge(
    node: &NodeName,
    case: Option<&Case>,
    policy: &Policy,
    view: &View,
) -> (Verdict, Result<Planned, Wait>) {
    let question = Question { node, case, view, planned: plan(node, case, policy, view) };
    let mut checks = vec![
        quorum::check(&question),
        budgets::check(&question),
        privileges::check(&question),
        alarms::check(&question),
        ha::check(&question),
        ha::candidates(&question),
        guests::check(&question),
        locks::check(&question),
        capacity::check(&question),
        n_plus_one::check(&question),
        ceph_health::check(&question),
        ceph_flags::check(&question),
        ok_to_stop::check(&question),
        redundancy::check(&question),
        ceph_versions::check(&question),
        mds::check(&question),
        processors::check(&question),
        movers::check(&question),
        neighbours::check(&question),
        itself::check(&question, policy),
    ];
    checks.extend(channel::check(&question));
    let (recoverability, cards) = recoverability::check(&question);
    checks.push(recoverability);
    checks.push(window::check(&question, Ok(policy)));
    let verdict = Verdict { node: node.clone(), at: view.now, checks, cards };
    let planned = question.planned.map(|mut planned| {
        planned.plan.warnings = verdict.warnings().filter(|wait| !wait.passing()).cloned().collect();
        planned
    });
    (verdict, planned)
}

/// The answer of one check, before it has a name and an age.
pub(super) struct Found {
    reading: String,
    reasons: Vec<Wait>,
    warnings: Vec<Wait>,
}

impl Found {
    pub fn new(reading: impl Into<String>) -> Self {
        Self { reading: reading.into(), reasons: Vec::new(), warnings: Vec::new() }
    }

    pub fn block(&mut self, reason: Wait) {
        self.reasons.push(reason);
    }

    pub fn warn(&mut self, reason: Wait) {
        self.warnings.push(reason);
    }
}

impl Question<'_> {
    /// Puts a name and an age to what was found; what could not be seen becomes "unknown".
    fn answer<T>(&self, name: CheckName, source: &Seen<T>, found: Result<Found, Wait>) -> Check {
        let age = source.at().map(|at| Period(Duration::from_secs(age(self.view.now, at).as_secs())));
        match found {
            Err(wait) => {
                Check { name, answer: Answer::Unknown, reading: wait.to_string(), age, reasons: vec![wait] }
            }
            Ok(Found { reading, reasons, .. }) if !reasons.is_empty() => {
                Check { name, answer: Answer::Block, reading, age, reasons }
            }
            Ok(Found { reading, warnings, .. }) if !warnings.is_empty() => {
                Check { name, answer: Answer::Warn, reading, age, reasons: warnings }
            }
            Ok(Found { reading, .. }) => {
                Check { name, answer: Answer::Pass, reading, age, reasons: Vec::new() }
            }
        }
    }

    /// Declared absent. `reading` says by what it is confirmed.
    fn not_applicable(&self, name: CheckName, reading: &str) -> Check {
        Check {
            name,
            answer: Answer::NotApplicable,
            reading: reading.to_owned(),
            age: None,
            reasons: Vec::new(),
        }
    }

    fn planned(&self) -> Result<&Planned, Wait> {
        self.planned.as_ref().map_err(Wait::clone)
    }
}
