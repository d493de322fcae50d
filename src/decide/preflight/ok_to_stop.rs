//! Do all placement groups stay available when all OSDs of the host stop together? One joint question: asked one by
//! one they may all pass and fail together.

use std::collections::BTreeSet;

use super::{Found, Question};
use crate::model::ids::OsdId;
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::Wait;

pub(super) fn check(q: &Question) -> Check {
    let name = CheckName::OkToStop;
    if !q.view.has_ceph() {
        return q.not_applicable(name, "declared: no Ceph on the members");
    }
    match q.view.host(q.node) {
        Ok(None) => q.not_applicable(name, "the node carries no OSD"),
        Ok(Some(host)) => match q.view.seen.ok_to_stop.get(host) {
            Some(seen) => q.answer(name, seen, find(q)),
            None => q.answer(name, &q.view.seen.ceph, find(q)),
        },
        Err(_) => q.answer(name, &q.view.seen.ceph, find(q)),
    }
}

fn find(q: &Question) -> Result<Found, Wait> {
    let ceph = q.view.ceph()?;
    let Some(host) = q.view.host(q.node)? else {
        return Err(Wait::HostUnknown { node: q.node.clone() });
    };
    let stop = q.view.ok_to_stop(host)?;
    let osds: BTreeSet<OsdId> = ceph.osds_of(host).map(|(id, _)| *id).collect();
    let mut found = Found::new(format!(
        "{} OSDs together, {} placement groups stay available",
        stop.asked.len(),
        stop.ok_pgs
    ));
    // It is asked together with what others of ours took out.
    if !osds.is_subset(&stop.asked) {
        // The tree changed between the two answers: the yes is about other OSDs.
        found.block(Wait::HostUnknown { node: q.node.clone() });
    }
    if !stop.ok {
        found.block(Wait::NotOkToStop { host: host.clone(), bad_pgs: stop.bad_pgs });
    } else if stop.ok_pgs == 0 && !ceph.pools.is_empty() {
        found.block(Wait::EmptyAnswer { host: host.clone() });
    }
    Ok(found)
}
