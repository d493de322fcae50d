//! Making worlds: nodes first, then what lies on them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ids::{GuestId, HostName, NodeName, OsdId};
use crate::model::observed::{
    Affinity, GuestKind, HaNodeState, LrmMode, Machine, NodeAffinity, Pool, PoolKind, ResourceAffinity,
    Storage,
};
use crate::model::time::Time;

use super::ceph::{Osd, Placed};
use super::ha::{CRM_LOOP, LRM_LOOP, Member, Resource, Service, ServiceState};
use super::machine::Bmc;
use super::node::SERVICES;
use super::{Board, Ceph, Chance, Guest, Ha, Mishaps, Node, NodeState, Run, Safety, World};

pub const GIB: u64 = 1 << 30;
/// What a guest sees, unless it was given another processor.
pub const USUAL_CPU: &str = "x86-64-v2-AES";
/// Ten gigabits.
const NIC: u64 = 1_250_000_000;
/// Encryption on one core of a usual processor.
const STREAM_MAX: u64 = 700 << 20;
/// A Monday morning.
const START: &str = "2026-03-02T08:00:00Z";
/// A month of uptime, so that nothing looks freshly booted.
const BOOTED_BEFORE_SECS: i64 = 2_592_000;
const PGS_PER_POOL: usize = 32;
/// What pitlane's roles give it at their best, on `/`.
const RIGHTS: [&str; 10] = [
    "Sys.Audit",
    "VM.Audit",
    "Datastore.Audit",
    "Pool.Audit",
    "Mapping.Audit",
    "VM.Migrate",
    "VM.PowerMgmt",
    "Sys.PowerMgmt",
    "VM.Backup",
    "Datastore.AllocateSpace",
];
/// The processor of every member, unless a story says otherwise.
fn usual_machine() -> Machine {
    let flags = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov svm avx2";
    let flags = flags.split_whitespace().map(str::to_owned).collect();
    Machine { model: "AMD EPYC".to_owned(), flags, version: String::new() }
}

/// A world in the making.
#[derive(Clone, Debug)]
pub struct Builder {
    world: World,
}

impl World {
    /// So many members, `pve1` and up: 16 cores, 128 GiB, one vote each, the root helper on all, no Ceph, no guests.
    pub fn builder(nodes: u32) -> Builder {
        let now: Time = START.parse().unwrap_or(Time::UNIX_EPOCH);
        let since = now - jiff::SignedDuration::from_secs(BOOTED_BEFORE_SECS);
        let names: Vec<NodeName> = (1..=nodes).map(|n| NodeName(format!("pve{n}"))).collect();
        let node = |n: usize| Node {
            state: NodeState::Up,
            since,
            cut: None,
            cut_since: since,
            votes: 1,
            cores: 16,
            memory: 128 * GIB,
            nic: NIC,
            version: "9.2.11".into(),
            clock_ahead: 0,
            address: format!("10.99.0.{}", n + 11),
            services: SERVICES.map(|service| (service.to_owned(), true)).into(),
            silent_since: None,
            storages: [
                ("local-lvm".to_owned(), Storage { shared: false, free: Some(500 * GIB) }),
                ("ceph-vm".to_owned(), Storage { shared: true, free: Some(4000 * GIB) }),
            ]
            .into(),
            technician: false,
            answers_from: since,
            machine: usual_machine(),
        };
        let member = Member {
            state: HaNodeState::Online,
            requested: false,
            mode: LrmMode::Active,
            lrm_at: now,
            lost: None,
        };
        let ha = Ha {
            resources: BTreeMap::new(),
            node_rules: Vec::new(),
            guest_rules: Vec::new(),
            broken: BTreeMap::new(),
            auto_rebalance: false,
            services: BTreeMap::new(),
            nodes: names.iter().map(|name| (name.clone(), member.clone())).collect(),
            armed: true,
            master: names.first().cloned(),
            crm_at: now,
            workers_max: 4,
            log: Vec::new(),
            maintenance_by: BTreeMap::new(),
            commands: std::collections::VecDeque::new(),
            next_crm: now + CRM_LOOP,
            next_lrm: now + LRM_LOOP,
            master_lost: None,
        };
        let world = World {
            now,
            our_clock: 0,
            chance: Chance::new(1),
            nodes: names.iter().enumerate().map(|(n, name)| (name.clone(), node(n))).collect(),
            qdevice: 0,
            guests: BTreeMap::new(),
            tasks: Vec::new(),
            ha,
            ceph: None,
            sensors: BTreeMap::new(),
            silences: BTreeMap::new(),
            alertmanagers: Vec::new(),
            machines: BTreeMap::new(),
            heard: BTreeMap::new(),
            unlisted: BTreeSet::new(),
            board: Board::default(),
            backups: Default::default(),
            hand: names.iter().cloned().collect(),
            token: [("/".to_owned(), RIGHTS.map(str::to_owned).into())].into(),
            mishaps: Mishaps::default(),
            safety: Safety::default(),
            kill_switch: false,
            effects: Vec::new(),
            origin: BTreeMap::new(),
            stream_max: STREAM_MAX,
            ill_moves: BTreeMap::new(),
            stale: BTreeMap::new(),
            stirred: now,
        };
        Builder { world }
    }
}

