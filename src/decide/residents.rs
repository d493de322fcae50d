//! Residents that may make room: guests of other nodes that nobody asked to move. Only where somebody would be left behind
//! otherwise, only live, only ours, and only after they were looked at in full.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{Guest, GuestKind, Power};
use crate::model::owed::Whereabouts;
use crate::model::plan::How;
use crate::model::rules::{NPlusOne, Policy};
use crate::model::wait::Wait;

use super::live::{Found, rooms};
use super::view::View;
use super::way::{Way, way};

/// Guests asked about, of one node and in all: each costs some calls.
const PER_NODE_MAX: usize = 8;
const ASKED_MAX: usize = 32;

/// Residents whose details are known and that could move live.
///
/// # Errors
/// Something needed cannot be seen.
pub fn that_may_move(
    leaving: &NodeName,
    policy: &Policy,
    agreed: bool,
    view: &View,
) -> Result<BTreeMap<GuestId, How>, Wait> {
    let mut all = BTreeMap::new();
    for (id, guest) in candidates(leaving, view)? {
        if view.guest(id).is_ok() && way(id, guest, policy, agreed, view)? == Way::Move(How::Live) {
            all.insert(id, How::Live);
        }
    }
    Ok(all)
}

/// Guests that should be looked at, because somebody would be left behind: of every open node those that are not larger
/// than whoever needs the room, the largest first. Nothing to ask: they are known, or nobody is left.
///
/// # Errors
/// Something needed cannot be seen.
pub fn ask_about(leaving: &NodeName, found: &Found, view: &View) -> Result<BTreeSet<GuestId>, Wait> {
    let cluster = view.cluster()?;
    let wanting_spare = view.rules.packing.n_plus_one == NPlusOne::Required && !found.fragile.is_empty();
    let lost = found.fragile.iter().filter(|_| wanting_spare).flat_map(|(_, guests)| guests);
    let wanting = found.left.keys().chain(lost).filter_map(|id| cluster.guests.get(id));
    let Some(most) = wanting.map(|guest| guest.memory).max() else { return Ok(BTreeSet::new()) };
    let mut by_node: BTreeMap<&NodeName, Vec<(u64, GuestId)>> = BTreeMap::new();
    for (id, guest) in candidates(leaving, view)?.into_iter().filter(|(_, guest)| guest.memory <= most) {
        by_node.entry(&guest.node).or_default().push((guest.memory, id));
    }
    let mut asked = Vec::new();
    for all in by_node.values_mut() {
        all.sort_by_key(|(memory, id)| (std::cmp::Reverse(*memory), *id));
        all.truncate(PER_NODE_MAX);
        asked.append(all);
    }
    asked.truncate(ASKED_MAX);
    Ok(asked.into_iter().map(|(_, id)| id).filter(|id| view.guest(*id).is_err()).collect())
}

/// Running virtual machines on open nodes that are nobody else's: not HA's, not owed a way home, not locked.
fn candidates<'a>(leaving: &NodeName, view: &'a View) -> Result<BTreeMap<GuestId, &'a Guest>, Wait> {
    let (open, _) = rooms(leaving, view)?;
    // Who was to make room in this very case and has not set out may still do so.
    let owed = |id: &GuestId| {
        view.state.cases.iter().any(|case| {
            let debt = case.owed.guests.get(id);
            debt.is_some_and(|debt| &case.node != leaving || debt.at != Whereabouts::Aboard)
        })
    };
    let fit = |guest: &Guest| {
        !guest.template
            && !guest.ha
            && guest.kind == GuestKind::Qemu
            && guest.power == Power::Running
            && guest.lock.is_none()
            && open.contains_key(&guest.node)
    };
    let all = view.cluster()?.guests.iter().filter(|(id, guest)| fit(guest) && !owed(id));
    Ok(all.map(|(id, guest)| (*id, guest)).collect())
}
