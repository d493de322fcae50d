//! The verbs, all pure: what to do next follows from what is remembered, what is seen and what the rules say.
//!
//! [`decide`] is called once a turn. It never fails and never acts: what it cannot see it waits for, and what it wants
//! done it returns as steps, together with the debts and the journal that belong to them.

mod correlate;
mod disks;
mod effects;
mod emptiness;
mod faults;
#[cfg(test)]
mod fixture;
mod ha;
mod in_place;
mod inventory;
pub mod learning;
mod live;
mod memory;
mod notices;
mod phases;
mod plan;
pub mod planner;
mod preflight;
mod processors;
mod promised;
mod queue;
mod recovery;
mod requests;
mod residents;
mod resolve;
mod second_person;
mod shared;
mod time_box;
mod turn;
mod view;
mod way;
mod wish;
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::case::{Case, Ending, Origin, Phase};
use crate::model::fault::{Fault, FaultKey};
use crate::model::ids::{CaseId, GuestId, NodeName, PolicyName};
use crate::model::note::Noted;
use crate::model::observed::Observed;
use crate::model::plan::Plan;
use crate::model::rules::Rules;
use crate::model::state::{Decision, State};
use crate::model::time::Period;
use crate::model::verdict::Verdict;
use crate::model::wait::Wait;

pub use faults::{believed, place as place_alert};
pub use preflight::NEEDED_PRIVILEGES;
pub use resolve::{Cluster, Tried, explain as explain_alert};
pub use wish::wish;

use turn::Turn;
use view::View;

/// Phases that one case may pass in one turn: a bound, so that no mistake loops for ever.
const PHASES_A_TURN_MAX: usize = 4;

/// What to do next, from everything that is known now.
pub fn decide(state: &State, seen: &Observed, rules: &Rules) -> Decision {
    let view = View::new(state, seen, rules);
    let mut out = Decision { pace: rules.limits.turn_quiet, ..Decision::default() };
    let mut next_case = state.next_case;
    let mut turns: Vec<Turn> = state.cases.iter().map(|case| Turn::new(&view, case.clone())).collect();

    for request in &state.requests {
        requests::apply(request, &mut turns, &mut next_case, &view, &mut out);
    }
    open_cases(&mut turns, &mut next_case, &view);

    // A pause asked for in this turn holds from this turn on.
    let paused = match &out.pause {
        Some(Some(pause)) => Some(pause.by.to_string()),
        Some(None) if !seen.kill_file => None,
        _ => view.paused(),
    };
    let (mut ahead, mut before) = (None, 0);
    for turn in &mut turns {
        match &paused {
            Some(by) => {
                phases::interrupt(&mut turn.case);
                turn.waits(Wait::Paused { by: by.clone() });
            }
            None => {
                let held = turn.case.holds_the_node();
                (turn.ahead, turn.before) = (ahead.clone(), before);
                advance(turn);
                before += usize::from(queue::waits(&turn.case));
                if !held && turn.case.holds_the_node() {
                    ahead = Some(turn.case.node.clone());
                }
            }
        }
    }
    if paused.is_none() {
        out.leaked = effects::leaked_silences(&view, &turns);
    }
    show(&mut turns, &view, &mut out);
    for turn in turns {
        collect(turn, state, &mut out);
    }
    notices::of_faults(&view, &mut out);
    notices::of_us(&view, &mut out);
    out.places = shared::wanted(&out, &view);
    out.pace = pace(&out, state, rules);
    out
}

/// May this node leave now, yes or no, and why; and what would be done.
///
/// # Errors
/// There is no policy to judge it by.
pub fn judge(
    node: &NodeName,
    state: &State,
    seen: &Observed,
    rules: &Rules,
) -> Result<(Verdict, Result<Plan, Wait>), Wait> {
    let view = View::new(state, seen, rules);
    let case = state.cases.iter().find(|case| &case.node == node);
    let name = case.map_or_else(|| PolicyName::from("manual"), |case| case.policy.clone());
    let policy = rules.policy(&name).ok_or(Wait::PolicyGone { policy: name })?;
    let (verdict, planned) = preflight::judge(node, case, policy, &view);
    Ok((verdict, planned.map(|planned| planned.plan)))
}

/// May work on this case begin at this hour, as far as its policy's calendar says?
///
/// # Errors
/// Not now; and when, if that is known.
pub fn hour(case: &Case, state: &State, seen: &Observed, rules: &Rules) -> Result<(), Wait> {
    let view = View::new(state, seen, rules);
    preflight::hour(Some(case), view.policy(case)?, Duration::ZERO, &view)
        .map(drop)
        .map_err(|closed| closed.wait)
}

/// Guests on other nodes that should be looked at before it is said that somebody finds no place: they might make room.
pub fn might_make_room(node: &NodeName, state: &State, seen: &Observed, rules: &Rules) -> BTreeSet<GuestId> {
    let view = View::new(state, seen, rules);
    let case = state.cases.iter().find(|case| &case.node == node);
    let name = case.map_or_else(|| PolicyName::from("manual"), |case| case.policy.clone());
    let planned = rules.policy(&name).map(|policy| plan::plan(node, case, policy, &view));
    planned.and_then(Result::ok).map(|planned| planned.ask_about).unwrap_or_default()
}

