//! A leased silence in Alertmanager, for what our own work raises: node down, exporter down, OSD host down.
//!
//! A comfort for whoever is on call. Nothing waits for it to be set. It is ended before the soak, because whatever is
//! wrong with a node that was just repaired has to be heard; whoever waits for that waits no longer than the lease.
//! pitlane itself hears silenced alerts all the same. One that a person ended or changed is left to them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::flags::{debt, may_still_come};
use crate::decide::turn::Turn;
use crate::decide::view::View;
use crate::model::case::Case;
use crate::model::note::Noted;
use crate::model::rules::Mode;
use crate::model::seen::{Seen, Trouble};
use crate::model::silence::{Silence, SilenceDebt, SilenceMark, SilenceRules, SilencesView};
use crate::model::state::State;
use crate::model::step::{Action, Outcome, StepId};
use crate::model::time::{Time, after, age};
use crate::model::wait::Wait;

const ON: &str = "silence-on";
const OFF: &str = "silence-off";
/// The next look comes after the step, and shows it.
const SETTLES: Duration = Duration::from_secs(15);
/// What is seen of a silence nobody owes is acted on while it is this young, or each turn would do it again.
const LEAK_FRESH: Duration = Duration::from_secs(10);

/// What became of our silence since the last turn. In every phase: it may end without us.
pub fn notice(turn: &mut Turn) {
    let Some(mut held) = turn.case.owed.silence.clone().filter(|held| !held.left) else { return };
    let view = shown(turn, &held);
    let ours = view.and_then(|view| {
        let known = view.active(&held.silence.mark).find(|silence| Some(&silence.id) == held.id.as_ref());
        known.or_else(|| view.active(&held.silence.mark).max_by_key(|silence| silence.ends_at))
    });
    if let Some(ours) = ours {
        held.debt.seen = true;
        held.id = Some(ours.id.clone());
        held.shown_until = Some(ours.ends_at);
    } else if let Some(changed) = view.and_then(|view| taken_away(turn, &held, view)) {
        held.left = true;
        turn.note(Noted::SilenceLeft { node: turn.case.node.clone(), changed });
    } else if turn.view.now >= held.until {
        let node = turn.case.node.clone();
        match held.shown_until {
            Some(until) if until > turn.view.now => turn.note(Noted::SilenceOutlives { node, until }),
            Some(_) => turn.note(Noted::SilenceLapsed { node }),
            None => {}
        }
        turn.case.owed.silence = None;
        return;
    }
    if let Some(trouble) = not_set(turn, &held, ours.is_some()).filter(|_| !held.told) {
        held.told = true;
        turn.note(Noted::SilenceNotSet { node: turn.case.node.clone(), error: trouble.to_string() });
    }
    turn.case.owed.silence = Some(held);
}

/// Why it cannot be set or renewed. An answer that was lost is no failure where the silence is seen.
fn not_set<'a>(turn: &Turn<'a>, held: &SilenceDebt, seen: bool) -> Option<&'a Trouble> {
    let last = turn.attempt(ON).filter(|attempt| attempt.at >= held.debt.since)?;
    match &last.outcome {
        Outcome::Failed { trouble: Trouble::TooSlow(_) } if seen => None,
        Outcome::Failed { trouble } => Some(trouble),
        _ => None,
    }
}

/// It ended before its time, and not by our hand; `true`: a person put another one in its place.
fn taken_away(turn: &Turn, held: &SilenceDebt, view: &SilencesView) -> Option<bool> {
    let gone = view.by_id(held.id.as_ref()?)?;
    let early = held.shown_until.is_some_and(|shown| gone.ends_at < shown);
    let asked = |subject| turn.attempt(subject).map(|attempt| attempt.at);
    let by_us = asked(OFF).is_some_and(|off| off >= held.debt.since && asked(ON).is_none_or(|on| off >= on));
    let changed =
        view.silences.iter().any(|other| other.active && other.edited && other.mark == held.silence.mark);
    (early && !by_us).then_some(changed)
}

/// Held while the node is out, and renewed before half of it is over. Whether it can be set is no matter to anybody.
pub fn hold(turn: &mut Turn) {
    let Some(rules) = &turn.view.rules.silences else {
        // Switched off meanwhile.
        let _heard_again = give_back(turn);
        return;
    };
    if turn.may_take().is_err() {
        return;
    }
    let until = after(turn.view.now, rules.lease.0);
    let held = match turn.case.owed.silence.clone() {
        Some(held) if held.left || !due(turn, &held, rules) => return,
        Some(held) => held,
        None => owe(turn, rules, until),
    };
    let action = Action::Silence { silence: held.silence.clone(), until };
    if turn.step(ON, action, SETTLES) {
        // Owed before it is asked for: it may be set, whatever becomes of the answer.
        turn.case.owed.silence = Some(Box::new(SilenceDebt { until: until.max(held.until), ..*held }));
    }
}

