//! Time as the model sees it: instants are given, never asked for.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant, in UTC.
pub use jiff::Timestamp as Time;

/// How long ago `then` was. Zero when a clock says that `then` is still to come.
pub fn age(now: Time, then: Time) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or(Duration::ZERO)
}

/// `then` plus `span`; the end of time where that would overflow.
pub fn after(then: Time, span: Duration) -> Time {
    then.saturating_add(jiff::SignedDuration::try_from(span).unwrap_or(jiff::SignedDuration::MAX))
        .unwrap_or(Time::MAX)
}

/// An instant as people read it: `2026-01-01T12:00:00Z`. Nobody acts on the nanoseconds of a story.
pub fn to_the_second(at: Time) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A span of several whole days as people say it: `90 days`; any other as it is written.
pub fn in_days(span: Period) -> String {
    const DAY: u64 = 24 * 3600;
    match span.0.as_secs() {
        secs if secs >= 2 * DAY && secs % DAY == 0 => format!("{} days", secs / DAY),
        _ => span.to_string(),
    }
}

/// `then` is less than `within` ago. What is still to come is from before a clock was set back: nobody knows how long ago.
pub fn just(now: Time, then: Time, within: Duration) -> bool {
    then <= now && age(now, then) < within
}

/// A span as people and Prometheus write it: `10m`, `1h30m`, `500ms`.
///
/// Units are Prometheus': `y` = 365 d, `w`, `d`, `h`, `m`, `s`, `ms`, largest first, whole numbers only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(pub Duration);

/// Largest first, as the notation demands; milliseconds each.
const UNITS: [(&str, u64); 7] = [
    ("y", 31_536_000_000),
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Period {
    pub const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    pub const fn mins(mins: u64) -> Self {
        Self::secs(mins * 60)
    }

    pub const fn hours(hours: u64) -> Self {
        Self::mins(hours * 60)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if left == 0 {
            return f.pad("0s");
        }
        let mut text = String::new();
        for (unit, size) in UNITS {
            if left >= size {
                text.push_str(&format!("{}{unit}", left / size));
                left %= size;
            }
        }
        f.pad(&text)
    }
}

/// What is wrong with a span, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a duration; write whole numbers with units, largest first, such as 10m, 1h30m or 45s"
)]
pub struct NotAPeriod {
    text: String,
}

impl FromStr for Period {
    type Err = NotAPeriod;

    fn from_str(text: &str) -> Result<Self, NotAPeriod> {
        let wrong = || NotAPeriod { text: text.to_owned() };
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let mut rest = text;
        let mut smallest = usize::MAX;
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let count: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            let letters =
                rest[digits..].find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len() - digits);
            let unit = &rest[digits..digits + letters];
            let place = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(wrong)?;
            if smallest != usize::MAX && place <= smallest {
                return Err(wrong());
            }
            smallest = place;
            total =
                count.checked_mul(UNITS[place].1).and_then(|ms| total.checked_add(ms)).ok_or_else(wrong)?;
            rest = &rest[digits + letters..];
        }
        if smallest == usize::MAX { Err(wrong()) } else { Ok(Self(Duration::from_millis(total))) }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_read_as_prometheus_reads_them() {
        assert_eq!("1h30m".parse(), Ok(Period::mins(90)));
        assert_eq!("500ms".parse(), Ok(Period(Duration::from_millis(500))));
        assert_eq!("1y".parse(), Ok(Period::hours(365 * 24)));
        assert_eq!("0".parse(), Ok(Period::secs(0)));
        for wrong in ["", "10", "1.5h", "30m1h", "1h1h", "1M", "-5m", "m", "99999999999y"] {
            assert!(wrong.parse::<Period>().is_err(), "{wrong} must be refused");
        }
    }

    #[test]
    fn a_period_shows_as_it_was_written() {
        for text in ["10m", "1h30m", "4h", "45s", "500ms", "1d12h", "0s"] {
            assert_eq!(text.parse::<Period>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn days_are_said_as_days() {
        assert_eq!(in_days(Period::hours(90 * 24)), "90 days");
        assert_eq!(in_days(Period::hours(36)), "1d12h");
    }

    #[test]
    fn what_is_still_to_come_did_not_just_happen() {
        let now: Time = "2026-01-01T00:00:00Z".parse().expect("a valid instant");
        let within = Duration::from_secs(15);
        assert!(just(after(now, Duration::from_secs(14)), now, within));
        assert!(!just(after(now, within), now, within));
        assert!(!just(now, after(now, Duration::from_secs(5)), within));
    }

    #[test]
    fn people_read_no_nanoseconds() {
        let at: Time = "2026-01-01T12:00:00.123456789Z".parse().expect("a valid instant");
        assert_eq!(to_the_second(at), "2026-01-01T12:00:00Z");
    }

    #[test]
    fn an_instant_still_to_come_has_no_age() {
        let now: Time = "2026-01-01T00:00:00Z".parse().expect("a valid instant");
        assert_eq!(age(now, after(now, Duration::from_secs(5))), Duration::ZERO);
    }
}
