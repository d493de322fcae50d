//! A target is lost on the way: the planner is asked again, with what is done, under way and promised kept.
//!
//! The approval covers each of its guests, by the same way, to any of its targets; so those are tried first. Only if none
//! of them will do, and another node would, a person is asked again.

use std::collections::{BTreeMap, BTreeSet};

use super::course::Course;
use crate::decide::plan::{Kept, MOVE_FAILED, Within, again};
use crate::decide::turn::Turn;
use crate::model::case::Phase;
use crate::model::ids::{GuestId, NodeName};
use crate::model::note::Noted;
use crate::model::plan::Move;
use crate::model::wait::Wait;

/// Finds other targets for those that lost theirs; who has got another one, and what stands in the way of the others.
///
/// # Errors
/// Something needed cannot be seen.
pub fn replan(turn: &mut Turn, course: &mut Course) -> Result<(BTreeSet<GuestId>, Vec<Wait>), Wait> {
    let policy = turn.view.policy(&turn.case)?;
    let (approved, moves, lost, nowhere) = (&course.plan, &course.moves, &course.lost, BTreeMap::new());
    let kept = |within, failed_at| Kept { approved, moves, lost, failed_at, within };
    let mut inside = again(&turn.case, policy, turn.view, &kept(Within::Approved, &course.failed_at))?;
    if !course.failed_at.is_empty() && lost.keys().any(|id| to(&inside.plan.moves, *id).is_none()) {
        // Where a move failed is still better than nowhere.
        inside = again(&turn.case, policy, turn.view, &kept(Within::Approved, &nowhere))?;
    }
    let mut waits = Vec::new();
    let without: Vec<GuestId> =
        lost.keys().copied().filter(|id| to(&inside.plan.moves, *id).is_none()).collect();
    if !without.is_empty() {
        let anywhere = again(&turn.case, policy, turn.view, &kept(Within::Anywhere, &nowhere))?;
        for id in without {
            let left = |wait: &&Wait| matches!(wait, Wait::NoTarget { guest, .. } if *guest == id);
            waits.push(match (to(&anywhere.plan.moves, id), anywhere.unplaced.iter().find(left)) {
                (Some(_), _) => Wait::OutsideApproval { guest: id },
                (None, Some(why)) => why.clone(),
                (None, None) => Wait::NoTarget { guest: id, blockers: Vec::new() },
            });
        }
    }
    let changed = adopt(turn, course, inside.plan.moves);
    course.lost.clear();
    Ok((changed, waits))
}

/// These moves are the course from now on; whoever has got another target is told with the reason.
pub fn adopt(turn: &mut Turn, course: &mut Course, moves: Vec<Move>) -> BTreeSet<GuestId> {
    let mut changed = BTreeSet::new();
    for new in &moves {
        let Some(old) = course.planned(new.guest).filter(|old| old.to != new.to) else { continue };
        changed.insert(new.guest);
        let failed = course.failed_at.get(&new.guest).is_some_and(|nodes| nodes.contains(&old.to));
        let why = course.lost.get(&new.guest).or(course.closed.get(&old.to)).cloned();
        let why = why.or(failed.then(|| MOVE_FAILED.to_owned()));
        let (guest, name, from, to) = (new.guest, new.name.clone(), old.to.clone(), new.to.clone());
        turn.note(Noted::Replanned { guest, name, from, to, why });
    }
    if !changed.is_empty() {
        // Moves that are done or under way stay in the list: others wait for them by name.
        course.moves.retain(|old| to(&moves, old.guest).is_none());
        course.moves.extend(moves);
        if let Phase::Draining { course: stored, .. } = &mut turn.case.phase {
            stored.clone_from(&course.moves);
        }
    }
    changed
}

fn to(moves: &[Move], id: GuestId) -> Option<NodeName> {
    moves.iter().find(|m| m.guest == id).map(|m| m.to.clone())
}
