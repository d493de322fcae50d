//! The technician's work order: opened once, reopened when the proof fails, closed at the end. Said, not set: every
//! call carries the step's id, so saying it twice is saying it once.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::decide::memory::{Returned, ordinal, returned};
use crate::decide::turn::Turn;
use crate::model::case::{Case, Handover, Origin, Phase};
use crate::model::ids::OsdId;
use crate::model::note::Noted;
use crate::model::observed::WorkOrderStatus;
use crate::model::owed::WorkOrderDebt;
use crate::model::seen::{Blind, Seen};
use crate::model::step::{Action, Outcome, WorkOrder};
use crate::model::time::{Time, in_days};
use crate::model::wait::{Source, Wait};
use crate::model::wait_text::list;

/// Done once is done for good.
const NEVER_AGAIN: Duration = Duration::MAX;

/// Characters of a title.
const TITLE_MAX: usize = 150;

/// Opens the work order, or reopens it for this round.
pub fn open_work_order(turn: &mut Turn) -> Result<(), Wait> {
    if turn.said("work-order").is_none() {
        turn.may_take()?;
    }
    if turn.case.owed.work_order.is_none() {
        turn.case.owed.work_order = Some(WorkOrderDebt {
            since: turn.view.now,
            round: 1,
            ticket: None,
            why: String::new(),
            warning: None,
            warned: 0,
            names: turn.case.faults.clone(),
        });
        let title = order(turn)?.title;
        turn.note(Noted::WorkOrderAsked { title });
    }
    if turn.said("work-order").is_none() {
        let order = order(turn)?;
        turn.step("work-order", Action::OpenWorkOrder { order }, NEVER_AGAIN);
        return Err(turn.failing("work-order").unwrap_or(Wait::WorkOrderPending));
    }
    let said = turn.said("work-order").cloned();
    if let (Some(debt), Some(Outcome::Done { ticket: Some(ticket) })) = (&mut turn.case.owed.work_order, said)
        && debt.ticket.is_none()
    {
        debt.ticket = Some(ticket.clone());
        turn.note(Noted::WorkOrderWritten { ticket });
    }
    if !reopened(turn) {
        turn.may_take()?;
        let (subject, round) = reopening(turn);
        let why = turn.case.owed.work_order.as_ref().map_or_else(String::new, |debt| debt.why.clone());
        if !turn.already_tried(&subject) {
            turn.note(Noted::WorkOrderReopened { round, why: why.clone() });
        }
        let text = format!("Not done yet: {why}.");
        turn.step(&subject, Action::ReopenWorkOrder { round, text }, NEVER_AGAIN);
        return Err(turn.failing(&subject).unwrap_or(Wait::WorkOrderPending));
    }
    name_the_others(turn)
}

/// Faults that joined the case after the work order was written: the technician stands at the machine now.
fn name_the_others(turn: &mut Turn) -> Result<(), Wait> {
    let Some(debt) = &turn.case.owed.work_order else { return Ok(()) };
    let Some(fault) = turn.case.faults.difference(&debt.names).next().cloned() else { return Ok(()) };
    let subject = format!("work-order/also/{}/{}", fault.class, fault.component);
    if turn.said(&subject).is_some() {
        if let Some(debt) = &mut turn.case.owed.work_order {
            debt.names.insert(fault.clone());
        }
        turn.note(Noted::WorkOrderAlso { fault });
        return name_the_others(turn);
    }
    turn.may_take()?;
    turn.step(&subject, Action::Comment { text: format!("Also: {fault}.") }, NEVER_AGAIN);
    Err(turn.failing(&subject).unwrap_or(Wait::WorkOrderPending))
}

/// Whoever reads the ticket alone has to learn that the work was called off, and how to say "hands off".
pub fn tell_called_off(turn: &mut Turn) -> Result<(), Wait> {
    const SUBJECT: &str = "work-order/called-off";
    let Phase::HandedOver { cancelled: Some(cancelled), .. } = &turn.case.phase else { return Ok(()) };
    if turn.said("work-order").is_none() || turn.said(SUBJECT).is_some() {
        return Ok(());
    }
    let text = format!(
        "Called off by {}: {}. When nobody works on the machine any more: pitlane done {} --hands-off",
        cancelled.by, cancelled.reason, turn.case.id
    );
    turn.step(SUBJECT, Action::Comment { text }, NEVER_AGAIN);
    Err(turn.failing(SUBJECT).unwrap_or(Wait::WorkOrderPending))
}

/// What the ticket system shows of this round. `None`: the round is not there yet, or nobody looked since it began, so
/// that an old "done" is not taken for a new one.
///
/// # Errors
/// It cannot be seen: a technician who says "done" there is not heard.
pub fn work_order_shown(turn: &Turn) -> Result<Option<WorkOrderStatus>, Wait> {
    let (subject, round) = reopening(turn);
    let subject = if round <= 1 { "work-order" } else { &subject };
    let Some(began) = turn.said(subject).and_then(|_| turn.attempt(subject)).map(|step| step.at) else {
        return Ok(None);
    };
    match turn.view.seen.work_orders.get(&turn.case.id) {
        Some(Seen::Known { value, at }) => Ok((*at >= began).then_some(value.status)),
        Some(Seen::Unknown { why }) => {
            Err(Wait::CannotSee { source: Source::WorkOrder, why: Blind::Unknown(why.clone()) })
        }
        Some(Seen::NotAsked) | None => Ok(None),
    }
}

