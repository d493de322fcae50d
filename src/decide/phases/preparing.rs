//! It is true. May the node leave, and does somebody agree? An approval is bound to the plan's hash and dies when
//! the world changes what the plan says.

use std::collections::BTreeMap;
use std::time::Duration;

use super::confirming::false_alarm;
use super::draining::died;
use crate::decide::correlate;
use crate::decide::inventory;
use crate::decide::memory::{Returned, returned};
use crate::decide::plan::Planned;
use crate::decide::preflight::{Hour, hour, judge, judge_in_place, only_the_hour};
use crate::decide::queue;
use crate::decide::second_person;
use crate::decide::time_box;
use crate::decide::turn::Turn;
use crate::model::case::{Approval, Origin, Phase};
use crate::model::note::Noted;
use crate::model::plan::Plan;
use crate::model::proof::Clearance;
use crate::model::rules::{Mode, Policy};
use crate::model::seen::Blind;
use crate::model::verdict::Verdict;
use crate::model::wait::{Source, Wait};

pub(super) fn turn(turn: &mut Turn) -> Result<Phase, Wait> {
    if matches!(turn.case.origin, Origin::Alarm { .. })
        && turn.case.owed.nothing()
        && let Ok(Some(phase)) = false_alarm(turn)
    {
        return Ok(phase);
    }
    // What is held from before is held on a node that may die now: nobody else watches it here.
    if !turn.case.owed.nothing()
        && let Ok(Some(died)) = died(turn)
    {
        return Ok(died);
    }
    inventory::keep_baseline(turn);
    correlate::alone(&turn.case, turn.view)?;
    queue::its_turn(turn)?;
    let policy = turn.view.policy(&turn.case)?;
    let (verdict, plan) = match turn.case.in_place {
        Some(_) => served_in_place(turn)?,
        None => {
            let (verdict, planned) = judge(&turn.case.node, Some(&turn.case), policy, turn.view);
            let plan = planned.as_ref().ok().map(|planned| planned.plan.clone());
            turn.judged = Some((verdict.clone(), plan));
            look_for_room(turn, &planned)?;
            if !verdict.clear() && !may_be_agreed(turn, policy, &verdict) {
                return Err(Wait::Verdict { reasons: verdict.reasons() });
            }
            (verdict, planned?.plan)
        }
    };
    time_box::long_enough(&turn.case, &plan, turn.view)?;
    let approval = approval(turn, &plan);
    show(turn, &plan);

    let mode = turn.view.rules.mode_of(policy);
    let alone = mode == Mode::Act && matches!(turn.case.origin, Origin::Alarm { .. });
    // The configuration refuses the two together; a plan that two have to see never goes unseen.
    let by_itself = alone && !policy.respond.second_person;
    if mode == Mode::Observe {
        return Err(Wait::ObserveOnly);
    }
    if !by_itself {
        second_person::enough(policy, &turn.case, approval.as_ref(), &plan)?;
    }
    if !verdict.clear() {
        let reasons = verdict.reasons();
        return Err(match turn.case.in_place {
            Some(_) => Wait::NotInPlaceNow { reasons },
            None => Wait::Verdict { reasons },
        });
    }
    begin(turn, &verdict, plan, approval)
}

/// A no that is only the hour's keeps nobody from reading the plan and agreeing to it: it begins when the window opens, if
/// it is the same plan then. Who only observes is told what would happen when it would happen.
fn may_be_agreed(turn: &Turn, policy: &Policy, verdict: &Verdict) -> bool {
    turn.view.rules.mode_of(policy) != Mode::Observe && only_the_hour(&verdict.reasons())
}

/// Somebody would be left behind: others might make room, and nobody has looked at them yet.
fn look_for_room(turn: &mut Turn, planned: &Result<Planned, Wait>) -> Result<(), Wait> {
    let (Ok(planned), Phase::Preparing { room, .. }) = (planned, &mut turn.case.phase) else { return Ok(()) };
    let before = room.len();
    room.extend(planned.ask_about.iter().copied());
    if room.len() == before {
        return Ok(());
    }
    Err(Wait::CannotSee { source: Source::Guest, why: Blind::NotAsked })
}

