//! A guest that its owner stopped while it was away goes home stopped, and is not started again.
//!
//! Only a stop that Proxmox has a task of is believed: a guest that lies still because its host went down, or because its own
//! system did, is started again as it was. Never looks at guests of HA: there HA's requested state says what is wanted.

use crate::decide::turn::Turn;
use crate::model::ids::GuestId;
use crate::model::note::Noted;
use crate::model::observed::{Guest, Power, Task};
use crate::model::owed::GuestDebt;
use crate::model::wait::Wait;

const STOPS: [&str; 4] = ["qmstop", "qmshutdown", "vzstop", "vzshutdown"];
const STARTS: [&str; 2] = ["qmstart", "vzstart"];

/// Takes note of it, once, while the guest still stands where it was stopped. pitlane itself stops guests on their home alone.
pub(super) fn by_its_owner(
    turn: &mut Turn,
    id: GuestId,
    guest: &Guest,
    debt: &GuestDebt,
) -> Result<(), Wait> {
    if debt.was != Power::Running || guest.power != Power::Stopped || guest.node == debt.home {
        return Ok(());
    }
    let word = |task: &&Task| STOPS.contains(&task.kind.as_str()) || STARTS.contains(&task.kind.as_str());
    let tasks = turn.view.node(&guest.node)?.tasks.iter();
    let last = tasks
        .filter(|task| task.guest == Some(id) && task.started >= turn.case.opened_at)
        .filter(word)
        .max_by_key(|task| task.started);
    let stopped = last.is_some_and(|task| {
        STOPS.contains(&task.kind.as_str()) && task.ended.as_ref().is_some_and(|end| end.good())
    });
    if stopped && let Some(owed) = turn.case.owed.guests.get_mut(&id) {
        owed.was = Power::Stopped;
        turn.note(Noted::StoppedByOwner { guest: id, name: debt.name.clone(), node: guest.node.clone() });
    }
    Ok(())
}
