//! Guests of other cases that are to leave and have not set out: a plan is made for the cluster as those drains will leave
//! it. Two plans would promise the same room otherwise, and a person would agree to both.
//!
//! For plans that are shown and agreed to. Whether a node takes a guest at this moment is looked at again before each start,
//! and there a promise counts for nothing: two drains that held room for each other in a cluster that has become too small
//! would both stand still.

use std::collections::BTreeMap;

use super::ha;
use super::live::under_way;
use super::view::View;
use crate::model::case::Phase;
use crate::model::ids::{GuestId, NodeName};

/// Where they are to go. Who is bound for `leaving` itself is left out: that drain finds it another target.
pub fn promised(leaving: &NodeName, view: &View) -> BTreeMap<GuestId, NodeName> {
    let Ok(cluster) = view.cluster() else { return BTreeMap::new() };
    let mut all = BTreeMap::new();
    for case in view.state.cases.iter().filter(|case| &case.node != leaving) {
        let Phase::Draining { clearance, course, .. } = &case.phase else { continue };
        let plan = clearance.plan();
        let moves = if course.is_empty() { &plan.moves } else { course };
        let at = |id: &GuestId, home: &NodeName| cluster.guests.get(id).is_some_and(|g| &g.node == home);
        let ours = moves.iter().filter(|m| at(&m.guest, m.from.as_ref().unwrap_or(&plan.node)));
        all.extend(ours.map(|m| (m.guest, m.to.clone())));
        // HA tells nobody where; as far as that can be foretold it counts, too.
        if let (false, Ok(seen), Ok(rules)) = (plan.ha.is_empty(), view.ha(), view.ha_rules())
            && let Some(foretold) = ha::forecast(&plan.node, cluster, seen, rules)
        {
            let theirs = foretold.to.into_iter().filter(|(id, _)| plan.ha.contains_key(id));
            all.extend(theirs);
        }
    }
    let moving = under_way(view);
    all.retain(|id, to| {
        let stands = cluster.guests.get(id).is_some_and(|guest| &guest.node != leaving && &guest.node != to);
        stands && to != leaving && !moving.contains_key(id) && cluster.nodes.contains_key(to)
    });
    all
}
