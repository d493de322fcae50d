//! The wire: what runs now, how fast, and what ends next.
//!
//! Migrations in their fixed part use nothing. The others share their source's and their target's wire evenly; disks are
//! sent first, once, then memory, which is rewritten meanwhile.

use super::super::instance::{gain, throttles};
use super::job::{JobAt, Yard};

/// What counts as done: seconds, Mbit.
const SECS_DONE: f64 = 1e-9;
const MBIT_DONE: f64 = 1e-6;

#[derive(Clone, Copy, Debug)]
pub struct Running {
    pub job: JobAt,
    fixed: f64,
    disk: f64,
    memory: f64,
}

#[derive(Clone, Debug)]
pub struct Flow<'a> {
    yard: &'a Yard,
    pub now: f64,
    pub running: Vec<Running>,
    /// Slots taken per node.
    pub out: Vec<u16>,
    pub into: Vec<u16>,
    /// Of these, on the wire.
    wire_out: Vec<u16>,
    wire_in: Vec<u16>,
    /// Jobs with something to send that run, per lane, the fixed part included.
    pub wired: Vec<u16>,
    pub throttled: f64,
    /// Of the current step: rate per running job, and jobs whose fixed part is over.
    rates: Vec<f64>,
    landed: Vec<JobAt>,
    /// Updates of one job for one event: what a search pays with.
    pub steps: u64,
}

impl<'a> Flow<'a> {
    pub fn new(yard: &'a Yard) -> Self {
        let nodes = yard.nics.len();
        Self {
            yard,
            now: 0.0,
            running: Vec::with_capacity(32),
            out: vec![0; nodes],
            into: vec![0; nodes],
            wire_out: vec![0; nodes],
            wire_in: vec![0; nodes],
            wired: vec![0; yard.lanes.len()],
            throttled: 0.0,
            rates: Vec::with_capacity(32),
            landed: Vec::with_capacity(32),
            steps: 0,
        }
    }

    /// Back to the beginning, without asking for memory again.
    pub fn reset(&mut self) {
        self.now = 0.0;
        self.throttled = 0.0;
        self.steps = 0;
        self.running.clear();
        for counts in [&mut self.out, &mut self.into, &mut self.wire_out, &mut self.wire_in, &mut self.wired]
        {
            counts.fill(0);
        }
    }

    pub fn start(&mut self, at: JobAt) {
        let job = &self.yard.jobs[at];
        self.out[job.from] += 1;
        self.into[job.to] += 1;
        if job.work.wired() {
            self.wired[job.lane] += 1;
        }
        let (disk, memory) = (job.work.disk, job.work.memory);
        let at_once = job.work.fixed <= SECS_DONE;
        let fixed = if at_once { 0.0 } else { job.work.fixed };
        if at_once {
            self.on_wire(at, 1);
        }
        self.running.push(Running { job: at, fixed, disk, memory });
    }

    fn on_wire(&mut self, at: JobAt, sign: i16) {
        let job = &self.yard.jobs[at];
        for count in [&mut self.wire_out[job.from], &mut self.wire_in[job.to]] {
            *count = count.wrapping_add_signed(sign);
        }
    }

    fn rate(&self, at: JobAt) -> f64 {
        let job = &self.yard.jobs[at];
        let out = self.yard.nics[job.from] / f64::from(self.wire_out[job.from].max(1));
        let into = self.yard.nics[job.to] / f64::from(self.wire_in[job.to].max(1));
        out.min(into).min(self.yard.stream)
    }

