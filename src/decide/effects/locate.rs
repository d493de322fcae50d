//! The locate LED: the technician finds the machine by its own light, and not the one beside it.
//!
//! A courtesy. Nothing of a maintenance waits for a lamp to be lit; but one that we lit is owed like everything else,
//! read back, and put out. One that was lit before us is somebody else's sign.

use std::collections::BTreeSet;
use std::time::Duration;

use super::flags::{debt, may_still_come};
use crate::decide::turn::Turn;
use crate::model::note::Noted;
use crate::model::observed::{BmcView, LocateTarget, PartKind};
use crate::model::seen::Blind;
use crate::model::step::{Action, Switch};
use crate::model::wait::{Source, Wait};

/// A BMC shows a LED's state some seconds after it was asked.
const SETTLES: Duration = Duration::from_secs(20);

/// Lights what the technician has to find.
///
/// # Errors
/// What keeps it dark: for showing, nobody waits for it.
pub fn light(turn: &mut Turn) -> Result<(), Wait> {
    if !turn.view.policy(&turn.case)?.respond.locate {
        return Ok(());
    }
    let view = view(turn)?;
    for target in targets(turn, view) {
        let Some(lit) = view.lit.get(&target).copied() else { continue };
        let node = turn.case.node.clone();
        match turn.case.owed.locate.get_mut(&target) {
            // Lit, by us or by somebody before us; or put out by hand after ours was seen: they have found it.
            Some(debt) if lit == Switch::On => debt.seen = true,
            Some(debt) if debt.seen => {}
            None if lit == Switch::On => {}
            owed => {
                let fresh = owed.is_none();
                turn.may_take()?;
                if fresh {
                    let debt = debt(turn, "the technician finds the machine by it");
                    turn.case.owed.locate.insert(target.clone(), debt);
                    turn.note(Noted::LocateAsked { node: node.clone(), target: target.clone() });
                }
                let subject = format!("locate-on/{target}");
                turn.step(&subject, Action::Locate { node, target, to: Switch::On }, SETTLES);
                if let Some(failing) = turn.failing(&subject) {
                    return Err(failing);
                }
            }
        }
    }
    Ok(())
}

/// Puts out what we lit, and forgets it when it is seen to be dark.
pub fn put_out(turn: &mut Turn) -> Result<(), Wait> {
    let targets: Vec<LocateTarget> = turn.case.owed.locate.keys().cloned().collect();
    if targets.is_empty() {
        return Ok(());
    }
    let view = view(turn)?;
    let mut left = Ok(());
    for target in targets {
        let node = turn.case.node.clone();
        let Some(debt) = turn.case.owed.locate.get(&target).cloned() else { continue };
        let (on, off) = (format!("locate-on/{target}"), format!("locate-off/{target}"));
        if view.lit.get(&target) == Some(&Switch::Off) {
            if may_still_come(turn, &debt, &on) {
                left = Err(Wait::LocateStillOn { node });
                continue;
            }
            turn.case.owed.locate.remove(&target);
            turn.note(Noted::LocateGone { node, target });
            continue;
        }
        let action = Action::Locate { node: node.clone(), target: target.clone(), to: Switch::Off };
        let planned = turn.step(&off, action, SETTLES);
        if planned && !turn.already_tried(&off) {
            turn.note(Noted::LocateReturned { node: node.clone(), target });
        }
        left = Err(turn.failing(&off).unwrap_or(Wait::LocateStillOn { node }));
    }
    left
}

/// A person takes it upon himself, or the machine is gone for good: the lamp is nobody's any more.
pub fn leave_lit(turn: &mut Turn, why: &str) -> bool {
    let targets = std::mem::take(&mut turn.case.owed.locate);
    for target in targets.keys() {
        let (node, target, why) = (turn.case.node.clone(), target.clone(), why.to_owned());
        turn.note(Noted::LocateLeft { node, target, why });
    }
    !targets.is_empty()
}

fn view<'a>(turn: &Turn<'a>) -> Result<&'a BmcView, Wait> {
    match turn.view.seen.bmc.get(&turn.case.node) {
        Some(seen) => turn.view.fresh(Source::Bmc, seen),
        None => Err(Wait::CannotSee { source: Source::Bmc, why: Blind::NotAsked }),
    }
}

/// The chassis, and the bay of each disk that is to be served, if it has a LED of its own.
fn targets(turn: &Turn, view: &BmcView) -> BTreeSet<LocateTarget> {
    let mut targets: BTreeSet<_> = [LocateTarget::Chassis].into();
    let Some(seen) = turn.view.seen.inventory.get(&turn.case.node) else { return targets };
    let (inside, outside) = (seen.proxmox.any_age(), seen.bmc.any_age());
    for fault in &turn.case.faults {
        let disk =
            inside.and_then(|parts| parts.disk(&fault.component)).and_then(|(_, part)| part.serial.as_ref());
        let bay = outside.zip(disk).and_then(|(parts, serial)| {
            let same = |part: &crate::model::observed::Part| part.serial.as_ref() == Some(serial);
            parts.parts.iter().find(|(key, part)| key.kind == PartKind::Disk && same(part))
        });
        let bay = bay.map(|(key, _)| LocateTarget::Part(key.clone()));
        targets.extend(bay.filter(|bay| view.lit.contains_key(bay)));
    }
    targets
}
