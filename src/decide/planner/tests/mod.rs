//! What has to hold for every plan, on small clusters that can be worked out on paper and on random ones.

mod by_hand;
mod judged;
mod random;
mod room;

use super::instance::{Guest, Instance, Kind, NPlusOne, Node, Params, Role, Rule, RuleKind, Storage, Way};
use super::{Effort, Wishes};

/// Nothing asked for beside, and little time spent.
pub fn quick() -> Wishes {
    Wishes { effort: Effort::Quick, ..Wishes::default() }
}

/// A guest of this many MiB on a node, that moves live and writes nothing.
pub fn guest(id: &str, node: usize, memory: i64) -> Guest {
    Guest {
        id: id.to_owned(),
        node,
        running: true,
        cpus: 2,
        memory,
        used: memory as f64,
        dirty: 0.0,
        way: Way::Live,
        may_stop: false,
        ha: true,
        disks: vec![(0, 1000)],
        devices: Vec::new(),
        allowed: None,
        restarts: None,
        prefer: Vec::new(),
        home: None,
    }
}

pub fn rule(kind: RuleKind, guests: &[usize]) -> Rule {
    Rule { id: "r".into(), kind, guests: guests.to_vec(), strict: true }
}

/// Nodes of 100 000 MiB and 10 Gbit/s; the first one leaves.
pub fn cluster(nodes: usize, guests: Vec<Guest>) -> Instance {
    let node = |at: usize| Node {
        id: format!("n{at:02}"),
        cores: 32.0,
        memory: 100_000,
        nic: 10_000.0,
        role: if at == 0 { Role::Leaving } else { Role::Open },
        storages: vec![(0, None), (1, Some(100_000))],
        devices: Vec::new(),
    };
    Instance {
        id: "t".into(),
        kind: Kind::Drain,
        params: Params {
            cpu_overcommit: 4.0,
            n_plus_one: NPlusOne::Off,
            slots_out: 4,
            slots_in: 4,
            max_parallel: None,
            stream: 8000.0,
            setup: 3.0,
            restart: 12.0,
            cold: 45.0,
            offline: 2.0,
            disk_slower: 1.0,
        },
        storages: vec![
            Storage { name: "ceph".into(), shared: true },
            Storage { name: "local".into(), shared: false },
        ],
        devices: Vec::new(),
        nodes: (0..nodes).map(node).collect(),
        guests,
        rules: Vec::new(),
    }
}
