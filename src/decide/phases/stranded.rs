//! The node died with guests aboard. There is nothing to migrate, and nothing new is taken: noout on a dead node keeps
//! Ceph from healing. HA and people bring the guests back; then it is the technician's.

use crate::decide::effects::{give_noout_back, give_silence_back, open_work_order};
use crate::decide::emptiness;
use crate::decide::turn::Turn;
use crate::model::case::{Handover, Phase};
use crate::model::note::Noted;
use crate::model::wait::Wait;

pub(super) fn turn(turn: &mut Turn) -> Result<Phase, Wait> {
    let node = turn.case.node.clone();
    let cluster = turn.view.cluster()?;
    let order = open_work_order(turn);
    // This death is none of our doing: it is to be heard. Nobody waits for it here.
    drop(give_silence_back(turn));
    if turn.case.heal {
        give_noout_back(turn)?;
    }
    if cluster.online(&node) {
        // It came back by itself, and it is still sick. Judged anew; what is held stays held meanwhile.
        turn.note(Noted::NodeBack { node });
        // "Heal" was said of the dead node. It lives, so what its service takes is held again.
        turn.case.heal = false;
        if let Phase::Stranded { cancelled: Some(said), .. } = &turn.case.phase {
            // Called off before it died: whoever works on it says "hands off", and nobody is moved again.
            let (handover, cancelled) = (Handover::Halfway, Some(said.clone()));
            return Ok(Phase::HandedOver { since: turn.view.now, handover, claim: None, cancelled });
        }
        return Ok(Phase::preparing(turn.view.now));
    }
    let aboard = emptiness::aboard(cluster, &node);
    // A ticket system that is down holds nothing up; the work order stands on the board, and is tried again.
    let open = matches!(order, Ok(()) | Err(Wait::EffectFails { .. }));
    if !open || !aboard.is_empty() {
        order?;
    }
    if aboard.is_empty() {
        turn.note(Noted::HandedOver { node });
        let died = turn.case.phase.since();
        let Phase::Stranded { cancelled, .. } = turn.case.phase.clone() else { return Err(Wait::Technician) };
        return Ok(Phase::HandedOver {
            since: turn.view.now,
            handover: Handover::Died { at: died },
            claim: None,
            cancelled,
        });
    }
    Err(Wait::StrandedGuests { guests: aboard.into_iter().collect() })
}
