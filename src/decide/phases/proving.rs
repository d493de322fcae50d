//! "Done" is a claim; here it is held against the world. Everything stays as it is until all checks were good for the
//! whole soak. The absence of alarms is necessary and never enough.

use std::collections::BTreeSet;
use std::time::Duration;

use super::draining::died;
use crate::decide::effects::{give_noout_back, give_silence_back, hold, taken_up_again};
use crate::decide::in_place;
use crate::decide::inventory::{self, Unlike};
use crate::decide::turn::Turn;
use crate::decide::witness;
use crate::model::case::{Case, Ending, Handover, Phase, Said};
use crate::model::ids::OsdId;
use crate::model::note::Noted;
use crate::model::rules::{AlarmsSetup, ProofCheck};
use crate::model::time::{Time, after, age};
use crate::model::wait::Wait;
use crate::model::wait_text::{list, osds_are};

/// After a cancellation nothing was repaired, so nothing is soaked but the machine's own return.
pub const SOAK_CANCELLED_MAX: Duration = Duration::from_secs(300);
/// A clock further off than this upsets corosync and Ceph's monitors.
const CLOCK_OFF_MAX_SECS: i64 = 5;
/// Services without which a member is none.
const SERVICES: [&str; 5] = ["corosync", "pve-cluster", "pvedaemon", "pveproxy", "pvestatd"];

pub(super) fn turn(turn: &mut Turn) -> Result<Phase, Wait> {
    let next = prove(turn);
    if let Err(wait) = &next
        && !matches!(wait, Wait::Soaking { .. })
    {
        // Good means seen to be good, all the time: whatever comes between, the soak starts anew.
        interrupt(&mut turn.case);
    }
    next
}

/// Nobody watched: what was soaked so far does not count, and what was clean has to be so anew.
pub fn interrupt(case: &mut Case) {
    if let Phase::Proving { good_since: since, .. } | Phase::GivingBack { clean_since: since, .. } =
        &mut case.phase
    {
        *since = None;
    }
}

fn prove(turn: &mut Turn) -> Result<Phase, Wait> {
    if let Some(back) = claim_withdrawn(turn) {
        return Ok(back);
    }
    let silence = give_silence_back(turn);
    let node = turn.case.node.clone();
    let in_place = matches!(&turn.case.phase, Phase::Proving { handover: Handover::InPlace { .. }, .. });
    let works_on = matches!(&turn.case.phase, Phase::Proving { handover, .. } if handover.works_on());
    if works_on && let Ok(Some(died)) = died(turn) {
        return Ok(died);
    }
    if !turn.view.cluster()?.online(&node) {
        if turn.case.heal {
            give_noout_back(turn)?;
        }
        super::member(turn)?;
        return Err(Wait::NodeNotBack);
    }
    match hold(turn) {
        // Whoever took the leave to act away still gets back what was lent.
        Ok(()) | Err(Wait::ObserveOnly) => {}
        Err(wait) => return Err(wait),
    }
    let policy = turn.view.policy(&turn.case)?;
    let Phase::Proving { cancelled, good_since, .. } = &turn.case.phase else {
        return Err(Wait::NodeNotBack);
    };
    let (cancelled, good_since) = (cancelled.clone(), good_since.filter(|since| turn.view.watched(*since)));
    if policy.prove.checks.contains(&ProofCheck::Inventory) {
        inventory::note_replacements(turn);
    }
    for check in &policy.prove.checks {
        let about_the_part = matches!(check, ProofCheck::AlertsClear | ProofCheck::SensorsOk);
        if cancelled.is_some() && about_the_part {
            continue;
        }
        if let Err(why) = passes(*check, turn) {
            return not_good(turn, *check, why);
        }
    }
    let soak = match &cancelled {
        Some(_) => policy.prove.soak.0.min(SOAK_CANCELLED_MAX),
        None => policy.prove.soak.0,
    };
    let period = crate::model::time::Period(soak);
    let Some(since) = good_since else {
        // Soaked is only what everybody could hear.
        silence?;
        turn.note(Noted::ProofBegins { soak: period });
        remember(turn, Some(turn.view.now));
        return Err(Wait::Soaking { until: after(turn.view.now, soak) });
    };
    if age(turn.view.now, since) < soak {
        return Err(Wait::Soaking { until: after(since, soak) });
    }
    turn.note(Noted::Proved { soak: period });
    replaced(turn);
    let why = match cancelled {
        Some(c) => Ending::Aborted { by: c.by, reason: c.reason },
        None if in_place => Ending::Served,
        None => Ending::Returned,
    };
    Ok(give_back(turn, why))
}

