//! By name: the order in which somebody wrote the cluster down is no reason for another plan.

use super::instance::{Instance, NodeAt};
use super::outcome::{Left, Planned, PlannedMove};
use super::{Refused, Wishes};

/// Plans with nodes and guests sorted by name, and answers in the order in which they came.
pub fn plan(
    inst: &Instance,
    wishes: &Wishes,
    planner: impl Fn(&Instance, &Wishes) -> Result<Planned, Refused>,
) -> Result<Planned, Refused> {
    let nodes = by_name(inst.nodes.len(), |at| &inst.nodes[at].id);
    let guests = by_name(inst.guests.len(), |at| &inst.guests[at].id);
    if nodes.is_sorted() && guests.is_sorted() {
        return planner(inst, wishes);
    }
    let (node_to, guest_to) = (inverse(&nodes), inverse(&guests));
    let there = |all: &[NodeAt]| {
        let mut all: Vec<NodeAt> = all.iter().map(|at| node_to[*at]).collect();
        all.sort_unstable();
        all
    };
    let mut sorted = inst.clone();
    sorted.nodes = nodes.iter().map(|at| inst.nodes[*at].clone()).collect();
    sorted.guests = guests.iter().map(|at| inst.guests[*at].clone()).collect();
    for guest in &mut sorted.guests {
        guest.node = node_to[guest.node];
        guest.home = guest.home.map(|home| node_to[home]);
        guest.allowed = guest.allowed.as_deref().map(there);
        guest.restarts = guest.restarts.as_deref().map(there);
        guest.prefer = there(&guest.prefer);
    }
    for rule in &mut sorted.rules {
        rule.guests = rule.guests.iter().map(|at| guest_to[*at]).collect();
        rule.guests.sort_unstable();
    }
    let mut foreign = wishes.foreign.clone();
    foreign.guests.iter_mut().for_each(|at| *at = guest_to[*at]);
    foreign.guests.sort_unstable();
    let pairs = |all: &[(usize, usize)]| {
        let mut all: Vec<_> = all.iter().map(|(g, n)| (guest_to[*g], node_to[*n])).collect();
        all.sort_unstable();
        all
    };
    let mut done: Vec<usize> = wishes.done.iter().map(|at| guest_to[*at]).collect();
    done.sort_unstable();
    let (running, keep) = (pairs(&wishes.running), pairs(&wishes.keep));
    let asked = Wishes { done, running, keep, foreign, ..wishes.clone() };
    let planned = planner(&sorted, &asked)?;
    let back = |all: Vec<usize>| all.into_iter().map(|at| guests[at]).collect::<Vec<_>>();
    let moves = planned.moves.into_iter().map(|m| PlannedMove {
        guest: guests[m.guest],
        to: nodes[m.to],
        after: back(m.after),
        ..m
    });
    let left = planned.left.into_iter().map(|left| Left {
        guest: guests[left.guest],
        blockers: left.blockers.into_iter().map(|(node, why)| (nodes[node], why)).collect(),
        ..left
    });
    let fragile = planned.fragile.into_iter().map(|(node, lost)| (nodes[node], back(lost)));
    Ok(Planned {
        fragile: fragile.collect(),
        moves: moves.collect(),
        stops: back(planned.stops),
        left: left.collect(),
        canary: planned.canary.map(|at| guests[at]),
        ..planned
    })
}

/// Indices in the order of their names.
fn by_name<'a>(count: usize, name: impl Fn(usize) -> &'a String) -> Vec<usize> {
    let mut all: Vec<usize> = (0..count).collect();
    all.sort_by(|a, b| name(*a).cmp(name(*b)));
    all
}

fn inverse(order: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; order.len()];
    for (new, old) in order.iter().enumerate() {
        inverse[*old] = new;
    }
    inverse
}
