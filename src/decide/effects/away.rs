//! Guests leave the node: ours one by one within the slots, HA's watched.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{MOVE_SETTLES, cancel_if_overdue, due_after_failures, moving, set, settled};
use crate::decide::faults::whole_seconds;
use crate::decide::live::{Room, need, rooms};
use crate::decide::turn::Turn;
use crate::decide::way::{Way, way};
use crate::model::case::Phase;
use crate::model::ids::{GuestId, NodeName};
use crate::model::note::Noted;
use crate::model::observed::{Guest, Power};
use crate::model::owed::{GuestDebt, Whereabouts};
use crate::model::plan::{How, Plan};
use crate::model::step::Action;
use crate::model::time::age;
use crate::model::wait::Wait;

/// Brings every guest of the plan off the node. `Ok`: nobody is left that has to go.
pub fn away(turn: &mut Turn) -> Result<(), Wait> {
    let node = turn.case.node.clone();
    let Phase::Draining { clearance, .. } = &turn.case.phase else { return Ok(()) };
    let plan = clearance.plan().clone();
    let cluster = turn.view.cluster()?;
    follow_those_gone(turn)?;
    if !cluster.online(&node) {
        return Ok(());
    }
    let (mut rooms, _) = rooms(&node, turn.view)?;
    let mut waits = Vec::new();
    let mut slots = Slots::count(turn, &node)?;
    let aboard: Vec<(GuestId, Guest)> = cluster.guests_on(&node).map(|(id, g)| (*id, g.clone())).collect();
    for (id, guest) in in_plan_order(aboard, &plan) {
        if let Err(wait) = one(turn, &plan, id, &guest, &mut rooms, &mut slots) {
            waits.push(wait);
        }
    }
    match worst(waits) {
        None => Ok(()),
        Some(wait) => Err(wait),
    }
}

/// Writes down every guest of the plan before anything is taken: once HA is told, it moves its guests by itself, and
/// whoever is gone by then would never be brought home.
pub fn owe_all(turn: &mut Turn) -> Result<(), Wait> {
    let node = turn.case.node.clone();
    let Phase::Draining { clearance, .. } = &turn.case.phase else { return Ok(()) };
    let plan = clearance.plan().clone();
    let ours = |id: &GuestId| {
        plan.ha.contains_key(id) || plan.stops.contains_key(id) || plan.moves.iter().any(|m| m.guest == *id)
    };
    let cluster = turn.view.cluster()?;
    for (id, guest) in cluster.guests_on(&node).filter(|(id, _)| ours(id)) {
        owe(turn, *id, guest, Whereabouts::Aboard);
    }
    Ok(())
}

/// The plan's order; guests it does not know come last.
fn in_plan_order(mut guests: Vec<(GuestId, Guest)>, plan: &Plan) -> Vec<(GuestId, Guest)> {
    let place = |id: &GuestId| plan.moves.iter().position(|m| m.guest == *id).unwrap_or(usize::MAX);
    guests.sort_by_key(|(id, _)| (place(id), *id));
    guests
}

/// The one wait to show: what needs a person before what only needs time.
fn worst(waits: Vec<Wait>) -> Option<Wait> {
    let (aboard, mut others): (Vec<Wait>, Vec<Wait>) =
        waits.into_iter().partition(|wait| matches!(wait, Wait::GuestsAboard { .. }));
    if !others.is_empty() {
        return Some(others.swap_remove(0));
    }
    let guests: Vec<GuestId> = aboard
        .into_iter()
        .flat_map(|wait| if let Wait::GuestsAboard { guests } = wait { guests } else { Vec::new() })
        .collect();
    (!guests.is_empty()).then_some(Wait::GuestsAboard { guests })
}

/// How many moves may still begin.
struct Slots {
    out: u32,
    into: BTreeMap<NodeName, u32>,
}

