//! Guests leave the node: ours in the plan's order, HA's watched, those that cannot move shut down.

use std::collections::{BTreeMap, BTreeSet};

use super::course::{Course, Refusal};
use super::elsewhere::{elsewhere, remember};
use super::replan::replan;
use super::watch::{shut_down, watch_ha};
use super::{MOVE_SETTLES, cancel_if_overdue, due_after_failures, locked, moving, set};
use crate::decide::emptiness;
use crate::decide::live::need;
use crate::decide::plan::{Kept, Within, again};
use crate::decide::processors;
use crate::decide::turn::Turn;
use crate::decide::way::{Way, way};
use crate::model::case::Phase;
use crate::model::ids::{GuestId, NodeName};
use crate::model::note::Noted;
use crate::model::observed::{Guest, Power};
use crate::model::owed::{GuestDebt, Whereabouts};
use crate::model::plan::How;
use crate::model::step::Action;
use crate::model::wait::Wait;

/// Brings every guest of the plan off the node. `Ok`: nobody is left that has to go.
pub fn away(turn: &mut Turn) -> Result<(), Wait> {
    if !turn.view.cluster()?.online(&turn.case.node) {
        return Ok(());
    }
    let Some(mut course) = Course::of(turn)? else { return Ok(()) };
    let everybody = course.aboard(turn)?;
    let mut waits = go(turn, &mut course, &everybody);
    let again = elsewhere(turn, &mut course);
    waits.extend(go_again(turn, &mut course, &everybody, &again));
    if !course.lost.is_empty() {
        match replan(turn, &mut course) {
            Ok((changed, stands)) => {
                waits.extend(stands);
                waits.extend(go_again(turn, &mut course, &everybody, &changed));
            }
            Err(wait) => waits.push(wait),
        }
    }
    worst(waits)
}

/// The canary alone, then whoever makes room: before HA is told anything, because HA waits for nobody. `Ok`: they are away.
pub fn ahead(turn: &mut Turn) -> Result<(), Wait> {
    let (node, cluster) = (turn.case.node.clone(), turn.view.cluster()?);
    if !cluster.online(&node) {
        // Switched off as soon as it was empty: nobody needs room any more. Else dead, or only unseen for a moment, and HA
        // is told nothing meanwhile.
        return if emptiness::aboard(cluster, &node).is_empty() {
            Ok(())
        } else {
            Err(Wait::NodeOffline { node })
        };
    }
    settle_earlier(turn)?;
    let Some(mut course) = Course::of(turn)? else { return Ok(()) };
    let mut first: Vec<(GuestId, Guest)> =
        course.aboard(turn)?.into_iter().filter(|(id, _)| course.goes_first(*id)).collect();
    if let Some(canary) = first.iter().find(|(id, _)| course.plan.canary == Some(*id)) {
        first = vec![canary.clone()];
    }
    if first.is_empty() {
        return Ok(());
    }
    let mut waits = go(turn, &mut course, &first);
    let again = elsewhere(turn, &mut course);
    waits.extend(go_again(turn, &mut course, &first, &again));
    let lost = course.lost.clone().into_iter().next();
    if let Some((guest, why)) = lost {
        let blockers = course.planned(guest).map(|m| (m.to.clone(), why)).into_iter().collect();
        waits.push(Wait::NoTarget { guest, blockers });
    }
    match worst(waits) {
        Err(Wait::GuestsAboard { guests }) => Err(Wait::FirstMoves { guests }),
        other => other,
    }
}

/// The last look before HA is told: it is told once, and asks nobody. Whoever made room may have taken hours.
pub fn ha_still_fits(turn: &mut Turn) -> Result<(), Wait> {
    let Phase::Draining { clearance, .. } = &turn.case.phase else { return Ok(()) };
    let told = turn.view.ha()?.maintenance_requested(&turn.case.node) || turn.case.owed.maintenance.is_some();
    if told || clearance.plan().ha.is_empty() {
        return Ok(());
    }
    let policy = turn.view.policy(&turn.case)?;
    let (approved, lost, failed_at) = (clearance.plan(), BTreeMap::new(), BTreeMap::new());
    let (moves, within) = (&approved.moves, Within::Approved);
    let kept = Kept { approved, moves, lost: &lost, failed_at: &failed_at, within };
    let now = again(&turn.case, policy, turn.view, &kept)?;
    let refused = now.stuck.iter().chain(&now.unplaced).find_map(|wait| match wait {
        Wait::HaNoCandidate { guest, .. } | Wait::HaOverfills { guest, .. } => Some(*guest),
        Wait::NoTarget { guest, .. } if approved.ha.contains_key(guest) => Some(*guest),
        _ => None,
    });
    // Judged anew: the verdict says why.
    refused.map_or(Ok(()), |guest| Err(Wait::OutsideApproval { guest }))
}

