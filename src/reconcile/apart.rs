//! How far apart two turns are. An alarm that comes alone is looked at at once; a storm of them is looked at together.
//!
//! It must never hold a turn back for long: whoever rings waits for it.

use std::time::{Duration, Instant};

/// In the long run two turns are so far apart, however the bell rings.
const TURNS_APART: Duration = Duration::from_millis(200);
/// Some turns may follow each other like this: alarms of one broken part come within a moment.
const SOON: Duration = Duration::from_millis(10);
const SOON_MAX: f64 = 10.0;
/// A turn that took long is followed by a rest as long, so that turns leave half of the machine to the intake; but for no
/// longer than this.
const REST_MAX: Duration = Duration::from_secs(1);

/// What is left of the haste.
pub struct Apart {
    left: f64,
    at: Instant,
}

impl Apart {
    pub fn at(now: Instant) -> Self {
        Self { left: SOON_MAX, at: now }
    }

    /// After a turn that began and ended then: how long no other one begins.
    pub fn rest(&mut self, began: Instant, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + since / TURNS_APART.as_secs_f64()).min(SOON_MAX);
        self.at = now;
        let took = now.saturating_duration_since(began);
        if took > TURNS_APART {
            return took.min(REST_MAX);
        }
        if self.left < 1.0 {
            return TURNS_APART;
        }
        self.left -= 1.0;
        SOON
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_turns_follow_at_once_and_many_do_not() {
        let began = Instant::now();
        let mut apart = Apart::at(began);
        let rests = |apart: &mut Apart, now: Instant| -> Vec<Duration> {
            (0..12).map(|_| apart.rest(now, now)).collect()
        };
        let storm = rests(&mut apart, began);
        assert!(storm[..10].iter().all(|rest| *rest == SOON), "{storm:?}");
        assert_eq!(storm[10..], [TURNS_APART; 2]);
        let later = began + Duration::from_secs(1);
        assert_eq!(rests(&mut apart, later).iter().filter(|rest| **rest == SOON).count(), 5);
    }

    #[test]
    fn a_long_turn_is_followed_by_a_rest_as_long() {
        let began = Instant::now();
        let mut apart = Apart::at(began);
        let after = |millis| began + Duration::from_millis(millis);
        assert_eq!(apart.rest(began, after(700)), Duration::from_millis(700));
        assert_eq!(apart.rest(began, after(11_000)), REST_MAX);
    }
}
