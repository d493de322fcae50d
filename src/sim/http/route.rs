//! What a call of door two is: its place, its parameters, who may make it. The table of them is [`super::routes`].

use super::params::{Kind, Param, must};

/// One call.
pub(super) struct Route {
    pub method: &'static str,
    /// With `{name}` where a part is a parameter.
    pub path: &'static str,
    /// Beside those of the path.
    pub params: &'static [Param],
    pub needs: Needs,
    pub what: What,
}

/// Who may call.
#[derive(Clone, Copy)]
pub(super) enum Needs {
    /// Everybody with a token; what it shows depends on what the token may see.
    Anybody,
    /// One of these privileges on the path, whose `{name}`s are filled in.
    On(&'static str, &'static [&'static str]),
}

/// What a call is about; [`super::call::Call`] knows the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Index,
    Version,
    Permissions,
    ClusterStatus,
    Resources,
    HaCurrent,
    HaManagerStatus,
    HaResources,
    HaResource,
    HaRules,
    HaGroups,
    BackupJobs,
    CephStatus,
    CephFlags,
    CephFlag,
    SetCephFlag,
    Members,
    Qdevice,
    Options,
    ClusterTasks,
    Storages,
    Nodes,
    NodeStatus,
    NodePower,
    NodeVersion,
    NodeTime,
    NodeServices,
    NodeDisks,
    NodeNetwork,
    NodeStorages,
    NodeReplication,
    StorageContent,
    NodeTasks,
    TaskStatus,
    TaskLog,
    TaskStop,
    OsdTree,
    CmdSafety,
    Guests(Half),
    Config(Half),
    Current(Half),
    Preconditions(Half),
    Migrate(Half),
    Start(Half),
    Stop(Half),
    Shutdown(Half),
    Resume(Half),
}

/// The two halves of the guests' API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Qemu,
    Lxc,
}

impl Route {
    /// What stands in the `{name}`s of this route's path, if the path is one of its.
    pub fn fit(&self, path: &[String]) -> Option<Vec<(&'static str, String)>> {
        let parts: Vec<&'static str> = self.path.split('/').filter(|part| !part.is_empty()).collect();
        if parts.len() != path.len() {
            return None;
        }
        let mut named = Vec::new();
        for (part, given) in parts.into_iter().zip(path) {
            match variable(part) {
                Some(name) => named.push((name, given.clone())),
                None if part == given => {}
                None => return None,
            }
        }
        Some(named)
    }

    /// All parameters: those of the path, which are always there, and the others.
    pub fn all_params(&self) -> Vec<Param> {
        let listed = |name: &str| self.params.iter().any(|param| param.name == name);
        let in_path = self.path.split('/').filter_map(variable).filter(|name| !listed(name)).map(|name| {
            let kind = match name {
                "node" => Kind::Node,
                "vmid" => Kind::Vmid,
                _ => Kind::Text,
            };
            must(name, kind)
        });
        in_path.chain(self.params.iter().copied()).collect()
    }

    /// Executed on the node that the path names, whoever was asked.
    pub fn goes_to_node(&self) -> bool {
        self.path.starts_with("/nodes/{node}")
    }
}

fn variable(part: &'static str) -> Option<&'static str> {
    part.strip_prefix('{')?.strip_suffix('}')
}
