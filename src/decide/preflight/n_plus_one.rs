//! With the node out, does the cluster survive the loss of any one more? A three-node cluster cannot; that is a warning.

use std::collections::BTreeMap;

use super::{Found, Question};
use crate::decide::placement::{Need, Room, cost, place, rooms};
use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::Power;
use crate::model::rules::NPlusOne;
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::Wait;
use crate::model::wait_text::count;

pub(super) fn check(q: &Question) -> Check {
    if q.view.rules.packing.n_plus_one == NPlusOne::Off {
        return q.not_applicable(CheckName::NPlusOne, "switched off in the configuration");
    }
    q.answer(CheckName::NPlusOne, &q.view.seen.pve.first, find(q))
}

fn find(q: &Question) -> Result<Found, Wait> {
    let (open, _) = rooms(q.node, q.view)?;
    let after = after_the_drain(q, open)?;
    let mut found = Found::new(format!("the loss of each of {} looked at", count(after.len(), "other node")));
    for lost in after.keys() {
        let left = without(q, &after, lost)?;
        if left.is_empty() {
            continue;
        }
        let no_spare = Wait::NoSpareFor { lost: lost.clone(), guests: left };
        match q.view.rules.packing.n_plus_one {
            NPlusOne::Required => found.block(no_spare),
            _ => found.warn(no_spare),
        }
    }
    Ok(found)
}

/// What the nodes have left once the plan is carried out.
fn after_the_drain(
    q: &Question,
    mut open: BTreeMap<NodeName, Room>,
) -> Result<BTreeMap<NodeName, Room>, Wait> {
    let cluster = q.view.cluster()?;
    let planned = q.planned()?;
    let needs: Vec<Need> = cluster
        .guests_on(q.node)
        .filter(|(_, guest)| guest.power != Power::Stopped && !guest.template)
        .filter(|(id, _)| !planned.plan.stops.contains_key(id))
        .map(|(id, guest)| Need {
            guests: vec![*id],
            memory: cost(guest, &q.view.rules.packing),
            cpus: guest.cpus,
            only: planned.plan.ha.get(id).cloned().or_else(|| {
                let target = planned.plan.moves.iter().find(|m| m.guest == *id)?;
                Some([target.to.clone()].into())
            }),
            ..Need::default()
        })
        .collect();
    let placed = place(&needs, &open);
    for need in &needs {
        if let Some(room) =
            need.guests.first().and_then(|id| placed.to.get(id)).and_then(|to| open.get_mut(to))
        {
            room.promise(need);
        }
    }
    Ok(open)
}

/// HA guests that would find no place if `lost` died as well. Only HA restarts guests by itself.
fn without(q: &Question, after: &BTreeMap<NodeName, Room>, lost: &NodeName) -> Result<Vec<GuestId>, Wait> {
    let cluster = q.view.cluster()?;
    let Some(dead) = after.get(lost) else { return Ok(Vec::new()) };
    let needs: Vec<Need> = dead
        .holds
        .iter()
        .filter_map(|id| cluster.guests.get(id).map(|guest| (*id, guest)))
        .filter(|(_, guest)| guest.ha && guest.power != Power::Stopped)
        .map(|(id, guest)| Need {
            guests: vec![id],
            memory: cost(guest, &q.view.rules.packing),
            cpus: guest.cpus,
            ..Need::default()
        })
        .collect();
    let mut rest = after.clone();
    rest.remove(lost);
    Ok(place(&needs, &rest).left.into_keys().collect())
}
