//! What is held of the cluster itself: the manager's place, HA maintenance, noout. Taken in that order, given back
//! in the other. What was set before we came is not ours, and stays.

use std::time::Duration;

use crate::decide::plan::needs_maintenance;
use crate::decide::preflight::still_within;
use crate::decide::turn::Turn;
use crate::model::case::{Handover, Phase};
use crate::model::ids::HostName;
use crate::model::note::Noted;
use crate::model::owed::Debt;
use crate::model::seen::Trouble;
use crate::model::step::{Action, Outcome, Switch};
use crate::model::time::{after, age};
use crate::model::wait::Wait;

/// HA's manager writes its status every 10 s.
const HA_SETTLES: Duration = Duration::from_secs(25);
const CEPH_SETTLES: Duration = Duration::from_secs(5);

pub(super) fn debt(turn: &Turn, reason: &str) -> Debt {
    let now = turn.view.now;
    let time_box =
        turn.view.policy(&turn.case).map_or(Duration::from_secs(4 * 3600), |p| p.respond.time_box.0);
    Debt { since: now, reason: reason.to_owned(), alarm_at: after(now, time_box), seen: false, unsure: false }
}

/// The active Ceph manager leaves first: while it dies with the node, PG states stay "clean" for most of a minute.
pub fn move_mgr(turn: &mut Turn) -> Result<(), Wait> {
    if !turn.view.has_ceph() {
        return Ok(());
    }
    let Some(mgr) = turn.view.ceph()?.active_mgr.clone() else { return Err(Wait::NoStandbyMgr) };
    if mgr != turn.case.node.as_str() {
        return Ok(());
    }
    let planned = turn.step("mgr", Action::FailMgr { mgr: mgr.clone() }, CEPH_SETTLES);
    if planned {
        turn.note(Noted::MgrFails { mgr: mgr.clone() });
    }
    Err(turn.failing("mgr").unwrap_or(Wait::MgrOnNode { mgr }))
}

/// While the node leaves, nothing is taken for the first time that would be one node too many. What it left with stays held.
fn begins_within_budget(turn: &Turn) -> Result<(), Wait> {
    if matches!(turn.case.phase, Phase::Draining { .. }) {
        return still_within(&turn.case.node, turn.view);
    }
    Ok(())
}

/// HA keeps off the node. Nothing to do where HA manages nothing, or where a person holds it already.
pub fn hold_maintenance(turn: &mut Turn) -> Result<(), Wait> {
    let ha = turn.view.ha()?;
    let node = turn.case.node.clone();
    let wanted = match &turn.case.phase {
        Phase::Draining { clearance, .. } => clearance.plan().maintenance,
        _ => turn.case.owed.maintenance.is_some() || needs_maintenance(turn.view)?,
    };
    if !wanted {
        return Ok(());
    }
    if !ha.maintenance_requested(&node) && !ha.in_maintenance(&node) {
        turn.may_take()?;
        // Its manager takes nothing in and moves nobody: asking again and again changes nothing.
        if !ha.armed {
            return Err(Wait::HaDisarmed);
        }
    }
    if turn.case.owed.maintenance.is_none() {
        if ha.maintenance_requested(&node) {
            return if ha.in_maintenance(&node) { Ok(()) } else { Err(Wait::MaintenancePending) };
        }
        begins_within_budget(turn)?;
        turn.case.owed.maintenance = Some(debt(turn, "the node is being drained"));
        turn.note(Noted::MaintenanceAsked { node: node.clone() });
    }
    let ours =
        turn.case.owed.maintenance.clone().is_some_and(|debt| perhaps_ours(turn, &debt, "maintenance-on"));
    if ha.maintenance_requested(&node) {
        if !ours {
            turn.case.owed.maintenance = None;
            turn.note(Noted::MaintenanceTheirs { node: node.clone() });
        } else if let Some(debt) = &mut turn.case.owed.maintenance {
            debt.seen = true;
        }
    } else if turn.case.owed.maintenance.as_mut().is_some_and(|debt| std::mem::take(&mut debt.seen))
        && !ended_by_us(turn, "maintenance")
    {
        turn.note(Noted::MaintenanceTaken { node: node.clone() });
    }
    if let Some(debt) = &mut turn.case.owed.maintenance {
        debt.unsure |= ours;
    }
    if !ha.maintenance_requested(&node) && !ha.in_maintenance(&node) {
        turn.step("maintenance-on", Action::Maintenance { node: node.clone(), to: Switch::On }, HA_SETTLES);
    }
    // A node that is switched off keeps its request; only a living one has to show that it is in effect.
    if ha.in_maintenance(&node) || (ha.maintenance_requested(&node) && !turn.view.cluster()?.online(&node)) {
        Ok(())
    } else {
        let pending = if ha.armed { Wait::MaintenancePending } else { Wait::HaDisarmed };
        Err(turn.failing("maintenance-on").unwrap_or(pending))
    }
}

