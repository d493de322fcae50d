//! What Proxmox's HA manager shows: its states, its requests, its rules.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::ids::{GuestId, NodeName};
use crate::model::time::Time;

/// The HA manager's own status file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaView {
    /// Nobody disarmed it (`disarm-ha`).
    pub armed: bool,
    pub master: Option<NodeName>,
    /// When the CRM last wrote; older than 30 s is "old timestamp - dead?" in Proxmox's words.
    pub crm_at: Option<Time>,
    pub nodes: BTreeMap<NodeName, HaNode>,
    pub services: BTreeMap<GuestId, HaService>,
}

impl HaView {
    /// Does HA manage anything at all? Without resources its daemons sleep, and that is no fault.
    pub fn in_use(&self) -> bool {
        !self.services.is_empty()
    }

    /// Maintenance was asked for (it may not be in effect yet).
    pub fn maintenance_requested(&self, node: &NodeName) -> bool {
        self.nodes.get(node).is_some_and(|n| n.maintenance_requested)
    }

    /// Maintenance is in effect.
    pub fn in_maintenance(&self, node: &NodeName) -> bool {
        self.nodes.get(node).is_some_and(|n| n.state == HaNodeState::Maintenance)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaNode {
    pub state: HaNodeState,
    /// `node_request`: survives reboots and the manager's own fail-over until somebody takes it back.
    pub maintenance_requested: bool,
    pub lrm: Option<LrmMode>,
    pub lrm_at: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HaNodeState {
    Online,
    Maintenance,
    Unknown,
    Fence,
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LrmMode {
    Active,
    Maintenance,
    Restart,
    Shutdown,
    Disarm,
    Other,
}

/// One HA guest, as the CRM sees it. A point sample "on the source, no target" is no failure: there are gaps
/// between queue, state change and task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaService {
    pub node: NodeName,
    /// `started`, `stopped`, `migrate`, `relocate`, `freeze`, `error`, `fence`, `recovery`, …
    pub state: String,
    pub target: Option<NodeName>,
    /// A queued command.
    pub command: bool,
    /// Where HA will bring it back to when maintenance ends. Can linger on a guest that is home.
    pub maintenance_node: Option<NodeName>,
}

/// Resources and rules as configured (groups of Proxmox 8 in the same form).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaRules {
    pub resources: BTreeMap<GuestId, HaResource>,
    pub nodes: Vec<NodeAffinity>,
    pub guests: Vec<ResourceAffinity>,
    /// Rules that Proxmox marks with errors: silently not applied. Rule → its words.
    pub broken: BTreeMap<String, String>,
    /// HA moves guests by itself to even the load (`ha-auto-rebalance`).
    pub auto_rebalance: bool,
    #[serde(default)]
    pub datacenter: Datacenter,
}

/// What the datacenter's options say of migrations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Datacenter {
    /// How HA chooses among the nodes that its rules allow (`crs: ha=`).
    #[serde(default)]
    pub scheduler: HaScheduler,
    /// Migrations that HA runs at a time from one node; `None`: Proxmox's default.
    pub workers: Option<u32>,
    /// Bytes per second that one migration may use; `None`: no limit.
    pub bwlimit: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HaScheduler {
    /// The node with the fewest HA guests; memory is not looked at.
    #[default]
    Basic,
    /// By configured or by live use of memory and processors (`static`, `dynamic`).
    Weighing,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaResource {
    /// The requested state: only `started` ones are moved by maintenance.
    pub requested: String,
    pub failback: bool,
}

/// Only the highest priority among the listed nodes that are online counts; a rule that is not strict falls back to
/// other nodes only when no listed one is online.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAffinity {
    pub rule: String,
    pub guests: BTreeSet<GuestId>,
    /// Node → priority.
    pub nodes: BTreeMap<NodeName, i64>,
    pub strict: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceAffinity {
    pub rule: String,
    pub guests: BTreeSet<GuestId>,
    pub kind: Affinity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Affinity {
    Together,
    Apart,
}
