//! Logs of migrations: what the simulated cluster writes has the recorded shape and tells the truth about that cluster,
//! and our adapter reads a log as far as it is worth it.

use std::collections::BTreeSet;
use std::sync::Arc;

use pitlane::decide::learning;
use pitlane::model::ids::{GuestId, NodeName, Upid};
use pitlane::model::observed::{Task, TaskEnd, TaskLog};
use pitlane::model::rates::{Measured, Rates};
use pitlane::model::seen::Trouble;
use pitlane::ports::Pve;
use pitlane::sim::World;
use pitlane::sim::world::{Actor, Builder, GIB, IllMove, MigrateCall, TaskState};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::pve_scripted::{Reply, healthy, proxmox, recorded};

const MIB: u64 = 1 << 20;
const UPID: &str = "UPID:pve2:00000BB9:0005BD43:6B022668:qmigrate:100:pitlane@pve!ctl:";

/// Moves a guest of the simulated cluster from pve1 to pve2, to the end.
fn moved(builder: Builder, guest: u32, spoil: Option<IllMove>) -> (World, Task, TaskLog) {
    let mut world = builder.build();
    let id = GuestId(guest);
    if let Some(how) = spoil {
        world.spoil_move(id, how);
    }
    let call = MigrateCall {
        guest: id,
        kind: world.guests[&id].kind,
        node: "pve1".into(),
        target: "pve2".into(),
        online: true,
        with_local_disks: true,
        restart: true,
    };
    let upid = world.migrate(Actor::Pitlane, &"pve3".into(), &call).expect("accepted");
    for _ in 0..4_000 {
        let task = world.tasks.iter().find(|task| task.upid == upid).expect("a task");
        if let TaskState::Ended { at, status } = &task.state {
            let ended = Some(TaskEnd { at: *at, status: status.clone() });
            let (kind, started) = (task.kind.to_owned(), task.started);
            let log = TaskLog { lines: task.lines(), cut: false };
            let task = Task { upid, node: "pve1".into(), kind, guest: Some(id), started, ended };
            return (world, task, log);
        }
        world.advance_secs(1);
    }
    panic!("the migration does not end");
}

fn measured(builder: Builder, guest: u32) -> Measured {
    let (world, task, log) = moved(builder, guest, None);
    let used = world.guests[&GuestId(guest)].memory_used;
    learning::measured(&task, &log, Some(used)).unwrap_or_else(|| panic!("unreadable: {log:#?}"))
}

/// Digits, names and addresses apart, what kind of line is it?
fn shape(line: &str) -> String {
    let mut shape = String::new();
    for c in line.chars() {
        let c = if c.is_ascii_digit() { '0' } else { c };
        if c != '0' || !shape.ends_with('0') {
            shape.push(c);
        }
    }
    // One unit is as good as another.
    ["KiB", "GiB", "TiB"].iter().fold(shape, |shape, unit| shape.replace(unit, "MiB"))
}

fn lines_of(reply: Reply) -> Vec<String> {
    let Reply::Data(rows) = reply else { panic!("a recorded success") };
    let text = |row: &Value| row["t"].as_str().expect("a line").to_owned();
    rows.as_array().expect("rows").iter().map(text).collect()
}

#[test]
fn a_simulated_log_has_the_recorded_lines_in_the_recorded_order() {
    let recorded: Vec<String> =
        lines_of(recorded("task-log-migrate-online")).iter().map(|line| shape(line)).collect();
    let (_, _, log) = moved(World::builder(3).guest(101, "pve1", |g| g.memory_used = 8 * GIB), 101, None);
    let mut at = 0;
    for line in &log.lines {
        let shape = shape(line);
        let found = recorded[at..].iter().position(|known| *known == shape);
        // Progress comes again and again.
        at += found.unwrap_or_else(|| panic!("{line}: no such line is recorded from here on"));
    }
    assert!(log.lines.len() >= 20, "{log:#?}");
    let (_, _, failed) = moved(
        World::builder(3).vm(101, "pve1"),
        101,
        Some(IllMove::Aborted("Can't connect to destination address using public key".into())),
    );
    let known = lines_of(self::recorded("task-log-error-migrate-to-dead-node"));
    let known: BTreeSet<String> = known.iter().map(|line| shape(line)).collect();
    assert!(failed.lines.iter().all(|line| known.contains(&shape(line))), "{failed:#?}");
}

#[test]
fn what_a_simulated_log_tells_is_what_the_world_did() {
    let quiet = |g: &mut pitlane::sim::world::Guest| (g.memory_used, g.dirty) = (16 * GIB, 0);
    let one = measured(World::builder(3).guest(101, "pve1", quiet), 101);
    let sent = one.memory.expect("it was live");
    assert!(sent.bytes.abs_diff(16 * GIB) < GIB / 8, "{sent:?}");
    let rate = sent.rate.expect("it took long enough");
    assert!(rate.abs_diff(700 * MIB) < 35 * MIB, "one stream carries 700 MiB/s there: {} MiB/s", rate / MIB);
    assert_eq!((one.from.as_str(), one.to.as_str(), one.ran), ("pve1", "pve2", true));
    assert!(one.dirty.is_some_and(|dirty| dirty < 10 * MIB), "{one:?}");
    assert!(one.fixed_ms.is_some_and(|ms| (2_000..=10_000).contains(&ms)), "{one:?}");

    let busy = measured(
        World::builder(3).guest(101, "pve1", |g| (g.memory_used, g.dirty) = (16 * GIB, 200 * MIB)),
        101,
    );
    let dirty = busy.dirty.expect("more was sent than there is");
    assert!(dirty.abs_diff(200 * MIB) < 20 * MIB, "{} MiB/s", dirty / MIB);

    let local = |g: &mut pitlane::sim::world::Guest| {
        g.local_disks.insert("local-lvm:vm-101-disk-0".to_owned(), 32 * GIB);
    };
    let disks = measured(World::builder(3).guest(101, "pve1", local), 101).disks.expect("it has a disk");
    assert_eq!(disks.bytes, 32 * GIB);
    assert!(disks.rate.is_some_and(|rate| rate.abs_diff(700 * MIB) < 70 * MIB), "{disks:?}");

    let container = measured(World::builder(3).ct(201, "pve1"), 201);
    assert!(container.ran && container.memory.is_none());
    assert!(container.downtime_ms.is_some_and(|ms| (4_000..=15_000).contains(&ms)), "{container:?}");
}

