//! Tasks: workers of one node, known by UPID. A task outlives the call that started it, and dies with its node.

use crate::sim::world::word::Word;
use serde::{Deserialize, Serialize};

use crate::model::ids::{GuestId, NodeName, Upid};
use crate::model::time::Time;

use super::moving::Moving;
use super::{Actor, NodeState, Refusal, World};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    pub upid: Upid,
    pub node: NodeName,
    #[serde(deserialize_with = "crate::sim::world::word::known")]
    pub kind: Word,
    pub guest: Option<GuestId>,
    pub by: Actor,
    pub started: Time,
    pub state: TaskState,
    pub log: Vec<String>,
    pub(crate) work: Work,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskState {
    Running,
    /// `status`: `OK`, `WARNINGS: 1`, `unexpected status`, or the error.
    Ended {
        at: Time,
        status: String,
    },
}

/// What the worker does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Work {
    Moving(Box<Moving>),
    /// Ends at `until`, with `status`, and then does `then`.
    Waiting {
        until: Time,
        status: String,
        then: Then,
    },
}

/// A worker that only takes time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Errand<'a> {
    #[serde(deserialize_with = "crate::sim::world::word::known")]
    pub kind: Word,
    pub secs: u64,
    /// Its exit status.
    pub status: &'a str,
    pub then: Then,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Then {
    Nothing,
    Start,
    Stop,
    /// Releases the guest's lock: a backup that is done.
    Unlock,
}

/// `exitstatus` of a worker that was killed, or whose node lost power.
pub const UNEXPECTED: &str = "unexpected status";
/// The index keeps roughly so many per node before the oldest are dropped.
const KEPT_PER_NODE_MAX: usize = 500;

impl Task {
    pub fn runs(&self) -> bool {
        self.state == TaskState::Running
    }

    /// Its log, with the last word of the worker.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.log.clone();
        if matches!(&self.state, TaskState::Ended { status, .. } if status == "OK") {
            lines.push("TASK OK".to_owned());
        }
        lines
    }

    /// `pitlane@pve!ctl` or `root@pam`.
    pub fn user(&self) -> &'static str {
        user(self.by)
    }
}

fn user(by: Actor) -> &'static str {
    match by {
        Actor::Pitlane => "pitlane@pve!ctl",
        Actor::Human | Actor::Ha => "root@pam",
    }
}

impl World {
    /// The tasks of one node, newest first.
    ///
    /// # Errors
    /// 595 while the node is down.
    pub fn tasks_on(&self, via: &NodeName, node: &NodeName) -> Result<Vec<&Task>, Refusal> {
        self.proxy(via, node)?;
        Ok(self.tasks.iter().rev().filter(|t| &t.node == node).collect())
    }

    /// One task, asked under a node.
    ///
    /// # Errors
    /// 400 "no such task" under another node than its own; 595 while the node is down.
    pub fn task(&self, via: &NodeName, node: &NodeName, upid: &Upid) -> Result<&Task, Refusal> {
        self.proxy(via, node)?;
        self.tasks
            .iter()
            .find(|t| &t.upid == upid && &t.node == node)
            .ok_or_else(|| Refusal::parameter("upid", "no such task"))
    }

    pub(crate) fn fork(
        &mut self,
        by: Actor,
        node: &NodeName,
        kind: Word,
        guest: Option<GuestId>,
        work: Work,
    ) -> Upid {
        let pid = 0x400 + self.chance.below(0xF_0000);
        let ahead = self.nodes.get(node).map_or(0, |n| n.clock_ahead);
        let pstart = self.nodes.get(node).map_or(0, |n| n.uptime(self.now)) * 100;
        let start = self.now.as_second() + ahead;
        let id = guest.map(|g| g.to_string()).unwrap_or_default();
        let upid = Upid(format!("UPID:{node}:{pid:08X}:{pstart:08X}:{start:08X}:{kind}:{id}:{}:", user(by)));
        self.tasks.push(Task {
            upid: upid.clone(),
            node: node.clone(),
            kind,
            guest,
            by,
            started: self.now,
            state: TaskState::Running,
            log: Vec::new(),
            work,
        });
        self.forget_old_tasks(node);
        self.stir();
        upid
    }

