//! The planner's own judge: carries a plan out in a plain model of the cluster and says every rule that it breaks.
//!
//! Shares nothing with what finds plans but the nouns, so that one mistake has to be made twice to go unseen. What it
//! refuses is never shown, approved or carried out.

mod world;

use std::fmt;

use super::instance::{GuestAt, Instance, Kind, NodeAt, RuleKind, THROTTLED_GAIN, Work};
use super::outcome::{Planned, PlannedMove, Reason};
use world::World;

/// How whoever carries the plan out treats a move whose turn has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It starts only when the target has room.
    Guarded,
    /// It starts.
    Blind,
}

/// A rule that the plan breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The target cannot take it at that moment.
    Refused {
        guest: GuestAt,
        to: NodeAt,
        why: Reason,
    },
    /// Its turn never comes.
    Stuck {
        guest: GuestAt,
    },
    /// Guests that were together and have to be are not.
    Split {
        rule: usize,
    },
    /// Shut down although nobody allows it.
    MayNotStop {
        guest: GuestAt,
    },
    /// Left behind, and the plan does not say so; or it says so, and a node would take it.
    Undeclared {
        guest: GuestAt,
    },
    CouldGo {
        guest: GuestAt,
        to: NodeAt,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { guest, to, why } => {
                write!(f, "guest #{guest} cannot go to node #{to}: {}", why.name())
            }
            Self::Stuck { guest } => write!(f, "the turn of guest #{guest} never comes"),
            Self::Split { rule } => write!(f, "rule #{rule} keeps guests together, the plan does not"),
            Self::MayNotStop { guest } => write!(f, "guest #{guest} may not be shut down"),
            Self::Undeclared { guest } => write!(f, "guest #{guest} is left behind without a word"),
            Self::CouldGo { guest, to } => {
                write!(f, "guest #{guest} is said to be stuck, but could go to node #{to}")
            }
        }
    }
}

/// What carrying the plan out came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked {
    pub violations: Vec<Violation>,
    /// Seconds.
    pub makespan: f64,
    pub throttled: f64,
}

/// Carries the plan out, from the first start to the last end, with the plan's own word on `guard_dirty`.
pub fn check(inst: &Instance, plan: &Planned, admission: Admission) -> Checked {
    let mut run = Run::new(inst, plan, admission);
    run.all();
    run.judge_the_end();
    run.checked
}

struct Run<'a> {
    inst: &'a Instance,
    plan: &'a Planned,
    admission: Admission,
    world: World<'a>,
    waiting: Vec<&'a PlannedMove>,
    active: Vec<Active>,
    /// Guests whose moves are not over.
    pending: Vec<u32>,
    now: f64,
    checked: Checked,
}

struct Active {
    guest: GuestAt,
    from: NodeAt,
    to: NodeAt,
    dirty: f64,
    /// Seconds, Mbit of disks, Mbit of memory.
    left: Work,
}

impl<'a> Run<'a> {
    fn new(inst: &'a Instance, plan: &'a Planned, admission: Admission) -> Self {
        let mut pending = vec![0; inst.guests.len()];
        plan.moves.iter().for_each(|m| pending[m.guest] += 1);
        let mut run = Self {
            inst,
            plan,
            admission,
            world: World::new(inst),
            waiting: plan.moves.iter().filter(|m| !m.running).collect(),
            active: Vec::new(),
            pending,
            now: 0.0,
            checked: Checked::default(),
        };
        // What is under way has been let in by whoever started it.
        plan.moves.iter().filter(|m| m.running).for_each(|m| run.start(m));
        for guest in &plan.stops {
            if !inst.guests[*guest].may_stop {
                run.checked.violations.push(Violation::MayNotStop { guest: *guest });
            }
            run.world.stop(*guest);
        }
        run
    }

    fn all(&mut self) {
        loop {
            self.start_what_may();
            if self.active.is_empty() {
                break;
            }
            while !self.go_on() {}
        }
        let stuck = self.waiting.iter().map(|m| Violation::Stuck { guest: m.guest });
        self.checked.violations.extend(stuck);
    }

    /// In the plan's order, everything whose turn has come.
    fn start_what_may(&mut self) {
        let mut i = 0;
        while i < self.waiting.len() {
            let next = self.waiting[i];
            let wave = self.waiting.iter().map(|m| m.wave).min();
            let earlier = self.active.iter().any(|a| {
                self.plan.moves.iter().any(|m| m.guest == a.guest && m.to == a.to && Some(m.wave) < wave)
            });
            if Some(next.wave) != wave || earlier || !self.may_start(next) {
                i += 1;
                continue;
            }
            let why = self.world.refuses(next.guest, next.to);
            if let Some(why) = why {
                if self.admission == Admission::Guarded && why != Reason::Immovable {
                    i += 1;
                    continue;
                }
                let refused = Violation::Refused { guest: next.guest, to: next.to, why };
                self.checked.violations.push(refused);
            }
            self.start(next);
            self.waiting.remove(i);
            i = 0;
        }
    }

    fn may_start(&self, m: &PlannedMove) -> bool {
        let p = &self.inst.params;
        let from = self.world.at[m.guest];
        let sending = self.active.iter().filter(|a| a.from == from).count();
        let receiving = self.active.iter().filter(|a| a.to == m.to).count();
        sending < p.slots_out
            && receiving < p.slots_in
            && p.max_parallel.is_none_or(|most| self.active.len() < most)
            && m.after.iter().all(|guest| self.pending[*guest] == 0)
            && !(self.plan.guard_dirty && !self.active.is_empty() && self.would_throttle(m, from))
    }

