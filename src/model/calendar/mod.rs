//! When work may begin: weekly windows of a zone's wall clock, without closed days, with extra hours.
//!
//! Open is what a clock on the wall of that zone says, and nothing else: an hour that a spring leaves out is not there, an
//! hour that an autumn repeats is there twice. The machine's own zone never matters, and nobody asks here what time it is.

#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use jiff::civil;
use serde::{Deserialize, Serialize};

use super::ids::CalendarName;
use super::time::{Period, Time, after, age};

pub use text::{ClockTime, Date, Zone};

/// Enough for every calendar that opens once a week …
const NEAR_DAYS: u32 = 9;
/// … and for those that open on some days of the year. What opens later than that counts as never.
pub const FAR_DAYS: u32 = 400;

/// One calendar of the house.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    pub name: CalendarName,
    pub zone: Zone,
    pub open: Vec<Weekly>,
    /// On these days nothing of `open` begins, and what reaches into them from the day before ends at midnight.
    #[serde(default)]
    pub closed: Vec<Closed>,
    /// Open whatever else is said.
    #[serde(default)]
    pub also_open: Vec<Extra>,
}

/// A window that comes back each week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weekly {
    pub days: BTreeSet<Day>,
    #[serde(flatten)]
    pub hours: Hours,
}

/// From one time of the clock to the next time that it shows the other: over midnight, if that is the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    pub from: ClockTime,
    pub to: ClockTime,
}

/// Whole days, both ends included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    pub day: Date,
    pub until: Date,
    #[serde(default)]
    pub why: Option<String>,
}

/// A window of one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extra {
    pub day: Date,
    #[serde(flatten)]
    pub hours: Hours,
    #[serde(default)]
    pub why: Option<String>,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    fn of(date: civil::Date) -> Self {
        use civil::Weekday;
        match date.weekday() {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }
}

/// An instant, and how the zone's people say it: `Mon 2026-03-30 07:00 Europe/Berlin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    pub at: Time,
    pub wall: String,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.wall)
    }
}

/// Why work may not begin by a calendar, and from when on it may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shut {
    pub calendar: CalendarName,
    /// `None`: not within [`FAR_DAYS`].
    pub opens: Option<Moment>,
    /// How long the work takes, where it is open earlier and not for so long.
    pub needs: Option<Period>,
    /// Why this day is closed, where the calendar says so.
    pub why: Option<String>,
}

impl Shut {
    /// Without what changes from turn to turn.
    pub fn subject(&self) -> String {
        let opens = self.opens.as_ref().map_or_else(|| "never".to_owned(), |opens| opens.at.to_string());
        format!("{}/{opens}", self.calendar)
    }
}

impl fmt::Display for Shut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calendar, opens, needs, why } = self;
        let why = why.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
        match (needs, opens) {
            (Some(needs), Some(opens)) => {
                write!(
                    f,
                    "the drain takes about {needs}, and {calendar} is not open for so long before {opens}"
                )
            }
            (Some(needs), None) => {
                write!(
                    f,
                    "the drain takes about {needs}, and {calendar} is not open for so long within {FAR_DAYS} days"
                )
            }
            (None, Some(opens)) => write!(f, "outside of {calendar}{why}; it opens {opens}"),
            (None, None) => {
                write!(f, "outside of {calendar}{why}, which does not open within {FAR_DAYS} days")
            }
        }
    }
}

/// Open from the first of these instants until the second, without a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub opens: Time,
    /// `None`: not within [`FAR_DAYS`].
    pub closes: Option<Time>,
}

impl Span {
    pub fn lasts(&self) -> Duration {
        self.closes.map_or(Duration::MAX, |closes| age(closes, self.opens))
    }
}

impl Hours {
    /// Open at this minute, counted from the midnight with which the window's day begins?
    fn covers(self, minute: u32) -> bool {
        let (from, to) = (self.from.minutes(), self.to.minutes());
        let to = if to > from { to } else { to + ClockTime::DAY };
        (from..to).contains(&minute)
    }
}

impl Calendar {
    pub fn is_open(&self, at: Time) -> bool {
        let wall = self.zone.wall(at);
        let minute = u32::from(wall.hour().unsigned_abs()) * 60 + u32::from(wall.minute().unsigned_abs());
        let today = Some((wall.date(), minute));
        // A window of yesterday may reach over midnight.
        let yesterday = wall.date().yesterday().ok().map(|day| (day, minute + ClockTime::DAY));
        let days = || [today, yesterday].into_iter().flatten();
        if self
            .also_open
            .iter()
            .any(|extra| days().any(|(day, minute)| extra.day.0 == day && extra.hours.covers(minute)))
        {
            return true;
        }
        self.closed_on(wall.date()).is_none()
            && days().any(|(day, minute)| {
                let weekday = Day::of(day);
                self.open.iter().any(|w| w.days.contains(&weekday) && w.hours.covers(minute))
                    && self.closed_on(day).is_none()
            })
    }

