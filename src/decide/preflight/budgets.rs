//! How much is out already, whoever caused it? Counted on what is seen. Budgets stop starting, never giving back.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Found, Question};
use crate::decide::view::View;
use crate::decide::{memory, shared};
use crate::model::case::Case;
use crate::model::ids::NodeName;
use crate::model::observed::HaNodeState;
use crate::model::time::{Time, age};
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::Wait;
use crate::model::wait_text::count;

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn check(q: &Question) -> Check {
    q.answer(CheckName::Budgets, &q.view.seen.pve.first, find(q.node, q.case, q.view))
}

/// Budgets that keep this case from beginning.
///
/// # Errors
/// It cannot be seen.
pub fn holding(case: &Case, view: &View) -> Result<Vec<Wait>, Wait> {
    Ok(find(&case.node, Some(case), view)?.reasons)
}

fn find(node: &NodeName, case: Option<&Case>, view: &View) -> Result<Found, Wait> {
    let budgets = &view.rules.budgets;
    let out = out(node, view)?;
    let today = drains_today(case, view);
    let alarming = alarming(view)?;
    let mut found = Found::new(format!(
        "{} out, {} in 24 hours, {} alarming",
        count(out.len(), "node"),
        count(today as usize, "drain"),
        count(alarming.len(), "node")
    ));
    if u32::try_from(out.len()).unwrap_or(u32::MAX) >= budgets.nodes_out_max {
        found.block(Wait::NodesOut { out: out.iter().cloned().collect(), max: budgets.nodes_out_max });
    }
    if let Some(domain) = budgets.domains.get(node)
        && let Some(same) = out.iter().find(|other| budgets.domains.get(*other) == Some(domain))
    {
        found.block(Wait::DomainOut { domain: domain.clone(), out: same.clone() });
    }
    for full in shared::full(node, &out, view)? {
        found.block(full);
    }
    if today >= budgets.drains_per_day_max {
        found.block(Wait::DrainsToday { count: today, max: budgets.drains_per_day_max });
    }
    if let (Some(count), Some(bound)) = (memory::attempts(case, view), &budgets.attempts_per_node)
        && count >= bound.max
    {
        let (node, max, within) = (node.clone(), bound.max, bound.within);
        found.block(Wait::AttemptsSpent { node, count, max, within });
    }
    if u32::try_from(alarming.len()).unwrap_or(u32::MAX) > budgets.nodes_alarming_max {
        found.block(Wait::ManyAlarm { nodes: alarming, max: budgets.nodes_alarming_max });
    }
    Ok(found)
}

/// Other nodes that are offline, fenced, in maintenance, flagged noout, with OSDs down, or held by a case of ours.
fn out(node: &NodeName, view: &View) -> Result<BTreeSet<NodeName>, Wait> {
    let mut out = seen_out(view)?;
    out.extend(view.held_by_others(node).into_iter().cloned());
    out.remove(node);
    Ok(out)
}

/// Nodes that are out as far as can be seen, whoever took them out.
///
/// # Errors
/// It cannot be seen.
pub fn seen_out(view: &View) -> Result<BTreeSet<NodeName>, Wait> {
    let offline = view.cluster()?.nodes.iter().filter(|(_, row)| !row.online);
    let mut out: BTreeSet<NodeName> = offline.map(|(name, _)| name.clone()).collect();
    let ha = view.ha()?;
    let away = |state: HaNodeState| !matches!(state, HaNodeState::Online | HaNodeState::Unknown);
    out.extend(
        ha.nodes
            .iter()
            .filter(|(_, n)| n.maintenance_requested || away(n.state))
            .map(|(name, _)| name.clone()),
    );
    if view.has_ceph() {
        let ceph = view.ceph()?;
        let sick = |host: &crate::model::ids::HostName| {
            ceph.host_flags.get(host).is_some_and(|flags| !flags.is_empty())
                || ceph.osds_of(host).any(|(_, osd)| !osd.up)
        };
        out.extend(ceph.hosts.iter().filter(|(_, host)| sick(host)).map(|(name, _)| name.clone()));
    }
    Ok(out)
}

/// A drain that has begun takes the next of what it wants: somebody may have taken another node out since.
///
/// # Errors
/// So many are out, or it cannot be seen.
pub fn still_within(node: &NodeName, view: &View) -> Result<(), Wait> {
    let (out, max) = (out(node, view)?, view.rules.budgets.nodes_out_max);
    // A budget that was lowered meanwhile stops nothing that has begun.
    if out.is_empty() || u32::try_from(out.len()).unwrap_or(u32::MAX) < max {
        return Ok(());
    }
    Err(Wait::NodesOut { out: out.into_iter().collect(), max })
}

fn drains_today(case: Option<&Case>, view: &View) -> u32 {
    let recent = |at: Time| age(view.now, at) < DAY;
    let closed = view.state.past.iter().filter_map(|past| past.drained_at).filter(|at| recent(*at)).count();
    let open = view
        .state
        .cases
        .iter()
        .filter(|c| Some(c.id) != case.map(|c| c.id) && c.holds_the_node() && c.in_place.is_none())
        .count();
    u32::try_from(closed + open).unwrap_or(u32::MAX)
}

fn alarming(view: &View) -> Result<BTreeSet<NodeName>, Wait> {
    Ok(view.faults()?.iter().filter(|fault| fault.fires()).map(|fault| fault.key.node.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixture::{NOW, at, off, rules, world};
    use crate::model::ids::CaseId;
    use crate::model::state::{Past, State};

    /// May a drain that has begun take the next of what it wants, while so many other nodes may be out?
    fn goes_on(out: &[&str], max: u32) -> bool {
        let (state, mut rules, mut seen) = (State::default(), rules(), world());
        rules.budgets.nodes_out_max = max;
        off(&mut seen, out);
        still_within(&"pve2".into(), &View::new(&state, &seen, &rules)).is_ok()
    }

    #[test]
    fn a_drain_goes_on_while_fewer_nodes_are_out_than_may_be() {
        let others = ["pve1", "pve3", "pve4"];
        assert_eq!([1, 2, 3].map(|out| goes_on(&others[..out], 2)), [true, false, false]);
        assert!(goes_on(&["pve2"], 1), "it does not count itself");
        assert!(goes_on(&[], 0), "a budget that was lowered meanwhile stops nothing that has begun");
    }

    #[test]
    fn a_day_is_over_after_24_hours() {
        let (rules, seen) = (rules(), world());
        let day = DAY.as_secs();
        let drained = |ago: u64| Past {
            case: CaseId(1),
            node: "pve3".into(),
            faults: Default::default(),
            closed_at: at(NOW),
            drained_at: Some(at(NOW - ago)),
        };
        let today = |ago: &[u64]| {
            let state = State { past: ago.iter().map(|ago| drained(*ago)).collect(), ..State::default() };
            drains_today(None, &View::new(&state, &seen, &rules))
        };
        assert_eq!((today(&[day + 1, day, day - 1, 0]), today(&[day])), (2, 0));
    }
}
