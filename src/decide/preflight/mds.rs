//! Does every filesystem keep a metadata server? An active one on the node needs somebody elsewhere who stands by for it.

use std::collections::BTreeSet;

use super::{Found, Question};
use crate::model::observed::Mds;
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::Wait;
use crate::model::wait_text::count;

pub(super) fn check(q: &Question) -> Check {
    let name = CheckName::Mds;
    if !q.view.has_ceph() {
        return q.not_applicable(name, "declared: no Ceph on the members");
    }
    if q.view.ceph().is_ok_and(|ceph| ceph.mds.is_empty()) {
        return q.not_applicable(name, "Ceph has no filesystem");
    }
    q.answer(name, &q.view.seen.ceph, find(q))
}

/// Proxmox names a metadata server after its node. One with another name may be anywhere: if it serves it is counted
/// here, if it stands by it is not counted elsewhere.
fn find(q: &Question) -> Result<Found, Wait> {
    let ceph = q.view.ceph()?;
    let cluster = q.view.cluster()?;
    let elsewhere =
        |mds: &&Mds| mds.name != q.node.as_str() && cluster.nodes.keys().any(|n| n.as_str() == mds.name);
    let here: Vec<&Mds> = ceph.mds.iter().filter(|mds| mds.serves.is_some() && !elsewhere(mds)).collect();
    let standing_by = ceph.mds.iter().filter(|mds| mds.serves.is_none()).filter(elsewhere).count();
    let mut found = Found::new(format!(
        "{} active on it, {} elsewhere",
        count(here.len(), "metadata server"),
        count(standing_by, "standby")
    ));
    if here.len() > standing_by {
        let filesystems: BTreeSet<String> = here.iter().filter_map(|mds| mds.serves.clone()).collect();
        found.block(Wait::NoStandbyMds { filesystems });
    }
    Ok(found)
}