    /// The entry that closes this day of the zone, if there is one.
    fn closed_on(&self, day: civil::Date) -> Option<&Closed> {
        self.closed.iter().find(|closed| (closed.day.0..=closed.until.0).contains(&day))
    }

    /// Why the day of this instant is closed, where the file says so.
    pub fn why_closed(&self, at: Time) -> Option<&str> {
        self.closed_on(self.zone.wall(at).date())?.why.as_deref()
    }

    /// The first instant from `at` on at which it is open.
    pub fn opens_at(&self, at: Time) -> Option<Time> {
        self.first(at, |_| true).map(|span| span.opens)
    }

    /// The first stretch of open time from `at` on that is as wanted. One that has begun counts with what is left of it.
    pub fn first(&self, at: Time, wanted: impl Fn(&Span) -> bool) -> Option<Span> {
        let near = self.spans(at, NEAR_DAYS);
        // Where the look ends nobody knows how much longer it is open.
        let found = near.into_iter().filter(|span| span.closes.is_some()).find(&wanted);
        found.or_else(|| self.spans(at, FAR_DAYS).into_iter().map(|span| self.to_its_end(span)).find(wanted))
    }

    /// A stretch that was cut off where the look ended, looked at from its beginning.
    fn to_its_end(&self, span: Span) -> Span {
        let again = || self.spans(span.opens, FAR_DAYS).into_iter().next();
        if span.closes.is_some() { span } else { again().unwrap_or(span) }
    }

    /// An instant in the words of the zone. Where an autumn shows the same time twice, it says which.
    pub fn moment(&self, at: Time) -> Moment {
        let wall = self.zone.wall(at);
        let said = wall.strftime("%a %Y-%m-%d %H:%M").to_string();
        let which = match self.zone.when(wall).as_slice() {
            [_, _] => format!(" ({})", self.zone.0.to_offset(at)),
            _ => String::new(),
        };
        Moment { at, wall: format!("{said}{which} {}", self.zone) }
    }

    /// All stretches of open time within so many days.
    fn spans(&self, from: Time, days: u32) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut since = None;
        for at in self.seams(from, days) {
            match (self.is_open(at), since) {
                (true, None) => since = Some(at),
                (false, Some(opens)) => {
                    spans.push(Span { opens, closes: Some(at) });
                    since = None;
                }
                _ => {}
            }
        }
        spans.extend(since.map(|opens| Span { opens, closes: None }));
        spans
    }

    /// Every instant at which it may open or close: between two of them nothing changes. Where a window begins or ends by
    /// the clock on the wall, at midnight, and where the zone sets its clocks.
    fn seams(&self, from: Time, days: u32) -> BTreeSet<Time> {
        let zone = &self.zone.0;
        let until = after(from, Duration::from_secs(u64::from(days) * 24 * 3600));
        let mut seams = BTreeSet::from([from]);
        let set = zone.following(from).map(|transition| transition.timestamp());
        seams.extend(set.take_while(|at| *at < until));
        let weekly: BTreeSet<u32> = self.open.iter().flat_map(|window| window.hours.ends()).collect();
        // Clocks may have been set by more than a day: two on either side.
        let first = self.zone.wall(from).date().saturating_sub(jiff::Span::new().days(2));
        for day in first.series(jiff::Span::new().days(1)).take(days as usize + 5) {
            let extra = self
                .also_open
                .iter()
                .filter(|extra| extra.day.0 == day || extra.day.0.tomorrow().is_ok_and(|next| next == day));
            let marks: BTreeSet<u32> =
                weekly.iter().copied().chain(extra.flat_map(|e| e.hours.ends())).chain([0]).collect();
            for minute in marks {
                let (hour, minute) = ((minute / 60) as i8, (minute % 60) as i8);
                let wall = day.at(hour, minute, 0, 0);
                seams.extend(self.zone.when(wall).into_iter().filter(|at| *at > from && *at < until));
            }
        }
        seams
    }
}

impl Hours {
    /// The minutes of the day at which it begins and ends.
    fn ends(self) -> [u32; 2] {
        [self.from, self.to].map(|time| time.minutes() % ClockTime::DAY)
    }
}
