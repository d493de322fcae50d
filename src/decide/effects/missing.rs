//! Guests that are owed and that the cluster's list does not have: are they gone?
//!
//! Lists are shorter in silence: without a right, from a member that lags, in the moment of a move. So nobody is forgotten on
//! one look. Gone is who no member of those online has in its own list, look after look, for a minute, seen by a token that
//! would see the guest. Anything else in between, and it is counted anew.

use std::time::Duration;

use super::set;
use crate::decide::turn::Turn;
use crate::model::ids::GuestId;
use crate::model::note::Noted;
use crate::model::owed::{Missing, Whereabouts};
use crate::model::seen::{Seen, Trouble};
use crate::model::time::age;
use crate::model::wait::{Source, Wait};

/// Longer than a move's last moments, a member's lag of some seconds and a row that comes back after a restart of its daemon.
const MISSING_FOR: Duration = Duration::from_secs(60);
/// Looks that say so, each asked of every member.
const LOOKS_MIN: u32 = 4;

/// It is listed: whatever was counted before is void.
pub fn listed(turn: &mut Turn, id: GuestId) {
    if let Some(debt) = turn.case.owed.guests.get_mut(&id) {
        debt.missing = None;
    }
}

/// Looks once more at one that is not listed, and forgets it when it is gone for sure: its slot is free, and nobody waits for
/// it.
///
/// # Errors
/// It is not sure yet, or cannot be told.
pub fn look(turn: &mut Turn, id: GuestId) -> Result<(), Wait> {
    if let Err(wait) = evidence(turn, id) {
        listed(turn, id);
        return Err(wait);
    }
    let now = turn.view.now;
    let Some(debt) = turn.case.owed.guests.get_mut(&id) else { return Ok(()) };
    let before = debt.missing.filter(|missing| turn.view.watched(missing.since));
    let missing = match before {
        // Not counted further: each change is a commit.
        Some(Missing { since, looks }) => Missing { since, looks: (looks + 1).min(LOOKS_MIN) },
        None => Missing { since: now, looks: 1 },
    };
    debt.missing = Some(missing);
    if missing.looks < LOOKS_MIN || age(now, missing.since) < MISSING_FOR {
        return Err(Wait::GuestMissing { guest: id });
    }
    let name = debt.name.clone();
    debt.missing = None;
    turn.note(Noted::GuestGone { guest: id, name });
    set(turn, id, Whereabouts::Stays { node: None, why: "it no longer exists".to_owned() });
    Ok(())
}

/// In this look nobody knows it, and our token would see it.
fn evidence(turn: &Turn, id: GuestId) -> Result<(), Wait> {
    let view = turn.view;
    view.sees_guests()?;
    let (privilege, path) = ("VM.Audit", format!("/vms/{id}"));
    if !view.fresh(Source::Privileges, &view.seen.pve.privileges)?.allows(privilege, &path) {
        return Err(Wait::MissingPrivilege { privilege: privilege.to_owned(), path });
    }
    if view.second(&turn.case.node)?.is_some_and(|second| second.guests.contains_key(&id)) {
        return Err(Wait::GuestMissing { guest: id });
    }
    match view.seen.pve.guests.get(&id) {
        // What the port says when every member was asked about its own guests.
        Some(Seen::Unknown { why: Trouble::NoTrace(_) }) => Ok(()),
        _ => Err(view.guest(id).err().unwrap_or(Wait::GuestMissing { guest: id })),
    }
}
