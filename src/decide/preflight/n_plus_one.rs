//! With the node out, does the cluster survive the loss of any one more? A three-node cluster cannot; that is a warning.

use super::{Found, Question};
use crate::model::rules::NPlusOne;
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::Wait;
use crate::model::wait_text::count;

pub(super) fn check(q: &Question) -> Check {
    if q.view.rules.packing.n_plus_one == NPlusOne::Off {
        return q.not_applicable(CheckName::NPlusOne, "switched off in the configuration");
    }
    q.answer(CheckName::NPlusOne, &q.view.seen.pve.first, find(q))
}

/// The planner looked at it when it made the plan: only HA's guests count, because only HA starts guests by itself.
fn find(q: &Question) -> Result<Found, Wait> {
    let planned = q.planned()?;
    let (open, _) = crate::decide::live::rooms(q.node, q.view)?;
    let mut found = Found::new(format!("the loss of each of {} looked at", count(open.len(), "other node")));
    for (lost, guests) in &planned.fragile {
        let no_spare = Wait::NoSpareFor { lost: lost.clone(), guests: guests.clone() };
        match q.view.rules.packing.n_plus_one {
            NPlusOne::Required => found.block(no_spare),
            _ => found.warn(no_spare),
        }
    }
    Ok(found)
}
