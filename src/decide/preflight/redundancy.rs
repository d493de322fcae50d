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

/// CRUSH's own types of buckets that hold a host, or are one: copies that are spread over them never share a host.
const HOST_AND_ABOVE: [&str; 11] =
    ["host", "chassis", "rack", "row", "pdu", "pod", "room", "datacenter", "zone", "region", "root"];

/// At most so many copies of one placement group lie on one host. A bucket type that an administrator made up, or a
/// rule that gives no single answer, may put as many there as the host has OSDs: what is not known counts as the worst.
pub(super) fn on_one_host(pool: &Pool, osds: u32) -> u32 {
    let spread = HOST_AND_ABOVE.contains(&pool.failure_domain.as_str());
    let most = if spread { 1 } else { pool.per_host.unwrap_or(u32::MAX) };
    pool.size.min(osds).min(most)
}

/// With so many left, the next loss loses data.
pub(super) fn last(pool: &Pool) -> u32 {
    match pool.kind {
        PoolKind::Replicated => 1,
        PoolKind::Erasure { data } => data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_host(domain: &str, per_host: Option<u32>, size: u32, osds: u32) -> u32 {
        let kind = PoolKind::Erasure { data: size - 2 };
        let (name, failure_domain) = ("ec".to_owned(), domain.to_owned());
        on_one_host(&Pool { name, kind, size, min_size: size - 1, failure_domain, per_host }, osds)
    }

    #[test]
    fn a_host_holds_as_many_shards_as_the_rule_lets_it() {
        assert_eq!(on_host("host", None, 6, 8), 1);
        assert_eq!(on_host("datacenter", None, 6, 8), 1);
        assert_eq!(on_host("host", None, 6, 0), 0, "a host without OSDs holds nothing");
        assert_eq!(on_host("osd", None, 6, 8), 6, "all of them, if CRUSH likes");
        assert_eq!(on_host("osd", None, 6, 4), 4);
        assert_eq!(on_host("osd", Some(2), 6, 8), 2, "two on each of three hosts");
    }

    #[test]
    fn what_a_rule_does_not_say_counts_as_the_worst() {
        assert_eq!(on_host("mixed", None, 3, 8), 3);
        assert_eq!(on_host("shelf", None, 3, 2), 2, "somebody's own bucket type may lie below the host");
    }
}
