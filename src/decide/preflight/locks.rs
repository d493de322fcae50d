//! Is anybody else working on the node's guests: a lock, a backup, a move that is not ours?

use super::{Found, Question};
use crate::model::ids::GuestId;
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::Wait;

pub(super) fn check(q: &Question) -> Check {
    match q.view.seen.pve.nodes.get(q.node) {
        Some(seen) => q.answer(CheckName::Locks, seen, find(q)),
        None => q.answer(CheckName::Locks, &q.view.seen.pve.first, find(q)),
    }
}

fn find(q: &Question) -> Result<Found, Wait> {
    let cluster = q.view.cluster()?;
    let detail = q.view.node(q.node)?;
    let running = detail.tasks.iter().filter(|task| task.runs());
    let mut found = Found::new(format!("{} tasks running", running.clone().count()));
    let ours = |guest: GuestId| q.case.is_some_and(|case| case.owed.guests.contains_key(&guest));
    for (id, guest) in cluster.guests_on(q.node) {
        match &guest.lock {
            Some(lock) if lock == "migrate" && ours(*id) => {}
            Some(lock) if !guest.template => {
                let (kind, node) = (Some(guest.kind), Some(guest.node.clone()));
                found.block(Wait::GuestLocked { guest: *id, lock: lock.clone(), kind, node })
            }
            _ => {}
        }
    }
    for task in running {
        match task.guest {
            _ if task.kind == "vzdump" => found.block(Wait::BackupRunning { node: q.node.clone() }),
            Some(guest) if task.moves(guest) && !ours(guest) => found.block(Wait::ForeignMove { guest }),
            _ => {}
        }
    }
    Ok(found)
}
