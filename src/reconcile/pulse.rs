//! Has the process stood still, or has somebody set the clock? Nothing is decided from it: facts are aged by the clock that
//! dated them, and what is too old is looked at again. But a person who wonders about a gap shall find the reason in the log.

use std::time::{Duration, Instant};

use crate::model::time::{Time, age};

/// A nap is ten seconds at most. Longer than this and the process was stopped, or its machine was.
pub(super) const STOOD: Duration = Duration::from_secs(60);
/// A clock that is led by NTP never moves so far in ten seconds.
const JUMP: Duration = Duration::from_secs(5);

/// One moment by both clocks.
pub(super) struct Pulse {
    wall: Time,
    /// Goes on while the process is stopped; nobody can set it.
    steady: Instant,
}

impl Pulse {
    pub(super) fn at(wall: Time) -> Self {
        Self { wall, steady: Instant::now() }
    }

    /// What happened since, in words; and from here on. `stop_max`: no stop is told that was no longer; a turn may take its
    /// time, a nap may not.
    pub(super) fn beat(&mut self, wall: Time, stop_max: Duration) -> Option<String> {
        let steady = Instant::now();
        let told = told(self.wall, wall, steady.duration_since(self.steady), stop_max);
        *self = Self { wall, steady };
        told
    }
}

fn told(before: Time, now: Time, passed: Duration, stop_max: Duration) -> Option<String> {
    let (ahead, back) = (age(now, before), age(before, now));
    let jump = if back > Duration::ZERO { back + passed } else { ahead.abs_diff(passed) };
    if jump > JUMP {
        let (secs, way) = (jump.as_secs(), if ahead > passed { "forward" } else { "back" });
        return Some(format!(
            "the clock of this machine was set {way} by {secs} s; everything is looked at again"
        ));
    }
    (passed > stop_max).then(|| {
        let secs = passed.as_secs();
        format!("this process stood still for {secs} s (stopped, or its machine was); everything is looked at again")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::after;

    #[test]
    fn a_stop_is_told_from_a_clock_that_was_set() {
        let noon: Time = "2026-01-01T12:00:00Z".parse().expect("an instant");
        let secs = Duration::from_secs;
        assert_eq!(told(noon, after(noon, secs(10)), secs(10), STOOD), None);
        assert_eq!(told(noon, after(noon, secs(13)), secs(10), STOOD), None, "NTP leads");
        let said = told(noon, after(noon, secs(600)), secs(600), STOOD).expect("a stop");
        assert!(said.contains("stood still for 600 s"), "{said}");
        let said = told(noon, after(noon, secs(3610)), secs(10), STOOD).expect("a jump");
        assert!(said.contains("forward by 3600 s"), "{said}");
        let said = told(after(noon, secs(3600)), noon, secs(10), STOOD).expect("a jump");
        assert!(said.contains("back by 3610 s"), "{said}");
    }
}
