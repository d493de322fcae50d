//! Do Ceph's monitors keep their majority when the machine is switched off? Asked again after the verdict: hours may lie between
//! it and the hand on the switch, and a monitor elsewhere may have died meanwhile. Without a majority every write of every guest
//! hangs, and no OSD has to fail for it.

use crate::decide::view::View;
use crate::model::case::Case;
use crate::model::wait::Wait;

/// Why the machine must stay on; nothing once it is off.
///
/// # Errors
/// It cannot be seen.
pub fn look(case: &Case, view: &View) -> Result<Option<Wait>, Wait> {
    if !view.has_ceph() || !view.cluster()?.online(&case.node) {
        return Ok(None);
    }
    let (left, monitors) = (view.monitors_without(&case.node)?, view.ceph()?.monitors.len());
    Ok((left * 2 <= monitors).then_some(Wait::MonsAfter { left, monitors }))
}
