//! Guests go home: HA's by themselves first, the rest by us. One that cannot go home is told, and fails nothing.

use std::time::Duration;

use super::knot::knot;
use super::stopped;
use super::way_home::{WayHome, in_the_way};
use super::{
    MOVE_SETTLES, alike, cancel_if_overdue, due_after_failures, locked, missing, moving, set, settled,
};
use crate::decide::faults::whole_seconds;
use crate::decide::live::need;
use crate::decide::turn::Turn;
use crate::model::ids::{GuestId, NodeName};
use crate::model::note::Noted;
use crate::model::observed::{Guest, GuestDetail, GuestKind, Power};
use crate::model::owed::{GuestDebt, Whereabouts};
use crate::model::plan::How;
use crate::model::step::Action;
use crate::model::time::{age, just};
use crate::model::wait::Wait;

/// Proxmox gives a guest three minutes to shut down.
const SHUTDOWN_MAX: Duration = Duration::from_secs(200);
const START_SETTLES: Duration = Duration::from_secs(30);
const KEPT_OUT: &str = "a person keeps its node in HA maintenance";
/// Longer than a server takes to start again.
pub(super) const HOME_LOST: Duration = Duration::from_secs(1800);

/// Brings every owed guest home, ours in the order that the planner found. `Ok`: all are, or it is told why not.
pub fn home(turn: &mut Turn) -> Result<(), Wait> {
    let mut owed: Vec<(GuestId, GuestDebt)> =
        turn.case.owed.away().map(|(id, debt)| (id, debt.clone())).collect();
    if owed.is_empty() {
        return Ok(());
    }
    let cluster = turn.view.cluster()?;
    turn.view.sees_guests()?;
    let mut blind: Option<Wait> = None;
    // First who is back: a slot that has become free is used in the same turn.
    for (id, debt) in &owed {
        let here = cluster.guests.get(id).filter(|guest| guest.node == debt.home && !lost(turn, &guest.node));
        if let Some(guest) = here {
            blind = blind.or(at_home(turn, *id, guest, debt).err());
        }
    }
    let mut way = WayHome::of(turn)?;
    // Who was told to stay while the way was planned is told once.
    owed = turn.case.owed.away().map(|(id, debt)| (id, debt.clone())).collect();
    owed.sort_by_key(|(id, _)| (way.place(*id), *id));
    for (id, debt) in owed {
        let Some(guest) = cluster.guests.get(&id) else {
            blind = blind.or(missing::look(turn, id).err());
            continue;
        };
        missing::listed(turn, id);
        alike::remember(turn, id);
        let gone = [&debt.home, &guest.node].into_iter().find(|node| lost(turn, node));
        let done = if let Some(gone) = gone.filter(|_| !debt.ha) {
            let why = format!("{gone} is no member that answers");
            stays(turn, id, &debt, Some(guest.node.clone()), &why);
            Ok(())
        } else if guest.node == debt.home {
            Ok(())
        } else if !known_to_be_there(&debt, &guest.node) {
            // Its new node is read in full from the next look on.
            set(turn, id, Whereabouts::Away { node: guest.node.clone() });
            Ok(())
        } else if debt.ha && guest.ha {
            ha_home(turn, id, guest, &debt)
        } else {
            stopped::by_its_owner(turn, id, guest, &debt)
                .and_then(|()| our_home(turn, id, guest, &debt, &mut way))
        };
        if done.is_err() {
            way.held.insert(id);
        }
        // One that cannot be seen holds up no other.
        blind = blind.or(done.err());
    }
    if let Some((id, other)) = knot(&way.blocked)
        && let (Some(debt), Some(guest)) = (turn.case.owed.guests.get(&id).cloned(), cluster.guests.get(&id))
    {
        let why = format!(
            "{} has room for it only when guest {other} has left, which waits in turn for another to make room; move one of \
             them to a third node",
            debt.home
        );
        stays(turn, id, &debt, Some(guest.node.clone()), &why);
    }
    let away: Vec<GuestId> = turn.case.owed.away().map(|(id, _)| id).collect();
    match blind {
        Some(wait) => Err(wait),
        None if away.is_empty() => Ok(()),
        None => Err(Wait::GuestsNotHome { guests: away }),
    }
}

