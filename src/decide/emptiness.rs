//! Is nobody aboard? From the cluster's list, asked of two members; from the node itself; from HA; from the tasks.
//! One "yes" too many costs a customer, one too few costs a minute.

use std::collections::BTreeSet;

use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{Opinion, Power};
use crate::model::owed::Whereabouts;
use crate::model::proof::EmptyRead;
use crate::model::wait::Wait;

use super::view::View;

/// Looks once.
///
/// # Errors
/// Somebody is aboard, or it cannot be seen whether.
pub fn look(node: &NodeName, view: &View) -> Result<EmptyRead, Wait> {
    let cluster = view.cluster()?;
    view.sees_guests()?;
    let second = view.second(node)?;
    let mut aboard = aboard(cluster, node);
    let mut members: BTreeSet<NodeName> = [cluster.member.clone()].into();
    if let Some(second) = second {
        aboard.extend(self::aboard(second, node));
        members.insert(second.member.clone());
    }
    if cluster.online(node) {
        let detail = view.node(node)?;
        aboard.extend(detail.live.iter().filter(|(_, power)| **power != Power::Stopped).map(|(id, _)| *id));
        aboard.extend(
            detail
                .tasks
                .iter()
                .filter(|task| task.runs())
                .filter_map(|task| task.guest.filter(|guest| task.moves(*guest))),
        );
    }
    let ha = view.ha()?;
    let held = ha.services.iter().filter(|(_, s)| {
        s.target.as_ref() == Some(node)
            || &s.node == node && !matches!(s.state.as_str(), "stopped" | "ignored")
    });
    aboard.extend(held.map(|(id, _)| *id));
    // Ours on the way back to it: their migrations are listed on the nodes that they leave.
    let owed = view.state.cases.iter().flat_map(|case| &case.owed.guests);
    let coming = owed.filter(|(_, d)| &d.home == node && matches!(d.at, Whereabouts::Returning { .. }));
    aboard.extend(coming.map(|(id, _)| *id));
    if aboard.is_empty() {
        Ok(EmptyRead { at: view.now, members })
    } else {
        Err(Wait::GuestsAboard { guests: aboard.into_iter().collect() })
    }
}

/// Guests that a member puts on the node and does not show as stopped.
pub fn aboard(opinion: &Opinion, node: &NodeName) -> BTreeSet<GuestId> {
    opinion
        .guests_on(node)
        .filter(|(_, guest)| guest.power != Power::Stopped && !guest.template)
        .map(|(id, _)| *id)
        .collect()
}
