//! The plan while it is carried out: who goes next, and who may go now. The order and the number at a time are the
//! planner's; whether a node takes a guest is looked at again before each start.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::live::{Closed, Need, Room, Rooms, rooms, under_way};
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
    coming: BTreeMap<GuestId, NodeName>,
}

impl Course {
    pub fn of(turn: &Turn) -> Result<Option<Self>, Wait> {
        let Phase::Draining { clearance, course, .. } = &turn.case.phase else { return Ok(None) };
        let plan = clearance.plan().clone();
        let moves = if course.is_empty() { plan.moves.clone() } else { course.clone() };
        let (rooms, closed) = rooms(&turn.case.node, turn.view)?;
        let slots = Slots::count(turn, &moves)?;
        let (held, lost) = (BTreeSet::new(), BTreeMap::new());
        Ok(Some(Self { plan, moves, rooms, closed, slots, held, lost, coming: under_way(turn.view) }))
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
        let busy = self.coming.values().any(|target| target == to) || self.slots.begun_to.contains(to);
        Some(if busy { Refusal::MayPass } else { Refusal::Lasts(why) })
    }

    /// Counts a move in that begins now.
    pub fn begins(&mut self, from: &NodeName, to: &NodeName, need: &Need) {
        self.slots.begin(from, to);
        if let Some(room) = self.rooms.get_mut(to) {
            Room::promise(room, need);
        }
    }
}

pub enum Refusal {
    /// Something is under way there.
    MayPass,
    Lasts(String),
}

/// How many moves may still begin.
pub struct Slots {
    out: BTreeMap<NodeName, u32>,
    into: BTreeMap<NodeName, u32>,
    begun_to: BTreeSet<NodeName>,
}

impl Slots {
    /// Whoever moves guests off these nodes counts: HA's migrations take slots from ours.
    pub fn count(turn: &Turn, moves: &[Move]) -> Result<Self, Wait> {
        let node = &turn.case.node;
        let mut out: BTreeMap<NodeName, u32> = BTreeMap::new();
        let mut into: BTreeMap<NodeName, u32> = BTreeMap::new();
        let others = turn.view.state.cases.iter().filter(|case| case.id != turn.case.id);
        // Our own case as this turn knows it: who has just arrived takes no slot any more.
        for debt in others.chain([&turn.case]).flat_map(|case| case.owed.guests.values()) {
            let (from, to) = match &debt.at {
                Whereabouts::Leaving { to: Some(to), .. } => (&debt.home, to),
                Whereabouts::Returning { from, .. } => (from, &debt.home),
                _ => continue,
            };
            if !debt.ha {
                *into.entry(to.clone()).or_default() += 1;
                *out.entry(from.clone()).or_default() += 1;
            }
        }
        let sources: BTreeSet<&NodeName> =
            moves.iter().filter_map(|m| m.from.as_ref()).chain([node]).collect();
        for source in sources {
            let detail = match turn.view.node(source) {
                Ok(detail) => detail,
                Err(wait) if source == node => return Err(wait),
                // Its guests wait until it is seen; see `moving`.
                Err(_) => continue,
            };
            let running = detail.tasks.iter().filter(|t| t.runs() && t.guest.is_some_and(|g| t.moves(g)));
            let running = u32::try_from(running.count()).unwrap_or(u32::MAX);
            let counted = out.entry(source.clone()).or_default();
            *counted = running.max(*counted);
        }
        out.retain(|_, n| *n > 0);
        Ok(Self { out, into, begun_to: BTreeSet::new() })
    }

    pub fn idle(&self) -> bool {
        self.out.is_empty()
    }

    /// Is there one free on both sides?
    pub fn free(&self, turn: &Turn, from: &NodeName, to: &NodeName) -> bool {
        let packing = &turn.view.rules.packing;
        let taken = |all: &BTreeMap<NodeName, u32>, node: &NodeName| all.get(node).copied().unwrap_or(0);
        taken(&self.out, from) < packing.slots_out && taken(&self.into, to) < packing.slots_in
    }

    pub fn begin(&mut self, from: &NodeName, to: &NodeName) {
        *self.out.entry(from.clone()).or_default() += 1;
        *self.into.entry(to.clone()).or_default() += 1;
        self.begun_to.insert(to.clone());
    }
}
