//! While a node is out, another failure is an incident by itself: nothing new begins, and it is told.

use std::collections::BTreeSet;

use crate::decide::in_place;
use crate::decide::view::View;
use crate::model::case::Case;
use crate::model::ids::OsdId;
use crate::model::observed::Osd;
use crate::model::wait::{Second, Wait};
use crate::model::wait_text::{list, osds_are};

/// What else has failed, if anything.
///
/// # Errors
/// It cannot be seen.
pub fn look(case: &Case, view: &View) -> Result<Option<Wait>, Wait> {
    let cluster = view.cluster()?;
    // Another node of ours in a technician's hands is no failure; the budget allowed it.
    let ours = view.held_by_others(&case.node);
    let offline: Vec<_> = cluster
        .nodes
        .iter()
        .filter(|(name, row)| !row.online && **name != case.node && !ours.contains(name))
        .map(|(name, _)| name)
        .collect();
    if !offline.is_empty() {
        return Ok(Some(Wait::SecondFailure {
            what: format!("{} {} offline", list(&offline), if offline.len() == 1 { "is" } else { "are" }),
            of: Some(Second { nodes: offline.into_iter().cloned().collect(), offline: true }),
        }));
    }
    if view.has_ceph() {
        let ceph = view.ceph()?;
        let host = ceph.hosts.get(&case.node);
        let worked_on: BTreeSet<_> =
            ours.iter().filter_map(|node| ceph.hosts.get(*node)).chain(host).collect();
        // In place only the served disks may be down; the rest of the host works on.
        let served = case.in_place.as_ref().filter(|_| in_place::under_way(case)).map(|parts| &parts.osds);
        let expected = |id: &OsdId, osd: &Osd| match served {
            Some(osds) if Some(&osd.host) == host => osds.contains(id),
            _ => worked_on.contains(&osd.host),
        };
        let down: Vec<_> = ceph.osds.iter().filter(|(id, osd)| !osd.up && !expected(id, osd)).collect();
        if !down.is_empty() {
            let hosts: BTreeSet<_> = down.iter().map(|(_, osd)| &osd.host).collect();
            let osds: Vec<_> = down.iter().map(|(id, _)| *id).collect();
            let theirs = ceph.hosts.iter().filter(|(_, host)| hosts.contains(host));
            let nodes = theirs.map(|(node, _)| node.clone()).collect();
            return Ok(Some(Wait::SecondFailure {
                what: format!("{} down on {}", osds_are(&osds), list(&hosts)),
                of: Some(Second { nodes, offline: false }),
            }));
        }
    }
    Ok(None)
}