impl Builder {
    pub fn seed(mut self, seed: u64) -> Self {
        self.world.chance = Chance::new(seed);
        self
    }

    pub fn at(mut self, now: Time) -> Self {
        let ahead = now.duration_since(self.world.now);
        let world = &mut self.world;
        (world.now, world.stirred, world.ha.crm_at) = (now, now, now);
        (world.ha.next_crm, world.ha.next_lrm) = (now + CRM_LOOP, now + LRM_LOOP);
        for node in world.nodes.values_mut() {
            node.since = node.since.saturating_add(ahead).unwrap_or(now);
            (node.cut_since, node.answers_from) = (node.since, node.since);
        }
        for member in world.ha.nodes.values_mut() {
            member.lrm_at = now;
        }
        self
    }

    /// Memory of every node, GiB.
    pub fn node_gib(mut self, gib: u64) -> Self {
        for node in self.world.nodes.values_mut() {
            node.memory = gib * GIB;
        }
        self
    }

    pub fn qdevice(mut self, votes: u32) -> Self {
        self.world.qdevice = votes;
        self
    }

    /// Nobody installed the root helper.
    pub fn no_hand(mut self) -> Self {
        self.world.hand.clear();
        self
    }

    /// Every machine has a BMC that pitlane may ask.
    pub fn bmcs(mut self) -> Self {
        for name in self.world.nodes.keys().cloned() {
            self.world.machines.entry(name).or_default().bmc = Some(Bmc::usual());
        }
        self
    }

    /// Anything about the world that has no method of its own.
    pub fn with(mut self, change: impl FnOnce(&mut World)) -> Self {
        change(&mut self.world);
        self
    }

    /// A running virtual machine on shared storage: 4 GiB (half of it in use), 2 CPUs, starts with its node.
    pub fn vm(self, id: u32, node: &str) -> Self {
        self.guest(id, node, |_| {})
    }

    /// A running container.
    pub fn ct(self, id: u32, node: &str) -> Self {
        self.guest(id, node, |guest| {
            guest.kind = GuestKind::Lxc;
            guest.name = format!("ct{id}");
        })
    }

    pub fn guest(mut self, id: u32, node: &str, change: impl FnOnce(&mut Guest)) -> Self {
        let mut guest = Guest {
            name: format!("vm{id}"),
            kind: GuestKind::Qemu,
            node: node.into(),
            run: Run::Running,
            started: Some(self.world.now - jiff::SignedDuration::from_hours(24)),
            memory: 4 * GIB,
            memory_used: 2 * GIB,
            cpus: 2,
            lock: None,
            template: false,
            onboot: true,
            devices: Vec::new(),
            local_disks: BTreeMap::new(),
            local_cdrom: None,
            cpu: None,
            storage_on: None,
            dirty: 20 << 20,
            deaf: false,
            replicating_until: None,
            listed: None,
            leftovers: BTreeSet::new(),
        };
        change(&mut guest);
        if !guest.aboard() {
            guest.started = None;
        }
        self.world.guests.insert(GuestId(id), guest);
        self
    }

