//! Calendar files: when work may begin. They lie beside the policies, as `NAME.calendar.yaml`, and a policy names one in
//! `respond.when`.
//!
//! A file's ending tells a calendar from a policy, so that one flat directory (or one ConfigMap) holds both.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mistakes::{Mistakes, Place, meant};
use super::reader::{Read, read};
use crate::model::calendar::{Calendar, ClockTime, Closed, Date, Day, Extra, Hours, Weekly, Zone};
use crate::model::ids::CalendarName;

/// How a calendar's file ends.
pub const ENDING: &str = ".calendar.yaml";
/// And its tests'.
pub const TESTS_ENDING: &str = ".calendar.test.yaml";

/// More than a year's holidays; more entries are a list that nobody reads any more.
const ENTRIES_MAX: usize = 200;

/// The calendars that come with the program, used when no directory is configured. Name, text.
pub const SHIPPED: [(&str, &str); 2] = [
    ("policies/nights.calendar.yaml", include_str!("../../policies/nights.calendar.yaml")),
    ("policies/staffed-hours.calendar.yaml", include_str!("../../policies/staffed-hours.calendar.yaml")),
];

/// Their tests.
pub const SHIPPED_TESTS: [(&str, &str); 2] = [
    ("policies/nights.calendar.test.yaml", include_str!("../../policies/nights.calendar.test.yaml")),
    (
        "policies/staffed-hours.calendar.test.yaml",
        include_str!("../../policies/staffed-hours.calendar.test.yaml"),
    ),
];

