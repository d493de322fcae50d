//! The planner: where every guest goes and in which order, safe at every instant, close to what the wires allow.
//!
//! Pure: an [`Instance`] in, a [`Planned`] out, the same on every machine. It knows nothing of Proxmox or of files; the
//! live cluster and the offline file are turned into the same instance. What it answers has passed [`check`], which shares
//! no code with what found it.

mod absorb;
mod bound;
mod check;
pub mod instance;
mod load;
mod order;
mod outcome;
mod place;
mod schedule;
mod sorted;

pub use bound::bound;
pub use check::{Admission, Checked, Violation, check};
pub use instance::Instance;
pub use outcome::{Forecast, Left, Planned, PlannedMove, Reason};

use absorb::Wards;
use instance::{GuestAt, Kind, NodeAt, Way};
use load::{Load, NOWHERE, Ties};
use order::Ordered;
use place::{Board, Fit, UnitAt, imbalance};
use schedule::Timetable;

/// How long is searched where the first answer is not good enough. Counted in work, not in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// Up to a second or so for a knotty cluster; a tenth of that for most.
    #[default]
    Full,
    /// Some fifty times less: for a preview in every turn.
    Quick,
}

impl Effort {
    /// The share of a budget that may be spent.
    fn of(self, budget: u64) -> u64 {
        match self {
            Self::Full => budget,
            Self::Quick => budget / 50,
        }
    }
}

/// What is asked for beside the instance.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    pub effort: Effort,
    /// The smallest live guest that HA does not manage goes first and alone.
    pub canary: bool,
    /// Moved already by the plan that this one continues: they stay where they are.
    pub done: Vec<GuestAt>,
    /// Under way now: counted on both sides, waited for, never called back.
    pub running: Vec<(GuestAt, NodeAt)>,
    /// Where an earlier plan wanted guests to go that have not set out. Kept as far as it still works.
    pub keep: Vec<(GuestAt, NodeAt)>,
    pub foreign: Foreign,
}

/// Guests that somebody else moves, all at once and in an order of its own: Proxmox's HA manager. What makes room goes
/// before them, because they wait for nobody; the others go beside them, as far as there are slots.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Foreign {
    pub guests: Vec<GuestAt>,
    /// Migrations that it runs at a time from one node.
    pub workers: usize,
    /// Seconds from being told to the first migration.
    pub delay: f64,
    /// Seconds by which it is slower than we are to begin one where another has ended.
    pub pause: f64,
    /// Seconds from a migration's end until it says so.
    pub agrees: f64,
}

/// A plan that the planner's own check refused: a mistake of the planner, caught before anybody saw the plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the plan breaks its own rules: {first}, and {more} more")]
pub struct Refused {
    pub first: Violation,
    pub more: usize,
}

/// Plans the drain or the return.
///
/// # Errors
/// The plan that was found did not pass the check.
pub fn plan(inst: &Instance, wishes: &Wishes) -> Result<Planned, Refused> {
    sorted::plan(inst, wishes, |inst, wishes| plan_sorted(inst, inst, wishes))
}

/// Plans a cluster that is looked at again and again: where guests go follows from `placing` alone, when they go and how
/// long that takes from `timing`. The two differ only in what readings say (memory to send, rates), so the plan that a
/// person approves names the same targets in every turn. Nodes and guests of both are in the order of their names.
///
/// # Errors
/// As [`plan`].
pub fn plan_steadily(placing: &Instance, timing: &Instance, wishes: &Wishes) -> Result<Planned, Refused> {
    plan_sorted(placing, timing, wishes)
}

