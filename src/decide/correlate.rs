//! Many nodes with one class of fault at once are not so many broken parts: a room that gets warm, a feed that is lost,
//! a rule that is wrong. Draining them would move guests from one sick node to the next.
//!
//! It only ever stops a beginning. What holds a node goes on, and giving back is never its business.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::case::{Case, Origin};
use crate::model::fault::{Fault, FaultKey};
use crate::model::ids::{NodeName, PolicyName};
use crate::model::rules::{Correlate, Policy, Rules, Scope};
use crate::model::time::{Time, age};
use crate::model::wait::Wait;

use super::faults::believed;
use super::view::View;

/// Faults that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Storm {
    pub class: String,
    /// The failure domain; `None`: the whole cluster.
    pub domain: Option<String>,
    /// Everyone whom it has reached, also those that are well again.
    pub nodes: BTreeSet<NodeName>,
    /// Those whose present spell belongs to it.
    pub faults: BTreeSet<FaultKey>,
    /// Of the first of them.
    pub policy: PolicyName,
    /// When the first of them began: it names the storm, for as long as there is one.
    pub since: Time,
    /// At least one of them is believed, so it is no blink of the sensors' network.
    pub believed: bool,
}

/// One spell of a fault: from the first firing after it was quiet for `clears_after` until it is so again.
#[derive(Clone, Copy)]
struct Spell {
    began: Time,
    /// The last end heard; `None`: it fires.
    ended: Option<Time>,
}

/// A spell with its fault and the policy that wants it.
struct Spelled<'a> {
    spell: Spell,
    fault: &'a Fault,
    policy: &'a Policy,
    correlate: &'a Correlate,
    /// The fault's last one.
    present: bool,
}

/// All storms of this moment. `faults`: every one that was told, also those of cases that are closed: the first that is
/// found to be well takes nothing away from what the others are.
pub fn storms(faults: &[Fault], rules: &Rules, now: Time) -> Vec<Storm> {
    let mut groups: BTreeMap<(&str, Option<&String>), Vec<Spelled>> = BTreeMap::new();
    for fault in faults {
        let Some(policy) = rules.policy(&fault.policy) else { continue };
        let Some(correlate) = &policy.correlate else { continue };
        let domain = match correlate.scope {
            Scope::Cluster => None,
            // A node that nobody put into a domain shares no feed that we know of.
            Scope::Domain => match rules.budgets.domains.get(&fault.key.node) {
                None => continue,
                domain => domain,
            },
        };
        let spells = spells(fault, policy, now);
        let last = spells.len().saturating_sub(1);
        let group = groups.entry((fault.key.class.as_str(), domain)).or_default();
        let spelled = |(n, spell)| Spelled { spell, fault, policy, correlate, present: n == last };
        group.extend(spells.into_iter().enumerate().map(spelled));
    }
    groups.into_iter().flat_map(|((class, domain), all)| storms_of(class, domain, all, now)).collect()
}

/// Neighbours in time are one storm, however long it takes until the last rack is warm. Who is well again stays a
/// link between those before and after.
fn storms_of(class: &str, domain: Option<&String>, mut all: Vec<Spelled>, now: Time) -> Vec<Storm> {
    all.sort_by_key(|one| (one.spell.began, &one.fault.key));
    let mut chains: Vec<Vec<Spelled>> = Vec::new();
    for next in all {
        let near = |last: &Spelled| age(next.spell.began, last.spell.began) <= next.correlate.within.0;
        match chains.last_mut() {
            Some(chain) if chain.last().is_some_and(near) => chain.push(next),
            _ => chains.push(vec![next]),
        }
    }
    let storm = |chain: Vec<Spelled>| {
        let first = chain.first()?;
        if !holds(&chain, now) {
            return None;
        }
        let ours = |one: &&Spelled| one.present;
        Some(Storm {
            class: class.to_owned(),
            domain: domain.cloned(),
            nodes: chain.iter().map(|one| one.fault.key.node.clone()).collect(),
            faults: chain.iter().filter(ours).map(|one| one.fault.key.clone()).collect(),
            policy: first.fault.policy.clone(),
            since: first.spell.began,
            believed: chain
                .iter()
                .filter(ours)
                .any(|one| !over(one, now) && believed(one.fault, one.policy, now).is_some()),
        })
    };
    chains.into_iter().filter_map(storm).collect()
}