/// The same about the disks of a node whose case is to serve them in place, before it begins.
pub fn judge_in_place(
    node: &NodeName,
    state: &State,
    seen: &Observed,
    rules: &Rules,
) -> Option<(Verdict, Option<Plan>)> {
    let preparing = |case: &&Case| case.in_place.is_some() && matches!(case.phase, Phase::Preparing { .. });
    let case = state.cases.iter().filter(preparing).find(|case| &case.node == node)?;
    let (verdict, planned) = preflight::judge_in_place(case, &View::new(state, seen, rules));
    Some((verdict, planned.ok().map(|(plan, _)| plan)))
}

/// Faults of nodes without a case open one; faults of nodes with a case join it.
fn open_cases<'a>(turns: &mut Vec<Turn<'a>>, next_case: &mut u64, view: &'a View<'a>) {
    let Ok(faults) = view.faults() else { return };
    for fault in faults {
        let wanted = view.rules.policy(&fault.policy).is_some_and(|p| p.respond.action.opens_a_case());
        if !wanted {
            continue;
        }
        match turns.iter_mut().find(|turn| turn.case.node == fault.key.node) {
            // Whoever called it off did not know of this one: it gets a case of its own when this one is closed.
            Some(turn) if called_off(&turn.case) && !turn.case.faults.contains(&fault.key) => {}
            Some(turn) => join(turn, fault),
            None => {
                let id = CaseId(*next_case);
                *next_case += 1;
                let origin = Origin::Alarm { fault: fault.key.clone() };
                let phase = Phase::Confirming { since: view.now };
                let case = requests::new_case(id, &fault.key.node, fault.policy.clone(), origin, phase, view);
                let mut turn = Turn::new(view, case);
                turn.case.faults.insert(fault.key.clone());
                turn.case.in_place = view.rules.policy(&fault.policy).and_then(in_place::wanted);
                let (node, key): (NodeName, FaultKey) = (fault.key.node.clone(), fault.key.clone());
                turn.note(Noted::AlarmOpened { node, fault: key });
                turns.push(turn);
            }
        }
    }
}

/// It ends whatever else fails, and its end silences what it knows of.
fn called_off(case: &Case) -> bool {
    matches!(
        &case.phase,
        Phase::GivingBack { why: Ending::Aborted { .. } | Ending::FalseAlarm, .. }
            | Phase::HandedOver { cancelled: Some(_), .. }
            | Phase::Proving { cancelled: Some(_), .. }
    )
}

fn join(turn: &mut Turn, fault: &Fault) {
    if turn.case.faults.insert(fault.key.clone()) {
        turn.note(Noted::FaultJoined { fault: fault.key.clone() });
    }
}

/// Lets the case go as far as it can in this turn.
fn advance(turn: &mut Turn) {
    effects::notice_silence(turn);
    in_place::turn_into_drain(turn);
    time_box::back_out(turn);
    for _ in 0..PHASES_A_TURN_MAX {
        match phases::turn(turn) {
            Err(wait) => {
                turn.waits(wait);
                break;
            }
            Ok(phase) => {
                turn.case.phase = phase;
                turn.case.wait = None;
                if !turn.case.open() {
                    break;
                }
            }
        }
    }
    time_box::mind(turn);
}

/// Puts what changed into the decision; a case that is as it was is no change.
fn collect(turn: Turn, state: &State, out: &mut Decision) {
    notices::of_case(&turn, out);
    let Turn { case, notes, steps, .. } = turn;
    let before: Option<&Case> = state.cases.iter().find(|old| old.id == case.id);
    if before != Some(&case) {
        out.cases.push(case);
    }
    out.notes.extend(notes);
    out.steps.extend(steps);
}

fn show(turns: &mut [Turn], view: &View, out: &mut Decision) {
    out.show.faults = view.faults().map(<[Fault]>::to_vec).unwrap_or_default();
    out.show.unplaced = view.unplaced.clone();
    out.show.unplaced_more = view.unplaced_more.clone();
    let mut safe = BTreeMap::new();
    for turn in turns {
        let case = &turn.case;
        if let Some(time_box) = time_box::of(case, view).filter(|_| case.open()) {
            out.show.time_boxes.insert(case.id, time_box);
        }
        if matches!(case.phase, Phase::HandedOver { .. }) {
            safe.insert(case.id, phases::safe_to_power_off(case, view).map_err(|wait| wait.to_string()));
            if let Some(pull) = phases::safe_to_pull(case, view) {
                out.show.safe_to_pull.insert(case.id, pull.map_err(|wait| wait.to_string()));
            }
        }
        // Not judged while pitlane is paused, or while it is not its turn to be.
        if matches!(case.phase, Phase::Preparing { .. })
            && let Some((verdict, plan)) = turn.judged.take()
        {
            out.show.verdicts.insert(case.node.clone(), verdict);
            out.show.plans.extend(plan.map(|plan| (case.node.clone(), plan)));
        }
    }
    out.show.safe_to_power_off = safe;
}

/// Cases that stay open after this turn.
fn turns_open(out: &Decision, state: &State) -> usize {
    let changed = |id: CaseId| out.cases.iter().find(|case| case.id == id);
    let old = state.cases.iter().filter(|case| changed(case.id).is_none_or(Case::open)).count();
    old + out.cases.iter().filter(|case| case.revision == 0 && case.open()).count()
}

/// At once when the world is about to change or a new phase needs a deeper look; else by the clock.
fn pace(out: &Decision, state: &State, rules: &Rules) -> Period {
    if turns_open(out, state) == 0 {
        return rules.limits.turn_quiet;
    }
    let fresh_phase =
        out.cases.iter().any(|case| case.open() && case.wait.as_ref().is_none_or(Wait::wants_a_deeper_look));
    if fresh_phase { Period::secs(0) } else { rules.limits.turn_busy }
}
