//! The way home of guests that see their node's own processor (`cpu: host`): live only to a node that has what they see now.
//! The way out is the planner's, and keeps the same rule; the board may be another one since.
//!
//! It must never say "alike" of what cannot be seen.

use crate::decide::processors::{Likeness, compare, native};
use crate::decide::turn::Turn;
use crate::model::ids::GuestId;
use crate::model::observed::{Guest, GuestKind, Power};
use crate::model::owed::GuestDebt;
use crate::model::seen::{Blind, Seen, Trouble};
use crate::model::time::age;
use crate::model::wait::{Source, Wait};

use super::home::HOME_LOST;

/// Writes down who sees its node's own processor, as soon as that is seen: the way home asks about processors only for them.
pub fn remember(turn: &mut Turn, id: GuestId) {
    if turn.view.guest(id).is_ok_and(native)
        && let Some(debt) = turn.case.owed.guests.get_mut(&id)
    {
        debt.native = true;
    }
}

/// Why a guest must not go home as it is now. What is down goes anywhere.
///
/// # Errors
/// It cannot be told yet. After half an hour that is a reason like any other.
pub fn unlike(turn: &Turn, id: GuestId, guest: &Guest, debt: &GuestDebt) -> Result<Option<String>, Wait> {
    let live = turn.view.guest(id).ok().and_then(|detail| detail.live.as_ref());
    if live.map_or(guest.power, |live| live.power) == Power::Stopped {
        return Ok(None);
    }
    unlike_if_it_runs(turn, id, guest, debt)
}

fn unlike_if_it_runs(
    turn: &Turn,
    id: GuestId,
    guest: &Guest,
    debt: &GuestDebt,
) -> Result<Option<String>, Wait> {
    if guest.kind != GuestKind::Qemu {
        return Ok(None);
    }
    let (view, home) = (turn.view, &debt.home);
    // As it was at its start: who changes the configuration changes no guest that runs.
    let native = debt.native || view.guest(id).is_ok_and(native);
    let why = match compare(native, &turn.case.node, &guest.node, home, view) {
        Likeness::Alike => return Ok(None),
        // QEMU itself refuses any other guest, which then stays where it was.
        Likeness::Unseen if !native => return Ok(None),
        Likeness::Unlike(why) => why,
        Likeness::Unseen if age(view.now, turn.case.phase.since()) < HOME_LOST => {
            return Err(unseen(turn, debt));
        }
        Likeness::Unseen => "its processor cannot be seen".to_owned(),
    };
    Ok(Some(format!("{home} is unlike the node where it runs: {why}")))
}

fn unseen(turn: &Turn, debt: &GuestDebt) -> Wait {
    let survey = match turn.view.survey(&turn.case.node) {
        Ok(survey) => survey,
        Err(wait) => return wait,
    };
    let why = match survey.machines.get(&debt.home) {
        Some(Seen::Unknown { why }) => why.clone(),
        _ => Trouble::NoTrace(format!("nobody shows the processor of {}", debt.home)),
    };
    Wait::CannotSee { source: Source::Survey, why: Blind::Unknown(why) }
}

/// HA brings its guests home live as soon as maintenance ends, and asks nobody. While one of them would meet an unlike
/// processor, maintenance is kept, and a person chooses: have HA stop it, or end the maintenance by hand. That it is down at
/// this moment is no answer: HA starts again what shall run.
///
/// # Errors
/// One would, or it cannot be told.
pub fn ha_may_bring_home(turn: &Turn) -> Result<(), Wait> {
    let node = &turn.case.node;
    if turn.case.owed.maintenance.is_none() || !turn.view.ha()?.maintenance_requested(node) {
        return Ok(());
    }
    let cluster = turn.view.cluster()?;
    for (id, debt) in turn.case.owed.away().filter(|(_, debt)| debt.ha && debt.native && &debt.home == node) {
        let Some(guest) = cluster.guests.get(&id).filter(|guest| guest.ha && &guest.node != node) else {
            continue;
        };
        let shall_run =
            turn.view.ha_rules()?.resources.get(&id).is_some_and(|resource| resource.requested == "started");
        if shall_run && let Some(why) = unlike_if_it_runs(turn, id, guest, debt)? {
            return Err(Wait::HaBringsHome { guest: id, node: node.clone(), why });
        }
    }
    Ok(())
}
