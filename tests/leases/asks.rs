//! The side of an instance that takes, renews and gives up the lease, and the database's answers. Only the database's
//! own clock judges whether a lease is over.

use super::moves::{Answer, Move, Next};
use super::rules::Rules;
use super::world::{Ask, Held, Lease, Statement, Turn, World};

pub fn moves(rules: &Rules, world: &World, of: u8, next: &mut Next) {
    let i = usize::from(of);
    let proc = world.procs[i];
    match proc.ask {
        Ask::Not => {
            if let Some(ask) = worth_asking(rules, world, proc.held) {
                let mut after = *world;
                after.procs[i].ask = ask;
                next.push((Move::Asks(of), after));
            }
        }
        Ask::Take(_) | Ask::Renew(_) => {
            for answer in [Answer::Arrives, Answer::GetsLost] {
                let mut after = *world;
                heard(&mut after, rules, of, answer);
                if rules.counts_from_sending && rules.leaves_unasked {
                    // Whoever reads it later is stopped meanwhile: that makes no difference to its counts.
                    read(&mut after, rules, of);
                }
                next.push((Move::AskHeard(of, answer), after));
            }
            let mut after = *world;
            after.procs[i].ask = Ask::Not;
            next.push((Move::AskLost(of), after));
        }
        Ask::Granted(_) => {
            let mut after = *world;
            read(&mut after, rules, of);
            next.push((Move::ReadsTheAnswer(of), after));
        }
    }
    let between_turns = proc.turn == Turn::Idle || !rules.leaves_between_turns;
    let unasked = proc.ask == Ask::Not || !rules.leaves_unasked;
    if let (Some(held), true, true) = (proc.held, unasked, between_turns) {
        let mut after = *world;
        if mine(&world.lease, of, held.term) {
            after.lease.left = after.lease.left.min(0);
        }
        after.procs[i].held = None;
        next.push((Move::Leaves(of), after));
    }
}

/// The instance reads that it was granted what it has asked for.
fn read(after: &mut World, rules: &Rules, of: u8) {
    let mine = &mut after.procs[usize::from(of)];
    let Ask::Granted(held) = mine.ask else { return };
    let count = if rules.counts_from_sending { held.count } else { rules.fresh() };
    mine.ask = Ask::Not;
    // A renewal goes on watching.
    mine.watched = if mine.held.is_some() { mine.watched } else { 0 };
    mine.held = Some(Held { count, ..held });
}

/// What would change nothing is not asked: a lease that is free is taken, one that is not fresh is renewed.
fn worth_asking(rules: &Rules, world: &World, held: Option<Held>) -> Option<Ask> {
    let fresh = rules.fresh();
    match held {
        None => (world.lease.left < 0).then_some(Ask::Take(fresh)),
        Some(held) => {
            let younger = Held { count: fresh, ..held };
            (held.count != fresh).then_some(Ask::Renew(younger))
        }
    }
}

fn mine(lease: &Lease, of: u8, term: u8) -> bool {
    lease.holder == Some(of) && lease.term == term
}

/// The statement arrives, and its answer, or not.
fn heard(after: &mut World, rules: &Rules, of: u8, answer: Answer) {
    let proc = &mut after.procs[usize::from(of)];
    let ask = std::mem::replace(&mut proc.ask, Ask::Not);
    let reached = answer == Answer::Arrives;
    match ask {
        Ask::Take(count) => {
            let granted = take(&mut after.lease, rules, of).map(|term| Ask::Granted(Held { term, count }));
            after.procs[usize::from(of)].ask = granted.filter(|_| reached).unwrap_or(Ask::Not);
        }
        Ask::Renew(held) => match (renew(&mut after.lease, rules, of, held.term), reached) {
            (true, true) => proc.ask = Ask::Granted(held),
            (false, true) => proc.held = None,
            (_, false) => {}
        },
        Ask::Not | Ask::Granted(_) => {}
    }
}

fn take(lease: &mut Lease, rules: &Rules, of: u8) -> Option<u8> {
    if lease.left >= 0 {
        return None;
    }
    *lease = Lease { holder: Some(of), term: lease.term + 1, left: rules.ttl };
    Some(lease.term)
}

fn renew(lease: &mut Lease, rules: &Rules, of: u8, term: u8) -> bool {
    let still = mine(lease, of, term) && lease.left >= 0;
    if still {
        lease.left = rules.ttl;
    }
    still
}

/// A statement of which nobody awaits the answer.
pub fn adrift(after: &mut World, rules: &Rules, of: u8, statement: &Statement) {
    match statement {
        Statement::Take => drop(take(&mut after.lease, rules, of)),
        Statement::Renew { term } => drop(renew(&mut after.lease, rules, of, *term)),
        Statement::Commit(_) | Statement::Record { .. } => {}
    }
}

/// The lease's row is still the one that the writer goes by: what the fence asks.
pub fn fence(lease: &Lease, of: u8, term: u8) -> bool {
    mine(lease, of, term) && lease.left > 0
}

/// Somebody else, or nobody, holds it now.
pub fn past(lease: &Lease, of: u8, term: u8) -> bool {
    !mine(lease, of, term)
}
