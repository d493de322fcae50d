//! Many nodes with one class of fault at once are not so many broken parts: a room that gets warm, a feed that is lost,
//! a rule that is wrong. Draining them would move guests from one sick node to the next.
//!
//! It only ever stops a beginning. What holds a node goes on, and giving back is never its business.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::case::{Case, Origin};
use crate::model::fault::{Fault, FaultKey};
use crate::model::ids::NodeName;
use crate::model::rules::{Policy, Rules, Scope};
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
    pub nodes: BTreeSet<NodeName>,
    pub faults: BTreeSet<FaultKey>,
    /// When the first of them began: it names the storm.
    pub since: Time,
    /// At least one of them is believed, so it is no blink of the sensors' network.
    pub believed: bool,
}

/// A fault with the beginning of its spell and the policy that wants it.
type Spelled<'a> = (Time, &'a Fault, &'a Policy);

/// All storms of this moment.
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
        if over(fault, policy, now) {
            continue;
        }
        let began = spell(fault, policy, now);
        groups.entry((fault.key.class.as_str(), domain)).or_default().push((began, fault, policy));
    }
    groups.into_iter().flat_map(|((class, domain), all)| storms_of(class, domain, all, now)).collect()
}

/// Neighbours in time are one storm, however long it takes until the last rack is warm.
fn storms_of(class: &str, domain: Option<&String>, mut all: Vec<Spelled>, now: Time) -> Vec<Storm> {
    all.sort_by_key(|(began, fault, _)| (*began, &fault.key));
    let mut chains: Vec<Vec<Spelled>> = Vec::new();
    for next in all {
        let within = next.2.correlate.as_ref().map(|c| c.within.0).unwrap_or_default();
        match chains.last_mut() {
            Some(chain) if chain.last().is_some_and(|last| age(next.0, last.0) <= within) => chain.push(next),
            _ => chains.push(vec![next]),
        }
    }
    let storm = |chain: Vec<Spelled>| {
        let nodes: BTreeSet<NodeName> = chain.iter().map(|(_, fault, _)| fault.key.node.clone()).collect();
        let (since, _, policy) = *chain.first()?;
        let enough = usize::try_from(policy.correlate.as_ref()?.nodes).unwrap_or(usize::MAX);
        (nodes.len() >= enough).then(|| Storm {
            class: class.to_owned(),
            domain: domain.cloned(),
            nodes,
            faults: chain.iter().map(|(_, fault, _)| fault.key.clone()).collect(),
            since,
            believed: chain.iter().any(|(_, fault, policy)| believed(fault, policy, now).is_some()),
        })
    };
    chains.into_iter().filter_map(storm).collect()
}

/// Quiet for so long that whatever comes next is another thing.
fn over(fault: &Fault, policy: &Policy, now: Time) -> bool {
    let within = policy.correlate.as_ref().map(|c| c.within).unwrap_or_default();
    let limit = policy.confirm.clears_after.max(within);
    fault.quiet_since().is_some_and(|since| age(now, since) >= limit.0)
}

/// When the fault's present spell began: the first firing after it was quiet for `clears_after`.
pub fn spell(fault: &Fault, policy: &Policy, now: Time) -> Time {
    let mut spell: Option<(Time, Option<Time>)> = None;
    for episode in &fault.episodes {
        let (began, ends) = (episode.began(now), episode.ends_at);
        spell = Some(match spell {
            Some((_, Some(ended))) if age(began, ended) >= policy.confirm.clears_after.0 => (began, ends),
            // An end that is not known, of either of them, is later than every other.
            Some((first, ended)) => (first, ended.zip(ends).map(|(a, b)| a.max(b))),
            None => (began, ends),
        });
    }
    spell.map_or(now, |(began, _)| began)
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
