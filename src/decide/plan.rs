//! The plan for one node: the one that is shown, approved and carried out.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::case::{Case, Origin};
use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{Guest, Opinion, Power};
use crate::model::owed::Whereabouts;
use crate::model::plan::{How, Move, Plan};
use crate::model::rates::Forecast;
use crate::model::rules::{HandSetup, Mode, Policy, Rules};
use crate::model::seen::{Blind, Trouble};
use crate::model::wait::{Source, Wait};

use super::ha;
use super::live::{self, Ask, Going, Hop};
use super::promised::promised;
use super::residents;
use super::view::View;
use super::way::{Way, way};

/// A plan, and what keeps it from being whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    pub plan: Plan,
    /// Guests that no way leads off the node.
    pub stuck: Vec<Wait>,
    /// Guests that have a way and no place to go to.
    pub unplaced: Vec<Wait>,
    /// Nodes whose loss could not be absorbed afterwards, with the guests that would find no place.
    pub fragile: Vec<(NodeName, Vec<GuestId>)>,
    /// Guests elsewhere that might make room: nobody has looked at them in full yet.
    pub ask_about: BTreeSet<GuestId>,
    /// Things that whoever approves should know.
    pub warnings: Vec<Wait>,
}

/// Will a person read this case's plan before it is carried out?
pub fn agreed(case: Option<&Case>, policy: &Policy, rules: &Rules) -> bool {
    let person = case.is_none_or(|case| matches!(case.origin, Origin::Person { .. }));
    person || rules.mode_of(policy) != Mode::Act
}

/// Makes the plan for `node` from what is seen now. Asked again in the same turn it is the same, and not made again.
///
/// # Errors
/// Something needed for it cannot be seen.
pub fn plan(node: &NodeName, case: Option<&Case>, policy: &Policy, view: &View) -> Result<Planned, Wait> {
    let key = (node.clone(), case.map(|case| case.id), policy.name.clone());
    if let Some(known) = view.plans.borrow().get(&key) {
        return known.clone();
    }
    let made = make(node, case, policy, view, None);
    view.plans.borrow_mut().insert(key, made.clone());
    made
}

/// Why a guest goes elsewhere whose move failed.
pub const MOVE_FAILED: &str = "its move there failed";

/// What a plan that is made on the way keeps of the one before.
pub struct Kept<'a> {
    pub approved: &'a Plan,
    /// As planned last.
    pub moves: &'a [Move],
    /// Guests whose target does not take them any more, and why.
    pub lost: &'a BTreeMap<GuestId, String>,
    /// Where moves of a guest have failed: it is sent there only if that is its target already.
    pub failed_at: &'a BTreeMap<GuestId, BTreeSet<NodeName>>,
    pub within: Within,
}

/// Where guests may go that need another target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// To any target of the approved plan: that much a person has agreed to.
    Approved,
    Anywhere,
}

/// Plans again for a node that is being drained: finished moves stay, those under way are waited for, and all others keep
/// their targets as far as these still work. Guests that were not approved are not planned.
///
/// # Errors
/// Something needed for it cannot be seen.
pub fn again(case: &Case, policy: &Policy, view: &View, kept: &Kept) -> Result<Planned, Wait> {
    make(&case.node, Some(case), policy, view, Some(kept))
}

