//! Recorded logs, logs in the words of older and newer versions, and nonsense.

use std::time::Duration;

use super::*;
use crate::model::ids::{GuestId, Upid};
use crate::model::observed::TaskEnd;
use crate::model::rates::Sent;
use crate::model::time::{Time, after};

const MIB: u64 = 1 << 20;

fn log(text: &str) -> TaskLog {
    TaskLog { lines: text.lines().map(str::to_owned).collect(), cut: false }
}

fn recorded(json: &str) -> TaskLog {
    let json: serde_json::Value = serde_json::from_str(json).expect("a recording");
    let rows = json.pointer("/response/body/data").and_then(serde_json::Value::as_array).expect("a log");
    TaskLog {
        lines: rows.iter().map(|row| row["t"].as_str().expect("a line").to_owned()).collect(),
        cut: false,
    }
}

fn at(secs: u64) -> Time {
    after("2026-03-01T10:00:00Z".parse().expect("a time"), Duration::from_secs(secs))
}

fn task(status: &str) -> Task {
    Task {
        upid: Upid("UPID:pve2:1".into()),
        node: "pve2".into(),
        kind: "qmigrate".into(),
        guest: Some(GuestId(100)),
        started: at(0),
        ended: Some(TaskEnd { at: at(24), status: status.into() }),
    }
}

fn read(log: &TaskLog) -> Option<Measured> {
    log::read(&task("OK"), at(24), log)
}

macro_rules! recording {
    ($name:literal) => {
        recorded(include_str!(concat!("../../../tests/data/pve/recordings/", $name, ".json")))
    };
}

#[test]
fn a_recorded_live_migration_is_read() {
    let told = read(&recording!("task-log-migrate-online")).expect("it went well");
    assert_eq!((told.to.as_str(), told.ran, told.downtime_ms), ("pve1", true, Some(6)));
    let sent = told.memory.expect("it sent its memory");
    assert_eq!((sent.bytes / MIB, sent.millis), (101, 11_000));
    let rate = sent.rate.expect("long enough");
    assert!(
        (8 * MIB..10 * MIB).contains(&rate),
        "the limit was 8 MiB/s, {rate} is what a page of zeros weighs"
    );
    assert_eq!(told.fixed_ms, Some(7_000), "the wait for the lock is nobody's setup");
    assert_eq!((told.disks, told.dirty), (None, None));
}

#[test]
fn a_migration_too_short_to_tell_a_rate_tells_the_rest() {
    let told = read(&recording!("get-nodes-tasks-log-migrate-online")).expect("it went well");
    assert_eq!(told.memory, Some(Sent { bytes: 2_306_867, millis: 1_000, rate: None }));
    assert_eq!((told.downtime_ms, told.fixed_ms), (Some(2), Some(7_000)));
    let told = read(&recording!("task-log-migrate-offline")).expect("it went well");
    assert_eq!((told.to.as_str(), told.ran, told.fixed_ms), ("pve3", false, Some(3_000)));
}

#[test]
fn what_failed_or_never_ended_or_is_no_migration_measures_nothing() {
    for failed in [
        recording!("task-log-error-migrate-to-dead-node"),
        recording!("task-log-worker-killed"),
        recording!("task-log-ha-migrate-stuck"),
        recording!("task-log-hamigrate"),
        recording!("task-log-node-migrateall"),
        recording!("task-log-shutdown-timeout"),
        TaskLog::default(),
    ] {
        assert_eq!(read(&failed), None, "{failed:?}");
    }
    let good = recording!("task-log-migrate-online");
    assert!(measured(&task("OK"), &good, None).is_some());
    assert!(measured(&task("WARNINGS: 1"), &good, None).is_some());
    for status in ["migration problems", "unexpected status"] {
        assert_eq!(measured(&task(status), &good, None), None, "{status}");
    }
}

/// As recorded when the network was cut: nothing for 40 s, then as before.
const STALLED: &str = include_str!("../../../tests/data/pve/logs/stalled.log");

#[test]
fn a_stall_is_time_that_passed_and_no_streams_rate() {
    let sent = read(&log(STALLED)).and_then(|told| told.memory).expect("it sent its memory");
    assert_eq!(sent.millis, 46_000);
    let rate = sent.rate.expect("long enough");
    assert!((3_700_000..4_100_000).contains(&rate), "{rate}");
}

