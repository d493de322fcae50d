//! What endangers whoever stands at the machine is told on the work order, too: a person on call may reach the technician
//! in minutes, the sheet is in their hand.
//!
//! It never holds anything up: a ticket system that is down delays the words and nothing else.

use std::time::Duration;

use crate::decide::turn::Turn;
use crate::model::note::Noted;
use crate::model::step::Action;
use crate::model::wait::Wait;

/// One work order is not written full: whoever was stopped so often is called by then.
const WARNED_MAX: u32 = 5;
/// Said once is said for good.
const NEVER_AGAIN: Duration = Duration::MAX;

/// `danger`: what there is now, freshly seen; `None`: nothing any more.
pub fn tell_the_sheet(turn: &mut Turn, danger: Option<&Wait>) {
    if turn.said("work-order").is_none() {
        return;
    }
    let (node, id) = (turn.case.node.clone(), turn.case.id);
    let Some(order) = &mut turn.case.owed.work_order else { return };
    // Another danger is said beside the one before.
    if order.warned < WARNED_MAX
        && let Some(what) = danger.map(Wait::to_string)
        && order.warning.as_ref() != Some(&what)
    {
        order.warned += 1;
        order.warning = Some(what.clone());
        turn.note(Noted::WorkOrderWarned { what });
    }
    let Some(order) = &turn.case.owed.work_order else { return };
    let Some(what) = order.warning.clone() else { return };
    let subject = format!("work-order/warned-{}", order.warned);
    if turn.said(&subject).is_none() {
        let text = format!(
            "STOP: {what}. This order is about {node} and no other machine: if you have just switched off or unplugged \
             another one, switch it on again and say so. Do not switch {node} off, and take nothing out of it, before \
             you have asked: pitlane show {id}"
        );
        turn.step(&subject, Action::Comment { text }, NEVER_AGAIN);
        return;
    }
    if danger.is_some() {
        return;
    }
    let over = format!("{subject}-over");
    if turn.said(&over).is_none() {
        let text = format!("Over: {what}. Before you switch {node} off, ask: pitlane show {id}");
        turn.step(&over, Action::Comment { text }, NEVER_AGAIN);
        return;
    }
    if let Some(order) = &mut turn.case.owed.work_order {
        order.warning = None;
    }
}
