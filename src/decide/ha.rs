//! What HA will do, as far as its rules tell: where it could put a guest. HA says nothing when it finds no place,
//! and then nothing happens; so we find it before.

mod forecast;

use std::collections::BTreeSet;

use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{Affinity, HaNodeState, HaRules, HaView, Opinion};
use crate::model::wait::Wait;
use crate::model::wait_text::list;

pub use forecast::{Forecast, forecast};

/// Does HA move this guest when its node goes into maintenance? Only what is requested to run, and is not ignored.
pub fn moves(guest: GuestId, ha: &HaView, rules: &HaRules) -> bool {
    ha.services.contains_key(&guest) && rules.resources.get(&guest).is_some_and(|r| r.requested == "started")
}

/// HA looks away from this guest: it moves like any other.
pub fn ignored(guest: GuestId, rules: &HaRules) -> bool {
    rules.resources.get(&guest).is_some_and(|resource| resource.requested == "ignored")
}

/// Nodes that HA may choose for `guest` once `leaving` is in maintenance.
///
/// # Errors
/// There is none, with the reason.
pub fn candidates(
    guest: GuestId,
    leaving: &NodeName,
    cluster: &Opinion,
    ha: &HaView,
    rules: &HaRules,
) -> Result<BTreeSet<NodeName>, Wait> {
    let no = |why: String| Wait::HaNoCandidate { guest, why };
    let mut open = allowed(guest, leaving, cluster, ha, rules).map_err(no)?;
    for rule in
        rules.guests.iter().filter(|rule| rule.kind == Affinity::Apart && rule.guests.contains(&guest))
    {
        if rules.broken.contains_key(&rule.rule) {
            continue;
        }
        let taken = |node: &NodeName| {
            rule.guests
                .iter()
                .any(|other| *other != guest && cluster.guests.get(other).is_some_and(|g| &g.node == node))
        };
        open.retain(|node| !taken(node));
        if open.is_empty() {
            return Err(no(format!("rule {} keeps it apart from the guests on every node left", rule.rule)));
        }
    }
    Ok(open)
}

/// Nodes that HA's rules about nodes leave open, whoever else is there.
///
/// Only the best priority class of an affinity rule counts among its online nodes, and a rule that is not strict
/// falls back to others only when none of its nodes is online: a free third node is never used otherwise.
fn allowed(
    guest: GuestId,
    leaving: &NodeName,
    cluster: &Opinion,
    ha: &HaView,
    rules: &HaRules,
) -> Result<BTreeSet<NodeName>, String> {
    let usable = |node: &NodeName| {
        node != leaving
            && cluster.online(node)
            && !ha.maintenance_requested(node)
            && ha.nodes.get(node).is_none_or(|n| n.state == HaNodeState::Online)
    };
    let mut open: BTreeSet<NodeName> = cluster.nodes.keys().filter(|n| usable(n)).cloned().collect();
    for rule in rules.nodes.iter().filter(|rule| rule.guests.contains(&guest)) {
        if rules.broken.contains_key(&rule.rule) {
            continue;
        }
        let online = rule.nodes.iter().filter(|(node, _)| open.contains(*node));
        let best = online.clone().map(|(_, priority)| *priority).max();
        match best {
            Some(best) => open = online.filter(|(_, p)| **p == best).map(|(n, _)| n.clone()).collect(),
            None if rule.strict => {
                return Err(format!("rule {} allows only {}", rule.rule, list(rule.nodes.keys())));
            }
            None => {}
        }
    }
    if open.is_empty() { Err("no other node is online for HA".to_owned()) } else { Ok(open) }
}
