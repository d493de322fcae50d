//! Times of a clock, dates and zones, as people write them.

use std::fmt;
use std::str::FromStr;

use jiff::civil;
use jiff::tz::{self, AmbiguousOffset, TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::model::time::Time;

/// What a clock on the wall shows, to the minute: `07:00`. The end of a day is `24:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClockTime(u32);

impl ClockTime {
    /// Minutes of a day.
    pub const DAY: u32 = 24 * 60;

    /// Since the day began.
    pub fn minutes(self) -> u32 {
        self.0
    }
}

impl fmt::Display for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:02}:{:02}", self.0 / 60, self.0 % 60))
    }
}

impl FromStr for ClockTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let two = |digits: &str| {
            let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse::<u32>().ok()).flatten()
        };
        text.split_once(':')
            .and_then(|(hour, minute)| Some((two(hour)?, two(minute)?)))
            .filter(|(hour, minute)| *minute < 60 && hour * 60 + minute <= Self::DAY)
            .map(|(hour, minute)| Self(hour * 60 + minute))
            .ok_or_else(|| {
                format!("{text:?} is no time of day; write for example 07:00, or 24:00 for the end of a day")
            })
    }
}

/// A day: `2026-12-24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub civil::Date);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('-').collect();
        let numbers = match parts.as_slice() {
            [year, month, day] if year.len() == 4 && month.len() == 2 && day.len() == 2 => {
                (year.parse::<i16>().ok(), month.parse::<i8>().ok(), day.parse::<i8>().ok())
            }
            _ => (None, None, None),
        };
        let (Some(year), Some(month), Some(day)) = numbers else {
            return Err(format!("{text:?} is no date; write year, month and day, such as 2026-12-24"));
        };
        civil::Date::new(year, month, day).map(Self).map_err(|_| match civil::Date::new(year, month, 1) {
            Ok(first) => format!(
                "there is no {text}: that month has {} days; write a day that exists",
                first.days_in_month()
            ),
            Err(_) => format!("there is no {text}: months go from 01 to 12; write such as 2026-12-24"),
        })
    }
}

/// A zone of the world, by its name in the IANA database, with its rules as they were when it was read.
///
/// The machine's own database goes first, because it is kept up to date; the one that comes with the program serves where
/// there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(pub(super) TimeZone);

/// Names of files that are no places.
const NO_PLACES: [&str; 4] = ["localtime", "factory", "etc/unknown", "posixrules"];

impl Zone {
    /// What the clocks there show.
    pub fn wall(&self, at: Time) -> civil::DateTime {
        self.0.to_datetime(at)
    }

    /// When its clocks show this: once, twice in an autumn, or never in a spring.
    pub fn when(&self, wall: civil::DateTime) -> Vec<Time> {
        let offsets = match self.0.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => vec![offset],
            AmbiguousOffset::Fold { before, after } => vec![before, after],
            AmbiguousOffset::Gap { .. } => Vec::new(),
        };
        offsets.into_iter().filter_map(|offset| offset.to_timestamp(wall).ok()).collect()
    }

    /// All names that are known to the program itself, for "did you mean".
    pub fn names() -> Vec<String> {
        TimeZoneDatabase::bundled().available().map(|name| name.as_str().to_owned()).collect()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let place = !NO_PLACES.contains(&name.to_ascii_lowercase().as_str());
        let found = tz::db().get(name).or_else(|_| TimeZoneDatabase::bundled().get(name));
        found
            .ok()
            .filter(|zone| place && zone.iana_name().is_some())
            .map(Self)
            .ok_or_else(|| format!("there is no time zone {name:?}"))
    }
}

/// Shows and reads as its text.
macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

as_text!(ClockTime, Date, Zone);
