//! The plan while it is carried out: who goes next, and who may go now. The order and the number at a time are the
//! planner's; whether a node takes a guest is looked at again before each start.

use std::collections::{BTreeMap, BTreeSet};

use super::slots::Slots;
use crate::decide::live::{Closed, Need, Rooms, rooms, under_way};
use crate::decide::turn::Turn;
use crate::model::case::Phase;
use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::Guest;
use crate::model::owed::Whereabouts;
use crate::model::plan::{Move, Plan};
use crate::model::wait::Wait;

/// One turn's account of the moves.
pub struct Course {
    /// As approved.
    pub plan: Plan,
    /// As planned last: the approved moves, or what replanning made of them.
    pub moves: Vec<Move>,
    pub rooms: Rooms,
    /// Nodes that take nobody, and why.
    pub closed: Closed,
    pub slots: Slots,
    /// Cannot go now for a reason of their own: nobody waits for them.
    pub held: BTreeSet<GuestId>,
    /// Their targets do not take them any more, although nothing there is under way.
    pub lost: BTreeMap<GuestId, String>,
    /// Where a guest's moves have failed.
    pub failed_at: BTreeMap<GuestId, BTreeSet<NodeName>>,
    /// About to be sent where its move failed, and another target might do: looked for first.
    pub shuns: BTreeSet<GuestId>,
    /// There is no other target for these now.
    pub settled: BTreeSet<GuestId>,
    coming: BTreeMap<GuestId, NodeName>,
}

impl Course {
    pub fn of(turn: &Turn) -> Result<Option<Self>, Wait> {
        let Phase::Draining { clearance, course, failed_at, .. } = &turn.case.phase else { return Ok(None) };
        let plan = clearance.plan().clone();
        let moves = if course.is_empty() { plan.moves.clone() } else { course.clone() };
        let (rooms, closed) = rooms(&turn.case.node, turn.view)?;
        let slots = Slots::count(turn, &moves)?;
        Ok(Some(Self {
            plan,
            moves,
            rooms,
            closed,
            slots,
            held: BTreeSet::new(),
            lost: BTreeMap::new(),
            failed_at: failed_at.clone(),
            shuns: BTreeSet::new(),
            settled: BTreeSet::new(),
            coming: under_way(turn.view),
        }))
    }

    pub fn planned(&self, id: GuestId) -> Option<&Move> {
        self.moves.iter().find(|m| m.guest == id)
    }

    /// Where a guest of the plan belongs.
    pub fn home(&self, id: GuestId) -> &NodeName {
        self.planned(id).and_then(|m| m.from.as_ref()).unwrap_or(&self.plan.node)
    }

    /// Everybody that is still where it was, in the order of the moves; guests that the plan does not know come last.
    pub fn aboard(&self, turn: &Turn) -> Result<Vec<(GuestId, Guest)>, Wait> {
        let place = |id: &GuestId| self.moves.iter().position(|m| m.guest == *id).unwrap_or(usize::MAX);
        let cluster = turn.view.cluster()?;
        let here = cluster.guests.iter().filter(|(id, guest)| &guest.node == self.home(**id));
        let mut all: Vec<(GuestId, Guest)> = here.map(|(id, guest)| (*id, guest.clone())).collect();
        all.sort_by_key(|(id, _)| (place(id), *id));
        Ok(all)
    }

    /// Does it go before HA is told anything? The canary, and whoever makes room: HA waits for nobody.
    pub fn goes_first(&self, id: GuestId) -> bool {
        self.plan.canary == Some(id) || self.planned(id).is_some_and(|m| m.from.is_some())
    }

    /// Somebody whose move ends before this one begins is under way, or is about to go. While nothing is under way there
    /// is nobody to wait for: what a plan expects does not always happen.
    pub fn waits(&self, turn: &Turn, id: GuestId) -> bool {
        let Some(planned) = self.planned(id) else { return false };
        if self.slots.idle() {
            return false;
        }
        planned.after.iter().any(|other| match turn.case.owed.guests.get(other).map(|debt| &debt.at) {
            Some(Whereabouts::Leaving { .. }) => true,
            Some(Whereabouts::Aboard) => !self.held.contains(other),
            _ => false,
        })
    }

    /// Why its target does not take a guest now, and whether that may pass by itself.
    pub fn refuses(&self, to: &NodeName, need: &Need) -> Option<Refusal> {
        let why = match self.rooms.get(to) {
            Some(room) => room.refuses(to, need)?,
            None => self.closed.get(to).cloned().unwrap_or_else(|| "no member".to_owned()),
        };
        let busy = self.coming.values().any(|target| target == to) || self.slots.begun_to(to);
        Some(if busy { Refusal::MayPass } else { Refusal::Lasts(why) })
    }

    /// Its move to this target has failed, and the approved plan has a target at which it has not. The canary goes nowhere
    /// else: it is there to find out about the way that the others take.
    pub fn might_do_better(&self, id: GuestId) -> bool {
        let (Some(failed), Some(planned)) = (self.failed_at.get(&id), self.planned(id)) else { return false };
        let untried = self.plan.targets().into_iter().any(|node| !failed.contains(node));
        let canary = self.plan.canary == Some(id);
        failed.contains(&planned.to) && untried && !canary && !self.settled.contains(&id)
    }

    /// Counts a move in that begins now.
    pub fn begins(&mut self, from: &NodeName, to: &NodeName, need: &Need) {
        self.slots.begin(from, to);
        if let Some(room) = self.rooms.get_mut(to) {
            room.promise(need);
        }
    }
}

pub enum Refusal {
    /// Something is under way there.
    MayPass,
    Lasts(String),
}
