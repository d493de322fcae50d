//! The side of an instance that looks, decides, commits and acts. It stands for the real loop with two cases and one
//! step each; a step's `not_after` is left out, which only allows more.

use super::asks;
use super::moves::{Answer, Move, Next};
use super::rules::{Lasts, Rules};
use super::world::{
    Act, Broken, Call, Commit, FlagWrite, Held, Ledger, OrderWrite, Phase, Statement, Todo, Turn, World,
};

pub fn moves(rules: &Rules, world: &World, of: u8, next: &mut Next) {
    let i = usize::from(of);
    let proc = world.procs[i];
    match proc.turn {
        Turn::Idle => {
            let Some(held) = proc.held else { return statements(rules, world, of, next) };
            // A ticket may not be found yet although it is there.
            let finds: &[bool] = if world.order.tickets > 0 { &[true, false] } else { &[false] };
            for finds in finds {
                if let Some(commit) = decide(rules, world, held.term, proc.watched, *finds) {
                    let mut after = *world;
                    after.procs[i].turn = Turn::Committing(commit);
                    next.push((Move::Decides(of), after));
                }
            }
        }
        Turn::Committing(commit) => {
            for answer in [Answer::Arrives, Answer::GetsLost] {
                let mut after = *world;
                after.procs[i].turn = Turn::Idle;
                let written = write(&mut after, rules, of, &commit);
                if written && answer == Answer::Arrives {
                    after.procs[i].turn = to_do(commit.term, commit.todo);
                }
                next.push((Move::CommitHeard(of, answer), after));
            }
            if rules.hardships.late && proc.adrift.is_none() {
                let mut after = *world;
                after.procs[i].turn = Turn::Idle;
                after.procs[i].adrift = Some(Statement::Commit(commit));
                next.push((Move::StopsWaiting(of), after));
            }
        }
        Turn::Steps { term, todo } => {
            let mut after = *world;
            after.procs[i].turn = to_do(term, first(todo).1);
            next.push((Move::SkipsStep(of), after));
            if may(rules, world, of, term) {
                let mut after = *world;
                match rules.hardships.stops_before_sending {
                    None => send(&mut after, rules, of, term, todo),
                    Some(_) => after.procs[i].turn = Turn::Checked { term, todo, stopped: 0 },
                }
                let step = match rules.hardships.stops_before_sending {
                    None => Move::BeginsStep(of),
                    Some(_) => Move::Checks(of),
                };
                next.push((step, after));
            }
        }
        Turn::Checked { term, todo, stopped } => {
            let mut after = *world;
            if rules.hardships.stops_before_sending.is_some_and(|max| stopped <= max) {
                send(&mut after, rules, of, term, todo);
                next.push((Move::BeginsStep(of), after));
            } else {
                after.procs[i].turn = to_do(term, first(todo).1);
                next.push((Move::SkipsStep(of), after));
            }
        }
        Turn::Calling { .. } => {}
    }
    statements(rules, world, of, next);
}

fn statements(rules: &Rules, world: &World, of: u8, next: &mut Next) {
    let i = usize::from(of);
    let Some(statement) = world.procs[i].adrift else { return };
    let mut lost = *world;
    lost.procs[i].adrift = None;
    let mut after = lost;
    next.push((Move::StatementLost(of), lost));
    match statement {
        Statement::Take | Statement::Renew { .. } => asks::adrift(&mut after, rules, of, &statement),
        Statement::Commit(commit) => drop(write(&mut after, rules, of, &commit)),
        Statement::Record { term } => record(&mut after, rules, of, term),
    }
    next.push((Move::LateStatement(of), after));
}

/// "The order is open" arrives.
pub fn record(after: &mut World, rules: &Rules, of: u8, term: u8) {
    if !rules.fenced || asks::fence(&after.lease, of, term) {
        after.order.ledger = Ledger::Done;
        note_past(after, of, term);
    }
}

/// The instance goes on when a call has ended, however it ended.
pub fn goes_on(world: &mut World, of: u8) {
    let turn = &mut world.procs[usize::from(of)].turn;
    if let Turn::Calling { term, rest } = *turn {
        *turn = to_do(term, rest);
    }
}

/// What can only be refused, or skipped, is taken away at once: worlds that differ in nothing else are one.
pub fn forget_the_hopeless(rules: &Rules, world: &mut World) {
    let lease = world.lease;
    for of in 0..2 {
        let proc = &mut world.procs[usize::from(of)];
        let refused = |term| rules.fenced && asks::past(&lease, of, term);
        let hopeless = |commit: &Commit| (rules.revisions && !commit.fits()) || refused(commit.term);
        let skips = |term, held: Option<Held>| {
            let asked = rules.steps_expire && rules.steps_keep_their_term;
            asked && held.is_none_or(|held| held.term != term)
        };
        match proc.turn {
            Turn::Committing(commit) if hopeless(&commit) => proc.turn = Turn::Idle,
            Turn::Steps { term, .. } if skips(term, proc.held) => proc.turn = Turn::Idle,
            _ => {}
        }
        match proc.adrift {
            Some(Statement::Commit(commit)) if hopeless(&commit) => proc.adrift = None,
            Some(Statement::Record { term }) if refused(term) => proc.adrift = None,
            Some(Statement::Renew { term }) if asks::past(&lease, of, term) => proc.adrift = None,
            _ => {}
        }
        if proc.held.is_some_and(|held| refused(held.term) && !rules.may_begin(Some(&held))) {
            proc.held = None;
        }
        // Nobody asks any more for how long it has watched.
        if proc.held.is_none() || world.flag.phase == Phase::Closed {
            proc.watched = 0;
        }
    }
}