/// A new disk that came with a new OSD: told, because Ceph's lists look different now.
fn replaced(turn: &mut Turn) {
    let Phase::Proving { handover: Handover::InPlace { osds, beside }, .. } = &turn.case.phase else {
        return replaced_all(turn);
    };
    let Ok(new) = in_place::back(&turn.case, osds, beside, turn.view) else { return };
    let Ok(ceph) = turn.view.ceph() else { return };
    let gone: Vec<_> = osds.iter().filter(|id| !ceph.osds.contains_key(id)).copied().collect();
    if !new.is_empty() && !gone.is_empty() {
        turn.note(Noted::OsdReplaced { gone, new: new.into_iter().collect() });
    }
}

/// The same for a node that was away: installed anew, or with new disks.
fn replaced_all(turn: &mut Turn) {
    let before = &turn.case.parts.osds;
    let (Ok(Some(host)), Ok(ceph)) = (turn.view.host(&turn.case.node), turn.view.ceph()) else { return };
    let now: BTreeSet<OsdId> = ceph.osds_of(host).map(|(id, _)| *id).collect();
    let gone: Vec<OsdId> = before.difference(&now).copied().collect();
    let new: Vec<OsdId> = now.difference(before).copied().collect();
    if !new.is_empty() && !gone.is_empty() {
        turn.note(Noted::OsdReplaced { gone, new });
    }
}

/// Who said "done" in the ticket and opened it again may have a hand in the machine. No new round: it is open there
/// already, and nothing failed.
fn claim_withdrawn(turn: &mut Turn) -> Option<Phase> {
    let Phase::Proving { claim, handover, cancelled, .. } = &turn.case.phase else { return None };
    if claim.said != Said::InTheTicket || !taken_up_again(turn, claim.at) {
        return None;
    }
    let (handover, cancelled) = (handover.clone(), cancelled.clone());
    turn.note(Noted::TakenUpAgain);
    Some(Phase::HandedOver { since: turn.view.now, handover, claim: None, cancelled })
}

fn give_back(turn: &mut Turn, why: Ending) -> Phase {
    let handover = match &turn.case.phase {
        Phase::Proving { handover, .. } => Some(handover.clone()),
        _ => None,
    };
    turn.note(Noted::ReturnBegins { why: why.clone() });
    Phase::GivingBack { since: turn.view.now, why, clean_since: None, handover, course: Vec::new() }
}

fn remember(turn: &mut Turn, since: Option<Time>) {
    if let Phase::Proving { good_since, .. } = &mut turn.case.phase {
        *good_since = since;
    }
}

/// A part that is seen to fail after it was good, or that is not good for too long, goes back to the technician.
fn not_good(turn: &mut Turn, check: ProofCheck, why: Unproved) -> Result<Phase, Wait> {
    let now = turn.view.now;
    let Phase::Proving { good_since, since, .. } = &turn.case.phase else { return Err(Wait::NodeNotBack) };
    // From the node's return: the claim may be hours older, and a machine that boots is not yet a bad one.
    let patience_over = age(now, *since) >= turn.view.rules.limits.proof_patience.0;
    let (text, goes_back) = match why {
        // Nobody looked yet: the next look will.
        Unproved::Unseen(wait) if wait.wants_a_deeper_look() => return Err(wait),
        Unproved::Unseen(wait) => (wait.to_string(), false),
        Unproved::Elsewhere(text) => (text, false),
        Unproved::NotYet(text) => (text, patience_over),
        Unproved::Bad(text) => (text, patience_over || good_since.is_some()),
    };
    let wait = Wait::Unproved { check, why: text.clone() };
    if !goes_back {
        return Err(wait);
    }
    turn.note(Noted::ProofBroken { check, why: text.clone() });
    back_to_the_technician(turn, &text).ok_or(wait)
}

