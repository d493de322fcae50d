//! The machine's parts before and after: a part that vanished is not a part repaired.
//!
//! A power supply that was pulled out raises no alarm any more and reads "OK" (its sensor is still listed, in state 0),
//! so the absence of bad readings proves nothing. What was there before the drain has to be there after the work, or a
//! person says why not. A source that could be read then and cannot be read now is unknown, and unknown is no.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::case::{Case, Phase};
use crate::model::note::Noted;
use crate::model::observed::{Inventory, Part, PartKey, PartKind, PartSource};
use crate::model::parts::{Accepted, Baseline, Parts};
use crate::model::seen::{Blind, Seen, Trouble};
use crate::model::wait::{Source, Wait};
use crate::model::wait_text::list;

use super::turn::Turn;
use super::view::View;

/// Lists are read once a minute; two misses are allowed.
const FRESH_FOR: Duration = Duration::from_secs(150);
/// The kernel keeps a little of the memory for itself, and not always the same; a module is more than that.
const SHRINKS_PERCENT_MAX: u64 = 2;

/// Every source was asked for the parts, whatever it answered: the drain does not wait for a BMC that is dead.
pub(super) fn asked(turn: &Turn) -> Result<(), Wait> {
    match turn.view.seen.inventory.get(&turn.case.node) {
        Some(_) => Ok(()),
        None if turn.case.parts.told => Ok(()),
        None => Err(Wait::CannotSee { source: Source::Inventory, why: Blind::NotAsked }),
    }
}

/// Before anything is taken: what is the machine made of? A later list may add to the first one as long as the node was
/// not touched by us, and never takes anything out of it: a part that vanishes while an approval is awaited has
/// vanished all the same. Afterwards the baseline stays what it is.
pub(super) fn keep_baseline(turn: &mut Turn) {
    let untouched = turn.case.owed.nothing();
    let Some(seen) = turn.view.seen.inventory.get(&turn.case.node) else { return };
    for source in PartSource::ALL {
        let Ok(now) = seen.of(source).fresh(turn.view.now, FRESH_FOR) else { continue };
        let at = seen.of(source).at().unwrap_or(turn.view.now);
        let baseline = match turn.case.parts.baseline.get(&source) {
            None => Baseline { at, inventory: now.clone() },
            Some(_) if !untouched => continue,
            Some(kept) => {
                let inventory = grown(source, kept, now);
                // A reading that says nothing new is no change of the case.
                if identity(&inventory) == identity(&kept.inventory) {
                    continue;
                }
                Baseline { at, inventory }
            }
        };
        turn.case.parts.baseline.insert(source, baseline);
    }
}

/// What was on record, and what came to it. Of a part in both lists the later word counts, unless it is a difference:
/// then the proof will tell it, and until then the record stands.
fn grown(source: PartSource, kept: &Baseline, now: &Inventory) -> Inventory {
    let mut parts = kept.inventory.parts.clone();
    let differences = differences(source, kept, now);
    for (key, is) in &now.parts {
        // A disk that came for one that went is seen as its replacement as long as it is not on record itself.
        let stands_in = |difference: &Difference| matches!(difference, Difference::Replaced(serial) if *serial == key.slot);
        match parts.get(key) {
            Some(_) if differences.contains_key(key) => {}
            None if key.kind == PartKind::Disk && differences.values().any(stands_in) => {}
            was => {
                // Memory that shrinks by a little each time has shrunk.
                let size = was.and_then(|was| was.size).max(is.size);
                parts.insert(key.clone(), Part { size, ..is.clone() });
            }
        }
    }
    Inventory { parts }
}

/// When the drain begins: which sources the proof will rest on. Proxmox alone, where no BMC is configured, goes
/// without saying.
pub(super) fn tell_baseline(turn: &mut Turn) {
    let Some(seen) = turn.view.seen.inventory.get(&turn.case.node) else { return };
    if turn.case.parts.told {
        return;
    }
    let kept = &turn.case.parts.baseline;
    let sources: Vec<_> = kept.iter().map(|(source, base)| (*source, base.inventory.parts.len())).collect();
    let blind: Vec<_> = PartSource::ALL
        .into_iter()
        .filter(|source| !kept.contains_key(source))
        .filter_map(|source| match seen.of(source) {
            Seen::Unknown { why: Trouble::NotConfigured(_) } => None,
            Seen::Unknown { why } => Some((source, why.to_string())),
            Seen::Known { .. } | Seen::NotAsked => Some((source, "not read".to_owned())),
        })
        .collect();
    turn.case.parts.told = true;
    if !blind.is_empty() || kept.contains_key(&PartSource::Bmc) {
        turn.note(Noted::PartsListed { sources, blind });
    }
}