/// Whether the ticket was taken up again after this moment, by somebody there.
pub fn taken_up_again(turn: &Turn, since: Time) -> bool {
    matches!(
        turn.view.seen.work_orders.get(&turn.case.id),
        Some(Seen::Known { value, at })
            if *at > since && matches!(value.status, WorkOrderStatus::Open | WorkOrderStatus::InProgress)
    )
}

fn reopening(turn: &Turn) -> (String, u32) {
    let round = turn.case.owed.work_order.as_ref().map_or(1, |debt| debt.round);
    (format!("work-order/reopen-{round}"), round)
}

fn reopened(turn: &Turn) -> bool {
    let (subject, round) = reopening(turn);
    round <= 1 || turn.said(&subject).is_some()
}

/// Closes it, and forgets the debt when that is known to have happened.
pub fn close_work_order(turn: &mut Turn, text: &str) -> Result<(), Wait> {
    if turn.case.owed.work_order.is_none() {
        return Ok(());
    }
    // Reopened, it has to be closed once more.
    let round = turn.case.owed.work_order.as_ref().map_or(1, |debt| debt.round);
    let subject = format!("work-order/close-{round}");
    if turn.said(&subject).is_some() {
        turn.case.owed.work_order = None;
        turn.note(Noted::WorkOrderClosed);
        return Ok(());
    }
    turn.step(&subject, Action::CloseWorkOrder { text: text.to_owned() }, NEVER_AGAIN);
    Err(turn.failing(&subject).unwrap_or(Wait::WorkOrderPending))
}

fn order(turn: &Turn) -> Result<WorkOrder, Wait> {
    let policy = turn.view.policy(&turn.case)?;
    let case = &turn.case;
    let parts: Vec<&str> =
        case.faults.iter().map(|fault| fault.component.as_str()).filter(|c| !c.is_empty()).collect();
    let component = if parts.is_empty() { policy.class.clone() } else { parts.join(", ") };
    let returns = returned(case, turn.view);
    let times = returns.iter().map(|r| r.times).max().unwrap_or(1).to_string();
    let fill = |text: &str| {
        let text = text.replace("{{ node }}", case.node.as_str()).replace("{{ component }}", &component);
        text.replace("{{ returns }}", &times)
    };
    let enough: Vec<_> = returns.iter().filter(|returned| returned.enough).collect();
    let replace: Vec<String> = enough.iter().map(|returned| replacement(returned)).collect();
    let why = match &case.origin {
        Origin::Alarm { .. } => list(&case.faults),
        Origin::Person { by, reason, .. } => format!("asked for by {by}: {reason}"),
    };
    // Never the word "safe": whether the machine may be switched off is only true at the moment it is asked.
    let body = format!(
        "{why}\n{again}\n{state}: pitlane show {case}\n\
         When you are done: pitlane done {case}\n\n\
         If pitlane is gone, this gives everything back:\n{shell}",
        again = replace.iter().map(|line| format!("{line}\n")).collect::<String>(),
        state = match &case.phase {
            Phase::Stranded { .. } => format!(
                "{} died with guests aboard; they are being recovered. Before you switch it off, ask",
                case.node
            ),
            Phase::HandedOver { handover: Handover::InPlace { osds, .. }, .. } => in_place(case, osds),
            _ => format!("The guests have left {}. Before you switch it off, ask", case.node),
        },
        case = case.id,
        shell = crate::model::give_back::shell(&case.node, &case.owed).join("\n"),
    );
    Ok(WorkOrder {
        node: case.node.clone(),
        title: match enough.first() {
            None => one_line(&fill(&policy.work_order.title)),
            // Whoever reads the list of tickets alone has to see it.
            Some(most) => one_line(&format!(
                "{} (replace, {} time in {})",
                fill(&policy.work_order.title),
                ordinal(most.times),
                in_days(most.within)
            )),
        },
        body,
        checklist: replace
            .into_iter()
            .chain(policy.work_order.checklist.iter().map(|line| fill(line)))
            .collect(),
    })
}

/// It was served before, and that did not last.
fn replacement(returned: &Returned) -> String {
    let Returned { fault, times, within, cases, .. } = returned;
    let part = if fault.component.is_empty() { &fault.class } else { &fault.component };
    let before = list(cases.iter().map(|case| format!("case {case}")));
    format!(
        "Replace {part}: {} time in {} that it fails, serving it in {before} did not last",
        ordinal(*times),
        in_days(*within)
    )
}

/// Ticket systems take one line of some 250 characters. The body names everything.
fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(TITLE_MAX) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

/// Which disk it is, and that the machine is full of customers.
fn in_place(case: &Case, osds: &BTreeSet<OsdId>) -> String {
    let disks = case.in_place.iter().flat_map(|parts| &parts.disks);
    let osds = osds.iter().map(|osd| format!("OSD {osd}"));
    format!(
        "{node} works on with its guests aboard: do NOT switch it off.\n\
         To be served: {disks}, with {osds}. Before you take a disk out, ask",
        node = case.node,
        disks = list(disks),
        osds = list(osds),
    )
}
