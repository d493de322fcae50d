//! The live cluster as the planner sees it, and the planner's answer with names again. The one place where the two meet:
//! what is shown, approved, carried out and simulated comes through here.
//!
//! Nothing is invented. What the view cannot tell is a [`Wait`]; a node that cannot be judged takes nobody, and a guest
//! whose details nobody asked for does not move.

mod instance;
mod room;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ids::{GuestId, NodeName};
use crate::model::owed::Whereabouts;
use crate::model::plan::How;
use crate::model::wait::Wait;

use super::planner::instance::{Instance, Kind};
use super::planner::{Effort, Planned, Reason, Wishes, plan_steadily};
use super::view::View;

pub use room::{Closed, Need, Room, Rooms, need, room, rooms};

/// What is asked of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Nodes that shall be empty. None: guests go to their [`Ask::homes`].
    pub leaving: Option<NodeName>,
    /// Guests that move, how, and who moves them. All others stay where they are.
    pub going: BTreeMap<GuestId, Going>,
    /// Where guests shall go back to.
    pub homes: BTreeMap<GuestId, NodeName>,
    /// Residents that may make room.
    pub residents: BTreeMap<GuestId, How>,
    /// Our guests go nowhere else; `None`: anywhere.
    pub targets: Option<BTreeSet<NodeName>>,
    /// Where a guest shall not go again, and why.
    pub lost: BTreeMap<GuestId, BTreeMap<NodeName, String>>,
    /// Where an earlier plan wanted guests to go.
    pub keep: BTreeMap<GuestId, NodeName>,
    /// Guests of other drains that have not set out, and where they are to go: they count there already.
    pub promised: BTreeMap<GuestId, NodeName>,
    /// Moved already: they have had their turn.
    pub done: BTreeSet<GuestId>,
    pub canary: bool,
}

/// How a guest leaves, as far as placing it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Going {
    Ours(How),
    /// HA moves it to one of these.
    Ha(BTreeSet<NodeName>),
    /// It cannot, and may be shut down.
    Down,
    /// It cannot.
    Stuck,
}

/// The cluster as two instances with the same nodes and guests, and which index is whose name.
#[derive(Clone, Debug)]
pub struct Live {
    /// What does not change from reading to reading: where guests go follows from this alone.
    placing: Instance,
    /// As it is read now.
    timing: Instance,
    wishes: Wishes,
    nodes: Vec<NodeName>,
    guests: Vec<GuestId>,
    closed: Closed,
    /// Guest → node → Proxmox's own words.
    refused: BTreeMap<GuestId, BTreeMap<NodeName, String>>,
}

/// The planner's answer, with names.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// In the order in which they may start; HA's guests are among them, those under way are not.
    pub hops: Vec<Hop>,
    /// Left behind, with every node and why it cannot take the guest.
    pub left: BTreeMap<GuestId, Vec<(NodeName, String)>>,
    /// Nodes whose loss could not be absorbed afterwards, and the guests that would find no place.
    pub fragile: Vec<(NodeName, Vec<GuestId>)>,
    pub canary: Option<GuestId>,
    /// Seconds until the last has arrived.
    pub secs: f64,
}

/// One move of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    pub guest: GuestId,
    pub to: NodeName,
    /// Guests whose moves end before this one begins.
    pub after: Vec<GuestId>,
    /// It only makes room.
    pub resident: bool,
}

/// Guests on their way to another node, whoever moves them: they count on both sides until they have arrived.
pub fn under_way(view: &View) -> BTreeMap<GuestId, NodeName> {
    let mut all = BTreeMap::new();
    for (id, debt) in view.state.cases.iter().flat_map(|case| &case.owed.guests) {
        match &debt.at {
            Whereabouts::Leaving { to: Some(to), .. } => all.insert(*id, to.clone()),
            Whereabouts::Returning { .. } => all.insert(*id, debt.home.clone()),
            _ => None,
        };
    }
    all.extend(view.begun.borrow().iter().map(|(id, (_, to))| (*id, to.clone())));
    if let Ok(ha) = view.ha() {
        let moving = ha.services.iter().filter_map(|(id, s)| Some((*id, s.target.clone()?)));
        all.extend(moving);
    }
    if let Ok(cluster) = view.cluster() {
        all.retain(|id, to| cluster.guests.get(id).is_some_and(|guest| &guest.node != to));
    }
    all
}

/// Asks the planner.
///
/// # Errors
/// Something needed cannot be seen, or the planner's own check refused what it found.
pub fn find(ask: &Ask, view: &View) -> Result<Found, Wait> {
    let mut live = Live::of(ask, view)?;
    let quick = live.plan()?;
    // Only a knotty cluster is worth a long search: most are done at the first attempt.
    let hard = |left: &super::planner::Left| !matches!(left.why, Reason::Immovable | Reason::NodeClosed);
    if !quick.left.iter().any(hard) || !ask.keep.is_empty() {
        return Ok(live.named(&quick));
    }
    live.wishes.effort = Effort::Full;
    let full = live.plan()?;
    // Half a node's guests are no drain: who may leave only without N+1 leaves in the plan, and the check of N+1 says no.
    if full.left.iter().any(|left| left.why == Reason::NPlusOne) {
        live.prefer_n_plus_one();
        let whole = live.plan()?;
        return Ok(live.named(&whole));
    }
    Ok(live.named(&full))
}

impl Live {
    fn plan(&self) -> Result<Planned, Wait> {
        plan_steadily(&self.placing, &self.timing, &self.wishes)
            .map_err(|refused| Wait::NoPlan { why: refused.to_string() })
    }

    fn named(&self, planned: &Planned) -> Found {
        let name = |all: &[usize]| all.iter().map(|at| self.guests[*at]).collect::<Vec<_>>();
        let hops = planned.moves.iter().filter(|m| !m.running).map(|m| Hop {
            guest: self.guests[m.guest],
            to: self.nodes[m.to].clone(),
            after: name(&m.after),
            resident: !self.placing.leaves(m.guest),
        });
        Found {
            hops: hops.collect(),
            left: self.left(planned),
            fragile: planned.fragile.iter().map(|(n, lost)| (self.nodes[*n].clone(), name(lost))).collect(),
            canary: planned.canary.map(|at| self.guests[at]),
            secs: planned.forecast.makespan,
        }
    }
}

fn kind(ask: &Ask) -> Kind {
    if ask.leaving.is_some() { Kind::Drain } else { Kind::Return }
}

#[cfg(test)]
mod tests;
