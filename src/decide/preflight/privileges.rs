//! May our token see and do what the drain needs? Missing rights make lists shorter in silence, and a short list
//! looks like an empty node.

use super::{Found, Question};
use crate::model::ids::GuestId;
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::{Source, Wait};

/// Privilege and path, as Proxmox names them. Guests are checked at `/vms`, where the role is given.
pub const NEEDED: [(&str, &str); 4] =
    [("Sys.Audit", "/"), ("Sys.Audit", "/nodes"), ("VM.Audit", "/vms"), ("VM.Migrate", "/vms")];

pub(super) fn check(q: &Question) -> Check {
    q.answer(CheckName::Privileges, &q.view.seen.pve.privileges, find(q))
}

fn find(q: &Question) -> Result<Found, Wait> {
    let privileges = q.view.fresh(Source::Privileges, &q.view.seen.pve.privileges)?;
    let mut needed = NEEDED.to_vec();
    if q.planned().is_ok_and(|p| !p.plan.stops.is_empty()) {
        needed.push(("VM.PowerMgmt", "/vms"));
    }
    let mut found = Found::new(format!("{} of the token's rights looked at", needed.len()));
    for (privilege, path) in needed {
        if !privileges.allows(privilege, path) {
            found.block(Wait::MissingPrivilege { privilege: privilege.to_owned(), path: path.to_owned() });
        }
        // What is granted on a deeper path replaces what came from above: there a guest is hidden, and nothing says so.
        let below = if path == "/" { continue } else { format!("{path}/") };
        let deeper = privileges.granted.iter().filter(|(place, _)| place.starts_with(&below));
        for (place, _) in deeper.filter(|(_, granted)| !granted.contains(privilege)) {
            found.block(Wait::MissingPrivilege { privilege: privilege.to_owned(), path: place.clone() });
        }
    }
    // Where HA or the list cannot be seen, others say so; here the right that is missing is what helps.
    if let Ok(Some(guests)) = hidden(q) {
        found.block(Wait::HiddenGuests { guests });
    }
    Ok(found)
}

/// Guests that HA manages, read with another right than the list of guests, and that the list does not show.
fn hidden(q: &Question) -> Result<Option<Vec<GuestId>>, Wait> {
    let listed = &q.view.cluster()?.guests;
    let managed = q.view.ha()?.services.keys();
    let hidden: Vec<GuestId> = managed.filter(|id| !listed.contains_key(id)).copied().collect();
    Ok((!hidden.is_empty()).then_some(hidden))
}
