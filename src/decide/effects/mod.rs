//! The difference between the desired and the observed world, as debts and steps.
//!
//! Debts first: they are committed with the steps, before any step is taken. Each file brings one kind of effect to
//! what is desired, and says what is still missing.

mod alike;
mod arrivals;
mod away;
mod course;
mod elsewhere;
mod flags;
mod home;
mod knot;
mod locate;
mod missing;
mod replan;
mod sheet;
mod silence;
mod slots;
mod stopped;
mod watch;
mod way_home;
mod work_order;

pub(super) use alike::ha_may_bring_home;
pub(super) use arrivals::follow;
pub(super) use away::{ahead, away, ha_still_fits, owe_all};
pub(super) use flags::{
    give_maintenance_back, give_noout_back, hold, hold_maintenance, hold_noout, move_mgr,
};
pub(super) use home::home;
pub(super) use locate::{leave_lit, light, put_out};
pub(super) use sheet::tell_the_sheet;
pub(super) use silence::{
    give_back as give_silence_back, hold as hold_silence, leaked as leaked_silences,
    notice as notice_silence, wish as wish_silences,
};
pub(super) use work_order::{
    close_work_order, open_work_order, taken_up_again, tell_called_off, work_order_shown,
};

use std::time::Duration;

use super::faults::whole_seconds;
use super::turn::Turn;
use super::view::View;
use crate::model::ids::{GuestId, NodeName};
use crate::model::note::Noted;
use crate::model::observed::{Guest, Task};
use crate::model::owed::Whereabouts;
use crate::model::step::Action;
use crate::model::time::{Time, age, just};
use crate::model::wait::Wait;

/// A migration that was asked for shows in the task list at once; a repetition within this would be a second one.
const MOVE_SETTLES: Duration = Duration::from_secs(15);
/// Cancelling is best effort, and its end shows in the looks that follow.
const CANCEL_SETTLES: Duration = Duration::from_secs(60);

/// What Proxmox's tasks tell of one guest's move off or to a node.
struct Moving<'a> {
    /// The task that moves it now.
    running: Option<&'a Task>,
    /// Ended badly since the move began: how often, and the last one.
    failed: u32,
    last_failure: Option<(Time, &'a str)>,
}

impl<'a> Moving<'a> {
    /// Why the move that was asked for at `since` ended badly.
    fn failed_since(&self, since: Time) -> Option<&'a str> {
        self.last_failure.filter(|(at, _)| *at >= since).map(|(_, error)| error)
    }

    /// It runs; or it was asked for a moment ago, and has time to show.
    fn goes_on(&self, since: Time, now: Time) -> bool {
        self.running.is_some() || (self.failed_since(since).is_none() && just(now, since, MOVE_SETTLES))
    }
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

/// A migration that takes too long is cancelled, once in a while. What it left behind is seen by the looks that follow, and
/// then it is tried again or told.
fn cancel_if_overdue(turn: &mut Turn, id: GuestId, guest: &Guest, task: &Task) {
    let spell = age(turn.view.now, task.started);
    if spell <= deadline(turn, id, guest) {
        return;
    }
    let cancel = Action::CancelTask { upid: task.upid.clone(), on: task.node.clone(), guest: id };
    let planned = turn.step(&format!("cancel-{id}"), cancel, CANCEL_SETTLES);
    if planned {
        turn.note(Noted::MoveCancelled { guest: id, after: whole_seconds(spell) });
    }
}

/// What every migration may take, however small the guest: a backup that holds its lock, a storage that hangs for a while.
const MOVE_WITHIN_MIN: Duration = Duration::from_secs(600);

/// How long this guest's migration may take: as the policy says, or several times what its size needs. Never less than
/// twice that, or a large guest would never get across.
fn deadline(turn: &Turn, id: GuestId, guest: &Guest) -> Duration {
    if let Ok(policy) = turn.view.policy(&turn.case)
        && let Some(within) = policy.respond.move_within
    {
        return within.0;
    }
    let (packing, rates) = (&turn.view.rules.packing, turn.view.rates());
    let share = rates.nic(&guest.node, packing.nic(&guest.node)) / u64::from(packing.slots_out.max(1));
    let rate = rates.stream.value.min(share).max(1);
    let disks: u64 = turn.view.guest(id).map_or(0, |detail| detail.local_disks.values().sum());
    let needs = Duration::from_secs(guest.memory_used / rate + disks / rate.min(rates.disk.value).max(1));
    let generous = MOVE_WITHIN_MIN + needs.saturating_mul(4);
    generous.min(turn.view.rules.limits.migration_max.0.max(needs.saturating_mul(2)))
}

/// Writes down where a guest of ours is now.
fn set(turn: &mut Turn, id: GuestId, at: Whereabouts) {
    if let Some(debt) = turn.case.owed.guests.get_mut(&id) {
        debt.at = at;
    }
}

/// A lock that nobody's task holds any more: a person has to look, and reads where.
fn locked(id: GuestId, guest: &Guest, lock: &str) -> Wait {
    let (kind, node) = (Some(guest.kind), Some(guest.node.clone()));
    Wait::GuestLocked { guest: id, lock: lock.to_owned(), kind, node }
}

/// Not locked, not half-way: what the cluster shows of it is where it is.
fn settled(guest: &Guest) -> bool {
    guest.lock.is_none()
}

fn due_after_failures(turn: &Turn, moving: &Moving) -> bool {
    let Some((at, _)) = moving.last_failure else { return true };
    let tries = moving.failed.min(6);
    let pause = Duration::from_secs(10).saturating_mul(2_u32.saturating_pow(tries));
    age(turn.view.now, at) >= pause
}

#[cfg(test)]
mod tests;
