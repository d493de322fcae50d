//! What nodes have left at this moment, and whether one takes a guest: asked again before every single start, because no
//! plan is as fresh as that. Every hard rule: memory, vCPUs, local storage, refusals, kept apart, closed nodes.
//!
//! Where guests go is not decided here: that is the planner's.

use std::collections::BTreeMap;

use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{Guest, GuestDetail, GuestKind, HaNodeState, Power, Storage};
use crate::model::plan::How;
use crate::model::rules::Packing;
use crate::model::wait::Wait;

use super::under_way;
use crate::decide::view::View;

/// What one of our guests needs of a node.
#[derive(Clone, Debug)]
pub struct Need {
    /// Bytes, overhead included.
    pub memory: u64,
    pub cpus: u32,
    /// Local storage → bytes.
    pub disks: BTreeMap<String, u64>,
    /// Node → why not.
    pub refused: BTreeMap<NodeName, String>,
}

/// What `guest` needs when it moves this way.
pub fn need(guest: &Guest, detail: &GuestDetail, how: How, packing: &Packing) -> Need {
    let runs = how != How::Offline;
    Need {
        memory: if runs { cost(guest, packing) } else { 0 },
        cpus: if runs { guest.cpus } else { 0 },
        disks: disks(detail),
        refused: detail.refused.clone(),
    }
}

/// Local storage → bytes on it.
pub fn disks(detail: &GuestDetail) -> BTreeMap<String, u64> {
    let mut disks = BTreeMap::new();
    for (volume, bytes) in &detail.local_disks {
        let storage = volume.split(':').next().unwrap_or(volume).to_owned();
        *disks.entry(storage).or_insert(0) += bytes;
    }
    disks
}

/// What a node has left.
#[derive(Clone, Debug)]
pub struct Room {
    /// Bytes not yet promised. Negative: already too full.
    pub memory: i128,
    /// Hundredths of a vCPU.
    pub cpus: i128,
    pub storages: BTreeMap<String, Storage>,
}

/// Nodes that can take guests, with what they have left.
pub type Rooms = BTreeMap<NodeName, Room>;
/// Nodes that cannot, with the reason.
pub type Closed = BTreeMap<NodeName, String>;

/// Memory that a running guest costs its node, bytes.
pub fn cost(guest: &Guest, packing: &Packing) -> u64 {
    let overhead = match guest.kind {
        GuestKind::Qemu => {
            packing.guest_overhead + guest.memory / 100 * u64::from(packing.guest_overhead_percent)
        }
        GuestKind::Lxc => 0,
    };
    guest.memory.saturating_add(overhead)
}

/// Nodes that can take guests from `leaving`, with what they have left now; and those that cannot, with the reason.
/// Guests on their way to a node count there already, fully.
pub fn rooms(leaving: &NodeName, view: &View) -> Result<(Rooms, Closed), Wait> {
    let mut rooms = Rooms::new();
    let mut closed = Closed::new();
    let held = view.held_by_others(leaving);
    let residents = residents(view)?;
    for node in view.cluster()?.nodes.keys().filter(|node| *node != leaving) {
        match if held.contains(node) {
            Err("in maintenance".to_owned())
        } else {
            left(node, residents.get(node), view)?
        } {
            Ok(room) => {
                rooms.insert(node.clone(), room);
            }
            Err(why) => {
                closed.insert(node.clone(), why);
            }
        }
    }
    Ok((rooms, closed))
}

/// What one node has left, or why it takes nobody.
pub fn room(node: &NodeName, view: &View) -> Result<Result<Room, String>, Wait> {
    left(node, residents(view)?.get(node), view)
}

fn left(node: &NodeName, residents: Option<&Residents>, view: &View) -> Result<Result<Room, String>, Wait> {
    let (cluster, ha) = (view.cluster()?, view.ha()?);
    let packing = &view.rules.packing;
    let Some(row) = cluster.nodes.get(node) else { return Ok(Err("no member".to_owned())) };
    if !row.online {
        return Ok(Err("offline".to_owned()));
    }
    if ha.maintenance_requested(node) {
        return Ok(Err("in maintenance".to_owned()));
    }
    if ha.nodes.get(node).is_some_and(|n| n.state != HaNodeState::Online) {
        return Ok(Err("not online for HA".to_owned()));
    }
    let Some(capacity) = row.capacity else { return Ok(Err("its size is not known".to_owned())) };
    let total = capacity.memory.saturating_sub(packing.node_reserve);
    let cpus = f64::from(capacity.cores) * packing.cpu_overcommit * 100.0;
    let mut room = Room { memory: i128::from(total), cpus: cpus as i128, storages: row.storages.clone() };
    for (id, guest) in residents.into_iter().flatten().copied() {
        if guest.memory == 0 && guest.power != Power::Stopped && !guest.template {
            return Ok(Err(format!("the size of guest {id} there is not known")));
        }
        room.take(guest, packing);
        if &guest.node != node
            && let Ok(detail) = view.guest(id)
        {
            room.promise_disks(&disks(detail));
        }
    }
    Ok(Ok(room))
}

type Residents<'a> = Vec<(GuestId, &'a Guest)>;

/// Node → guests that are there, and guests that are moving there. Once for all nodes: a large cluster has many of both.
fn residents<'a>(view: &View<'a>) -> Result<BTreeMap<NodeName, Residents<'a>>, Wait> {
    let cluster = view.cluster()?;
    let mut all: BTreeMap<NodeName, Residents> = BTreeMap::new();
    let mut add = |node: &NodeName, id: GuestId, guest: &'a Guest| match all.get_mut(node) {
        Some(there) => there.push((id, guest)),
        None => drop(all.insert(node.clone(), vec![(id, guest)])),
    };
    for (id, guest) in &cluster.guests {
        add(&guest.node, *id, guest);
    }
    for (id, to) in under_way(view) {
        if let Some(guest) = cluster.guests.get(&id) {
            add(&to, id, guest);
        }
    }
    Ok(all)
}

impl Room {
    fn take(&mut self, guest: &Guest, packing: &Packing) {
        if guest.power != Power::Stopped {
            self.memory -= i128::from(cost(guest, packing));
            self.cpus -= i128::from(guest.cpus) * 100;
        }
    }

    /// Why it cannot take `need`, if so.
    pub fn refuses(&self, node: &NodeName, need: &Need) -> Option<String> {
        if let Some(why) = need.refused.get(node) {
            return Some(why.clone());
        }
        if i128::from(need.memory) > self.memory {
            return Some(format!("memory: {} MiB short", (i128::from(need.memory) - self.memory) >> 20));
        }
        if i128::from(need.cpus) * 100 > self.cpus {
            return Some("vCPUs".to_owned());
        }
        for (storage, bytes) in &need.disks {
            match self.storages.get(storage).and_then(|s| s.free) {
                None => return Some(format!("it does not have storage {storage}")),
                Some(free) if free < *bytes => return Some(format!("storage {storage} is too full")),
                Some(_) => {}
            }
        }
        None
    }

    /// Counts `need` in.
    pub fn promise(&mut self, need: &Need) {
        self.memory -= i128::from(need.memory);
        self.cpus -= i128::from(need.cpus) * 100;
        self.promise_disks(&need.disks);
    }

    fn promise_disks(&mut self, disks: &BTreeMap<String, u64>) {
        for (storage, bytes) in disks {
            if let Some(Storage { free: Some(free), .. }) = self.storages.get_mut(storage) {
                *free = free.saturating_sub(*bytes);
            }
        }
    }
}
