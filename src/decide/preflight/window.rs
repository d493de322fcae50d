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
use crate::model::calendar::{Calendar, FAR_DAYS, Shut, Span};
use crate::model::case::{Case, Phase};
use crate::model::fault::Fault;
use crate::model::ids::PolicyName;
use crate::model::rules::Policy;
use crate::model::seen::Seen;
use crate::model::time::{Period, Time, age};
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
        Ok(Hour { calendar: None, policy }) => {
            let reading = format!("the policy {policy} lets work begin at any hour");
            q.not_applicable(CheckName::Window, &reading)
        }
        Ok(Hour { calendar: Some(calendar), .. }) => {
            q.answer(CheckName::Window, &Seen::<()>::NotAsked, Ok(Found::new(reading(&calendar, q.view.now))))
        }
        Err(Closed { calendar: Some(calendar), wait }) => {
            let mut found = Found::new(reading(&calendar, q.view.now));
            found.block(wait);
            q.answer(CheckName::Window, &Seen::<()>::NotAsked, Ok(found))
        }
        Err(Closed { calendar: None, wait }) => q.answer(CheckName::Window, &Seen::<()>::NotAsked, Err(wait)),
    }
}

/// How long it stays as it is: true of this turn only, so no part of a reason.
fn reading(calendar: &Calendar, now: Time) -> String {
    let name = &calendar.name;
    let left = |then: Time| Period::secs(age(then, now).as_secs());
    match calendar.first(now, |_| true) {
        None => format!("{name} is closed"),
        Some(Span { opens, .. }) if opens > now => format!("{name} is closed for another {}", left(opens)),
        Some(Span { closes: Some(closes), .. }) => {
            format!("{name} is open for another {}, until {}", left(closes), calendar.moment(closes))
        }
        Some(Span { closes: None, .. }) => {
            format!("{name} is open, and does not close within {FAR_DAYS} days")
        }
    }
}

/// Nothing but the hour stands in the way: a plan can be shown and agreed to, and begins when it opens.
pub(in crate::decide) fn only_the_hour(reasons: &[Wait]) -> bool {
    let hour = |wait: &Wait| matches!(wait, Wait::OutsideWindow(_));
    !reasons.is_empty() && reasons.iter().all(hour)
}

/// Work may begin now: because this policy names no calendar, or because its calendar is open.
#[derive(Clone, Debug)]
pub(in crate::decide) struct Hour {
    pub policy: PolicyName,
    calendar: Option<Calendar>,
}

/// It may not.
#[derive(Clone, Debug)]
pub(in crate::decide) struct Closed {
    pub wait: Wait,
    /// `None`: nobody knows the hour.
    calendar: Option<Box<Calendar>>,
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
) -> Result<Hour, Closed> {
    let mut speaking = vec![own];
    speaking.extend(case.into_iter().flat_map(|case| others(case, own, view)));
    if let Some(policy) = speaking.iter().find(|policy| policy.respond.when.is_none()) {
        return Ok(Hour { policy: policy.name.clone(), calendar: None });
    }
    let unsure = Closed { wait: Wait::ClockUnsure, calendar: None };
    if !clock_agrees(view) {
        return Err(unsure);
    }
    let mut soonest: Option<(Time, Closed)> = None;
    for policy in speaking {
        let Some(calendar) = &policy.respond.when else { continue };
        match outside(calendar, needs, view.now) {
            None => return Ok(Hour { policy: policy.name.clone(), calendar: Some(calendar.clone()) }),
            Some((opens, wait)) if soonest.as_ref().is_none_or(|(sooner, _)| opens < *sooner) => {
                soonest = Some((opens, Closed { wait, calendar: Some(Box::new(calendar.clone())) }));
            }
            Some(_) => {}
        }
    }
    // There is one calendar at least, for nobody spoke for any hour.
    Err(soonest.map_or(unsure, |(_, closed)| closed))
}

/// Why work that takes so long may not begin by this calendar, and from when on it may. `None`: it may.
fn outside(calendar: &Calendar, needs: Duration, now: Time) -> Option<(Time, Wait)> {
    let fits = calendar.first(now, |span| span.lasts() >= needs).map(|span| span.opens);
    if fits == Some(now) {
        return None;
    }
    // What is too short is told only where it makes a difference.
    let short = calendar.opens_at(now) != fits;
    let shut = Shut {
        calendar: calendar.name.clone(),
        opens: fits.map(|at| calendar.moment(at)),
        needs: short.then(|| Period::secs(needs.as_secs())),
        why: calendar.why_closed(now).map(str::to_owned),
    };
    Some((fits.unwrap_or(Time::MAX), Wait::OutsideWindow(shut)))
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
