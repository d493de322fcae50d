//! How many copies of each pool stay while the host is down? ok-to-stop says yes with the last copy left; we do not.

use super::{Found, Question};
use crate::model::observed::{Pool, PoolKind};
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::Wait;
use crate::model::wait_text::list;

pub(super) fn check(q: &Question) -> Check {
    let name = CheckName::Redundancy;
    if !q.view.has_ceph() {
        return q.not_applicable(name, "declared: no Ceph on the members");
    }
    if q.view.host(q.node).is_ok_and(|host| host.is_none()) {
        return q.not_applicable(name, "the node carries no OSD");
    }
    q.answer(name, &q.view.seen.ceph, find(q))
}

fn find(q: &Question) -> Result<Found, Wait> {
    let ceph = q.view.ceph()?;
    let osds = match q.view.host(q.node)? {
        Some(host) => u32::try_from(ceph.osds_of(host).count()).unwrap_or(u32::MAX),
        None => 0,
    };
    let left = |pool: &Pool| pool.size.saturating_sub(on_one_host(pool, osds));
    let mut found = Found::new(list(
        ceph.pools.iter().map(|pool| format!("{} keeps {} of {} copies", pool.name, left(pool), pool.size)),
    ));
    for pool in &ceph.pools {
        let have = left(pool);
        if have < pool.min_size {
            found.block(Wait::TooFewCopies { pool: pool.name.clone(), have, need: pool.min_size });
        } else if have <= last(pool) || have == pool.min_size {
            found.warn(Wait::NoSpareCopy { pool: pool.name.clone(), have });
        }
    }
    Ok(found)
}

/// At most so many copies of one placement group lie on one host.
pub(super) fn on_one_host(pool: &Pool, osds: u32) -> u32 {
    if pool.failure_domain == "osd" { pool.size.min(osds) } else { 1.min(osds) }
}

/// With so many left, the next loss loses data.
pub(super) fn last(pool: &Pool) -> u32 {
    match pool.kind {
        PoolKind::Replicated => 1,
        PoolKind::Erasure { data } => data,
    }
}
