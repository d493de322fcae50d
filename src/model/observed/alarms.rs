//! What Alertmanager lists at this moment: the level behind the edges that its webhook delivers.
//!
//! Listed means firing. Not listed means nothing by itself: a restart empties the list, a member that does not answer
//! takes its part of the truth along. So absence is counted here, over whole polls, and in memory only: a new
//! process counts anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::pairs;
use crate::model::alert::{EpisodeKey, Listed};
use crate::model::time::{Time, age};

/// Whole polls in a row that must miss an episode before it is held to be over. One or two is a restart.
const MISSING_POLLS: u32 = 3;
/// Polls closer together than this are one: Prometheus needs some seconds to tell a new Alertmanager everything.
const COUNTED_APART: Duration = Duration::from_secs(20);

/// The union of what all members list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AlarmsView {
    /// Every member answered, and every alert could be read: what is not listed is listed nowhere.
    pub whole: bool,
    /// For people: who did not answer, or what could not be read.
    pub silent: Vec<String>,
    /// At most one for each episode.
    pub listed: Vec<Listed>,
    /// When each episode was last listed, as far back as a policy may ask.
    #[serde(with = "pairs")]
    pub last_listed: BTreeMap<EpisodeKey, Time>,
    /// Episodes that we hold as firing and that were listed nowhere.
    #[serde(with = "pairs")]
    pub missing: BTreeMap<EpisodeKey, Missing>,
}

/// In how many whole polls in a row, and when the last of them was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    pub polls: u32,
    pub last: Time,
}

impl AlarmsView {
    /// This poll, made at `at`, after the one `before`. `firing`: what we hold as firing. `memory`: how long it is
    /// remembered that an episode was listed.
    #[must_use]
    pub fn following(
        mut self,
        before: Option<&Self>,
        firing: &BTreeSet<EpisodeKey>,
        at: Time,
        memory: Duration,
    ) -> Self {
        if let Some(before) = before {
            let kept = before.last_listed.iter().filter(|(_, last)| age(at, **last) <= memory);
            self.last_listed = kept.map(|(key, last)| (key.clone(), *last)).collect();
        }
        self.last_listed.extend(self.listed.iter().map(|listed| (listed.episode.key(), at)));
        self.missing.clear();
        if self.whole {
            let listed: BTreeSet<EpisodeKey> = self.listed.iter().map(|l| l.episode.key()).collect();
            let missing = firing.difference(&listed).map(|key| {
                let count = match before.and_then(|before| before.missing.get(key)) {
                    None => Missing { polls: 1, last: at },
                    Some(same) if age(at, same.last) < COUNTED_APART => *same,
                    Some(more) => Missing { polls: more.polls.saturating_add(1), last: at },
                };
                (key.clone(), count)
            });
            self.missing = missing.collect();
        }
        self
    }

    /// Missed often enough: over, whether or not anybody will ever say so.
    pub fn gone(&self) -> Vec<EpisodeKey> {
        let gone = self.missing.iter().filter(|(_, missing)| missing.polls >= MISSING_POLLS);
        gone.map(|(key, _)| key.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::alert::Episode;
    use crate::model::labels::Labels;
    use crate::model::time::after;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(secs: u64) -> Time {
        after("2026-03-01T10:00:00Z".parse().expect("a time"), Duration::from_secs(secs))
    }

    fn fan() -> Listed {
        let episode = Episode {
            fingerprint: "fan".into(),
            labels: Labels::new(),
            starts_at: at(0),
            received_at: at(0),
            ends_at: None,
        };
        Listed { episode, updated_at: at(0), suppressed: false }
    }

    /// Polls as (second, whole, lists the fan); the fan is held as firing all the time. Is it gone after each?
    fn polls(told: &[(u64, bool, bool)]) -> Vec<bool> {
        let firing = [fan().episode.key()].into();
        let mut before = None;
        told.iter()
            .map(|(second, whole, lists)| {
                let listed = if *lists { vec![fan()] } else { Vec::new() };
                let view = AlarmsView { whole: *whole, listed, ..AlarmsView::default() };
                let view = view.following(before.as_ref(), &firing, at(*second), HOUR);
                let gone = !view.gone().is_empty();
                before = Some(view);
                gone
            })
            .collect()
    }

    #[test]
    fn three_whole_polls_without_it_end_it() {
        assert_eq!(polls(&[(0, true, false), (30, true, false), (60, true, false)]), [false, false, true]);
    }

    #[test]
    fn polls_in_a_hurry_count_once() {
        let hurried = [(0, true, false), (5, true, false), (19, true, false), (20, true, false)];
        assert_eq!(polls(&hurried), [false; 4]);
    }

    #[test]
    fn a_poll_that_lists_it_begins_the_count_anew() {
        let told =
            [(0, true, false), (30, true, false), (60, true, true), (90, true, false), (120, true, false)];
        assert_eq!(polls(&told), [false; 5]);
    }

    #[test]
    fn a_member_that_does_not_answer_begins_the_count_anew() {
        let told =
            [(0, true, false), (30, true, false), (60, false, false), (90, true, false), (120, true, false)];
        assert_eq!(polls(&told), [false; 5]);
        assert_eq!(polls(&[(0, false, false), (60, false, false), (120, false, false)]), [false; 3]);
    }

    #[test]
    fn when_it_was_last_listed_is_remembered_for_a_while() {
        let none = BTreeSet::new();
        let first = AlarmsView { whole: true, listed: vec![fan()], ..AlarmsView::default() };
        let first = first.following(None, &none, at(0), HOUR);
        let later = AlarmsView::default().following(Some(&first), &none, at(3600), HOUR);
        assert_eq!(later.last_listed.get(&fan().episode.key()), Some(&at(0)));
        let much_later = AlarmsView::default().following(Some(&later), &none, at(3601), HOUR);
        assert!(much_later.last_listed.is_empty());
    }
}