    /// Goes on to the next event; jobs that end there are put into `ended`. Nothing runs: nothing happens.
    pub fn step(&mut self, ended: &mut Vec<JobAt>) {
        ended.clear();
        self.rates.clear();
        let mut dt = f64::INFINITY;
        for r in &self.running {
            let rate = if r.fixed > 0.0 { 0.0 } else { self.rate(r.job) };
            let left = if r.fixed > 0.0 {
                r.fixed
            } else if r.disk > 0.0 {
                r.disk / rate
            } else if r.memory > 0.0 {
                r.memory / gain(rate, self.yard.jobs[r.job].work.dirty)
            } else {
                0.0
            };
            self.rates.push(rate);
            dt = dt.min(left);
        }
        if !dt.is_finite() {
            return;
        }
        self.steps += self.running.len() as u64;
        self.now += dt;
        self.landed.clear();
        for (r, rate) in self.running.iter_mut().zip(&self.rates) {
            if r.fixed > 0.0 {
                r.fixed = less(r.fixed, dt, SECS_DONE);
                if r.fixed == 0.0 {
                    self.landed.push(r.job);
                }
            } else if r.disk > 0.0 {
                r.disk = less(r.disk, rate * dt, MBIT_DONE);
            } else if r.memory > 0.0 {
                let dirty = self.yard.jobs[r.job].work.dirty;
                r.memory = less(r.memory, gain(*rate, dirty) * dt, MBIT_DONE);
                if throttles(*rate, dirty) {
                    self.throttled += dt;
                }
            }
        }
        for i in 0..self.landed.len() {
            self.on_wire(self.landed[i], 1);
        }
        self.collect(ended);
    }

    fn collect(&mut self, ended: &mut Vec<JobAt>) {
        let mut i = 0;
        while i < self.running.len() {
            let r = self.running[i];
            if r.fixed == 0.0 && r.disk == 0.0 && r.memory == 0.0 {
                self.running.remove(i);
                self.on_wire(r.job, -1);
                let job = &self.yard.jobs[r.job];
                self.out[job.from] -= 1;
                self.into[job.to] -= 1;
                if job.work.wired() {
                    self.wired[job.lane] -= 1;
                }
                ended.push(r.job);
            } else {
                i += 1;
            }
        }
    }

    /// Would starting this job push any migration, itself included, below the rate it needs, although it could have it?
    pub fn would_throttle(&self, at: JobAt) -> bool {
        let jobs = &self.yard.jobs;
        let new = &jobs[at];
        if !new.work.wired() {
            return false;
        }
        let busy = |other: JobAt| {
            let job = &jobs[other];
            if job.calm || throttles(job.rate, job.work.dirty) {
                return false;
            }
            let out = self.count(|j| j.from == job.from) + u32::from(new.from == job.from);
            let into = self.count(|j| j.to == job.to) + u32::from(new.to == job.to);
            let out = self.yard.nics[job.from] / f64::from(out.max(1));
            let into = self.yard.nics[job.to] / f64::from(into.max(1));
            throttles(out.min(into).min(self.yard.stream), job.work.dirty)
        };
        busy(at) || self.running.iter().any(|r| busy(r.job))
    }

    fn count(&self, which: impl Fn(&super::job::Job) -> bool) -> u32 {
        let jobs = self.running.iter().map(|r| &self.yard.jobs[r.job]);
        jobs.filter(|job| job.work.wired() && which(job)).count() as u32
    }
}

/// What is left after taking `by` off; next to nothing is nothing.
fn less(left: f64, by: f64, done: f64) -> f64 {
    let left = left - by;
    if left <= done { 0.0 } else { left }
}

#[cfg(test)]
mod tests {
    use super::super::super::Foreign;
    use super::super::super::tests::{cluster, guest};
    use super::super::Ordered;
    use super::*;

    /// Three to one node; each writes `dirty` Mbit/s, and the wires bear 10 000.
    fn three(dirty: f64) -> Yard {
        let mut inst = cluster(2, ["x", "y", "z"].map(|id| guest(id, 0, 1000)).to_vec());
        inst.guests.iter_mut().for_each(|guest| guest.dirty = dirty);
        let go = |guest| Ordered { guest, to: 1, after: Vec::new(), running: false };
        Yard::of(&inst, &Foreign::default(), &[0, 1, 2].map(go), None)
    }

    /// How many start before one more would slow somebody down.
    fn side_by_side(dirty: f64) -> usize {
        let yard = three(dirty);
        let mut flow = Flow::new(&yard);
        while flow.running.len() < 3 && !flow.would_throttle(flow.running.len()) {
            flow.start(flow.running.len());
        }
        flow.running.len()
    }

    #[test]
    fn as_many_go_side_by_side_as_the_wire_bears_without_slowing_anybody_down() {
        // Four fifths of the wire's share: 6400 alone, the stream being slower than the wire, 4000 for two, 2667 for three.
        assert_eq!([2600.0, 2700.0, 3900.0, 4100.0, 6300.0].map(side_by_side), [3, 2, 2, 1, 1]);
    }
}