/// What one look at everything leads to; `None` where there is nothing to write.
fn decide(rules: &Rules, world: &World, term: u8, watched: u8, finds: bool) -> Option<Commit> {
    let (flag, act) = decide_flag(rules, world, watched);
    let order = match world.order.ledger {
        Ledger::Done => None,
        Ledger::Owed if finds && rules.same_id => Some(OrderWrite::Found),
        Ledger::Unplanned | Ledger::Owed => Some(OrderWrite::Owe),
    };
    let todo = Todo { flag: act, order: order == Some(OrderWrite::Owe) };
    let commit = Commit { term, flag, order, todo, flag_fits: true, order_fits: true };
    (flag.is_some() || order.is_some()).then_some(commit)
}

fn decide_flag(rules: &Rules, world: &World, watched: u8) -> (Option<FlagWrite>, Option<Act>) {
    let case = &world.flag;
    let clear = (case.is_set && case.owed).then_some(Act::Clear);
    match case.phase {
        Phase::Holding if case.asked => (Some(FlagWrite::GiveBack(case.is_set)), clear),
        // Owed before it is taken; taken again while it is not seen.
        Phase::Holding if !case.is_set => (Some(FlagWrite::Owe), Some(Act::Set)),
        Phase::Holding | Phase::Closed => (None, None),
        // What is not owed is somebody else's.
        Phase::GivingBack if clear.is_some() => (Some(FlagWrite::GiveBack(true)), clear),
        Phase::GivingBack => {
            let sure = !case.owed || (case.seen && rules.seen_is_paid) || watched >= rules.patience;
            (sure.then_some(FlagWrite::Forget), None)
        }
    }
}

impl Commit {
    /// Nobody has changed meanwhile what it changes.
    fn fits(&self) -> bool {
        (self.flag.is_none() || self.flag_fits) && (self.order.is_none() || self.order_fits)
    }
}

/// The commit arrives: fence, revisions, rows, all or nothing. Whether it was taken.
fn write(after: &mut World, rules: &Rules, of: u8, commit: &Commit) -> bool {
    if (rules.revisions && !commit.fits()) || (rules.fenced && !asks::fence(&after.lease, of, commit.term)) {
        return false;
    }
    note_past(after, of, commit.term);
    if let Some(write) = commit.flag {
        match write {
            FlagWrite::Owe => after.flag.owed = true,
            FlagWrite::GiveBack(saw) => {
                after.flag.phase = Phase::GivingBack;
                // Only patience asks for it.
                after.flag.seen |= saw && rules.patience > 0 && rules.seen_is_paid;
            }
            FlagWrite::Forget => {
                after.flag.phase = Phase::Closed;
                after.flag.owed = false;
            }
        }
        after.flag.acted = after.flag.acted.max(commit.term);
    }
    if let Some(write) = commit.order {
        after.order.ledger = match write {
            OrderWrite::Owe => Ledger::Owed,
            OrderWrite::Found => Ledger::Done,
        };
        after.order.acted = after.order.acted.max(commit.term);
    }
    for proc in &mut after.procs {
        let waiting = match &mut proc.turn {
            Turn::Committing(commit) => Some(commit),
            _ => None,
        };
        let late = match &mut proc.adrift {
            Some(Statement::Commit(commit)) => Some(commit),
            _ => None,
        };
        for other in waiting.into_iter().chain(late) {
            other.flag_fits &= commit.flag.is_none();
            other.order_fits &= commit.order.is_none();
        }
    }
    true
}

fn note_past(after: &mut World, of: u8, term: u8) {
    if asks::past(&after.lease, of, term) {
        after.broken = Some(Broken::PastHolderWrote);
    }
}

/// Asked immediately before each call.
fn may(rules: &Rules, world: &World, of: u8, term: u8) -> bool {
    let held = world.procs[usize::from(of)].held;
    let same = !rules.steps_keep_their_term || held.is_some_and(|held| held.term == term);
    !rules.steps_expire || (same && rules.may_begin(held.as_ref()))
}

fn send(after: &mut World, rules: &Rules, of: u8, term: u8, todo: Todo) {
    let (act, rest) = first(todo);
    let Some(act) = act else { return };
    let held = after.procs[usize::from(of)].held;
    let left = match rules.calls_last {
        Lasts::Call => rules.call,
        Lasts::TheRest => held.map_or(0, |held| rules.left(&held.count)).max(rules.call),
        Lasts::Longer(than) => than,
    };
    let slow = held.is_some_and(|held| held.count.slow);
    let free = after.calls.iter_mut().find(|slot| slot.is_none()).expect("room for another call");
    *free = Some(Call { of, awaited: true, term, act, left, slow });
    after.procs[usize::from(of)].turn = Turn::Calling { term, rest };
}

/// The first step, and what comes after it.
fn first(todo: Todo) -> (Option<Act>, Todo) {
    match todo {
        Todo { flag: Some(act), order } => (Some(act), Todo { flag: None, order }),
        Todo { flag: None, order: true } => (Some(Act::OpenOrder), Todo { flag: None, order: false }),
        Todo { flag: None, order: false } => (None, todo),
    }
}

/// Nothing to do is the end of the turn.
fn to_do(term: u8, todo: Todo) -> Turn {
    if first(todo).0.is_some() { Turn::Steps { term, todo } } else { Turn::Idle }
}
