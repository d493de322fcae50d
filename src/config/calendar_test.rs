//! Test files of calendars: a time, and whether it is open then, and until or from when. Only the format is read here.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mistakes::Mistakes;
use super::reader::read;
use crate::model::calendar::{ClockTime, Date, Zone};
use crate::model::ids::CalendarName;
use crate::model::time::Time;

/// `NAME.calendar.test.yaml` beside `NAME.calendar.yaml`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "pitlane calendar test")]
pub struct CalendarTests {
    /// The calendar that is tested.
    pub calendar: CalendarName,
    #[schemars(length(min = 1))]
    pub tests: Vec<CalendarCase>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CalendarCase {
    pub name: String,
    /// What the clocks of the calendar's zone show.
    pub at: Wall,
    pub expect: ExpectedHour,
}

/// What is given is compared, what is left out is not.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedHour {
    pub open: Option<bool>,
    /// When it opens next.
    pub opens: Option<Wall>,
    /// When it closes, if it is open.
    pub closes: Option<Wall>,
}

/// What the clocks of a zone show: `2026-03-30 07:00`, with an offset where they show it twice: `2026-10-25 02:30+01:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wall {
    shown: DateTime,
    /// Minutes that the zone is ahead of UTC.
    offset: Option<i32>,
}

impl Wall {
    /// The instant that is meant.
    ///
    /// # Errors
    /// The zone's clocks never show it, or twice, or not with this offset; with what to write instead.
    pub fn in_zone(self, zone: &Zone) -> Result<Time, String> {
        let all = zone.when(self.shown);
        let offset = |at: &Time| zone.wall(*at).duration_since(zone_less(*at)).as_secs() / 60;
        let fits: Vec<&Time> = all
            .iter()
            .filter(|at| self.offset.is_none_or(|minutes| i64::from(minutes) == offset(at)))
            .collect();
        let written = |at: &Time| Self { offset: i32::try_from(offset(at)).ok(), ..self }.to_string();
        match (fits.as_slice(), all.as_slice()) {
            ([one], _) => Ok(**one),
            (_, []) => Err(format!("clocks in {zone} leave {self} out; write another time")),
            ([], [one, ..]) => Err(format!("clocks in {zone} never show {self}; write {}", written(one))),
            (_, [one, other, ..]) => Err(format!(
                "clocks in {zone} show {self} twice; write {} or {}",
                written(one),
                written(other)
            )),
            (_, [_]) => Err(format!("clocks in {zone} never show {self}")),
        }
    }
}

/// The same instant as clocks at UTC show it.
fn zone_less(at: Time) -> DateTime {
    Offset::UTC.to_datetime(at)
}

impl FromStr for Wall {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no time of a day; write for example 2026-03-30 07:00, or 2026-10-25 02:30+01:00"
            )
        };
        let (Some(date), Some(' ' | 'T'), Some(time)) =
            (text.get(..10), text.get(10..11).and_then(|c| c.chars().next()), text.get(11..16))
        else {
            return Err(wrong());
        };
        let date: Date = date.parse()?;
        let time: ClockTime = time.parse().map_err(|_| wrong())?;
        if time.minutes() >= ClockTime::DAY {
            return Err(wrong());
        }
        let (hour, minute) = ((time.minutes() / 60) as i8, (time.minutes() % 60) as i8);
        let offset = match text.get(16..).unwrap_or_default() {
            "" => None,
            "Z" => Some(0),
            signed => {
                let (sign, ahead) = match signed.split_at_checked(1) {
                    Some(("+", rest)) => (1, rest),
                    Some(("-", rest)) => (-1, rest),
                    _ => return Err(wrong()),
                };
                let ahead: ClockTime = ahead.parse().map_err(|_| wrong())?;
                Some(sign * i32::try_from(ahead.minutes()).map_err(|_| wrong())?)
            }
        };
        Ok(Self { shown: date.0.at(hour, minute, 0, 0), offset })
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.shown.strftime("%Y-%m-%d %H:%M"))?;
        match self.offset {
            None => Ok(()),
            Some(minutes) => {
                let (sign, minutes) = (if minutes < 0 { '-' } else { '+' }, minutes.abs());
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

impl Serialize for Wall {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Wall {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Reads one test file.
pub fn parse(text: &str, mistakes: &mut Mistakes) -> Option<CalendarTests> {
    let before = mistakes.list().len();
    let read = read::<CalendarTests>(text, mistakes)?;
    for (i, case) in read.json["tests"].as_array().into_iter().flatten().enumerate() {
        if case["expect"].as_object().is_some_and(|fields| fields.is_empty()) {
            let place = read.root.at(&format!("tests.{i}.expect")).place;
            mistakes.add(place, "this test expects nothing and cannot fail; write for example {open: true}");
        }
    }
    if mistakes.list().len() > before { None } else { read.value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_found_in_its_zone() {
        let zone: Zone = "Europe/Berlin".parse().expect("a zone");
        let meant = |text: &str| text.parse::<Wall>().expect(text).in_zone(&zone);
        let at = |text: &str| text.parse::<Time>().expect(text);
        assert_eq!(meant("2026-01-12 07:00"), Ok(at("2026-01-12T06:00:00Z")));
        assert_eq!(meant("2026-10-25 02:30+02:00"), Ok(at("2026-10-25T00:30:00Z")));
        assert_eq!(meant("2026-10-25 02:30+01:00"), Ok(at("2026-10-25T01:30:00Z")));
        let twice = meant("2026-10-25 02:30").expect_err("it comes twice");
        assert!(twice.ends_with("write 2026-10-25 02:30+02:00 or 2026-10-25 02:30+01:00"), "{twice}");
        let never = meant("2026-03-29 02:30").expect_err("it is left out");
        assert!(never.contains("leave 2026-03-29 02:30 out"), "{never}");
        let other = meant("2026-01-12 07:00+02:00").expect_err("it is winter");
        assert!(other.ends_with("write 2026-01-12 07:00+01:00"), "{other}");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for wrong in [
            "2026-01-12",
            "2026-01-12 7:00",
            "2026-01-12 24:00",
            "2026-02-30 07:00",
            "2026-01-12 07:00 CET",
            "",
        ] {
            let said = wrong.parse::<Wall>().expect_err(wrong);
            assert!(said.contains("write"), "{said}");
        }
    }

    #[test]
    fn mistakes_have_their_place() {
        let text = "calendar: x\ntests:\n  - {name: a, at: 2026-01-12 7:00, expect: {}}\n";
        let mut mistakes = Mistakes::of("x.calendar.test.yaml");
        let value = parse(text, &mut mistakes);
        let said = mistakes.or(value).expect_err("must be refused").to_string();
        let lines: Vec<&str> = said.lines().collect();
        assert!(
            lines[0].starts_with("x.calendar.test.yaml:3:19: tests.0.at: \"2026-01-12 7:00\" is no time"),
            "{said}"
        );
        assert!(lines[1].starts_with("x.calendar.test.yaml:3:44: this test expects nothing"), "{said}");
    }
}
