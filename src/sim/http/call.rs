//! One call, allowed and well formed, at the member that executes it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::Answer;
use super::params::Params;
use super::route::What;
use super::tokens::Token;
use crate::model::ids::{GuestId, NodeName};
use crate::sim::World;
use crate::sim::world::Refusal;

pub(super) type Said = Result<Answer, Refusal>;

pub(super) struct Call<'a> {
    pub world: &'a mut World,
    pub token: &'a Token,
    /// The member that was asked.
    pub via: &'a NodeName,
    /// Where it is executed.
    pub at: &'a NodeName,
    pub params: &'a Params,
    pub fingerprints: &'a BTreeMap<NodeName, String>,
}

impl Call<'_> {
    pub fn serve(&mut self, what: What) -> Said {
        match what {
            What::Index => Ok(index()),
            What::Version => self.version(),
            What::Permissions => self.permissions(),
            What::ClusterStatus => self.cluster_status(),
            What::Resources => self.resources(),
            What::Members => self.members(),
            What::Qdevice => self.qdevice(),
            What::Options => self.options(),
            What::Storages => self.storages(),
            What::BackupJobs => self.backup_jobs(),
            What::HaCurrent => self.ha_current(),
            What::HaManagerStatus => self.ha_manager_status(),
            What::HaResources => self.ha_resources(),
            What::HaResource => self.ha_resource(),
            What::HaRules => self.ha_rules(),
            What::HaGroups => self.ha_groups(),
            What::CephStatus => self.ceph_status(),
            What::CephFlags => self.ceph_flags(),
            What::CephFlag => self.ceph_flag(),
            What::SetCephFlag => self.set_ceph_flag(),
            What::OsdTree => self.osd_tree(),
            What::CmdSafety => self.cmd_safety(),
            What::Nodes => self.nodes(),
            What::NodeStatus => self.node_status(),
            What::NodePower => self.node_power(),
            What::NodeVersion => self.version(),
            What::NodeTime => self.node_time(),
            What::NodeServices => self.node_services(),
            What::NodeDisks => self.node_disks(),
            What::NodeNetwork => self.node_network(),
            What::NodeStorages => self.node_storages(),
            What::NodeReplication => self.replication(),
            What::StorageContent => self.storage_content(),
            What::ClusterTasks => self.cluster_tasks(),
            What::NodeTasks => self.node_tasks(),
            What::TaskStatus => self.task_status(),
            What::TaskLog => self.task_log(),
            What::TaskStop => self.task_stop(),
            What::Guests(half) => self.guests(half),
            What::Config(half) => self.config(half),
            What::Current(half) => self.current(half),
            What::Preconditions(half) => self.preconditions(half),
            What::Migrate(half) => self.migrate(half),
            What::Start(half) => self.start(half),
            What::Stop(half) => self.stop(half),
            What::Shutdown(half) => self.shutdown(half),
            What::Resume(half) => self.resume(half),
        }
    }

    /// The guest that the path names. Call only after the parameters were checked.
    pub fn vmid(&self) -> GuestId {
        GuestId(self.params.number("vmid").and_then(|id| u32::try_from(id).ok()).unwrap_or_default())
    }

    /// May the token see the guest? Lists leave out the others without a word.
    pub fn sees_guest(&self, guest: GuestId) -> bool {
        self.token.may(&format!("/vms/{guest}"), &["VM.Audit"])
    }

    /// May the token see the node's use of its machine?
    pub fn sees_node(&self, node: &NodeName) -> bool {
        self.token.may(&format!("/nodes/{node}"), &["Sys.Audit"])
    }

    pub fn sees_storage(&self, storage: &str) -> bool {
        self.token.may(&format!("/storage/{storage}"), &["Datastore.Audit", "Datastore.AllocateSpace"])
    }
}

/// The top of the tree; asked by nobody but people.
fn index() -> Answer {
    let parts = ["version", "cluster", "nodes", "storage", "access", "pools"];
    Answer::data(Value::from_iter(parts.map(|part| json!({ "subdir": part }))))
}
