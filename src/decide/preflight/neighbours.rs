//! Is another node sick, too? It may be the next one to go, and then this one is missing. How many may alarm at once is
//! the budgets' business; that even one does is worth knowing.

use std::collections::BTreeSet;

use super::{Found, Question};
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::Wait;
use crate::model::wait_text::count;

pub(super) fn check(q: &Question) -> Check {
    q.answer(CheckName::Neighbours, &q.view.seen.pve.first, find(q))
}

fn find(q: &Question) -> Result<Found, Wait> {
    let drains = |fault: &&crate::model::fault::Fault| {
        q.view.rules.policy(&fault.policy).is_some_and(|policy| policy.respond.action.opens_a_case())
    };
    let faults = q.view.faults()?.iter().filter(|fault| fault.fires() && &fault.key.node != q.node);
    let sick: BTreeSet<_> = faults.filter(drains).map(|fault| (&fault.key.node, &fault.key.class)).collect();
    let nodes: BTreeSet<_> = sick.iter().map(|(node, _)| node).collect();
    let mut found = Found::new(format!("{} beside it with a fault", count(nodes.len(), "node")));
    for (node, class) in &sick {
        found.warn(Wait::NeighbourSick { node: (*node).clone(), class: (*class).clone() });
    }
    Ok(found)
}