fn identity(inventory: &Inventory) -> BTreeMap<&PartKey, (&str, Option<&str>, Option<u64>)> {
    let parts = inventory.parts.iter();
    parts.map(|(key, part)| (key, (part.model.as_str(), part.serial.as_deref(), part.size))).collect()
}

/// Why the parts do not prove anything.
pub(super) enum Unlike {
    Unseen(Wait),
    Differs(String),
}

/// Are all parts there that were there before, as far as every source of the baseline tells now?
pub(super) fn compare(case: &Case, view: &View) -> Result<(), Unlike> {
    let mut gone = Vec::new();
    for (source, base) in &case.parts.baseline {
        if case.parts.given_up.contains_key(source) {
            continue;
        }
        let now = now(*source, case, view).map_err(Unlike::Unseen)?;
        let all = differences(*source, base, now);
        gone.extend(all.into_iter().filter_map(|(key, difference)| match difference {
            Difference::Replaced(_) => None,
            _ if case.parts.accepted.contains_key(&key) => None,
            other => Some(other.words(&key, *source)),
        }));
    }
    if gone.is_empty() { Ok(()) } else { Err(Unlike::Differs(list(gone))) }
}

/// Replacements are no fault: the journal tells each once.
pub(super) fn note_replacements(turn: &mut Turn) {
    let mut news = Vec::new();
    for (source, base) in &turn.case.parts.baseline {
        let Ok(now) = now(*source, &turn.case, turn.view) else { continue };
        for (key, difference) in differences(*source, base, now) {
            if let Difference::Replaced(new) = difference
                && turn.case.parts.replaced.get(&key) != Some(&new)
            {
                let old = base.inventory.parts.get(&key).and_then(|part| part.serial.clone());
                news.push((key, old.unwrap_or_default(), new));
            }
        }
    }
    for (key, old, new) in news {
        turn.case.parts.replaced.insert(key.clone(), new.clone());
        turn.note(Noted::PartReplaced { part: key, old, new });
    }
}

/// What a source lists since the work was said to be done: an older list says nothing of the work.
fn now<'a>(source: PartSource, case: &Case, view: &View<'a>) -> Result<&'a Inventory, Wait> {
    let blind = |why| {
        let source = match source {
            PartSource::Proxmox => Source::Inventory,
            PartSource::Bmc => Source::Bmc,
        };
        Wait::CannotSee { source, why }
    };
    let seen = view.seen.inventory.get(&case.node).ok_or_else(|| blind(Blind::NotAsked))?.of(source);
    let value = seen.fresh(view.now, FRESH_FOR).map_err(blind)?;
    let since = match &case.phase {
        Phase::Proving { claim, .. } => Some(claim.at),
        _ => None,
    };
    if seen.at() < since { Err(blind(Blind::NotAsked)) } else { Ok(value) }
}

enum Difference {
    Gone,
    /// It is listed, and its serial, which was known, is not told any more: what a pulled-out part looks like in IPMI.
    Nameless,
    Smaller {
        was: u64,
        is: u64,
    },
    Bad(String),
    /// Another one in its place; its serial.
    Replaced(String),
}

impl Difference {
    fn words(&self, key: &PartKey, source: PartSource) -> String {
        match self {
            Self::Gone => format!("{key} is gone, says {source}"),
            Self::Nameless => format!("{key} no longer tells its serial, says {source}"),
            Self::Smaller { was, is } if key.kind == PartKind::Cpu => {
                format!("{key}: {is} cores where there were {was}, says {source}")
            }
            Self::Smaller { was, is } => {
                format!("{key}: {} MiB where there were {}, says {source}", is >> 20, was >> 20)
            }
            Self::Bad(text) => format!("{key} reads {text}, says {source}, and was good before"),
            Self::Replaced(serial) => format!("{key} was replaced by {serial}"),
        }
    }
}

