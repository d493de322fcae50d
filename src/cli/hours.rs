//! When each calendar is open, and which policies wait for it: for `config check`, where somebody asks whether what was
//! written is what was meant.

use std::fmt;

use serde::Serialize;

use crate::model::calendar::{Calendar, FAR_DAYS, Moment};
use crate::model::ids::CalendarName;
use crate::model::rules::Policy;
use crate::model::time::{Period, Time, age};
use crate::model::wait_text::list;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    calendar: CalendarName,
    open: bool,
    /// When it opens next, if it is closed.
    opens: Option<Moment>,
    /// When it closes, if it is open.
    closes: Option<Moment>,
    /// How long until then.
    within: Option<Period>,
    policies: Vec<String>,
}

pub fn of(calendars: &[Calendar], policies: &[Policy], now: Time) -> Vec<Told> {
    let named = |calendar: &Calendar| {
        let waits =
            policies.iter().filter(|p| p.respond.when.as_ref().is_some_and(|w| w.name == calendar.name));
        waits.map(|policy| policy.name.to_string()).collect()
    };
    let told = |calendar: &Calendar| {
        let open = calendar.is_open(now);
        let span = calendar.first(now, |_| true);
        let (opens, closes) = if open {
            (None, span.and_then(|span| span.closes))
        } else {
            (span.map(|span| span.opens), None)
        };
        Told {
            calendar: calendar.name.clone(),
            open,
            opens: opens.map(|at| calendar.moment(at)),
            closes: closes.map(|at| calendar.moment(at)),
            within: opens.or(closes).map(|at| Period::secs(age(at, now).as_secs())),
            policies: named(calendar),
        }
    };
    calendars.iter().map(told).collect()
}

impl fmt::Display for Told {
    /// `Calendar staffed-hours: closed, opens Mon 2026-03-30 07:00 Europe/Berlin (in 9h12m); named by fan and psu.`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = self.within.map_or_else(String::new, |within| format!(" (in {within})"));
        write!(f, "Calendar {}: ", self.calendar)?;
        match (self.open, &self.opens, &self.closes) {
            (true, _, Some(closes)) => write!(f, "open, closes {closes}{within}")?,
            (true, _, None) => f.write_str("open, and never closes")?,
            (false, Some(opens), _) => write!(f, "closed, opens {opens}{within}")?,
            (false, None, _) => write!(f, "closed, and does not open within {FAR_DAYS} days")?,
        }
        match self.policies.as_slice() {
            [] => f.write_str("; no policy names it."),
            some => write!(f, "; named by {}.", list(some)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Mistakes, policy};

    #[test]
    fn it_is_said_when_each_opens_and_who_waits_for_it() {
        let mut mistakes = Mistakes::default();
        let (mut policies, calendars) = policy::load_all(None, &mut mistakes);
        policies.iter_mut().filter(|p| p.name.as_str() == "fan").for_each(|p| {
            p.respond.when = calendars.iter().find(|c| c.name.as_str() == "staffed-hours").cloned();
        });
        let said = |at: &str| {
            let told = of(&calendars, &policies, at.parse().expect("an instant"));
            told.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            said("2026-01-11T20:48:00Z"),
            [
                "Calendar nights: closed, opens Sun 2026-01-11 22:00 Europe/Berlin (in 12m); no policy names it.",
                "Calendar staffed-hours: closed, opens Mon 2026-01-12 07:00 Europe/Berlin (in 9h12m); named by fan.",
            ]
        );
        assert!(
            said("2026-01-12T15:00:00Z")[1]
                .contains("open, closes Mon 2026-01-12 17:00 Europe/Berlin (in 1h); ")
        );
    }
}