impl Slots {
    fn count(turn: &Turn, node: &NodeName) -> Result<Self, Wait> {
        let running =
            turn.view.node(node)?.tasks.iter().filter(|t| t.runs() && t.guest.is_some_and(|g| t.moves(g)));
        let mut out = u32::try_from(running.count()).unwrap_or(u32::MAX);
        let mut into: BTreeMap<NodeName, u32> = BTreeMap::new();
        let mut begun = 0;
        for debt in turn.view.state.cases.iter().flat_map(|case| case.owed.guests.values()) {
            if let (Whereabouts::Leaving { to: Some(to), .. }, false) = (&debt.at, debt.ha) {
                *into.entry(to.clone()).or_default() += 1;
                begun += u32::from(&debt.home == node);
            }
        }
        out = out.max(begun);
        Ok(Self { out, into })
    }
}

/// One guest that the cluster still puts on the node.
fn one(
    turn: &mut Turn,
    plan: &Plan,
    id: GuestId,
    guest: &Guest,
    rooms: &mut BTreeMap<NodeName, Room>,
    slots: &mut Slots,
) -> Result<(), Wait> {
    let node = turn.case.node.clone();
    let policy = turn.view.policy(&turn.case)?;
    let agreed = crate::decide::plan::agreed(Some(&turn.case), policy, turn.view.rules);
    let aboard = Wait::GuestsAboard { guests: vec![id] };
    if plan.stops.contains_key(&id) {
        return shut_down(turn, plan, id, guest);
    }
    match way(id, guest, policy, agreed, turn.view)? {
        Way::Stays(_) => Ok(()),
        Way::Stuck(why) => Err(Wait::Unmovable { guest: id, why }),
        Way::ShutDown(_) => Err(Wait::OutsideApproval { guest: id }),
        Way::Ha => {
            owe(turn, id, guest, Whereabouts::Aboard);
            watch_ha(turn, id).map_or(Err(aboard), Err)
        }
        Way::Move(how) => {
            owe(turn, id, guest, Whereabouts::Aboard);
            let since = match &turn.case.owed.guests[&id].at {
                Whereabouts::Leaving { since, .. } => *since,
                _ => turn.case.phase.since(),
            };
            let moving = moving(id, &node, turn.case.phase.since(), turn.view)?;
            if let Some(task) = moving.running {
                cancel_if_overdue(turn, id, task);
                return Err(aboard);
            }
            if matches!(turn.case.owed.guests[&id].at, Whereabouts::Leaving { .. }) {
                // No task, and still here. Just asked for: give it time to show. Else it ended, or never began.
                let failed = moving.last_failure.filter(|(at, _)| *at >= since);
                if failed.is_none() && age(turn.view.now, since) < MOVE_SETTLES {
                    return Err(aboard);
                }
                if let Some((_, error)) = failed {
                    turn.note(Noted::MoveFailed { guest: id, error: error.to_owned() });
                }
                set(turn, id, Whereabouts::Aboard);
            }
            if moving.failed >= turn.view.rules.limits.migration_tries_max
                && !due_after_failures(turn, &moving)
            {
                let error = moving.last_failure.map_or_else(String::new, |(_, error)| error.to_owned());
                return Err(Wait::MoveFails { guest: id, tries: moving.failed, error });
            }
            if let Some(lock) = &guest.lock {
                return Err(Wait::GuestLocked { guest: id, lock: lock.clone() });
            }
            if !due_after_failures(turn, &moving) {
                return Err(aboard);
            }
            begin(turn, plan, id, guest, how, rooms, slots)?;
            Err(aboard)
        }
    }
}

