//! What Proxmox shows of nodes and guests.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ha::{HaRules, HaView};
use crate::model::ids::{GuestId, NodeName, Upid};
use crate::model::seen::Seen;
use crate::model::time::Time;

/// Everything asked of Proxmox in one look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PveView {
    /// The member that was asked, and what it says.
    pub first: Seen<Opinion>,
    /// Another member, asked the same in the same round. One member alone can be wrong: without quorum it answers old data.
    pub second: Seen<Opinion>,
    pub ha: Seen<HaView>,
    pub ha_rules: Seen<HaRules>,
    pub votes: Seen<Votes>,
    pub privileges: Seen<Privileges>,
    /// The nodes wished for, in full.
    pub nodes: BTreeMap<NodeName, Seen<NodeDetail>>,
    /// Guests on those nodes or owed a way home, in full.
    pub guests: BTreeMap<GuestId, Seen<GuestDetail>>,
}

impl Default for PveView {
    fn default() -> Self {
        Self {
            first: Seen::NotAsked,
            second: Seen::NotAsked,
            ha: Seen::NotAsked,
            ha_rules: Seen::NotAsked,
            votes: Seen::NotAsked,
            privileges: Seen::NotAsked,
            nodes: BTreeMap::new(),
            guests: BTreeMap::new(),
        }
    }
}

/// What one member says of the whole cluster, read in one round from one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opinion {
    pub member: NodeName,
    /// Without quorum a member answers 200 with old data; only this shows it.
    pub quorate: bool,
    pub nodes: BTreeMap<NodeName, NodeRow>,
    pub guests: BTreeMap<GuestId, Guest>,
}

impl Opinion {
    /// Guests that the cluster's configuration puts on `node`. The placement is current; `power` lags some seconds.
    pub fn guests_on<'a>(&'a self, node: &'a NodeName) -> impl Iterator<Item = (&'a GuestId, &'a Guest)> {
        self.guests.iter().filter(move |(_, guest)| &guest.node == node)
    }

    pub fn online(&self, node: &NodeName) -> bool {
        self.nodes.get(node).is_some_and(|row| row.online)
    }
}

/// A member, as the cluster's membership and its last status say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeRow {
    /// Corosync's word.
    pub online: bool,
    /// Corosync address; absent for nodes that were offline when the asked member started.
    pub address: Option<String>,
    /// `None` where rights to see it are missing, or the node has been silent for long.
    pub capacity: Option<Capacity>,
    /// Storages as this node sees them, by name.
    #[serde(default)]
    pub storages: BTreeMap<String, Storage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    pub shared: bool,
    /// Bytes free; `None` where the row does not say.
    pub free: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    pub cores: u32,
    /// Bytes.
    pub memory: u64,
    /// Bytes in use now, caches included: for showing, not for planning.
    pub memory_used: u64,
    /// Seconds since boot.
    pub uptime: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestKind {
    Qemu,
    Lxc,
}

/// A guest's row in the cluster's list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guest {
    pub name: String,
    pub kind: GuestKind,
    pub node: NodeName,
    pub power: Power,
    pub template: bool,
    /// Configured maximum, bytes. Planning counts this, not what is used.
    pub memory: u64,
    /// Bytes in use, at most `memory`: what a live migration has to send at least.
    pub memory_used: u64,
    pub cpus: u32,
    /// The configuration's lock (`backup`, `migrate`, …).
    pub lock: Option<String>,
    /// Managed by Proxmox's HA, in whatever state.
    pub ha: bool,
    pub uptime: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    Running,
    Stopped,
    /// The list says neither. Counts as aboard.
    Unknown,
}

/// Corosync's votes: who has how many, and the external one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Votes {
    pub nodes: BTreeMap<NodeName, u32>,
    /// A quorum device's votes; 0 without one.
    pub qdevice: u32,
}

/// What our token may do, path → privileges. Missing rights make lists shorter in silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privileges {
    pub granted: BTreeMap<String, BTreeSet<String>>,
}

/// A node in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeDetail {
    /// Asked of the node itself (through another member), not of the cluster's list: what really runs there.
    pub live: BTreeMap<GuestId, Power>,
    /// Running tasks, and ended ones of the last hours, newest first.
    pub tasks: Vec<Task>,
    /// Service → runs.
    pub services: BTreeMap<String, bool>,
    /// The node's clock minus ours, seconds.
    pub clock_ahead: i64,
    /// `9.2.11`.
    pub version: String,
    pub maintained: Maintained,
}

/// Whether somebody is taking the node down or up at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Maintained {
    #[default]
    No,
    ShuttingDown,
}

/// A Proxmox task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub upid: Upid,
    /// Where it runs.
    pub node: NodeName,
    /// `qmigrate`, `vzmigrate`, `hamigrate`, `vzdump`, …
    pub kind: String,
    pub guest: Option<GuestId>,
    pub started: Time,
    /// `None` while it runs.
    pub ended: Option<TaskEnd>,
}

impl Task {
    pub fn runs(&self) -> bool {
        self.ended.is_none()
    }

    /// A task that really moves a guest. `hamigrate` only queues a command: its end means nothing.
    pub fn moves(&self, guest: GuestId) -> bool {
        self.guest == Some(guest) && matches!(self.kind.as_str(), "qmigrate" | "vzmigrate")
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEnd {
    pub at: Time,
    /// Proxmox's word: `OK`, `WARNINGS: 1`, or the error's last line.
    pub status: String,
}

impl TaskEnd {
    pub fn good(&self) -> bool {
        self.status == "OK" || self.status.starts_with("WARNINGS:")
    }
}

/// The text of a task's log. Its first and its last lines where it is too long to be read whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskLog {
    pub lines: Vec<String>,
    /// Lines are missing in the middle.
    pub cut: bool,
}

/// What decides whether and how a guest can move.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GuestDetail {
    pub live: Option<LiveState>,
    pub onboot: bool,
    /// Devices and other bindings to the machine: `hostpci0`, `usb0`, a bind mount.
    pub devices: Vec<String>,
    /// Disks on storage that only this node has, volume (`local-lvm:vm-103-disk-0`) → bytes.
    pub local_disks: BTreeMap<String, u64>,
    /// A CD image on local storage or the physical drive: blocks a live migration whatever the target has.
    pub local_cdrom: Option<String>,
    /// Nodes that Proxmox rules out, with its reason. Silence about a node is no promise.
    pub refused: BTreeMap<NodeName, String>,
    /// Storages under its disks, local and shared.
    #[serde(default)]
    pub storages: BTreeSet<String>,
    /// The configured processor model: `host`, `x86-64-v2-AES`; `None` for Proxmox's default, and for containers.
    #[serde(default)]
    pub cpu: Option<String>,
    /// Addresses of its network cards, lower case.
    #[serde(default)]
    pub macs: BTreeSet<String>,
}

/// `status/current`: the guest's own node answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveState {
    pub power: Power,
    /// QEMU's own word (`running`, `paused`, `postmigrate`, `inmigrate`); `None` for containers.
    pub qemu: Option<String>,
    pub lock: Option<String>,
}

impl Privileges {
    /// Granted on the path itself, or where Proxmox lists no entry for it, on the nearest path above that it lists.
    pub fn allows(&self, privilege: &str, path: &str) -> bool {
        let mut at = path;
        loop {
            if let Some(granted) = self.granted.get(at) {
                return granted.contains(privilege);
            }
            if at == "/" {
                return false;
            }
            at = match at.rfind('/') {
                Some(0) | None => "/",
                Some(slash) => &at[..slash],
            };
        }
    }
}