/// Another node than the case's died or left the cluster for good, as far as one can wait for that. What cannot be seen is
/// not lost.
fn lost(turn: &Turn, node: &NodeName) -> bool {
    node != &turn.case.node
        && turn.view.cluster().is_ok_and(|cluster| !cluster.online(node))
        && !turn.view.held_by_others(&turn.case.node).contains(node)
        && age(turn.view.now, turn.case.phase.since()) >= HOME_LOST
}

pub(super) fn known_to_be_there(debt: &GuestDebt, node: &NodeName) -> bool {
    match &debt.at {
        Whereabouts::Away { node: at } | Whereabouts::Returning { from: at, .. } => at == node,
        _ => false,
    }
}

/// On its node again: also as it was?
fn at_home(turn: &mut Turn, id: GuestId, guest: &Guest, debt: &GuestDebt) -> Result<(), Wait> {
    let coming = match &debt.at {
        Whereabouts::Returning { from, .. } if *from != guest.node => {
            moving(id, from, turn.case.phase.since(), turn.view)?.running.is_some()
        }
        _ => false,
    };
    if coming || may_still_leave(turn, id, &debt.home)? {
        // One that does not end holds up everything that goes back.
        let moves_away = moving(id, &debt.home, turn.case.phase.since(), turn.view)?;
        if let Some(task) = moves_away.running.filter(|_| !debt.ha) {
            cancel_if_overdue(turn, id, guest, task);
        }
        return Ok(());
    }
    // Nothing moves it and it is locked all the same: somebody has to look.
    if let Some(lock) = &guest.lock {
        return Err(locked(id, guest, lock));
    }
    let detail = turn.view.guest(id)?;
    let power = detail.live.as_ref().map_or(guest.power, |live| live.power);
    if power == Power::Running && shutting_down(turn, id) {
        return Ok(());
    }
    if debt.was == Power::Running && power != Power::Running {
        match (debt.ha && guest.ha, ha_says_no(turn, id)?) {
            // It is where it belongs, and whoever owns it wants it down.
            (true, Some(why)) => {
                turn.note(Noted::StaysDown { guest: id, name: debt.name.clone(), why });
                set(turn, id, Whereabouts::Home);
            }
            // HA starts its own.
            (true, None) => {}
            (false, _) => start(turn, id, guest, debt),
        }
        return Ok(());
    }
    let told = match debt.at {
        Whereabouts::Returning { since, .. } => Some(Some(whole_seconds(age(turn.view.now, since)))),
        // It never left.
        Whereabouts::Aboard => None,
        _ => Some(None),
    };
    if let Some(took) = told {
        turn.note(Noted::Home { guest: id, name: debt.name.clone(), took });
    }
    set(turn, id, Whereabouts::Home);
    Ok(())
}

/// An abort overtook a shutdown that was asked for: the guest may still go down, and then it has to be started again.
fn shutting_down(turn: &Turn, id: GuestId) -> bool {
    let asked = turn.attempt(&format!("shutdown-{id}"));
    asked.is_some_and(|attempt| just(turn.view.now, attempt.at, SHUTDOWN_MAX))
}

/// HA will not bring this guest anywhere: somebody has stopped it, or it is in error.
fn ha_says_no(turn: &Turn, id: GuestId) -> Result<Option<String>, Wait> {
    let requested = turn.view.ha_rules()?.resources.get(&id).map(|resource| resource.requested.clone());
    let state = turn.view.ha()?.services.get(&id).map(|service| service.state.clone());
    Ok(match (requested, state) {
        (Some(requested), _) if requested != "started" => Some(format!("HA has it as {requested}")),
        (_, Some(state)) if state == "error" => Some("HA has it in state error".to_owned()),
        _ => None,
    })
}

