//! What the log of a migration tells, in the words of Proxmox 7 to 9. What cannot be read is no measurement.
//!
//! Traps, all of them seen in real logs: the rate in a progress line counts pages of zeros, which are never sent (a stream held to
//! 8 MiB/s shows 532 MiB/s there); the "average migration speed" is the guest's whole memory over time, not what was
//! sent; a network that was cut for 40 s leaves a hole between two lines and no other word; instants are whole seconds
//! without a time zone; the duration in the last line counts the wait for the guest's lock.

use std::collections::BTreeMap;

use super::words::{bytes, span, stamped};
use crate::model::ids::NodeName;
use crate::model::observed::{GuestKind, Task, TaskLog};
use crate::model::rates::{Measured, Sent};
use crate::model::time::Time;

/// Progress is told each second. A longer silence is a stall, and no stream's rate.
const STALL_SECS: i64 = 5;
/// Instants are whole seconds: what flowed for less tells no rate.
const FLOW_SECS_MIN: i64 = 3;
/// No migration takes longer: a larger difference is a clock that was set.
const SECS_MAX: i64 = 7 * 24 * 3600;

/// What the log of a task that ended then tells; [`Measured::dirty`] only where QEMU named it, which it does above the
/// stream's own rate.
///
/// `None`: it did not go well, or it is no migration's log.
pub fn read(task: &Task, ended: Time, log: &TaskLog) -> Option<Measured> {
    let mut reading = Reading::default();
    for line in &log.lines {
        let (at, text) = stamped(line);
        reading.line(at, text);
    }
    reading.measured(task, ended, log.cut)
}

#[derive(Default)]
struct Reading {
    to: Option<NodeName>,
    first: Option<i64>,
    finished: Option<i64>,
    failed: bool,
    /// The way of the memory: the start, every progress, the end.
    flow: Vec<(i64, u64)>,
    completed: Option<i64>,
    live: bool,
    shut_down: Option<i64>,
    /// Copied in a way whose duration is not told.
    copied: bool,
    /// Drive → bytes and seconds of its last word.
    drives: BTreeMap<String, (u64, u64)>,
    dirty: Vec<u64>,
    downtime_ms: Option<u64>,
}

impl Reading {
    fn line(&mut self, at: Option<i64>, text: &str) {
        self.first = self.first.or(at);
        if let Some(rest) = text.strip_prefix("starting migration of ") {
            self.to = rest.split_once("to node '").and_then(|(_, rest)| name(rest.split('\'').next()?));
        } else if text.starts_with("starting online/live migration") {
            self.live = true;
        } else if text.starts_with("start migrate command") {
            self.flow.extend(at.map(|at| (at, 0)));
        } else if let Some(rest) = text.strip_prefix("migration active, transferred ") {
            self.progress(at, rest);
        } else if let Some(rest) = text.strip_prefix("migration completed, transferred ") {
            self.flow.extend(at.zip(bytes(rest).map(|(sent, _)| sent)));
        } else if let Some(rest) = text.strip_prefix("average migration speed: ") {
            self.downtime_ms = rest.split_once("downtime ").and_then(|(_, rest)| millis(rest));
            self.completed = self.completed.or(at);
        } else if text.starts_with("migration status: completed") {
            self.completed = self.completed.or(at);
        } else if text.starts_with("shutdown CT") {
            self.shut_down = at;
        } else if text.starts_with("copying local disk images") || text.starts_with("found local volume") {
            self.copied = true;
        } else if text.starts_with("migration finished successfully") {
            self.finished = at;
        } else if text.starts_with("ERROR:") || text.starts_with("TASK ERROR") {
            self.failed = true;
        } else if let Some((drive, rest)) = text.split_once(": transferred ") {
            self.mirror(drive, rest);
        }
    }

    fn progress(&mut self, at: Option<i64>, rest: &str) {
        self.flow.extend(at.zip(bytes(rest).map(|(sent, _)| sent)));
        if let Some((_, rest)) = rest.split_once("VM dirties lots of memory: ") {
            self.dirty.extend(bytes(rest).map(|(rate, _)| rate));
        }
    }

