//! One file per phase: what it wants, and when it is left.

mod confirming;
mod draining;
mod giving_back;
mod handed_over;
mod preparing;
mod proving;
mod second_failure;
mod stranded;

use crate::model::case::Phase;
use crate::model::wait::Wait;

use super::turn::Turn;

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

pub(super) use handed_over::{safe_to_power_off, safe_to_pull};
pub(super) use proving::interrupt;
