//! Guests that left: have they arrived, have they come back, do they run?

use std::time::Duration;

use super::{MOVE_SETTLES, alike, missing, set, settled};
use crate::decide::faults::whole_seconds;
use crate::decide::turn::Turn;
use crate::model::ids::GuestId;
use crate::model::note::Noted;
use crate::model::observed::{Guest, Power};
use crate::model::owed::{GuestDebt, Whereabouts};
use crate::model::step::Action;
use crate::model::time::age;
use crate::model::wait::Wait;

/// Guests that we owe a way home and that are no longer on the node: have they arrived?
pub fn follow(turn: &mut Turn) -> Result<(), Wait> {
    let cluster = turn.view.cluster()?;
    let owed: Vec<(GuestId, GuestDebt)> =
        turn.case.owed.guests.iter().map(|(id, d)| (*id, d.clone())).collect();
    for (id, debt) in owed {
        let Some(guest) = cluster.guests.get(&id) else {
            // Nobody waits for one that is not listed; whether it is gone is settled before it has to be home.
            if !debt.paid() {
                let _ = missing::look(turn, id);
            }
            continue;
        };
        missing::listed(turn, id);
        alike::remember(turn, id);
        if guest.node == debt.home {
            if matches!(debt.at, Whereabouts::Away { .. } | Whereabouts::Returning { .. }) {
                turn.note(Noted::CameBack { guest: id, name: debt.name });
                set(turn, id, Whereabouts::Aboard);
            }
            continue;
        }
        // It was on its way home when the return stopped, and did not get there.
        if let Whereabouts::Returning { since, .. } = &debt.at
            && age(turn.view.now, *since) >= MOVE_SETTLES
            && arrived(turn, id, guest)
        {
            set(turn, id, Whereabouts::Away { node: guest.node.clone() });
        }
        let arrived = match &debt.at {
            Whereabouts::Leaving { since, .. } if arrived(turn, id, guest) => {
                Some(age(turn.view.now, *since))
            }
            // HA was faster than our look; it was asked when maintenance was.
            Whereabouts::Aboard if arrived(turn, id, guest) => {
                let asked =
                    turn.case.owed.maintenance.as_ref().map_or(turn.case.phase.since(), |debt| debt.since);
                Some(age(turn.view.now, asked))
            }
            _ => None,
        };
        if let Some(took) = arrived {
            let (name, to) = (debt.name.clone(), guest.node.clone());
            turn.note(match &debt.at {
                Whereabouts::Aboard if !debt.ha => Noted::MovedByOthers { guest: id, name, node: to.clone() },
                _ => Noted::Arrived { guest: id, name, node: to.clone(), took: whole_seconds(took) },
            });
            set(turn, id, Whereabouts::Away { node: to });
        }
        start_if_left_stopped(turn, id, guest, &debt);
    }
    Ok(())
}

/// On another node, unlocked, and for HA's guests also in HA's own words: a task's OK is no arrival.
fn arrived(turn: &Turn, id: GuestId, guest: &Guest) -> bool {
    let ha_agrees = turn.view.ha().is_ok_and(|ha| {
        ha.services.get(&id).is_none_or(|s| {
            s.node == guest.node
                && !s.command
                && !matches!(s.state.as_str(), "migrate" | "relocate" | "recovery")
        })
    });
    // On a machine that is dead it is nowhere.
    let lives = turn.view.cluster().is_ok_and(|cluster| cluster.online(&guest.node));
    settled(guest) && ha_agrees && lives
}

/// A container whose last start failed stays stopped on its target; it ran before, so it shall run. A few times: whoever
/// shuts it down again wants it down.
fn start_if_left_stopped(turn: &mut Turn, id: GuestId, guest: &Guest, debt: &GuestDebt) {
    let stopped = turn.view.guest(id).is_ok_and(|detail| {
        detail.live.as_ref().is_some_and(|live| live.power == Power::Stopped && live.lock.is_none())
    });
    let subject = format!("start-{id}");
    let enough = turn.tries(&subject) >= turn.view.rules.limits.migration_tries_max;
    if stopped && debt.was == Power::Running && !debt.ha && !enough && settled(guest) {
        let on = guest.node.clone();
        let planned =
            turn.step(&subject, Action::Start { guest: id, kind: guest.kind, on }, Duration::from_secs(30));
        if planned {
            turn.note(Noted::StartedAgain { guest: id, name: debt.name.clone() });
        }
    }
}
