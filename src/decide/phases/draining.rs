//! The node leaves: manager moved off, HA maintenance on, noout held, guests away; then seen empty twice.

use super::{monitors, second_failure};
use crate::decide::effects::{
    ahead, away, follow, ha_still_fits, hold_maintenance, hold_noout, hold_silence, move_mgr, owe_all,
    tell_the_sheet,
};
use crate::decide::emptiness;
use crate::decide::turn::Turn;
use crate::model::case::{Handover, Phase};
use crate::model::note::Noted;
use crate::model::proof::{Drained, EmptyRead};
use crate::model::rates::Took;
use crate::model::time::age;
use crate::model::wait::Wait;

pub(super) fn turn(turn: &mut Turn) -> Result<Phase, Wait> {
    let next = drain(turn);
    // A guest that the plan does not know wants a new plan: judged anew, approved anew, with everything held meanwhile.
    if let Err(Wait::OutsideApproval { guest }) = &next {
        turn.note(Noted::Outgrown { guest: *guest });
        return Ok(Phase::preparing(turn.view.now));
    }
    if let (Phase::Draining { empty, .. }, Err(wait)) = (&mut turn.case.phase, &next)
        && !matches!(wait, Wait::SecondLook { .. })
    {
        // Anything but "empty, look again" ends the first sighting: it has to be empty all the time.
        *empty = None;
    }
    // Last: whatever else is to be done is not kept waiting by an Alertmanager that does not answer. Not in place: there
    // the node works on, and "node down" would be true.
    if let (Phase::Draining { clearance, .. }, Err(wait)) = (&turn.case.phase, &next)
        && clearance.plan().in_place.is_empty()
        && !matches!(wait, Wait::SecondFailure { .. })
        // What cannot be seen may be down, and then it is to be heard: the lease runs out.
        && turn.view.cluster().is_ok_and(|cluster| cluster.online(&turn.case.node))
    {
        hold_silence(turn);
    }
    next
}

fn drain(turn: &mut Turn) -> Result<Phase, Wait> {
    if let Some(died) = died(turn)? {
        return Ok(died);
    }
    let second = second_failure::look(&turn.case, turn.view)?;
    tell_the_sheet(turn, second.as_ref());
    if let Some(wait) = second {
        // What is under way arrives all the same, and that is told when it happens.
        if turn.may_take().is_ok() {
            follow(turn)?;
        }
        return Err(wait);
    }
    turn.may_take()?;
    if matches!(&turn.case.phase, Phase::Draining { clearance, .. } if !clearance.plan().in_place.is_empty())
    {
        return serve(turn);
    }
    owe_all(turn)?;
    follow(turn)?;
    if first_moves(turn) {
        begin_the_clock(turn);
    }
    ahead(turn)?;
    ha_still_fits(turn)?;
    move_mgr(turn)?;
    hold_maintenance(turn)?;
    hold_noout(turn)?;
    begin_the_clock(turn);
    away(turn)?;
    if let Some(wait) = monitors::look(&turn.case, turn.view)? {
        return Err(wait);
    }
    let second = emptiness::look(&turn.case.node, turn.view)?;
    let first = sighting(turn, &second)?;
    let emptied = first.at;
    let proof = Drained::of(first, second).ok_or(Wait::SecondLook { since: turn.view.now })?;
    let node = turn.case.node.clone();
    turn.note(Noted::Empty { node: node.clone() });
    if let Some(took) = turn.case.took.as_mut() {
        took.until = Some(emptied);
        let took = *took;
        // Without a forecast there was nobody to move.
        if took.planned.is_some() {
            turn.note(Noted::Took { node: node.clone(), took });
        }
    }
    turn.note(Noted::HandedOver { node });
    Ok(Phase::HandedOver {
        since: turn.view.now,
        handover: Handover::Drained { proof },
        claim: None,
        cancelled: None,
    })
}

/// Some guests move before anything is held: the canary, and residents that make room.
fn first_moves(turn: &Turn) -> bool {
    let Phase::Draining { clearance, .. } = &turn.case.phase else { return false };
    let plan = clearance.plan();
    plan.canary.is_some() || plan.moves.iter().any(|m| m.from.is_some())
}

/// From here on guests leave: planned and real time are counted from the same moment. A new plan begins a new count.
fn begin_the_clock(turn: &mut Turn) {
    let Phase::Draining { since, clearance, .. } = &turn.case.phase else { return };
    if turn.case.took.is_none_or(|took| took.since < *since) {
        let planned = clearance.plan().forecast;
        turn.case.took = Some(Took { since: turn.view.now, until: None, planned });
    }
}

/// Nothing leaves: noout is held, and Ceph is asked once more at the last moment.
fn serve(turn: &mut Turn) -> Result<Phase, Wait> {
    hold_noout(turn)?;
    let node = turn.case.node.clone();
    let Phase::Draining { clearance, .. } = &turn.case.phase else { return Err(Wait::Technician) };
    let osds = clearance.plan().in_place.clone();
    let answer = turn.view.may_stop(&node, &osds)?;
    if !answer.ok {
        return Err(Wait::DisksNeeded { osds: osds.into_iter().collect(), bad_pgs: answer.bad_pgs });
    }
    let host = turn.view.host(&node)?.ok_or_else(|| Wait::HostUnknown { node: node.clone() })?;
    let beside = turn.view.ceph()?.osds_of(host).map(|(id, _)| *id).collect();
    turn.note(Noted::HandedOverInPlace { node, osds: osds.iter().copied().collect() });
    let handover = Handover::InPlace { osds, beside };
    Ok(Phase::HandedOver { since: turn.view.now, handover, claim: None, cancelled: None })
}

/// The first sighting, if it is old enough; else remembers this one as the first. Who died between the two has seen the
/// node empty twice all the same: a process that is killed every few seconds still gets on.
fn sighting(turn: &mut Turn, now: &EmptyRead) -> Result<EmptyRead, Wait> {
    let apart = turn.view.rules.limits.empty_apart.0;
    let Phase::Draining { empty, .. } = &mut turn.case.phase else { return Ok(now.clone()) };
    match empty {
        Some(first) if age(now.at, first.at) >= apart => Ok(first.clone()),
        // One that is still to come is from before our clock was set back.
        Some(first) if first.at <= now.at => Err(Wait::SecondLook { since: first.at }),
        _ => {
            *empty = Some(now.clone());
            Err(Wait::SecondLook { since: now.at })
        }
    }
}

/// Offline with guests aboard, and two members say so: there is nothing to migrate any more.
pub(super) fn died(turn: &mut Turn) -> Result<Option<Phase>, Wait> {
    let node = turn.case.node.clone();
    let cluster = turn.view.cluster()?;
    let second = turn.view.second(&node)?;
    if cluster.online(&node) || second.is_some_and(|member| member.online(&node)) {
        return Ok(None);
    }
    turn.view.sees_guests()?;
    let aboard = emptiness::aboard(cluster, &node);
    if aboard.is_empty() {
        return Ok(None);
    }
    turn.note(Noted::Died { node, aboard: aboard.len() });
    let cancelled = match &turn.case.phase {
        Phase::HandedOver { cancelled, .. } => cancelled.clone(),
        _ => None,
    };
    Ok(Some(Phase::Stranded { since: turn.view.now, cancelled }))
}
