//! The plan for one node: the one that is shown, approved and carried out.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::case::{Case, Origin};
use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{Affinity, Guest, GuestDetail, Power};
use crate::model::plan::{How, Move, Plan};
use crate::model::rules::{HandSetup, Mode, Policy, Rules};
use crate::model::seen::{Blind, Trouble};
use crate::model::wait::{Source, Wait};

use super::ha;
use super::placement::{Need, cost, place, rooms};
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
    /// Things that whoever approves should know.
    pub warnings: Vec<Wait>,
}

/// Will a person read this case's plan before it is carried out?
pub fn agreed(case: Option<&Case>, policy: &Policy, rules: &Rules) -> bool {
    let person = case.is_none_or(|case| matches!(case.origin, Origin::Person { .. }));
    person || rules.mode_of(policy) != Mode::Act
}

/// Makes the plan for `node` from what is seen now.
///
/// # Errors
/// Something needed for it cannot be seen.
pub fn plan(node: &NodeName, case: Option<&Case>, policy: &Policy, view: &View) -> Result<Planned, Wait> {
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
        warnings: Vec::new(),
        forecast: None,
    };
    let mut stuck = Vec::new();
    let mut warnings = Vec::new();
    let mut ours: BTreeMap<GuestId, (&Guest, How)> = BTreeMap::new();
    let mut needs = Vec::new();
    for (id, guest) in cluster.guests_on(node) {
        sized(*id, guest)?;
        match way(*id, guest, policy, agreed, view)? {
            Way::Ha => match ha::candidates(*id, node, cluster, view.ha()?, view.ha_rules()?) {
                Ok(nodes) => {
                    plan.ha.insert(*id, nodes);
                }
                Err(no_place) => stuck.push(no_place),
            },
            Way::Move(how) => {
                needs.push(need(*id, guest, view.guest(*id)?, how, view));
                ours.insert(*id, (guest, how));
                if how == How::Restart {
                    warnings.push(Wait::ContainerRestarts { guest: *id });
                }
            }
            Way::ShutDown(why) => {
                warnings.push(Wait::ShutsDown { guest: *id });
                plan.stops.insert(*id, why);
            }
            Way::Stays(why) => {
                plan.stays.insert(*id, why);
            }
            Way::Stuck(why) => stuck.push(Wait::Unmovable { guest: *id, why }),
        }
    }
    needs.extend(ha_needs(&plan.ha, view)?);
    let (rooms, closed) = rooms(node, view)?;
    let placed = place(&needs, &rooms);
    let mut unplaced = Vec::new();
    for (guest, mut blockers) in placed.left {
        blockers.extend(closed.iter().map(|(node, why)| (node.clone(), why.clone())));
        unplaced.push(Wait::NoTarget { guest, blockers });
    }
    plan.moves = order(ours, &placed.to);
    Ok(Planned { plan, stuck, unplaced, warnings })
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

/// What one of our guests needs of its target.
pub fn need(id: GuestId, guest: &Guest, detail: &GuestDetail, how: How, view: &View) -> Need {
    let runs = how != How::Offline;
    let mut disks = BTreeMap::new();
    for (volume, bytes) in &detail.local_disks {
        let storage = volume.split(':').next().unwrap_or(volume).to_owned();
        *disks.entry(storage).or_insert(0) += bytes;
    }
    Need {
        guests: vec![id],
        memory: if runs { cost(guest, &view.rules.packing) } else { 0 },
        cpus: if runs { guest.cpus } else { 0 },
        disks,
        refused: detail.refused.clone(),
        ..Need::default()
    }
}

/// HA's guests, so that ours are placed beside them: guests that HA keeps together are one.
fn ha_needs(guests: &BTreeMap<GuestId, BTreeSet<NodeName>>, view: &View) -> Result<Vec<Need>, Wait> {
    let cluster = view.cluster()?;
    let rules = view.ha_rules()?;
    let mut done = BTreeSet::new();
    let mut needs = Vec::new();
    for id in guests.keys() {
        let mut bundle: BTreeSet<GuestId> = [*id].into();
        for rule in rules.guests.iter().filter(|r| r.kind == Affinity::Together && r.guests.contains(id)) {
            bundle.extend(rule.guests.iter().filter(|guest| guests.contains_key(guest)));
        }
        if !done.insert(*id) || bundle.iter().any(|guest| guest != id && done.contains(guest)) {
            continue;
        }
        done.extend(bundle.iter().copied());
        let mut need = Need { guests: bundle.iter().copied().collect(), ..Need::default() };
        for guest in &bundle {
            if let (Some(row), Some(nodes)) = (cluster.guests.get(guest), guests.get(guest)) {
                need.memory += cost(row, &view.rules.packing);
                need.cpus += row.cpus;
                need.only = Some(match need.only.take() {
                    Some(only) => only.intersection(nodes).cloned().collect(),
                    None => nodes.clone(),
                });
            }
            for rule in rules.guests.iter().filter(|r| r.kind == Affinity::Apart && r.guests.contains(guest))
            {
                need.apart.extend(rule.guests.iter().filter(|other| *other != guest));
            }
        }
        needs.push(need);
    }
    Ok(needs)
}

/// The smallest running guest first, as the canary: if the way between the nodes is broken, it shows on the one that
/// matters least. Then the largest first, because they take longest; the stopped ones last.
fn order(ours: BTreeMap<GuestId, (&Guest, How)>, to: &BTreeMap<GuestId, NodeName>) -> Vec<Move> {
    let mut moves: Vec<(u64, Move)> = ours
        .into_iter()
        .filter_map(|(id, (guest, how))| {
            let to = to.get(&id)?.clone();
            let sent = if guest.power == Power::Stopped { 0 } else { guest.memory_used.max(1) };
            Some((sent, Move { guest: id, name: guest.name.clone(), kind: guest.kind, to, how }))
        })
        .collect();
    moves.sort_by_key(|(sent, m)| (m.how == How::Offline, std::cmp::Reverse(*sent), m.guest));
    let canary = moves
        .iter()
        .enumerate()
        .filter(|(_, (_, m))| m.how == How::Live)
        .min_by_key(|(_, (sent, m))| (*sent, m.guest));
    if let Some((at, _)) = canary {
        let first = moves.remove(at);
        moves.insert(0, first);
    }
    moves.into_iter().map(|(_, m)| m).collect()
}
