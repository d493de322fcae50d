//! How fast guests move in this cluster: what was measured of single migrations, and the figures that follow from it.
//!
//! A figure is a measurement or a default that argues its number, and it always says which of the two. Nothing here may
//! ever decide whether something is safe: a wrong figure makes a forecast wrong, never a drain.

mod summary;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::{GuestId, NodeName, Upid};
use super::observed::GuestKind;
use super::time::{Time, age, to_the_second};

/// One migration that went well, as its task's log tells it. What the log does not tell is `None`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Measured once, however often it is read.
    pub task: Upid,
    pub guest: GuestId,
    pub kind: GuestKind,
    pub from: NodeName,
    pub to: NodeName,
    pub started: Time,
    pub ended: Time,
    /// Running when it moved: live, or for a container with a restart.
    pub ran: bool,
    pub memory: Option<Sent>,
    pub disks: Option<Sent>,
    /// Bytes per second at which the guest rewrote its memory. QEMU's log names it only where it is large.
    pub dirty: Option<u64>,
    /// Milliseconds without the guest. For a container from its shutdown to its start.
    pub downtime_ms: Option<u64>,
    /// Milliseconds that needed no wire: checks, the start of the other half, the handing over.
    pub fixed_ms: Option<u64>,
}

/// Something that went over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// What really was sent. Pages of zeros are not, so this is less than the guest's memory.
    pub bytes: u64,
    /// For how long, stalls included.
    pub millis: u64,
    /// Bytes per second while it flowed: a stall of the network is not the stream's rate. `None`: too short to tell.
    pub rate: Option<u64>,
}

/// A figure, and how many migrations it rests on; none: it is a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    pub value: u64,
    pub rests_on: u32,
}

impl Figure {
    pub const fn default_of(value: u64) -> Self {
        Self { value, rests_on: 0 }
    }

    pub fn measured(&self) -> bool {
        self.rests_on > 0
    }
}

/// How fast guests move in one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Bytes per second that one migration carries when no other slows it down.
    pub stream: Figure,
    /// Bytes per second that several migrations from one node carried together, where they slowed each other down: what
    /// the network gives. Without an entry nobody has seen the limit, and the configuration's word counts.
    pub wires: BTreeMap<NodeName, Figure>,
    /// Bytes per second that were seen to leave a node together, limit or not.
    pub carried: Option<Figure>,
    /// Bytes per second at which local disks are copied along.
    pub disk: Figure,
    /// Bytes per second at which a guest rewrites its memory,
    pub dirty: Figure,
    /// and those of single guests that were measured themselves.
    pub dirties: BTreeMap<GuestId, u64>,
    /// Milliseconds for which a guest that moves live is away.
    pub downtime_ms: Figure,
    /// Milliseconds that need no wire: of a live migration,
    pub setup_ms: Figure,
    /// of a container that stops and starts,
    pub restart_ms: Figure,
    /// of a stopped guest.
    pub offline_ms: Figure,
    /// Migrations that all this rests on; 0: nothing was measured yet.
    pub migrations: u32,
    /// The time that these migrations are from, days: what is older says nothing of today's network.
    pub window_days: u32,
}

/// What one SSH stream, encrypted on one core, carries on the processors that clusters are made of: 500 MiB/s. The
/// network may well carry less; whoever plans takes the smaller of the two.
pub const STREAM_DEFAULT: u64 = 500 << 20;
/// What Gigabit Ethernet carries, less headers: 112 MiB/s. For networks of which nothing is known: the slowest that
/// Proxmox is run on, so that the first forecast is rather too long than too short.
pub const WIRE_DEFAULT: u64 = 112 << 20;
/// What an ordinary disk writes in one stream, and less than any network of 10 Gbit/s: 200 MiB/s.
const DISK_DEFAULT: u64 = 200 << 20;
/// An idle Linux rewrites some MiB each second. Next to any network this changes a forecast by a few per cent.
const DIRTY_DEFAULT: u64 = 4 << 20;
/// Proxmox's own limit to begin with (`migrate_downtime`).
const DOWNTIME_MS_DEFAULT: u64 = 100;
/// Measured on a genuine 9.2.11: 4 s before the first byte, 3 s after the last.
const SETUP_MS_DEFAULT: u64 = 7_000;
/// A container that shuts down in good order and boots.
const RESTART_MS_DEFAULT: u64 = 30_000;
/// Measured on a genuine 9.2.11.
const OFFLINE_MS_DEFAULT: u64 = 3_000;
/// The time that a forecast speaks of while nothing was measured.
const WINDOW_DAYS: u32 = 30;
/// Measurements that are kept: some drains of a large node, or years of small ones.
pub const MEASURED_MAX: usize = 500;

