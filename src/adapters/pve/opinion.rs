//! What a member says of the cluster: its list of members and its list of everything, read in one round. Pure.
//!
//! Where an answer does not say something that decisions rest on (who has quorum, where a guest is), the whole opinion fails:
//! nothing here fills a gap with a guess.

use std::collections::BTreeMap;

use super::views::{guest_id, is, power, seconds, small, whole};
use super::wire::{self, Envelope, Row};
use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{Capacity, Guest, GuestKind, NodeRow, Opinion, Storage};
use crate::model::seen::Trouble;

fn nonsense(what: String) -> Trouble {
    Trouble::Nonsense(what)
}

/// What `member` says of the cluster. `resources`: the body of its `/cluster/resources`.
///
/// # Errors
/// The body cannot be read, in words for people; or, of a body that can be read, what it does not say.
pub fn opinion(
    member: &NodeName,
    status: &wire::ClusterStatus,
    resources: &[u8],
) -> Result<Result<Opinion, Trouble>, String> {
    let (quorate, mut nodes) = match quorate(member, status).and_then(|q| Ok((q, members(member, status)?))) {
        Ok(told) => told,
        Err(why) => return Ok(Err(why)),
    };
    let rows = Envelope::<Vec<Row>>::read(resources)?.data;
    let mut guests = Vec::with_capacity(rows.len());
    for row in &rows {
        match &*row.kind {
            "qemu" | "lxc" => match guest(row) {
                Some(guest) => guests.push(guest),
                None => return Ok(Err(nonsense(format!("{member} lists {} without a place", &*row.id)))),
            },
            "node" => {
                if let Some(node) = row.node.as_deref().and_then(|name| nodes.get_mut(name)) {
                    node.capacity = capacity(row);
                }
            }
            "storage" => {
                let node = row.node.as_deref().and_then(|name| nodes.get_mut(name));
                if let (Some(node), Some(name)) = (node, row.storage.as_deref()) {
                    node.storages.insert(name.to_owned(), storage(row));
                }
            }
            _ => {}
        }
    }
    let nodes = nodes.into_iter().map(|(name, row)| (NodeName::from(name), row)).collect();
    Ok(Ok(Opinion { member: member.clone(), quorate, nodes, guests: guests.into_iter().collect() }))
}

fn quorate(member: &NodeName, status: &wire::ClusterStatus) -> Result<bool, Trouble> {
    match status.cluster() {
        Some(_) => {
            status.quorate().ok_or_else(|| nonsense(format!("{member} does not say if it is quorate")))
        }
        // A node that stands alone has no cluster row, and nobody to lose.
        None => Ok(true),
    }
}

fn members<'a>(
    member: &NodeName,
    status: &'a wire::ClusterStatus,
) -> Result<BTreeMap<&'a str, NodeRow>, Trouble> {
    let mut nodes = BTreeMap::new();
    for row in status.members() {
        let name =
            row.name.as_ref().ok_or_else(|| nonsense(format!("{member} lists a node without a name")))?;
        let online = row.online.is_some_and(|flag| flag.0);
        let address = row.ip.as_ref().map(|ip| ip.0.clone());
        let row = NodeRow { online, address, capacity: None, storages: BTreeMap::new() };
        nodes.insert(&**name, row);
    }
    Ok(nodes)
}

fn guest(row: &Row) -> Option<(GuestId, Guest)> {
    // `qemu/100` says it too, and is there in every version.
    let id = match row.vmid {
        Some(vmid) => guest_id(vmid)?,
        None => GuestId(row.id.split_once('/')?.1.parse().ok()?),
    };
    let memory = whole(row.maxmem);
    let guest = Guest {
        name: row.name.as_deref().unwrap_or(&row.id).to_owned(),
        kind: if &*row.kind == "lxc" { GuestKind::Lxc } else { GuestKind::Qemu },
        node: NodeName::from(row.node.as_deref()?),
        power: power(row.status.as_deref()),
        template: is(row.template),
        memory,
        memory_used: whole(row.mem).min(memory),
        cpus: small(row.maxcpu),
        lock: row.lock.as_deref().map(str::to_owned),
        ha: row.hastate.is_some(),
        uptime: seconds(row.uptime),
    };
    Some((id, guest))
}

fn capacity(row: &Row) -> Option<Capacity> {
    // An offline node keeps no figures, and without rights there are none; zero would read as a full node.
    row.maxmem?.0?;
    Some(Capacity {
        cores: small(row.maxcpu),
        memory: whole(row.maxmem),
        memory_used: whole(row.mem),
        uptime: seconds(row.uptime),
    })
}

fn storage(row: &Row) -> Storage {
    let figures = row.maxdisk.and_then(|max| max.0).zip(row.disk.and_then(|used| used.0));
    Storage { shared: is(row.shared), free: figures.map(|(max, used)| (max - used).max(0.0) as u64) }
}

#[cfg(test)]
pub(super) mod tests;
