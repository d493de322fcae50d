//! One file per phase: what it wants, and when it is left.

mod confirming;
mod draining;
mod giving_back;
mod handed_over;
mod monitors;
mod preparing;
mod proving;
mod second_failure;
mod stranded;

use crate::model::case::Phase;
use crate::model::ids::NodeName;
use crate::model::wait::Wait;

use super::turn::Turn;
use super::view::View;

/// The phase's turn: the next phase when nothing is left to do here, freshly seen.
///
/// # Errors
/// Here we stay, because.
pub(super) fn turn(turn: &mut Turn) -> Result<Phase, Wait> {
    match &turn.case.phase {
        Phase::Confirming { .. } => confirming::turn(turn),
        Phase::Preparing { .. } => preparing::turn(turn),
        Phase::Draining { .. } => draining::turn(turn),
        Phase::HandedOver { .. } => handed_over::turn(turn),
        Phase::Proving { .. } => proving::turn(turn),
        Phase::GivingBack { .. } => giving_back::turn(turn),
        Phase::Stranded { .. } => stranded::turn(turn),
        closed @ Phase::Closed { .. } => Ok(closed.clone()),
    }
}

/// The node is there: nobody goes on without it.
fn back(turn: &Turn) -> Result<(), Wait> {
    if turn.view.cluster()?.online(&turn.case.node) {
        return Ok(());
    }
    member(turn)?;
    Err(Wait::NodeNotBack)
}

/// The cluster still knows the node by its name.
fn member(turn: &Turn) -> Result<(), Wait> {
    known(&turn.case.node, turn.view)
}

fn known(node: &NodeName, view: &View) -> Result<(), Wait> {
    if view.cluster()?.nodes.contains_key(node) {
        return Ok(());
    }
    Err(Wait::NoMemberAnyMore { node: node.clone() })
}

pub(super) use handed_over::{safe_to_power_off, safe_to_pull};
pub(super) use proving::{SOAK_CANCELLED_MAX, interrupt};

#[cfg(test)]
mod tests;
