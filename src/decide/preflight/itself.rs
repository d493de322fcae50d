//! Does pitlane itself run on the node? Then it would move itself in the middle of its work, or switch itself off. Where
//! it runs is declared, and checked against the network cards of the node's guests: those do not err.

use super::{Found, Question};
use crate::model::ids::GuestId;
use crate::model::observed::{Guest, GuestKind};
use crate::model::rules::{Declared, Mode, Policy};
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::Wait;

pub(super) fn check(q: &Question, policy: &Policy) -> Check {
    q.answer(CheckName::Itself, &q.view.seen.pve.first, find(q, policy))
}

fn find(q: &Question, policy: &Policy) -> Result<Found, Wait> {
    let cluster = q.view.cluster()?;
    let mode = q.view.rules.mode_of(policy);
    let declared = &q.view.rules.own.declared;
    if let Some((id, guest)) = here(q)? {
        let mut found = Found::new(format!("pitlane is guest {id}"));
        let command = Some(command(q, id, guest));
        found.block(Wait::SelfOnNode { node: q.node.clone(), command });
        return Ok(found);
    }
    Ok(match declared {
        Declared::Node(node) if node == q.node => {
            let mut found = Found::new("declared: pitlane runs on this node");
            found.block(Wait::SelfOnNode { node: q.node.clone(), command: None });
            found
        }
        Declared::Node(node) => Found::new(format!("declared: pitlane runs on {node}")),
        Declared::Outside => Found::new("declared: pitlane runs outside of the cluster"),
        Declared::Guest(id) => match cluster.guests.get(id) {
            Some(guest) => Found::new(format!("pitlane is guest {id}, on {}", guest.node)),
            None => unsaid(mode, format!("declared: guest {id}, which the cluster does not have")),
        },
        Declared::Unset => unsaid(mode, "not declared".to_owned()),
    })
}

/// A warning for whoever reads before anything happens; a no where nobody reads.
fn unsaid(mode: Mode, reading: String) -> Found {
    let mut found = Found::new(reading);
    match mode {
        Mode::Act => found.block(Wait::SelfUnset),
        Mode::Observe | Mode::Approve => found.warn(Wait::SelfUnset),
    }
    found
}

/// Ourselves among the node's guests: by declaration, or by an address of our own network cards.
fn here<'a>(q: &Question<'a>) -> Result<Option<(GuestId, &'a Guest)>, Wait> {
    let own = &q.view.rules.own;
    for (id, guest) in q.view.cluster()?.guests_on(q.node) {
        if own.declared == Declared::Guest(*id) {
            return Ok(Some((*id, guest)));
        }
        // Without addresses of our own there is nothing to compare with, so nothing has to be seen.
        if !own.macs.is_empty() && !guest.template && !q.view.guest(*id)?.macs.is_disjoint(&own.macs) {
            return Ok(Some((*id, guest)));
        }
    }
    Ok(None)
}

/// What moves it to where the plan would have it, or else to any other member.
fn command(q: &Question, id: GuestId, guest: &Guest) -> String {
    let planned = q.planned.as_ref().ok();
    let target = planned.and_then(|p| p.plan.moves.iter().find(|m| m.guest == id)).map(|m| m.to.to_string());
    let target = target.unwrap_or_else(|| "NODE".to_owned());
    match (guest.ha, guest.kind) {
        (true, GuestKind::Qemu) => format!("ha-manager migrate vm:{id} {target}"),
        (true, GuestKind::Lxc) => format!("ha-manager migrate ct:{id} {target}"),
        (false, GuestKind::Qemu) => format!("qm migrate {id} {target} --online"),
        (false, GuestKind::Lxc) => format!("pct migrate {id} {target} --restart"),
    }
}
