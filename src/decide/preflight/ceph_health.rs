//! Is Ceph reachable, quorate, clean, and ill only in ways that do not matter? Decided on codes and PG states: the
//! level says little, and after an auto-out a cluster with a dead host is HEALTH_OK.

use super::{Found, Question};
use crate::model::rules::CephSetup;
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::Wait;
use crate::model::wait_text::list;

pub(super) fn check(q: &Question) -> Check {
    match q.view.rules.ceph {
        CephSetup::None => q.not_applicable(CheckName::CephHealth, "declared: no Ceph"),
        CephSetup::External => q.not_applicable(CheckName::CephHealth, "declared: Ceph on other machines"),
        CephSetup::Hyperconverged => q.answer(CheckName::CephHealth, &q.view.seen.ceph, find(q)),
    }
}

fn find(q: &Question) -> Result<Found, Wait> {
    let ceph = q.view.ceph()?;
    let mut found = Found::new(format!(
        "{} of {} monitors, {} OSDs, {} health codes",
        ceph.quorum.len(),
        ceph.monitors.len(),
        ceph.osds.len(),
        ceph.checks.len()
    ));
    for (code, health) in &ceph.checks {
        // A flag is a matter of the flags' own check; a muted code is still there.
        if !q.view.rules.limits.ceph_benign.contains(code) {
            found.block(Wait::CephHealth { code: code.clone(), summary: health.told() });
        }
    }
    let unclean = ceph.unclean_pgs();
    if !unclean.is_empty() {
        found.block(Wait::PgsUnclean {
            states: list(unclean.iter().map(|(state, n)| format!("{n} {state}"))),
        });
    }
    // Also those on the node itself: a host that is down already makes every other answer a yes.
    let down: Vec<_> = ceph.osds.iter().filter(|(_, osd)| !(osd.up && osd.r#in)).map(|(id, _)| *id).collect();
    if !down.is_empty() {
        found.block(Wait::OsdsDown { osds: down });
    }
    // Another node that we handed over is on still, and may be switched off at any moment.
    let off = q.view.off_with_others(q.node);
    let here = |name: &str| name == q.node.as_str() || off.iter().any(|node| node.as_str() == name);
    if ceph.active_mgr.is_none() || !ceph.standby_mgrs.iter().chain(&ceph.active_mgr).any(|mgr| !here(mgr)) {
        found.block(Wait::NoStandbyMgr);
    }
    let left = q.view.monitors_without(q.node)?;
    if left * 2 <= ceph.monitors.len() {
        found.block(Wait::MonsAfter { left, monitors: ceph.monitors.len() });
    }
    Ok(found)
}
