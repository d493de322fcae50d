//! What is kept for long is not let go by a clock that has just leapt: nobody can take it back, and it is in no hurry.
//!
//! The clock is asked once an hour. Where it is days further than the last time it was set forward, or nothing ran here for as
//! long; which of the two cannot be told. Then nothing is let go for a week: whoever set it wrong has noticed by then.

use std::time::Duration;

use crate::model::time::{Time, after};

const LEAP: Duration = Duration::from_secs(2 * 24 * 3600);
const REST: Duration = Duration::from_secs(7 * 24 * 3600);

/// As it is remembered from one time to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Patience {
    pub(super) asked_at: Option<Time>,
    pub(super) rests_until: Option<Time>,
}

impl Patience {
    /// Under these names it is stored.
    pub(super) const KEYS: [&str; 2] = ["kept_asked_at", "kept_rests_until"];

    /// May something be let go at this time? And what is to be remembered.
    #[must_use]
    pub(super) fn asked(self, now: Time) -> (bool, Self) {
        let asked_at = Some(now);
        let Some(last) = self.asked_at else { return (true, Self { asked_at, rests_until: None }) };
        if now > after(last, LEAP) {
            return (false, Self { asked_at, rests_until: Some(after(now, REST)) });
        }
        // Set back since: what was put off counts from a time that is not to come.
        let rests_until = self.rests_until.filter(|_| now >= last);
        let rests_until = rests_until.filter(|until| *until > now);
        (rests_until.is_none(), Self { asked_at, rests_until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;

    fn at(secs: u64) -> Time {
        after(Time::UNIX_EPOCH, Duration::from_secs(secs))
    }

    /// At which of these times something may go.
    fn goes(times: &[u64]) -> Vec<bool> {
        let mut patience = Patience::default();
        let ask = |secs: &u64| {
            let (goes, next) = patience.asked(at(*secs));
            patience = next;
            goes
        };
        times.iter().map(ask).collect()
    }

    #[test]
    fn it_goes_from_hour_to_hour() {
        assert_eq!(goes(&[0, 3600, 7200, 7200 + 2 * DAY]), [true; 4]);
    }

    #[test]
    fn after_a_leap_nothing_goes_for_a_week() {
        let leapt = 500 * DAY;
        let hours = [0, leapt, leapt + DAY, leapt + 3 * DAY - 1, leapt + 5 * DAY - 2, leapt + 7 * DAY - 3];
        assert_eq!(goes(&hours), [true, false, false, false, false, false]);
        let days: Vec<u64> = (0..=8).map(|day| leapt + day * DAY).collect();
        let after = goes(&[&[0][..], &days].concat());
        assert_eq!(after, [true, false, false, false, false, false, false, false, true, true]);
    }

    #[test]
    fn a_clock_that_is_right_again_ends_the_rest() {
        assert_eq!(goes(&[3600, 500 * DAY, 7200, 10_800]), [true, false, true, true]);
    }
}
