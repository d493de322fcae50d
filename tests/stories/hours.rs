//! Lines of a script about the hours at which work may begin.
//!
//! ```text
//! begins 2026-03-28T22:50:00Z                              when the story begins; right after `nodes`
//! when staffed Europe/Berlin mon-fri 07:00-17:00           the calendar of every policy
//! closed 2026-12-24 Christmas                              a day of it on which nothing opens
//! also-open 2026-11-28 22:00-04:00
//! critical-does-not-wait                                   a second policy for fans that are critical, without a calendar
//! ```

use pitlane::model::calendar::{Calendar, Closed, Day, Extra, Hours, Weekly};
use pitlane::model::rules::Rules;

const WEEK: [(&str, Day); 7] = [
    ("mon", Day::Mon),
    ("tue", Day::Tue),
    ("wed", Day::Wed),
    ("thu", Day::Thu),
    ("fri", Day::Fri),
    ("sat", Day::Sat),
    ("sun", Day::Sun),
];

/// `None`: the words are about something else.
pub fn hours(words: &[&str], rules: &mut Rules) -> Option<Result<(), String>> {
    match words {
        ["when", "any"] => {
            rules.policies.iter_mut().for_each(|policy| policy.respond.when = None);
            Some(Ok(()))
        }
        ["when", name, zone, days, hours] => Some(when(name, zone, days, hours, rules)),
        ["closed", day, why] => Some(change(rules, |calendar| {
            let day = day.parse()?;
            calendar.closed.push(Closed { day, until: day, why: Some((*why).to_owned()) });
            Ok(())
        })),
        ["also-open", day, hours] => Some(change(rules, |calendar| {
            calendar.also_open.push(Extra { day: day.parse()?, hours: span(hours)?, why: None });
            Ok(())
        })),
        ["critical-does-not-wait"] => Some(critical(rules)),
        _ => None,
    }
}

fn when(name: &str, zone: &str, days: &str, hours: &str, rules: &mut Rules) -> Result<(), String> {
    let at = |word: &str| {
        WEEK.iter().position(|(name, _)| *name == word).ok_or_else(|| format!("{word} is no day"))
    };
    let (first, last) = days.split_once('-').unwrap_or((days, days));
    let days = WEEK[at(first)?..=at(last)?].iter().map(|(_, day)| *day).collect();
    let calendar = Calendar {
        name: name.into(),
        zone: zone.parse()?,
        open: vec![Weekly { days, hours: span(hours)? }],
        closed: Vec::new(),
        also_open: Vec::new(),
    };
    rules.policies.iter_mut().for_each(|policy| policy.respond.when = Some(calendar.clone()));
    Ok(())
}

fn span(text: &str) -> Result<Hours, String> {
    let (from, to) = text.split_once('-').ok_or("from-to")?;
    Ok(Hours { from: from.parse()?, to: to.parse()? })
}

fn change(rules: &mut Rules, how: impl Fn(&mut Calendar) -> Result<(), String>) -> Result<(), String> {
    rules.policies.iter_mut().filter_map(|policy| policy.respond.when.as_mut()).try_for_each(how)
}

/// As documented: two policies of one class, the narrower one first.
fn critical(rules: &mut Rules) -> Result<(), String> {
    let at = rules.policies.iter().position(|p| p.name.as_str() == "fan").ok_or("no policy fan")?;
    let mut policy = rules.policies[at].clone();
    policy.name = "fan-critical".into();
    policy.matchers = vec![
        "alarm_class=\"fan\"".parse().map_err(|why| format!("{why}"))?,
        "severity=\"critical\"".parse().map_err(|why| format!("{why}"))?,
    ];
    policy.respond.when = None;
    rules.policies.insert(at, policy);
    Ok(())
}