/// A move away that an abort overtook: its task runs, HA has it in hand, or it was asked for a moment ago.
fn may_still_leave(turn: &Turn, id: GuestId, home: &NodeName) -> Result<bool, Wait> {
    let asked = turn.attempt(&format!("away-{id}"));
    let just_asked = asked.is_some_and(|attempt| just(turn.view.now, attempt.at, MOVE_SETTLES));
    let runs = moving(id, home, turn.case.phase.since(), turn.view)?.running.is_some();
    let service = turn.view.ha()?.services.get(&id);
    let ha_moves = service.is_some_and(|s| {
        s.target.is_some() || s.command || matches!(s.state.as_str(), "migrate" | "relocate")
    });
    Ok(just_asked || runs || ha_moves)
}

/// HA brings its guests home when maintenance ends. Those that it forgets are asked for after a while.
fn ha_home(turn: &mut Turn, id: GuestId, guest: &Guest, debt: &GuestDebt) -> Result<(), Wait> {
    let now = turn.view.now;
    if turn.case.owed.maintenance.is_none() && turn.view.ha()?.maintenance_requested(&debt.home) {
        stays(turn, id, debt, Some(guest.node.clone()), KEPT_OUT);
        return Ok(());
    }
    let Whereabouts::Returning { since, .. } = debt.at else {
        turn.note(Noted::HaBringsHome { guest: id, name: debt.name.clone() });
        set(turn, id, Whereabouts::Returning { from: guest.node.clone(), since: now });
        return Ok(());
    };
    if let Some(why) = ha_says_no(turn, id)? {
        stays(turn, id, debt, Some(guest.node.clone()), &why);
        return Ok(());
    }
    let moving_now = turn
        .view
        .ha()?
        .services
        .get(&id)
        .is_some_and(|s| s.target.is_some() || s.command || s.state != "started");
    if moving_now || !settled(guest) || age(now, since) < turn.view.rules.limits.ha_return_within.0 {
        return Ok(());
    }
    if turn.tries(&format!("home-{id}")) >= turn.view.rules.limits.migration_tries_max {
        stays(turn, id, debt, Some(guest.node.clone()), "HA does not bring it home");
        return Ok(());
    }
    let how = how(guest, turn.view.guest(id)?);
    if let Some(why) = alike::unlike(turn, id, guest, debt)? {
        stays(turn, id, debt, Some(guest.node.clone()), &why);
        return Ok(());
    }
    ask(turn, id, guest, debt, how, turn.view.rules.limits.ha_return_within.0);
    Ok(())
}