/// Residents that an earlier plan sent away, or that a way home was begun for: nothing new begins until each is somewhere.
/// This plan counts on where they are going, whether it names them or not.
fn settle_earlier(turn: &mut Turn) -> Result<(), Wait> {
    let Phase::Draining { clearance, .. } = &turn.case.phase else { return Ok(()) };
    let named: BTreeSet<GuestId> = clearance.plan().moves.iter().map(|m| m.guest).collect();
    let residents: Vec<(GuestId, GuestDebt)> = turn
        .case
        .owed
        .away()
        .filter(|(id, debt)| debt.home != turn.case.node && !named.contains(id))
        .map(|(id, debt)| (id, debt.clone()))
        .collect();
    let cluster = turn.view.cluster()?;
    for (id, debt) in residents {
        let Some(guest) = cluster.guests.get(&id).filter(|guest| cluster.online(&guest.node)) else {
            continue;
        };
        let since = match &debt.at {
            Whereabouts::Leaving { since, .. } if guest.node == debt.home => *since,
            Whereabouts::Returning { since, .. } if guest.node != debt.home => *since,
            _ => continue,
        };
        let moving = moving(id, &guest.node, turn.case.phase.since(), turn.view)?;
        if moving.goes_on(since, turn.view.now) {
            return Err(Wait::FirstMoves { guests: vec![id] });
        }
        let there = guest.node.clone();
        let settled =
            if there == debt.home { Whereabouts::Aboard } else { Whereabouts::Away { node: there } };
        set(turn, id, settled);
    }
    Ok(())
}

/// Writes down every guest of the plan before anything is taken: once HA is told, it moves its guests by itself, and
/// whoever is gone by then would never be brought home.
pub fn owe_all(turn: &mut Turn) -> Result<(), Wait> {
    let node = turn.case.node.clone();
    let Phase::Draining { clearance, .. } = &turn.case.phase else { return Ok(()) };
    let plan = clearance.plan().clone();
    let cluster = turn.view.cluster()?;
    for (id, guest) in &cluster.guests {
        let planned = plan.moves.iter().find(|m| m.guest == *id);
        let home = planned.and_then(|m| m.from.as_ref()).unwrap_or(&node);
        let ours = planned.is_some() || plan.ha.contains_key(id) || plan.stops.contains_key(id);
        if ours && &guest.node == home {
            owe(turn, *id, guest, home);
        }
    }
    Ok(())
}

/// Each of these as far as it can go now.
fn go(turn: &mut Turn, course: &mut Course, guests: &[(GuestId, Guest)]) -> Vec<Wait> {
    let mut waits = Vec::new();
    for (id, guest) in guests {
        if let Err(wait) = one(turn, course, *id, guest) {
            if !matches!(wait, Wait::GuestsAboard { .. }) {
                course.held.insert(*id);
            }
            waits.push(wait);
        }
    }
    waits
}

/// Those of them whose target was looked for again.
fn go_again(
    turn: &mut Turn,
    course: &mut Course,
    guests: &[(GuestId, Guest)],
    again: &BTreeSet<GuestId>,
) -> Vec<Wait> {
    let again: Vec<_> = guests.iter().filter(|(id, _)| again.contains(id)).cloned().collect();
    go(turn, course, &again)
}

/// The one wait to show: what needs a person before what only needs time.
fn worst(waits: Vec<Wait>) -> Result<(), Wait> {
    let (aboard, mut others): (Vec<Wait>, Vec<Wait>) =
        waits.into_iter().partition(|wait| matches!(wait, Wait::GuestsAboard { .. }));
    if !others.is_empty() {
        return Err(others.swap_remove(0));
    }
    let mut guests: Vec<GuestId> = aboard
        .into_iter()
        .flat_map(|wait| if let Wait::GuestsAboard { guests } = wait { guests } else { Vec::new() })
        .collect();
    guests.sort_unstable();
    guests.dedup();
    if guests.is_empty() { Ok(()) } else { Err(Wait::GuestsAboard { guests }) }
}

