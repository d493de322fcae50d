//! The time box: how long a node may be out, until when calling it off still brings everything home in time, and what
//! happens when that moment passes.
//!
//! It tells, and where the policy says so it calls a drain off before the hand-over. It never takes a machine out of a
//! technician's hands, and it believes no clock that the members contradict.

use std::time::Duration;

use super::phases::SOAK_CANCELLED_MAX;
use super::turn::Turn;
use super::view::View;
use crate::model::case::{Case, Ending, Handover, Phase};
use crate::model::ids::{GuestId, NodeName, Person};
use crate::model::note::Noted;
use crate::model::observed::{GuestKind, Power};
use crate::model::owed::Whereabouts;
use crate::model::plan::Plan;
use crate::model::rules::OnOverrun;
use crate::model::time::{Period, Time, after, age};
use crate::model::time_box::TimeBox;
use crate::model::wait::Wait;

/// A server that is switched on needs some minutes until it is a member again; those with much memory need ten.
const BOOT: Duration = Duration::from_secs(600);
/// HA's manager and its workers on each side: two rounds of ten seconds, and a look of ours.
const MAINTENANCE_BACK: Duration = Duration::from_secs(40);
/// A look, the clearing, and the look that sees it.
const NOOUT_BACK: Duration = Duration::from_secs(30);
/// A clock that differs more from the members' is wrong, ours or theirs, and ends nothing.
const CLOCK_OFF_MAX_SECS: i64 = 60;

/// `None`: nothing was taken yet, or nothing can be told.
pub(super) fn of(case: &Case, view: &View) -> Option<TimeBox> {
    let policy = view.policy(case).ok()?;
    let since = taken_since(case)?;
    let now = view.now;
    let within = policy.respond.time_box;
    let ends = after(since, within.0);
    let guests = moving(
        view,
        case,
        |at| !matches!(at, Whereabouts::Aboard | Whereabouts::Home | Whereabouts::Stays { .. }),
        Way::Home,
    );
    let mut fixed = Duration::ZERO;
    if case.owed.noout.is_some() {
        fixed += NOOUT_BACK + view.rules.limits.clean_for.0;
    }
    if case.owed.maintenance.is_some() {
        fixed += MAINTENANCE_BACK;
    }
    let online = view.cluster().is_ok_and(|cluster| cluster.online(&case.node));
    let boot = if online { Duration::ZERO } else { BOOT };
    let soak = policy.prove.soak.0;
    let home = fixed + guests;
    let with_technician = matches!(&case.phase, Phase::HandedOver { .. } | Phase::Stranded { .. });
    let back = match &case.phase {
        Phase::HandedOver { .. } | Phase::Stranded { .. } | Phase::Proving { .. } => {
            boot + soak.min(SOAK_CANCELLED_MAX) + home
        }
        _ => home,
    };
    let left = |at: Time, span: Duration| {
        jiff::SignedDuration::try_from(span)
            .ok()
            .and_then(|span| at.saturating_sub(span).ok())
            .unwrap_or(Time::MIN)
    };
    Some(TimeBox {
        within,
        since,
        ends,
        way_back: Period::secs(back.as_secs()),
        abort_by: left(ends, back),
        done_by: with_technician.then(|| left(ends, boot + soak + home)),
        home: match &case.phase {
            Phase::GivingBack { .. } => Some(after(now, home)),
            Phase::Proving { good_since, cancelled, .. } => {
                let soak = if cancelled.is_some() { soak.min(SOAK_CANCELLED_MAX) } else { soak };
                Some(after(after(good_since.unwrap_or(now), soak).max(now), boot + home))
            }
            _ => None,
        },
        empty: match &case.phase {
            Phase::Draining { .. } => {
                let aboard =
                    |at: &Whereabouts| matches!(at, Whereabouts::Aboard | Whereabouts::Leaving { .. });
                Some(after(now, moving(view, case, aboard, Way::Away)))
            }
            _ => None,
        },
        basis: view.rates().basis(),
    })
}

/// A drain that would be called off as soon as it begins is not begun.
///
/// # Errors
/// Going and coming back take longer than the box.
pub(super) fn long_enough(case: &Case, plan: &Plan, view: &View) -> Result<(), Wait> {
    let respond = &view.policy(case)?.respond;
    let Some(forecast) = plan.forecast.filter(|_| respond.on_overrun == OnOverrun::BackOut) else {
        return Ok(());
    };
    let needs = Period::secs(forecast.secs.saturating_mul(2));
    if needs <= respond.time_box {
        Ok(())
    } else {
        Err(Wait::TimeBoxTooShort { needs, within: respond.time_box })
    }
}

/// When the first of what is held was taken.
fn taken_since(case: &Case) -> Option<Time> {
    let owed = &case.owed;
    let noout = owed.noout.as_ref().map(|(_, debt)| debt.since);
    let maintenance = owed.maintenance.as_ref().map(|debt| debt.since);
    let work_order = owed.work_order.as_ref().map(|debt| debt.since);
    [noout, maintenance, work_order].into_iter().flatten().min()
}

#[derive(Clone, Copy)]
enum Way {
    Away,
    Home,
}