/// Ceph waits for the host's OSDs instead of copying.
pub fn hold_noout(turn: &mut Turn) -> Result<(), Wait> {
    let Some(host) = turn.view.host(&turn.case.node)?.cloned() else { return Ok(()) };
    let set = turn.view.ceph()?.has_noout(&host);
    let ours = turn.case.owed.noout.clone().is_some_and(|(_, debt)| perhaps_ours(turn, &debt, "noout-on"));
    match &mut turn.case.owed.noout {
        Some(_) if set && !ours => {
            turn.case.owed.noout = None;
            turn.note(Noted::NooutTheirs { host });
            return Ok(());
        }
        Some((_, debt)) if set => {
            debt.seen = true;
            return Ok(());
        }
        None if set => return Ok(()),
        Some((_, debt)) => debt.unsure |= ours,
        None => {}
    }
    turn.may_take()?;
    if turn.case.owed.noout.as_mut().is_some_and(|(_, debt)| std::mem::take(&mut debt.seen))
        && !ended_by_us(turn, "noout")
    {
        turn.note(Noted::NooutTaken { host: host.clone() });
    }
    if turn.case.owed.noout.is_none() {
        begins_within_budget(turn)?;
        turn.case.owed.noout = Some((host.clone(), debt(turn, "the node's OSDs will be down for the work")));
        turn.note(Noted::NooutAsked { host: host.clone() });
    }
    turn.step("noout-on", Action::Noout { host: host.clone(), to: Switch::On }, CEPH_SETTLES);
    Err(turn.failing("noout-on").unwrap_or(Wait::NooutPending { host }))
}

/// The last that was asked of it by us was its end: a return that stopped, and nobody else's doing.
fn ended_by_us(turn: &Turn, what: &str) -> bool {
    let at = |to: &str| turn.attempt(&format!("{what}-{to}")).map(|attempt| attempt.at);
    at("off").is_some_and(|off| at("on").is_none_or(|on| off >= on))
}

/// After the hand-over, whatever the node left with stays held: also if somebody clears ours, or takes their own back.
/// For a node that died nothing new is taken.
pub fn hold(turn: &mut Turn) -> Result<(), Wait> {
    let handover = match &turn.case.phase {
        Phase::HandedOver { handover, .. } | Phase::Proving { handover, .. } => Some(handover),
        _ => None,
    };
    let drained = matches!(handover, Some(Handover::Drained { .. }));
    let in_place = matches!(handover, Some(Handover::InPlace { .. }));
    if drained || turn.case.owed.maintenance.is_some() {
        hold_maintenance(turn)?;
    }
    if !turn.case.heal && (drained || in_place || turn.case.owed.noout.is_some()) {
        hold_noout(turn)?;
    }
    Ok(())
}

/// Clears our noout, and forgets the debt when it is seen to be gone.
pub fn give_noout_back(turn: &mut Turn) -> Result<(), Wait> {
    let Some((host, debt)) = turn.case.owed.noout.clone() else { return Ok(()) };
    if !turn.view.ceph()?.has_noout(&host) {
        if may_still_come(turn, &debt, "noout-on") {
            return Err(Wait::NooutStillSet { host });
        }
        turn.case.owed.noout = None;
        turn.note(Noted::NooutGone { host });
        return Ok(());
    }
    if let Some(theirs) = set_by_others(turn, &debt, &host) {
        turn.case.owed.noout = None;
        turn.note(theirs);
        return Ok(());
    }
    let planned = turn.step("noout-off", Action::Noout { host: host.clone(), to: Switch::Off }, CEPH_SETTLES);
    if planned && !turn.already_tried("noout-off") {
        turn.note(Noted::NooutReturned { host: host.clone() });
    }
    Err(turn.failing("noout-off").unwrap_or(Wait::NooutStillSet { host }))
}

