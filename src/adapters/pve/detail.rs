//! From Proxmox's words to the model's: one node in full, one guest in full. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    bindings,
    views::{guest_id, power, time},
    wire,
};
use crate::model::ids::{GuestId, NodeName, Upid};
use crate::model::observed::{
    GuestDetail, GuestKind, LiveState, Maintained, NodeDetail, Power, Storage, Task, TaskEnd,
};
use crate::model::time::Time;

/// The answers of one node about itself.
pub struct NodeAnswers {
    pub qemu: Vec<wire::GuestRow>,
    pub lxc: Vec<wire::GuestRow>,
    pub tasks: Vec<wire::TaskRow>,
    pub services: Vec<wire::ServiceRow>,
    pub time: wire::NodeTime,
    pub version: wire::Version,
}

/// `now` is our clock when the node was asked for its own.
pub fn node(name: &NodeName, answers: &NodeAnswers, now: Time) -> NodeDetail {
    let rows = answers.qemu.iter().chain(&answers.lxc);
    let live = rows.filter_map(|row| Some((guest_id(row.vmid)?, power(row.status.as_deref())))).collect();
    let clock_ahead = answers.time.time.0 - now.as_second();
    let tasks: Vec<Task> = answers
        .tasks
        .iter()
        .filter_map(|row| task(name, row))
        .map(|task| by_our_clock(task, clock_ahead))
        .collect();
    // `stopall` runs at the start of every shutdown of a node, and at no other time but a person's wish.
    let going_down = tasks.iter().any(|task| task.runs() && task.kind == "stopall");
    NodeDetail {
        live,
        tasks,
        services: answers.services.iter().filter_map(service).collect(),
        clock_ahead,
        version: answers.version.version.0.clone(),
        maintained: if going_down { Maintained::ShuttingDown } else { Maintained::No },
    }
}

/// Tasks are dated by their node's clock. A second or two is the time of the question itself.
fn by_our_clock(mut task: Task, ahead: i64) -> Task {
    const SAME_CLOCK_SECS: i64 = 3;
    if ahead.abs() > SAME_CLOCK_SECS {
        let shift = jiff::SignedDuration::from_secs(ahead);
        let ours = |at: Time| at.saturating_sub(shift).unwrap_or(at);
        task.started = ours(task.started);
        if let Some(end) = &mut task.ended {
            end.at = ours(end.at);
        }
    }
    task
}

/// `None` for services that are not installed.
fn service(row: &wire::ServiceRow) -> Option<(String, bool)> {
    if matches!(row.unit_state.as_deref(), Some("not-found" | "masked")) {
        return None;
    }
    let active = row.active_state.as_deref() == Some("active");
    Some((row.service.0.clone(), active || row.state.as_deref() == Some("running")))
}

/// `None` for a row whose name or start cannot be read.
pub fn task(asked: &NodeName, row: &wire::TaskRow) -> Option<Task> {
    let name: super::Upid = row.upid.parse().ok()?;
    let started = Time::from_second(name.start_secs).ok()?;
    let ended = row.end().map(|_| TaskEnd {
        at: time(row.endtime).unwrap_or(started),
        status: row.status.as_ref().map_or_else(|| "unexpected status".to_owned(), |status| status.0.clone()),
    });
    let node = row.node.as_ref().map_or_else(|| asked.clone(), |node| NodeName(node.0.clone()));
    let guest = name.id.parse().ok().map(GuestId);
    Some(Task { upid: Upid(row.upid.0.clone()), node, kind: name.kind, guest, started, ended })
}

/// `status/current`, in the model's words.
pub fn live(kind: GuestKind, current: &wire::GuestCurrent) -> LiveState {
    LiveState {
        power: power(Some(&current.status)),
        qemu: (kind == GuestKind::Qemu).then(|| current.qmpstatus.as_ref().map(|s| s.0.clone())).flatten(),
        lock: current.lock.as_ref().map(|lock| lock.0.clone()),
    }
}

/// What decides whether the guest can move. `preconditions` is `None` where the version or a lock gave none; then
/// only the configuration speaks.
pub fn guest(
    kind: GuestKind,
    live: Option<LiveState>,
    config: &wire::GuestConfig,
    preconditions: Option<&wire::Preconditions>,
    storages: &BTreeMap<String, Storage>,
) -> GuestDetail {
    let bound = bindings::of(kind, config, storages);
    let mut detail = GuestDetail {
        live,
        onboot: config.is_set("onboot"),
        local_disks: bound.local_disks,
        local_cdrom: bound.local_cdrom,
        storages: bound.storages,
        cpu: bound.cpu,
        macs: bound.macs,
        ..GuestDetail::default()
    };
    let mut devices: BTreeSet<String> = bound.devices;
    if let Some(said) = preconditions {
        add_preconditions(&mut detail, &mut devices, said);
    }
    detail.devices = devices.into_iter().collect();
    detail
}

fn add_preconditions(detail: &mut GuestDetail, devices: &mut BTreeSet<String>, said: &wire::Preconditions) {
    devices.extend(said.local_resources.iter().map(|device| device.0.clone()));
    // A mapped device that can move live is no binding; whether a target has it is told per node.
    for (key, mapped) in said.mapped_resource_info.iter() {
        if mapped.live_migration == Some(wire::Flag(true)) {
            devices.remove(key);
        }
    }
    for disk in &said.local_disks {
        if disk.cdrom == Some(wire::Flag(true)) {
            detail.local_cdrom.get_or_insert_with(|| disk.volid.0.clone());
            continue;
        }
        let size = disk.size.map_or(0, |size| u64::try_from(size.0).unwrap_or(0));
        detail.local_disks.insert(disk.volid.0.clone(), size);
    }
    for (node, obstacles) in said.not_allowed_nodes.iter().filter(|(_, obstacles)| !obstacles.none()) {
        detail.refused.insert(NodeName(node.clone()), words(obstacles));
    }
}

/// An obstacle, for people.
pub fn words(obstacles: &wire::Obstacles) -> String {
    let storages =
        obstacles.unavailable_storages.0.iter().map(|name| format!("storage {name} is not available there"));
    let devices =
        obstacles.unavailable_resources.0.iter().map(|name| format!("device {name} is not mapped there"));
    let guests = obstacles.blocking_ha_resources.iter().map(|resource| {
        let cause = resource.cause.as_deref().unwrap_or("HA");
        format!("{} forbids it ({cause})", &*resource.sid)
    });
    storages.chain(devices).chain(guests).collect::<Vec<_>>().join(", ")
}

/// A guest's state from its row in the node's own list, which saves a question per guest.
pub fn live_of_row(kind: GuestKind, row: &wire::GuestRow) -> LiveState {
    LiveState {
        power: match power(row.status.as_deref()) {
            Power::Unknown => power(row.qmpstatus.as_deref()),
            known => known,
        },
        qemu: (kind == GuestKind::Qemu).then(|| row.qmpstatus.as_ref().map(|s| s.0.clone())).flatten(),
        lock: row.lock.as_ref().map(|lock| lock.0.clone()),
    }
}

impl NodeAnswers {
    /// The state of every guest the node lists.
    pub fn live(&self) -> BTreeMap<GuestId, LiveState> {
        let of = |kind, rows: &[wire::GuestRow]| -> Vec<(GuestId, LiveState)> {
            rows.iter().filter_map(|row| Some((guest_id(row.vmid)?, live_of_row(kind, row)))).collect()
        };
        of(GuestKind::Qemu, &self.qemu).into_iter().chain(of(GuestKind::Lxc, &self.lxc)).collect()
    }
}
