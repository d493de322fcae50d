//! Places in the budgets that count over several clusters: read with every look, taken before a drain is written down, given
//! back when its case is over.
//!
//! A place that was taken for a drain that was then never written down is nobody's: the next turn does not want it, and gives
//! it back. What a place cannot do is hold up giving back: where it is only to be recorded, a failure is told and no more.

use tracing::{info, warn};

use crate::decide;
use crate::model::case::Case;
use crate::model::observed::Observed;
use crate::model::rules::Rules;
use crate::model::seen::Seen;
use crate::model::shared::Place;
use crate::model::state::{Decision, State};
use crate::ports::Claimed;

use super::look::{SOURCE_MAX, too_slow};
use super::{TurnFailed, World, tenure};

/// Decisions in one turn: a place that another cluster was quicker to take makes another one.
const DECISIONS_MAX: usize = 4;

/// Who holds a place; not asked where this cluster has no part in any shared budget.
pub(super) async fn look(world: &World, rules: &Rules) -> Seen<Vec<Place>> {
    let (Some(fleet), Some(_)) = (&world.fleet, &rules.shared) else { return Seen::NotAsked };
    // Asked before the read: what is read was true then at the earliest.
    let at = world.clock.now();
    match tokio::time::timeout(SOURCE_MAX, fleet.places()).await {
        Ok(Ok(places)) => Seen::known(places, at),
        Ok(Err(why)) => why.into(),
        Err(_) => too_slow("the record of shared budgets"),
    }
}

/// Decides, with the places that the decision needs.
///
/// # Errors
/// [`TurnFailed::Conflict`]: others were quicker, again and again.
pub(super) async fn decide(
    world: &World,
    rules: &Rules,
    state: &State,
    observed: &mut Observed,
) -> Result<Decision, TurnFailed> {
    for _ in 0..DECISIONS_MAX {
        let decision = decide::decide(state, observed, rules);
        match claim(world, rules, state, observed, &decision).await {
            None => return Ok(decision),
            Some(now) => observed.places = now,
        }
    }
    Err(TurnFailed::Conflict)
}

/// Takes what is not held yet. `Some`: not all of it could be had, and this is what is seen of the places now.
async fn claim(
    world: &World,
    rules: &Rules,
    state: &State,
    observed: &Observed,
    decision: &Decision,
) -> Option<Seen<Vec<Place>>> {
    let fleet = world.fleet.as_ref()?;
    let held = observed.places.any_age().map(Vec::as_slice).unwrap_or_default();
    for place in decision.places.iter().filter(|place| !held.contains(place)) {
        let begins = begins(place, state);
        let max = if begins { max_of(place, rules) } else { u32::MAX };
        match fleet.claim(place, max).await {
            Ok(Claimed::Granted) => {}
            Ok(Claimed::Full) => return Some(look(world, rules).await),
            Err(why) if begins => return Some(why.into()),
            Err(why) => {
                warn!(
                    node.name = %place.node,
                    "that {} is out could not be recorded in budget {}: {why}", place.node, place.budget
                );
            }
        }
    }
    None
}

/// A drain begins with this decision. One that had begun before is only recorded: a budget stops starting.
fn begins(place: &Place, state: &State) -> bool {
    let held_before = |case: &&Case| Some(case.id) == place.case && case.holds_the_node();
    place.case.is_some() && !state.cases.iter().any(|case| held_before(&case))
}

fn max_of(place: &Place, rules: &Rules) -> u32 {
    let budgets = rules.shared.iter().flat_map(|shared| &shared.budgets);
    budgets.filter(|budget| budget.name == place.budget).map(|budget| budget.nodes_out_max).min().unwrap_or(0)
}

/// Gives back what the decision, which counts by now, does not want any more.
pub(super) async fn give_back(world: &World, rules: &Rules, observed: &Observed, decision: &Decision) {
    let (Some(fleet), Some(shared)) = (&world.fleet, &rules.shared) else { return };
    let held = observed.places.any_age().into_iter().flatten();
    let ours = held.filter(|place| place.cluster == shared.cluster);
    for place in ours.filter(|place| !decision.places.iter().any(|wanted| wanted.same(place))) {
        if !tenure::good(&*world.tenure) {
            // Whoever leads now gives it back, or has it in use.
            return;
        }
        match fleet.release(place).await {
            Ok(()) => {
                info!(node.name = %place.node, "{} gives its place in budget {} back", place.node, place.budget)
            }
            Err(why) => warn!(
                node.name = %place.node,
                "the place of {} in budget {} could not be given back yet: {why}", place.node, place.budget
            ),
        }
    }
}
