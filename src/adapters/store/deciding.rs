//! What a decision means for every store, before it becomes rows.

use crate::model::case::{Case, Phase};
use crate::model::note::{Note, Noted};
use crate::model::state::Decision;
use crate::model::time::Time;

/// There is something to write. An empty decision costs no wait for the disk.
pub(super) fn needed(decision: &Decision) -> bool {
    !decision.cases.is_empty()
        || !decision.notes.is_empty()
        || !decision.notices.is_empty()
        || !decision.steps.is_empty()
        || !decision.replies.is_empty()
        || decision.pause.is_some()
}

/// Noted when it happens, because a closed case no longer holds it and the daily budget counts it.
pub(super) fn drain_began(case: &Case, notes: &[Note]) -> Option<Time> {
    match case.phase {
        Phase::Draining { since, .. } => Some(since),
        // Within one turn it may have begun and be over.
        _ => notes
            .iter()
            .find(|note| note.case == Some(case.id) && matches!(note.what, Noted::DrainBegins { .. }))
            .map(|note| note.at),
    }
}
