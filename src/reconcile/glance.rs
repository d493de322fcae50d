//! The bell that rings when a migration ends: between two turns the nodes that guests leave are glanced at, one call a
//! second, and only while guests of ours are under way.
//!
//! A glance carries no orders and decides nothing. It only wakes the loop, so that no slot is idle until the next turn; a
//! glance that fails costs some seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;

use crate::model::case::Phase;
use crate::model::ids::{GuestId, NodeName};
use crate::model::owed::{GuestDebt, Whereabouts};
use crate::model::shown::Shown;
use crate::ports::Pve;

/// Between two glances. A migration takes many times as long.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// Longer than a member needs to answer, shorter than a turn's pace.
const GLANCE_MAX: Duration = Duration::from_secs(5);

/// Migrations that were seen running, by the node where their tasks run.
#[derive(Debug, Default)]
pub(super) struct Glance {
    running: BTreeMap<NodeName, BTreeSet<GuestId>>,
    avoid: BTreeSet<NodeName>,
}

impl Glance {
    /// After a turn: where guests are under way, and what its look saw running there.
    pub(super) fn of(shown: &Shown) -> Self {
        let mut glance = Self::default();
        for case in &shown.state.cases {
            // Elsewhere nothing waits for a slot: a debt may stand open for hours beside a node that is dead.
            let moves = matches!(case.phase, Phase::Draining { .. } | Phase::GivingBack { .. });
            // HA brings its own home, in slots of its own.
            let ours = |debt: &&GuestDebt| !(debt.ha && matches!(debt.at, Whereabouts::Returning { .. }));
            for debt in case.owed.guests.values().filter(ours).filter(|_| moves) {
                let from = match &debt.at {
                    Whereabouts::Leaving { to: Some(_), .. } => &debt.home,
                    Whereabouts::Returning { from, .. } => from,
                    _ => continue,
                };
                glance.running.entry(from.clone()).or_default();
            }
            if case.holds_the_node() {
                glance.avoid.insert(case.node.clone());
            }
        }
        for (node, running) in &mut glance.running {
            let detail = shown.observed.pve.nodes.get(node).and_then(|seen| seen.any_age());
            let tasks = detail.into_iter().flat_map(|detail| &detail.tasks).filter(|task| task.runs());
            running.extend(tasks.filter_map(|task| task.guest.filter(|guest| task.moves(*guest))));
        }
        glance
    }

    /// Nobody is under way.
    pub(super) fn idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Looks once. `true`: a migration that ran has ended.
    pub(super) async fn look(&mut self, pve: &dyn Pve) -> bool {
        let avoid = &self.avoid;
        let asked = self.running.keys().cloned().map(|node| async move {
            let seen = tokio::time::timeout(GLANCE_MAX, pve.moves_running(&node, avoid)).await;
            (node, seen)
        });
        let mut ended = false;
        for (node, seen) in join_all(asked).await {
            if let (Ok(Ok(now)), Some(before)) = (seen, self.running.get_mut(&node)) {
                ended |= !before.is_subset(&now);
                *before = now;
            }
        }
        ended
    }
}
