//! Everything goes back: noout when the OSDs are up and clean, then HA maintenance, then the guests, then the work
//! order. The one way back; success, abort and false alarm all walk it.

use super::back;
use crate::decide::effects::{
    close_work_order, give_maintenance_back, give_noout_back, give_silence_back, ha_may_bring_home, home,
    leave_lit, put_out,
};
use crate::decide::emptiness;
use crate::decide::turn::Turn;
use crate::model::case::{Ending, Handover, Phase};
use crate::model::note::Noted;
use crate::model::owed::Whereabouts;
use crate::model::proof::Settled;
use crate::model::rules::Response;
use crate::model::time::age;
use crate::model::wait::Wait;
use crate::model::wait_text::list;

pub(super) fn turn(turn: &mut Turn) -> Result<Phase, Wait> {
    if turn.case.owed.nothing() {
        return close(turn);
    }
    if let Some(phase) = relapse(turn)? {
        return Ok(phase);
    }
    let Phase::GivingBack { why, .. } = &turn.case.phase else { return Err(Wait::Technician) };
    let why = why.clone();
    // Nothing else waits for a lamp or a silence; only the end of the case does.
    let lamp = put_out(turn);
    let silence = give_silence_back(turn);
    if let Ending::Retired { .. } = why {
        forget_homes(turn);
        leave_lit(turn, "its node is retired");
        give_noout_back(turn)?;
    } else {
        if turn.case.owed.noout.is_some() {
            if !turn.case.heal {
                back(turn)?;
                clean(turn)?;
            }
            give_noout_back(turn)?;
        }
        back(turn)?;
        ha_may_bring_home(turn)?;
    }
    give_maintenance_back(turn)?;
    home(turn)?;
    lamp?;
    close_work_order(turn, &format!("Closed: {why}."))?;
    silence?;
    close(turn)
}

/// The node's fault shows again on the way back: no guest returns to it. While everything is still held it goes back
/// to the technician as it is; once something was given back, it has to be judged and drained anew.
fn relapse(turn: &mut Turn) -> Result<Option<Phase>, Wait> {
    let Phase::GivingBack { why: Ending::Returned | Ending::Served, handover: Some(_), .. } =
        &turn.case.phase
    else {
        return Ok(None);
    };
    let Some(fault) = turn.view.failing(&turn.case)?.map(|fault| fault.key.clone()) else {
        return Ok(None);
    };
    let in_place =
        matches!(&turn.case.phase, Phase::GivingBack { handover: Some(Handover::InPlace { .. }), .. });
    let all_held = if in_place { !asked(turn) } else { still_held(turn)? };
    turn.note(Noted::ReturnStopped { fault: fault.clone() });
    // "Heal" was said while its OSDs were down. They were up since, and another round needs its noout again.
    let host = turn.view.host(&turn.case.node)?;
    if turn.view.ceph().is_ok_and(|ceph| host.is_some_and(|host| ceph.osds_of(host).all(|(_, osd)| osd.up))) {
        turn.case.heal = false;
    }
    let wanted = turn.view.policy_of(&turn.case, &fault)?.respond.action;
    if in_place && wanted == Response::Drain {
        // The disk is served; this is another part, and nobody knows yet whether it is true.
        if let Some(order) = &mut turn.case.owed.work_order {
            order.again(&format!("{fault} fails"));
        }
        return Ok(Some(Phase::Confirming { since: turn.view.now }));
    }
    let why = format!("{fault} fails again");
    if all_held {
        return Ok(super::proving::back_to_the_technician(turn, &why));
    }
    if let Some(order) = &mut turn.case.owed.work_order {
        order.again(&why);
    }
    let cluster = turn.view.cluster()?;
    for (id, debt) in &mut turn.case.owed.guests {
        let Some(guest) = cluster.guests.get(id) else { continue };
        debt.at = match &debt.at {
            same @ (Whereabouts::Stays { .. } | Whereabouts::ShutDown) => same.clone(),
            _ if guest.node == debt.home => Whereabouts::Aboard,
            coming @ Whereabouts::Returning { .. } => coming.clone(),
            _ => Whereabouts::Away { node: guest.node.clone() },
        };
    }
    Ok(Some(Phase::preparing(turn.view.now)))
}

/// Nothing was given back yet, or asked to be; nobody is aboard or on the way.
fn still_held(turn: &Turn) -> Result<bool, Wait> {
    let coming = turn.case.owed.away().any(|(_, debt)| matches!(debt.at, Whereabouts::Returning { .. }));
    Ok(!asked(turn) && !coming && emptiness::aboard(turn.view.cluster()?, &turn.case.node).is_empty())
}

/// Something was asked back already.
fn asked(turn: &Turn) -> bool {
    ["noout-off", "maintenance-off"].iter().any(|subject| turn.already_tried(subject))
}

/// All OSDs of the host up and in, every PG clean, and that for some seconds: in the first one after a return
/// everything looks clean, because nothing has peered yet.
fn clean(turn: &mut Turn) -> Result<(), Wait> {
    let now = turn.view.now;
    let checked = (|| {
        let ceph = turn.view.ceph()?;
        if let Some(host) = turn.view.host(&turn.case.node)? {
            let down: Vec<_> =
                ceph.osds_of(host).filter(|(_, o)| !(o.up && o.r#in)).map(|(id, _)| *id).collect();
            if !down.is_empty() {
                return Err(Wait::OsdsDown { osds: down });
            }
        }
        let unclean = ceph.unclean_pgs();
        if unclean.is_empty() {
            return Ok(());
        }
        Err(Wait::PgsUnclean { states: list(unclean.iter().map(|(state, n)| format!("{n} {state}"))) })
    })();
    let Phase::GivingBack { clean_since, .. } = &mut turn.case.phase else { return Ok(()) };
    match (checked, clean_since.filter(|since| turn.view.watched(*since))) {
        (Err(wait), _) => {
            *clean_since = None;
            Err(wait)
        }
        (Ok(()), Some(since)) if age(now, since) >= turn.view.rules.limits.clean_for.0 => Ok(()),
        (Ok(()), since) => {
            *clean_since = Some(since.unwrap_or(now));
            let (host, _) = turn.case.owed.noout.clone().ok_or(Wait::MaintenanceStillOn)?;
            Err(Wait::NooutStillSet { host })
        }
    }
}

/// The node does not come back, so nobody goes home to it. Whoever made room on another node still does.
fn forget_homes(turn: &mut Turn) {
    let node = &turn.case.node;
    let its_own = turn.case.owed.away().filter(|(_, debt)| &debt.home == node);
    let away: Vec<_> = its_own.map(|(id, debt)| (id, debt.name.clone())).collect();
    for (id, name) in away {
        let why = "its node is retired".to_owned();
        turn.note(Noted::StaysAway { guest: id, name, why: why.clone() });
        if let Some(debt) = turn.case.owed.guests.get_mut(&id) {
            debt.at = Whereabouts::Stays { node: None, why };
        }
    }
}

fn close(turn: &mut Turn) -> Result<Phase, Wait> {
    let Some(paid) = Settled::of(&turn.case.owed) else { return Err(Wait::WorkOrderPending) };
    let Phase::GivingBack { why, .. } = &turn.case.phase else { return Err(Wait::WorkOrderPending) };
    let ending = why.clone();
    let took = crate::decide::faults::whole_seconds(age(turn.view.now, turn.case.opened_at));
    turn.note(Noted::Closed { ending: ending.clone(), took, stay: turn.case.owed.stay() });
    Ok(Phase::Closed { at: turn.view.now, ending, paid })
}
