//! `policy test` of calendars: a time in, open or closed out, by the very code that decides in service.

use super::policy_test::Outcome;
use crate::config::calendar_test::{CalendarCase, Wall, parse};
use crate::config::mistakes::{Mistakes, Place};
use crate::model::calendar::Calendar;
use crate::model::time::Time;

/// Were all calendars of the directory right? One that is wrong has been told, and is not missing.
pub(super) fn file(
    name: &str,
    text: &str,
    calendars: &[Calendar],
    whole: bool,
    mistakes: &mut Mistakes,
) -> Vec<Outcome> {
    mistakes.turn_to(name);
    let Some(tests) = parse(text, mistakes) else { return Vec::new() };
    let Some(calendar) = calendars.iter().find(|calendar| calendar.name == tests.calendar) else {
        if whole {
            mistakes.add(Place::START, format!("there is no calendar {} beside this test", tests.calendar));
        }
        return Vec::new();
    };
    let outcome = |test: &CalendarCase| Outcome {
        file: name.to_owned(),
        test: test.name.clone(),
        wrong: wrong(test, calendar).unwrap_or_else(|why| vec![why]),
    };
    tests.tests.iter().map(outcome).collect()
}

/// # Errors
/// A time of the test that the zone's clocks do not show, or show twice.
fn wrong(test: &CalendarCase, calendar: &Calendar) -> Result<Vec<String>, String> {
    let now = test.at.in_zone(&calendar.zone)?;
    let open = calendar.is_open(now);
    let mut wrong = Vec::new();
    if test.expect.open.is_some_and(|expected| expected != open) {
        wrong.push(format!("open: expected {}, found {open}", !open));
    }
    // While it is open, what opens next is the opening after this one.
    let span = calendar.first(now, |_| true);
    let closes = span.filter(|_| open).and_then(|span| span.closes);
    let opens =
        if open { closes.and_then(|closes| calendar.opens_at(closes)) } else { span.map(|span| span.opens) };
    differs("opens", test.expect.opens, opens, calendar, &mut wrong)?;
    differs("closes", test.expect.closes, closes, calendar, &mut wrong)?;
    Ok(wrong)
}

pub(super) fn differs(
    what: &str,
    expected: Option<Wall>,
    found: Option<Time>,
    calendar: &Calendar,
    wrong: &mut Vec<String>,
) -> Result<(), String> {
    let Some(expected) = expected else { return Ok(()) };
    let expected = expected.in_zone(&calendar.zone)?;
    if found != Some(expected) {
        let said = found.map_or_else(|| "never".to_owned(), |at| calendar.moment(at).wall);
        wrong.push(format!("{what}: expected {}, found {said}", calendar.moment(expected)));
    }
    Ok(())
}
