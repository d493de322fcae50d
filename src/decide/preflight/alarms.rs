//! Does the alarm that opened the case still stand? A delivery may be minutes old when it comes, or come twice; before
//! a node is disturbed, Alertmanager itself must list the alert.

use super::{Found, Question};
use crate::decide::faults::episodes_in_window;
use crate::model::case::{Case, Origin};
use crate::model::fault::Fault;
use crate::model::observed::AlarmsView;
use crate::model::rules::AlarmsSetup;
use crate::model::time::age;
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::Wait;

pub(super) fn check(q: &Question) -> Check {
    let not_applicable = |why: &str| q.not_applicable(CheckName::Alarms, why);
    if q.view.rules.alarms == AlarmsSetup::Delivered {
        return not_applicable("declared: no Alertmanager is asked");
    }
    match q.case {
        None => not_applicable("no alarm asks for it"),
        Some(case) if matches!(case.origin, Origin::Person { .. }) => not_applicable("a person asks for it"),
        // What is held was taken on an alarm that stood.
        Some(case) if !case.owed.nothing() => not_applicable("the node is leaving already"),
        Some(case) => q.answer(CheckName::Alarms, &q.view.seen.alarms, find(q, case)),
    }
}

fn find(q: &Question, case: &Case) -> Result<Found, Wait> {
    let view = q.view.alarms()?;
    let mut standing = 0;
    let mut missed = None;
    for key in &case.faults {
        match q.view.fault(key)? {
            Some(fault) if stands(fault, view, q) => standing += 1,
            _ => missed = missed.or(Some(key)),
        }
    }
    let mut found = Found::new(format!("{standing} of {} faults listed", case.faults.len()));
    if let (0, Some(fault)) = (standing, missed) {
        found.block(Wait::AlarmNotListed { fault: fault.clone() });
    }
    Ok(found)
}

/// Listed now; or, of a part that comes and goes, listed within the policy's window.
fn stands(fault: &Fault, view: &AlarmsView, q: &Question) -> bool {
    let ours = |key| fault.episodes.iter().any(|episode| episode.key() == key);
    if view.listed.iter().any(|listed| ours(listed.episode.key())) {
        return true;
    }
    let Some(policy) = q.view.rules.policy(&fault.policy) else { return false };
    let flaps = episodes_in_window(fault, policy, q.view.now) >= policy.confirm.or_episodes;
    let recent = |episode: &crate::model::alert::Episode| {
        view.last_listed
            .get(&episode.key())
            .is_some_and(|last| age(q.view.now, *last) <= policy.confirm.within.0)
    };
    flaps && fault.episodes.iter().any(recent)
}