#[test]
fn a_simulated_migration_that_went_wrong_measures_nothing() {
    for how in [
        IllMove::Aborted("no".into()),
        IllMove::ProblemsAtSource,
        IllMove::StuckAtSource,
        IllMove::StoppedAtTarget,
        IllMove::Killed,
    ] {
        let (_, task, log) = moved(World::builder(3).vm(101, "pve1"), 101, Some(how.clone()));
        assert_eq!(learning::measured(&task, &log, None), None, "{how:?}: {log:#?}");
    }
}

fn around_pve1() -> BTreeSet<NodeName> {
    [NodeName::from("pve1")].into()
}

#[tokio::test]
async fn a_log_is_read_in_one_call_and_never_through_the_node_under_maintenance() {
    let script = Arc::new(healthy().on("GET /nodes/pve2/tasks/*", recorded("task-log-migrate-online")));
    let log = proxmox(&script).task_log(&Upid(UPID.into()), &around_pve1()).await.expect("a log");
    assert_eq!((log.lines.len(), log.cut), (30, false));
    assert_eq!(script.asked().len(), 1, "{:?}", script.asked());
    assert!(script.asked()[0].starts_with("pve2: GET /nodes/pve2/tasks/UPID%3Apve2"), "{:?}", script.asked());
}

#[tokio::test]
async fn of_a_long_log_both_ends_are_read() {
    let row = |n: u32| json!({"n": n, "t": "x".repeat(5_000)});
    let page: Vec<Value> = (1..=500).map(row).collect();
    let script = Arc::new(healthy().on("GET /nodes/pve2/tasks/*", Reply::Page(json!(page), 9_000)));
    let log = proxmox(&script).task_log(&Upid(UPID.into()), &around_pve1()).await.expect("a log");
    assert_eq!((log.lines.len(), log.cut, script.asked().len()), (600, true, 2));
    assert!(log.lines.iter().all(|line| line.len() <= 400), "no line is kept in full, however long");
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_a_trouble_and_no_measurement() {
    let script = Arc::new(healthy().on("GET /nodes/pve2/tasks/*", Reply::Error(595, "No route to host")));
    let asked = proxmox(&script);
    let said = asked.task_log(&Upid(UPID.into()), &around_pve1()).await;
    assert!(matches!(said, Err(Trouble::Unreachable(_))), "{said:?}");
    let said = asked.task_log(&Upid("nonsense".into()), &around_pve1()).await;
    assert!(matches!(said, Err(Trouble::Nonsense(_))), "{said:?}");
    // A log that is gone is one line.
    let script = Arc::new(healthy().on("GET /nodes/pve2/tasks/*", recorded("error-tasks-unknown-upid-log")));
    let log = proxmox(&script).task_log(&Upid(UPID.into()), &around_pve1()).await.expect("a log");
    assert_eq!(log.lines, ["unable to open file - No such file or directory"]);
}

/// As recorded when the network was cut; and with a local disk, an active guest, xbzrle and a VFIO device.
const REAL: [&str; 2] =
    [include_str!("../data/pve/logs/stalled.log"), include_str!("../data/pve/logs/busy.log")];

fn ended_well() -> Task {
    let started = "2026-11-22T10:00:00Z".parse().expect("a time");
    Task {
        upid: Upid(UPID.into()),
        node: "pve2".into(),
        kind: "qmigrate".into(),
        guest: Some(GuestId(100)),
        started,
        ended: Some(TaskEnd { at: started, status: "OK".into() }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,400}", cut: bool) {
        let lines = text.lines().map(str::to_owned).collect();
        let _ = learning::measured(&ended_well(), &TaskLog { lines, cut }, Some(MIB));
    }

    /// Real lines, cut, mixed and bent: whatever is measured is possible.
    #[test]
    fn no_mixture_of_real_lines_measures_the_impossible(
        picks in prop::collection::vec((0..60usize, 0..90usize, prop::option::of("[0-9.: A-Zi]{0,9}")), 0..60),
        cut: bool,
    ) {
        let real: Vec<&str> = REAL.iter().flat_map(|log| log.lines()).collect();
        let bent = picks.into_iter().map(|(line, at, put)| {
            let mut line = real[line % real.len()].to_owned();
            if let Some(put) = put {
                line.insert_str(at.min(line.len()), &put);
            }
            line
        });
        let text = TaskLog { lines: bent.collect(), cut };
        let task = ended_well();
        if let Some(one) = learning::measured(&task, &text, Some(MIB)) {
            let all = Rates::of(std::slice::from_ref(&one), task.started);
            prop_assert_eq!(all.migrations, 1);
            prop_assert!(all.stream.value > 0 && all.disk.value > 0);
        }
    }
}