fn owe(turn: &mut Turn, rules: &SilenceRules, until: Time) -> Box<SilenceDebt> {
    let node = turn.case.node.clone();
    let mark = SilenceMark { cluster: rules.cluster.clone(), case: turn.case.id, node: node.clone() };
    let SilenceRules { cluster_label, label, alertnames, .. } = rules.clone();
    turn.note(Noted::SilenceAsked { node, alertnames: alertnames.clone(), lease: rules.lease });
    let owed = Box::new(SilenceDebt {
        debt: debt(turn, "our own work raises these alarms"),
        silence: Silence { mark, cluster_label, label, alertnames },
        until,
        id: None,
        shown_until: None,
        told: false,
        left: false,
    });
    turn.case.owed.silence = Some(owed.clone());
    owed
}

/// Not known to be set, seen to be lost, or soon over.
fn due(turn: &Turn, held: &SilenceDebt, rules: &SilenceRules) -> bool {
    let lost = shown(turn, held).is_some_and(|view| view.active(&held.silence.mark).next().is_none());
    let ends = held.shown_until.unwrap_or(held.until);
    lost || turn.said(ON).is_none() || age(ends, turn.view.now) <= rules.lease.0 / 2
}

/// Ends ours, and forgets the debt when it is seen to be over, or when its time is.
///
/// # Errors
/// It may still hold alerts back. For who waits: until its end at the latest.
pub fn give_back(turn: &mut Turn) -> Result<(), Wait> {
    let Some(held) = turn.case.owed.silence.clone() else { return Ok(()) };
    if held.left {
        turn.case.owed.silence = None;
        return Ok(());
    }
    let node = turn.case.node.clone();
    let still = Wait::SilenceStillSet { node: node.clone(), until: held.until };
    if shown(turn, &held).is_some_and(|view| view.active(&held.silence.mark).next().is_none()) {
        if may_still_come(turn, &held.debt, ON) && not_set(turn, &held, true).is_none() {
            return Err(still);
        }
        turn.case.owed.silence = None;
        if held.debt.seen {
            turn.note(Noted::SilenceGone { node });
        }
        return Ok(());
    }
    let planned = turn.step(OFF, Action::EndSilence { silence: held.silence }, SETTLES);
    if planned && !turn.already_tried(OFF) {
        turn.note(Noted::SilenceReturned { node });
    }
    let blind = matches!(turn.view.seen.silences, Seen::Unknown { .. });
    let unseen = turn.view.silences().err().filter(|_| blind);
    Err(turn.failing(OFF).or(unseen).unwrap_or(still))
}

/// What Alertmanager shows, if it was asked after the last thing that we wanted of it.
fn shown<'a>(turn: &Turn<'a>, held: &SilenceDebt) -> Option<&'a SilencesView> {
    let asked = last_asked(&turn.case, held, turn.view.state);
    let young = turn.view.seen.silences.at().is_some_and(|at| at > asked);
    turn.view.silences().ok().filter(|_| young)
}

/// When something was last wanted of a held silence.
fn last_asked(case: &Case, held: &SilenceDebt, state: &State) -> Time {
    let tried = |subject| state.ledger.get(&StepId::new(case.id, subject)).map(|attempt| attempt.at);
    [tried(ON), tried(OFF)].into_iter().flatten().fold(held.debt.since, Time::max)
}

/// What has to be seen of silences: nothing, or what was true after this.
pub fn wish(state: &State) -> Option<Time> {
    let held = |case: &Case| {
        let held = case.owed.silence.as_ref().filter(|held| !held.left)?;
        Some(last_asked(case, held, state))
    };
    state.cases.iter().filter_map(held).max()
}

/// Silences of ours that no case owes: of a store that was lost, of a process that died too late, a second one of a
/// case. One that a person changed is not ours.
pub fn leaked(view: &View, turns: &[Turn]) -> BTreeSet<String> {
    let (Some(rules), Ok(seen)) = (&view.rules.silences, view.silences()) else { return BTreeSet::new() };
    // A second pitlane that only watches knows nothing of the cases of the first.
    if view.rules.mode == Mode::Observe {
        return BTreeSet::new();
    }
    if view.seen.silences.at().is_none_or(|at| age(view.now, at) > LEAK_FRESH) {
        return BTreeSet::new();
    }
    let owed = |silence: &crate::model::silence::Silenced| {
        let before = view.state.cases.iter().chain(turns.iter().map(|turn| &turn.case));
        let held = before.filter_map(|case| case.owed.silence.as_ref());
        held.filter(|held| held.silence.mark == silence.mark).any(|held| {
            let known = |id: &String| seen.by_id(id).is_some_and(|known| known.active);
            held.id.as_ref().filter(|id| known(id)).is_none_or(|id| *id == silence.id)
        })
    };
    let ours = seen.silences.iter().filter(|s| s.active && !s.edited && s.mark.cluster == rules.cluster);
    ours.filter(|silence| !owed(silence)).map(|silence| silence.id.clone()).collect()
}
