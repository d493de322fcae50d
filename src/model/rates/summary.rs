//! Many measurements become one cluster's figures: robust against the odd one out, and fresh.
//!
//! Medians, weighted by what was sent and by age, so that neither one stalled migration nor last month's network decides.
//! A migration that shared its wire with others tells less than the stream could carry, so those that had it to
//! themselves count first. Failed migrations never get here.

use std::collections::{BTreeMap, BTreeSet};

use super::{Figure, Measured, Rates};
use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::GuestKind;
use crate::model::time::{Time, age};

/// Measurements of the last days count; where they are few, older ones do, too: an old figure is better than a guess.
const WINDOWS_DAYS: [u32; 3] = [30, 90, 365];
/// Few.
const MIGRATIONS_MIN: usize = 10;
/// A measurement counts half after each of these.
const HALF_LIFE_DAYS: u64 = 7;
/// More than this, and one huge guest would speak for all. 16 GiB.
const BYTES_THAT_COUNT_MAX: u64 = 16 << 30;
/// So many that had the wire to themselves tell the stream's rate.
const ALONE_MIN: usize = 3;
/// Others on the same wire on average, in hundredths, up to which a migration had it to itself.
const ALONE_MAX: u64 = 25;
/// Migrations that together carry less than this share of what each would alone, per cent, have found the wire's limit.
const LIMITED_PERCENT: u64 = 85;

/// What is known at `now`.
pub(super) fn rates(all: &[Measured], now: Time) -> Rates {
    let mut found = Rates::default();
    let Some((days, counted)) = window(all, now) else { return found };
    let streams: Vec<Stream> = counted.iter().filter_map(|one| Stream::of(one, &counted, now)).collect();
    found.migrations = u32::try_from(counted.len()).unwrap_or(u32::MAX);
    found.window_days = days;
    found.stream = stream(&streams).unwrap_or(found.stream);
    found.wires = wires(&streams, found.stream);
    found.carried = quantile(streams.iter().map(|one| (one.together, one.weight)).collect(), 75);
    let live = |one: &&&Measured| one.kind == GuestKind::Qemu && one.ran;
    let of = |which: &dyn Fn(&&&Measured) -> bool, what: &dyn Fn(&Measured) -> Option<u64>, percent: u64| {
        let values = counted.iter().filter(|one| which(one));
        quantile(values.filter_map(|one| Some((what(one)?, freshness(one, now)))).collect(), percent)
    };
    let container = |one: &&&Measured| one.kind == GuestKind::Lxc && one.ran;
    let stopped = |one: &&&Measured| !one.ran;
    found.disk = of(&|_| true, &|one| one.disks?.rate, 50).unwrap_or(found.disk);
    found.dirty = of(&live, &|one| one.dirty, 50).unwrap_or(found.dirty);
    found.dirties = dirties(&counted);
    // Who asks for how long a guest is away wants no average.
    found.downtime_ms = of(&live, &|one| one.downtime_ms, 90).unwrap_or(found.downtime_ms);
    found.setup_ms = of(&live, &|one| one.fixed_ms, 50).unwrap_or(found.setup_ms);
    found.restart_ms = of(&container, &|one| one.fixed_ms, 50).unwrap_or(found.restart_ms);
    found.offline_ms = of(&stopped, &|one| one.fixed_ms, 50).unwrap_or(found.offline_ms);
    found
}

/// The shortest window with enough in it; else the longest one with anything.
fn window(all: &[Measured], now: Time) -> Option<(u32, Vec<&Measured>)> {
    let mut best: Option<(u32, Vec<&Measured>)> = None;
    for days in WINDOWS_DAYS {
        let young = |one: &&Measured| age(now, one.ended).as_secs() <= u64::from(days) * 86_400;
        let counted: Vec<&Measured> = all.iter().filter(young).collect();
        if best.as_ref().is_none_or(|(_, fewer)| fewer.len() < counted.len()) && !counted.is_empty() {
            best = Some((days, counted));
        }
        if best.as_ref().is_some_and(|(_, counted)| counted.len() >= MIGRATIONS_MIN) {
            break;
        }
    }
    best
}

/// The memory's way in one migration.
struct Stream {
    from: NodeName,
    rate: u64,
    weight: u64,
    /// Others that left the same node or went to the same one meanwhile, on average, in hundredths,
    beside: u64,
    /// of these the ones from the same node,
    beside_out: u64,
    /// and what went out of the node together with this one, bytes per second.
    together: u64,
}

