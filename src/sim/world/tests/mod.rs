//! The world against the facts: each test is one thing that was measured on a real cluster.

mod ceph;
mod ha;
mod leaps;
mod migrating;
mod nodes;
mod unsafe_acts;

use super::*;
use crate::model::ids::HostName;
use crate::model::observed::GuestKind;
use crate::model::step::Switch;

fn node(name: &str) -> NodeName {
    name.into()
}

fn host(name: &str) -> HostName {
    name.into()
}

/// A call to move a guest as pitlane would ask for it: live, or with a restart.
fn call(world: &World, id: u32, to: &str) -> MigrateCall {
    let guest = &world.guests[&GuestId(id)];
    MigrateCall {
        guest: GuestId(id),
        kind: guest.kind,
        node: guest.node.clone(),
        target: to.into(),
        online: guest.kind == GuestKind::Qemu,
        with_local_disks: false,
        restart: guest.kind == GuestKind::Lxc,
    }
}

/// As pitlane, through pve3.
fn migrate(world: &mut World, id: u32, to: &str) -> Result<crate::model::ids::Upid, Refusal> {
    let call = call(world, id, to);
    world.migrate(Actor::Pitlane, &node("pve3"), &call)
}

fn at(world: &World, id: u32) -> &str {
    world.guests[&GuestId(id)].node.as_str()
}

fn status(world: &World, upid: &crate::model::ids::Upid) -> String {
    match &world.tasks.iter().find(|t| &t.upid == upid).expect("a task").state {
        TaskState::Running => "running".into(),
        TaskState::Ended { status, .. } => status.clone(),
    }
}

/// Seconds until `holds`, at most `limit`.
fn wait(world: &mut World, limit: u64, holds: impl Fn(&World) -> bool) -> u64 {
    for second in 0..=limit {
        if holds(world) {
            return second;
        }
        world.advance_secs(1);
    }
    panic!("it did not come true within {limit} s");
}