    /// HA manages these guests: requested as they are, failback on.
    pub fn ha(mut self, ids: &[u32]) -> Self {
        for id in ids.iter().copied().map(GuestId) {
            let Some(guest) = self.world.guests.get(&id) else { continue };
            let (requested, state) = if guest.aboard() {
                ("started", ServiceState::Started)
            } else {
                ("stopped", ServiceState::Stopped)
            };
            let node = guest.node.clone();
            let resource = Resource { requested: requested.into(), failback: true, asked: None };
            self.world.ha.resources.insert(id, resource);
            let service =
                Service { state, node, target: None, command: None, maintenance_node: None, worker: None };
            self.world.ha.services.insert(id, service);
        }
        self
    }

    /// `nodes`: name and priority.
    pub fn node_rule(mut self, rule: &str, ids: &[u32], nodes: &[(&str, i64)], strict: bool) -> Self {
        self.world.ha.node_rules.push(NodeAffinity {
            rule: rule.into(),
            guests: ids.iter().copied().map(GuestId).collect(),
            nodes: nodes.iter().map(|(node, class)| (NodeName::from(*node), *class)).collect(),
            strict,
        });
        self
    }

    pub fn guest_rule(mut self, rule: &str, kind: Affinity, ids: &[u32]) -> Self {
        self.world.ha.guest_rules.push(ResourceAffinity {
            rule: rule.into(),
            guests: ids.iter().copied().map(GuestId).collect(),
            kind,
        });
        self
    }

    /// Ceph on every node: so many OSDs each, monitors on the first three (or one), managers on the first two, one
    /// replicated pool of size 3 (2 with two nodes), min_size 2, over hosts. The active manager is on the first node.
    pub fn ceph(mut self, osds_per_host: u32) -> Self {
        let names: Vec<NodeName> = self.world.nodes.keys().cloned().collect();
        let mons = if names.len() >= 3 { 3 } else { 1 };
        let on = |count: usize| -> BTreeMap<String, NodeName> {
            names.iter().take(count).map(|n| (n.0.clone(), n.clone())).collect()
        };
        let mut osds = BTreeMap::new();
        for (n, name) in (0_u32..).zip(&names) {
            for k in 0..osds_per_host {
                let osd = Osd {
                    host: HostName(name.0.clone()),
                    up: true,
                    r#in: true,
                    failed: false,
                    since: Time::UNIX_EPOCH,
                    auto_out: false,
                    differs: None,
                };
                osds.insert(OsdId(n * osds_per_host + k), osd);
            }
        }
        let size = u32::try_from(names.len().min(3)).unwrap_or(3);
        self.world.ceph = Some(Ceph {
            hosts: names.iter().map(|n| (HostName(n.0.clone()), n.clone())).collect(),
            osds,
            mons: on(mons),
            mgrs: on(2),
            active_mgr: names.first().map(|n| n.0.clone()),
            pools: vec![pool("rbd", PoolKind::Replicated, size, size.min(2), "host")],
            flags: BTreeMap::new(),
            host_noout: BTreeMap::new(),
            checks: BTreeMap::new(),
            muted: BTreeSet::new(),
            out_after: 600,
            shown: BTreeMap::new(),
            mgr_lost: None,
            changed: self.world.now,
            electing_until: Time::MIN,
            quorum_lost: None,
            quorum_was: on(mons).into_keys().collect(),
            mons_since: self.world.now,
            last: None,
            noout_gone: BTreeMap::new(),
            versions: BTreeMap::new(),
            mds: BTreeMap::new(),
            stopped_mons: BTreeSet::new(),
        });
        self
    }

    /// Replaces Ceph's pools.
    pub fn pools(mut self, pools: Vec<Placed>) -> Self {
        if let Some(ceph) = &mut self.world.ceph {
            ceph.pools = pools;
        }
        self
    }

    pub fn build(self) -> World {
        let mut world = self.world;
        if let Some(ceph) = &mut world.ceph {
            ceph.place_pgs(PGS_PER_POOL);
        }
        world.origin = world.guests.iter().map(|(id, g)| (*id, (g.node.clone(), g.power()))).collect();
        world.furnish();
        world.tick_ceph();
        world
    }
}

/// A pool whose PGs are placed when the world is built.
pub fn pool(name: &str, kind: PoolKind, size: u32, min_size: u32, failure_domain: &str) -> Placed {
    let pool = Pool {
        name: name.into(),
        kind,
        size,
        min_size,
        failure_domain: failure_domain.into(),
        per_host: None,
    };
    Placed { pool, pgs: Vec::new() }
}
