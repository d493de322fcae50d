//! Every state that can be reached, breadth first, so that the way to the first broken promise is a shortest one; and
//! backwards, from which of them something good can still be reached.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use super::moves::{self, Move};
use super::rules::Rules;
use super::turns;
use super::world::{Broken, World};

/// More than any run needs: a model that grew by accident ends here and not in the machine's memory.
const STATES_MAX: usize = 4_000_000;

pub struct Explored {
    pub rules: Rules,
    pub states: HashMap<World, u32, BuildHasherDefault<Mix>>,
    pub edges: Vec<Edge>,
    /// How each state was first reached.
    from: Vec<(u32, Move)>,
    /// The first broken promise, after which nothing was looked at any more.
    pub found: Option<(Broken, u32)>,
    pub depth: usize,
}

#[derive(Clone, Copy)]
pub struct Edge {
    pub from: u32,
    pub to: u32,
    pub by: moves::By,
}

/// Looks at all states, or at those before the first that breaks a promise in `watch`. What breaks another is let happen.
pub fn explore(rules: Rules, watch: &[Broken]) -> Explored {
    let mut all = Explored {
        rules,
        states: HashMap::default(),
        edges: Vec::new(),
        from: vec![(0, Move::Begin)],
        found: None,
        depth: 0,
    };
    let start = World::new();
    all.states.insert(start, 0);
    let mut queue = VecDeque::from([(start, 0_u32, 0_usize)]);
    let mut next = Vec::new();
    while let Some((world, number, depth)) = queue.pop_front() {
        all.depth = depth;
        next.clear();
        moves::all(&rules, &world, &mut next);
        for (step, mut after) in next.drain(..) {
            let broken = after.broken.take().filter(|broken| watch.contains(broken));
            turns::forget_the_hopeless(&rules, &mut after);
            after.renumber();
            after.broken = broken;
            let fresh = u32::try_from(all.states.len()).expect("fewer than STATES_MAX");
            let to = *all.states.entry(after).or_insert(fresh);
            if to == fresh {
                assert!(all.states.len() < STATES_MAX, "the model has grown out of hand");
                all.from.push((number, step));
                match broken {
                    Some(broken) => {
                        all.found = Some((broken, to));
                        return all;
                    }
                    None => queue.push_back((after, to, depth + 1)),
                }
            }
            all.edges.push(Edge { from: number, to, by: step.by() });
        }
    }
    all
}

impl Explored {
    /// The moves that lead to a state, in their order.
    pub fn way(&self, mut to: u32) -> Vec<Move> {
        let mut way = Vec::new();
        while to != 0 {
            let (from, step) = self.from[to as usize];
            way.push(step);
            to = from;
        }
        way.reverse();
        way
    }

    /// For each state the fewest ticks after which `goal` can hold, where only this instance and time go on; `None`: never.
    pub fn ticks_to(&self, only: u8, goal: impl Fn(&World) -> bool) -> Vec<Option<u32>> {
        let mut back: Vec<Vec<(u32, bool)>> = vec![Vec::new(); self.states.len()];
        for edge in &self.edges {
            match edge.by {
                moves::By::Proc(by) if by == only => back[edge.to as usize].push((edge.from, false)),
                moves::By::Time => back[edge.to as usize].push((edge.from, true)),
                moves::By::Proc(_) | moves::By::World => {}
            }
        }
        let mut ticks = vec![None; self.states.len()];
        let mut queue: VecDeque<(u32, u32)> =
            self.states.iter().filter(|(world, _)| goal(world)).map(|(_, number)| (*number, 0)).collect();
        while let Some((state, cost)) = queue.pop_front() {
            if ticks[state as usize].is_some_and(|known| known <= cost) {
                continue;
            }
            ticks[state as usize] = Some(cost);
            for (before, tick) in &back[state as usize] {
                match tick {
                    true => queue.push_back((*before, cost + 1)),
                    false => queue.push_front((*before, cost)),
                }
            }
        }
        ticks
    }
}

/// A quick hash: the library's own takes half of the time.
#[derive(Default)]
pub struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.write_u64(u64::from(n));
    }

    fn write_i8(&mut self, n: i8) {
        self.write_u64(u64::from(n.cast_unsigned()));
    }

    fn write_isize(&mut self, n: isize) {
        self.write_u64(n.cast_unsigned() as u64);
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
