//! Budgets that count over other clusters: may this node be one more, and which places this cluster is to hold.
//!
//! A place is counted whoever holds it. What cannot be seen of the places is no; what another cluster cannot see of itself stays
//! as it was last seen.

use std::collections::BTreeSet;

use super::preflight::seen_out;
use super::view::View;
use crate::model::case::Case;
use crate::model::ids::{ClusterName, NodeName};
use crate::model::shared::{Place, SharedBudget};
use crate::model::state::Decision;
use crate::model::wait::{Source, Wait};

/// Why this node must not be one more, budget by budget.
///
/// # Errors
/// It cannot be told who holds a place.
pub(super) fn full(node: &NodeName, out_here: &BTreeSet<NodeName>, view: &View) -> Result<Vec<Wait>, Wait> {
    let Some(shared) = &view.rules.shared else { return Ok(Vec::new()) };
    let places = view.fresh(Source::Places, &view.seen.places)?;
    let mut full = Vec::new();
    for budget in shared.budgets.iter().filter(|budget| budget.counts(node)) {
        let out = others(node, &shared.cluster, budget, places, out_here);
        if u32::try_from(out.len()).unwrap_or(u32::MAX) >= budget.nodes_out_max {
            let (budget, max) = (budget.name.clone(), budget.nodes_out_max);
            full.push(Wait::SharedBudgetSpent { budget, out: out.into_iter().collect(), max });
        }
    }
    Ok(full)
}

/// Other nodes that count, each with its cluster: those that hold a place, and those of ours that are out and hold none yet.
fn others(
    node: &NodeName,
    cluster: &ClusterName,
    budget: &SharedBudget,
    places: &[Place],
    out_here: &BTreeSet<NodeName>,
) -> BTreeSet<(ClusterName, NodeName)> {
    let held = places.iter().filter(|place| place.budget == budget.name);
    let held = held.map(|place| (place.cluster.clone(), place.node.clone()));
    let here = out_here.iter().filter(|node| budget.counts(node));
    let here = here.map(|node| (cluster.clone(), node.clone()));
    let ours = (cluster.clone(), node.clone());
    held.chain(here).filter(|one| *one != ours).collect()
}

/// The places that this cluster is to hold once the decision counts: of nodes that a case holds, and of nodes that are seen to
/// be out.
pub(super) fn wanted(decision: &Decision, view: &View) -> Vec<Place> {
    let Some(shared) = &view.rules.shared else { return Vec::new() };
    let old = view.seen.places.any_age().map(Vec::as_slice).unwrap_or_default();
    let ours: Vec<&Place> = old.iter().filter(|place| place.cluster == shared.cluster).collect();
    let held: Vec<&Case> = cases(decision, view).filter(|case| case.holds_the_node()).collect();
    let out = seen_out(view).unwrap_or_else(|_| {
        // Nobody can say that they are back.
        ours.iter().filter(|place| place.case.is_none()).map(|place| place.node.clone()).collect()
    });
    let nodes: BTreeSet<&NodeName> = held.iter().map(|case| &case.node).chain(&out).collect();
    let mut wanted = Vec::new();
    for budget in &shared.budgets {
        for node in nodes.iter().filter(|node| budget.counts(node)) {
            let case = held.iter().find(|case| &case.node == *node).map(|case| case.id);
            let (name, cluster) = (budget.name.clone(), shared.cluster.clone());
            let place = Place { budget: name, cluster, node: (*node).clone(), case, since: view.now };
            let since = ours.iter().find(|old| old.same(&place)).map_or(view.now, |old| old.since);
            wanted.push(Place { since, ..place });
        }
    }
    wanted
}

/// As they will be when the decision is written down.
fn cases<'a>(decision: &'a Decision, view: &'a View) -> impl Iterator<Item = &'a Case> {
    let changed = |case: &&Case| decision.cases.iter().any(|new| new.id == case.id);
    view.state.cases.iter().filter(move |case| !changed(case)).chain(&decision.cases)
}