/// One guest that is still where it was.
fn one(turn: &mut Turn, course: &mut Course, id: GuestId, guest: &Guest) -> Result<(), Wait> {
    let policy = turn.view.policy(&turn.case)?;
    let agreed = crate::decide::plan::agreed(Some(&turn.case), policy, turn.view.rules);
    let aboard = Wait::GuestsAboard { guests: vec![id] };
    if course.plan.stops.contains_key(&id) {
        return shut_down(turn, &course.plan, id, guest);
    }
    let home = course.home(id).clone();
    match way(id, guest, policy, agreed, turn.view)? {
        Way::Stays(_) => Ok(()),
        Way::Stuck(why) => Err(Wait::Unmovable { guest: id, why }),
        Way::ShutDown(_) => Err(Wait::OutsideApproval { guest: id }),
        // Its owner gave it to HA meanwhile, and HA has not been told to move anybody: it would wait for ever.
        Way::Ha if course.goes_first(id) && !course.plan.ha.contains_key(&id) => {
            Err(Wait::OutsideApproval { guest: id })
        }
        Way::Ha => {
            owe(turn, id, guest, &home);
            watch_ha(turn, id).map_or(Err(aboard), Err)
        }
        Way::Move(how) => {
            owe(turn, id, guest, &home);
            let since = match &turn.case.owed.guests[&id].at {
                Whereabouts::Leaving { since, .. } => *since,
                _ => turn.case.phase.since(),
            };
            let moving = moving(id, &home, turn.case.phase.since(), turn.view)?;
            if let Some(task) = moving.running {
                cancel_if_overdue(turn, id, guest, task);
                return Err(aboard);
            }
            if matches!(turn.case.owed.guests[&id].at, Whereabouts::Leaving { .. }) {
                // No task, and still here. Just asked for: give it time to show. Else it ended, or never began.
                if moving.goes_on(since, turn.view.now) {
                    return Err(aboard);
                }
                if let Some(error) = moving.failed_since(since) {
                    turn.note(Noted::MoveFailed { guest: id, error: error.to_owned() });
                    remember(turn, course, id, since);
                }
                set(turn, id, Whereabouts::Aboard);
            }
            let due = due_after_failures(turn, &moving);
            if !due {
                course.held.insert(id);
            }
            if moving.failed >= turn.view.rules.limits.migration_tries_max && !due {
                let error = moving.last_failure.map_or_else(String::new, |(_, error)| error.to_owned());
                return Err(Wait::MoveFails { guest: id, tries: moving.failed, error });
            }
            if let Some(lock) = &guest.lock {
                return Err(locked(id, guest, lock));
            }
            if due {
                begin(turn, course, id, guest, how)?;
            }
            Err(aboard)
        }
    }
}

/// Starts one move, if the plan's order, the slots and the room allow it now.
fn begin(turn: &mut Turn, course: &mut Course, id: GuestId, guest: &Guest, how: How) -> Result<(), Wait> {
    let Some(planned) = course.planned(id).cloned() else { return Err(Wait::OutsideApproval { guest: id }) };
    if !course.plan.covers(id, &planned.to, how) {
        return Err(Wait::OutsideApproval { guest: id });
    }
    if course.waits(turn, id) {
        return Ok(());
    }
    if course.might_do_better(id) {
        course.shuns.insert(id);
        return Ok(());
    }
    let need = need(guest, turn.view.guest(id)?, how, &turn.view.rules.packing);
    let (from, to) = (course.home(id).clone(), planned.to);
    match course.refuses(&to, &need) {
        None => {}
        Some(Refusal::MayPass) => return Ok(()),
        Some(Refusal::Lasts(why)) => {
            course.lost.insert(id, why);
            return Ok(());
        }
    }
    if !course.slots.free(turn, &from, &to) {
        return Ok(());
    }
    let subject = format!("away-{id}");
    let (name, kind) = (guest.name.clone(), guest.kind);
    let action =
        Action::Migrate { guest: id, name: name.clone(), kind, from: from.clone(), to: to.clone(), how };
    if !turn.step(&subject, action, MOVE_SETTLES) {
        return turn.failing(&subject).map_or(Ok(()), Err);
    }
    course.begins(&from, &to, &need);
    turn.note(match from == turn.case.node {
        true => Noted::Leaves { guest: id, name, to: to.clone(), how },
        false => Noted::MakesRoom { guest: id, name, from, to: to.clone() },
    });
    let since = turn.view.now;
    set(turn, id, Whereabouts::Leaving { to: Some(to), since });
    Ok(())
}

/// Writes the debt down, before the guest moves.
pub(super) fn owe(turn: &mut Turn, id: GuestId, guest: &Guest, home: &NodeName) {
    // Its own status before the cluster's list, which lags: who was just shut down by a person shall stay down.
    let live =
        turn.view.guest(id).ok().and_then(|detail| detail.live.as_ref()).map_or(guest.power, |l| l.power);
    let was = if live == Power::Stopped { Power::Stopped } else { Power::Running };
    let native = turn.view.guest(id).is_ok_and(processors::native);
    turn.case.owed.guests.entry(id).or_insert_with(|| GuestDebt {
        name: guest.name.clone(),
        kind: guest.kind,
        home: home.clone(),
        was,
        ha: guest.ha,
        native,
        at: Whereabouts::Aboard,
        missing: None,
    });
}
