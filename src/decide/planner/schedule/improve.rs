//! Looking for a better order: a few good beginnings, then many small changes, kept while they help or hardly hurt.
//!
//! Deterministic: the changes come from a fixed sequence, and the search ends after a number of simulated events, not of
//! seconds. The further from the bound, the longer it goes on.

use super::super::Effort;
use super::decode::{Decoder, Genes, Score};
use super::job::{JobAt, Yard};

/// Near enough: nothing below this is looked for (share of the bound).
const GOAL: f64 = 1.004;
/// Simulated events, and up to which distance from the bound they are spent. One takes some ten nanoseconds.
const EFFORT: [(u64, f64); 4] = [(150_000, 1.0), (1_000_000, 1.015), (5_000_000, 1.025), (12_000_000, 1.03)];

/// Few jobs have few orders: so many events for each pair of them.
const PER_PAIR: u64 = 30_000;
/// Events without anything better after which a round is over.
const STALE: u64 = 100_000;

pub fn improve(yard: &Yard, bound: f64, patience: Effort) -> (Genes, Score) {
    let mut decoder = Decoder::new(yard);
    let (mut best, mut best_score) = beginnings(yard, &mut decoder);
    if yard.jobs.len() < 2 {
        return (best, best_score);
    }
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    let mut genes = best.clone();
    let mut cost = best_score.cost();
    let mut spent = 0;
    for (effort, until) in EFFORT {
        let effort = patience.of(effort.min(PER_PAIR * (yard.jobs.len() as u64).pow(2)));
        let goal = GOAL.max(until) * bound;
        let begun = spent;
        let mut improved = spent;
        while spent < effort && spent - improved < STALE.max(effort.saturating_sub(begun) / 2) {
            if best_score.throttled == 0.0 && best_score.makespan <= goal {
                break;
            }
            decoder.steps = 0;
            let old = genes.clone();
            change(&mut genes, yard, &mut chance);
            // Worse is accepted by a margin that shrinks to nothing: it leads out of dead ends.
            let left = 1.0 - (spent - begun) as f64 / effort.saturating_sub(begun).max(1) as f64;
            let margin = 0.004 * bound * left * left;
            let limit = cost + margin;
            let score = decoder.run(&genes, limit, None);
            spent += decoder.steps.max(1);
            if score.cost() <= limit {
                cost = score.cost();
                if cost < best_score.cost() {
                    improved = spent;
                    best = genes.clone();
                    best_score = score;
                }
            } else {
                genes = old;
            }
        }
        genes = best.clone();
        cost = best_score.cost();
    }
    (best, best_score)
}

/// Long ones first, with so many at a time as fill the wire, a few more or less; the best of these.
fn beginnings(yard: &Yard, decoder: &mut Decoder) -> (Genes, Score) {
    let mut best: Option<(Genes, Score)> = None;
    let most = yard.lanes.iter().map(|lane| lane.slots).max().unwrap_or(1);
    let fill = yard.lanes.iter().map(|lane| lane.fill).min().unwrap_or(1);
    for order in [long_first(yard), busy_first(yard)] {
        for room in fill..=(fill + 3).min(most.max(fill)) {
            for guard in [true, false] {
                let genes = Genes { order: order.clone(), room: vec![room as u16; yard.jobs.len()], guard };
                let score = decoder.run(&genes, f64::INFINITY, None);
                if best.as_ref().is_none_or(|(_, least)| score.cost() < least.cost()) {
                    best = Some((genes, score));
                }
            }
        }
    }
    best.unwrap_or_else(|| (Genes { order: Vec::new(), room: Vec::new(), guard: true }, Score::default()))
}

/// What makes room, then what needs no wire, then the longest first: the short ones fill the end.
fn long_first(yard: &Yard) -> Vec<JobAt> {
    let mut order: Vec<JobAt> = (0..yard.jobs.len()).collect();
    order.sort_by(|a, b| {
        let (x, y) = (&yard.jobs[*a], &yard.jobs[*b]);
        let first = |job: &super::job::Job| (job.asked, job.work.wired());
        first(x).cmp(&first(y)).then(y.secs.total_cmp(&x.secs)).then(a.cmp(b))
    });
    order
}

/// Those that write much first, while a few are running: they pay for every stream beside them.
fn busy_first(yard: &Yard) -> Vec<JobAt> {
    let mut order = long_first(yard);
    let busy = |job: &JobAt| yard.jobs[*job].work.dirty > 0.1 * yard.jobs[*job].rate;
    order.sort_by_key(|job| (yard.jobs[*job].asked, !busy(job)));
    order
}

fn change(genes: &mut Genes, yard: &Yard, chance: &mut Chance) {
    let n = genes.order.len();
    let (i, j) = (chance.below(n), chance.below(n));
    match chance.below(10) {
        0..=2 => genes.order.swap(i, j),
        3 | 4 => {
            let job = genes.order.remove(i);
            genes.order.insert(j, job);
        }
        5 | 6 => genes.order.swap(i, (i + 1) % n),
        7 | 8 => nudge(genes, yard, i, chance),
        _ => {
            let (from, to) = (i.min(j), i.max(j));
            let room = genes.room[genes.order[from]];
            for at in from..=to {
                let job = genes.order[at];
                genes.room[job] = room;
            }
        }
    }
}

/// One more or one fewer beside a job.
fn nudge(genes: &mut Genes, yard: &Yard, at: usize, chance: &mut Chance) {
    let job = genes.order[at];
    let most = yard.lanes[yard.jobs[job].lane].slots as u16;
    let room = &mut genes.room[job];
    *room = if chance.below(2) == 0 { *room + 1 } else { room.saturating_sub(1) }.clamp(1, most.max(1));
}

/// A fixed sequence of numbers that look as if thrown.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * n as u128) >> 64) as usize
    }
}