/// With the work order in a new round.
pub(super) fn back_to_the_technician(turn: &mut Turn, why: &str) -> Option<Phase> {
    let (handover, cancelled) = match &turn.case.phase {
        Phase::Proving { handover, cancelled, .. } => (handover.clone(), cancelled.clone()),
        Phase::GivingBack { handover: Some(handover), .. } => (handover.clone(), None),
        _ => return None,
    };
    if let Some(order) = &mut turn.case.owed.work_order {
        order.again(why);
    }
    Some(Phase::HandedOver { since: turn.view.now, handover, claim: None, cancelled })
}

/// Why a check does not pass.
enum Unproved {
    /// Read, and bad: if it was good before, the repair did not hold.
    Bad(String),
    /// Still coming up; it becomes the technician's when it takes too long.
    NotYet(String),
    /// Nothing that the technician could mend on this node.
    Elsewhere(String),
    /// Nobody can see it.
    Unseen(Wait),
}

impl From<Wait> for Unproved {
    fn from(wait: Wait) -> Self {
        Self::Unseen(wait)
    }
}

fn passes(check: ProofCheck, turn: &Turn) -> Result<(), Unproved> {
    let (view, case) = (turn.view, &turn.case);
    match check {
        ProofCheck::AlertsClear => {
            // That nobody lists an alarm is good only while somebody lists.
            if view.rules.alarms != AlarmsSetup::Delivered {
                view.alarms()?;
            }
            if let Some(fault) = view.failing(case)? {
                return Err(Unproved::Bad(format!("the alarm fires: {}", fault.key)));
            }
        }
        ProofCheck::SensorsOk => {
            for key in &case.faults {
                let of_fault = view.policy_of(case, key)?;
                let Some(query) = &of_fault.sensor else {
                    return Err(Unproved::Elsewhere(format!("policy {} names no sensor", of_fault.name)));
                };
                let reading = witness::reading(key, query, case, view)?;
                if !reading.good {
                    return Err(Unproved::Bad(format!("the sensor of {key} reads {}", reading.text)));
                }
            }
        }
        ProofCheck::Inventory => inventory::compare(case, view).map_err(|unlike| match unlike {
            Unlike::Unseen(wait) => Unproved::Unseen(wait),
            Unlike::Differs(text) => Unproved::Bad(text),
        })?,
        ProofCheck::NodeServices => {
            let services = &view.node(&case.node)?.services;
            let down: Vec<_> = SERVICES.iter().filter(|name| services.get(**name) != Some(&true)).collect();
            if !down.is_empty() {
                return Err(Unproved::NotYet(format!("{} not running on {}", list(down), case.node)));
            }
        }
        ProofCheck::TimeSync => {
            let ahead = view.node(&case.node)?.clock_ahead;
            if ahead.abs() > CLOCK_OFF_MAX_SECS && view.seen.clock_off.abs() > CLOCK_OFF_MAX_SECS {
                let text = format!("our own clock was set, and differs from the node's by {} s", ahead.abs());
                return Err(Unproved::Elsewhere(text));
            }
            if ahead.abs() > CLOCK_OFF_MAX_SECS {
                let (off, way) = (ahead.abs(), if ahead > 0 { "ahead of" } else { "behind" });
                return Err(Unproved::NotYet(format!("the node's clock is {off} s {way} ours")));
            }
        }
        ProofCheck::OsdsUp => osds_up(turn)?,
        ProofCheck::PgsClean => {
            if view.has_ceph() {
                let unclean = view.ceph()?.unclean_pgs();
                if !unclean.is_empty() {
                    let text = list(unclean.iter().map(|(state, n)| format!("{n} {state}")));
                    return Err(Unproved::Elsewhere(format!("placement groups are not clean: {text}")));
                }
            }
        }
    }
    Ok(())
}

