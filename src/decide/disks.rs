//! From the part that an alert names to the disk, and to the OSDs on it. Exporters call one disk `sdb`, `/dev/sdb`,
//! `nvme1` or by its serial, and Ceph's own alerts name the daemon.
//!
//! It must never take a near miss: two disks that fit are none, and a disk without an OSD is said to be one.

use std::collections::BTreeSet;

use crate::model::fault::FaultKey;
use crate::model::ids::OsdId;
use crate::model::wait::Wait;

use super::view::View;

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
        None => Err(Wait::DiskUnknown { node: key.node.clone(), disk: key.component.clone() }),
    }
}

/// `osd.12` → 12.
pub fn daemon(name: &str) -> Option<OsdId> {
    name.strip_prefix("osd.")?.parse().ok().map(OsdId)
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
