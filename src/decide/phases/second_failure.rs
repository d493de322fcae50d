//! While a node is out, another failure is an incident by itself: nothing new begins, and it is told.

use crate::decide::view::View;
use crate::model::case::Case;
use crate::model::wait::Wait;
use crate::model::wait_text::list;

/// What else has failed, if anything.
///
/// # Errors
/// It cannot be seen.
pub fn look(case: &Case, view: &View) -> Result<Option<Wait>, Wait> {
    let cluster = view.cluster()?;
    let offline: Vec<_> = cluster
        .nodes
        .iter()
        .filter(|(name, row)| !row.online && **name != case.node)
        .map(|(name, _)| name)
        .collect();
    if !offline.is_empty() {
        return Ok(Some(Wait::SecondFailure { what: format!("{} offline", list(offline)) }));
    }
    if view.has_ceph() {
        let ceph = view.ceph()?;
        let host = ceph.hosts.get(&case.node);
        let down: Vec<_> = ceph
            .osds
            .iter()
            .filter(|(_, osd)| !osd.up && Some(&osd.host) != host)
            .map(|(id, _)| id)
            .collect();
        if !down.is_empty() {
            return Ok(Some(Wait::SecondFailure {
                what: format!("OSDs {} of other hosts down", list(down)),
            }));
        }
    }
    Ok(None)
}
