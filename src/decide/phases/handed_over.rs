//! It is the technician's. Everything stays held; the work order is open; "done" is a claim that starts the proof.

use super::second_failure;
use crate::decide::effects::{give_noout_back, hold, open_work_order, work_order_shown};
use crate::decide::emptiness;
use crate::decide::plan::needs_maintenance;
use crate::decide::turn::Turn;
use crate::decide::view::View;
use crate::model::case::{Case, Claim, Handover, Phase, Said};
use crate::model::ids::{Person, TicketRef};
use crate::model::note::Noted;
use crate::model::observed::WorkOrderStatus;
use crate::model::time::Time;
use crate::model::wait::Wait;

pub(super) fn turn(turn: &mut Turn) -> Result<Phase, Wait> {
    let drained = matches!(&turn.case.phase, Phase::HandedOver { handover: Handover::Drained { .. }, .. });
    // A person's wish to heal goes before noout, also for a node that died.
    let held = match turn.case.heal {
        true => give_noout_back(turn),
        false if drained => hold(turn),
        false => Ok(()),
    };
    // A ticket system that is down keeps nobody from saying "done": the work order stands on the board.
    let order = open_work_order(turn);
    let claim = match claim(turn) {
        // Told while somebody works on it. A second failure is no reason to keep a repaired node from coming back.
        Err(wait) => {
            held?;
            order?;
            let second = second_failure::look(&turn.case, turn.view)?;
            return Err(match second {
                Some(second) => second,
                None => came_aboard(turn)?.unwrap_or(wait),
            });
        }
        Ok(claim) => claim,
    };
    let node = turn.case.node.clone();
    if !turn.view.cluster()?.online(&node) {
        return Err(Wait::NodeNotBack);
    }
    let Phase::HandedOver { handover, cancelled, .. } = &turn.case.phase else {
        return Err(Wait::Technician);
    };
    let (handover, cancelled) = (handover.clone(), cancelled.clone());
    turn.note(Noted::NodeBack { node });
    Ok(Phase::Proving { since: turn.view.now, handover, claim, good_since: None, cancelled })
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
    emptiness::look(&case.node, view)?;
    if let Some(wait) = second_failure::look(case, view)? {
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