/// The same for disks alone. Which they are is remembered: the next look asks Ceph about exactly these.
fn served_in_place(turn: &mut Turn) -> Result<(Verdict, Plan), Wait> {
    let (verdict, planned) = judge_in_place(&turn.case, turn.view);
    turn.judged = Some((verdict.clone(), planned.as_ref().ok().map(|(plan, _)| plan.clone())));
    if let Ok((_, disks)) = &planned {
        turn.case.in_place = Some(disks.clone());
    }
    if !verdict.clear() && !may_be_agreed(turn, turn.view.policy(&turn.case)?, &verdict) {
        return Err(Wait::NotInPlaceNow { reasons: verdict.reasons() });
    }
    Ok((verdict, planned?.0))
}

/// Journals the plan when it is a new one.
fn show(turn: &mut Turn, plan: &Plan) {
    let hash = plan.hash();
    let Phase::Preparing { shown, .. } = &mut turn.case.phase else { return };
    if shown.as_ref() == Some(&hash) {
        return;
    }
    let first = shown.replace(hash.clone()).is_none();
    if first {
        tell_returns(turn);
    }
    let (moves, ha) = (plan.moves.len(), plan.ha.len());
    let osds: Vec<_> = plan.in_place.iter().copied().collect();
    turn.note(match osds.is_empty() {
        true => {
            let (stays, stops) = (plan.stays.len(), Some(plan.stops.len()));
            Noted::Planned { moves, ha, stays, stops, hash }
        }
        false => Noted::PlannedInPlace { node: plan.node.clone(), osds: osds.clone(), hash },
    });
    for wait in &plan.warnings {
        turn.note(Noted::Warned { wait: wait.clone() });
    }
    let observe =
        turn.view.policy(&turn.case).is_ok_and(|policy| turn.view.rules.mode_of(policy) == Mode::Observe);
    if observe {
        turn.note(match osds.is_empty() {
            true => Noted::WouldDrain { moves, ha },
            false => Noted::WouldServe { osds },
        });
    }
}

/// A part that was served before is told with its history.
fn tell_returns(turn: &mut Turn) {
    for Returned { fault, times, within, cases, enough } in returned(&turn.case, turn.view) {
        turn.note(Noted::CameAgain { fault, times, within, cases, enough });
    }
}

/// The approval of this very plan. One of another plan is void, and said to be.
fn approval(turn: &mut Turn, plan: &Plan) -> Option<Approval> {
    let now = turn.view.now;
    let Phase::Preparing { approval, .. } = &mut turn.case.phase else { return None };
    let given = approval.clone();
    if let Some(given) = given {
        if given.hash == plan.hash() {
            return Some(given);
        }
        *approval = None;
        turn.note(Noted::ApprovalVoid { hash: given.hash });
    }
    second_person::agreed_beforehand(&turn.case, now, &plan.hash())
}

/// Which OSDs have to be there when it is back. A second beginning of the same case keeps the first list.
fn keep_osds(turn: &mut Turn) -> Result<(), Wait> {
    if let Some(host) = turn.view.host(&turn.case.node)?
        && (turn.case.owed.nothing() || turn.case.parts.osds.is_empty())
    {
        turn.case.parts.osds = turn.view.ceph()?.osds_of(host).map(|(id, _)| *id).collect();
    }
    Ok(())
}

/// A case that begins before its own policy's calendar opens is told with whose word it does.
fn tell_hour(turn: &mut Turn, needs: Duration) {
    let Ok(own) = turn.view.policy(&turn.case) else { return };
    if let Ok(Hour { policy, .. }) = hour(Some(&turn.case), own, needs, turn.view)
        && policy != own.name
    {
        turn.note(Noted::BeginsSooner { policy });
    }
}

fn begin(turn: &mut Turn, verdict: &Verdict, plan: Plan, approval: Option<Approval>) -> Result<Phase, Wait> {
    if let Some(first) = turn.ahead.clone() {
        return Err(Wait::OneByOne { first });
    }
    inventory::asked(turn)?;
    inventory::tell_baseline(turn);
    keep_osds(turn)?;
    let hash = plan.hash();
    let needs = Duration::from_secs(plan.forecast.map_or(0, |forecast| forecast.secs));
    let osds: Vec<_> = plan.in_place.iter().copied().collect();
    let clearance = Clearance::of(verdict, plan, approval).ok_or(Wait::Approval { hash })?;
    tell_hour(turn, needs);
    let node = turn.case.node.clone();
    turn.note(match osds.is_empty() {
        true => Noted::DrainBegins { node },
        false => Noted::ServiceBegins { node, osds },
    });
    let (course, failed_at) = (Vec::new(), BTreeMap::new());
    Ok(Phase::Draining { since: turn.view.now, clearance, empty: None, course, failed_at })
}
