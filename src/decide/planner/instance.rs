//! What the planner is given: a cluster, and what is asked of it. Names are kept for people; everything else is an index.
//!
//! The live cluster and the offline file are both turned into this, so that there is one planner and not two. Nothing in
//! here is a wish of the planner: it only says what is.

/// Index into [`Instance::nodes`].
pub type NodeAt = usize;
/// Index into [`Instance::guests`].
pub type GuestAt = usize;
/// Index into [`Instance::storages`].
pub type StorageAt = usize;
/// Index into [`Instance::devices`].
pub type DeviceAt = usize;

/// Mbit in one MiB: memory is counted in MiB, wires in Mbit/s.
pub const MBIT_PER_MIB: f64 = 8.388_608;
/// Share of its rate that a migration still gains while the guest is slowed down because it writes too fast.
pub const THROTTLED_GAIN: f64 = 0.2;

#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    pub id: String,
    pub kind: Kind,
    pub params: Params,
    pub storages: Vec<Storage>,
    /// Names of mapped devices.
    pub devices: Vec<String>,
    pub nodes: Vec<Node>,
    pub guests: Vec<Guest>,
    pub rules: Vec<Rule>,
}

/// Which way the guests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Off the nodes whose role is [`Role::Leaving`].
    Drain,
    /// Back to their [`Guest::home`].
    Return,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    /// vCPUs allowed per core.
    pub cpu_overcommit: f64,
    pub n_plus_one: NPlusOne,
    /// Migrations that one node may send at a time.
    pub slots_out: usize,
    /// Migrations that one node may receive at a time.
    pub slots_in: usize,
    /// Migrations in the whole cluster at a time.
    pub max_parallel: Option<usize>,
    /// What one migration can carry at most, Mbit/s.
    pub stream: f64,
    /// Seconds that need no wire: starting a live migration,
    pub setup: f64,
    /// stopping and starting a container,
    pub restart: f64,
    /// a guest that must be off because of its device,
    pub cold: f64,
    /// the configuration of a stopped guest.
    pub offline: f64,
    /// How many times slower local disks are sent than memory: they have to be read and written.
    pub disk_slower: f64,
}

/// Must the loss of any one more node be survivable afterwards?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NPlusOne {
    Required,
    /// As far as nobody is left behind for it.
    Preferred,
    Off,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    pub name: String,
    /// Reached from every node that has it: nothing is copied.
    pub shared: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub id: String,
    pub cores: f64,
    /// MiB for guests, the hypervisor's own share taken off.
    pub memory: i64,
    /// Migration network, Mbit/s, each way.
    pub nic: f64,
    pub role: Role,
    /// Storages it has, with free MiB; `None` where that does not count (shared ones).
    pub storages: Vec<(StorageAt, Option<i64>)>,
    /// Devices it has, taken ones included.
    pub devices: Vec<(DeviceAt, i64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Open,
    /// Takes nothing: in maintenance, offline.
    Closed,
    /// Shall be empty.
    Leaving,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Guest {
    pub id: String,
    pub node: NodeAt,
    pub running: bool,
    /// vCPUs.
    pub cpus: u32,
    /// MiB that it costs its node while it runs.
    pub memory: i64,
    /// MiB that have to be sent.
    pub used: f64,
    /// Mbit/s at which it rewrites its memory.
    pub dirty: f64,
    pub way: Way,
    /// May be shut down where it cannot move.
    pub may_stop: bool,
    /// Has to be started elsewhere when its node is lost.
    pub ha: bool,
    /// Storage and MiB.
    pub disks: Vec<(StorageAt, i64)>,
    pub devices: Vec<(DeviceAt, i64)>,
    /// Nothing else will do, ascending; `None`: any.
    pub allowed: Option<Vec<NodeAt>>,
    /// Where it may be started again when its node is lost, ascending; `None`: anywhere. A rule that is only a wish
    /// binds HA while one of its nodes is there, and no longer.
    pub restarts: Option<Vec<NodeAt>>,
    /// Better there, ascending; empty: no matter.
    pub prefer: Vec<NodeAt>,
    pub home: Option<NodeAt>,
}

/// How a guest moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Live,
    Restart,
    Cold,
    Offline,
    /// Not at all.
    No,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub id: String,
    pub kind: RuleKind,
    pub guests: Vec<GuestAt>,
    /// Only a wish if not.
    pub strict: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    Together,
    Apart,
}

/// What a move costs, apart from where it goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Seconds without wire.
    pub fixed: f64,
    /// Mbit, sent once.
    pub disk: f64,
    /// Mbit, rewritten while they are sent.
    pub memory: f64,
    /// Mbit/s.
    pub dirty: f64,
}

impl Instance {
    pub fn work(&self, guest: &Guest) -> Work {
        let local: i64 =
            guest.disks.iter().filter(|(at, _)| !self.storages[*at].shared).map(|(_, mib)| mib).sum();
        let p = &self.params;
        let disk = local as f64 * MBIT_PER_MIB * p.disk_slower;
        let still = |fixed| Work { fixed, disk, memory: 0.0, dirty: 0.0 };
        match guest.way {
            _ if !guest.running => still(p.offline),
            Way::Restart => still(p.restart),
            Way::Cold => still(p.cold),
            _ => Work { fixed: p.setup, disk, memory: guest.used * MBIT_PER_MIB, dirty: guest.dirty },
        }
    }

    /// Thousandths of a vCPU that a node may promise.
    pub fn cpus(&self, node: NodeAt) -> i64 {
        (self.nodes[node].cores * self.params.cpu_overcommit * 1000.0 + 1e-6) as i64
    }

    /// Guests that shall move, in their order.
    pub fn leavers(&self) -> impl Iterator<Item = GuestAt> + '_ {
        (0..self.guests.len()).filter(|at| self.leaves(*at))
    }

    /// Is it asked of this guest that it moves?
    pub fn leaves(&self, at: GuestAt) -> bool {
        let guest = &self.guests[at];
        match self.kind {
            Kind::Drain => self.nodes[guest.node].role == Role::Leaving,
            Kind::Return => guest.home.is_some_and(|home| home != guest.node),
        }
    }

    /// Nodes that count when the loss of one more is asked about, and when balance is.
    pub fn remaining(&self) -> impl Iterator<Item = NodeAt> + '_ {
        let all = self.kind == Kind::Return;
        (0..self.nodes.len()).filter(move |at| all || self.nodes[*at].role == Role::Open)
    }
}

impl Work {
    /// Mbit on the wire at best, at `rate` Mbit/s all the way.
    pub fn bits(&self, rate: f64) -> f64 {
        if self.memory == 0.0 {
            return self.disk;
        }
        self.disk + self.memory * rate / gain(rate, self.dirty)
    }

    /// Seconds at `rate` Mbit/s all the way.
    pub fn secs(&self, rate: f64) -> f64 {
        self.fixed + self.bits(rate) / rate
    }

    /// Does it need the wire at all?
    pub fn wired(&self) -> bool {
        self.disk > 0.0 || self.memory > 0.0
    }
}

/// Mbit/s by which the memory left to send shrinks.
pub fn gain(rate: f64, dirty: f64) -> f64 {
    (rate - dirty).max(THROTTLED_GAIN * rate)
}

/// Is a guest slowed down that writes at `dirty` while it is sent at `rate`?
pub fn throttles(rate: f64, dirty: f64) -> bool {
    dirty > rate * (1.0 - THROTTLED_GAIN) + 1e-6
}
