//! Service in place: a broken disk is changed while its node works on. What of the node is meant, and when it is the
//! whole node after all.
//!
//! It must never guess: a disk that cannot be told, or that carries no OSD, is a person's; and a fault that wants the
//! whole node is never served in place.

use std::collections::BTreeSet;

use crate::model::case::{Case, Handover, InPlace, Phase};
use crate::model::fault::FaultKey;
use crate::model::ids::OsdId;
use crate::model::note::Noted;
use crate::model::rules::{Policy, Response};
use crate::model::wait::Wait;

use super::disks;
use super::faults::believed;
use super::turn::Turn;
use super::view::View;

/// A fault of the case that is believed, and what it wants. One that wants the whole node comes first.
///
/// # Errors
/// The faults cannot be told.
pub fn belief<'a>(case: &Case, view: &View<'a>) -> Result<Option<(FaultKey, Noted, &'a Policy)>, Wait> {
    for wanted in [Response::Drain, Response::InPlace] {
        for key in &case.faults {
            let Some(fault) = view.fault(key)? else { continue };
            let Some(policy) = view.rules.policy(&fault.policy) else { continue };
            if policy.respond.action == wanted
                && let Some(note) = believed(fault, policy, view.now)
            {
                return Ok(Some((key.clone(), note, policy)));
            }
        }
    }
    Ok(None)
}

/// The kind of service that a policy wants of a case that begins.
pub fn wanted(policy: &Policy) -> Option<InPlace> {
    (policy.respond.action == Response::InPlace).then(InPlace::default)
}

/// The case is under way as a service in place.
pub fn under_way(case: &Case) -> bool {
    case.in_place.is_some()
        && match &case.phase {
            Phase::HandedOver { handover, .. } | Phase::Proving { handover, .. } => {
                matches!(handover, Handover::InPlace { .. })
            }
            Phase::Preparing { .. } | Phase::Draining { .. } => true,
            _ => false,
        }
}

/// A fault that wants the whole node is believed while a disk is served: from here on it is a drain, judged anew.
/// What is held stays held.
/// What cannot be seen is not believed now; the phase goes on, and refuses by itself what it cannot see.
pub fn turn_into_drain(turn: &mut Turn) {
    if !under_way(&turn.case) {
        return;
    }
    let Ok(Some((fault, note, policy))) = belief(&turn.case, turn.view) else { return };
    if policy.respond.action != Response::Drain {
        return;
    }
    turn.note(note);
    turn.note(Noted::WantsWholeNode { fault: fault.clone() });
    turn.case.policy = policy.name.clone();
    take_the_whole_node(turn, &format!("{fault} wants the whole node"));
}

/// The same, whoever wanted it. A work order that was written speaks of the disk alone: it gets another round.
pub fn take_the_whole_node(turn: &mut Turn, why: &str) {
    turn.case.in_place = None;
    // Who let Ceph heal around one disk did not choose to go without noout for the whole host.
    turn.case.heal = false;
    turn.case.phase = Phase::preparing(turn.view.now);
    if let Some(order) = &mut turn.case.owed.work_order {
        order.again(&format!("{why}; before you switch it off, ask: pitlane show {}", turn.case.id));
    }
}

/// The disks and OSDs that are meant, as far as they are known now, with those known before.
///
/// # Errors
/// A disk cannot be told, or carries no OSD.
pub fn find(case: &Case, view: &View) -> Result<InPlace, Wait> {
    let known = case.in_place.clone().unwrap_or_default();
    let mut found = known.clone();
    for key in meant(case, &known, view)? {
        match disks::find(&key, view) {
            Ok(disk) => {
                found.osds.extend(disk.osds);
                found.disks.insert(disk.text);
            }
            // Pulled out already, so it can no longer be asked; who it was is remembered.
            Err(Wait::DiskUnknown { .. }) if under_way(case) && !known.osds.is_empty() => {}
            Err(wait) => return Err(wait),
        }
    }
    Ok(found)
}

/// The believed ones; all of them while nothing is known.
fn meant(case: &Case, known: &InPlace, view: &View) -> Result<BTreeSet<FaultKey>, Wait> {
    let mut all = BTreeSet::new();
    let mut sure = BTreeSet::new();
    for key in &case.faults {
        let policy = view.policy_of(case, key)?;
        if policy.respond.action != Response::InPlace {
            continue;
        }
        all.insert(key.clone());
        if view.fault(key)?.is_some_and(|fault| believed(fault, policy, view.now).is_some()) {
            sure.insert(key.clone());
        }
    }
    Ok(if sure.is_empty() && known.osds.is_empty() { all } else { sure })
}

/// Every served OSD is up and in; or it is gone and the host has as many as before, all of them up and in: a new disk
/// may come with a new OSD. Gives those that are new.
///
/// # Errors
/// It cannot be seen, or these OSDs are missing.
pub fn back(
    case: &Case,
    osds: &BTreeSet<OsdId>,
    beside: &BTreeSet<OsdId>,
    view: &View,
) -> Result<BTreeSet<OsdId>, Wait> {
    let Some(host) = view.host(&case.node)? else {
        return Err(Wait::OsdMissing { osds: osds.iter().copied().collect() });
    };
    let ceph = view.ceph()?;
    let down: Vec<OsdId> =
        ceph.osds_of(host).filter(|(_, osd)| !(osd.up && osd.r#in)).map(|(id, _)| *id).collect();
    if !down.is_empty() {
        return Err(Wait::OsdsDown { osds: down });
    }
    let gone: Vec<OsdId> = osds.iter().filter(|id| !ceph.osds.contains_key(id)).copied().collect();
    if !gone.is_empty() && ceph.osds_of(host).count() < beside.len() {
        return Err(Wait::OsdMissing { osds: gone });
    }
    Ok(ceph.osds_of(host).map(|(id, _)| *id).filter(|id| !beside.contains(id)).collect())
}
