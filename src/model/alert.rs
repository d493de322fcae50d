//! Alerts as Alertmanager tells them, and what we may believe of them.
//!
//! An episode is one uninterrupted firing of one label set. It can only go from firing to resolved: retries
//! and gossiping pairs deliver old snapshots out of order, so a second "firing" of an ended episode is an echo.
//! Resolved is not repaired: series go stale when a BMC hangs, and everything resolves when Prometheus dies.

use serde::{Deserialize, Serialize};

use super::ids::Fingerprint;
use super::matcher::Labels;
use super::time::Time;

/// One firing of one label set, known by fingerprint and start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episode {
    pub fingerprint: Fingerprint,
    pub labels: Labels,
    pub starts_at: Time,
    /// When we first stored it. Alertmanager's clock is not ours.
    pub received_at: Time,
    /// When it resolved; `None` while it fires. Never goes back to `None`.
    pub ends_at: Option<Time>,
}

impl Episode {
    pub fn fires(&self) -> bool {
        self.ends_at.is_none()
    }

    /// What another telling of the same episode adds: perhaps its end. The order of tellings does not matter: the
    /// first receipt counts, and of two ends (an HA pair may disagree by milliseconds) the later one.
    pub fn hear(&mut self, again: &Self) {
        self.received_at = self.received_at.min(again.received_at);
        self.ends_at = self.ends_at.max(again.ends_at);
    }

    /// The start, but never in our future: a clock ahead of ours must not make a fault older or younger than it is.
    pub fn began(&self, now: Time) -> Time {
        self.starts_at.min(self.received_at).min(now)
    }
}
