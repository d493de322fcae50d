//! Where HA may put a guest: the rules, and the holes in them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{Affinity, HaNodeState};

use super::{Ha, ServiceState};

impl Ha {
    /// Nodes that HA may choose for a guest now. Only the highest class among the online nodes of an affinity rule
    /// counts; a rule that is not strict falls back only when none of its nodes is online. What rules between guests
    /// take away afterwards is not given back: that is the silent stall.
    pub fn candidates(&self, guest: GuestId) -> BTreeSet<NodeName> {
        let online: BTreeSet<&NodeName> = self
            .nodes
            .iter()
            .filter(|(_, member)| member.state == HaNodeState::Online)
            .map(|(name, _)| name)
            .collect();
        let mut left = self.top_class(guest, &online);
        let rules: Vec<_> = self
            .guest_rules
            .iter()
            .filter(|rule| rule.guests.contains(&guest) && !self.broken.contains_key(&rule.rule))
            .map(|rule| {
                let others = rule.guests.iter().filter(|other| **other != guest);
                (rule.kind, others.filter_map(|other| self.place_of(*other)).collect::<Vec<&NodeName>>())
            })
            .collect();
        // Those that draw guests together come first, and count only nodes that are still open.
        for (_, places) in rules.iter().filter(|(kind, _)| *kind == Affinity::Together) {
            if let Some(most) = majority(places.iter().filter(|node| left.contains(**node)).copied()).cloned()
            {
                left = [most].into();
            }
        }
        for (_, places) in rules.iter().filter(|(kind, _)| *kind == Affinity::Apart) {
            left.retain(|node| !places.contains(&node));
        }
        left
    }

    fn top_class(&self, guest: GuestId, online: &BTreeSet<&NodeName>) -> BTreeSet<NodeName> {
        let all = || online.iter().map(|n| (*n).clone()).collect();
        let rule =
            self.node_rules.iter().find(|r| r.guests.contains(&guest) && !self.broken.contains_key(&r.rule));
        let Some(rule) = rule else { return all() };
        let listed: BTreeMap<&NodeName, i64> =
            rule.nodes.iter().filter(|(n, _)| online.contains(n)).map(|(n, class)| (n, *class)).collect();
        match listed.values().max() {
            Some(top) => {
                listed.iter().filter(|(_, class)| *class == top).map(|(n, _)| (*n).clone()).collect()
            }
            None if rule.strict => BTreeSet::new(),
            None => all(),
        }
    }

    /// Where a guest is, or is going.
    fn place_of(&self, guest: GuestId) -> Option<&NodeName> {
        let service = self.services.get(&guest)?;
        if service.state == ServiceState::Stopped {
            return None;
        }
        service.target.as_ref().or(Some(&service.node))
    }

    /// The candidate with the fewest HA guests; by name among equals.
    pub fn choose(&self, guest: GuestId) -> Option<NodeName> {
        let load = |node: &NodeName| {
            self.services.keys().filter(|id| **id != guest && self.place_of(**id) == Some(node)).count()
        };
        self.candidates(guest).into_iter().min_by_key(|node| (load(node), node.clone()))
    }
}

fn majority<'a>(places: impl Iterator<Item = &'a NodeName>) -> Option<&'a NodeName> {
    let mut counts: BTreeMap<&NodeName, usize> = BTreeMap::new();
    for place in places {
        *counts.entry(place).or_default() += 1;
    }
    // By name among equals.
    counts.into_iter().min_by_key(|(node, n)| (std::cmp::Reverse(*n), *node)).map(|(node, _)| node)
}