impl Default for Rates {
    /// Nothing was measured yet.
    fn default() -> Self {
        Self {
            stream: Figure::default_of(STREAM_DEFAULT),
            wires: BTreeMap::new(),
            carried: None,
            disk: Figure::default_of(DISK_DEFAULT),
            dirty: Figure::default_of(DIRTY_DEFAULT),
            dirties: BTreeMap::new(),
            downtime_ms: Figure::default_of(DOWNTIME_MS_DEFAULT),
            setup_ms: Figure::default_of(SETUP_MS_DEFAULT),
            restart_ms: Figure::default_of(RESTART_MS_DEFAULT),
            offline_ms: Figure::default_of(OFFLINE_MS_DEFAULT),
            migrations: 0,
            window_days: WINDOW_DAYS,
        }
    }
}

impl Rates {
    /// What these measurements say at `now`.
    pub fn of(all: &[Measured], now: Time) -> Self {
        summary::rates(all, now)
    }

    /// Bytes per second that leave this node together at most; `None`: nobody has seen the limit.
    pub fn wire(&self, from: &NodeName) -> Option<Figure> {
        self.wires.get(from).copied()
    }

    /// Bytes per second of a node's network, each way: as measured; else as configured; else as another node's, because
    /// a cluster has one network; else more than was seen so far by one more stream. Who took what was seen for the limit
    /// would never again try for more.
    pub fn nic(&self, node: &NodeName, configured: Option<u64>) -> u64 {
        let measured = self.wire(node).map(|wire| wire.value);
        let others = || self.wires.values().map(|wire| wire.value).max();
        let seen = self.carried.map_or(0, |carried| carried.value.saturating_add(self.stream.value));
        measured.or(configured).or_else(others).unwrap_or(seen.max(WIRE_DEFAULT))
    }

    /// Bytes per second at which this guest rewrites its memory.
    pub fn dirty(&self, guest: GuestId) -> u64 {
        self.dirties.get(&guest).copied().unwrap_or(self.dirty.value)
    }

    pub fn basis(&self) -> Basis {
        match self.migrations {
            0 => Basis::Default,
            migrations => Basis::Measured { migrations, days: self.window_days },
        }
    }
}

/// How long a drain is expected to take, and why we think so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// Seconds from the first guest's leaving until the node is empty.
    pub secs: u64,
    /// Bytes per second of one migration that it counts with.
    pub stream: u64,
    pub basis: Basis,
}

/// What a forecast rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum Basis {
    /// Nothing was measured yet.
    Default,
    Measured {
        migrations: u32,
        days: u32,
    },
}

impl fmt::Display for Forecast {
    /// `about 14 min; from 37 migrations of the last 30 days, 1.1 GiB/s a stream`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "about {}; ", Span(self.secs))?;
        let stream = PerSecond(self.stream);
        match self.basis {
            Basis::Default => write!(f, "from the default of {stream} a stream, nothing measured yet"),
            Basis::Measured { migrations: 1, days } => {
                write!(f, "from one migration of the last {days} days, {stream} a stream")
            }
            Basis::Measured { migrations, days } => {
                write!(f, "from {migrations} migrations of the last {days} days, {stream} a stream")
            }
        }
    }
}

/// A drain as it was planned and as it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Took {
    /// Everything was held and the guests could begin to leave.
    pub since: Time,
    /// The node was first seen empty; `None`: not yet.
    pub until: Option<Time>,
    /// What the plan that is carried out says; `None`: it has no forecast.
    pub planned: Option<Forecast>,
}

impl fmt::Display for Took {
    /// `took 15 min, planned 14 min`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let planned = self.planned.map(|forecast| Span(forecast.secs));
        match (self.until, planned) {
            (Some(until), Some(planned)) => {
                write!(f, "took {}, planned {planned}", Span(age(until, self.since).as_secs()))
            }
            (Some(until), None) => write!(f, "took {}", Span(age(until, self.since).as_secs())),
            (None, Some(planned)) => write!(f, "planned {planned}, since {}", to_the_second(self.since)),
            (None, None) => write!(f, "since {}", to_the_second(self.since)),
        }
    }
}

/// Seconds as people say them: whole minutes from two minutes on, because nobody can know better.
pub struct Span(pub u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = (self.0 + 30) / 60;
        match self.0 {
            secs @ 0..120 => write!(f, "{secs} s"),
            _ if minutes < 120 => write!(f, "{minutes} min"),
            _ => write!(f, "{} h {} min", minutes / 60, minutes % 60),
        }
    }
}

/// Bytes per second as people say them: `1.1 GiB/s`, `112 MiB/s`.
pub struct PerSecond(pub u64);

impl fmt::Display for PerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            rate if rate >= 1 << 30 => write!(f, "{:.1} GiB/s", bytes / f64::from(1 << 30)),
            rate if rate >= 10 << 20 => write!(f, "{:.0} MiB/s", bytes / f64::from(1 << 20)),
            _ => write!(f, "{:.1} MiB/s", bytes / f64::from(1 << 20)),
        }
    }
}