/// A guest that is ours to move.
fn our_home(
    turn: &mut Turn,
    id: GuestId,
    guest: &Guest,
    debt: &GuestDebt,
    way: &mut WayHome,
) -> Result<(), Wait> {
    let node = debt.home.clone();
    let begun = match debt.at {
        Whereabouts::Returning { since, .. } => Some(since),
        _ => None,
    };
    let since = begun.unwrap_or(turn.case.phase.since());
    // Migrations are listed by the node they run on: the guest's, which is read because it is owed.
    let moving = moving(id, &guest.node, turn.case.phase.since(), turn.view)?;
    if let Some(task) = moving.running {
        cancel_if_overdue(turn, id, guest, task);
        return Ok(());
    }
    if begun.is_some() {
        if moving.goes_on(since, turn.view.now) {
            return Ok(());
        }
        if let Some(error) = moving.failed_since(since) {
            turn.note(Noted::MoveFailed { guest: id, error: error.to_owned() });
        }
        set(turn, id, Whereabouts::Away { node: guest.node.clone() });
    }
    if moving.failed >= turn.view.rules.limits.migration_tries_max {
        let error = moving.last_failure.map_or_else(String::new, |(_, error)| error.to_owned());
        stays(turn, id, debt, Some(guest.node.clone()), &error);
        return Ok(());
    }
    if let Some(lock) = &guest.lock {
        return Err(locked(id, guest, lock));
    }
    let subject = format!("home-{id}");
    if turn.failed_tries(&subject) >= turn.view.rules.limits.migration_tries_max * 2 {
        let why = turn.failing(&subject).map_or_else(String::new, |wait| wait.to_string());
        stays(turn, id, debt, Some(guest.node.clone()), &why);
        return Ok(());
    }
    if !due_after_failures(turn, &moving) {
        way.held.insert(id);
        return Ok(());
    }
    if way.waits(turn, id) {
        return Ok(());
    }
    let detail = turn.view.guest(id)?;
    if let Some(why) = alike::unlike(turn, id, guest, debt)? {
        stays(turn, id, debt, Some(guest.node.clone()), &why);
        return Ok(());
    }
    let how = how(guest, detail);
    let need = need(guest, detail, how, &turn.view.rules.packing);
    let refusal = match way.rooms.get(&node) {
        Some(Ok(room)) => room.refuses(&node, &need),
        // Another case has it, and gives it back.
        _ if turn.view.held_by_others(&turn.case.node).contains(&node) => return Ok(()),
        // A person keeps the node in maintenance: it is not ours to fill.
        _ if turn.view.ha()?.maintenance_requested(&node) => Some(KEPT_OUT.to_owned()),
        // HA shows the node as online half a minute after maintenance ends.
        _ => return Ok(()),
    };
    if let Some(why) = refusal {
        // Who is on its way there, or about to leave, may be what stands in the way.
        if !way.slots.busy(&node) {
            match in_the_way(turn, &node) {
                others if others.is_empty() => stays(turn, id, debt, Some(guest.node.clone()), &why),
                others => drop(way.blocked.insert(id, others)),
            }
        }
        return Ok(());
    }
    if way.slots.free(turn, &guest.node, &node) && ask(turn, id, guest, debt, how, MOVE_SETTLES) {
        way.begins(&guest.node, &node, &need);
    }
    Ok(())
}

/// As it is now, so it goes home.
pub(super) fn how(guest: &Guest, detail: &GuestDetail) -> How {
    let power = detail.live.as_ref().map_or(guest.power, |live| live.power);
    match (power, guest.kind) {
        (Power::Stopped, _) => How::Offline,
        (_, GuestKind::Lxc) => How::Restart,
        _ if detail.local_disks.is_empty() => How::Live,
        _ => How::LiveWithDisks,
    }
}

/// Plans the migration home. `true` if it is begun now.
fn ask(turn: &mut Turn, id: GuestId, guest: &Guest, debt: &GuestDebt, how: How, settle: Duration) -> bool {
    let action = Action::Migrate {
        guest: id,
        name: guest.name.clone(),
        kind: guest.kind,
        from: guest.node.clone(),
        to: debt.home.clone(),
        how,
    };
    let planned = turn.step(&format!("home-{id}"), action, settle);
    if !planned {
        return false;
    }
    turn.note(Noted::GoesHome { guest: id, name: debt.name.clone(), how });
    let since = turn.view.now;
    set(turn, id, Whereabouts::Returning { from: guest.node.clone(), since });
    true
}

fn start(turn: &mut Turn, id: GuestId, guest: &Guest, debt: &GuestDebt) {
    let subject = format!("start-{id}");
    let tries = turn.tries(&subject);
    if tries >= turn.view.rules.limits.migration_tries_max * 2 {
        stays(turn, id, debt, Some(guest.node.clone()), "it does not start; read its task log");
        return;
    }
    let action = Action::Start { guest: id, kind: guest.kind, on: guest.node.clone() };
    let planned = turn.step(&subject, action, START_SETTLES);
    if planned {
        if tries == 0 {
            turn.note(Noted::StartedAgain { guest: id, name: debt.name.clone() });
        }
        let since = turn.view.now;
        set(turn, id, Whereabouts::Returning { from: guest.node.clone(), since });
    }
}

pub(super) fn stays(turn: &mut Turn, id: GuestId, debt: &GuestDebt, node: Option<NodeName>, why: &str) {
    turn.note(Noted::StaysAway { guest: id, name: debt.name.clone(), why: why.to_owned() });
    set(turn, id, Whereabouts::Stays { node, why: why.to_owned() });
}