impl Stream {
    fn of(one: &Measured, all: &[&Measured], now: Time) -> Option<Self> {
        let sent = one.memory?;
        let rate = sent.rate?;
        let mut stream = Self {
            from: one.from.clone(),
            rate,
            weight: (sent.bytes.min(BYTES_THAT_COUNT_MAX) >> 20).max(1) * freshness(one, now),
            beside: 0,
            beside_out: 0,
            together: rate,
        };
        for other in all.iter().filter(|other| other.task != one.task && other.memory.is_some()) {
            let share = overlap_percent(one, other);
            if other.from == one.from {
                stream.beside_out += share;
                let theirs = other.memory.and_then(|sent| sent.rate).unwrap_or(0);
                stream.together = stream.together.saturating_add(theirs / 100 * share);
            }
            if other.from == one.from || other.to == one.to {
                stream.beside += share;
            }
        }
        Some(stream)
    }
}

/// For which share of its time `one` had `other` beside it, per cent.
fn overlap_percent(one: &Measured, other: &Measured) -> u64 {
    let both = age(one.ended.min(other.ended), one.started.max(other.started)).as_millis();
    let all = age(one.ended, one.started).as_millis().max(1);
    u64::try_from(both * 100 / all).unwrap_or(100).min(100)
}

/// What one migration carries when no other slows it down. Where each had company, the upper quarter is nearest to it: company
/// only ever makes slower.
fn stream(all: &[Stream]) -> Option<Figure> {
    let alone: Vec<(u64, u64)> =
        all.iter().filter(|one| one.beside <= ALONE_MAX).map(|one| (one.rate, one.weight)).collect();
    if alone.len() >= ALONE_MIN {
        return quantile(alone, 50);
    }
    quantile(all.iter().map(|one| (one.rate, one.weight)).collect(), 75)
}

/// Where several migrations from one node carried clearly less each than one does, the wire is what they carried together.
fn wires(streams: &[Stream], lone: Figure) -> BTreeMap<NodeName, Figure> {
    let limited = |one: &&Stream| {
        let each_alone = u128::from(lone.value) * u128::from(100 + one.beside_out) / 100;
        one.beside_out >= 50 && u128::from(one.together) * 100 < each_alone * u128::from(LIMITED_PERCENT)
    };
    let from: BTreeSet<&NodeName> = streams.iter().map(|one| &one.from).collect();
    from.into_iter()
        .filter_map(|node| {
            let seen = streams.iter().filter(|one| &one.from == node).filter(limited);
            let sums: Vec<(u64, u64)> = seen.map(|one| (one.together, one.weight)).collect();
            let enough = sums.len() >= ALONE_MIN;
            Some((node.clone(), quantile(sums, 50).filter(|_| enough)?))
        })
        .collect()
}

/// The newest word on each guest: its habits are its own.
fn dirties(counted: &[&Measured]) -> BTreeMap<GuestId, u64> {
    let mut newest: BTreeMap<GuestId, (Time, u64)> = BTreeMap::new();
    for one in counted {
        let known = newest.get(&one.guest).is_some_and(|(at, _)| *at >= one.ended);
        if let (Some(dirty), false) = (one.dirty, known) {
            newest.insert(one.guest, (one.ended, dirty));
        }
    }
    newest.into_iter().map(|(guest, (_, dirty))| (guest, dirty)).collect()
}

/// 1024 for a new one, half for each half-life.
fn freshness(one: &Measured, now: Time) -> u64 {
    let halvings = age(now, one.ended).as_secs() / (HALF_LIFE_DAYS * 86_400);
    1024 >> halvings.min(10)
}

/// The value below which `percent` of the weight lies. Order in, order out: the same measurements give the same figure.
fn quantile(mut values: Vec<(u64, u64)>, percent: u64) -> Option<Figure> {
    values.sort_unstable();
    let all: u128 = values.iter().map(|(_, weight)| u128::from(*weight)).sum();
    let rests_on = u32::try_from(values.len()).unwrap_or(u32::MAX);
    let mut below = 0_u128;
    for (value, weight) in values {
        below += u128::from(weight);
        if below * 100 >= all * u128::from(percent) {
            return Some(Figure { value, rests_on });
        }
    }
    None
}
