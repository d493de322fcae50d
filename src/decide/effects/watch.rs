//! Guests that we do not move: HA's are watched, those that cannot move are shut down.

use std::time::Duration;

use super::away::owe;
use super::set;
use crate::decide::turn::Turn;
use crate::model::ids::GuestId;
use crate::model::note::Noted;
use crate::model::observed::{Guest, Power};
use crate::model::owed::Whereabouts;
use crate::model::plan::Plan;
use crate::model::step::Action;
use crate::model::time::age;
use crate::model::wait::Wait;

/// HA's own guest: told when it moves, and found when HA silently does nothing.
pub(super) fn watch_ha(turn: &mut Turn, id: GuestId) -> Option<Wait> {
    let ha = turn.view.ha().ok()?;
    let service = ha.services.get(&id)?;
    let now = turn.view.now;
    let debt = turn.case.owed.guests.get(&id)?.clone();
    let on_its_way = service.target.is_some() || matches!(service.state.as_str(), "migrate" | "relocate");
    if on_its_way && debt.at == Whereabouts::Aboard {
        turn.note(Noted::HaMoves { guest: id, name: debt.name, to: service.target.clone() });
        set(turn, id, Whereabouts::Leaving { to: service.target.clone(), since: now });
        return None;
    }
    if matches!(service.state.as_str(), "error" | "fence") {
        return Some(Wait::HaGuestInError { guest: id, state: service.state.clone() });
    }
    let since = match debt.at {
        Whereabouts::Leaving { since, .. } => since,
        // Held from before, it says nothing of a guest that has just come back.
        _ => {
            let since = turn.case.phase.since();
            turn.case.owed.maintenance.as_ref().map_or(since, |debt| debt.since.max(since))
        }
    };
    // HA tries such a guest again and again; another try is no news.
    let known = matches!(&turn.case.wait, Some(Wait::HaStuck { guest }) if *guest == id);
    let still = !on_its_way && !service.command;
    let stuck = (still || known) && age(now, since) > turn.view.rules.limits.ha_stuck_after.0;
    stuck.then_some(Wait::HaStuck { guest: id })
}

/// A guest that cannot move, and may be shut down.
pub(super) fn shut_down(turn: &mut Turn, plan: &Plan, id: GuestId, guest: &Guest) -> Result<(), Wait> {
    let detail = turn.view.guest(id)?;
    let power = detail.live.as_ref().map_or(guest.power, |live| live.power);
    if power == Power::Stopped {
        if turn.case.owed.guests.get(&id).is_some_and(|debt| debt.at != Whereabouts::ShutDown) {
            turn.note(Noted::IsDown { guest: id, name: guest.name.clone() });
            set(turn, id, Whereabouts::ShutDown);
        }
        return Ok(());
    }
    let node = turn.case.node.clone();
    owe(turn, id, guest, &node);
    // Proxmox gives a guest 180 s to shut down; asking again before would only be refused.
    let planned = turn.step(
        &format!("shutdown-{id}"),
        Action::Shutdown { guest: id, kind: guest.kind, on: node },
        Duration::from_secs(200),
    );
    if planned {
        let why = plan.stops.get(&id).cloned().unwrap_or_default();
        turn.note(Noted::ShutsDown { guest: id, name: guest.name.clone(), why });
        let since = turn.view.now;
        set(turn, id, Whereabouts::Leaving { to: None, since });
    }
    Err(turn.failing(&format!("shutdown-{id}")).unwrap_or(Wait::GuestsAboard { guests: vec![id] }))
}
