//! The difference between the desired and the observed world, as debts and steps.
//!
//! Debts first: they are committed with the steps, before any step is taken. Each file brings one kind of effect to
//! what is desired, and says what is still missing.

mod away;
mod flags;
mod home;
mod work_order;

pub(super) use away::{away, owe_all};
pub(super) use flags::{
    already_tried, give_maintenance_back, give_noout_back, hold, hold_maintenance, hold_noout, move_mgr,
};
pub(super) use home::home;
pub(super) use work_order::{close_work_order, open_work_order, taken_up_again, work_order_shown};

use crate::model::ids::GuestId;
use crate::model::observed::{Guest, Task};
use crate::model::time::Time;

use super::turn::Turn;
use super::view::View;
use crate::model::ids::NodeName;
use crate::model::wait::Wait;

/// What Proxmox's tasks tell of one guest's move off or to a node.
struct Moving<'a> {
    /// The task that moves it now.
    running: Option<&'a Task>,
    /// Ended badly since the move began: how often, and the last one.
    failed: u32,
    last_failure: Option<(Time, &'a str)>,
}

/// Reads a guest's moves from the task list of `node`, where migrations off it run.
fn moving<'a>(guest: GuestId, node: &NodeName, since: Time, view: &'a View) -> Result<Moving<'a>, Wait> {
    let tasks = view.node(node)?.tasks.iter().filter(|task| task.moves(guest));
    let mut moving = Moving { running: None, failed: 0, last_failure: None };
    for task in tasks {
        match &task.ended {
            None => moving.running = Some(task),
            Some(end) if !end.good() && task.started >= since => {
                moving.failed += 1;
                if moving.last_failure.is_none_or(|(at, _)| end.at > at) {
                    moving.last_failure = Some((end.at, &end.status));
                }
            }
            Some(_) => {}
        }
    }
    Ok(moving)
}

/// Not locked, not half-way: what the cluster shows of it is where it is.
fn settled(guest: &Guest) -> bool {
    guest.lock.is_none()
}

fn due_after_failures(turn: &Turn, moving: &Moving) -> bool {
    let Some((at, _)) = moving.last_failure else { return true };
    let tries = moving.failed.min(6);
    let pause = std::time::Duration::from_secs(10).saturating_mul(2_u32.saturating_pow(tries));
    crate::model::time::age(turn.view.now, at) >= pause
}
