//! How many migrations go at a time, off a node and to a node: counted anew each turn, before any begins.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::turn::Turn;
use crate::model::ids::NodeName;
use crate::model::owed::Whereabouts;
use crate::model::plan::Move;
use crate::model::wait::Wait;

/// How many moves may still begin.
#[derive(Default)]
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
        // Of the others, what begins in this turn; ours is in the debts.
        for (guest, (from, to)) in turn.view.begun.borrow().iter() {
            if !turn.case.owed.guests.contains_key(guest) {
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

    /// Nothing is under way.
    pub fn idle(&self) -> bool {
        self.out.is_empty()
    }

    /// Is there one free on both sides?
    pub fn free(&self, turn: &Turn, from: &NodeName, to: &NodeName) -> bool {
        let packing = &turn.view.rules.packing;
        let taken = |all: &BTreeMap<NodeName, u32>, node: &NodeName| all.get(node).copied().unwrap_or(0);
        taken(&self.out, from) < packing.slots_out && taken(&self.into, to) < packing.slots_in
    }

    /// Something is on its way there, or on its way from there.
    pub fn busy(&self, node: &NodeName) -> bool {
        self.into.contains_key(node) || self.out.contains_key(node)
    }

    /// A move there began in this turn.
    pub fn begun_to(&self, node: &NodeName) -> bool {
        self.begun_to.contains(node)
    }

    /// Counts a move in.
    pub fn begin(&mut self, from: &NodeName, to: &NodeName) {
        *self.out.entry(from.clone()).or_default() += 1;
        *self.into.entry(to.clone()).or_default() += 1;
        self.begun_to.insert(to.clone());
    }
}
