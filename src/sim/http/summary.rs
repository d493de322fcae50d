//! The world in one JSON document, for assertions of tests and for people: what is true, not what is shown.

use serde_json::{Map, Value, json};

use crate::sim::World;
use crate::sim::world::board::OrderStatus;
use crate::sim::world::{Actor, NodeState, Run};

/// Everything that an assertion about a story's end needs.
pub(super) fn of(world: &World) -> Value {
    let guests = world.guests.iter().map(|(id, guest)| {
        let run = match guest.run {
            Run::Running => "running",
            Run::Stopped => "stopped",
            Run::Postmigrate => "postmigrate",
        };
        let told = json!({
            "node": guest.node, "run": run, "lock": guest.lock, "home": world.at_home(*id),
            "ha": world.ha.manages(*id),
        });
        (id.to_string(), told)
    });
    let nodes = world.nodes.iter().map(|(name, node)| {
        let state = match node.state {
            NodeState::Up => "up",
            NodeState::ShuttingDown { .. } => "shutting-down",
            NodeState::Off { .. } => "off",
            NodeState::Booting { .. } => "booting",
        };
        let told = json!({
            "state": state, "cut": node.cut.is_some(), "technician": node.technician,
            "quorate": world.quorate(name),
            "maintenance": world.ha.nodes.get(name).is_some_and(|member| member.requested)
                || world.ha.maintenance_asked(name),
            "maintenance_by": world.ha.maintenance_by.get(name).map(|(by, _)| word(*by)),
        });
        (name.to_string(), told)
    });
    let ceph = world.ceph.as_ref();
    let noout =
        ceph.iter().flat_map(|ceph| &ceph.host_noout).map(|(host, (by, _))| (host.to_string(), word(*by)));
    let flags = ceph.iter().flat_map(|ceph| &ceph.flags).map(|(flag, (by, _))| (flag.clone(), word(*by)));
    let orders = world.board.orders.iter().map(|(ticket, order)| {
        let status = match order.status {
            OrderStatus::Open => "open",
            OrderStatus::Done => "done",
            OrderStatus::Cancelled => "cancelled",
            OrderStatus::Closed => "closed",
        };
        let told =
            json!({ "case": order.case, "status": status, "rounds": order.rounds, "said": order.said });
        (ticket.to_string(), told)
    });
    json!({
        "now": world.now.to_string(),
        "guests": guests.collect::<Map<_, _>>(),
        "nodes": nodes.collect::<Map<_, _>>(),
        "noout": noout.collect::<Map<_, _>>(),
        "flags": flags.collect::<Map<_, _>>(),
        "tickets": orders.collect::<Map<_, _>>(),
        "tasks_running": world.tasks.iter().filter(|task| task.runs()).count(),
        "effects": world.effects.len(),
        "effects_of_pitlane": world.effects_of(Actor::Pitlane),
        "violations": world.safety.violations,
    })
}

fn word(by: Actor) -> Value {
    json!(match by {
        Actor::Pitlane => "pitlane",
        Actor::Human => "human",
        Actor::Ha => "ha",
    })
}
