//! Has the process stood still? Nothing is decided from it: facts are aged by the clock that dated them, and what is too old is
//! looked at again. But a person who wonders about a gap shall find the reason in the log.
//!
//! That somebody has set the clock is not told here: the next look sees it, and the turn tells it.

use std::time::{Duration, Instant};

/// A nap is ten seconds at most. Longer than this and the process was stopped, or its machine was.
pub(super) const STOOD: Duration = Duration::from_secs(60);

/// One moment, by a clock that goes on while the process is stopped and that nobody can set.
pub(super) struct Pulse(Instant);

impl Pulse {
    pub(super) fn at(now: Instant) -> Self {
        Self(now)
    }

    /// What happened since, in words; and from here on. `stop_max`: no stop is told that was no longer; a turn may take its
    /// time, a nap may not.
    pub(super) fn beat(&mut self, now: Instant, stop_max: Duration) -> Option<String> {
        let passed = now.duration_since(self.0);
        self.0 = now;
        (passed > stop_max).then(|| {
            let secs = passed.as_secs();
            format!("this process stood still for {secs} s (stopped, or its machine was); everything is looked at again")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_told_once_and_a_nap_is_none() {
        let began = Instant::now();
        let mut pulse = Pulse::at(began);
        let later = |secs| began + Duration::from_secs(secs);
        assert_eq!(pulse.beat(later(10), STOOD), None);
        assert_eq!(pulse.beat(later(610), Duration::MAX), None, "a turn took its time");
        let said = pulse.beat(later(1210), STOOD).expect("a stop");
        assert!(said.contains("stood still for 600 s"), "{said}");
        assert_eq!(pulse.beat(later(1220), STOOD), None);
    }
}
