//! From the file's words to the planner's nouns. Everything that does not hang together is told, all of it.

use std::collections::HashMap;

use super::wire::{
    GuestFile, InstanceFile, KindFile, MigrateFile, NPlusOneFile, NodeFile, NodeStateFile, RuleKindFile,
};
use crate::decide::planner::instance::{
    Guest, Instance, Kind, NPlusOne, Node, Params, Role, Rule, RuleKind, Storage, Way,
};

/// Something that is wrong: where (a dotted path), and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub path: String,
    pub text: String,
}

/// More memory, disk or devices than this is a slip of the unit.
const MIB_MAX: f64 = 1e12;

struct Names<'a> {
    nodes: HashMap<&'a str, usize>,
    guests: HashMap<&'a str, usize>,
    storages: HashMap<&'a str, usize>,
    devices: HashMap<&'a str, usize>,
    wrong: Vec<Wrong>,
}

/// # Errors
/// Names that are not there, sizes that are none, and what contradicts itself.
pub fn instance(file: &InstanceFile) -> Result<Instance, Vec<Wrong>> {
    let mut names = Names {
        nodes: HashMap::with_capacity(file.nodes.len()),
        guests: HashMap::with_capacity(file.guests.len()),
        storages: file.storages.keys().enumerate().map(|(i, name)| (name.as_str(), i)).collect(),
        devices: HashMap::new(),
        wrong: Vec::new(),
    };
    for (i, node) in file.nodes.iter().enumerate() {
        if let Some(first) = names.nodes.insert(&node.id, i) {
            names.tell(
                format!("nodes.{i}.id"),
                format!("node {} stands here twice, first as nodes.{first}", node.id),
            );
        }
        for device in node.devices.keys() {
            let next = names.devices.len();
            names.devices.entry(device).or_insert(next);
        }
    }
    for (i, guest) in file.guests.iter().enumerate() {
        if let Some(first) = names.guests.insert(&guest.id, i) {
            names.tell(
                format!("guests.{i}.id"),
                format!("guest {} stands here twice, first as guests.{first}", guest.id),
            );
        }
        for device in guest.devices.keys() {
            let next = names.devices.len();
            names.devices.entry(device).or_insert(next);
        }
    }
    let mut devices = vec![String::new(); names.devices.len()];
    for (name, at) in &names.devices {
        devices[*at] = (*name).to_owned();
    }
    names.asked(file);
    let nodes = file.nodes.iter().enumerate().map(|(i, node)| names.node(i, node, file)).collect();
    let guests = file.guests.iter().enumerate().map(|(i, guest)| names.guest(i, guest)).collect();
    let rules = file
        .rules
        .iter()
        .enumerate()
        .map(|(i, rule)| Rule {
            id: rule.id.clone(),
            kind: match rule.kind {
                RuleKindFile::Affinity => RuleKind::Together,
                RuleKindFile::AntiAffinity => RuleKind::Apart,
            },
            guests: rule
                .guests
                .iter()
                .enumerate()
                .filter_map(|(j, guest)| names.find_guest(guest, &format!("rules.{i}.guests.{j}")))
                .collect(),
            strict: rule.strict,
        })
        .collect();
    if !names.wrong.is_empty() {
        return Err(names.wrong);
    }
    let p = &file.params;
    Ok(Instance {
        id: file.id.clone(),
        kind: match file.kind {
            KindFile::Drain => Kind::Drain,
            KindFile::Return => Kind::Return,
        },
        params: Params {
            cpu_overcommit: p.cpu_overcommit,
            n_plus_one: match p.n_plus_one {
                NPlusOneFile::Required => NPlusOne::Required,
                NPlusOneFile::Preferred => NPlusOne::Preferred,
                NPlusOneFile::Off => NPlusOne::Off,
            },
            slots_out: p.slots_out as usize,
            slots_in: p.slots_in as usize,
            max_parallel: p.max_parallel.map(|n| n as usize),
            stream: p.stream_mbps,
            setup: p.setup_s,
            restart: p.restart_s,
            cold: p.cold_s,
            offline: p.offline_s,
            disk_slower: 1.0,
        },
        storages: file
            .storages
            .iter()
            .map(|(name, storage)| Storage { name: name.clone(), shared: storage.shared })
            .collect(),
        devices,
        nodes,
        guests,
        rules,
    })
}

