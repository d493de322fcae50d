//! Does somebody else move guests? HA's own balancer and people's tools fill nodes while we empty one. What comes to this
//! node has to arrive first; what moves elsewhere changes the room that was counted.

use super::{Found, Question};
use crate::model::ids::GuestId;
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::Wait;
use crate::model::wait_text::count;

pub(super) fn check(q: &Question) -> Check {
    q.answer(CheckName::Movers, &q.view.seen.pve.ha_rules, find(q))
}

fn find(q: &Question) -> Result<Found, Wait> {
    let cluster = q.view.cluster()?;
    let ha = q.view.ha()?;
    let ours = |guest: &GuestId| q.view.state.cases.iter().any(|case| case.owed.guests.contains_key(guest));
    let mut elsewhere = Vec::new();
    let mut here = Vec::new();
    for (id, guest) in &cluster.guests {
        let by_ha = ha.services.get(id).and_then(|service| service.target.as_ref());
        if by_ha == Some(q.node) && &guest.node != q.node {
            here.push(*id);
        }
        // What is locked on the node itself is a matter of the locks' own check.
        let moving = guest.lock.as_deref() == Some("migrate");
        if moving && &guest.node != q.node && !ours(id) && by_ha.is_none() {
            elsewhere.push(*id);
        }
    }
    let mut found = Found::new(format!("{} on the way elsewhere", count(elsewhere.len(), "guest")));
    // What HA brings home since we gave it the node back is nobody else's move.
    let ours_to_come = q.case.is_some_and(|case| !case.owed.nothing());
    for guest in here.into_iter().filter(|_| !ours_to_come) {
        found.block(Wait::MovedHere { guest, node: q.node.clone() });
    }
    if ha.in_use() && q.view.ha_rules()?.auto_rebalance {
        // Off the node HA is kept by maintenance; among the others it goes on.
        found.warn(Wait::AutoRebalance);
    }
    // Not a no: a lock that somebody's broken move left behind would hold back every drain for ever.
    if !elsewhere.is_empty() {
        found.warn(Wait::ForeignMoves { guests: elsewhere });
    }
    Ok(found)
}