/// One `NAME.calendar.yaml`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "pitlane calendar")]
pub struct CalendarFile {
    /// The calendar's name, as `respond.when` of a policy names it; the file is named after it.
    pub calendar: CalendarName,
    /// Whose clocks count, as the IANA database names them: `Europe/Berlin`.
    pub zone: Zone,
    /// Windows that come back each week. One that ends before it begins reaches over midnight, and belongs to the day on
    /// which it begins.
    #[serde(default)]
    pub open: Vec<WeeklyFile>,
    /// Whole days on which no window of `open` begins; one that reaches into them ends at midnight.
    #[serde(default)]
    pub closed: Vec<ClosedFile>,
    /// Windows of single days, open whatever else is said.
    #[serde(default)]
    pub also_open: Vec<ExtraFile>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeeklyFile {
    #[schemars(length(min = 1))]
    pub days: Vec<Day>,
    pub from: ClockTime,
    /// `24:00` is the end of the day.
    pub to: ClockTime,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClosedFile {
    pub day: Date,
    /// The last of several days; `day` alone if not given.
    pub until: Option<Date>,
    /// Stands beside the reason: Christmas, change freeze.
    pub why: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtraFile {
    pub day: Date,
    pub from: ClockTime,
    pub to: ClockTime,
    pub why: Option<String>,
}

/// What a directory holds of them.
#[derive(Clone, Debug, Default)]
pub struct Calendars {
    good: BTreeMap<CalendarName, Calendar>,
    /// Of files that are wrong: they are told already, and not missing.
    wrong: BTreeSet<String>,
}

impl Calendars {
    /// Reads these files, each with its name; what is wrong is told.
    pub fn read(files: &[(String, String)], mistakes: &mut Mistakes) -> Self {
        let mut all = Self::default();
        for (name, text) in files {
            mistakes.turn_to(name);
            let Some(calendar) = parse(text, mistakes) else {
                let file = name.rsplit('/').next().unwrap_or_default();
                all.wrong.insert(file.trim_end_matches(ENDING).to_owned());
                continue;
            };
            if all.good.contains_key(&calendar.name) {
                let text = format!(
                    "another file already holds the calendar {}; give this one its own name",
                    calendar.name
                );
                mistakes.add(Place::START, text);
                continue;
            }
            all.good.insert(calendar.name.clone(), calendar);
        }
        all
    }

    /// Those that come with the program.
    pub fn shipped(mistakes: &mut Mistakes) -> Self {
        Self::read(&SHIPPED.map(|(name, text)| (name.to_owned(), text.to_owned())), mistakes)
    }

    /// The calendar that a policy names; a mistake at that place if there is none.
    pub fn named(&self, name: &CalendarName, place: Place, mistakes: &mut Mistakes) -> Option<Calendar> {
        let found = self.good.get(name).cloned();
        if found.is_none() && !self.wrong.contains(name.as_str()) {
            let known: Vec<&str> = self.good.keys().map(CalendarName::as_str).collect();
            let hint = match meant(name.as_str(), known.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None if known.is_empty() => {
                    format!("put {name}{ENDING} beside the policies, or take `when` out")
                }
                None => {
                    format!("put {name}{ENDING} beside the policies, or write one of: {}", known.join(", "))
                }
            };
            mistakes.add(place, format!("respond.when: there is no calendar {name}; {hint}"));
        }
        found
    }

    pub fn get(&self, name: &CalendarName) -> Option<&Calendar> {
        self.good.get(name)
    }

    pub fn into_list(self) -> Vec<Calendar> {
        self.good.into_values().collect()
    }
}

/// Reads one calendar's file. `None`: something is wrong with it, and told.
pub fn parse(text: &str, mistakes: &mut Mistakes) -> Option<Calendar> {
    let found = mistakes.list().len();
    let read = read::<CalendarFile>(text, mistakes)?;
    across(&read, mistakes);
    if mistakes.list().len() > found {
        return None;
    }
    read.value.map(Calendar::from)
}

impl From<CalendarFile> for Calendar {
    fn from(file: CalendarFile) -> Self {
        let weekly = |w: WeeklyFile| Weekly {
            days: w.days.into_iter().collect(),
            hours: Hours { from: w.from, to: w.to },
        };
        let closed = |c: ClosedFile| Closed { day: c.day, until: c.until.unwrap_or(c.day), why: c.why };
        let extra = |e: ExtraFile| Extra { day: e.day, hours: Hours { from: e.from, to: e.to }, why: e.why };
        Self {
            name: file.calendar,
            zone: file.zone,
            open: file.open.into_iter().map(weekly).collect(),
            closed: file.closed.into_iter().map(closed).collect(),
            also_open: file.also_open.into_iter().map(extra).collect(),
        }
    }
}

/// Rules across fields. Each looks only at parts that are right by themselves.
fn across(read: &Read<CalendarFile>, mistakes: &mut Mistakes) {
    let count = |list: &str| read.json[list].as_array().map_or(0, Vec::len);
    for list in ["open", "closed", "also_open"] {
        if count(list) > ENTRIES_MAX {
            let text = format!("{list} has {} entries; write {ENTRIES_MAX} at most", count(list));
            mistakes.add(read.root.at(list).place, text);
        }
    }
    for list in ["open", "also_open"] {
        for i in 0..count(list).min(ENTRIES_MAX) {
            let time = |key: &str| read.get::<ClockTime>(&format!("/{list}/{i}/{key}"));
            let place = |key: &str| read.root.at(&format!("{list}.{i}.{key}")).place;
            let end = ClockTime::DAY;
            match (time("from"), time("to")) {
                (Some(from), _) if from.minutes() == end => {
                    let text = format!(
                        "{list}.{i}.from: a window cannot begin at 24:00; write 00:00 of the day after"
                    );
                    mistakes.add(place("from"), text);
                }
                (Some(from), Some(to)) if from == to => {
                    let text = format!(
                        "{list}.{i}.to: a window from {from} to {to} has no length; for the whole day write from: 00:00 and to: 24:00"
                    );
                    mistakes.add(place("to"), text);
                }
                _ => {}
            }
        }
    }
    for i in 0..count("open").min(ENTRIES_MAX) {
        let days = read.json["open"][i]["days"].as_array();
        let days: Vec<&str> = days.into_iter().flatten().filter_map(|day| day.as_str()).collect();
        for (j, day) in days.iter().enumerate() {
            if days[..j].contains(day) {
                let path = format!("open.{i}.days.{j}");
                mistakes.add(read.root.at(&path).place, format!("{path}: {day} is there twice; keep one"));
            }
        }
    }
    for i in 0..count("closed").min(ENTRIES_MAX) {
        let date = |key: &str| read.get::<Date>(&format!("/closed/{i}/{key}"));
        if let (Some(day), Some(until)) = (date("day"), date("until"))
            && until < day
        {
            let path = format!("closed.{i}.until");
            let text = format!("{path}: it ends before it begins; write {day} or later");
            mistakes.add(read.root.at(&path).place, text);
        }
    }
    // A list that is wrong has been told, and is not empty.
    let written = |list: &str| read.root.at(list).place != read.root.place && count(list) == 0;
    let lost = |list: &str| written(list) && !empty_list(read, list);
    if count("open") + count("also_open") == 0 && !lost("open") && !lost("also_open") && read.json.is_object()
    {
        let text = "this calendar never opens, so nothing that names it would ever begin; add a window: open: \
                    [{days: [mon, tue, wed, thu, fri], from: 07:00, to: 17:00}]";
        mistakes.add(read.root.place, text);
    }
}

/// Written as a list without entries.
fn empty_list(read: &Read<CalendarFile>, list: &str) -> bool {
    matches!(&read.root.at(list).kind, super::tree::Kind::List(items) if items.is_empty())
}

/// What is wrong with a zone's name, and which one may be meant: a city alone, or a misspelt name.
pub(super) fn zone(text: &str) -> Result<(), String> {
    let Err(why) = text.parse::<Zone>() else { return Ok(()) };
    let names = Zone::names();
    let city = |name: &&String| {
        name.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(&text.replace(' ', "_")))
    };
    let near = names.iter().find(city).map(String::as_str);
    match near.or_else(|| meant(text, names.iter().map(String::as_str))) {
        Some(near) => Err(format!("{why}; did you mean {near}?")),
        None => Err(format!("{why}; write a name of the IANA database, such as Europe/Berlin or UTC")),
    }
}

#[cfg(test)]
mod tests;
