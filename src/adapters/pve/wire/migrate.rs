//! What a node says about moving one of its guests.
//!
//! QEMU spells the members with underscores, containers with dashes, and QEMU mixes both. "Allowed" means little: nodes that are
//! offline, in maintenance or outside a strict affinity rule were all seen to be allowed.

use serde::Deserialize;

use super::{Flag, Int, Items, Table, Text};

/// `GET /nodes/N/{qemu,lxc}/ID/migrate`.
#[derive(Debug, Clone, Deserialize)]
pub struct Preconditions {
    pub running: Option<Flag>,
    #[serde(alias = "allowed-nodes")]
    pub allowed_nodes: Option<Vec<Text>>,
    /// Has an entry without members for a node that *is* allowed.
    #[serde(default, alias = "not-allowed-nodes")]
    pub not_allowed_nodes: Table<Obstacles>,
    #[serde(default)]
    pub local_disks: Vec<LocalDisk>,
    /// `usb0`, `hostpci0`, `serial0`, …
    #[serde(default)]
    pub local_resources: Vec<Text>,
    #[serde(default, rename = "mapped-resource-info")]
    pub mapped_resource_info: Table<MappedResource>,
    /// 9.x: the node can carry the firewall's established connections over.
    #[serde(rename = "has-dbus-vmstate")]
    pub has_dbus_vmstate: Option<Flag>,
    /// HA guests that would be moved along.
    #[serde(default, rename = "dependent-ha-resources")]
    pub dependent_ha_resources: Vec<Text>,
}

/// Why one node is no target. Nothing in it: it is one.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Obstacles {
    #[serde(default, alias = "unavailable-storages")]
    pub unavailable_storages: Items,
    #[serde(default, rename = "unavailable-resources")]
    pub unavailable_resources: Items,
    #[serde(default, rename = "blocking-ha-resources")]
    pub blocking_ha_resources: Vec<BlockingResource>,
}

impl Obstacles {
    pub fn none(&self) -> bool {
        self.unavailable_storages.0.is_empty()
            && self.unavailable_resources.0.is_empty()
            && self.blocking_ha_resources.is_empty()
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct BlockingResource {
    pub sid: Text,
    pub cause: Option<Text>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct LocalDisk {
    pub volid: Text,
    /// Bytes.
    pub size: Option<Int>,
    /// A local ISO image: it blocks every live migration.
    pub cdrom: Option<Flag>,
    pub is_unused: Option<Flag>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct MappedResource {
    pub name: Option<Text>,
    #[serde(rename = "live-migration")]
    pub live_migration: Option<Flag>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_read() {
        let qemu = r#"{"running":1,"allowed_nodes":["a"],"not_allowed_nodes":{"a":{},"b":{"unavailable_storages":["x"]}}}"#;
        let lxc = r#"{"running":0,"allowed-nodes":["a"],"not-allowed-nodes":{"b":{"blocking-ha-resources":[{"sid":"ct:1","cause":"resource-affinity"}]}}}"#;
        let qemu: Preconditions = serde_json::from_str(qemu).expect("qemu");
        let lxc: Preconditions = serde_json::from_str(lxc).expect("lxc");
        assert!(qemu.not_allowed_nodes["a"].none() && !qemu.not_allowed_nodes["b"].none());
        assert!(!lxc.not_allowed_nodes["b"].none());
        assert_eq!(lxc.allowed_nodes.map(|n| n.len()), Some(1));
    }
}
