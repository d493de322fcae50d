//! Where HA will put its guests, guest by guest, before it is asked to.
//!
//! HA's `basic` scheduler counts guests and never asks for memory: it fills a node that has no room, and says nothing.
//! What it counts can be counted here. The other schedulers weigh use that changes by the second; of them only the
//! candidates are known. Nothing here decides: a guest without a place is a finding, not an order.

use std::collections::{BTreeMap, BTreeSet};

use super::{allowed, moves};
use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{Affinity, GuestKind, HaRules, HaScheduler, HaView, Opinion};

/// What HA will do with the guests of one node that goes into maintenance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    pub to: BTreeMap<GuestId, NodeName>,
    /// Guests for which nothing will happen, and nothing will be logged, with the reason.
    pub stalls: BTreeMap<GuestId, String>,
}

/// One round of HA's manager over the guests that it moves off `leaving`. `None`: this scheduler cannot be foretold.
pub fn forecast(leaving: &NodeName, cluster: &Opinion, ha: &HaView, rules: &HaRules) -> Option<Forecast> {
    if rules.datacenter.scheduler != HaScheduler::Basic {
        return None;
    }
    let mut round = Round { places: places(ha), rules };
    let here = cluster.guests_on(leaving).filter(|(id, _)| moves(**id, ha, rules));
    let mut order: Vec<(String, GuestId)> = here.map(|(id, row)| (sid(*id, row.kind), *id)).collect();
    order.sort();
    let mut forecast = Forecast::default();
    for (_, guest) in order {
        let chosen = allowed(guest, leaving, cluster, ha, rules).and_then(|open| round.choose(guest, open));
        match chosen {
            Ok(node) => {
                round.places.insert(guest, node.clone());
                forecast.to.insert(guest, node);
            }
            Err(why) => {
                forecast.stalls.insert(guest, why);
            }
        }
    }
    Some(forecast)
}

/// `ct:105`, `vm:1000`: HA takes its guests in the order of these words, not of their numbers.
fn sid(guest: GuestId, kind: GuestKind) -> String {
    match kind {
        GuestKind::Qemu => format!("vm:{guest}"),
        GuestKind::Lxc => format!("ct:{guest}"),
    }
}

/// Where each guest that counts is, or is going. Stopped ones weigh nothing.
fn places(ha: &HaView) -> BTreeMap<GuestId, NodeName> {
    ha.services
        .iter()
        .filter(|(_, service)| service.state != "stopped")
        .map(|(id, service)| (*id, service.target.as_ref().unwrap_or(&service.node).clone()))
        .collect()
}

struct Round<'a> {
    places: BTreeMap<GuestId, NodeName>,
    rules: &'a HaRules,
}

