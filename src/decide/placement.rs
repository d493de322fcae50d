//! Where guests can go. Every hard rule at every instant: memory, vCPUs, local storage, refusals, kept apart, closed nodes.
//!
//! Simple and right: the largest first, each to the node that has the largest share of its memory left (so no single
//! target takes everything); if that leaves somebody behind, once more with the tightest fit. Deterministic.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::case::Case;
use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{Guest, GuestKind, HaNodeState, Opinion, Power, Storage};
use crate::model::owed::Whereabouts;
use crate::model::rules::Packing;
use crate::model::wait::Wait;

use super::view::View;

/// What one guest, or several that HA keeps together, need of a node.
#[derive(Clone, Debug, Default)]
pub struct Need {
    pub guests: Vec<GuestId>,
    /// Bytes, overhead included.
    pub memory: u64,
    pub cpus: u32,
    /// Local storage → bytes.
    pub disks: BTreeMap<String, u64>,
    /// Nothing else will do; `None`: any.
    pub only: Option<BTreeSet<NodeName>>,
    /// Node → why not.
    pub refused: BTreeMap<NodeName, String>,
    /// Guests that must not be on the same node.
    pub apart: BTreeSet<GuestId>,
}

/// What a node has left.
#[derive(Clone, Debug)]
pub struct Room {
    /// Bytes for guests in all, and not yet promised. Negative: already too full.
    pub total: u64,
    pub memory: i128,
    /// Hundredths of a vCPU.
    pub cpus: i128,
    pub storages: BTreeMap<String, Storage>,
    pub holds: BTreeSet<GuestId>,
}

/// Nodes that can take guests, with what they have left.
pub type Rooms = BTreeMap<NodeName, Room>;
/// Nodes that cannot, with the reason.
pub type Closed = BTreeMap<NodeName, String>;

/// Who goes where, and who cannot.
#[derive(Clone, Debug, Default)]
pub struct Placed {
    pub to: BTreeMap<GuestId, NodeName>,
    /// Guest → every node with the reason why it cannot take it.
    pub left: BTreeMap<GuestId, Vec<(NodeName, String)>>,
}

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
    for node in view.cluster()?.nodes.keys().filter(|node| *node != leaving) {
        match if held.contains(node) { Err("in maintenance".to_owned()) } else { room(node, view)? } {
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
    let mut room = Room {
        total,
        memory: i128::from(total),
        cpus: cpus as i128,
        storages: row.storages.clone(),
        holds: BTreeSet::new(),
    };
    for (id, guest) in residents(node, cluster, &view.state.cases) {
        if guest.memory == 0 && guest.power != Power::Stopped && !guest.template {
            return Ok(Err(format!("the size of guest {id} there is not known")));
        }
        room.take(id, guest, packing);
    }
    Ok(Ok(room))
}

/// Guests that are on a node, and guests of ours that are moving to it.
fn residents<'a>(
    node: &'a NodeName,
    cluster: &'a Opinion,
    cases: &'a [Case],
) -> impl Iterator<Item = (GuestId, &'a Guest)> {
    let coming: BTreeSet<GuestId> = cases
        .iter()
        .flat_map(|case| &case.owed.guests)
        .filter(|(_, debt)| match &debt.at {
            Whereabouts::Leaving { to, .. } => to.as_ref() == Some(node),
            Whereabouts::Returning { .. } => &debt.home == node,
            _ => false,
        })
        .map(|(id, _)| *id)
        .collect();
    cluster
        .guests
        .iter()
        .filter(move |(id, guest)| &guest.node == node || coming.contains(*id))
        .map(|(id, guest)| (*id, guest))
}

impl Room {
    fn take(&mut self, id: GuestId, guest: &Guest, packing: &Packing) {
        self.holds.insert(id);
        if guest.power != Power::Stopped {
            self.memory -= i128::from(cost(guest, packing));
            self.cpus -= i128::from(guest.cpus) * 100;
        }
    }

    /// Why it cannot take `need`, if so.
    pub fn refuses(&self, node: &NodeName, need: &Need) -> Option<String> {
        if need.only.as_ref().is_some_and(|only| !only.contains(node)) {
            return Some("an HA rule does not allow it".to_owned());
        }
        if let Some(why) = need.refused.get(node) {
            return Some(why.clone());
        }
        if need.apart.iter().any(|other| self.holds.contains(other)) {
            return Some("an HA rule keeps them apart".to_owned());
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
        self.holds.extend(need.guests.iter().copied());
        for (storage, bytes) in &need.disks {
            if let Some(Storage { free: Some(free), .. }) = self.storages.get_mut(storage) {
                *free = free.saturating_sub(*bytes);
            }
        }
    }

    /// Share of memory that would be left, in millionths: what "evenly" means across unlike nodes.
    pub fn share_left(&self, need: &Need) -> i128 {
        (self.memory - i128::from(need.memory)) * 1_000_000 / i128::from(self.total.max(1))
    }
}

#[derive(Clone, Copy)]
enum Fit {
    Even,
    Tight,
}

/// Finds a place for all, the most wanting first.
pub fn place(needs: &[Need], rooms: &BTreeMap<NodeName, Room>) -> Placed {
    let even = place_by(needs, rooms, Fit::Even);
    if even.left.is_empty() {
        return even;
    }
    let tight = place_by(needs, rooms, Fit::Tight);
    if tight.left.len() < even.left.len() { tight } else { even }
}

fn place_by(needs: &[Need], rooms: &BTreeMap<NodeName, Room>, fit: Fit) -> Placed {
    let mut rooms = rooms.clone();
    let mut order: Vec<&Need> = needs.iter().collect();
    order.sort_by_key(|need| {
        (std::cmp::Reverse(need.memory), std::cmp::Reverse(need.cpus), need.guests.clone())
    });
    let mut placed = Placed::default();
    for need in order {
        let open = rooms.iter().filter(|(node, room)| room.refuses(node, need).is_none());
        let best = match fit {
            Fit::Even => {
                open.max_by_key(|(node, room)| (room.share_left(need), std::cmp::Reverse((*node).clone())))
            }
            Fit::Tight => open.min_by_key(|(node, room)| (room.share_left(need), (*node).clone())),
        };
        match best.map(|(node, _)| node.clone()) {
            Some(node) => {
                if let Some(room) = rooms.get_mut(&node) {
                    room.promise(need);
                }
                placed.to.extend(need.guests.iter().map(|guest| (*guest, node.clone())));
            }
            None => {
                let why: Vec<_> = rooms
                    .iter()
                    .filter_map(|(node, room)| room.refuses(node, need).map(|why| (node.clone(), why)))
                    .collect();
                placed.left.extend(need.guests.iter().map(|guest| (*guest, why.clone())));
            }
        }
    }
    placed
}
