//! What the next look must bring: cheap readings always, the deep ones only for nodes with a case.

use super::effects::wish_silences;
use super::in_place;
use super::queue;
use crate::model::case::Phase;
use crate::model::observed::Wish;
use crate::model::owed::Whereabouts;
use crate::model::state::State;

/// From what is remembered alone: the look has not happened yet.
pub fn wish(state: &State) -> Wish {
    let (mut wish, mut before) = (Wish::default(), 0);
    for case in &state.cases {
        if !matches!(case.phase, Phase::Draining { .. } | Phase::GivingBack { .. } | Phase::Closed { .. }) {
            wish.faults.extend(case.faults.iter().cloned());
        }
        let queued = queue::queued(case, before);
        before += usize::from(queue::waits(case));
        if !matches!(case.phase, Phase::Confirming { .. } | Phase::Closed { .. }) && !queued {
            wish.nodes.insert(case.node.clone());
        }
        if let Some(parts) = &case.in_place
            && in_place::under_way(case)
            && !parts.osds.is_empty()
        {
            wish.osds.insert(case.node.clone(), parts.osds.clone());
        }
        if case.holds_the_node() {
            wish.avoid.insert(case.node.clone());
        }
        let untouched_or_out = matches!(
            case.phase,
            Phase::Confirming { .. }
                | Phase::Preparing { .. }
                | Phase::HandedOver { .. }
                | Phase::Proving { .. }
        );
        // Where a bay's lamp is, only the list of parts tells.
        if untouched_or_out || !case.owed.locate.is_empty() {
            wish.inventory.insert(case.node.clone());
        }
        let leaving = matches!(case.phase, Phase::Preparing { .. } | Phase::Draining { .. });
        if leaving && case.in_place.is_none() && !queued {
            wish.surveys.insert(case.node.clone());
        }
        if matches!(case.phase, Phase::HandedOver { .. }) || !case.owed.locate.is_empty() {
            wish.bmc.insert(case.node.clone());
        }
        if let Phase::Preparing { room, .. } = &case.phase
            && !queued
        {
            wish.guests.extend(room.iter().copied());
        }
        // Who sees its node's own processor goes home only to one that is alike, and the board may be another one by now.
        if matches!(case.phase, Phase::GivingBack { .. }) && case.owed.away().any(|(_, debt)| debt.native) {
            wish.surveys.insert(case.node.clone());
        }
        if case.owed.work_order.is_some() {
            wish.work_orders.insert(case.id);
        }
        // While the machine is the technician's nobody is moved, and a hundred guests are two hundred questions.
        let away = case.owed.away().filter(|_| {
            !matches!(case.phase, Phase::HandedOver { .. } | Phase::Proving { .. } | Phase::Stranded { .. })
        });
        for (id, debt) in away {
            wish.guests.insert(id);
            // Who makes room leaves another node than the case's: its migration runs there.
            if matches!(&case.phase, Phase::Draining { .. })
                && debt.home != case.node
                && matches!(debt.at, Whereabouts::Aboard | Whereabouts::Leaving { .. })
            {
                wish.nodes.insert(debt.home.clone());
            }
            if matches!(&case.phase, Phase::GivingBack { .. }) && debt.home != case.node {
                wish.nodes.insert(debt.home.clone());
            }
            // Going home, a guest's migration runs on the node where it is now.
            if let Phase::GivingBack { .. } = &case.phase
                && let Whereabouts::Away { node } | Whereabouts::Returning { from: node, .. } = &debt.at
            {
                wish.nodes.insert(node.clone());
            }
        }
    }
    wish.silences = wish_silences(state);
    if wish.avoid.is_empty() {
        // Nobody is out, so the first that may leave is not asked about itself. More than one at a time would leave a
        // small cluster without a second opinion about the one that is out.
        let first = state.cases.iter().find(|case| wish.nodes.contains(&case.node));
        wish.avoid.extend(first.map(|case| case.node.clone()));
    }
    wish
}