fn plan_sorted(placing: &Instance, inst: &Instance, wishes: &Wishes) -> Result<Planned, Refused> {
    let mut planned = propose(placing, inst, wishes);
    // Whoever carries the plan out shall hold back what slows guests down, unless the plan is better without.
    planned.guard_dirty = true;
    let guarded = check(inst, &planned, Admission::Guarded);
    let as_planned = guarded.makespan <= planned.forecast.makespan + 0.01;
    planned.guard_dirty = guarded.violations.is_empty() && as_planned;
    let plain = if planned.guard_dirty { guarded } else { check(inst, &planned, Admission::Guarded) };
    let blind = check(inst, &planned, Admission::Blind);
    let mut broken = plain.violations.into_iter().chain(blind.violations);
    match broken.next() {
        Some(first) => Err(Refused { first, more: broken.count() }),
        None => Ok(planned),
    }
}

fn propose(placing: &Instance, inst: &Instance, wishes: &Wishes) -> Planned {
    let ties = Ties::of(placing);
    let wards = Wards::of(placing);
    let mut board = place::place(placing, &ties, bound(placing, |_| true), &wards, wishes);
    let moves = moves_in_order(&mut board, &wishes.running);
    // Once something has moved, the way between the nodes is known.
    let first = wishes.running.is_empty() && wishes.keep.is_empty();
    let canary = if wishes.canary && first { schedule::canary(inst, &moves) } else { None };
    let (stops, left) = left_behind(inst, &board);
    let moved = |at: GuestAt| !left.iter().any(|l| l.guest == at);
    let bound = bound(inst, moved);
    let table = timetable(inst, &moves, bound, canary, wishes);
    let failing = wards.fails(&board.load, &ties);
    let fragile: Vec<_> =
        failing.into_iter().map(|node| (node, wards.homeless(&board.load, &ties, node))).collect();
    let forecast = Forecast {
        makespan: table.makespan,
        bound,
        throttled: table.throttled,
        imbalance: imbalance(&board),
        n_plus_one_fails: fragile.len(),
        made_room: moves.iter().filter(|m| !inst.leaves(m.guest)).count(),
    };
    Planned { moves: table.moves, stops, left, fragile, forecast, guard_dirty: false, canary }
}

/// When everybody goes. With guests that somebody else moves there are two parts, one after the other: what goes before
/// anybody is told; then theirs, with ours behind them.
fn timetable(
    inst: &Instance,
    moves: &[Ordered],
    bound: f64,
    canary: Option<GuestAt>,
    wishes: &Wishes,
) -> Timetable {
    let (foreign, effort) = (&wishes.foreign, wishes.effort);
    let theirs = |m: &Ordered| foreign.guests.binary_search(&m.guest).is_ok();
    if !moves.iter().any(theirs) {
        return schedule::schedule(inst, foreign, moves, bound, canary, effort);
    }
    let before = |m: &Ordered| !theirs(m) && (m.running || !inst.leaves(m.guest) || canary == Some(m.guest));
    let (first, rest): (Vec<Ordered>, Vec<Ordered>) = moves.iter().cloned().partition(before);
    let mut whole = schedule::schedule(inst, foreign, &first, bound, canary, effort);
    let mut rest = schedule::schedule(inst, foreign, &rest, bound, None, effort);
    let ends = rest.moves.iter().filter(|m| foreign.guests.binary_search(&m.guest).is_ok()).map(|m| m.ends);
    rest.makespan = rest.makespan.max(ends.fold(0.0, f64::max) + foreign.agrees);
    whole.append(rest, foreign.delay);
    whole
}

/// The board's moves in an order that can be carried out. What no order makes possible gets another target, once; then it
/// is given up.
fn moves_in_order(board: &mut Board, running: &[(GuestAt, NodeAt)]) -> Vec<Ordered> {
    let mut turned: Vec<UnitAt> = Vec::new();
    let mut given_up: Vec<UnitAt> = Vec::new();
    loop {
        let mut moves: Vec<(GuestAt, NodeAt)> = Vec::new();
        for (unit, at) in board.at.iter().enumerate() {
            if *at != NOWHERE && *at != board.units[unit].home && !board.units[unit].pinned {
                moves.extend(board.units[unit].guests.iter().map(|g| (*g, *at)));
            }
        }
        let (ordered, stuck) = order::order(board.inst, board.ties, running, &moves);
        if stuck.is_empty() {
            return ordered;
        }
        let mut units: Vec<UnitAt> = stuck.iter().filter_map(|g| board.unit(*g)).collect();
        units.sort_unstable();
        units.dedup();
        if !turn_elsewhere(board, &units, &mut turned) {
            take_back(board, &units, &mut given_up);
        }
    }
}