impl Round<'_> {
    /// `left`: the nodes that are open to the guest, one at least.
    fn choose(&self, guest: GuestId, mut left: BTreeSet<NodeName>) -> Result<NodeName, String> {
        // Together before apart, as HA does it; what the one leaves the other may take away.
        for (_, others) in self.neighbours(guest, Affinity::Together) {
            let mut most: Vec<(usize, &NodeName)> =
                left.iter().map(|node| (others.iter().filter(|at| **at == node).count(), node)).collect();
            most.sort_by_key(|(count, node)| (std::cmp::Reverse(*count), *node));
            if let Some((1.., node)) = most.first() {
                left = [(*node).clone()].into();
            }
        }
        for (rule, others) in self.neighbours(guest, Affinity::Apart) {
            left.retain(|node| !others.contains(&node));
            if left.is_empty() {
                return Err(format!(
                    "rule {rule} keeps it apart from the guests on every node that HA would use"
                ));
            }
        }
        let weight = |node: &NodeName| {
            self.places.iter().filter(|(other, at)| **other != guest && *at == node).count()
        };
        left.into_iter()
            .min_by_key(|node| (weight(node), node.clone()))
            .ok_or_else(|| "no other node is online for HA".to_owned())
    }

    /// Each sound rule of this kind, with the places of the guest's fellows in it.
    fn neighbours(&self, guest: GuestId, kind: Affinity) -> impl Iterator<Item = (&str, Vec<&NodeName>)> {
        self.rules
            .guests
            .iter()
            .filter(move |rule| {
                rule.kind == kind
                    && rule.guests.contains(&guest)
                    && !self.rules.broken.contains_key(&rule.rule)
            })
            .map(move |rule| {
                let others = rule.guests.iter().filter(|other| **other != guest);
                (rule.rule.as_str(), others.filter_map(|other| self.places.get(other)).collect())
            })
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::model::observed::{NodeAffinity, ResourceAffinity};
    use crate::model::step::Switch;
    use crate::sim::World;
    use crate::sim::world::Actor;

    fn node(n: u32) -> NodeName {
        NodeName(format!("pve{n}"))
    }

    /// Three to six nodes, guests anywhere, rules of every kind, some of them in each other's way.
    fn cluster(seed: u64) -> World {
        let mut chance = StdRng::seed_from_u64(seed);
        let nodes = chance.random_range(3..=6);
        let mut builder = World::builder(nodes).seed(seed);
        let mut ids = Vec::new();
        for n in 0..chance.random_range(4..=14u32) {
            // So that the order of the words is not the order of the numbers.
            let id = if chance.random_bool(0.3) { 1000 + n } else { 101 + n };
            let on =
                format!("pve{}", if chance.random_bool(0.5) { 1 } else { chance.random_range(1..=nodes) });
            builder = if chance.random_bool(0.3) { builder.ct(id, &on) } else { builder.vm(id, &on) };
            ids.push(id);
        }
        let mut world = builder.ha(&ids).build();
        let some = |chance: &mut StdRng, at_most: usize| -> BTreeSet<GuestId> {
            (0..chance.random_range(2..=at_most))
                .map(|_| GuestId(ids[chance.random_range(0..ids.len())]))
                .collect()
        };
        if chance.random_bool(0.6) {
            let listed = (1..=nodes).filter(|_| chance.random_bool(0.5)).collect::<Vec<_>>();
            world.ha.node_rules.push(NodeAffinity {
                rule: "prefer".to_owned(),
                guests: some(&mut chance, 4),
                nodes: listed.into_iter().map(|n| (node(n), i64::from(n % 2))).collect(),
                strict: chance.random_bool(0.5),
            });
        }
        for (rule, kind) in [("apart", Affinity::Apart), ("together", Affinity::Together)] {
            if chance.random_bool(0.6) {
                let rule = rule.to_owned();
                world.ha.guest_rules.push(ResourceAffinity { rule, guests: some(&mut chance, 3), kind });
            }
        }
        world
    }

    /// What is foretold happens in a cluster that shares no code with the forecast, stalls included.
    #[test]
    fn ha_does_what_was_foretold() {
        let (mut moved, mut stalled) = (0, 0);
        for seed in 0..150 {
            let mut world = cluster(seed);
            // Until what a rule calls misplaced has found its place.
            world.advance_secs(900);
            let leaving = node(1);
            let seen = world.opinion(&node(2));
            let (ha, rules) = (world.ha_view(), world.ha_rules());
            let foretold = forecast(&leaving, &seen, &ha, &rules).expect("basic can be foretold");
            world.set_maintenance(Actor::Pitlane, &node(2), &leaving, Switch::On).expect("accepted");
            world.advance_secs(900);
            for (guest, to) in &foretold.to {
                assert_eq!(&world.guests[guest].node, to, "seed {seed}, guest {guest}");
            }
            for guest in foretold.stalls.keys() {
                assert_eq!(world.guests[guest].node, leaving, "seed {seed}, guest {guest} was to stall");
            }
            moved += foretold.to.len();
            stalled += foretold.stalls.len();
        }
        assert!(
            moved > 300 && stalled > 10,
            "{moved} moved and {stalled} stalled: the clusters show too little"
        );
    }

    #[test]
    fn a_scheduler_that_weighs_is_not_foretold() {
        let world = cluster(1);
        let mut rules = world.ha_rules();
        rules.datacenter.scheduler = HaScheduler::Weighing;
        assert_eq!(forecast(&node(1), &world.opinion(&node(2)), &world.ha_view(), &rules), None);
    }
}
