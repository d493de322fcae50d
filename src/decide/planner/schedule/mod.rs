//! When everybody goes: full wires, nobody slowed down, the node empty as early as it can be.
//!
//! Only the order and who waits for whose end are decided. Seconds are a forecast; nothing that is carried out hangs on
//! them.

mod decode;
mod flow;
mod improve;
mod job;

use super::instance::{GuestAt, Instance, Kind, Way};
use super::order::Ordered;
use super::outcome::PlannedMove;
use super::{Effort, Foreign};

use decode::Decoder;
use improve::improve;
use job::Yard;

/// Moves with their waits, as they start, and the seconds for which guests are slowed down.
#[derive(Clone, Debug, Default)]
pub struct Timetable {
    pub moves: Vec<PlannedMove>,
    pub makespan: f64,
    pub throttled: f64,
}

impl Timetable {
    /// Another part that begins `delay` seconds after the end of this one, if this one has any.
    pub fn append(&mut self, part: Self, delay: f64) {
        let last = |moves: &[PlannedMove]| moves.iter().map(|m| m.ends).fold(0.0, f64::max);
        let wave = self.moves.iter().map(|m| m.wave + 1).max().unwrap_or(0);
        let begins = if self.moves.is_empty() { 0.0 } else { last(&self.moves) + delay };
        self.moves.extend(part.moves.into_iter().map(|m| PlannedMove {
            starts: begins + m.starts,
            ends: begins + m.ends,
            wave: wave + m.wave,
            ..m
        }));
        self.makespan = if part.makespan > 0.0 { begins + part.makespan } else { self.makespan };
        self.throttled += part.throttled;
    }
}

pub fn schedule(
    inst: &Instance,
    foreign: &Foreign,
    moves: &[Ordered],
    bound: f64,
    canary: Option<GuestAt>,
    effort: Effort,
) -> Timetable {
    let yard = Yard::of(inst, foreign, moves, canary);
    let (genes, _) = improve(&yard, bound, effort);
    let mut starts = Vec::with_capacity(moves.len());
    let score = Decoder::new(&yard).run(&genes, f64::INFINITY, Some(&mut starts));
    let planned = starts.iter().map(|start| {
        let job = &yard.jobs[start.job];
        let first = canary == Some(job.guest);
        let mut after: Vec<GuestAt> = job.after.iter().map(|j| yard.jobs[*j].guest).collect();
        if let Some(trigger) = start.trigger.map(|j| yard.jobs[j].guest)
            && !after.contains(&trigger)
        {
            after.push(trigger);
        }
        PlannedMove {
            guest: job.guest,
            to: job.to,
            running: job.running,
            after,
            wave: u32::from(canary.is_some() && !first),
            starts: start.starts,
            ends: start.ends,
        }
    });
    Timetable { moves: planned.collect(), makespan: score.makespan, throttled: score.throttled }
}

/// The smallest guest that is moved live and by us: if the way between the nodes is broken, it shows on the one that
/// matters least.
pub fn canary(inst: &Instance, moves: &[Ordered]) -> Option<GuestAt> {
    let live = moves.iter().map(|m| m.guest).filter(|g| {
        let guest = &inst.guests[*g];
        guest.running && guest.way == Way::Live && !guest.ha && inst.leaves(*g) && inst.kind == Kind::Drain
    });
    live.filter(|g| moves.iter().all(|m| m.guest != *g || m.after.is_empty()))
        .min_by_key(|g| (inst.guests[*g].used as u64, *g))
}
