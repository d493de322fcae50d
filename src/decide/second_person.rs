//! Who may agree to a plan. Where the policy wants two, neither whoever asked for the drain nor whoever approved first can
//! be the second. Names are compared without case: two tokens of one person are to carry one name.

use std::collections::BTreeSet;

use crate::model::case::{Approval, Case, Origin, Phase};
use crate::model::ids::Person;
use crate::model::note::Noted;
use crate::model::plan::Plan;
use crate::model::rules::Policy;
use crate::model::wait::Wait;

use super::turn::Turn;

/// Somebody approves the plan that was shown.
///
/// # Errors
/// It is not that plan, there is none, or it has to be somebody else.
pub(super) fn approve(turn: &mut Turn, given: Approval) -> Result<(), String> {
    let id = turn.case.id;
    let Phase::Preparing { approval, shown, .. } = &turn.case.phase else {
        return Err(format!("case {id} is {}; there is nothing to approve", turn.case.phase.name()));
    };
    let Some(shown) = shown else {
        return Err(format!("case {id} has no plan to approve yet; pitlane show {id} says why"));
    };
    shown.meant_by(&given.hash.0).map_err(|why| format!("case {id}: {why}"))?;
    let hash = shown.clone();
    let first = approval.clone().or_else(|| agreed_beforehand(&turn.case, given.at, &hash));
    let wants_two = turn.view.policy(&turn.case).is_ok_and(|policy| policy.respond.second_person);
    let (now, note) = match first.filter(|first| wants_two && first.hash == hash) {
        None => {
            let note = Noted::Approved { by: given.by.clone(), hash: hash.clone() };
            (Approval { hash, ..given }, note)
        }
        Some(Approval { second: Some(second), by, .. }) => {
            return Err(format!("case {id}: {by} and {second} have approved that plan already"));
        }
        Some(first) => {
            let besides = besides(&turn.case, &first);
            if besides.iter().any(|person| same(person, &given.by)) {
                return Err(format!(
                    "case {id}: a second person has to approve, and {} asked for it or approved first",
                    given.by
                ));
            }
            let note = Noted::ApprovedToo { by: given.by.clone(), first: first.by.clone(), hash };
            (Approval { second: Some(given.by), ..first }, note)
        }
    };
    if let Phase::Preparing { approval, .. } = &mut turn.case.phase {
        *approval = Some(now);
    }
    turn.note(note);
    Ok(())
}

/// Whoever asked with a yes to any plan has agreed to this one, too.
pub(super) fn agreed_beforehand(
    case: &Case,
    at: crate::model::time::Time,
    hash: &crate::model::ids::PlanHash,
) -> Option<Approval> {
    match &case.origin {
        Origin::Person { by, yes: true, .. } => {
            Some(Approval { by: by.clone(), at, hash: hash.clone(), second: None })
        }
        _ => None,
    }
}

/// Is this approval all that the policy wants?
pub(super) fn enough(
    policy: &Policy,
    case: &Case,
    approval: Option<&Approval>,
    plan: &Plan,
) -> Result<(), Wait> {
    let hash = plan.hash();
    match approval {
        None => Err(Wait::Approval { hash }),
        Some(first) if policy.respond.second_person && first.second.is_none() => {
            Err(Wait::SecondPerson { hash, besides: besides(case, first) })
        }
        Some(_) => Ok(()),
    }
}

/// Those who cannot be the second.
fn besides(case: &Case, first: &Approval) -> BTreeSet<Person> {
    let mut all = BTreeSet::from([first.by.clone()]);
    if let Origin::Person { by, .. } = &case.origin {
        all.insert(by.clone());
    }
    all
}

fn same(a: &Person, b: &Person) -> bool {
    let plain = |person: &Person| person.0.trim().to_lowercase();
    plain(a) == plain(b)
}
