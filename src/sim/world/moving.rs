//! A migration on its way: phases, shared network, and the ways in which it ends badly.
//!
//! Exit `migration aborted`: it failed before anything was taken. `migration problems`: it failed later, and the guest
//! may be on either side. A worker that was killed says nothing and leaves its lock.

use serde::{Deserialize, Serialize};

use std::collections::BTreeMap;

use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::GuestKind;
use crate::model::time::{Time, age};

use super::migrate::MigrateCall;
use super::task::Work;
use super::{NodeState, Run, World};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Moving {
    pub call: MigrateCall,
    pub stage: Stage,
    /// Bytes still to send.
    pub left: u64,
    /// Until when `left` is right.
    pub stepped: Time,
    /// Bytes of memory, the last of what there is to send; of disks, the first of it.
    pub memory: u64,
    pub disks: u64,
    /// Bytes of memory that went over the wire, what was rewritten meanwhile again and again.
    pub sent: u64,
    /// When the copying began.
    pub copy_since: Option<Time>,
    pub was_running: bool,
    /// The lock on the guest is this worker's.
    pub locked: bool,
    pub ill: Option<IllMove>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// Another migration of the guest holds the lock.
    LockWait {
        until: Time,
    },
    /// Checks, SSH to the target, the incoming side's start.
    Prepare {
        until: Time,
        patience: Time,
    },
    /// A container goes down.
    ShutDown {
        until: Time,
    },
    Copy,
    /// The configuration file moves: the point of no return.
    Commit {
        until: Time,
    },
    /// A container starts again.
    Start {
        until: Time,
    },
    /// Somebody deleted the task: it tidies up.
    Cancelled {
        until: Time,
    },
}

/// How a guest's next migration goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IllMove {
    /// Before anything was taken; the words are in the log, the exit is `migration aborted`.
    Aborted(String),
    /// `migration problems`: still on the source, running, no lock.
    ProblemsAtSource,
    /// `migration problems`: on the source, stopped in `postmigrate`, locked.
    StuckAtSource,
    /// `migration problems`: on the target, stopped, unlocked. For containers: the last start failed.
    StoppedAtTarget,
    /// The worker dies in the middle: `unexpected status`, `lock: migrate`.
    Killed,
}

/// Share of its rate that a migration still gains while the guest is slowed down (auto-converge is always on).
const THROTTLED_GAIN: u64 = 5;
/// Checks, SSH to the target, the incoming side's start: so long until the first byte, and so long from the last one until
/// the task ends. Measured on a genuine 9.2.11.
pub(super) const PREPARE_SECS: u64 = 4;
const COMMIT_SECS: u64 = 3;
/// A lost connection is noticed by TCP only after a quarter of an hour.
const CONNECTION_LOST_SECS: u64 = 900;

impl World {
    /// The guest's next migrations (in this order) go wrong.
    pub fn spoil_move(&mut self, guest: GuestId, how: IllMove) {
        self.ill_moves.entry(guest).or_default().push_back(how);
    }

    pub(super) fn tick_moves(&mut self) {
        let rates = self.rates();
        for at in 0..self.tasks.len() {
            let task = &self.tasks[at];
            let alive = self.nodes.get(&task.node).is_some_and(|n| n.powered());
            if task.runs() && alive && matches!(task.work, Work::Moving(_)) {
                self.step_move(at, rates.get(&at).copied().unwrap_or(0));
            }
        }
    }

