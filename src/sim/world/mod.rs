//! The world: what is true. Doors show it the way the real systems do, late and in parts.

use serde::{Deserialize, Serialize};

pub mod alarms;
pub mod audit;
pub mod backups;
pub mod build;
pub mod chance;
mod disk;
pub mod effects;
pub mod guest;
pub mod migrate;
mod move_ends;
mod move_log;
pub mod moving;
pub mod node;
pub mod refusal;
pub mod task;

pub mod board;
pub mod ceph;
pub mod ha;
pub mod hand;
pub mod machine;
mod members;
pub mod mishaps;
pub mod rows;
pub mod safety;
pub mod sensor;
pub mod word;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::SignedDuration;

pub use alarms::{Alertmanager, SetSilence};
pub use audit::{Expect, audit};
pub use backups::Backups;
pub use board::Board;
pub use build::{Builder, GIB};
pub use ceph::Ceph;
pub use chance::Chance;
pub use effects::{Actor, Effect};
pub use guest::{Guest, Run};
pub use ha::Ha;
pub use machine::{Bmc, Machine};
pub use migrate::MigrateCall;
pub use mishaps::{Call, Mishap, Mishaps};
pub use moving::IllMove;
pub use node::{Cut, Node, NodeState};
pub use refusal::Refusal;
pub use safety::Safety;
pub use sensor::Sensor;
pub use task::{Task, TaskState};

use crate::model::fault::FaultKey;
use crate::model::ids::{GuestId, NodeName};
use crate::model::notice::NoticeId;
use crate::model::observed::{Opinion, Power};
use crate::model::time::Time;

/// One cluster. Fields are public to be read; to change something, use the methods: those know who did it, keep
/// the time of it, and enforce [`safety`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct World {
    pub now: Time,
    /// Seconds that pitlane's own clock is ahead of the world's.
    #[serde(default)]
    pub our_clock: i64,
    pub chance: Chance,
    pub nodes: BTreeMap<NodeName, Node>,
    /// Votes of a quorum device; 0 without one, or while it is away.
    pub qdevice: u32,
    pub guests: BTreeMap<GuestId, Guest>,
    /// Oldest first.
    pub tasks: Vec<Task>,
    pub ha: Ha,
    pub ceph: Option<Ceph>,
    #[serde(with = "crate::model::observed::pairs")]
    pub sensors: BTreeMap<FaultKey, Sensor>,
    /// One, or a pair; none in a world whose Alertmanager is not asked.
    #[serde(default)]
    pub alertmanagers: Vec<Alertmanager>,
    /// Gossiped, so all living members know the same. Ended ones stay listed.
    #[serde(default)]
    pub silences: BTreeMap<String, SetSilence>,
    /// What each node's machine is made of.
    #[serde(default)]
    pub machines: BTreeMap<NodeName, Machine>,
    pub board: Board,
    /// Backups and replication.
    #[serde(default)]
    pub backups: Backups,
    /// What reached people: notice → how often. Whoever is told twice has seen one id twice.
    #[serde(default)]
    pub heard: BTreeMap<NoticeId, u32>,
    /// Guests that the cluster's list leaves out although their nodes know them: half an answer, and it looks like a whole one.
    #[serde(default)]
    pub unlisted: BTreeSet<GuestId>,
    /// Members that have the root helper installed.
    pub hand: BTreeSet<NodeName>,
    /// What pitlane's token may do: path → privileges. A deeper path replaces what is above it.
    pub token: BTreeMap<String, BTreeSet<String>>,
    pub mishaps: Mishaps,
    pub safety: Safety,
    /// Nothing at all may be done by pitlane while this is pulled.
    pub kill_switch: bool,
    /// Everything that anybody did, oldest first.
    pub effects: Vec<Effect>,
    /// Where each guest was, and how, when the world was made.
    pub origin: BTreeMap<GuestId, (NodeName, Power)>,
    /// What one SSH stream carries at most, bytes per second, whatever the network can: encryption on one core.
    pub stream_max: u64,
    /// Guest → how its next migrations go wrong.
    pub(crate) ill_moves: BTreeMap<GuestId, VecDeque<IllMove>>,
    /// What members that are cut off still believe.
    pub(crate) stale: BTreeMap<NodeName, Opinion>,
    /// When something last changed. Long after it nothing is under way, and time may leap.
    pub(crate) stirred: Time,
}

/// Longer than every delay in the world that has no timer of its own: recovery after a node's death takes 138 s,
/// old rows of dead guests stay 300 s.
const QUIET_AFTER: SignedDuration = SignedDuration::from_secs(310);
const TICK: SignedDuration = SignedDuration::from_secs(1);

impl World {
    /// Lets time pass, second by second while something is under way. Going back is ignored.
    pub fn advance(&mut self, to: Time) {
        while self.now < to {
            self.now = self.next_moment().min(to);
            self.tick();
        }
    }

    /// [`World::advance`] by whole seconds.
    pub fn advance_secs(&mut self, secs: u64) {
        self.advance(self.later(secs));
    }

    /// What pitlane's own clock shows.
    pub fn ours(&self) -> Time {
        self.by_our_clock(self.now)
    }

    /// An instant of the world, as adapters tell it: by pitlane's clock.
    pub fn by_our_clock(&self, at: Time) -> Time {
        at.saturating_add(SignedDuration::from_secs(self.our_clock)).unwrap_or(Time::MAX)
    }

    /// So many seconds from now.
    pub fn later(&self, secs: u64) -> Time {
        crate::model::time::after(self.now, std::time::Duration::from_secs(secs))
    }

    /// Something changed: watch every second for a while.
    pub(crate) fn stir(&mut self) {
        self.stirred = self.now;
    }

    fn next_moment(&self) -> Time {
        let next = self.now + TICK;
        let quiet = self.now.duration_since(self.stirred) > QUIET_AFTER && !self.tasks.iter().any(Task::runs);
        if !quiet {
            return next;
        }
        // Only Ceph has longer timers (ten minutes until an OSD is out).
        self.ceph.as_ref().and_then(Ceph::next_timer).unwrap_or(Time::MAX).max(next)
    }

    fn tick(&mut self) {
        self.tick_nodes();
        self.tick_tasks();
        self.tick_ha();
        self.tick_ceph();
    }
}

#[cfg(test)]
mod tests;
