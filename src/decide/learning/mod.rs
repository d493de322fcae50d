//! Learning how fast guests move: one migration's figures out of its task's log. What follows from many is
//! [`Rates::of`](crate::model::rates::Rates::of).
//!
//! Pure, and for forecasts only. Nothing in here may ever hold up a drain or let one begin.

mod log;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use crate::model::ids::NodeName;
use crate::model::observed::{NodeDetail, Task, TaskLog};
use crate::model::rates::Measured;
use crate::model::seen::Seen;

/// Tasks worth reading: migrations that went well, the newest first. HA's tasks as well as ours; of the rest of the node's
/// tasks nothing is learned.
pub fn worth_reading(nodes: &BTreeMap<NodeName, Seen<NodeDetail>>) -> Vec<Task> {
    let mut tasks: Vec<Task> = nodes
        .values()
        .filter_map(Seen::any_age)
        .flat_map(|node| &node.tasks)
        .filter(|task| task.guest.is_some_and(|guest| task.moves(guest)))
        .filter(|task| task.ended.as_ref().is_some_and(|end| end.good()))
        .cloned()
        .collect();
    tasks.sort_by(|a, b| (b.started, &b.upid).cmp(&(a.started, &a.upid)));
    tasks
}

/// What the log of a task tells. `used`: bytes of memory that the guest uses, if known.
///
/// `None`: it did not go well, or its log tells nothing that we can read.
pub fn measured(task: &Task, log: &TaskLog, used: Option<u64>) -> Option<Measured> {
    let ended = task.ended.as_ref().filter(|end| end.good())?.at;
    let mut measured = log::read(task, ended, log)?;
    let sent = measured.memory.and_then(|sent| Some((sent.rate?, sent.bytes)));
    // More was sent than there is: what is above was rewritten meanwhile. `sent = rate · time` and
    // `used = (rate − dirty) · time`.
    let resent = sent.zip(used).map(|((rate, bytes), used)| {
        let above = bytes.saturating_sub(used);
        u64::try_from(u128::from(rate) * u128::from(above) / u128::from(bytes.max(1))).unwrap_or(rate)
    });
    measured.dirty = measured.dirty.or(resent);
    Some(measured)
}
