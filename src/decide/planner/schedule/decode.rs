//! From an order to a timetable: jobs of a lane start in their order, each as soon as few enough of its lane are running.
//!
//! That order and one number per job are all a search has to vary, and every timetable in which jobs start when others end
//! can be written that way.

use super::flow::Flow;
use super::job::{JobAt, Yard};

/// What a search varies.
#[derive(Clone, Debug, PartialEq)]
pub struct Genes {
    /// All jobs, in the order in which they would like to start.
    pub order: Vec<JobAt>,
    /// A job with something to send starts when fewer than so many of its lane are running. By job.
    pub room: Vec<u16>,
    /// Hold a start back that would slow a guest down.
    pub guard: bool,
}

/// How good a timetable is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    pub makespan: f64,
    pub throttled: f64,
    /// Until the last of all, those included that only make room.
    pub total: f64,
}

impl Score {
    /// A throttled second is harm done to a customer: it weighs more than some seconds of a node's time.
    pub fn cost(&self) -> f64 {
        self.makespan + 10.0 * self.throttled + 1e-4 * self.total
    }
}

/// When a job starts, and whose end let it start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Start {
    pub job: JobAt,
    pub starts: f64,
    pub ends: f64,
    pub trigger: Option<JobAt>,
}

/// How far into a lane's queue a job is looked for when the first ones wait for another node.
const LOOK_AHEAD: usize = 6;

pub struct Decoder<'a> {
    yard: &'a Yard,
    flow: Flow<'a>,
    queues: Vec<Vec<JobAt>>,
    heads: Vec<usize>,
    state: Vec<State>,
    ended: Vec<JobAt>,
    /// Theirs are asked for, and have not begun: that takes a moment, in which ours find free slots.
    theirs_wait: bool,
    pub steps: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Waits,
    Runs,
    Done,
}

impl<'a> Decoder<'a> {
    pub fn new(yard: &'a Yard) -> Self {
        Self {
            yard,
            flow: Flow::new(yard),
            queues: vec![Vec::new(); yard.lanes.len()],
            heads: vec![0; yard.lanes.len()],
            state: vec![State::Waits; yard.jobs.len()],
            ended: Vec::new(),
            theirs_wait: false,
            steps: 0,
        }
    }

    /// Runs the genes. Given up (infinite) once it is sure to take longer than `limit` seconds.
    pub fn run(&mut self, genes: &Genes, limit: f64, mut record: Option<&mut Vec<Start>>) -> Score {
        self.flow.reset();
        self.heads.fill(0);
        self.state.fill(State::Waits);
        self.queues.iter_mut().for_each(Vec::clear);
        let (jobs, canary) = (&self.yard.jobs, self.yard.canary);
        let theirs = (0..jobs.len()).filter(|job| jobs[*job].theirs);
        let ours = genes.order.iter().copied().filter(|job| Some(*job) != canary && !jobs[*job].theirs);
        for job in canary.into_iter().chain(theirs).chain(ours) {
            self.queues[jobs[job].lane].push(job);
        }
        let mut score = Score::default();
        for (job, _) in self.yard.jobs.iter().enumerate().filter(|(_, job)| job.running) {
            self.begin(job, None, &mut record);
        }
        let mut trigger = None;
        self.theirs_wait = true;
        self.start_all(genes, trigger, usize::MAX, &mut record);
        self.theirs_wait = false;
        loop {
            self.start_all(genes, trigger, LOOK_AHEAD, &mut record);
            if self.flow.running.is_empty() {
                // Whoever may start stands further back, behind those that wait for it.
                self.start_all(genes, trigger, usize::MAX, &mut record);
            }
            if self.flow.running.is_empty() {
                break;
            }
            let mut ended = std::mem::take(&mut self.ended);
            self.flow.step(&mut ended);
            // Only an end frees anything: between ends there is nothing to decide.
            while ended.is_empty() {
                self.flow.step(&mut ended);
            }
            for job in &ended {
                self.state[*job] = State::Done;
                if self.yard.jobs[*job].asked {
                    score.makespan = self.flow.now;
                }
                if let Some(start) = record.as_mut().and_then(|r| r.iter_mut().find(|s| s.job == *job)) {
                    start.ends = self.flow.now;
                }
            }
            trigger = ended.last().copied();
            self.ended = ended;
            if self.flow.now > limit {
                self.steps += self.flow.steps;
                return Score { makespan: f64::INFINITY, ..score };
            }
        }
        self.steps += self.flow.steps;
        score.total = self.flow.now;
        score.throttled = self.flow.throttled;
        score
    }

    fn start_all(
        &mut self,
        genes: &Genes,
        trigger: Option<JobAt>,
        ahead: usize,
        record: &mut Option<&mut Vec<Start>>,
    ) {
        for lane in 0..self.queues.len() {
            while let Some(job) = self.next(genes, lane, ahead) {
                self.begin(job, trigger, record);
            }
        }
    }

    fn begin(&mut self, job: JobAt, trigger: Option<JobAt>, record: &mut Option<&mut Vec<Start>>) {
        self.flow.start(job);
        self.state[job] = State::Runs;
        if let Some(record) = record {
            record.push(Start { job, starts: self.flow.now, ends: f64::INFINITY, trigger });
        }
    }

    /// The job of this lane that starts now, if any.
    fn next(&mut self, genes: &Genes, lane: usize, ahead: usize) -> Option<JobAt> {
        let Self { yard, flow, queues, heads, state, theirs_wait, .. } = self;
        let queue = &queues[lane];
        while queue.get(heads[lane]).is_some_and(|job| state[*job] != State::Waits) {
            heads[lane] += 1;
        }
        let waiting = queue[heads[lane]..].iter().copied().filter(|job| state[*job] == State::Waits);
        for at in waiting.take(ahead) {
            let job = &yard.jobs[at];
            let alone = yard.canary.is_some_and(|canary| at != canary && state[canary] != State::Done);
            if alone || flow.running.len() >= yard.slots_all {
                return None;
            }
            if job.theirs {
                if *theirs_wait {
                    continue;
                }
                let running = flow.running.iter().filter(|r| yard.jobs[r.job].theirs).count();
                return (running < yard.workers).then_some(at);
            }
            if job.work.wired() && flow.wired[lane] >= genes.room[at] && flow.wired[lane] > 0 {
                return None;
            }
            let waits = job.after.iter().any(|other| state[*other] != State::Done);
            let full = usize::from(flow.out[job.from]) >= yard.slots_out
                || usize::from(flow.into[job.to]) >= yard.slots_in;
            if waits || full {
                continue;
            }
            if genes.guard && !flow.running.is_empty() && flow.would_throttle(at) {
                return None;
            }
            return Some(at);
        }
        None
    }
}