    /// Fair shares: each copy gets its part of the source's way out and of the target's way in.
    fn rates(&self) -> BTreeMap<usize, u64> {
        let copies: Vec<(usize, &MigrateCall)> = self
            .tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| task.runs())
            .filter_map(|(at, task)| match &task.work {
                Work::Moving(m) if m.stage == Stage::Copy => Some((at, &m.call)),
                _ => None,
            })
            .filter(|(_, call)| self.linked(&call.node, &call.target))
            .collect();
        let nic = |node: &NodeName| self.nodes.get(node).map_or(0, |n| n.nic);
        copies
            .iter()
            .map(|(at, call)| {
                let out = copies.iter().filter(|(_, c)| c.node == call.node).count() as u64;
                let r#in = copies.iter().filter(|(_, c)| c.target == call.target).count() as u64;
                (*at, (nic(&call.node) / out).min(nic(&call.target) / r#in).min(self.stream_max))
            })
            .collect()
    }

    fn step_move(&mut self, at: usize, rate: u64) {
        let Work::Moving(moving) = &self.tasks[at].work else { return };
        let moving = moving.clone();
        let id = moving.call.guest;
        match moving.stage {
            Stage::LockWait { .. } if self.moving_elsewhere(at, id).is_none() && !self.replicates(id) => {
                let (until, patience) = (self.later(PREPARE_SECS), self.later(12));
                self.log_waited(at);
                self.stage(at, Stage::Prepare { until, patience });
            }
            Stage::LockWait { until } if until <= self.now => {
                self.end_task(
                    at,
                    &format!("can't lock file '/var/lock/pve-manager/pve-migrate-{id}' - got timeout"),
                );
            }
            Stage::Prepare { until, patience } => self.prepare(at, &moving, until, patience),
            Stage::ShutDown { until } if until <= self.now => {
                self.set_run(id, Run::Stopped);
                self.begin_copy(at, &moving);
            }
            Stage::Copy => self.copy(at, &moving, rate),
            Stage::Commit { until } if until <= self.now => self.commit(at, &moving),
            Stage::Start { until } if until <= self.now => {
                self.set_run(id, Run::Running);
                self.set_lock(id, None);
                self.end_task(at, "OK");
            }
            Stage::Cancelled { until } if until <= self.now => {
                self.abandon_move(at);
                self.end_task(at, "migration problems");
            }
            _ => {}
        }
    }

    /// Another worker that moves the same guest.
    fn moving_elsewhere(&self, at: usize, guest: GuestId) -> Option<usize> {
        (0..self.tasks.len()).find(|other| {
            let task = &self.tasks[*other];
            *other != at && task.runs() && task.guest == Some(guest) && matches!(task.work, Work::Moving(_))
        })
    }

    pub(super) fn stage(&mut self, at: usize, to: Stage) {
        let now = self.now;
        if let Some(Work::Moving(moving)) = self.tasks.get_mut(at).map(|t| &mut t.work) {
            moving.stage = to;
            moving.stepped = now;
        }
    }

    fn abort(&mut self, at: usize, why: &str) {
        let secs = age(self.now, self.tasks[at].started).as_secs();
        let took = format!("(duration 00:{:02}:{:02})", secs / 60, secs % 60);
        self.log_move(at, self.now, &format!("ERROR: migration aborted {took}: {why}"));
        self.abandon_move(at);
        self.end_task(at, "migration aborted");
    }

    /// Checks first, then the lock. A target that does not answer is given up after some seconds.
    fn prepare(&mut self, at: usize, moving: &Moving, until: Time, patience: Time) {
        let (id, call) = (moving.call.guest, &moving.call);
        if let Some(why) = self.cannot_move(moving) {
            return self.abort(at, &why);
        }
        if let Some(IllMove::Aborted(why)) = &moving.ill {
            return self.abort(at, why);
        }
        let target_up = self.linked(&call.node, &call.target)
            && self.nodes.get(&call.target).is_some_and(|n| n.state == NodeState::Up);
        if !target_up {
            if patience <= self.now {
                self.abort(at, "Can't connect to destination address using public key");
            }
            return;
        }
        if !moving.locked {
            self.log_begin(at, moving);
        }
        self.set_lock(id, Some("migrate"));
        if let Work::Moving(m) = &mut self.tasks[at].work {
            m.locked = true;
        }
        if until > self.now {
            return;
        }
        if let Some(guest) = self.guests.get_mut(&id)
            && guest.leftovers.remove(&call.target)
        {
            let text = format!("VM {id} already running on {}", call.target);
            return self.abort(at, &text);
        }
        if call.kind == GuestKind::Lxc && moving.was_running {
            let deaf = self.guests.get(&id).is_some_and(|g| g.deaf);
            if deaf {
                return self.abort(at, "container did not stop");
            }
            let down = self.later(3);
            return self.stage(at, Stage::ShutDown { until: down });
        }
        self.begin_copy(at, moving);
    }

    fn begin_copy(&mut self, at: usize, moving: &Moving) {
        let Some(guest) = self.guests.get(&moving.call.guest) else { return };
        let memory = if guest.run == Run::Running { guest.memory_used.max(64 << 20) } else { 0 };
        let disks = guest.local_disks.values().sum::<u64>();
        self.stage(at, Stage::Copy);
        let now = self.now;
        let mut begun = moving.clone();
        (begun.memory, begun.disks, begun.copy_since) = (memory, disks, Some(now));
        self.log_copy(at, &begun);
        if let Work::Moving(m) = &mut self.tasks[at].work {
            (m.left, m.memory, m.disks, m.copy_since) = (memory + disks, memory, disks, Some(now));
        }
    }

    fn copy(&mut self, at: usize, moving: &Moving, rate: u64) {
        let call = &moving.call;
        let started = self.tasks[at].started;
        let target = self.nodes.get(&call.target);
        let rebooted = target.is_some_and(|n| n.powered() && n.since > started);
        let lost = !self.linked(&call.node, &call.target)
            && age(self.now, moving.stepped).as_secs() > CONNECTION_LOST_SECS;
        if rebooted || lost {
            self.abandon_move(at);
            return self.end_task(at, "migration problems");
        }
        if rate == 0 {
            return;
        }
        let running = self.guests.get(&call.guest).is_some_and(|g| g.run == Run::Running);
        let dirty = self.guests.get(&call.guest).filter(|_| running).map_or(0, |g| g.dirty);
        let millis = age(self.now, moving.stepped).as_millis() as u64;
        // Above the guest's own writing it shrinks by itself; below, QEMU slows the guest down until it does.
        // Disks go first, and once.
        let dirty = if moving.left > moving.memory { 0 } else { dirty };
        let gain = rate.saturating_sub(dirty).max(rate / THROTTLED_GAIN);
        let sent = gain.saturating_mul(millis) / 1000;
        let left = moving.left.saturating_sub(sent);
        let now = self.now;
        // What is rewritten meanwhile is sent again; the last second may be a part of one.
        let gained = u128::from(moving.left.min(moving.memory) - left.min(moving.memory));
        let again = gained * u128::from(rate) / u128::from(gain.max(1));
        let over = u64::try_from(again).unwrap_or(u64::MAX).min(rate.saturating_mul(millis) / 1000);
        let after = Moving { left, stepped: now, sent: moving.sent + over, ..moving.clone() };
        if let Work::Moving(m) = &mut self.tasks[at].work {
            **m = after.clone();
        }
        if moving.ill != Some(IllMove::Killed) && millis > 0 {
            self.log_progress(at, &after, moving.left, rate, dirty);
        }
        if moving.ill == Some(IllMove::Killed) {
            let upid = self.tasks[at].upid.clone();
            self.leave_incoming(moving);
            return self.kill_worker(&upid);
        }
        if left == 0 {
            let until = self.later(COMMIT_SECS);
            self.stage(at, Stage::Commit { until });
        }
    }
}