/// Starts one move, if slots and room allow it now.
fn begin(
    turn: &mut Turn,
    plan: &Plan,
    id: GuestId,
    guest: &Guest,
    how: How,
    rooms: &mut BTreeMap<NodeName, Room>,
    slots: &mut Slots,
) -> Result<(), Wait> {
    let packing = &turn.view.rules.packing;
    if slots.out >= packing.slots_out {
        return Ok(());
    }
    let need = need(guest, turn.view.guest(id)?, how, packing);
    let planned = plan.moves.iter().find(|m| m.guest == id).map(|m| &m.to);
    let mut targets: Vec<&NodeName> = plan.targets().into_iter().collect();
    let left = |to: &NodeName| rooms.get(to).map(|room| room.memory);
    targets.sort_by_key(|to| (Some(*to) != planned, std::cmp::Reverse(left(to))));
    if planned.is_none() || !plan.covers(id, targets[0], how) {
        return Err(Wait::OutsideApproval { guest: id });
    }
    let full = |to: &NodeName| slots.into.get(to).copied().unwrap_or(0) >= packing.slots_in;
    let open = |to: &NodeName| rooms.get(to).is_some_and(|room| room.refuses(to, &need).is_none());
    // The planned target as long as it will do. Another one of the approved ones only if it no longer can.
    let Some(to) = targets.iter().find(|to| open(to)).copied().cloned() else {
        let blockers =
            rooms.iter().filter_map(|(n, room)| room.refuses(n, &need).map(|why| (n.clone(), why)));
        return Err(Wait::NoTarget { guest: id, blockers: blockers.collect() });
    };
    if full(&to) {
        return Ok(());
    }
    let from = turn.case.node.clone();
    let action =
        Action::Migrate { guest: id, name: guest.name.clone(), kind: guest.kind, from, to: to.clone(), how };
    let planned = turn.step(&format!("away-{id}"), action, MOVE_SETTLES);
    if !planned {
        return turn.failing(&format!("away-{id}")).map_or(Ok(()), Err);
    }
    slots.out += 1;
    *slots.into.entry(to.clone()).or_default() += 1;
    if let Some(room) = rooms.get_mut(&to) {
        room.promise(&need);
    }
    turn.note(Noted::Leaves { guest: id, name: guest.name.clone(), to: to.clone(), how });
    let since = turn.view.now;
    set(turn, id, Whereabouts::Leaving { to: Some(to), since });
    Ok(())
}

/// HA's own guest: told when it moves, and found when HA silently does nothing.
fn watch_ha(turn: &mut Turn, id: GuestId) -> Option<Wait> {
    let ha = turn.view.ha().ok()?;
    let service = ha.services.get(&id)?;
    let now = turn.view.now;
    let debt = turn.case.owed.guests.get(&id)?.clone();
    let on_its_way = service.target.is_some() || matches!(service.state.as_str(), "migrate" | "relocate");
    if on_its_way && debt.at == Whereabouts::Aboard {
        turn.note(Noted::HaMoves { guest: id, name: debt.name, to: service.target.clone() });
        set(turn, id, Whereabouts::Leaving { to: service.target.clone(), since: now });
        return None;
    }
    if matches!(service.state.as_str(), "error" | "fence") {
        return Some(Wait::HaGuestInError { guest: id, state: service.state.clone() });
    }
    let since = match debt.at {
        Whereabouts::Leaving { since, .. } => since,
        _ => turn.case.owed.maintenance.as_ref().map_or(turn.case.phase.since(), |debt| debt.since),
    };
    // HA tries such a guest again and again; another try is no news.
    let known = matches!(&turn.case.wait, Some(Wait::HaStuck { guest }) if *guest == id);
    let still = !on_its_way && !service.command;
    let stuck = (still || known) && age(now, since) > turn.view.rules.limits.ha_stuck_after.0;
    stuck.then_some(Wait::HaStuck { guest: id })
}

/// A guest that cannot move, and may be shut down.
fn shut_down(turn: &mut Turn, plan: &Plan, id: GuestId, guest: &Guest) -> Result<(), Wait> {
    let detail = turn.view.guest(id)?;
    let power = detail.live.as_ref().map_or(guest.power, |live| live.power);
    if power == Power::Stopped {
        if turn.case.owed.guests.get(&id).is_some_and(|debt| debt.at != Whereabouts::ShutDown) {
            turn.note(Noted::IsDown { guest: id, name: guest.name.clone() });
            set(turn, id, Whereabouts::ShutDown);
        }
        return Ok(());
    }
    owe(turn, id, guest, Whereabouts::Aboard);
    let node = turn.case.node.clone();
    // Proxmox gives a guest 180 s to shut down; asking again before would only be refused.
    let planned = turn.step(
        &format!("shutdown-{id}"),
        Action::Shutdown { guest: id, kind: guest.kind, on: node },
        Duration::from_secs(200),
    );
    if planned {
        let why = plan.stops.get(&id).cloned().unwrap_or_default();
        turn.note(Noted::ShutsDown { guest: id, name: guest.name.clone(), why });
        let since = turn.view.now;
        set(turn, id, Whereabouts::Leaving { to: None, since });
    }
    Err(turn.failing(&format!("shutdown-{id}")).unwrap_or(Wait::GuestsAboard { guests: vec![id] }))
}

