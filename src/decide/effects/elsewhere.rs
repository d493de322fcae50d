//! A move failed at its target: it is tried at another target of the approved plan before it is tried there again.
//!
//! Each target is turned away from once and never again, so that nobody goes to and fro between two bad ones: a guest that
//! has failed at all of them stays with the last. A move that we cancelled ourselves says nothing about its target.

use std::collections::{BTreeMap, BTreeSet};

use super::course::Course;
use super::replan::adopt;
use crate::decide::plan::{Kept, MOVE_FAILED, Planned, Within, again};
use crate::decide::turn::Turn;
use crate::model::case::Phase;
use crate::model::ids::GuestId;
use crate::model::owed::Whereabouts;
use crate::model::time::Time;
use crate::model::wait::Wait;

/// The move that was asked for at `since` failed: where it was going is remembered, beside the debt.
pub fn remember(turn: &mut Turn, course: &mut Course, id: GuestId, since: Time) {
    let cancelled = turn.attempt(&format!("cancel-{id}")).is_some_and(|attempt| attempt.at >= since);
    let to = match turn.case.owed.guests.get(&id).map(|debt| &debt.at) {
        Some(Whereabouts::Leaving { to: Some(to), .. }) if !cancelled => to.clone(),
        _ => return,
    };
    if let Phase::Draining { failed_at, .. } = &mut turn.case.phase {
        failed_at.entry(id).or_default().insert(to);
        course.failed_at.clone_from(failed_at);
    }
}

/// Looks for other targets for those that are about to go where their moves failed. Returns who may go now: to another
/// target, or, if there is none that costs nobody else a place, to the same again.
pub fn elsewhere(turn: &mut Turn, course: &mut Course) -> BTreeSet<GuestId> {
    let mut wanting = std::mem::take(&mut course.shuns);
    let asked = wanting.clone();
    course.settled.extend(&asked);
    // Ends: each time round somebody who finds nothing is let go.
    while !wanting.is_empty() {
        // What cannot be planned now is tried as it was.
        let Ok(found) = ask(turn, course, &wanting) else { break };
        let planned: BTreeSet<GuestId> = found.plan.moves.iter().map(|m| m.guest).collect();
        let costs = |wait: &Wait| match wait {
            Wait::NoTarget { guest, .. } | Wait::HaOverfills { guest, .. } => {
                !wanting.contains(guest) && !course.lost.contains_key(guest)
            }
            _ => false,
        };
        if found.unplaced.iter().any(costs) {
            break;
        }
        if wanting.is_subset(&planned) {
            let mut changed = adopt(turn, course, found.plan.moves);
            course.lost.retain(|id, _| !changed.contains(id));
            changed.extend(asked);
            return changed;
        }
        wanting.retain(|id| planned.contains(id));
    }
    asked
}

fn ask(turn: &Turn, course: &Course, wanting: &BTreeSet<GuestId>) -> Result<Planned, Wait> {
    let policy = turn.view.policy(&turn.case)?;
    let mut lost: BTreeMap<GuestId, String> =
        wanting.iter().map(|id| (*id, MOVE_FAILED.to_owned())).collect();
    lost.extend(course.lost.clone());
    let (approved, moves, failed_at) = (&course.plan, &course.moves, &course.failed_at);
    let kept = Kept { approved, moves, lost: &lost, failed_at, within: Within::Approved };
    again(&turn.case, policy, turn.view, &kept)
}