/// Guests that wait for each other in a circle: one of them goes to a node that none of them leaves.
fn turn_elsewhere(board: &mut Board, stuck: &[UnitAt], turned: &mut Vec<UnitAt>) -> bool {
    let left: Vec<NodeAt> = stuck.iter().map(|unit| board.units[*unit].home).collect();
    for unit in stuck.iter().copied() {
        if turned.contains(&unit) {
            continue;
        }
        turned.push(unit);
        for node in board.units[unit].goes.clone() {
            if node != board.at[unit] && !left.contains(&node) && board.fits(unit, node) {
                board.put(unit, node);
                return true;
            }
        }
    }
    false
}

/// Residents that cannot get away stay, and what would have needed their room stays behind, unless it fits elsewhere.
fn take_back(board: &mut Board, stuck: &[UnitAt], given_up: &mut Vec<UnitAt>) {
    for unit in stuck.iter().copied() {
        board.lift(unit);
        given_up.push(unit);
    }
    let asked = board.asked;
    for unit in stuck.iter().copied().filter(|unit| *unit >= asked) {
        board.put(unit, board.units[unit].home);
    }
    for unit in 0..board.asked {
        let at = board.at[unit];
        if at != NOWHERE && board.load.memory[at] < 0 {
            board.lift(unit);
            given_up.push(unit);
        }
    }
    for unit in board.left() {
        if !given_up.contains(&unit)
            && let Some(node) = place::best(board, unit, Fit::Even)
        {
            board.put(unit, node);
        }
    }
}

/// Who is shut down, and who stays and why, once the plan is done.
fn left_behind(inst: &Instance, board: &Board) -> (Vec<GuestAt>, Vec<Left>) {
    let (mut stops, mut left) = (Vec::new(), Vec::new());
    // Guests left behind are where they were: they count for those they must be kept apart from.
    let mut end: Load = board.load.clone();
    for (at, guest) in inst.guests.iter().enumerate() {
        if end.place[at] == NOWHERE {
            end.put(at, guest.node);
        }
    }
    let target = |at: GuestAt| match inst.kind {
        Kind::Drain => None,
        Kind::Return => inst.guests[at].home,
    };
    for at in inst.leavers() {
        let guest = &inst.guests[at];
        if end.place[at] != guest.node {
            continue;
        }
        if guest.may_stop && inst.kind == Kind::Drain {
            stops.push(at);
            continue;
        }
        let refused = |node: NodeAt| end.refuses(board.ties, at, node);
        let nodes: Vec<(NodeAt, Option<Reason>)> = match target(at) {
            Some(home) => vec![(home, refused(home))],
            None => (0..inst.nodes.len()).filter(|n| *n != guest.node).map(|n| (n, refused(n))).collect(),
        };
        let open = nodes.iter().any(|(_, why)| why.is_none());
        let bundled = board.ties.bundle(inst, at).len() > 1;
        let why = match nodes.iter().filter_map(|(_, why)| *why).max() {
            _ if guest.way == Way::No => Reason::Immovable,
            _ if open && bundled => Reason::Together,
            _ if open => Reason::NPlusOne,
            Some(why) => why,
            None => Reason::NodeClosed,
        };
        let tell = target(at).is_none() && !(open && why == Reason::Together);
        let blockers = nodes.into_iter().filter(|_| tell);
        let blockers = blockers.map(|(node, why)| (node, why.unwrap_or(Reason::NPlusOne))).collect();
        left.push(Left { guest: at, blockers, why });
    }
    (stops, left)
}

#[cfg(test)]
mod tests;
