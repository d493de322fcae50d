//! Everything that can happen next. Each move is one moment; between any two of them any other may come, and any number
//! of ticks may pass. So a stopped process is one whose moves do not come, a dead one is one that begins anew, late, and
//! a database that cannot be reached is statements that do not arrive.

use super::rules::Rules;
use super::world::{Act, Ask, Broken, Call, Count, Held, Ledger, Phase, Statement, Turn, World};
use super::{asks, turns};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    Begin,
    Tick,
    /// A tick in which one instance's clocks went less far.
    TickWith(u8, Fault),
    /// The wall clock of an instance is set back, or ahead.
    SetBack(u8),
    SetAhead(u8),
    PersonAborts,
    /// A call reaches the other side.
    Lands(u8, Act),
    /// An instance is killed and begins anew; one statement of its may be on its way still.
    Dies(u8),
    Asks(u8),
    /// The database hears it; its answer arrives, or is lost.
    AskHeard(u8, Answer),
    AskLost(u8),
    ReadsTheAnswer(u8),
    Leaves(u8),
    Decides(u8),
    CommitHeard(u8, Answer),
    /// It no longer waits for the answer to its commit, which may arrive all the same.
    StopsWaiting(u8),
    LateStatement(u8),
    StatementLost(u8),
    Checks(u8),
    BeginsStep(u8),
    /// A step is not begun: its time is over, or the kill switch is pulled.
    SkipsStep(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    BothSlow,
    SteadyStands,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Arrives,
    GetsLost,
}

/// Who has to do something for a move to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Proc(u8),
    Time,
    /// People, chance, bad luck: nothing good may depend on these.
    World,
}

impl Move {
    pub fn by(self) -> By {
        match self {
            Self::Tick => By::Time,
            Self::Lands(of, _) => By::Proc(of),
            Self::Asks(of)
            | Self::AskHeard(of, Answer::Arrives)
            | Self::ReadsTheAnswer(of)
            | Self::Decides(of)
            | Self::CommitHeard(of, Answer::Arrives)
            | Self::StopsWaiting(of)
            | Self::LateStatement(of)
            | Self::Checks(of)
            | Self::BeginsStep(of)
            | Self::SkipsStep(of) => By::Proc(of),
            _ => By::World,
        }
    }
}

pub type Next = Vec<(Move, World)>;

/// All moves and what they lead to.
pub fn all(rules: &Rules, world: &World, next: &mut Next) {
    ticks(rules, world, next);
    if world.flag.phase == Phase::Holding && !world.flag.asked {
        let mut after = *world;
        after.flag.asked = true;
        next.push((Move::PersonAborts, after));
    }
    for slot in 0..world.calls.len() {
        if let Some(call) = world.calls[slot] {
            lands(rules, world, slot, call, next);
        }
    }
    for of in 0..2 {
        clocks_are_set(rules, world, of, next);
        dies(rules, world, of, next);
        asks::moves(rules, world, of, next);
        turns::moves(rules, world, of, next);
    }
    for (_, after) in next {
        after.broken = after.broken.or_else(|| standing(rules, after));
    }
}

/// Promises about a state, whatever led to it.
fn standing(rules: &Rules, world: &World) -> Option<Broken> {
    let may_yet = world.calls.iter().flatten().any(|call| call.act == Act::Set);
    if (world.flag.is_set || may_yet) && !world.flag.owed {
        return Some(Broken::DebtForgotten);
    }
    if world.flag.phase == Phase::Closed && world.flag.owed {
        return Some(Broken::ClosedOwing);
    }
    let both = world.procs.iter().all(|proc| rules.may_begin(proc.held.as_ref()));
    both.then_some(Broken::TwoLeaders)
}

/// Time goes on for the database and for both instances; at most one instance's clocks do not keep up.
fn ticks(rules: &Rules, world: &World, next: &mut Next) {
    next.push((Move::Tick, tick(rules, world, None)));
    for of in 0..2 {
        let counts = || counts(world, of);
        let slow = counts().all(|count| !count.slow)
            && world.calls.iter().flatten().all(|call| call.of != of || !call.slow);
        let counting = counts().next().is_some() || world.calls.iter().flatten().any(|call| call.of == of);
        if rules.hardships.slow && slow && counting {
            let fault = Fault::BothSlow;
            next.push((Move::TickWith(of, fault), tick(rules, world, Some((of, fault)))));
        }
        let other_lied = counts().any(|count| count.wall_set_back) && !rules.hardships.both_at_once;
        if rules.hardships.set && !other_lied && counts().next().is_some() {
            let fault = Fault::SteadyStands;
            next.push((Move::TickWith(of, fault), tick(rules, world, Some((of, fault)))));
        }
    }
}

fn tick(rules: &Rules, world: &World, fault: Option<(u8, Fault)>) -> World {
    let mut after = *world;
    let less = |left: &mut i8| *left = (*left - 1).max(0);
    after.lease.left = (after.lease.left - 1).max(-1);
    for of in 0..2 {
        let fault = fault.filter(|(whose, _)| *whose == of).map(|(_, fault)| fault);
        each_count(&mut after, of, |count| match fault {
            None => {
                less(&mut count.steady);
                less(&mut count.wall);
            }
            Some(Fault::BothSlow) => count.slow = true,
            Some(Fault::SteadyStands) => {
                less(&mut count.wall);
                count.steady_stood = true;
            }
        });
        let mut ended = false;
        for slot in &mut after.calls {
            match slot {
                Some(call) if call.of != of => {}
                Some(call) if fault == Some(Fault::BothSlow) => call.slow = true,
                // Its client has ended it: it arrives now or never.
                Some(call) if call.left == 0 => {
                    ended |= call.awaited;
                    *slot = None;
                }
                Some(call) => call.left -= 1,
                None => {}
            }
        }
        if ended {
            turns::goes_on(&mut after, of);
        }
        let proc = &mut after.procs[usize::from(of)];
        if proc.held.is_some() {
            proc.watched = (proc.watched + 1).min(rules.patience);
        }
        if let (Turn::Checked { stopped, .. }, Some(max)) =
            (&mut proc.turn, rules.hardships.stops_before_sending)
        {
            *stopped = (*stopped + 1).min(max.saturating_add(1));
        }
    }
    after
}