fn differences(source: PartSource, base: &Baseline, now: &Inventory) -> BTreeMap<PartKey, Difference> {
    let before = &base.inventory.parts;
    let mut new: BTreeSet<&PartKey> = now.parts.keys().filter(|key| !before.contains_key(key)).collect();
    let mut all = BTreeMap::new();
    for (key, was) in before {
        let difference = match now.parts.get(key) {
            Some(is) => changed(was, is),
            // Proxmox knows disks by serial, so a disk that was swapped is one that went and one that came.
            None if source == PartSource::Proxmox && key.kind == PartKind::Disk => {
                let came = new.iter().find(|key| instead(key, was, now)).copied();
                came.and_then(|key| new.take(key))
                    .map_or(Some(Difference::Gone), |key| Some(Difference::Replaced(key.slot.clone())))
            }
            None => Some(Difference::Gone),
        };
        all.extend(difference.map(|difference| (key.clone(), difference)));
    }
    all
}

fn changed(was: &Part, is: &Part) -> Option<Difference> {
    match (&was.serial, &is.serial) {
        (Some(_), None) => return Some(Difference::Nameless),
        (Some(old), Some(new)) if old != new && is.good != Some(false) => {
            return Some(Difference::Replaced(new.clone()));
        }
        _ => {}
    }
    if let (Some(was), Some(is)) = (was.size, is.size)
        && shrunk(was, is)
    {
        return Some(Difference::Smaller { was, is });
    }
    (was.good != Some(false) && is.good == Some(false)).then(|| Difference::Bad(is.text.clone()))
}

/// A new disk, at least as large: it may stand where another one was.
fn instead(key: &PartKey, was: &Part, now: &Inventory) -> bool {
    let Some(is) = now.parts.get(key) else { return false };
    let fits = was.size.zip(is.size).is_none_or(|(was, is)| !shrunk(was, is));
    key.kind == PartKind::Disk && is.serial.is_some() && is.good != Some(false) && fits
}

fn shrunk(was: u64, is: u64) -> bool {
    is < was - was / 100 * SHRINKS_PERCENT_MAX
}

/// A person explains a difference: `PS2`, `power supply PS2`; or gives up a source: `bmc`.
///
/// # Errors
/// Nothing of the baseline is called so, or several things are.
pub(super) fn accept(turn: &mut Turn, name: &str, accepted: Accepted) -> Result<(), String> {
    let id = turn.case.id;
    if !matches!(turn.case.phase, Phase::HandedOver { .. } | Phase::Proving { .. }) {
        let phase = turn.case.phase.name();
        return Err(format!("case {id} is {phase}; parts are explained once the node was handed over"));
    }
    let parts = &mut turn.case.parts;
    let (by, reason) = (accepted.by.clone(), accepted.reason.clone());
    let source = [("bmc", PartSource::Bmc), ("proxmox", PartSource::Proxmox)]
        .into_iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(name));
    if let Some((_, source)) = source {
        parts.given_up.insert(source, accepted);
        turn.note(Noted::SourceGivenUp { source, by, reason });
        return Ok(());
    }
    if name.eq_ignore_ascii_case("osds") && !parts.osds.is_empty() {
        let osds = parts.osds.iter().copied().collect();
        parts.osds_given_up = Some(accepted);
        turn.note(Noted::OsdsGivenUp { osds, by, reason });
        return Ok(());
    }
    let key = named(parts, name).map_err(|why| format!("{why}; pitlane show {id} names the parts"))?;
    parts.accepted.insert(key.clone(), accepted);
    turn.note(Noted::PartAccepted { part: key, by, reason });
    Ok(())
}

fn named(parts: &Parts, name: &str) -> Result<PartKey, String> {
    let keys: BTreeSet<&PartKey> =
        parts.baseline.values().flat_map(|base| base.inventory.parts.keys()).collect();
    let fits =
        |key: &&&PartKey| key.slot.eq_ignore_ascii_case(name) || key.to_string().eq_ignore_ascii_case(name);
    let found: Vec<&&PartKey> = keys.iter().filter(fits).collect();
    match found.as_slice() {
        [one] => Ok((**one).clone()),
        [] => Err(format!("the list of parts has no {name}")),
        many => Err(format!("{name} may be {}", list(many.iter().map(|key| key.to_string())))),
    }
}

#[cfg(test)]
mod tests;
