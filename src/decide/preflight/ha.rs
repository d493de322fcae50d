//! Is HA awake, can pitlane tell it to stay off the node, and does it have a place for each of its guests?

use std::collections::BTreeSet;

use super::{Found, Question};
use crate::model::ids::NodeName;
use crate::model::observed::HaNodeState;
use crate::model::rules::HandSetup;
use crate::model::time::age;
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::{Source, Wait};
use crate::model::wait_text::count;

/// Proxmox itself calls a manager with an older timestamp dead.
const DEAD_AFTER_SECS: u64 = 30;
/// Nodes that the helper keeps under maintenance at a time.
const HAND_MAX: u32 = 1;

pub(super) fn check(q: &Question) -> Check {
    if q.view.ha().is_ok_and(|ha| !ha.in_use()) {
        return q.not_applicable(CheckName::Ha, "HA manages no guest");
    }
    q.answer(CheckName::Ha, &q.view.seen.pve.ha, find(q))
}

fn find(q: &Question) -> Result<Found, Wait> {
    let ha = q.view.ha()?;
    let mut found = Found::new(format!("{} managed", count(ha.services.len(), "guest")));
    if !ha.armed {
        found.block(Wait::HaDisarmed);
    }
    let dead = |at: Option<crate::model::time::Time>| {
        at.is_none_or(|at| age(q.view.now, at).as_secs() > DEAD_AFTER_SECS)
    };
    if dead(ha.crm_at) {
        found.block(Wait::HaDead { who: "HA's manager (CRM)".to_owned() });
    }
    for (node, state) in ha.nodes.iter().filter(|(_, n)| n.state == HaNodeState::Online && dead(n.lrm_at)) {
        // A node that never ran an HA guest has a sleeping LRM without a timestamp; that is no fault.
        if state.lrm_at.is_some() {
            found.block(Wait::HaDead { who: format!("HA's worker (LRM) of {node}") });
        }
    }
    match q.view.rules.hand {
        HandSetup::Absent => {
            found.block(Wait::NoHand {
                what: "keep HA from filling the node again (HA maintenance)".to_owned(),
            });
        }
        HandSetup::Installed => {
            let hand = q.view.fresh(Source::Hand, &q.view.seen.hand)?;
            if !hand.quorate {
                found.block(Wait::NoQuorum { member: hand.member.clone() });
            }
            let out = maintained_beside(q)?;
            if !out.is_empty() {
                found.block(Wait::NodesOut { out: out.into_iter().collect(), max: HAND_MAX });
            }
        }
    }
    let ours = q.case.is_some_and(|case| case.owed.maintenance.is_some());
    if ha.maintenance_requested(q.node) && !ours {
        found.warn(Wait::ForeignMaintenance { node: q.node.clone() });
    }
    for (rule, text) in &q.view.ha_rules()?.broken {
        found.warn(Wait::HaRuleBroken { rule: rule.clone(), text: text.clone() });
    }
    Ok(found)
}

/// Other nodes under HA maintenance, or soon: whoever asked for it, the helper refuses a second one.
fn maintained_beside(q: &Question) -> Result<BTreeSet<NodeName>, Wait> {
    let asked = q.view.ha()?.nodes.iter().filter(|(_, node)| node.maintenance_requested);
    let owed = q.view.state.cases.iter().filter(|case| case.owed.maintenance.is_some());
    let all = asked.map(|(name, _)| name).chain(owed.map(|case| &case.node));
    Ok(all.filter(|name| *name != q.node).cloned().collect())
}

/// Every HA guest on the node has somewhere to go, found before the drain: HA itself would say nothing and do nothing.
pub(super) fn candidates(q: &Question) -> Check {
    let name = CheckName::HaCandidates;
    match q.view.ha() {
        Ok(ha) if !ha.services.values().any(|service| &service.node == q.node) => {
            q.not_applicable(name, "no HA guest on the node")
        }
        _ => q.answer(name, &q.view.seen.pve.ha_rules, find_candidates(q)),
    }
}

fn find_candidates(q: &Question) -> Result<Found, Wait> {
    let planned = q.planned()?;
    let mut found = Found::new(format!("{} with a place", count(planned.plan.ha.len(), "HA guest")));
    for stuck in &planned.stuck {
        if matches!(stuck, Wait::HaNoCandidate { .. }) {
            found.block(stuck.clone());
        }
    }
    for (guest, service) in q.view.ha()?.services.iter().filter(|(_, s)| &s.node == q.node) {
        if matches!(service.state.as_str(), "error" | "fence" | "recovery") {
            found.block(Wait::HaGuestInError { guest: *guest, state: service.state.clone() });
        }
    }
    Ok(found)
}