impl Names<'_> {
    fn tell(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.wrong.push(Wrong { path: path.into(), text: text.into() });
    }

    /// What is asked for as a whole.
    fn asked(&mut self, file: &InstanceFile) {
        let p = &file.params;
        let seconds = [
            ("setup_s", p.setup_s),
            ("restart_s", p.restart_s),
            ("cold_s", p.cold_s),
            ("offline_s", p.offline_s),
        ];
        for (name, value) in seconds {
            self.number(&format!("params.{name}"), value, false);
        }
        self.number("params.stream_mbps", p.stream_mbps, true);
        self.number("params.cpu_overcommit", p.cpu_overcommit, true);
        for (name, slots) in [
            ("slots_out", p.slots_out),
            ("slots_in", p.slots_in),
            ("max_parallel", p.max_parallel.unwrap_or(1)),
        ] {
            if slots == 0 {
                self.tell(format!("params.{name}"), "with 0 nothing would ever move; write 1 or more");
            }
        }
        for (i, node) in file.drain.iter().enumerate() {
            self.find_node(node, &format!("drain.{i}"));
        }
        for (i, node) in file.returning.iter().enumerate() {
            self.find_node(node, &format!("returning.{i}"));
        }
        match file.kind {
            KindFile::Drain if file.drain.is_empty() => {
                self.tell("drain", "kind is drain, but no node is named; write for example [\"n01\"]");
            }
            KindFile::Return if !file.drain.is_empty() => {
                self.tell(
                    "drain",
                    "kind is return: nothing is drained; leave it empty, or write kind: drain",
                );
            }
            _ => {}
        }
    }

    fn number(&mut self, path: &str, value: f64, positive: bool) -> f64 {
        let fine = value.is_finite() && value < MIB_MAX && if positive { value > 0.0 } else { value >= 0.0 };
        if !fine {
            let least = if positive { "more than 0" } else { "0 or more" };
            self.tell(path, format!("{value} makes no sense here; write {least}"));
        }
        value
    }

    /// MiB, whole ones.
    fn mib(&mut self, path: &str, value: f64) -> i64 {
        self.number(path, value, false);
        if value.is_finite() && value.fract() != 0.0 {
            self.tell(path, format!("{value} is no whole number of MiB"));
        }
        value as i64
    }

    fn find_node(&mut self, name: &str, path: &str) -> Option<usize> {
        let found = self.nodes.get(name).copied();
        if found.is_none() {
            self.tell(path, format!("there is no node {name:?} among nodes"));
        }
        found
    }

    fn find_guest(&mut self, name: &str, path: &str) -> Option<usize> {
        let found = self.guests.get(name).copied();
        if found.is_none() {
            self.tell(path, format!("there is no guest {name:?} among guests"));
        }
        found
    }

    fn find_storage(&mut self, name: &str, path: &str) -> Option<usize> {
        let found = self.storages.get(name).copied();
        if found.is_none() {
            self.tell(path, format!("there is no storage {name:?} among storages"));
        }
        found
    }

    fn node(&mut self, i: usize, node: &NodeFile, file: &InstanceFile) -> Node {
        let path = format!("nodes.{i}");
        let (all, reserved) = (
            self.mib(&format!("{path}.mem_mib"), node.mem_mib),
            self.mib(&format!("{path}.mem_reserved_mib"), node.mem_reserved_mib),
        );
        if reserved > all {
            self.tell(format!("{path}.mem_reserved_mib"), format!("{reserved} is more than mem_mib, {all}"));
        }
        self.number(&format!("{path}.cpu"), node.cpu, false);
        self.number(&format!("{path}.nic_mbps"), node.nic_mbps, true);
        let mut storages = Vec::with_capacity(node.storages.len());
        for (name, free) in &node.storages {
            let path = format!("{path}.storages.{name}");
            let Some(at) = self.find_storage(name, &path) else { continue };
            let shared = file.storages.get(name).is_none_or(|s| s.shared);
            if free.is_none() && !shared {
                self.tell(
                    &path,
                    format!("storage {name} is local: its free MiB count, write them instead of null"),
                );
            }
            // Free space is what is there, below nothing included: a full thin pool shows such numbers.
            if free.is_some_and(|mib| !mib.is_finite() || mib.abs() >= MIB_MAX) {
                self.tell(&path, "that is no number of MiB");
            }
            storages.push((at, free.map(|mib| mib.floor() as i64)));
        }
        let leaving = file.drain.contains(&node.id);
        if node.state == NodeStateFile::Drain && !leaving {
            self.tell(
                format!("{path}.state"),
                format!("{} is in state drain, but drain does not name it", node.id),
            );
        }
        Node {
            id: node.id.clone(),
            cores: node.cpu,
            memory: all - reserved,
            nic: node.nic_mbps,
            role: match node.state {
                _ if leaving => Role::Leaving,
                NodeStateFile::Online => Role::Open,
                _ => Role::Closed,
            },
            storages,
            devices: node
                .devices
                .iter()
                .filter_map(|(d, n)| Some((*self.devices.get(d.as_str())?, i64::from(*n))))
                .collect(),
        }
    }

    fn guest(&mut self, i: usize, guest: &GuestFile) -> Guest {
        let path = |key: &str| format!("guests.{i}.{key}");
        let node = self.find_node_lazy(&guest.node, || path("node"));
        let memory = self.mib_lazy(guest.mem_mib, || path("mem_mib"));
        for (key, value) in [("mem_used_mib", guest.mem_used_mib), ("dirty_mbps", guest.dirty_mbps)] {
            if !(0.0..MIB_MAX).contains(&value) {
                self.number(&path(key), value, false);
            }
        }
        let mut disks = Vec::with_capacity(guest.disks.len());
        for (j, (storage, mib)) in guest.disks.iter().enumerate() {
            let mib = self.mib_lazy(*mib, || path(&format!("disks.{j}.1")));
            match self.storages.get(storage.as_str()) {
                Some(at) => disks.push((*at, mib)),
                None => {
                    self.find_storage(storage, &path(&format!("disks.{j}.0")));
                }
            }
        }
        let mut list = |key: &str, nodes: &Option<Vec<String>>| -> Option<Vec<usize>> {
            let mut found: Vec<usize> = Vec::new();
            for (j, node) in nodes.as_ref()?.iter().enumerate() {
                found.push(self.find_node_lazy(node, || path(&format!("{key}.{j}"))));
            }
            found.sort_unstable();
            found.dedup();
            Some(found)
        };
        let (allowed, prefer) = (list("allowed", &guest.allowed), list("prefer", &guest.prefer));
        let home = guest.home.as_ref().map(|home| self.find_node_lazy(home, || path("home")));
        Guest {
            id: guest.id.clone(),
            node,
            running: guest.running,
            cpus: guest.cpu,
            memory,
            used: guest.mem_used_mib,
            dirty: guest.dirty_mbps,
            way: match guest.migrate {
                MigrateFile::Live => Way::Live,
                MigrateFile::Restart => Way::Restart,
                MigrateFile::Cold => Way::Cold,
                MigrateFile::Offline => Way::Offline,
                MigrateFile::No => Way::No,
            },
            may_stop: guest.may_stop,
            ha: guest.ha,
            disks,
            devices: guest
                .devices
                .iter()
                .filter_map(|(d, n)| Some((*self.devices.get(d.as_str())?, i64::from(*n))))
                .collect(),
            restarts: allowed.clone(),
            allowed,
            prefer: prefer.unwrap_or_default(),
            home,
        }
    }

    /// As `find_node`, but the path is only written when it is needed: there are many guests.
    fn find_node_lazy(&mut self, name: &str, path: impl FnOnce() -> String) -> usize {
        match self.nodes.get(name) {
            Some(at) => *at,
            None => {
                self.find_node(name, &path());
                0
            }
        }
    }

    fn mib_lazy(&mut self, value: f64, path: impl FnOnce() -> String) -> i64 {
        if (0.0..MIB_MAX).contains(&value) && value.fract() == 0.0 {
            value as i64
        } else {
            self.mib(&path(), value)
        }
    }
}
