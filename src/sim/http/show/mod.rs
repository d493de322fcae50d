//! What the calls show of the world, in Proxmox's shapes: the members and types of the recordings first, of the schema
//! second. Reading and a few orders; whether an order is obeyed is the world's business.

mod backup;
mod ceph;
mod cluster;
mod guest;
mod ha;
mod machine;
mod node;
mod order;
mod storage;
mod task;

pub(super) use ha::manager_status;

use serde_json::Value;

/// A JSON object from pairs, leaving out what is absent: Proxmox does not write `null` for what it does not know.
pub(super) fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// SHA-256 in place of Proxmox's SHA-1: forty hex digits that change when the file does.
pub(super) fn digest(of: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(of).iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}