    /// `drive-scsi0: transferred 1.1 GiB of 32.0 GiB (3.44%) in 5s`: without an instant of its own.
    fn mirror(&mut self, drive: &str, rest: &str) {
        let sent = bytes(rest).map(|(sent, _)| sent);
        let secs = rest.rsplit_once(" in ").and_then(|(_, rest)| span(rest));
        if let (true, Some(sent), Some(secs)) = (drive.len() < 64, sent, secs) {
            self.drives.insert(drive.to_owned(), (sent, secs));
        }
    }

    fn measured(mut self, task: &Task, ended: Time, cut: bool) -> Option<Measured> {
        let all = between(self.first?, self.finished?)?;
        let memory = self.memory().filter(|sent| sent.millis <= all);
        let disks = if cut { None } else { self.disks() };
        let wire =
            [memory, disks].into_iter().flatten().fold(0u64, |all, sent| all.saturating_add(sent.millis));
        // Without knowing how long everything else took, nobody knows how long this took.
        let whole =
            !self.copied && (memory.is_some() || !self.live) && (disks.is_some() || self.drives.is_empty());
        let fixed_ms = if whole { all.checked_sub(wire) } else { None };
        self.dirty.sort_unstable();
        Some(Measured {
            task: task.upid.clone(),
            guest: task.guest?,
            kind: if task.kind == "vzmigrate" { GuestKind::Lxc } else { GuestKind::Qemu },
            from: task.node.clone(),
            started: task.started,
            ended,
            ran: self.live || self.shut_down.is_some(),
            memory,
            disks,
            dirty: self.dirty.get(self.dirty.len() / 2).copied(),
            downtime_ms: match self.shut_down {
                Some(down) => between(down, self.finished?),
                None => self.downtime_ms,
            },
            fixed_ms,
            to: self.to.filter(|_| !self.failed)?,
        })
    }

    fn memory(&self) -> Option<Sent> {
        let (start, _) = *self.flow.first().filter(|(_, sent)| *sent == 0)?;
        let (last, bytes) = *self.flow.last()?;
        let millis = between(start, self.completed.unwrap_or(last))?;
        // The last step ends at some moment of a second: it counts only where nothing longer tells the rate.
        let (_, whole) = self.flow.split_last()?;
        let rate = flowing(whole).or_else(|| flowing(&self.flow));
        Some(Sent { bytes, millis, rate })
    }

    /// Drives are copied one after the other.
    fn disks(&self) -> Option<Sent> {
        let mut sum = (0_u64, 0_u64);
        for (bytes, secs) in self.drives.values() {
            sum = (sum.0.checked_add(*bytes)?, sum.1.checked_add(*secs)?);
        }
        let (bytes, secs) = sum;
        let rate = per_second(bytes, i64::try_from(secs).ok()?);
        (!self.drives.is_empty()).then_some(Sent { bytes, millis: secs.checked_mul(1000)?, rate })
    }
}

/// Bytes per second over the steps that were no stall.
fn flowing(flow: &[(i64, u64)]) -> Option<u64> {
    let steps =
        flow.windows(2).map(|pair| (pair[1].0.saturating_sub(pair[0].0), pair[1].1.checked_sub(pair[0].1)));
    let flowing = steps.filter(|(secs, more)| (0..=STALL_SECS).contains(secs) && more.is_some());
    let (secs, sent) =
        flowing.fold((0, 0_u64), |(s, b), (secs, more)| (s + secs, b.saturating_add(more.unwrap_or(0))));
    per_second(sent, secs)
}

/// A node's name, if it can be one: a log is text that others wrote.
fn name(text: &str) -> Option<NodeName> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    (!text.is_empty() && text.len() <= 63 && text.chars().all(fits)).then(|| text.into())
}

fn millis(text: &str) -> Option<u64> {
    text.split_once(" ms")?.0.parse().ok()
}

/// Milliseconds from one line to another, if clocks went as they should.
fn between(from: i64, to: i64) -> Option<u64> {
    let secs = to.checked_sub(from).filter(|secs| (0..=SECS_MAX).contains(secs))?;
    Some(u64::try_from(secs).ok()? * 1000)
}

fn per_second(bytes: u64, secs: i64) -> Option<u64> {
    let rate = bytes / u64::try_from(secs).ok().filter(|_| secs >= FLOW_SECS_MIN)?;
    (rate > 0).then_some(rate)
}
