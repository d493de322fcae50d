//! From the part that an alert names to the disk, and to the OSDs on it. Exporters call one disk `sdb`, `/dev/sdb`,
//! `nvme1` or by its serial, and Ceph's own alerts name the daemon.
//!
//! It must never take a near miss: two disks that fit are none, and a disk without an OSD is said to be one.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::fault::FaultKey;
use crate::model::ids::OsdId;
use crate::model::observed::{Inventory, Part, PartKind};
use crate::model::seen::Seen;
use crate::model::wait::{Source, Wait};

use super::view::View;

/// The list of parts is read once a minute; a machine's disks do not change names while it runs.
const LISTED_MAX: Duration = Duration::from_secs(150);

/// A disk that was found, and what it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Never empty.
    pub osds: BTreeSet<OsdId>,
    /// For the technician: name, bay, model, serial, as far as they are known.
    pub text: String,
}

/// The disk that the fault is about.
///
/// # Errors
/// It cannot be seen or told, it carries no OSD, or its OSD is another host's.
pub fn find(key: &FaultKey, view: &View) -> Result<Disk, Wait> {
    match daemon(&key.component) {
        Some(osd) => of_daemon(key, osd, view),
        None => of_name(key, view),
    }
}

/// Every OSD of the disk is up and in: a disk that died for good is quiet, too.
///
/// # Errors
/// It cannot be seen, or these are down.
pub fn at_work(disk: &Disk, view: &View) -> Result<(), Wait> {
    let ceph = view.ceph()?;
    let works = |id: &&OsdId| ceph.osds.get(id).is_some_and(|osd| osd.up && osd.r#in);
    let down: Vec<OsdId> = disk.osds.iter().filter(|id| !works(id)).copied().collect();
    if down.is_empty() { Ok(()) } else { Err(Wait::OsdsDown { osds: down }) }
}

/// `osd.12` → 12.
pub fn daemon(name: &str) -> Option<OsdId> {
    name.strip_prefix("osd.")?.parse().ok().map(OsdId)
}

/// The running system knows which OSDs are on which disk.
fn of_name(key: &FaultKey, view: &View) -> Result<Disk, Wait> {
    let unknown = || Wait::DiskUnknown { node: key.node.clone(), disk: key.component.clone() };
    let listed = match view.seen.inventory.get(&key.node) {
        Some(lists) => &lists.proxmox,
        None => &Seen::NotAsked,
    };
    let blind = |why| Wait::CannotSee { source: Source::Inventory, why };
    let parts = listed.fresh(view.now, LISTED_MAX).map_err(blind)?;
    let (serial, part) = named(parts, &key.component).ok_or_else(unknown)?;
    if part.osds.is_empty() {
        return Err(Wait::NoOsdOn { node: key.node.clone(), disk: key.component.clone() });
    }
    // Ceph has the last word on whose they are.
    for osd in &part.osds {
        of_daemon(key, *osd, view)?;
    }
    let path = part.path.as_deref().unwrap_or(&key.component);
    let known = [part.model.clone(), format!("serial {serial}")];
    let known = known.into_iter().filter(|word| !word.is_empty());
    Ok(Disk { osds: part.osds.clone(), text: format!("{path} ({})", known.collect::<Vec<_>>().join(", ")) })
}

/// By path, name or serial; or, as some exporters name an NVMe drive, by its controller.
fn named<'a>(parts: &'a Inventory, name: &str) -> Option<(&'a str, &'a Part)> {
    if let Some((key, part)) = parts.disk(name) {
        return Some((&key.slot, part));
    }
    let controller = name.strip_prefix("/dev/").unwrap_or(name);
    let digits = controller.strip_prefix("nvme").filter(|rest| !rest.is_empty())?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let namespace = format!("/dev/{controller}n");
    let mut of_it = parts.parts.iter().filter(|(key, part)| {
        key.kind == PartKind::Disk && part.path.as_deref().is_some_and(|path| path.starts_with(&namespace))
    });
    match (of_it.next(), of_it.next()) {
        (Some((key, part)), None) => Some((&key.slot, part)),
        _ => None,
    }
}

/// Ceph knows whose it is, also when its disk can no longer be read.
fn of_daemon(key: &FaultKey, osd: OsdId, view: &View) -> Result<Disk, Wait> {
    let unknown = || Wait::DiskUnknown { node: key.node.clone(), disk: key.component.clone() };
    let host = view.host(&key.node)?.ok_or_else(unknown)?;
    let shown = view.ceph()?.osds.get(&osd).ok_or_else(unknown)?;
    if &shown.host != host {
        return Err(Wait::DiskElsewhere { osd, host: shown.host.clone() });
    }
    Ok(Disk { osds: [osd].into(), text: format!("the disk of OSD {osd}") })
}
