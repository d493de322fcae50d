//! Is this an hour at which the policy lets work begin, and is it open for as long as the drain takes?
//!
//! Asked before a node leaves or disks are served, and never again: what runs goes on when the window closes, and giving
//! back, calling off, telling and paging wait for no hour. Asked anew each turn, so a clock that is set, or a calendar that is
//! read again, counts from then on.

use std::time::Duration;

use super::{Found, Question};
use crate::decide::faults::believed;
use crate::decide::time_box::clock_agrees;
use crate::decide::view::View;
use crate::model::calendar::{Calendar, Span};
use crate::model::case::{Case, Phase};
use crate::model::fault::Fault;
use crate::model::rules::Policy;
use crate::model::seen::Seen;
use crate::model::time::{Period, Time, after, age};
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::Wait;

/// `own`: the policy of the case, or of the drain that is asked about.
pub(super) fn check(q: &Question, own: Result<&Policy, Wait>) -> Check {
    let own = match own {
        Ok(own) => own,
        Err(gone) => return q.answer(CheckName::Window, &Seen::<()>::NotAsked, Err(gone)),
    };
    if q.case.is_some_and(|case| !matches!(case.phase, Phase::Confirming { .. } | Phase::Preparing { .. })) {
        return q.not_applicable(CheckName::Window, "the work has begun");
    }
    let forecast = q.planned.as_ref().ok().and_then(|planned| planned.plan.forecast);
    let needs = Duration::from_secs(forecast.map_or(0, |forecast| forecast.secs));
    match hour(q.case, own, needs, q.view) {
        Ok(Hour::Any { policy }) => {
            let reading = format!("the policy {policy} lets work begin at any hour");
            q.not_applicable(CheckName::Window, &reading)
        }
        Ok(Hour::Open { reading }) => {
            q.answer(CheckName::Window, &Seen::<()>::NotAsked, Ok(Found::new(reading)))
        }
        Err(unsure @ Wait::ClockUnsure) => q.answer(CheckName::Window, &Seen::<()>::NotAsked, Err(unsure)),
        Err(wait) => {
            let mut found = Found::new(reading(&wait, q.view.now));
            found.block(wait);
            q.answer(CheckName::Window, &Seen::<()>::NotAsked, Ok(found))
        }
    }
}

/// Nothing but the hour stands in the way: a plan can be shown and agreed to, and begins when it opens.
pub(in crate::decide) fn only_the_hour(reasons: &[Wait]) -> bool {
    let hour = |wait: &Wait| matches!(wait, Wait::OutsideWindow { .. } | Wait::WindowTooShort { .. });
    !reasons.is_empty() && reasons.iter().all(hour)
}

/// That work may begin now.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::decide) enum Hour {
    /// No calendar is asked.
    Any {
        policy: String,
    },
    Open {
        reading: String,
    },
}

/// May work that takes so long begin at this hour? The most urgent of what is wrong with the node speaks: a fan that only
/// warns waits for no hour that a fan which is critical need not wait for.
///
/// # Errors
/// It may not; and when it may, as far as the calendars say.
pub(in crate::decide) fn hour(
    case: Option<&Case>,
    own: &Policy,
    needs: Duration,
    view: &View,
) -> Result<Hour, Wait> {
    let mut speaking = vec![own];
    speaking.extend(case.into_iter().flat_map(|case| others(case, own, view)));
    if let Some(policy) = speaking.iter().find(|policy| policy.respond.when.is_none()) {
        return Ok(Hour::Any { policy: policy.name.to_string() });
    }
    if !clock_agrees(view) {
        return Err(Wait::ClockUnsure);
    }
    let mut soonest: Option<(Time, Wait)> = None;
    for calendar in speaking.iter().filter_map(|policy| policy.respond.when.as_ref()) {
        match of(calendar, needs, view.now) {
            Ok(reading) => return Ok(Hour::Open { reading }),
            Err((opens, wait)) if soonest.as_ref().is_none_or(|(sooner, _)| opens < *sooner) => {
                soonest = Some((opens, wait));
            }
            Err(_) => {}
        }
    }
    // There is one calendar at least, for nobody spoke for any hour.
    Err(soonest.map_or(Wait::ClockUnsure, |(_, wait)| wait))
}

/// One calendar's answer; a no with the instant from which it is a yes.
fn of(calendar: &Calendar, needs: Duration, now: Time) -> Result<String, (Time, Wait)> {
    let Some(Span { opens, closes }) = calendar.first(now, |_| true) else {
        return Err((Time::MAX, outside(calendar, None, now)));
    };
    if opens > now {
        return Err((opens, outside(calendar, Some(opens), now)));
    }
    let Some(closes) = closes else {
        return Ok(format!("{} is open, for longer than a year", calendar.name));
    };
    let left = age(closes, now);
    if needs <= left {
        return Ok(format!("{} is open until {}", calendar.name, calendar.moment(closes)));
    }
    let next = calendar.first(after(closes, Duration::ZERO), |span| span.lasts() >= needs);
    let wait = Wait::WindowTooShort {
        calendar: calendar.name.clone(),
        needs: Period::secs(needs.as_secs()),
        closes: calendar.moment(closes),
        next: next.map(|span| calendar.moment(span.opens)),
    };
    Err((next.map_or(Time::MAX, |span| span.opens), wait))
}

fn outside(calendar: &Calendar, opens: Option<Time>, now: Time) -> Wait {
    Wait::OutsideWindow {
        calendar: calendar.name.clone(),
        opens: opens.map(|at| calendar.moment(at)),
        why: calendar.why_closed(now).map(str::to_owned),
    }
}

/// How long it stays as it is: true of this turn only, so no part of the reason.
fn reading(wait: &Wait, now: Time) -> String {
    let left = |then: Time| Period::secs(age(then, now).as_secs());
    match wait {
        Wait::OutsideWindow { calendar, opens: Some(opens), .. } => {
            format!("{calendar} is closed for another {}", left(opens.at))
        }
        Wait::WindowTooShort { calendar, closes, .. } => {
            format!("{calendar} is open for another {}", left(closes.at))
        }
        other => other.to_string(),
    }
}

/// Policies of other faults of the case that are believed by themselves and want the same of the node, no less freely.
fn others<'a>(case: &Case, own: &Policy, view: &View<'a>) -> Vec<&'a Policy> {
    // What nobody can place now speaks for no earlier hour.
    let faults = case.faults.iter().filter_map(|key| view.fault(key).ok().flatten());
    let mut found: Vec<&'a Policy> = Vec::new();
    for fault in faults {
        for policy in &view.rules.policies {
            let alike = policy.name != own.name
                && policy.class == fault.key.class
                && policy.respond.action == own.respond.action
                && view.rules.mode_of(policy) >= view.rules.mode_of(own);
            if alike && fires_for(fault, policy, view) {
                found.push(policy);
            }
        }
    }
    found
}

/// Of the fault's alerts those that this policy takes: do they fire, and would it believe them alone?
fn fires_for(fault: &Fault, policy: &Policy, view: &View) -> bool {
    let takes =
        |labels| view.rules.policies.iter().find(|p| p.wants(labels)).is_some_and(|p| p.name == policy.name);
    let episodes = fault.episodes.iter().filter(|episode| takes(&episode.labels)).cloned().collect();
    let theirs = Fault { key: fault.key.clone(), policy: policy.name.clone(), episodes };
    theirs.fires() && believed(&theirs, policy, view.now).is_some()
}
