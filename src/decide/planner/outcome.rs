//! What the planner answers: who goes where, in which order, who stays behind and why, and what is expected of it.

use super::instance::{GuestAt, NodeAt};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Planned {
    /// In the order in which they may start.
    pub moves: Vec<PlannedMove>,
    /// Cannot move and may be shut down.
    pub stops: Vec<GuestAt>,
    pub left: Vec<Left>,
    /// Remaining nodes whose loss could not be absorbed once the plan is done, with the guests that would find no place.
    pub fragile: Vec<(NodeAt, Vec<GuestAt>)>,
    pub forecast: Forecast,
    /// Starts that would slow a guest down are held back; `false` only where that cannot be avoided.
    pub guard_dirty: bool,
    /// Asked for, and there is a guest for it: it goes first and alone.
    pub canary: Option<GuestAt>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PlannedMove {
    pub guest: GuestAt,
    pub to: NodeAt,
    /// Guests whose moves end before this one begins.
    pub after: Vec<GuestAt>,
    /// Under way already: nothing is to be started, only to be waited for.
    pub running: bool,
    /// A wave begins when the one before it is done.
    pub wave: u32,
    /// Seconds from the beginning, by the model.
    pub starts: f64,
    pub ends: f64,
}

/// A guest that is not moved although it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Left {
    pub guest: GuestAt,
    /// Every node that counts, with the reason why it does not take it once the plan is done. Empty where the reason is
    /// not a node's: then `why` is all there is.
    pub blockers: Vec<(NodeAt, Reason)>,
    /// For people.
    pub why: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    Immovable,
    NodeClosed,
    NotAllowed,
    Storage,
    Device,
    Apart,
    Memory,
    Cpu,
    /// The loss of one more node could not be absorbed.
    NPlusOne,
    /// Another guest must stay, and the two belong together.
    Together,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Self::Immovable => "immovable",
            Self::NodeClosed => "node-closed",
            Self::NotAllowed => "allowed",
            Self::Storage => "storage",
            Self::Device => "device",
            Self::Apart => "anti-affinity",
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::NPlusOne => "n-plus-one",
            Self::Together => "affinity",
        }
    }
}

/// What the model says will happen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Forecast {
    /// Seconds until the last guest that was asked for has arrived.
    pub makespan: f64,
    /// No schedule can be faster, seconds.
    pub bound: f64,
    /// Seconds for which guests are slowed down.
    pub throttled: f64,
    /// Standard deviation of memory use over the remaining nodes, as a share of 1.
    pub imbalance: f64,
    /// Remaining nodes whose loss could not be absorbed.
    pub n_plus_one_fails: usize,
    /// Guests that move only to make room.
    pub made_room: usize,
}
