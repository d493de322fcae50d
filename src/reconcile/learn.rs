//! Learning from migrations that have ended: their logs are read beside the turns, each once.
//!
//! Nothing waits for it and nothing is decided by it: what cannot be read is forgotten, and a forecast is a little worse.

use std::collections::{BTreeMap, BTreeSet};

use tracing::debug;

use crate::decide::learning;
use crate::model::ids::Upid;
use crate::model::observed::Task;
use crate::model::rates::{MEASURED_MAX, Measured};
use crate::model::seen::Trouble;
use crate::model::shown::Shown;

use super::World;
use super::look::SOURCE_MAX;

/// Logs in one round, one after the other: whoever drains wants the node's workers for something else.
const LOGS_A_ROUND_MAX: usize = 8;
/// A log that could not be read is asked for once more; the node may just have been switched off.
const TRIES_MAX: u8 = 2;

/// What this process has read, or given up.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// Task → tries; [`TRIES_MAX`]: done with.
    tried: BTreeMap<Upid, u8>,
    /// What the store keeps was read once.
    knows_store: bool,
}

impl Learned {
    /// Reads what the last turn saw ending.
    pub(super) async fn round(&mut self, world: &World, shown: &Shown) {
        let tasks = learning::worth_reading(&shown.observed.pve.nodes);
        if tasks.iter().all(|task| self.done_with(&task.upid)) {
            return;
        }
        if !self.knows_store {
            // Without it everything would be read again: harmless, and not worth a round.
            let Ok(kept) = world.store.learned().await else { return };
            self.tried.extend(kept.into_iter().map(|one| (one.task, TRIES_MAX)));
            self.knows_store = true;
        }
        let mut found = Vec::new();
        let due: Vec<&Task> = tasks.iter().filter(|task| !self.done_with(&task.upid)).collect();
        for task in due.into_iter().take(LOGS_A_ROUND_MAX) {
            let (done, measured) = read(world, shown, task).await;
            let tries = self.tried.entry(task.upid.clone()).or_default();
            *tries = if done { TRIES_MAX } else { *tries + 1 };
            found.extend(measured);
        }
        if !found.is_empty()
            && let Err(why) = world.store.learn(found).await
        {
            debug!("measurements were not kept: {why}");
        }
        if self.tried.len() > 2 * MEASURED_MAX {
            // Tasks that no look shows any more are never asked about again.
            let listed: BTreeSet<&Upid> = tasks.iter().map(|task| &task.upid).collect();
            self.tried.retain(|task, _| listed.contains(task));
        }
    }

    fn done_with(&self, task: &Upid) -> bool {
        self.tried.get(task).is_some_and(|tries| *tries >= TRIES_MAX)
    }
}

/// Was it read, and what did it tell?
async fn read(world: &World, shown: &Shown, task: &Task) -> (bool, Option<Measured>) {
    let under_maintenance = crate::decide::wish(&shown.state).avoid;
    let log = tokio::time::timeout(SOURCE_MAX, world.pve.task_log(&task.upid, &under_maintenance)).await;
    match log.unwrap_or_else(|_| Err(Trouble::TooSlow("Proxmox did not answer in time".to_owned()))) {
        Ok(log) => {
            let guests = shown.observed.pve.first.any_age().map(|cluster| &cluster.guests);
            let used = guests.and_then(|guests| Some(guests.get(&task.guest?)?.memory_used));
            (true, learning::measured(task, &log, used.filter(|used| *used > 0)))
        }
        Err(why) => {
            debug!("the log of {} could not be read: {why}", task.upid);
            (false, None)
        }
    }
}
