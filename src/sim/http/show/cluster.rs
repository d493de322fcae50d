//! The cluster as a whole: its members, its resources, its options.

use serde_json::{Value, json};

use super::object;
use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::GuestKind;
use crate::model::time::age;
use crate::sim::http::answer::Answer;
use crate::sim::http::call::{Call, Said};
use crate::sim::world::guest::Listed;
use crate::sim::world::node::ROWS_EXPIRE_SECS;
use crate::sim::world::{Guest, Node};

/// Bytes. The world has no disks of nodes; one size for all, so that nobody reads meaning into it.
const ROOT_DISK: u64 = 256 << 30;
/// Bytes of a guest's first disk.
pub(super) const GUEST_DISK: u64 = 32 << 30;
/// What the host itself needs, bytes.
const HOST_MEMORY: u64 = 2 << 30;

impl Call<'_> {
    pub fn version(&self) -> Said {
        let version = self.world.nodes.get(self.at).map_or("9.2.11", |node| &node.version);
        let release = version.rsplit_once('.').map_or(version, |(release, _)| release);
        Ok(Answer::data(json!({ "version": version, "release": release, "repoid": REPOSITORY })))
    }

    pub fn permissions(&self) -> Said {
        let path = self.params.text("path");
        Ok(Answer::data(json!(self.token.dump(path.as_deref()))))
    }

    pub fn cluster_status(&self) -> Said {
        let world = &*self.world;
        let quorate = u8::from(world.quorate(self.at));
        let cluster = json!({
            "id": "cluster", "type": "cluster", "name": "lab", "version": world.nodes.len(),
            "nodes": world.nodes.len(), "quorate": quorate,
        });
        let row = |(number, (name, node)): (usize, (&NodeName, &Node))| {
            json!({
                "id": format!("node/{name}"), "type": "node", "name": name, "nodeid": number + 1,
                "ip": node.address, "level": "", "local": u8::from(name == self.at),
                "online": u8::from(world.seen_online(self.at, name)),
            })
        };
        let rows = world.nodes.iter().enumerate().map(row);
        Ok(Answer::data(std::iter::once(cluster).chain(rows).collect::<Vec<_>>()))
    }

    pub fn members(&self) -> Said {
        // Numbers are text here, and `name` repeats `node`.
        let row = |(number, (name, node)): (usize, (&NodeName, &Node))| {
            json!({
                "node": name, "name": name, "nodeid": (number + 1).to_string(),
                "quorum_votes": node.votes.to_string(), "ring0_addr": node.address,
            })
        };
        Ok(Answer::data(self.world.nodes.iter().enumerate().map(row).collect::<Vec<_>>()))
    }

    pub fn qdevice(&self) -> Said {
        Ok(Answer::data(match self.world.qdevice {
            0 => json!({}),
            _ => json!({
                "Algorithm": "Fifty-Fifty split", "Model": "Net", "State": "Connected",
                "QNetd host": "192.0.2.250:5403", "Tie-breaker": "Node with lowest node ID",
            }),
        }))
    }

    pub fn backup_jobs(&self) -> Said {
        // Backups in the world are made by people; it has no schedule.
        Ok(Answer::data(json!([])))
    }

    /// `/nodes`.
    pub fn nodes(&self) -> Said {
        let rows = self.world.nodes.iter().map(|(name, node)| {
            let mut row = self.node_row(name, node);
            row["ssl_fingerprint"] = json!(self.fingerprints.get(name));
            row
        });
        Ok(Answer::data(rows.collect::<Vec<_>>()))
    }

    /// What both node lists say. Offline nodes keep their size for five minutes, and never their use.
    fn node_row(&self, name: &NodeName, node: &Node) -> Value {
        let world = &*self.world;
        let online = world.seen_online(self.at, name);
        let known = !self.silent(name, node);
        let status = match (online, known) {
            (true, true) => "online",
            (true, false) => "unknown",
            (false, _) => "offline",
        };
        let sized = (known && self.sees_node(name)).then_some(());
        let used = sized.filter(|()| online);
        object([
            ("id", Some(json!(format!("node/{name}")))),
            ("type", Some(json!("node"))),
            ("node", Some(json!(name))),
            ("status", Some(json!(status))),
            ("level", known.then(|| json!(""))),
            ("maxcpu", sized.map(|()| json!(node.cores))),
            ("maxmem", sized.map(|()| json!(node.memory))),
            ("maxdisk", sized.map(|()| json!(ROOT_DISK))),
            ("cpu", used.map(|()| json!(self.load(name, node)))),
            ("mem", used.map(|()| json!(self.memory_used(name)))),
            ("disk", used.map(|()| json!(ROOT_DISK / 8))),
            ("uptime", used.map(|()| json!(node.uptime(world.now)))),
        ])
    }

    /// Nothing was heard of the node for so long that its last words are forgotten.
    pub fn silent(&self, name: &NodeName, node: &Node) -> bool {
        let world = &*self.world;
        let since = if world.seen_online(self.at, name) {
            node.silent_since
        } else if !node.powered() {
            Some(node.since)
        } else {
            // One of the two is cut off: the one that asks, or the one that is asked about.
            let asking = world.nodes.get(self.at).filter(|asking| !asking.joined());
            Some(asking.unwrap_or(node).cut_since)
        };
        since.is_some_and(|since| age(world.now, since).as_secs() >= ROWS_EXPIRE_SECS)
    }

    /// Bytes in use on a node.
    pub fn memory_used(&self, name: &NodeName) -> u64 {
        HOST_MEMORY + self.world.running_on(name).map(|(_, guest)| guest.memory_used).sum::<u64>()
    }

    /// Share of the node's cores that its guests would use if each used a tenth of its own.
    pub fn load(&self, name: &NodeName, node: &Node) -> f64 {
        let busy: u32 = self.world.running_on(name).map(|(_, guest)| guest.cpus).sum();
        (f64::from(busy) / 10.0 / f64::from(node.cores.max(1))).min(1.0)
    }

    pub fn resources(&self) -> Said {
        let wanted = self.params.text("type");
        let wants = |kind: &str| wanted.as_deref().is_none_or(|wanted| wanted == kind);
        let world = &*self.world;
        let mut rows = Vec::new();
        if wants("vm") {
            let listed = |id: GuestId| self.sees_guest(id) && !world.unlisted.contains(&id);
            let seen = world.guests.iter().filter(|(id, _)| listed(**id));
            rows.extend(seen.map(|(id, guest)| self.guest_resource(*id, guest)));
        }
        if wants("node") {
            rows.extend(world.nodes.iter().map(|(name, node)| {
                let mut row = self.node_row(name, node);
                row["cgroup-mode"] = json!(2);
                if let Some(state) = self.ha_node_word(name) {
                    row["hastate"] = json!(state);
                }
                row
            }));
        }
        if wants("storage") {
            rows.extend(self.storage_resources());
        }
        if wants("sdn") {
            rows.extend(self.networks());
        }
        Ok(Answer::data(rows))
    }

    fn guest_resource(&self, id: GuestId, guest: &Guest) -> Value {
        let world = &*self.world;
        let listed = world.listed(id);
        let status = match listed {
            Listed::Running => "running",
            Listed::Stopped => "stopped",
            Listed::Postmigrate => "postmigrate",
            Listed::Unknown => "unknown",
        };
        let kind = kind_word(guest.kind);
        // A guest without data keeps its place, and its lock and HA state, which come from the configuration.
        let data = (listed != Listed::Unknown).then_some(());
        let up = matches!(listed, Listed::Running | Listed::Postmigrate);
        let number = |value: u64| data.map(|()| json!(value));
        let used = if up { guest.memory_used.min(guest.memory) } else { 0 };
        object([
            ("id", Some(json!(format!("{kind}/{id}")))),
            ("type", Some(json!(kind))),
            ("vmid", Some(json!(id))),
            ("node", Some(json!(guest.node))),
            ("status", Some(json!(status))),
            ("lock", guest.lock.as_ref().map(|lock| json!(lock))),
            ("hastate", self.ha_guest_word(id).map(|word| json!(word))),
            ("name", data.map(|()| json!(guest.name))),
            ("template", data.map(|()| json!(u8::from(guest.template)))),
            ("maxcpu", number(u64::from(guest.cpus))),
            ("maxmem", number(guest.memory)),
            ("mem", number(used)),
            ("memhost", number(used)),
            ("cpu", data.map(|()| json!(if up { 0.1 } else { 0.0 }))),
            ("maxdisk", number(GUEST_DISK)),
            ("disk", number(0)),
            ("diskread", number(0)),
            ("diskwrite", number(0)),
            ("netin", number(0)),
            ("netout", number(0)),
            ("uptime", number(if up { guest.uptime(world.now) } else { 0 })),
        ])
    }

    /// The zone that every node has.
    fn networks(&self) -> Vec<Value> {
        let seen =
            self.world.nodes.keys().filter(|_| self.token.may("/sdn/zones/localnetwork", &["SDN.Audit"]));
        let row = |name: &NodeName| {
            json!({
                "id": format!("network/{name}/zone/localnetwork"), "type": "network", "node": name,
                "network": "localnetwork", "network-type": "zone", "status": "ok",
            })
        };
        seen.map(row).collect()
    }
}

/// The build that the recordings are from.
pub(super) const REPOSITORY: &str = "14a22df35955d97d";

pub(super) fn kind_word(kind: GuestKind) -> &'static str {
    match kind {
        GuestKind::Qemu => "qemu",
        GuestKind::Lxc => "lxc",
    }
}
