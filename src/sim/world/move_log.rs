//! What the worker of a migration writes into its log: line by line as recorded from the genuine cluster, so that whoever reads
//! it learns from the simulated cluster what it would learn from a real one.

use std::fmt::Write as _;

use crate::model::observed::GuestKind;
use crate::model::time::{Time, age};

use super::World;
use super::moving::Moving;

/// A worker that hangs for days must not fill memory.
const LINES_MAX: usize = 2_000;
/// The guest's last pages and devices, milliseconds; every move has its own.
const DOWNTIME_MS: u64 = 20;
/// Devices, firmware and video memory beside the guest's own.
const STATE_BESIDE: u64 = (64 << 20) + (1 << 19);

impl World {
    /// One line, with the time by the node's own clock.
    pub(super) fn log_move(&mut self, at: usize, when: Time, text: &str) {
        let Some(task) = self.tasks.get_mut(at) else { return };
        let ahead = self.nodes.get(&task.node).map_or(0, |node| node.clock_ahead);
        let shown = when.saturating_add(jiff::SignedDuration::from_secs(ahead)).unwrap_or(when);
        if task.log.len() < LINES_MAX {
            task.log.push(format!("{} {text}", shown.strftime("%Y-%m-%d %H:%M:%S")));
        }
    }

    /// The worker has the guest's lock and begins.
    pub(super) fn log_begin(&mut self, at: usize, moving: &Moving) {
        let (id, since) = (moving.call.guest, moving.stepped);
        if moving.call.kind == GuestKind::Lxc {
            if moving.was_running {
                self.log_move(at, since, &format!("shutdown CT {id}"));
            }
            return;
        }
        self.log_move(
            at,
            since,
            "conntrack state migration not supported or disabled, active connections might get dropped",
        );
        self.log_starting(at, since, moving);
        if moving.was_running {
            self.log_move(at, since, &format!("starting VM {id} on remote node '{}'", moving.call.target));
        }
    }

    pub(super) fn log_starting(&mut self, at: usize, when: Time, moving: &Moving) {
        let short = if moving.call.kind == GuestKind::Lxc { "CT" } else { "VM" };
        let (id, to) = (moving.call.guest, &moving.call.target);
        let address = self.nodes.get(to).map_or_else(String::new, |node| node.address.clone());
        self.log_move(at, when, &format!("starting migration of {short} {id} to node '{to}' ({address})"));
    }

    /// Another worker had the lock.
    pub(super) fn log_waited(&mut self, at: usize) {
        self.log_plain(at, "trying to acquire lock...");
        self.log_plain(at, " OK");
    }

    /// Something is copied from now on.
    pub(super) fn log_copy(&mut self, at: usize, moving: &Moving) {
        let now = self.now;
        if moving.call.kind == GuestKind::Lxc {
            self.log_starting(at, now, moving);
        }
        match moving.was_running && moving.call.kind == GuestKind::Qemu {
            false if moving.disks > 0 => self.log_move(at, now, "copying local disk images"),
            false => {}
            true => {
                self.log_move(at, now, "start remote tunnel");
                self.log_move(at, now, "ssh tunnel ver 1");
                if moving.disks > 0 {
                    self.log_move(at, now, "starting storage migration");
                    self.log_plain(at, "drive mirror is starting for drive-scsi0");
                } else {
                    self.log_memory(at, moving);
                }
            }
        }
    }

    /// The guest's memory is sent from now on.
    fn log_memory(&mut self, at: usize, moving: &Moving) {
        let socket = format!("unix:/run/qemu-server/{}.migrate", moving.call.guest);
        let now = self.now;
        self.log_move(at, now, &format!("starting online/live migration on {socket}"));
        for text in [
            "set migration capabilities",
            "migration downtime limit: 100 ms",
            "migration cachesize: 32.0 MiB",
        ] {
            self.log_move(at, now, text);
        }
        self.log_move(at, now, "set migration parameters");
        self.log_move(at, now, &format!("start migrate command to {socket}"));
    }