/// With a local disk, an active guest, xbzrle and a VFIO device: PVE 8 and 9.
const BUSY: &str = include_str!("../../../tests/data/pve/logs/busy.log");

#[test]
fn local_disks_and_a_guest_that_rewrites_its_memory_are_read() {
    let told = read(&log(BUSY)).expect("it went well");
    assert_eq!(told.memory, Some(Sent { bytes: 800 * MIB, millis: 4_000, rate: Some(200 * MIB) }));
    assert_eq!(told.disks, Some(Sent { bytes: 32 << 30, millis: 128_000, rate: Some(256 * MIB) }));
    assert_eq!((told.dirty, told.downtime_ms), (Some(300 * MIB), Some(187)));
    assert_eq!(told.fixed_ms, Some(8_000));
    // The middle of a long log is not read: nobody knows how many disks it told of.
    let cut = read(&TaskLog { cut: true, ..log(BUSY) }).expect("it went well");
    assert_eq!((cut.disks, cut.fixed_ms, cut.memory), (None, None, told.memory));
}

/// PVE 7 does not sum up what was sent.
#[test]
fn an_older_version_without_the_last_sum_is_read() {
    let older: Vec<&str> = STALLED.lines().filter(|line| !line.contains("completed, transferred")).collect();
    let sent = read(&log(&older.join("\n"))).and_then(|told| told.memory).expect("it sent its memory");
    assert_eq!((sent.bytes, sent.millis), (24_117_248, 46_000));
}

#[test]
fn a_container_is_away_from_its_shutdown_to_its_start() {
    let told = read(&log("\
2026-11-22 10:00:00 shutdown CT 105
2026-11-22 10:00:06 starting migration of CT 105 to node 'pve3' (10.99.0.13)
2026-11-22 10:00:06 volume 'ceph:vm-105-disk-0' is on shared storage 'ceph'
2026-11-22 10:00:07 start final cleanup
2026-11-22 10:00:08 start container on target node
2026-11-22 10:00:08 # /usr/bin/ssh -e none -o 'BatchMode=yes' root@10.99.0.13 pct start 105
2026-11-22 10:00:12 migration finished successfully (duration 00:00:12)
TASK OK"));
    let told = told.expect("it went well");
    assert_eq!((told.ran, told.downtime_ms, told.fixed_ms), (true, Some(12_000), Some(12_000)));
    assert_eq!(told.memory, None);
}

#[test]
fn clocks_that_were_put_back_measure_nothing() {
    let back = STALLED.replace("00:21:2", "23:21:2").replace("11-22 23", "11-21 23");
    assert_eq!(read(&log(&back)), None);
    let later = STALLED.replace("00:21:28", "00:20:50");
    let told = read(&log(&later)).expect("it went well");
    assert_eq!((told.memory, told.fixed_ms), (None, None), "no part is longer than the whole");
}

#[test]
fn what_was_sent_above_what_is_used_was_rewritten() {
    let good = recording!("task-log-migrate-online");
    let dirty = |used| measured(&task("OK"), &good, used).and_then(|measured| measured.dirty);
    let rate = read(&good).and_then(|told| told.memory?.rate).expect("a rate");
    assert_eq!(dirty(None), None);
    assert_eq!(dirty(Some(500 * MIB)), Some(0), "pages of zeros are used and not sent");
    let half = dirty(Some(51 * MIB)).expect("known");
    assert!(half.abs_diff(rate / 2) < rate / 50, "{half} of {rate}");
}

/// QEMU tells it now and then, while it is too much: one burst is not what the guest always does.
#[test]
fn of_what_a_guest_writes_the_middle_reading_counts() {
    let head = "2026-03-01 10:00:00 starting migration of VM 100 to node 'pve1' (10.0.0.1)";
    let end = "2026-03-01 10:00:20 migration finished successfully (duration 00:00:20)";
    let lines = [9, 3, 900, 5, 7].iter().enumerate().map(|(i, rate)| {
        format!(
            "2026-03-01 10:00:{:02} migration active, transferred 1.0 GiB of 2.0 GiB VM-state, 1.0 GiB/s, VM dirties lots of memory: {rate}.0 MiB/s",
            i + 1
        )
    });
    let text =
        [head.to_owned()].into_iter().chain(lines).chain([end.to_owned()]).collect::<Vec<_>>().join("\n");
    let told = read(&log(&text)).expect("it went well");
    assert_eq!(told.dirty, Some(7 * MIB));
}