fn make(
    node: &NodeName,
    case: Option<&Case>,
    policy: &Policy,
    view: &View,
    kept: Option<&Kept>,
) -> Result<Planned, Wait> {
    let agreed = agreed(case, policy, view.rules);
    let cluster = view.cluster()?;
    let mut plan = Plan {
        node: node.clone(),
        maintenance: needs_maintenance(view)?,
        noout: view.host(node)?.cloned(),
        moves: Vec::new(),
        ha: BTreeMap::new(),
        stops: BTreeMap::new(),
        stays: BTreeMap::new(),
        in_place: BTreeSet::new(),
        canary: None,
        warnings: Vec::new(),
        forecast: None,
    };
    let mut stuck = Vec::new();
    let mut warnings = Vec::new();
    let mut ask = Ask { leaving: Some(node.clone()), ..Ask::default() };
    // Once something has moved, the way between the nodes is known.
    ask.canary = policy.respond.canary && case.is_none_or(|case| case.owed.guests.is_empty());
    keep(&mut ask, case, kept, cluster);
    let foretold = ha::forecast(node, cluster, view.ha()?, view.ha_rules()?);
    for (id, guest) in cluster.guests_on(node) {
        sized(*id, guest)?;
        let going = match way(*id, guest, policy, agreed, view)? {
            Way::Ha => match ha::candidates(*id, node, cluster, view.ha()?, view.ha_rules()?) {
                Ok(nodes) => {
                    plan.ha.insert(*id, nodes.clone());
                    match &foretold {
                        Some(foretold) => going_by_ha(*id, foretold, &mut stuck),
                        None => Going::Ha(nodes),
                    }
                }
                Err(no_place) => {
                    stuck.push(no_place);
                    Going::Stuck
                }
            },
            Way::Move(how) => {
                if kept
                    .is_some_and(|kept| !kept.approved.moves.iter().any(|m| m.guest == *id && m.how == how))
                {
                    continue;
                }
                if how == How::Restart {
                    warnings.push(Wait::ContainerRestarts { guest: *id });
                }
                Going::Ours(how)
            }
            Way::ShutDown(why) => {
                warnings.push(Wait::ShutsDown { guest: *id });
                plan.stops.insert(*id, why);
                Going::Down
            }
            Way::Stays(why) => {
                plan.stays.insert(*id, why);
                continue;
            }
            Way::Stuck(why) => {
                stuck.push(Wait::Unmovable { guest: *id, why });
                Going::Stuck
            }
        };
        ask.going.insert(*id, going);
    }
    if kept.is_none() {
        ask.promised = promised(node, view);
        ask.residents = residents::that_may_move(node, policy, agreed, view)?;
    }
    let found = live::find(&ask, view)?;
    let ask_about = residents::ask_about(node, &found, view)?;
    let mut unplaced = Vec::new();
    for (guest, blockers) in found.left {
        let overfilled = foretold.as_ref().and_then(|foretold| overfilled(guest, foretold, &blockers));
        unplaced.push(overfilled.unwrap_or(Wait::NoTarget { guest, blockers }));
    }
    plan.moves = moves(&found.hops, &ask, cluster);
    plan.canary = found.canary;
    if ask.canary && plan.canary.is_none() {
        warnings.push(Wait::NoCanary);
    }
    plan.forecast = (!found.hops.is_empty()).then(|| Forecast {
        secs: found.secs.ceil() as u64,
        stream: view.rates().stream.value.min(view.rates().nic(node, view.rules.packing.nic(node))),
        basis: view.rates().basis(),
    });
    Ok(Planned { plan, stuck, unplaced, fragile: found.fragile, ask_about, warnings })
}

/// What an earlier plan promised, and what is done of it.
fn keep(ask: &mut Ask, case: Option<&Case>, kept: Option<&Kept>, cluster: &Opinion) {
    let owed = case.into_iter().flat_map(|case| &case.owed.guests);
    ask.done = owed.filter(|(_, d)| matches!(d.at, Whereabouts::Away { .. })).map(|(id, _)| *id).collect();
    let Some(kept) = kept else { return };
    let home = |m: &Move| m.from.clone().unwrap_or_else(|| kept.approved.node.clone());
    for m in kept.moves.iter().filter(|m| cluster.guests.get(&m.guest).is_some_and(|g| g.node == home(m))) {
        if m.from.is_some() {
            ask.residents.insert(m.guest, m.how);
        }
        let failed = kept.failed_at.get(&m.guest).into_iter().flatten().filter(|node| **node != m.to);
        let mut never: BTreeMap<NodeName, String> =
            failed.map(|node| (node.clone(), MOVE_FAILED.to_owned())).collect();
        match kept.lost.get(&m.guest) {
            Some(why) => drop(never.insert(m.to.clone(), why.clone())),
            None => drop(ask.keep.insert(m.guest, m.to.clone())),
        }
        if !never.is_empty() {
            ask.lost.insert(m.guest, never);
        }
    }
    if kept.within == Within::Approved {
        ask.targets = Some(kept.approved.targets().into_iter().cloned().collect());
    }
}

