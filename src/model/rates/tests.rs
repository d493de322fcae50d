//! What follows from many measurements.

use std::time::Duration;

use super::*;
use crate::model::time::after;

const MIB: u64 = 1 << 20;

fn at(secs: u64) -> Time {
    after("2026-03-01T10:00:00Z".parse().expect("a time"), Duration::from_secs(secs))
}

/// A live migration from pve1, `mib` a second for a minute, `from` seconds after the beginning.
fn one(n: u32, from: u64, mib: u64) -> Measured {
    Measured {
        task: Upid(format!("UPID:pve1:{n}")),
        guest: GuestId(n),
        kind: GuestKind::Qemu,
        from: "pve1".into(),
        to: "pve2".into(),
        started: at(from),
        ended: at(from + 60),
        ran: true,
        memory: Some(Sent { bytes: mib * 60 * MIB, millis: 55_000, rate: Some(mib * MIB) }),
        disks: None,
        dirty: Some(u64::from(n) * MIB),
        downtime_ms: Some(u64::from(n)),
        fixed_ms: Some(5_000),
    }
}

#[test]
fn without_measurements_there_are_defaults_and_they_say_so() {
    let none = Rates::of(&[], at(0));
    assert_eq!(
        (none.basis(), none.stream.value, none.stream.measured()),
        (Basis::Default, STREAM_DEFAULT, false)
    );
}

#[test]
fn the_odd_one_out_does_not_decide() {
    let mut all: Vec<Measured> = (0..9).map(|n| one(n, u64::from(n) * 100, 100 + u64::from(n))).collect();
    all.push(one(9, 900, 1));
    let found = Rates::of(&all, at(2_000));
    assert_eq!(found.basis(), Basis::Measured { migrations: 10, days: 30 });
    assert_eq!(found.stream.value / MIB, 104);
    assert_eq!(found.setup_ms, Figure { value: 5_000, rests_on: 10 });
    assert_eq!(found.downtime_ms.value, 8, "nine of ten are shorter or as short");
    assert_eq!((found.dirty.value / MIB, found.dirty(GuestId(7)) / MIB), (4, 7));
    assert!(found.wires.is_empty(), "nobody has seen the wire's limit");
}

#[test]
fn what_is_old_counts_less_and_then_not_at_all() {
    const DAY: u64 = 86_400;
    let mut all: Vec<Measured> = (0..6).map(|n| one(n, u64::from(n) * 100, 100)).collect();
    all.extend((6..12).map(|n| one(n, 28 * DAY + u64::from(n) * 100, 300)));
    assert_eq!(Rates::of(&all, at(29 * DAY)).stream.value / MIB, 300, "the network was made faster");
    // A month later six are left of the last 30 days: the older ones are better than few.
    let found = Rates::of(&all, at(40 * DAY));
    assert_eq!(found.basis(), Basis::Measured { migrations: 12, days: 90 });
    assert_eq!(Rates::of(&all, at(500 * DAY)).basis(), Basis::Default);
}

#[test]
fn migrations_that_slow_each_other_down_show_the_wires_limit() {
    let alone = (0..3).map(|n| one(n, u64::from(n) * 100, 400));
    let pairs = (3..9).map(|n| one(n, 1_000 + u64::from(n / 2) * 100, 250));
    let all: Vec<Measured> = alone.chain(pairs).collect();
    let found = Rates::of(&all, at(3_000));
    assert_eq!(found.stream.value / MIB, 400, "company is no reason to think a stream slow");
    let wire = found.wire(&"pve1".into()).expect("seen").value / MIB;
    assert!((480..=500).contains(&wire), "{wire}");
    assert_eq!(found.wire(&"pve2".into()), None);
    let nic = |node: &str, configured| found.nic(&node.into(), configured) / MIB;
    assert_eq!((nic("pve1", Some(1 << 40)), nic("pve2", Some(9 * MIB)), nic("pve2", None)), (wire, 9, wire));
    // In company and none the slower for it: that is no limit.
    let free: Vec<Measured> = (0..9).map(|n| one(n, u64::from(n / 2 + n.min(4)) * 100, 400)).collect();
    let found = Rates::of(&free, at(3_000));
    assert!(found.wires.is_empty());
    let nic = found.nic(&"pve1".into(), None) / MIB;
    assert!(nic >= 1_100, "two were carried, a third may be tried: {nic}");
    assert_eq!(Rates::default().nic(&"pve1".into(), None), WIRE_DEFAULT);
}

#[test]
fn the_order_of_the_measurements_does_not_matter() {
    let mut all: Vec<Measured> =
        (0..40).map(|n| one(n, u64::from(n * 7 % 13) * 30, u64::from(n * 11 % 17) * 20 + 5)).collect();
    let found = Rates::of(&all, at(5_000));
    all.reverse();
    assert_eq!(Rates::of(&all, at(5_000)), found);
}

#[test]
fn a_forecast_says_what_it_rests_on() {
    let forecast = |secs, stream, basis| Forecast { secs, stream, basis }.to_string();
    let measured = |migrations| Basis::Measured { migrations, days: 30 };
    assert_eq!(
        forecast(840, 1_181_116_006, measured(37)),
        "about 14 min; from 37 migrations of the last 30 days, 1.1 GiB/s a stream"
    );
    assert_eq!(
        forecast(95, 112 << 20, measured(1)),
        "about 95 s; from one migration of the last 30 days, 112 MiB/s a stream"
    );
    assert_eq!(
        forecast(9_000, STREAM_DEFAULT, Basis::Default),
        "about 2 h 30 min; from the default of 500 MiB/s a stream, nothing measured yet"
    );
}

#[test]
fn planned_stands_beside_real() {
    let planned = Forecast { secs: 830, stream: STREAM_DEFAULT, basis: Basis::Default };
    let took = |until, planned| Took { since: at(0), until, planned }.to_string();
    assert_eq!(took(Some(at(905)), Some(planned)), "took 15 min, planned 14 min");
    assert_eq!(took(Some(at(7_190)), None), "took 2 h 0 min");
    assert_eq!(took(None, Some(planned)), "planned 14 min, since 2026-03-01T10:00:00Z");
}

#[test]
fn a_guest_without_a_figure_of_its_own_has_the_clusters() {
    let mut rates = Rates::default();
    rates.dirties.insert(GuestId(100), 9);
    assert_eq!((rates.dirty(GuestId(100)), rates.dirty(GuestId(101))), (9, DIRTY_DEFAULT));
    let json = serde_json::to_string(&rates).expect("figures serialise");
    assert_eq!(serde_json::from_str::<Rates>(&json).expect("and come back"), rates);
}
