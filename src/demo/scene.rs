//! The demo's cluster and rules: five nodes, forty guests, a fan that will come and go.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::config::{Mistakes, policy};
use crate::model::ids::GuestId;
use crate::model::observed::GuestKind;
use crate::model::rules::{
    Budgets, CephSetup, ContainerPolicy, HandSetup, ImmovablePolicy, Limits, Mapping, Mode, Packing, Rules,
};
use crate::model::time::Period;
use crate::sim::World;
use crate::sim::world::audit::Expect;
use crate::sim::world::{GIB, Run};

/// The node whose fan fails.
pub const NODE: &str = "pve2";
/// Eight guests a node. On the sick one: HA and not, two containers, one with a local disk, one with a passed-through
/// device, one that is stopped.
const NAMES: [&str; 8] = ["shop", "mail", "db", "web", "wiki", "cache", "build", "archive"];

pub fn cluster() -> World {
    let mut builder = World::builder(5).ceph(2);
    let mut ha = Vec::new();
    for node in 1..=5_u32 {
        for (n, name) in (1..).zip(NAMES) {
            let id = node * 100 + n;
            builder = builder.guest(id, &format!("pve{node}"), |guest| {
                guest.name = format!("{name}{node}");
                guest.memory = (2 + u64::from(n)) * GIB;
                guest.memory_used = guest.memory / 2;
                match n {
                    5 | 6 => guest.kind = GuestKind::Lxc,
                    4 if node == 2 => {
                        guest.local_disks.insert(format!("local-lvm:vm-{id}-disk-0"), 20 * GIB);
                    }
                    7 if node == 2 => guest.devices.push("hostpci0".to_owned()),
                    8 => guest.run = Run::Stopped,
                    _ => {}
                }
            });
            if n <= 3 {
                ha.push(id);
            }
        }
    }
    // The operator's approval of the plan covers it.
    builder.ha(&ha).with(|world| world.safety.may_shut_down = [GuestId(207)].into()).build()
}

/// As shipped, but for what the story needs: a person approves, and nobody wants to watch a soak of two hours.
pub fn rules() -> Rules {
    let mut mistakes = Mistakes::default();
    let mut policies = policy::load(None, &mut mistakes);
    for policy in &mut policies {
        policy.respond.mode = Mode::Approve;
        policy.respond.containers = ContainerPolicy::Ask;
        policy.respond.immovable = ImmovablePolicy::ShutDown;
        policy.prove.soak = Period::mins(20);
    }
    Rules {
        mode: Mode::Approve,
        policies,
        mapping: Mapping::default(),
        ceph: CephSetup::Hyperconverged,
        hand: HandSetup::Installed,
        alarms: Default::default(),
        budgets: Budgets { drains_per_day_max: 20, ..Budgets::default() },
        limits: Limits::default(),
        packing: Packing::default(),
        notify: Default::default(),
        own: crate::model::rules::OwnHome::outside(),
        silences: None,
        shared: None,
    }
}

/// Everybody home, nothing held. The work order is on pitlane's own board, not on the world's.
pub fn expected() -> Expect {
    Expect::default()
}

/// The operator's token, for whoever talks to the demo from another shell.
pub fn write_token(dir: &Path, secret: &str) -> anyhow::Result<PathBuf> {
    let token = dir.join("operator.token");
    std::fs::write(&token, format!("{secret}\n")).context("writing the operator's token")?;
    Ok(token)
}