    /// A second of copying. `moving`: as it is now; `before`: bytes that were left a second ago.
    pub(super) fn log_progress(&mut self, at: usize, moving: &Moving, before: u64, rate: u64, dirty: u64) {
        if !moving.was_running || moving.call.kind == GuestKind::Lxc {
            return;
        }
        let now = self.now;
        let disks_left = moving.left.saturating_sub(moving.memory);
        if before > moving.memory {
            let (copied, all) = (moving.disks - disks_left, moving.disks);
            let percent = copied as f64 * 100.0 / all as f64;
            let secs = age(now, moving.copy_since.unwrap_or(now)).as_secs();
            let ready = if disks_left == 0 { ", ready" } else { "" };
            let text = format!(
                "transferred {} of {} ({percent:.2}%) in {}{ready}",
                Size(copied),
                Size(all),
                span(secs)
            );
            self.log_plain(at, &format!("drive-scsi0: {text}"));
            if disks_left == 0 {
                self.log_plain(at, "all 'mirror' jobs are ready");
                self.log_memory(at, moving);
            }
        } else if moving.left > 0 {
            let (sent, all) = (Size(moving.sent), Size(self.memory_of(moving) + STATE_BESIDE));
            let mut text =
                format!("migration active, transferred {sent} of {all} VM-state, {}/s", Size(rate));
            if dirty > rate {
                let _ = write!(text, ", VM dirties lots of memory: {}/s", Size(dirty));
            }
            self.log_move(at, now, &text);
        }
        if moving.left > 0 {
            return;
        }
        let secs = age(now, moving.copy_since.unwrap_or(now)).as_secs();
        if let Some(speed) = (self.memory_of(moving) + STATE_BESIDE).checked_div(secs) {
            let downtime = DOWNTIME_MS + u64::from(moving.call.guest.0) % 7;
            let text = format!("average migration speed: {}/s - downtime {downtime} ms", Size(speed));
            self.log_move(at, now, &text);
        }
        self.log_move(at, now, &format!("migration completed, transferred {} VM-state", Size(moving.sent)));
        self.log_move(at, now, "migration status: completed");
    }

    /// A container is on its target and starts.
    pub(super) fn log_start(&mut self, at: usize) {
        let now = self.now;
        self.log_move(at, now, "start final cleanup");
        self.log_move(at, now, "start container on target node");
    }

    /// The last word but one.
    pub(super) fn log_end(&mut self, at: usize, status: &str) {
        let now = self.now;
        let Some(task) = self.tasks.get(at) else { return };
        let secs = age(now, task.started).as_secs();
        let took = format!("(duration {:02}:{:02}:{:02})", secs / 3600, secs / 60 % 60, secs % 60);
        match status {
            "OK" => self.log_move(at, now, &format!("migration finished successfully {took}")),
            "migration problems" => {
                self.log_move(at, now, &format!("ERROR: migration finished with problems {took}"))
            }
            _ => {}
        }
    }

    /// What a program that the worker runs prints: without a time.
    fn log_plain(&mut self, at: usize, text: &str) {
        if let Some(task) = self.tasks.get_mut(at).filter(|task| task.log.len() < LINES_MAX) {
            task.log.push(text.to_owned());
        }
    }

    fn memory_of(&self, moving: &Moving) -> u64 {
        self.guests.get(&moving.call.guest).map_or(moving.memory, |guest| guest.memory)
    }
}

/// Bytes as Proxmox writes them: `80.6 MiB`.
struct Size(u64);

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut value = self.0 as f64;
        let mut unit = "B";
        for larger in ["KiB", "MiB", "GiB", "TiB"] {
            if value < 1024.0 {
                break;
            }
            (value, unit) = (value / 1024.0, larger);
        }
        write!(f, "{value:.1} {unit}")
    }
}

/// Seconds as Proxmox writes them: `1m 4s`.
fn span(secs: u64) -> String {
    let parts = [(secs / 3600, "h"), (secs / 60 % 60, "m")];
    let mut text: String =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit} ")).collect();
    let _ = write!(text, "{}s", secs % 60);
    text
}
