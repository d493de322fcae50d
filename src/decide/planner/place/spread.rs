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

/// Evens out, with single moves, swaps, and swaps of one against two.
pub fn spread(board: &mut Board) {
    let mut units: Vec<UnitAt> = (0..board.asked)
        .filter(|u| board.units[*u].memory > 0 && board.at[*u] != NOWHERE && board.units[*u].goes.len() > 1)
        .collect();
    units.sort_by_key(|u| (std::cmp::Reverse(board.units[*u].memory), *u));
    let mut level = Level::of(board);
    for _ in 0..ROUNDS_MAX {
        let mut better = false;
        for i in 0..units.len() {
            better |= single(board, &mut level, units[i]);
            for j in i + 1..units.len() {
                better |= swap(board, &mut level, &[units[i]], &[units[j]]);
            }
            if board.fuel <= 0 {
                return;
            }
        }
        if !better && !pairs(board, &mut level, &units) {
            return;
        }
    }
}

fn single(board: &mut Board, level: &mut Level, unit: UnitAt) -> bool {
    let (from, mib) = (board.at[unit], board.units[unit].memory as f64);
    let mut best: Option<(f64, NodeAt)> = None;
    for i in 0..board.units[unit].goes.len() {
        let to = board.units[unit].goes[i];
        let change = level.change(from, to, mib);
        let worth = to != from && change < best.map_or(-BETTER, |(least, _)| least);
        if worth && board.fits(unit, to) && welcome(board, unit, to) {
            best = Some((change, to));
        }
    }
    let Some((_, to)) = best else { return false };
    board.put(unit, to);
    level.moved(from, to, mib);
    true
}

/// These change places with those, if that evens out and fits.
fn swap(board: &mut Board, level: &mut Level, these: &[UnitAt], those: &[UnitAt]) -> bool {
    let sum =
        |board: &Board, units: &[UnitAt]| units.iter().map(|u| board.units[*u].memory).sum::<i64>() as f64;
    let (a, b) = (board.at[these[0]], board.at[those[0]]);
    if a == b {
        return false;
    }
    let mib = sum(board, these) - sum(board, those);
    if mib == 0.0 || level.change(a, b, mib) > -BETTER {
        return false;
    }
    let mark = board.mark();
    for unit in these.iter().chain(those) {
        board.lift(*unit);
    }
    for (units, to) in [(these, b), (those, a)] {
        for unit in units {
            if !board.fits(*unit, to) || !welcome(board, *unit, to) {
                board.back_to(mark);
                return false;
            }
            board.put(*unit, to);
        }
    }
    level.moved(a, b, mib);
    true
}

/// One against two of another node: the last few MiB where sizes are coarse.
fn pairs(board: &mut Board, level: &mut Level, units: &[UnitAt]) -> bool {
    /// Beyond this the coarse swaps have enough to choose from.
    const UNITS_MAX: usize = 64;
    if units.len() > UNITS_MAX {
        return false;
    }
    let mut better = false;
    for one in units {
        for (j, two) in units.iter().enumerate() {
            for three in &units[j + 1..] {
                let apart = one != two && one != three && board.at[*two] == board.at[*three];
                if apart && swap(board, level, &[*one], &[*two, *three]) {
                    better = true;
                }
            }
        }
        if board.fuel <= 0 {
            break;
        }
    }
    better
}

/// Not worse in what counts more than balance: when the node is empty, and where the guest would rather be.
fn welcome(board: &Board, unit: UnitAt, to: NodeAt) -> bool {
    let u = &board.units[unit];
    (u.prefer.is_empty() || u.prefer.binary_search(&to).is_ok()) && !board.too_slow(unit, to)
}
