//! What one member says of the cluster: membership, rows of nodes and guests, HA's status file. With its lag, and with
//! what the token may not see left out in silence.

use std::collections::BTreeMap;

use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{
    Capacity, Datacenter, Guest as GuestRow, GuestKind, HaNode, HaResource, HaRules, HaScheduler, HaService,
    HaView, NodeRow, Opinion, Power, Votes,
};
use crate::model::time::age;

use super::guest::Listed;
use super::node::ROWS_EXPIRE_SECS;
use super::{Guest, Node, World};

/// What an idle node uses.
const NODE_USES: u64 = 2 << 30;

impl World {
    /// `/cluster/status` and `/cluster/resources`, as `via` answers them. A member that is cut off shows what it last
    /// knew, without a word about it: only `quorate` and the membership tell.
    pub fn opinion(&self, via: &NodeName) -> Opinion {
        if let Some(old) = self.stale.get(via) {
            let mut opinion = old.clone();
            opinion.quorate = self.quorate(via);
            for (name, row) in &mut opinion.nodes {
                row.online = self.seen_online(via, name);
            }
            return opinion;
        }
        Opinion {
            member: via.clone(),
            quorate: self.quorate(via),
            nodes: self
                .nodes
                .iter()
                .map(|(name, node)| (name.clone(), self.node_row(via, name, node)))
                .collect(),
            guests: self
                .guests
                .iter()
                .filter(|(id, _)| self.lists(**id))
                .map(|(id, guest)| (*id, self.guest_row(*id, guest)))
                .collect(),
        }
    }

    /// It is in the cluster's list, as our token gets it.
    pub fn lists(&self, guest: GuestId) -> bool {
        self.may(&format!("/vms/{guest}"), "VM.Audit") && !self.unlisted.contains(&guest)
    }

    fn node_row(&self, via: &NodeName, name: &NodeName, node: &Node) -> NodeRow {
        let online = self.seen_online(via, name);
        let silent = node.silent_since.or((!node.powered()).then_some(node.since));
        let expired = silent.is_some_and(|since| age(self.now, since).as_secs() >= ROWS_EXPIRE_SECS);
        // An offline node keeps no figures.
        let visible = online && self.may(&format!("/nodes/{name}"), "Sys.Audit") && !expired;
        let used: u64 = self.running_on(name).map(|(_, g)| g.memory_used).sum();
        // Corosync tells the address of a node that was there when the asked member started.
        let knows = self.nodes.get(via).is_some_and(|asked| online || asked.since < node.since);
        NodeRow {
            online,
            address: knows.then(|| node.address.clone()),
            capacity: visible.then(|| Capacity {
                cores: node.cores,
                memory: node.memory,
                memory_used: (used + NODE_USES).min(node.memory),
                uptime: node.uptime(self.now),
            }),
            storages: if visible { node.storages.clone() } else { BTreeMap::new() },
        }
    }

    fn guest_row(&self, id: GuestId, guest: &Guest) -> GuestRow {
        let word = self.listed(id);
        let power = match word {
            // Paused in whatever way, it occupies its node.
            Listed::Running | Listed::Postmigrate => Power::Running,
            Listed::Stopped => Power::Stopped,
            Listed::Unknown => Power::Unknown,
        };
        let known = word != Listed::Unknown;
        let folder = if guest.kind == GuestKind::Lxc { "lxc" } else { "qemu" };
        GuestRow {
            name: if known { guest.name.clone() } else { format!("{folder}/{id}") },
            kind: guest.kind,
            node: guest.node.clone(),
            power,
            template: guest.template,
            memory: if known { guest.memory } else { 0 },
            memory_used: if known && power != Power::Stopped { guest.memory_used } else { 0 },
            cpus: guest.cpus,
            lock: guest.lock.clone(),
            ha: self.ha.manages(id),
            uptime: guest.uptime(self.now),
        }
    }

    /// `/cluster/ha/status/manager_status`: the master's file, the same on every member.
    pub fn ha_view(&self) -> HaView {
        let node = |m: &super::ha::Member| HaNode {
            state: m.state,
            maintenance_requested: m.requested,
            lrm: Some(m.mode),
            lrm_at: Some(m.lrm_at),
        };
        let service = |s: &super::ha::Service| HaService {
            node: s.node.clone(),
            state: s.state.word().to_owned(),
            target: s.target.clone(),
            command: s.command.is_some(),
            maintenance_node: s.maintenance_node.clone(),
        };
        HaView {
            armed: self.ha.armed,
            master: self.ha.master.clone(),
            crm_at: Some(self.ha.crm_at),
            nodes: self.ha.nodes.iter().map(|(name, m)| (name.clone(), node(m))).collect(),
            services: self
                .ha
                .services
                .iter()
                .filter(|(id, _)| self.ha.manages(**id))
                .map(|(id, s)| (*id, service(s)))
                .collect(),
        }
    }

    /// `/cluster/ha/resources` and `/cluster/ha/rules`.
    pub fn ha_rules(&self) -> HaRules {
        HaRules {
            resources: self
                .ha
                .resources
                .iter()
                .map(|(id, r)| (*id, HaResource { requested: r.requested.clone(), failback: r.failback }))
                .collect(),
            nodes: self.ha.node_rules.clone(),
            guests: self.ha.guest_rules.clone(),
            broken: self.ha.broken.clone(),
            auto_rebalance: self.ha.auto_rebalance,
            datacenter: Datacenter {
                scheduler: if self.ha.auto_rebalance { HaScheduler::Weighing } else { HaScheduler::Basic },
                // Not configured: Proxmox does not say what its default is.
                workers: None,
                bwlimit: None,
            },
        }
    }

    /// `/cluster/config/nodes` and `/cluster/config/qdevice`.
    pub fn votes(&self) -> Votes {
        Votes {
            nodes: self.nodes.iter().map(|(name, n)| (name.clone(), n.votes)).collect(),
            qdevice: self.qdevice,
        }
    }
}
