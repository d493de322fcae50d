//! Evening out: units that move anyway change places until memory use of the remaining nodes lies as close as it can.

use super::super::instance::NodeAt;
use super::super::load::NOWHERE;
use super::board::{Board, UnitAt};

/// Rounds over all pairs; it is over earlier when nothing gets better.
const ROUNDS_MAX: usize = 12;
/// What counts as better: the square of a pressure that nobody would see.
const BETTER: f64 = 1e-10;

/// Memory use of the remaining nodes, and what a change would make of its spread.
struct Level {
    /// Per node; only the remaining ones count.
    pressure: Vec<f64>,
    /// 1 / memory, or 0 for nodes that do not count.
    weight: Vec<f64>,
    count: f64,
    sum: f64,
}

impl Level {
    fn of(board: &Board) -> Self {
        let mut level = Self {
            pressure: vec![0.0; board.inst.nodes.len()],
            weight: vec![0.0; board.inst.nodes.len()],
            count: 0.0,
            sum: 0.0,
        };
        for node in board.inst.remaining() {
            level.pressure[node] = board.pressure(node, 0);
            level.weight[node] = 1.0 / board.inst.nodes[node].memory.max(1) as f64;
            level.count += 1.0;
            level.sum += level.pressure[node];
        }
        level
    }

    /// Change of the sum of squares about the mean if `mib` went from one node to the other.
    fn change(&self, from: NodeAt, to: NodeAt, mib: f64) -> f64 {
        let (out, into) = (mib * self.weight[from], mib * self.weight[to]);
        let squares = out * (out - 2.0 * self.pressure[from]) + into * (into + 2.0 * self.pressure[to]);
        let mean = self.sum + into - out;
        squares - (mean * mean - self.sum * self.sum) / self.count.max(1.0)
    }

    fn moved(&mut self, from: NodeAt, to: NodeAt, mib: f64) {
        self.pressure[from] -= mib * self.weight[from];
        self.pressure[to] += mib * self.weight[to];
        self.sum += mib * (self.weight[to] - self.weight[from]);
    }
}

/// Standard deviation of memory use over the remaining nodes.
pub fn imbalance(board: &Board) -> f64 {
    let level = Level::of(board);
    let mean = level.sum / level.count.max(1.0);
    let squares: f64 = board.inst.remaining().map(|n| (level.pressure[n] - mean).powi(2)).sum();
    (squares / level.count.max(1.0)).sqrt()
}

/// Evens out, with single moves, swaps, and swaps of one against two. `veto` is asked about each change and may refuse it.
pub fn spread(board: &mut Board, veto: &mut dyn FnMut(&Board) -> bool) {
    let mut units: Vec<UnitAt> = (0..board.asked)
        .filter(|u| board.units[*u].memory > 0 && board.at[*u] != NOWHERE && board.units[*u].goes.len() > 1)
        .collect();
    units.sort_by_key(|u| (std::cmp::Reverse(board.units[*u].memory), *u));
    let mut even = Evening { level: Level::of(board), board, veto };
    for _ in 0..ROUNDS_MAX {
        let mut better = false;
        for i in 0..units.len() {
            better |= even.single(units[i]);
            for j in i + 1..units.len() {
                better |= even.swap(&[units[i]], &[units[j]]);
            }
            if even.board.fuel <= 0 {
                return;
            }
        }
        if !better && !even.pairs(&units) {
            return;
        }
    }
}

struct Evening<'b, 'a, 'v> {
    board: &'b mut Board<'a>,
    level: Level,
    veto: &'v mut dyn FnMut(&Board) -> bool,
}

impl Evening<'_, '_, '_> {
    fn single(&mut self, unit: UnitAt) -> bool {
        let (from, mib) = (self.board.at[unit], self.board.units[unit].memory as f64);
        let now = self.board.lateness(unit, from);
        let mut best: Option<(f64, NodeAt)> = None;
        for i in 0..self.board.units[unit].goes.len() {
            let to = self.board.units[unit].goes[i];
            let change = self.level.change(from, to, mib);
            let worth = to != from && change < best.map_or(-BETTER, |(least, _)| least);
            if worth && self.board.fits(unit, to) && self.welcome(unit, to, now) {
                best = Some((change, to));
            }
        }
        let Some((_, to)) = best else { return false };
        let mark = self.board.mark();
        self.board.put(unit, to);
        if (self.veto)(self.board) {
            self.board.back_to(mark);
            return false;
        }
        self.level.moved(from, to, mib);
        true
    }

    /// These change places with those, if that evens out and fits.
    fn swap(&mut self, these: &[UnitAt], those: &[UnitAt]) -> bool {
        let (a, b) = (self.board.at[these[0]], self.board.at[those[0]]);
        if a == b {
            return false;
        }
        let sum = |units: &[UnitAt]| units.iter().map(|u| self.board.units[*u].memory).sum::<i64>() as f64;
        let mib = sum(these) - sum(those);
        if mib == 0.0 || self.level.change(a, b, mib) > -BETTER {
            return false;
        }
        let mark = self.board.mark();
        let late = these.iter().chain(those).map(|u| self.board.lateness(*u, self.board.at[*u]));
        let late = late.fold(0.0, f64::max);
        for unit in these.iter().chain(those) {
            self.board.lift(*unit);
        }
        for (units, to) in [(these, b), (those, a)] {
            for unit in units {
                if !self.board.fits(*unit, to) || !self.welcome(*unit, to, late) {
                    self.board.back_to(mark);
                    return false;
                }
                self.board.put(*unit, to);
            }
        }
        if (self.veto)(self.board) {
            self.board.back_to(mark);
            return false;
        }
        self.level.moved(a, b, mib);
        true
    }

    /// One against two of another node: the last few MiB where sizes are coarse.
    fn pairs(&mut self, units: &[UnitAt]) -> bool {
        /// Beyond this the coarse swaps have enough to choose from.
        const UNITS_MAX: usize = 64;
        if units.len() > UNITS_MAX {
            return false;
        }
        let mut better = false;
        for one in units {
            for (j, two) in units.iter().enumerate() {
                for three in &units[j + 1..] {
                    let apart = one != two && one != three && self.board.at[*two] == self.board.at[*three];
                    if apart && self.swap(&[*one], &[*two, *three]) {
                        better = true;
                    }
                }
            }
            if self.board.fuel <= 0 {
                break;
            }
        }
        better
    }

    /// Not worse in what counts more than balance: when the node is empty, and where the guest would rather be.
    fn welcome(&self, unit: UnitAt, to: NodeAt, late: f64) -> bool {
        let u = &self.board.units[unit];
        let liked = u.prefer.is_empty() || u.prefer.binary_search(&to).is_ok();
        liked && self.board.lateness(unit, to) <= late
    }
}
