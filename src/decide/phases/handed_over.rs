//! It is the technician's. Everything stays held; the work order is open; "done" is a claim that starts the proof.

use std::collections::BTreeSet;

use super::draining::died;
use super::{monitors, second_failure};
use crate::decide::effects::{
    give_noout_back, give_silence_back, hold, hold_silence, light, open_work_order, tell_called_off,
    tell_the_sheet, work_order_shown,
};
use crate::decide::emptiness;
use crate::decide::in_place::find;
use crate::decide::plan::needs_maintenance;
use crate::decide::turn::Turn;
use crate::decide::view::View;
use crate::model::case::{Case, Claim, Handover, Phase, Said};
use crate::model::ids::{OsdId, Person, TicketRef};
use crate::model::note::Noted;
use crate::model::observed::WorkOrderStatus;
use crate::model::time::Time;
use crate::model::wait::Wait;

pub(super) fn turn(turn: &mut Turn) -> Result<Phase, Wait> {
    let in_place = matches!(&turn.case.phase, Phase::HandedOver { handover: Handover::InPlace { .. }, .. });
    let halfway = matches!(&turn.case.phase, Phase::HandedOver { handover: Handover::Halfway, .. });
    // Its guests are aboard: when it dies, they are stranded, and nobody works on one disk any more.
    if (in_place || halfway)
        && let Ok(Some(died)) = died(turn)
    {
        return Ok(died);
    }
    if in_place {
        also(turn);
    }
    let drained = matches!(&turn.case.phase, Phase::HandedOver { handover: Handover::Drained { .. }, .. });
    // Of a node that left the cluster nothing can be held, and nobody can say that it is empty.
    let member = super::member(turn);
    // A person's wish to heal goes before noout, also for a node that died.
    let held = match turn.case.heal {
        true => give_noout_back(turn),
        false if member.is_err() => member,
        false if drained || in_place || halfway => hold(turn),
        false => Ok(()),
    };
    // A ticket system that is down keeps nobody from saying "done": the work order stands on the board.
    let order = match halfway {
        // Whatever was to be said in another round, it is called off.
        true => tell_called_off(turn),
        false => open_work_order(turn).and_then(|()| tell_called_off(turn)),
    };
    let lamp = light(turn);
    // A node that died, or that works on, is heard by everybody.
    match drained {
        true => hold_silence(turn),
        false => drop(give_silence_back(turn)),
    }
    let claim = match claim(turn) {
        // Told while somebody works on it. A second failure is no reason to keep a repaired node from coming back.
        Err(wait) => {
            // Before what cannot be held just now: somebody stands at the machine.
            let danger = match second_failure::look(&turn.case, turn.view) {
                Ok(None) if !(in_place || halfway) => match monitors::look(&turn.case, turn.view) {
                    Ok(None) => came_aboard(turn),
                    alone => alone,
                },
                second => second,
            };
            if let Ok(danger) = &danger {
                tell_the_sheet(turn, danger.as_ref());
            }
            if let Ok(Some(danger)) = danger {
                return Err(danger);
            }
            held?;
            danger?;
            // After what endangers somebody: a ticket system may be down for days.
            order?;
            return Err(match (&turn.case.in_place, wait) {
                (Some(parts), Wait::Technician) if in_place => {
                    Wait::DisksWithTechnician { osds: parts.osds.iter().copied().collect() }
                }
                (_, wait) => dark(wait, lamp),
            });
        }
        Ok(claim) => claim,
    };
    let node = turn.case.node.clone();
    super::back(turn)?;
    let Phase::HandedOver { handover, cancelled, .. } = &turn.case.phase else {
        return Err(Wait::Technician);
    };
    let (handover, cancelled) = (handover.clone(), cancelled.clone());
    if !handover.works_on() {
        turn.note(Noted::NodeBack { node });
    }
    Ok(Phase::Proving { since: turn.view.now, handover, claim, good_since: None, cancelled })
}

/// Another disk of the node failed meanwhile, and it is believed: the technician stands at the machine now. What may
/// be taken out is asked about all of them together.
fn also(turn: &mut Turn) {
    let Ok(found) = find(&turn.case, turn.view) else { return };
    let known = turn.case.in_place.clone().unwrap_or_default();
    if found.osds == known.osds {
        return;
    }
    let disks: Vec<String> = found.disks.difference(&known.disks).cloned().collect();
    turn.note(Noted::AlsoInPlace { disks });
    if let Phase::HandedOver { handover: Handover::InPlace { osds, .. }, .. } = &mut turn.case.phase {
        osds.extend(&found.osds);
    }
    turn.case.in_place = Some(found);
}

/// A lamp that stays dark is told when there is nothing else to tell.
fn dark(wait: Wait, lamp: Result<(), Wait>) -> Wait {
    match lamp {
        Err(lamp) if wait == Wait::Technician && !lamp.wants_a_deeper_look() && lamp != Wait::ObserveOnly => {
            lamp
        }
        _ => wait,
    }
}

/// Somebody put guests on the node while it is the technician's. They are not ours to move; but it is told.
fn came_aboard(turn: &Turn) -> Result<Option<Wait>, Wait> {
    let cluster = turn.view.cluster()?;
    if !cluster.online(&turn.case.node) {
        return Ok(None);
    }
    let guests: Vec<_> = emptiness::aboard(cluster, &turn.case.node).into_iter().collect();
    Ok((!guests.is_empty()).then_some(Wait::CameAboard { guests }))
}