/// The OSDs that the node left with are there, or as many others: a machine that was installed anew comes back with none,
/// and then nothing is down.
fn missing(turn: &Turn) -> Result<(), Unproved> {
    let Phase::Proving { cancelled: None, .. } = &turn.case.phase else { return Ok(()) };
    let parts = &turn.case.parts;
    if parts.osds.is_empty() || parts.osds_given_up.is_some() {
        return Ok(());
    }
    let ceph = turn.view.ceph()?;
    let now: BTreeSet<OsdId> = match turn.view.host(&turn.case.node)? {
        Some(host) => ceph.osds_of(host).map(|(id, _)| *id).collect(),
        None => BTreeSet::new(),
    };
    if now.len() >= parts.osds.len() {
        return Ok(());
    }
    let gone: Vec<&OsdId> = parts.osds.difference(&now).collect();
    Err(Unproved::NotYet(format!(
        "{} gone from {}, and no other came in place",
        osds_are(&gone),
        turn.case.node
    )))
}

fn osds_up(turn: &Turn) -> Result<(), Unproved> {
    if let Phase::Proving { handover: Handover::InPlace { osds, beside }, cancelled, .. } = &turn.case.phase {
        // Called off: what was taken out for good is the person's business, what is there has to work.
        let nobody = BTreeSet::new();
        let beside = if cancelled.is_some() { &nobody } else { beside };
        return in_place::back(&turn.case, osds, beside, turn.view).map(|_| ()).map_err(|wait| match wait {
            blind @ (Wait::CannotSee { .. } | Wait::CephNoQuorum { .. }) => Unproved::Unseen(blind),
            wait => Unproved::NotYet(wait.to_string()),
        });
    }
    missing(turn)?;
    let Some(host) = turn.view.host(&turn.case.node)? else { return Ok(()) };
    let down: Vec<_> =
        turn.view.ceph()?.osds_of(host).filter(|(_, osd)| !(osd.up && osd.r#in)).map(|(id, _)| id).collect();
    if down.is_empty() { Ok(()) } else { Err(Unproved::NotYet(format!("{} not up and in", osds_are(&down)))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixture::{NOW, at, case, detail, rules, world};
    use crate::decide::view::View;
    use crate::model::observed::NodeDetail;
    use crate::model::seen::Seen;
    use crate::model::state::State;

    /// Whose clock is at fault: the node's is `ahead` of ours, which was set by `off` since a member agreed with it.
    fn at_fault(ahead: i64, off: i64) -> &'static str {
        let (rules, state, mut seen) = (rules(), State::default(), world());
        let detail = NodeDetail { clock_ahead: ahead, ..detail(Vec::new()) };
        seen.pve.nodes.insert("pve2".into(), Seen::known(detail, at(NOW)));
        seen.clock_off = off;
        let view = View::new(&state, &seen, &rules);
        match passes(ProofCheck::TimeSync, &Turn::new(&view, case(Phase::preparing(at(0))))) {
            Ok(()) => "nobody's",
            Err(Unproved::NotYet(_)) => "the node's",
            Err(Unproved::Elsewhere(_)) => "ours",
            Err(_) => "unseen",
        }
    }

    #[test]
    fn a_clock_that_differs_is_the_nodes_unless_ours_was_set_by_more_than_is_allowed() {
        let most = CLOCK_OFF_MAX_SECS;
        for off in [0, most, -most, most + 1] {
            assert_eq!(at_fault(most, off), "nobody's");
        }
        assert_eq!((at_fault(most + 1, most), at_fault(-most - 1, -most)), ("the node's", "the node's"));
        assert_eq!((at_fault(most + 1, most + 1), at_fault(-most - 1, -most - 1)), ("ours", "ours"));
    }
}