/// How long these guests need on the network: as many at a time as there are slots, and never less than the longest of them.
fn moving(view: &View, case: &Case, which: impl Fn(&Whereabouts) -> bool, way: Way) -> Duration {
    let Ok(cluster) = view.cluster() else { return Duration::ZERO };
    let (packing, rates) = (&view.rules.packing, view.rates());
    let slots = match way {
        Way::Away => packing.slots_out,
        Way::Home => packing.slots_in,
    };
    let slots = u64::from(slots.max(1));
    let rate = rates.stream.value.min(rates.nic(&case.node, packing.nic(&case.node)) / slots).max(1);
    let needs = |id: GuestId| {
        let guest = cluster.guests.get(&id)?;
        let disks: u64 = view.guest(id).map_or(0, |detail| detail.local_disks.values().sum());
        let millis = match (guest.power, guest.kind) {
            (Power::Stopped, _) => rates.offline_ms.value,
            (_, GuestKind::Lxc) => rates.restart_ms.value,
            _ => rates
                .setup_ms
                .value
                .saturating_add((guest.memory_used / rate).saturating_mul(1000))
                .saturating_add((disks / rate.min(rates.disk.value).max(1)).saturating_mul(1000)),
        };
        Some(Duration::from_millis(millis))
    };
    let all: Vec<Duration> = case
        .owed
        .guests
        .iter()
        .filter(|(_, debt)| which(&debt.at))
        .filter_map(|(id, _)| needs(*id))
        .collect();
    let longest = all.iter().max().copied().unwrap_or_default();
    let sum: Duration = all.iter().sum();
    longest.max(sum / u32::try_from(slots).unwrap_or(1))
}

/// Before the hand-over a policy may call the drain off by itself, while everything can still be home in time.
pub(super) fn back_out(turn: &mut Turn) {
    let before = matches!(
        turn.case.phase,
        Phase::Draining { .. } | Phase::Preparing { .. } | Phase::Confirming { .. }
    );
    // Where a work order is out, somebody may have a hand in the machine.
    if !before || turn.case.owed.work_order.is_some() || choice(turn) != Some(OnOverrun::BackOut) {
        return;
    }
    let Some(time_box) = of(&turn.case, turn.view).filter(|time_box| time_box.late(turn.view.now)) else {
        return;
    };
    // A node that cannot be seen may be dead, and then nothing goes home: that is another phase's to find out.
    let seen = turn.view.cluster().is_ok_and(|cluster| cluster.online(&turn.case.node));
    if !seen || !clock_agrees(turn.view) {
        return;
    }
    tell_late(turn, &time_box);
    let reason = format!(
        "the way back takes {}, and the time box of {} would be overrun",
        time_box.way_back, time_box.within
    );
    let why = Ending::Aborted { by: Person::from("pitlane"), reason };
    turn.note(Noted::ReturnBegins { why: why.clone() });
    let (since, clean_since, handover, course) = (turn.view.now, None, None, Vec::new());
    turn.case.phase = Phase::GivingBack { since, why, clean_since, handover, course };
}

/// What has passed is told, each once.
pub(super) fn mind(turn: &mut Turn) {
    let Some(time_box) = of(&turn.case, turn.view) else { return };
    if !turn.case.open() || !clock_agrees(turn.view) {
        return;
    }
    let now = turn.view.now;
    if !matches!(turn.case.phase, Phase::GivingBack { .. }) && time_box.late(now) {
        tell_late(turn, &time_box);
    }
    if age(now, time_box.since) > time_box.within.0 && !turn.case.overran {
        turn.case.overran = true;
        turn.note(Noted::Overrun { time_box: time_box.within });
    }
}

fn tell_late(turn: &mut Turn, time_box: &TimeBox) {
    if std::mem::replace(&mut turn.case.late, true) {
        return;
    }
    let handed_over = match &turn.case.phase {
        Phase::HandedOver { handover, .. } | Phase::Proving { handover, .. } => {
            !matches!(handover, Handover::Halfway)
        }
        Phase::Stranded { .. } => true,
        _ => turn.case.owed.work_order.is_some(),
    };
    let choose = handed_over && choice(turn) == Some(OnOverrun::BackOut);
    let TimeBox { within, ends, way_back, .. } = *time_box;
    turn.note(Noted::LastSafeAbort { within, ends, way_back, choose });
}

fn choice(turn: &Turn) -> Option<OnOverrun> {
    turn.view.policy(&turn.case).ok().map(|policy| policy.respond.on_overrun)
}

/// The members that were read show the time that we have; and where none was, nobody has set our clock since one did. A
/// machine that is being repaired tells nothing: its clock may be what broke.
pub(super) fn clock_agrees(view: &View) -> bool {
    let set = view.seen.clock_off.unsigned_abs() > CLOCK_OFF_MAX_SECS.unsigned_abs();
    let repaired = |node: &NodeName| {
        let with_technician =
            |case: &&Case| matches!(case.phase, Phase::HandedOver { .. } | Phase::Proving { .. });
        view.state.cases.iter().filter(with_technician).any(|case| &case.node == node)
    };
    let read = view.seen.pve.nodes.iter().filter(|(node, _)| !repaired(node));
    let read = read.filter_map(|(_, seen)| seen.any_age());
    read.map(|detail| detail.clock_ahead).all(|ahead| ahead.abs() <= CLOCK_OFF_MAX_SECS) && !set
}
