//! The protocol as it is meant, and each way to build it wrong: what is switched off is what a test shows to be needed.

use super::world::{Count, Held, Left};

#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub ttl: Left,
    pub margin: Left,
    /// So much has to be left for a call to be begun.
    pub call: Left,
    pub calls_last: Lasts,
    /// Asked immediately before each call: does the lease outlive it?
    pub steps_expire: bool,
    /// … and is it the lease under which the step was committed, not only one of ours?
    pub steps_keep_their_term: bool,
    /// Each write locks the lease's row and finds holder and term unchanged.
    pub fenced: bool,
    /// … and finds that nobody has changed the case since it was read.
    pub revisions: bool,
    /// The count begins before the statement is sent, not when its answer is read.
    pub counts_from_sending: bool,
    pub reads: Clocks,
    /// A step's id follows from case and subject alone.
    pub same_id: bool,
    /// A lease is given up only between two turns, …
    pub leaves_between_turns: bool,
    /// … and while no answer about it is awaited.
    pub leaves_unasked: bool,
    /// A debt that is not seen is forgotten after so many ticks of watching, …
    pub patience: u8,
    /// … and at once if it was seen before.
    pub seen_is_paid: bool,
    pub hardships: Hardships,
}

/// When a call ends at its client, whatever has become of the process that began it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// After what had to be left for it.
    Call,
    /// With the lease, as far as that went when it was begun.
    TheRest,
    /// Later: only its process would have ended it with the lease.
    Longer(Left),
}

/// Which clocks of the instance are asked; where both are, the earlier end counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clocks {
    Both,
    Steady,
    Wall,
}

/// What the world does to the instances. That they are stopped, die, and do not reach the database needs no switch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hardships {
    /// A statement may reach the database when nobody waits for it any more.
    pub late: bool,
    /// A clock may run slow, by one tick in each lease.
    pub slow: bool,
    /// The steady clock may stand (a suspended machine), or the wall clock may be set: one of them in each lease.
    pub set: bool,
    /// … both in the same lease.
    pub both_at_once: bool,
    /// An instance may be stopped between asking and sending for so many ticks.
    pub stops_before_sending: Option<u8>,
}

/// As many ticks as make each rule matter, and no more.
pub const PROTOCOL: Rules = Rules {
    ttl: 3,
    margin: 1,
    call: 1,
    calls_last: Lasts::Call,
    steps_expire: true,
    steps_keep_their_term: true,
    fenced: true,
    revisions: true,
    counts_from_sending: true,
    reads: Clocks::Both,
    same_id: true,
    leaves_between_turns: true,
    leaves_unasked: true,
    patience: 0,
    seen_is_paid: true,
    hardships: Hardships {
        late: false,
        slow: false,
        set: false,
        both_at_once: false,
        stops_before_sending: None,
    },
};

impl Rules {
    pub fn fresh(&self) -> Count {
        let left = self.ttl - self.margin;
        Count { steady: left, wall: left, slow: false, steady_stood: false, wall_set_back: false }
    }

    pub fn left(&self, count: &Count) -> Left {
        match self.reads {
            Clocks::Both => count.steady.min(count.wall),
            Clocks::Steady => count.steady,
            Clocks::Wall => count.wall,
        }
    }

    /// Whoever holds this believes that a call would end in time.
    pub fn may_begin(&self, held: Option<&Held>) -> bool {
        held.is_some_and(|held| self.left(&held.count) >= self.call)
    }
}
