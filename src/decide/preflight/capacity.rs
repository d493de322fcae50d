//! Does every guest find room elsewhere, at every instant of the way? Proxmox itself never asks.

use super::{Found, Question};
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::Wait;
use crate::model::wait_text::count;

pub(super) fn check(q: &Question) -> Check {
    q.answer(CheckName::Capacity, &q.view.seen.pve.first, find(q))
}

fn find(q: &Question) -> Result<Found, Wait> {
    let planned = q.planned()?;
    let targets = planned.plan.targets().len();
    let mut found = Found::new(format!(
        "{} of ours to place, on {}",
        count(planned.plan.moves.len() + planned.unplaced.len(), "guest"),
        count(targets, "node")
    ));
    for unplaced in &planned.unplaced {
        found.block(unplaced.clone());
    }
    Ok(found)
}
