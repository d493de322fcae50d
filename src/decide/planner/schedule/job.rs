//! Moves as work: where from, where to, how much, and what they wait for.

use super::super::Foreign;
use super::super::instance::{GuestAt, Instance, Kind, NodeAt, Work, throttles};
use super::super::order::Ordered;

/// Index into [`Yard::jobs`].
pub type JobAt = usize;

#[derive(Clone, Debug)]
pub struct Job {
    pub guest: GuestAt,
    pub from: NodeAt,
    pub to: NodeAt,
    /// The node whose wire and slots are the bottleneck: jobs queue there.
    pub lane: usize,
    pub work: Work,
    /// Jobs that end before this one begins.
    pub after: Vec<JobAt>,
    /// The drain waits for it; else it only makes room.
    pub asked: bool,
    /// Seconds at the best rate, for putting jobs in order.
    pub secs: f64,
    /// Mbit/s at best.
    pub rate: f64,
    /// Under way already: it starts before everything else.
    pub running: bool,
    /// Never slowed down, however full the slots are.
    pub calm: bool,
    /// Somebody else moves it: before ours, in the order of the guests, without asking for our slots.
    pub theirs: bool,
}

/// All that scheduling needs of the instance.
#[derive(Clone, Debug)]
pub struct Yard {
    pub jobs: Vec<Job>,
    /// How many lanes there are, and the slots of a lane's node on the lane's side.
    pub lanes: Vec<Lane>,
    pub nics: Vec<f64>,
    pub stream: f64,
    pub slots_out: usize,
    pub slots_in: usize,
    pub slots_all: usize,
    /// How many of theirs at a time.
    pub workers: usize,
    /// Goes first and alone.
    pub canary: Option<JobAt>,
}

#[derive(Clone, Copy, Debug)]
pub struct Lane {
    pub node: NodeAt,
    /// Jobs that arrive there; else those that leave.
    pub inward: bool,
    pub slots: usize,
    /// Streams that fill the lane's wire.
    pub fill: usize,
}

impl Yard {
    pub fn of(inst: &Instance, foreign: &Foreign, moves: &[Ordered], canary: Option<GuestAt>) -> Self {
        let p = &inst.params;
        let theirs = |guest: GuestAt| foreign.guests.binary_search(&guest).is_ok();
        let workers = if moves.iter().any(|m| theirs(m.guest)) { foreign.workers } else { 0 };
        let streams = p.slots_out.max(workers) as f64;
        let nics: Vec<f64> = inst.nodes.iter().map(|node| node.nic).collect();
        let mut job_of = vec![usize::MAX; inst.guests.len()];
        for (at, m) in moves.iter().enumerate() {
            job_of[m.guest] = at;
        }
        let mut lanes: Vec<Lane> = Vec::new();
        let mut jobs = Vec::with_capacity(moves.len());
        for m in moves {
            let guest = &inst.guests[m.guest];
            let asked = inst.leaves(m.guest);
            let inward = inst.kind == Kind::Return && asked;
            let node = if inward { m.to } else { guest.node };
            let slots = if inward { p.slots_in } else { p.slots_out };
            let lane = lanes.iter().position(|l| l.node == node && l.inward == inward).unwrap_or_else(|| {
                lanes.push(Lane {
                    node,
                    inward,
                    slots,
                    fill: (nics[node] / p.stream).ceil().max(1.0) as usize,
                });
                lanes.len() - 1
            });
            let rate = p.stream.min(nics[guest.node]).min(nics[m.to]);
            let mut work = inst.work(guest);
            work.fixed += if theirs(m.guest) { foreign.pause } else { 0.0 };
            let worst = p.stream.min(nics[guest.node] / streams).min(nics[m.to] / p.slots_in as f64);
            jobs.push(Job {
                guest: m.guest,
                from: guest.node,
                to: m.to,
                lane,
                secs: work.secs(rate),
                rate,
                calm: !throttles(worst, work.dirty),
                work,
                after: m.after.iter().map(|g| job_of[*g]).filter(|j| *j != usize::MAX).collect(),
                asked,
                running: m.running,
                theirs: theirs(m.guest),
            });
        }
        Self {
            jobs,
            lanes,
            nics,
            stream: p.stream,
            slots_out: p.slots_out.max(1),
            workers: workers.max(1),
            slots_in: p.slots_in.max(1),
            slots_all: p.max_parallel.unwrap_or(usize::MAX).max(1),
            canary: canary.map(|g| job_of[g]).filter(|j| *j != usize::MAX),
        }
    }
}
