//! What the model consists of: the database's rows, what is outside, and two instances. Small on purpose: every value
//! here multiplies the number of states.
//!
//! Time is counted in ticks, and only as what is left of something, so that the space is finite. Terms are numbered
//! anew after each step, by their order alone ([`World::renumber`]): they may grow for ever.

/// Ticks that are left. Below zero: over.
pub type Left = i8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub lease: Lease,
    pub flag: FlagCase,
    pub order: OrderCase,
    pub procs: [Proc; 2],
    /// Calls on their way to the cluster or the ticket system, sorted.
    pub calls: [Option<Call>; CALLS],
    pub broken: Option<Broken>,
}

/// More are never on their way at once; the model stops loudly if they were.
pub const CALLS: usize = 3;

/// The row of the cluster in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    pub holder: Option<u8>,
    pub term: u8,
    /// `until - now()`; -1 is `until < now()`.
    pub left: Left,
}

/// The first case takes a flag, a "set": visible and repeatable. A person may call it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlagCase {
    pub phase: Phase,
    pub owed: bool,
    /// The debt was seen in the cluster at least once.
    pub seen: bool,
    /// A person has asked; no decision has heard it yet.
    pub asked: bool,
    /// Outside: the flag itself.
    pub is_set: bool,
    /// Whoever has committed a decision about this case last, by term.
    pub acted: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    Holding,
    GivingBack,
    Closed,
}

/// The second case opens a work order, a "say": invisible to whoever looks too early, told apart by its step's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OrderCase {
    pub ledger: Ledger,
    /// Outside: how many tickets there are.
    pub tickets: u8,
    pub acted: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ledger {
    Unplanned,
    Owed,
    Done,
}

/// One instance. There is no "alive": to be stopped, to be dead, or not to reach the database is not to be scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Proc {
    pub held: Option<Held>,
    pub ask: Ask,
    pub turn: Turn,
    /// A statement that is on its way to the database although nobody waits for it any more.
    pub adrift: Option<Statement>,
    /// Ticks since it took its lease, up to the patience.
    pub watched: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    pub term: u8,
    pub count: Count,
}

/// What an instance believes to have left, by its two clocks, and how these have deceived it since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Count {
    pub steady: Left,
    pub wall: Left,
    /// Both ran slow, by the margin.
    pub slow: bool,
    pub steady_stood: bool,
    pub wall_set_back: bool,
}

/// The side of an instance that takes and renews.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    Not,
    Take(Count),
    Renew(Held),
    /// The database has said yes, and the instance has not read it yet.
    Granted(Held),
}

/// The side of an instance that decides and acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    Idle,
    /// Looked and decided; the commit is on its way.
    Committing(Commit),
    /// Committed; these steps are to be begun.
    Steps {
        term: u8,
        todo: Todo,
    },
    /// Asked whether the step may be begun, and not sent it yet: only where this is not one moment.
    Checked {
        term: u8,
        todo: Todo,
        stopped: u8,
    },
    /// A call is under way; then the rest.
    Calling {
        term: u8,
        rest: Todo,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Todo {
    pub flag: Option<Act>,
    pub order: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    Set,
    Clear,
    OpenOrder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Commit {
    pub term: u8,
    pub flag: Option<FlagWrite>,
    pub order: Option<OrderWrite>,
    pub todo: Todo,
    /// Nobody has changed the case since it was read: its revision still fits.
    pub flag_fits: bool,
    pub order_fits: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlagWrite {
    Owe,
    /// `true`: it saw the flag.
    GiveBack(bool),
    Forget,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderWrite {
    Owe,
    Found,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Statement {
    Take,
    Renew {
        term: u8,
    },
    Commit(Commit),
    /// "The order is open", from the answer to a call.
    Record {
        term: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call {
    pub of: u8,
    /// Its process waits for it. A helper may outlive its process.
    pub awaited: bool,
    pub term: u8,
    pub act: Act,
    pub left: Left,
    pub slow: bool,
}

/// A promise that was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Broken {
    /// Two tickets for one planned order.
    TwoTickets,
    /// An effect of a past holder after the next one had begun to act on the case.
    Ghost,
    /// A past holder has written.
    PastHolderWrote,
    /// Something is held, or may yet be taken, that nobody knows to be owed.
    DebtForgotten,
    /// A case is closed and owes something.
    ClosedOwing,
    /// Two may begin a step at the same moment.
    TwoLeaders,
}

impl World {
    pub fn new() -> Self {
        let proc = Proc { held: None, ask: Ask::Not, turn: Turn::Idle, adrift: None, watched: 0 };
        Self {
            lease: Lease { holder: None, term: 0, left: -1 },
            flag: FlagCase {
                phase: Phase::Holding,
                owed: false,
                seen: false,
                asked: false,
                is_set: false,
                acted: 0,
            },
            order: OrderCase { ledger: Ledger::Unplanned, tickets: 0, acted: 0 },
            procs: [proc; 2],
            calls: [None; CALLS],
            broken: None,
        }
    }

    /// Terms are compared and never counted, so only their order is kept.
    pub fn renumber(&mut self) {
        let mut terms = 1_u32 << self.lease.term;
        self.each_term(&mut |term| terms |= 1 << *term);
        let rank = |term: u8| (terms & ((1_u32 << term) - 1)).count_ones() as u8;
        self.each_term(&mut |term| *term = rank(*term));
        self.lease.term = rank(self.lease.term);
        self.flag.acted = rank(self.flag.acted);
        self.order.acted = rank(self.order.acted);
        self.calls.sort_unstable_by_key(|call| (call.is_none(), *call));
    }

    /// Every term that somebody still goes by.
    fn each_term(&mut self, visit: &mut impl FnMut(&mut u8)) {
        for proc in &mut self.procs {
            if let Some(held) = &mut proc.held {
                visit(&mut held.term);
            }
            match &mut proc.ask {
                Ask::Renew(held) | Ask::Granted(held) => visit(&mut held.term),
                Ask::Not | Ask::Take(_) => {}
            }
            match &mut proc.turn {
                Turn::Committing(commit) => visit(&mut commit.term),
                Turn::Steps { term, .. } | Turn::Checked { term, .. } | Turn::Calling { term, .. } => {
                    visit(term)
                }
                Turn::Idle => {}
            }
            match &mut proc.adrift {
                Some(Statement::Commit(commit)) => visit(&mut commit.term),
                Some(Statement::Renew { term } | Statement::Record { term }) => visit(term),
                Some(Statement::Take) | None => {}
            }
        }
        for call in self.calls.iter_mut().flatten() {
            visit(&mut call.term);
        }
    }
}
