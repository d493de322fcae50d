//! Does every guest find room elsewhere, at every instant of the way? Proxmox itself never asks.

use super::{Found, Question};
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::Wait;

pub(super) fn check(q: &Question) -> Check {
    q.answer(CheckName::Capacity, &q.view.seen.pve.first, find(q))
}

fn find(q: &Question) -> Result<Found, Wait> {
    let planned = q.planned()?;
    let targets = planned.plan.targets().len();
    let mut found = Found::new(format!("{} guests find room on {targets} nodes", planned.plan.moves.len()));
    for unplaced in &planned.unplaced {
        found.block(unplaced.clone());
    }
    Ok(found)
}