    /// A short task that ends by itself.
    pub(crate) fn run(
        &mut self,
        by: Actor,
        node: &NodeName,
        guest: Option<GuestId>,
        errand: Errand<'_>,
    ) -> Upid {
        let until = self.later(errand.secs);
        let work = Work::Waiting { until, status: errand.status.to_owned(), then: errand.then };
        self.fork(by, node, errand.kind, guest, work)
    }

    fn forget_old_tasks(&mut self, node: &NodeName) {
        let kept = self.tasks.iter().filter(|t| &t.node == node).count();
        if kept > KEPT_PER_NODE_MAX
            && let Some(oldest) = self.tasks.iter().position(|t| &t.node == node && !t.runs())
        {
            self.tasks.remove(oldest);
        }
    }

    pub(crate) fn end_task(&mut self, at: usize, status: &str) {
        let now = self.now;
        if matches!(self.tasks.get(at).map(|task| &task.work), Some(Work::Moving(_))) {
            self.log_end(at, status);
        }
        if let Some(task) = self.tasks.get_mut(at) {
            if status != "OK" {
                task.log.push(format!("TASK ERROR: {status}"));
            }
            task.state = TaskState::Ended { at: now, status: status.to_owned() };
        }
        self.stir();
    }

    /// The worker is killed: no last word, and a migration leaves its lock.
    pub fn kill_worker(&mut self, upid: &Upid) {
        let now = self.now;
        if let Some(task) = self.tasks.iter_mut().find(|t| &t.upid == upid && t.runs()) {
            // Without a last line in the log the status is "unexpected status".
            task.state = TaskState::Ended { at: now, status: UNEXPECTED.to_owned() };
        }
        self.stir();
    }

    /// Where pvedaemon was restarted: workers abort tidily.
    pub(super) fn interrupt_tasks(&mut self, node: &NodeName) {
        for at in 0..self.tasks.len() {
            if &self.tasks[at].node == node && self.tasks[at].runs() {
                self.abandon_move(at);
                self.end_task(at, "interrupted by signal");
            }
        }
    }

    /// After its node's boot an unfinished task reads stopped.
    pub(super) fn tasks_end_with_boot(&mut self, node: &NodeName) {
        self.moves_die_with(node);
        let now = self.now;
        for task in self.tasks.iter_mut().filter(|t| &t.node == node && t.runs()) {
            task.state = TaskState::Ended { at: now, status: UNEXPECTED.to_owned() };
        }
    }

    pub(super) fn tick_tasks(&mut self) {
        for at in 0..self.tasks.len() {
            let task = &self.tasks[at];
            let alive = self.nodes.get(&task.node).is_some_and(|n| n.powered());
            if !task.runs() || !alive {
                continue;
            }
            match &task.work {
                Work::Moving(_) => {}
                Work::Waiting { until, status, then } => {
                    if *until <= self.now {
                        let (status, then, guest) = (status.clone(), then.clone(), task.guest);
                        self.finish(guest, &then);
                        self.end_task(at, &status);
                    }
                }
            }
        }
        self.tick_moves();
    }

    fn finish(&mut self, guest: Option<GuestId>, then: &Then) {
        let Some(guest) = guest else { return };
        match then {
            Then::Nothing => {}
            Then::Start => self.set_run(guest, super::Run::Running),
            Then::Stop => {
                self.set_run(guest, super::Run::Stopped);
                if let Some(g) = self.guests.get_mut(&guest) {
                    g.started = None;
                }
            }
            Then::Unlock => self.set_lock(guest, None),
        }
    }

    /// A backup runs: the guest is locked until it ends.
    pub fn human_backs_up(&mut self, guest: GuestId, secs: u64) {
        let Some(node) = self.guests.get(&guest).map(|g| g.node.clone()) else { return };
        self.set_lock(guest, Some("backup"));
        let backup = Errand { kind: "vzdump", secs, status: "OK", then: Then::Unlock };
        self.run(Actor::Human, &node, Some(guest), backup);
    }

    /// Does any node still work on it?
    pub fn any_task_runs(&self) -> bool {
        self.tasks
            .iter()
            .any(|t| t.runs() && self.nodes.get(&t.node).is_some_and(|n| n.state == NodeState::Up))
    }
}