/// The technician's word: by request, or in the ticket system.
fn claim(turn: &mut Turn) -> Result<Claim, Wait> {
    let now = turn.view.now;
    let shown = work_order_shown(turn);
    let Phase::HandedOver { claim, cancelled, .. } = &mut turn.case.phase else {
        return Err(Wait::Technician);
    };
    if let Some(claim) = claim {
        return Ok(claim.clone());
    }
    if cancelled.is_some() {
        return Err(Wait::HandsOff);
    }
    match shown? {
        Some(WorkOrderStatus::Done) => {
            let by = Person::from("the ticket system");
            let new = Claim { by: by.clone(), at: now, note: String::new(), said: Said::InTheTicket };
            *claim = Some(new.clone());
            turn.note(Noted::ClaimedDone { by, note: String::new() });
            Ok(new)
        }
        // Somebody does not want this work done, or not by this ticket. Nobody said that the machine is left alone.
        Some(WorkOrderStatus::Cancelled) => {
            let ticket = turn.case.owed.work_order.as_ref().and_then(|debt| debt.ticket.clone());
            Err(Wait::WorkOrderCancelled { ticket: ticket.unwrap_or_else(|| TicketRef::from("")) })
        }
        Some(WorkOrderStatus::Open | WorkOrderStatus::InProgress) | None => Err(Wait::Technician),
    }
}

/// May the machine be switched off at this very moment? Never stored; worth 15 seconds.
///
/// # Errors
/// Why not.
pub fn safe_to_power_off(case: &Case, view: &View) -> Result<Time, Wait> {
    if let Phase::HandedOver { handover: Handover::InPlace { .. }, .. } = &case.phase {
        return Err(Wait::ServedInPlace { node: case.node.clone() });
    }
    if let Phase::HandedOver { handover: Handover::Halfway, .. } = &case.phase {
        return Err(Wait::HandsOff);
    }
    super::known(&case.node, view)?;
    emptiness::look(&case.node, view)?;
    if let Some(wait) = second_failure::look(case, view)? {
        return Err(wait);
    }
    if let Some(wait) = monitors::look(case, view)? {
        return Err(wait);
    }
    // Once it is off there is nothing left to ask Ceph about this host.
    if let Some(host) = view.host(&case.node)?
        && view.cluster()?.online(&case.node)
    {
        let stop = view.ok_to_stop(host)?;
        if !stop.ok {
            return Err(Wait::NotOkToStop { host: host.clone(), bad_pgs: stop.bad_pgs });
        }
        // Whoever let Ceph heal has chosen to go without it.
        if !case.heal && !view.ceph()?.has_noout(host) {
            return Err(Wait::NooutPending { host: host.clone() });
        }
    }
    if needs_maintenance(view)?
        && view.cluster()?.online(&case.node)
        && !view.ha()?.in_maintenance(&case.node)
    {
        return Err(Wait::MaintenancePending);
    }
    Ok(view.now)
}

/// May the served disks be taken out at this very moment? Never stored; worth 15 seconds. `None`: no disk is served.
pub fn safe_to_pull(case: &Case, view: &View) -> Option<Result<Time, Wait>> {
    let (osds, claim, cancelled) = match &case.phase {
        Phase::HandedOver { handover: Handover::InPlace { osds, .. }, claim, cancelled, .. } => {
            (osds, claim, cancelled)
        }
        // A disk may have been served before; none is now.
        Phase::HandedOver { handover: Handover::Halfway, .. } => return Some(Err(Wait::HandsOff)),
        _ => return None,
    };
    if claim.is_some() || cancelled.is_some() {
        return Some(Err(Wait::HandsOff));
    }
    Some(pull(case, osds, view))
}

fn pull(case: &Case, osds: &BTreeSet<OsdId>, view: &View) -> Result<Time, Wait> {
    let host = view.host(&case.node)?.ok_or_else(|| Wait::HostUnknown { node: case.node.clone() })?;
    if !case.heal && !view.ceph()?.has_noout(host) {
        return Err(Wait::NooutPending { host: host.clone() });
    }
    if let Some(wait) = second_failure::look(case, view)? {
        return Err(wait);
    }
    let answer = view.may_stop(&case.node, osds)?;
    if !answer.ok {
        return Err(Wait::DisksNeeded { osds: osds.iter().copied().collect(), bad_pgs: answer.bad_pgs });
    }
    Ok(view.now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::seen::Blind;
    use crate::model::wait::Source;

    #[test]
    fn a_dark_lamp_is_told_only_where_nothing_but_the_technicians_word_is_awaited() {
        let fails = || Wait::EffectFails { effect: "locate-on".into(), error: "no".into() };
        let unseen = Wait::CannotSee { source: Source::Bmc, why: Blind::NotAsked };
        assert_eq!(dark(Wait::Technician, Err(fails())), fails());
        assert_eq!(dark(Wait::HandsOff, Err(fails())), Wait::HandsOff, "somebody may have a hand in it");
        assert_eq!(dark(Wait::Technician, Err(unseen)), Wait::Technician, "the next look will look there");
        assert_eq!(dark(Wait::Technician, Err(Wait::ObserveOnly)), Wait::Technician, "nobody wanted it lit");
        assert_eq!(dark(Wait::Technician, Ok(())), Wait::Technician);
    }
}