/// Guests that we owe a way home and that are no longer on the node: have they arrived?
pub(super) fn follow_those_gone(turn: &mut Turn) -> Result<(), Wait> {
    let node = turn.case.node.clone();
    let cluster = turn.view.cluster()?;
    let owed: Vec<(GuestId, GuestDebt)> =
        turn.case.owed.guests.iter().map(|(id, d)| (*id, d.clone())).collect();
    for (id, debt) in owed {
        let Some(guest) = cluster.guests.get(&id) else { continue };
        if guest.node == node {
            if matches!(debt.at, Whereabouts::Away { .. } | Whereabouts::Returning { .. }) {
                turn.note(Noted::CameBack { guest: id, name: debt.name });
                set(turn, id, Whereabouts::Aboard);
            }
            continue;
        }
        // It was on its way home when the return stopped, and did not get there.
        if let Whereabouts::Returning { since, .. } = &debt.at
            && age(turn.view.now, *since) >= MOVE_SETTLES
            && arrived(turn, id, guest)
        {
            set(turn, id, Whereabouts::Away { node: guest.node.clone() });
        }
        let arrived = match &debt.at {
            Whereabouts::Leaving { since, .. } if arrived(turn, id, guest) => {
                Some(age(turn.view.now, *since))
            }
            // HA was faster than our look; it was asked when maintenance was.
            Whereabouts::Aboard if arrived(turn, id, guest) => {
                let asked =
                    turn.case.owed.maintenance.as_ref().map_or(turn.case.phase.since(), |debt| debt.since);
                Some(age(turn.view.now, asked))
            }
            _ => None,
        };
        if let Some(took) = arrived {
            let (name, to) = (debt.name.clone(), guest.node.clone());
            turn.note(Noted::Arrived { guest: id, name, node: to.clone(), took: whole_seconds(took) });
            set(turn, id, Whereabouts::Away { node: to });
        }
        start_if_left_stopped(turn, id, guest, &debt);
    }
    Ok(())
}

/// On another node, unlocked, and for HA's guests also in HA's own words: a task's OK is no arrival.
fn arrived(turn: &Turn, id: GuestId, guest: &Guest) -> bool {
    let ha_agrees = turn.view.ha().is_ok_and(|ha| {
        ha.services.get(&id).is_none_or(|s| {
            s.node == guest.node
                && !s.command
                && !matches!(s.state.as_str(), "migrate" | "relocate" | "recovery")
        })
    });
    settled(guest) && ha_agrees
}

/// A container whose last start failed stays stopped on its target; it ran before, so it shall run.
fn start_if_left_stopped(turn: &mut Turn, id: GuestId, guest: &Guest, debt: &GuestDebt) {
    let stopped = turn.view.guest(id).is_ok_and(|detail| {
        detail.live.as_ref().is_some_and(|live| live.power == Power::Stopped && live.lock.is_none())
    });
    if stopped && debt.was == Power::Running && !debt.ha && settled(guest) {
        let on = guest.node.clone();
        let planned = turn.step(
            &format!("start-{id}"),
            Action::Start { guest: id, kind: guest.kind, on },
            Duration::from_secs(30),
        );
        if planned {
            turn.note(Noted::StartedAgain { guest: id, name: debt.name.clone() });
        }
    }
}

/// Writes the debt down, before the guest moves.
fn owe(turn: &mut Turn, id: GuestId, guest: &Guest, at: Whereabouts) {
    let home = turn.case.node.clone();
    // Its own status before the cluster's list, which lags: who was just shut down by a person shall stay down.
    let live =
        turn.view.guest(id).ok().and_then(|detail| detail.live.as_ref()).map_or(guest.power, |l| l.power);
    let was = if live == Power::Stopped { Power::Stopped } else { Power::Running };
    turn.case.owed.guests.entry(id).or_insert_with(|| GuestDebt {
        name: guest.name.clone(),
        kind: guest.kind,
        home,
        was,
        ha: guest.ha,
        at,
    });
}
