//! Alerts as Alertmanager tells them, and what we may believe of them.
//!
//! An episode is one uninterrupted firing of one label set. It can only go from firing to resolved: retries
//! and gossiping pairs deliver old snapshots out of order, so a second "firing" of an ended episode is an echo.
//! Resolved is not repaired: series go stale when a BMC hangs, and everything resolves when Prometheus dies.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
    /// When it resolved; `None` while it fires. No telling brings it back to `None`; only the level does.
    pub ends_at: Option<Time>,
}

/// Which firing of which label set. Starts are kept in whole milliseconds: Alertmanager's webhook tells finer ones than
/// its API, and one episode must not have two keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EpisodeKey {
    pub fingerprint: Fingerprint,
    pub starts_at: Time,
}

/// Many of them, as they were at one moment. Copying it copies nothing: what is known is shown, and remembered by the next
/// turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Episodes(Arc<Vec<Episode>>);

impl Deref for Episodes {
    type Target = [Episode];

    fn deref(&self) -> &[Episode] {
        &self.0
    }
}

impl From<Vec<Episode>> for Episodes {
    fn from(all: Vec<Episode>) -> Self {
        Self(Arc::new(all))
    }
}

impl<'a> IntoIterator for &'a Episodes {
    type Item = &'a Episode;
    type IntoIter = std::slice::Iter<'a, Episode>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl Serialize for Episodes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Episodes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

/// An alert that Alertmanager's API lists: it fires at this moment, whatever was delivered. The level beats the edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Always firing.
    pub episode: Episode,
    /// When Alertmanager last heard that it fires.
    pub updated_at: Time,
    /// Silenced or inhibited: nobody is notified of it, we neither. It fires all the same.
    pub suppressed: bool,
}

impl Episode {
    pub fn fires(&self) -> bool {
        self.ends_at.is_none()
    }

    pub fn key(&self) -> EpisodeKey {
        EpisodeKey { fingerprint: self.fingerprint.clone(), starts_at: self.starts_at }
    }

    /// What another telling of the same episode adds: perhaps its end. The order of tellings does not matter: the
    /// first receipt counts, and of two ends (an HA pair may disagree by milliseconds) the later one.
    pub fn hear(&mut self, again: &Self) {
        self.received_at = self.received_at.min(again.received_at);
        self.ends_at = self.ends_at.max(again.ends_at);
    }

    /// Ended by what we heard, and listed as firing by somebody who heard of it later than that end: it fires. (A
    /// peer that lost sight of Prometheus resolves what its sibling still lists.) A list that is older than the
    /// end knows nothing of it and changes nothing.
    pub fn rises(&self, listed: &Listed) -> bool {
        self.ends_at.is_some_and(|end| listed.updated_at > end)
    }

    /// What a list adds to what is known of the same episode.
    pub fn level(&mut self, listed: &Listed) {
        self.received_at = self.received_at.min(listed.episode.received_at);
        if self.rises(listed) {
            self.ends_at = None;
        }
    }

    /// The start, but never in our future: a clock ahead of ours must not make a fault older or younger than it is.
    pub fn began(&self, now: Time) -> Time {
        self.starts_at.min(self.received_at).min(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        Time::from_second(1_800_000_000 + second).expect("in range")
    }

    fn ended(end: i64) -> Episode {
        Episode {
            fingerprint: "a".into(),
            labels: Labels::new(),
            starts_at: at(0),
            received_at: at(1),
            ends_at: Some(at(end)),
        }
    }

    fn listed(updated: i64) -> Listed {
        let episode = Episode { ends_at: None, received_at: at(updated + 1), ..ended(0) };
        Listed { episode, updated_at: at(updated), suppressed: false }
    }

    /// Two members of a pair disagree by seconds, and tell in any order.
    #[test]
    fn of_two_tellings_the_first_receipt_and_the_later_end_count() {
        let told = |received, end: Option<i64>| Episode {
            received_at: at(received),
            ends_at: end.map(at),
            ..ended(0)
        };
        let all = [told(1, None), told(5, Some(60)), told(9, Some(63)), told(3, Some(61))];
        for first in 0..all.len() {
            let mut episode = all[first].clone();
            all.iter().for_each(|again| episode.hear(again));
            assert_eq!((episode.received_at, episode.ends_at), (at(1), Some(at(63))));
        }
        let mut ended = told(1, Some(60));
        ended.hear(&told(5, None));
        assert!(!ended.fires(), "a firing that comes late is an echo");
    }

    #[test]
    fn a_list_that_is_newer_than_the_end_beats_it() {
        let mut episode = ended(60);
        episode.level(&listed(61));
        assert!(episode.fires());
        assert_eq!(episode.received_at, at(1), "the first receipt counts");
    }

    #[test]
    fn a_list_that_is_older_than_the_end_knows_nothing_of_it() {
        let mut episode = ended(60);
        episode.level(&listed(60));
        assert_eq!(episode, ended(60));
    }
}
