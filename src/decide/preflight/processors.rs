//! Will guests that see their node's own processor find the same elsewhere? Ours are kept off unlike nodes by the planner;
//! HA asks nobody, so where it might choose one the node does not leave.

use std::collections::BTreeSet;

use super::{Found, Question};
use crate::decide::processors::{machine, native, unfit};
use crate::model::ids::{GuestId, NodeName};
use crate::model::plan::{How, Plan};
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::Wait;
use crate::model::wait_text::count;

pub(super) fn check(q: &Question) -> Check {
    q.answer(CheckName::Processors, &q.view.seen.pve.first, find(q))
}

fn find(q: &Question) -> Result<Found, Wait> {
    let cluster = q.view.cluster()?;
    let plan = &q.planned()?.plan;
    let compared = q.view.survey(q.node)?.machines.values().filter(|seen| seen.any_age().is_some()).count();
    let mut found = Found::new(format!("{} compared", count(compared, "processor")));
    for (guest, nodes) in &plan.ha {
        let Some(row) = cluster.guests.get(guest) else { continue };
        let unfit = unfit(row, q.view.guest(*guest)?, Some(q.node), q.view);
        for (node, why) in nodes.iter().filter_map(|node| Some((node, unfit.get(node)?))) {
            found.block(Wait::UnlikeProcessor { guest: *guest, node: node.clone(), why: why.clone() });
        }
    }
    // All features are there, and still: what the guest was told at its start is another model.
    let mut others: Vec<GuestId> = Vec::new();
    for step in &plan.moves {
        let (Some(row), Ok(detail)) = (cluster.guests.get(&step.guest), q.view.guest(step.guest)) else {
            continue;
        };
        let model = |node| machine(q.node, node, q.view).map(|machine| &machine.model);
        if native(detail) && model(&row.node) != model(&step.to) {
            others.push(step.guest);
        }
    }
    if !others.is_empty() {
        others.sort_unstable();
        found.warn(Wait::OtherProcessor { guests: others });
    }
    let stranded = no_way_home(q, plan);
    if !stranded.is_empty() {
        found.warn(Wait::NoWayHome { guests: stranded.into_iter().collect() });
    }
    Ok(found)
}

/// Guests that may go where a processor has more than this one: whatever begins there counts on it, so while they run they
/// do not come home. Ours are left where they are then; for HA's, maintenance is kept until a person has chosen.
fn no_way_home(q: &Question, plan: &Plan) -> BTreeSet<GuestId> {
    let ha = plan.ha.iter().flat_map(|(guest, nodes)| nodes.iter().map(|node| (*guest, node)));
    let ours = plan.moves.iter().filter(|step| step.from.is_none() && step.how != How::Offline);
    let ours = ours.map(|step| (step.guest, &step.to));
    let more = |(guest, node): &(GuestId, &NodeName)| {
        let (home, there) = (machine(q.node, q.node, q.view), machine(q.node, node, q.view));
        q.view.guest(*guest).is_ok_and(native)
            && home.zip(there).is_some_and(|(home, there)| !there.flags.is_subset(&home.flags))
    };
    ha.chain(ours).filter(more).map(|(guest, _)| guest).collect()
}
