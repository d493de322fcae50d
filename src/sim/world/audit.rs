//! After a story: is everything where it belongs, and was nothing done more often than it should?

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use crate::model::ids::{GuestId, HostName, NodeName};

use super::board::OrderStatus;
use super::{Actor, World};

/// What the end should look like, beside the obvious.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// Work orders ever written.
    pub work_orders: usize,
    /// Guests that need not be at home: a person agreed, or something broke them.
    pub strays: BTreeSet<GuestId>,
    /// Marks that a human set, and that must still be there.
    pub human_noout: BTreeSet<HostName>,
    pub human_maintenance: BTreeSet<NodeName>,
    /// How often pitlane may have done what: kind of effect → times. Kinds not named are not counted.
    pub effects: BTreeMap<&'static str, RangeInclusive<usize>>,
}

/// Everything that is not as it should be, in words. Empty: all is well.
pub fn audit(world: &World, expect: &Expect) -> Vec<String> {
    let mut wrong = world.safety.violations.clone();
    guests(world, expect, &mut wrong);
    marks(world, expect, &mut wrong);
    let orders = &world.board.orders;
    if orders.len() != expect.work_orders {
        wrong.push(format!("{} work orders, expected {}", orders.len(), expect.work_orders));
    }
    let open = orders.iter().filter(|(_, o)| matches!(o.status, OrderStatus::Open | OrderStatus::Done));
    wrong.extend(open.map(|(ticket, o)| format!("work order {ticket} is left {:?}", o.status)));
    let done = world.effects_of(Actor::Pitlane);
    for (kind, times) in &expect.effects {
        let n = done.get(kind).copied().unwrap_or(0);
        if !times.contains(&n) {
            wrong.push(format!("{kind} was done {n} times, expected {times:?}"));
        }
    }
    wrong
}

fn guests(world: &World, expect: &Expect, wrong: &mut Vec<String>) {
    for (id, guest) in &world.guests {
        if expect.strays.contains(id) {
            continue;
        }
        if let Some((home, power)) = world.origin.get(id).filter(|_| !world.at_home(*id)) {
            wrong.push(format!(
                "guest {id} is {:?} on {} with lock {:?}, and was {power:?} on {home}",
                guest.run, guest.node, guest.lock
            ));
        }
    }
    let running = world.tasks.iter().filter(|t| t.runs() && t.by == Actor::Pitlane);
    wrong.extend(running.map(|t| format!("task {} still runs", t.upid)));
}

fn marks(world: &World, expect: &Expect, wrong: &mut Vec<String>) {
    for (node, (by, _)) in &world.ha.maintenance_by {
        if *by == Actor::Pitlane {
            wrong.push(format!("{node} is left under maintenance"));
        }
    }
    let silenced = world.silences.values().filter(|set| set.by == Actor::Pitlane && set.ends_at > world.now);
    wrong.extend(silenced.map(|set| format!("{} is left silenced", set.node())));
    for node in &expect.human_maintenance {
        if world.ha.maintenance_by.get(node).map(|(by, _)| *by) != Some(Actor::Human) {
            wrong.push(format!("the maintenance of {node} that a human set is gone"));
        }
    }
    let noout = world.ceph.as_ref().map(|c| &c.host_noout);
    for (host, (by, _)) in noout.into_iter().flatten() {
        if *by == Actor::Pitlane {
            wrong.push(format!("{host} is left with noout"));
        }
    }
    for host in &expect.human_noout {
        if noout.and_then(|n| n.get(host)).map(|(by, _)| *by) != Some(Actor::Human) {
            wrong.push(format!("the noout of {host} that a human set is gone"));
        }
    }
}
