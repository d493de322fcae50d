//! Has somebody else set flags? What is on this host stays theirs; what holds back recovery stops us.

use std::collections::BTreeSet;

use super::{Found, Question};
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::Wait;

/// Flags under which Ceph cannot look after itself, so a node must not leave.
const STOPPING: [&str; 7] = ["pause", "noup", "nodown", "noin", "norecover", "nobackfill", "norebalance"];

pub(super) fn check(q: &Question) -> Check {
    if !q.view.has_ceph() {
        return q.not_applicable(CheckName::CephFlags, "declared: no Ceph on the members");
    }
    q.answer(CheckName::CephFlags, &q.view.seen.ceph, find(q))
}

fn find(q: &Question) -> Result<Found, Wait> {
    let ceph = q.view.ceph()?;
    let mut found =
        Found::new(format!("{} cluster flags, {} hosts flagged", ceph.flags.len(), ceph.host_flags.len()));
    for flag in &ceph.flags {
        if STOPPING.contains(&flag.as_str()) {
            found.block(Wait::ForeignFlag { flag: flag.clone() });
        } else if flag == "noout" {
            found.warn(Wait::ForeignFlag { flag: flag.clone() });
        }
    }
    // A rack, a device class, a single OSD: no member's host, and still somebody's mark.
    let members: BTreeSet<_> = ceph.hosts.values().collect();
    for (place, flags) in ceph.host_flags.iter().filter(|(place, _)| !members.contains(place)) {
        if flags.contains("noout") {
            found.warn(Wait::ForeignNoout { host: place.clone() });
        }
    }
    if let Some(host) = q.view.host(q.node)? {
        let ours = q.case.is_some_and(|case| case.owed.noout.is_some());
        if ceph.has_noout(host) && !ours {
            found.warn(Wait::ForeignNoout { host: host.clone() });
        }
    }
    Ok(found)
}