/// Ends our HA maintenance, and forgets the debt when it is seen to be over.
pub fn give_maintenance_back(turn: &mut Turn) -> Result<(), Wait> {
    let Some(debt) = turn.case.owed.maintenance.clone() else { return Ok(()) };
    let node = turn.case.node.clone();
    let ha = turn.view.ha()?;
    if ha.maintenance_requested(&node) && !perhaps_ours(turn, &debt, "maintenance-on") {
        turn.case.owed.maintenance = None;
        turn.note(Noted::MaintenanceTheirs { node });
        return Ok(());
    }
    // A dead node cannot show that it is over; what counts is that nobody asks for it any more.
    let in_effect = ha.in_maintenance(&node) && turn.view.cluster()?.online(&node);
    if !ha.maintenance_requested(&node) && !in_effect {
        if may_still_come(turn, &debt, "maintenance-on") {
            return Err(Wait::MaintenanceStillOn);
        }
        turn.case.owed.maintenance = None;
        turn.note(Noted::MaintenanceGone { node });
        return Ok(());
    }
    // Its manager takes nothing in while it is disarmed: it is told once, and again when it is armed.
    if ha.maintenance_requested(&node) && (ha.armed || !turn.already_tried("maintenance-off")) {
        let planned = turn.step(
            "maintenance-off",
            Action::Maintenance { node: node.clone(), to: Switch::Off },
            HA_SETTLES,
        );
        if planned && !turn.already_tried("maintenance-off") {
            turn.note(Noted::MaintenanceReturned { node });
        }
    }
    let still = if ha.armed { Wait::MaintenanceStillOn } else { Wait::HaDisarmed };
    Err(turn.failing("maintenance-off").unwrap_or(still))
}

/// May what is set be of our doing? Not where each of our tries was surely without effect.
fn perhaps_ours(turn: &Turn, debt: &Debt, subject: &str) -> bool {
    let without_effect = |outcome: &Outcome| {
        matches!(
            outcome,
            Outcome::Expired | Outcome::Failed { trouble: Trouble::Refused(_) | Trouble::NotConfigured(_) }
        )
    };
    let last = turn.attempt(subject).filter(|attempt| attempt.at >= debt.since);
    debt.seen || debt.unsure || last.is_some_and(|attempt| !without_effect(&attempt.outcome))
}

/// A noout that is set although ours cannot be: none of our tries had an effect, or Ceph has said that ours is cleared.
/// HA's maintenance is cleared by a queue, where an old request may show for a while, so that only the first is told of it.
fn set_by_others(turn: &Turn, debt: &Debt, host: &HostName) -> Option<Noted> {
    if !perhaps_ours(turn, debt, "noout-on") {
        return Some(Noted::NooutTheirs { host: host.clone() });
    }
    let cleared = debt.seen
        && turn.said("noout-off").is_some()
        && turn.already_tried("noout-off")
        && ended_by_us(turn, "noout");
    cleared.then(|| Noted::NooutSetAgain { host: host.clone() })
}

/// Never seen, and asked for a moment ago: the command of a process that died may still take effect. A debt is
/// forgotten only when that can no longer happen.
pub(super) fn may_still_come(turn: &Turn, debt: &Debt, subject: &str) -> bool {
    let asked = turn.attempt(subject).map_or(debt.since, |attempt| attempt.at.max(debt.since));
    // Dated by a clock that was set since, or by a process that died, nobody knows how long ago that was: at the latest when
    // this watching began. What such a process asked for may come after what we have seen set and cleared again.
    let ours = turn.view.watched(asked);
    let asked = if ours { asked } else { turn.view.seen.watching_since };
    !(ours && debt.seen) && age(turn.view.now, asked) <= turn.view.rules.limits.step_for.0
}
