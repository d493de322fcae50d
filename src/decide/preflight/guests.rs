//! Can every running guest leave at all? Devices, local CD images and containers that may not restart keep it here.

use super::{Found, Question};
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::Wait;

pub(super) fn check(q: &Question) -> Check {
    q.answer(CheckName::Guests, &q.view.seen.pve.first, find(q))
}

fn find(q: &Question) -> Result<Found, Wait> {
    let planned = q.planned()?;
    let plan = &planned.plan;
    let mut found = Found::new(format!(
        "{} to move, {} that HA moves, {} to shut down, {} stay stopped",
        plan.moves.len() + planned.unplaced.len(),
        plan.ha.len(),
        plan.stops.len(),
        plan.stays.len()
    ));
    for stuck in &planned.stuck {
        if matches!(stuck, Wait::Unmovable { .. }) {
            found.block(stuck.clone());
        }
    }
    for warning in &planned.warnings {
        found.warn(warning.clone());
    }
    Ok(found)
}