/// HA asks nobody: what it will do is what there has to be room for.
fn going_by_ha(guest: GuestId, foretold: &ha::Forecast, stuck: &mut Vec<Wait>) -> Going {
    match (foretold.to.get(&guest), foretold.stalls.get(&guest)) {
        (Some(to), _) => Going::Ha([to.clone()].into()),
        (None, why) => {
            let why = why.cloned().unwrap_or_else(|| "its manager does not move it".to_owned());
            stuck.push(Wait::HaNoCandidate { guest, why });
            Going::Stuck
        }
    }
}

/// HA will put the guest on a node that has no room for it.
fn overfilled(guest: GuestId, foretold: &ha::Forecast, blockers: &[(NodeName, String)]) -> Option<Wait> {
    let node = foretold.to.get(&guest)?;
    let (_, why) = blockers.iter().find(|(name, _)| name == node)?;
    Some(Wait::HaOverfills { guest, node: node.clone(), why: why.clone() })
}

/// Those that are ours to move; what HA moves, it moves in an order of its own.
fn moves(hops: &[Hop], ask: &Ask, cluster: &Opinion) -> Vec<Move> {
    let how = |id: &GuestId| match (ask.going.get(id), ask.residents.get(id)) {
        (Some(Going::Ours(how)), _) | (None, Some(how)) => Some(*how),
        _ => None,
    };
    let ours = hops.iter().filter_map(|hop| {
        let guest = cluster.guests.get(&hop.guest)?;
        Some(Move {
            guest: hop.guest,
            name: guest.name.clone(),
            kind: guest.kind,
            to: hop.to.clone(),
            how: how(&hop.guest)?,
            from: hop.resident.then(|| guest.node.clone()),
            after: hop.after.iter().copied().filter(|other| how(other).is_some()).collect(),
        })
    });
    ours.collect()
}

/// The list loses a guest's size when its node is silent for long. Nobody can be placed by a size of nothing.
///
/// # Errors
/// The size is not known.
fn sized(id: GuestId, guest: &Guest) -> Result<(), Wait> {
    if guest.template || guest.power == Power::Stopped || guest.memory > 0 {
        return Ok(());
    }
    let why = Trouble::Nonsense(format!("the list shows no size for guest {id}"));
    Err(Wait::CannotSee { source: Source::Guest, why: Blind::Unknown(why) })
}

/// HA maintenance keeps HA from filling the node again. Without HA in use, or without the helper, there is none.
pub fn needs_maintenance(view: &View) -> Result<bool, Wait> {
    Ok(view.rules.hand == HandSetup::Installed && view.ha()?.in_use())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixture::{guest, plan, world};
    use crate::model::observed::GuestKind;

    #[test]
    fn a_plan_made_on_the_way_keeps_to_the_approved_targets_where_it_has_to() {
        let go = |guest, to: &str| Move {
            guest: GuestId(guest),
            name: "c".into(),
            kind: GuestKind::Qemu,
            to: to.into(),
            how: How::Live,
            from: None,
            after: Vec::new(),
        };
        let approved = Plan { moves: vec![go(7, "pve3"), go(8, "pve4"), go(9, "pve4")], ..plan() };
        let mut cluster = world().pve.first.any_age().expect("it is seen").clone();
        cluster.guests =
            [(7, "pve2"), (8, "pve2"), (9, "pve4")].map(|(id, on)| (GuestId(id), guest(on))).into();
        let lost = [(GuestId(8), "too full".to_owned())].into();
        let asked = |within| {
            let (moves, failed_at, mut ask) = (&approved.moves, BTreeMap::new(), Ask::default());
            let kept = Kept { approved: &approved, moves, lost: &lost, failed_at: &failed_at, within };
            keep(&mut ask, None, Some(&kept), &cluster);
            ask
        };
        let within = asked(Within::Approved);
        assert_eq!(within.targets, Some(["pve3".into(), "pve4".into()].into()));
        assert_eq!(within.keep, [(GuestId(7), "pve3".into())].into(), "whoever has not arrived goes on");
        assert_eq!(within.lost.keys().copied().collect::<Vec<_>>(), [GuestId(8)]);
        assert_eq!(asked(Within::Anywhere).targets, None);
    }
}