    fn start(&mut self, m: &PlannedMove) {
        let guest = &self.inst.guests[m.guest];
        let work = self.inst.work(guest);
        self.active.push(Active {
            guest: m.guest,
            from: self.world.at[m.guest],
            to: m.to,
            dirty: work.dirty,
            left: work,
        });
        self.world.begin(m.guest, m.to);
    }

    /// As whoever carries it out would ask: everything that runs counts, on the wire or not.
    fn would_throttle(&self, m: &PlannedMove, from: NodeAt) -> bool {
        let dirty = self.inst.work(&self.inst.guests[m.guest]).dirty;
        let short = |src: NodeAt, dst: NodeAt, dirty: f64| {
            let out = self.active.iter().filter(|a| a.from == src).count() + usize::from(src == from);
            let into = self.active.iter().filter(|a| a.to == dst).count() + usize::from(dst == m.to);
            self.share(src, out, dst, into) * (1.0 - THROTTLED_GAIN) < dirty
        };
        short(from, m.to, dirty) || self.active.iter().any(|a| a.dirty > 0.0 && short(a.from, a.to, a.dirty))
    }

    fn share(&self, src: NodeAt, out: usize, dst: NodeAt, into: usize) -> f64 {
        let (src, dst) = (self.inst.nodes[src].nic, self.inst.nodes[dst].nic);
        (src / out.max(1) as f64).min(dst / into.max(1) as f64).min(self.inst.params.stream)
    }

    fn rate(&self, of: &Active) -> f64 {
        let wired = || self.active.iter().filter(|a| a.left.fixed <= 0.0);
        let out = wired().filter(|a| a.from == of.from).count();
        let into = wired().filter(|a| a.to == of.to).count();
        self.share(of.from, out, of.to, into)
    }

    /// To the next event; `true` if something ended there.
    fn go_on(&mut self) -> bool {
        let rates: Vec<f64> = self.active.iter().map(|a| self.rate(a)).collect();
        let net = |a: &Active, rate: f64| (rate - a.dirty).max(THROTTLED_GAIN * rate);
        let mut dt = f64::INFINITY;
        for (a, rate) in self.active.iter().zip(&rates) {
            dt = dt.min(match &a.left {
                left if left.fixed > 0.0 => left.fixed,
                left if left.disk > 0.0 => left.disk / rate,
                left => left.memory / net(a, *rate),
            });
        }
        self.now += dt;
        for (a, rate) in self.active.iter_mut().zip(&rates) {
            let by = |left: f64, by: f64, done: f64| if left - by <= done { 0.0 } else { left - by };
            if a.left.fixed > 0.0 {
                a.left.fixed = by(a.left.fixed, dt, 1e-9);
            } else if a.left.disk > 0.0 {
                a.left.disk = by(a.left.disk, rate * dt, 1e-6);
            } else if a.left.memory > 0.0 {
                if a.dirty > rate * (1.0 - THROTTLED_GAIN) + 1e-6 {
                    self.checked.throttled += dt;
                }
                let net = (rate - a.dirty).max(THROTTLED_GAIN * rate);
                a.left.memory = by(a.left.memory, net * dt, 1e-6);
            }
        }
        let over = |a: &Active| a.left.fixed <= 0.0 && a.left.disk <= 0.0 && a.left.memory <= 0.0;
        let ended: Vec<(GuestAt, NodeAt)> =
            self.active.iter().filter(|a| over(a)).map(|a| (a.guest, a.to)).collect();
        self.active.retain(|a| !over(a));
        for (guest, to) in &ended {
            let asked = match self.inst.kind {
                Kind::Drain => self.inst.leaves(*guest),
                Kind::Return => self.inst.leaves(*guest) && self.inst.guests[*guest].home == Some(*to),
            };
            if asked {
                self.checked.makespan = self.now;
            }
            self.world.end(*guest);
            self.pending[*guest] -= 1;
        }
        !ended.is_empty()
    }

    /// What has to hold when all is done.
    fn judge_the_end(&mut self) {
        let (inst, world) = (self.inst, &self.world);
        let mut found = Vec::new();
        for (r, rule) in
            inst.rules.iter().enumerate().filter(|(_, r)| r.strict && r.kind == RuleKind::Together)
        {
            let run: Vec<GuestAt> = rule.guests.iter().copied().filter(|g| !world.stopped[*g]).collect();
            // Whoever is under way has left before this plan: it parts from the others, but is no reason to part them.
            let under_way = |g: &GuestAt| self.plan.moves.iter().any(|m| m.running && m.guest == *g);
            let rest: Vec<GuestAt> = run.iter().copied().filter(|g| !under_way(g)).collect();
            let same = |who: &[GuestAt], place: &dyn Fn(GuestAt) -> NodeAt| {
                who.windows(2).all(|w| place(w[0]) == place(w[1]))
            };
            if same(&run, &|g| inst.guests[g].node) && !same(&rest, &|g| world.at[g]) {
                found.push(Violation::Split { rule: r });
            }
        }
        for guest in inst.leavers() {
            let there = match inst.kind {
                Kind::Drain => world.at[guest] != inst.guests[guest].node || world.stopped[guest],
                Kind::Return => Some(world.at[guest]) == inst.guests[guest].home,
            };
            if there {
                continue;
            }
            let Some(left) = self.plan.left.iter().find(|left| left.guest == guest) else {
                found.push(Violation::Undeclared { guest });
                continue;
            };
            for node in inst.remaining().filter(|_| !left.blockers.is_empty()) {
                let said = left.blockers.iter().find(|(n, _)| *n == node).map(|(_, why)| *why);
                if said != Some(Reason::NPlusOne) && world.refuses(guest, node).is_none() {
                    found.push(Violation::CouldGo { guest, to: node });
                }
            }
        }
        self.checked.violations.extend(found);
    }
}
