//! The order in which our guests go home, and whether one may go now: the planner's return, made once and kept, and what
//! every home has left at this moment.

use std::collections::{BTreeMap, BTreeSet};

use super::alike;
use super::home::{how, known_to_be_there, stays};
use super::knot::Blocked;
use super::slots::Slots;
use crate::decide::live::{self, Ask, Going, Need, Room, room};
use crate::decide::turn::Turn;
use crate::model::case::Phase;
use crate::model::ids::{GuestId, NodeName};
use crate::model::owed::{GuestDebt, Whereabouts};
use crate::model::plan::Move;
use crate::model::wait::Wait;

pub struct WayHome {
    moves: Vec<Move>,
    /// Home → what it has left, or why it takes nobody.
    pub rooms: BTreeMap<NodeName, Result<Room, String>>,
    /// Cannot go now for a reason of their own: nobody waits for them.
    pub held: BTreeSet<GuestId>,
    /// There is no room for these until others have left: who that is.
    pub blocked: Blocked,
    /// Of this case alone.
    pub slots: Slots,
}

impl WayHome {
    /// # Errors
    /// Something needed cannot be seen.
    pub fn of(turn: &mut Turn) -> Result<Self, Wait> {
        let homes: BTreeSet<NodeName> = turn.case.owed.away().map(|(_, debt)| debt.home.clone()).collect();
        let mut rooms = BTreeMap::new();
        for home in homes {
            let held = turn.view.held_by_others(&turn.case.node).contains(&home);
            let left = if held { Err("it is in maintenance".to_owned()) } else { room(&home, turn.view)? };
            rooms.insert(home, left);
        }
        let moves = plan(turn, &rooms)?;
        let mut slots = Slots::default();
        for (_, debt) in turn.case.owed.away().filter(|(_, debt)| !debt.ha) {
            if let Whereabouts::Returning { from, .. } = &debt.at {
                slots.begin(from, &debt.home);
            }
        }
        Ok(Self { moves, rooms, held: BTreeSet::new(), blocked: Blocked::new(), slots })
    }

    /// In the order of the plan; whoever is not in it comes last.
    pub fn place(&self, id: GuestId) -> usize {
        self.moves.iter().position(|m| m.guest == id).unwrap_or(usize::MAX)
    }

    /// Somebody whose move ends before this one begins is under way, or about to go. While nothing is under way there is
    /// nobody to wait for.
    pub fn waits(&self, turn: &Turn, id: GuestId) -> bool {
        let Some(planned) = self.moves.iter().find(|m| m.guest == id).filter(|_| !self.slots.idle()) else {
            return false;
        };
        planned.after.iter().any(|other| match turn.case.owed.guests.get(other).map(|debt| &debt.at) {
            Some(Whereabouts::Returning { .. }) => true,
            Some(Whereabouts::Away { .. }) => !self.held.contains(other) && self.place(*other) != usize::MAX,
            _ => false,
        })
    }

    /// Counts a move in that begins now.
    pub fn begins(&mut self, from: &NodeName, to: &NodeName, need: &Need) {
        self.slots.begin(from, to);
        if let Some(Ok(room)) = self.rooms.get_mut(to) {
            room.promise(need);
        }
    }
}

/// The kept plan as long as it knows everybody that has to go; else a new one. Whoever finds no place stays, and is told.
fn plan(turn: &mut Turn, rooms: &BTreeMap<NodeName, Result<Room, String>>) -> Result<Vec<Move>, Wait> {
    let Phase::GivingBack { course, .. } = &turn.case.phase else { return Ok(Vec::new()) };
    let kept = course.clone();
    let cluster = turn.view.cluster()?;
    let mut ask = Ask::default();
    let mut missing = false;
    for (id, debt) in turn.case.owed.away() {
        let Some(guest) = cluster.guests.get(&id) else { continue };
        let open = rooms.get(&debt.home).is_some_and(Result::is_ok);
        let there = guest.node != debt.home && known_to_be_there(debt, &guest.node);
        if (debt.ha && guest.ha) || !open || !there {
            continue;
        }
        // One that cannot be seen holds up no other.
        let Ok(detail) = turn.view.guest(id) else { continue };
        // Nor does one whose home is unlike, or is not known to be alike.
        if !matches!(alike::unlike(turn, id, guest, debt), Ok(None)) {
            continue;
        }
        missing |= matches!(debt.at, Whereabouts::Away { .. }) && !kept.iter().any(|m| m.guest == id);
        ask.going.insert(id, Going::Ours(how(guest, detail)));
        ask.homes.insert(id, debt.home.clone());
    }
    if !missing {
        return Ok(kept);
    }
    let found = match live::find(&ask, turn.view) {
        Ok(found) => found,
        // A mistake of the planner never blocks giving back: one by one then, in the order of the numbers.
        Err(Wait::NoPlan { .. }) => return Ok(kept),
        Err(wait) => return Err(wait),
    };
    let debts: BTreeMap<GuestId, GuestDebt> = turn.case.owed.guests.clone();
    for (id, blockers) in &found.left {
        let (Some(debt), Some(guest)) = (debts.get(id), cluster.guests.get(id)) else { continue };
        let at_once = guest.lock.is_none() && in_the_way(turn, &debt.home).is_empty();
        if matches!(debt.at, Whereabouts::Away { .. }) && at_once {
            let why = blockers.iter().find(|(node, _)| *node == debt.home).map_or("no room", |(_, why)| why);
            stays(turn, *id, debt, Some(guest.node.clone()), why);
        }
    }
    let moves = found.hops.into_iter().filter_map(|hop| {
        let guest = cluster.guests.get(&hop.guest)?;
        let Some(Going::Ours(how)) = ask.going.get(&hop.guest) else { return None };
        let (name, kind, from) = (guest.name.clone(), guest.kind, Some(guest.node.clone()));
        Some(Move { guest: hop.guest, name, kind, to: hop.to, how: *how, from, after: hop.after })
    });
    let moves: Vec<Move> = moves.collect();
    if let Phase::GivingBack { course, .. } = &mut turn.case.phase {
        course.clone_from(&moves);
    }
    Ok(moves)
}

/// Guests of ours on this node who will leave it for a home of their own: HA's guest for which the room was made, say. Until
/// then it is no news that there is no room.
pub fn in_the_way(turn: &Turn, home: &NodeName) -> BTreeSet<GuestId> {
    let Ok(cluster) = turn.view.cluster() else { return BTreeSet::new() };
    let there = |id: &GuestId| cluster.guests.get(id).is_some_and(|guest| &guest.node == home);
    let others = turn.case.owed.away().filter(|(id, debt)| &debt.home != home && there(id));
    others.map(|(id, _)| id).collect()
}