fn clocks_are_set(rules: &Rules, world: &World, of: u8, next: &mut Next) {
    if !rules.hardships.set || counts(world, of).next().is_none() {
        return;
    }
    let other_lied = counts(world, of).any(|count| count.steady_stood) && !rules.hardships.both_at_once;
    if !other_lied {
        let mut after = *world;
        each_count(&mut after, of, |count| {
            count.wall = rules.ttl;
            count.wall_set_back = true;
        });
        next.push((Move::SetBack(of), after));
    }
    let mut after = *world;
    each_count(&mut after, of, |count| count.wall = 0);
    next.push((Move::SetAhead(of), after));
}

/// What an instance counts: its lease, and one that it has asked for.
fn counts(world: &World, of: u8) -> impl Iterator<Item = Count> {
    let proc = &world.procs[usize::from(of)];
    let asked = match proc.ask {
        Ask::Not => None,
        Ask::Take(count) | Ask::Renew(Held { count, .. }) | Ask::Granted(Held { count, .. }) => Some(count),
    };
    proc.held.map(|held| held.count).into_iter().chain(asked)
}

fn each_count(world: &mut World, of: u8, change: impl Fn(&mut Count)) {
    let proc = &mut world.procs[usize::from(of)];
    if let Some(held) = &mut proc.held {
        change(&mut held.count);
    }
    match &mut proc.ask {
        Ask::Not => {}
        Ask::Take(count) | Ask::Renew(Held { count, .. }) | Ask::Granted(Held { count, .. }) => change(count),
    }
}

/// Killed, and started again whenever its next move comes. Calls live on: a helper may outlive its process.
fn dies(rules: &Rules, world: &World, of: u8, next: &mut Next) {
    let proc = world.procs[usize::from(of)];
    let mut adrift = vec![proc.adrift];
    match proc.ask {
        _ if !rules.hardships.late => {}
        Ask::Take(_) => adrift.push(Some(Statement::Take)),
        Ask::Renew(held) => adrift.push(Some(Statement::Renew { term: held.term })),
        Ask::Not | Ask::Granted(_) => {}
    }
    if let (Turn::Committing(commit), true) = (proc.turn, rules.hardships.late) {
        adrift.push(Some(Statement::Commit(commit)));
    }
    for adrift in adrift {
        let mut after = *world;
        after.procs[usize::from(of)] = World::new().procs[0];
        after.procs[usize::from(of)].adrift = adrift;
        for call in after.calls.iter_mut().flatten() {
            call.awaited &= call.of != of;
        }
        if after != *world {
            next.push((Move::Dies(of), after));
        }
    }
}

/// It arrives, whoever sent it.
fn lands(rules: &Rules, world: &World, slot: usize, call: Call, next: &mut Next) {
    let mut after = *world;
    after.calls[slot] = None;
    reaches(rules, &mut after, call);
    let step = Move::Lands(call.of, call.act);
    if call.awaited {
        turns::goes_on(&mut after, call.of);
        if call.act == Act::OpenOrder {
            // What it answered is written down, now or late, or not at all.
            let mut recorded = after;
            turns::record(&mut recorded, rules, call.of, call.term);
            next.push((step, recorded));
            let adrift = &mut after.procs[usize::from(call.of)].adrift;
            if rules.hardships.late && adrift.is_none() {
                let mut late = after;
                late.procs[usize::from(call.of)].adrift = Some(Statement::Record { term: call.term });
                next.push((step, late));
            }
        }
    }
    next.push((step, after));
}

fn reaches(rules: &Rules, after: &mut World, call: Call) {
    let acted = match call.act {
        Act::Set => {
            after.flag.is_set = true;
            after.flag.acted
        }
        Act::Clear => {
            after.flag.is_set = false;
            after.flag.acted
        }
        Act::OpenOrder => {
            // The ticket system knows a step's id and opens nothing twice for it.
            let known = rules.same_id && after.order.tickets > 0;
            after.order.tickets += u8::from(!known);
            after.order.acted
        }
    };
    if call.term < acted {
        after.broken = Some(Broken::Ghost);
    } else if after.order.tickets > 1 {
        after.broken = Some(Broken::TwoTickets);
    }
    after.order.tickets = after.order.tickets.min(2);
}

/// Nothing is left to do, however the world got here.
pub fn settled(world: &World) -> bool {
    let flag = match (world.flag.asked, world.flag.phase) {
        (false, Phase::Holding) => world.flag.owed && world.flag.is_set,
        (_, Phase::Closed) => !world.flag.owed && !world.flag.is_set,
        (true, Phase::Holding) | (_, Phase::GivingBack) => false,
    };
    flag && world.order.ledger == Ledger::Done && world.order.tickets == 1
}