/// It takes as many nodes as the policy says to be a storm. What was one once is one until a single node at most is
/// left in it: that one may have a broken part after all.
fn holds(chain: &[Spelled], now: Time) -> bool {
    let nodes_at = |told: &[Spelled], at: Time| {
        let nodes: BTreeSet<&NodeName> =
            told.iter().filter(|one| !over(one, at)).map(|one| &one.fault.key.node).collect();
        nodes.len()
    };
    // Thousands of parts of one node are no storm, and are not counted through.
    let nodes: BTreeSet<&NodeName> = chain.iter().map(|one| &one.fault.key.node).collect();
    if nodes.len() < 2 {
        return false;
    }
    let enough = |one: &Spelled| usize::try_from(one.correlate.nodes).unwrap_or(usize::MAX);
    let was = chain
        .iter()
        .enumerate()
        .any(|(n, newest)| nodes_at(&chain[..=n], newest.spell.began) >= enough(newest));
    was && nodes_at(chain, now) > 1
}

/// Quiet at `at` for so long that whatever comes next is another thing.
fn over(one: &Spelled, at: Time) -> bool {
    let limit = one.policy.confirm.clears_after.max(one.correlate.within);
    one.spell.ended.is_some_and(|ended| age(at, ended) >= limit.0)
}

/// A fault's spells, oldest first.
fn spells(fault: &Fault, policy: &Policy, now: Time) -> Vec<Spell> {
    let mut spells: Vec<Spell> = Vec::new();
    for episode in &fault.episodes {
        let (began, ended) = (episode.began(now), episode.ends_at);
        match spells.last_mut() {
            // An end that is not known, of either of them, is later than every other.
            Some(last) if last.ended.is_none_or(|end| age(began, end) < policy.confirm.clears_after.0) => {
                last.ended = last.ended.zip(ended).map(|(a, b)| a.max(b));
            }
            _ => spells.push(Spell { began, ended }),
        }
    }
    spells
}

/// When the fault's present spell began: the first firing after it was quiet for `clears_after`.
pub fn spell(fault: &Fault, policy: &Policy, now: Time) -> Time {
    spells(fault, policy, now).last().map_or(now, |spell| spell.began)
}

/// A case that holds nothing yet does not begin while its fault is one of many.
///
/// # Errors
/// It is.
pub fn alone(case: &Case, view: &View) -> Result<(), Wait> {
    // A person who asks for this node knows more than the alarms do.
    if !case.owed.nothing() || matches!(case.origin, Origin::Person { .. }) {
        return Ok(());
    }
    if let Some(storm) = view.storms.iter().find(|storm| !storm.faults.is_disjoint(&case.faults)) {
        return Err(Wait::Correlated { class: storm.class.clone(), nodes: storm.nodes.clone() });
    }
    // The last one of a storm that is over is alone only because the others were found to be well first. It begins
    // only if it fires still; else it is about to be a false alarm itself.
    let held_up = matches!(case.wait, Some(Wait::Correlated { .. } | Wait::Paused { .. }));
    let correlates = view.policy(case)?.correlate.is_some();
    let mut fires = false;
    for key in &case.faults {
        fires |= view.fault(key)?.is_some_and(Fault::fires);
    }
    match case.faults.first() {
        Some(fault) if held_up && correlates && !fires => {
            Err(Wait::Correlated { class: fault.class.clone(), nodes: [case.node.clone()].into() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
