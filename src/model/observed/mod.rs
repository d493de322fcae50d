//! Everything one look brought home. A file of it is a bug report: `pitlane explain --observed FILE` decides it again.

pub mod alarms;
pub mod ceph;
pub mod ha;
pub mod inventory;
pub mod pve;
pub mod survey;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use alarms::{AlarmsView, Missing};
pub use ceph::{CephView, HealthCheck, Mds, OkToStop, Osd, Pool, PoolKind};
pub use ha::{
    Affinity, Datacenter, HaNode, HaNodeState, HaResource, HaRules, HaScheduler, HaService, HaView, LrmMode,
    NodeAffinity, ResourceAffinity,
};
pub use inventory::{BmcView, Inventories, Inventory, LocateTarget, Part, PartKey, PartKind, PartSource};
pub use pve::{
    Capacity, Guest, GuestDetail, GuestKind, LiveState, Maintained, NodeDetail, NodeRow, Opinion, Power,
    Privileges, PveView, Storage, Task, TaskEnd, TaskLog, Votes,
};
pub use survey::{Backup, Machine, Replica, Store, Survey};

use super::alert::Episodes;
use super::fault::FaultKey;
use super::ids::{CaseId, GuestId, HostName, NodeName, OsdId, TicketRef};
use super::seen::{Seen, Trouble};
use super::shared::Place;
use super::silence::SilencesView;
use super::time::{Period, Time};

/// One look at the whole world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// When the look ended. `decide` takes this as "now".
    pub at: Time,
    /// What was told to us and is not too old to matter. Our own store: always known.
    pub episodes: Episodes,
    /// What Alertmanager lists, asked for at most every 30 s.
    #[serde(default)]
    pub alarms: Seen<AlarmsView>,
    /// Silences of ours, where they may be set or are owed.
    #[serde(default)]
    pub silences: Seen<SilencesView>,
    pub pve: PveView,
    pub ceph: Seen<CephView>,
    /// Joint answers of `osd ok-to-stop` for every OSD of a host, for the hosts in question.
    pub ok_to_stop: BTreeMap<HostName, Seen<OkToStop>>,
    /// The same about single OSDs of a node whose disks are served in place.
    #[serde(default)]
    pub may_stop: BTreeMap<NodeName, Seen<OkToStop>>,
    pub hand: Seen<HandView>,
    #[serde(with = "pairs")]
    pub sensors: BTreeMap<FaultKey, Seen<Reading>>,
    pub work_orders: BTreeMap<CaseId, Seen<WorkOrderView>>,
    /// What the wished machines are made of, source by source.
    #[serde(default)]
    pub inventory: BTreeMap<NodeName, Inventories>,
    /// What the wished machines' BMCs show now.
    #[serde(default)]
    pub bmc: BTreeMap<NodeName, Seen<BmcView>>,
    /// Backups, replication and processors, for the wished nodes.
    #[serde(default)]
    pub surveys: BTreeMap<NodeName, Survey>,
    /// Who holds a place in the budgets that count over other clusters, too; not asked where there is none.
    #[serde(default)]
    pub places: Seen<Vec<Place>>,
    /// The kill switch's file is there.
    pub kill_file: bool,
    /// Why our store's backup fails, if it does.
    #[serde(default)]
    pub backup_fails: Option<BackupFails>,
    /// Since when this process has been looking without a break. What was good before is hearsay.
    pub watching_since: Time,
    /// Since when the cluster cannot be seen, as far as this process knows.
    #[serde(default)]
    pub blind_since: Option<Time>,
    /// How long the process had run at `at`, by a count that nobody can set.
    #[serde(default)]
    pub ran: Period,
    /// Seconds by which our own clock was set since the look before; negative: back.
    #[serde(default)]
    pub jumped: Option<i64>,
    /// By how many seconds it was set in all since a member last agreed with it.
    #[serde(default)]
    pub clock_off: i64,
}

impl Observed {
    /// Why what is seen of the cluster cannot be used: nobody answers, or only a member without quorum.
    pub fn blind(&self) -> Option<Trouble> {
        match &self.pve.first {
            Seen::Unknown { why } => Some(why.clone()),
            Seen::Known { value, .. } if !value.quorate => {
                Some(Trouble::Refused(format!("{} answers, and has no quorum", value.member)))
            }
            Seen::Known { .. } | Seen::NotAsked => None,
        }
    }

    /// A look at nothing at all: every source unasked.
    pub fn nothing(at: Time) -> Self {
        Self {
            at,
            episodes: Episodes::default(),
            alarms: Seen::NotAsked,
            silences: Seen::NotAsked,
            pve: PveView::default(),
            ceph: Seen::NotAsked,
            ok_to_stop: BTreeMap::new(),
            may_stop: BTreeMap::new(),
            hand: Seen::NotAsked,
            sensors: BTreeMap::new(),
            work_orders: BTreeMap::new(),
            inventory: BTreeMap::new(),
            bmc: BTreeMap::new(),
            surveys: BTreeMap::new(),
            places: Seen::NotAsked,
            kill_file: false,
            backup_fails: None,
            watching_since: at,
            blind_since: None,
            ran: Period::secs(0),
            jumped: None,
            clock_off: 0,
        }
    }
}

/// Our own store is not copied as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFails {
    /// Since it first failed, as far as this process knows: it names the spell.
    pub since: Time,
    pub why: String,
}

/// What the next look must bring beside the cheap readings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Nodes to be read in full: guests, tasks, services.
    pub nodes: BTreeSet<NodeName>,
    /// Nodes under maintenance or judged: never to be asked *through*.
    pub avoid: BTreeSet<NodeName>,
    /// Guests to be read in full, wherever they are.
    pub guests: BTreeSet<GuestId>,
    /// Faults whose sensor is to be read.
    pub faults: BTreeSet<FaultKey>,
    /// OSDs of nodes that are served in place: may they stop together?
    #[serde(default)]
    pub osds: BTreeMap<NodeName, BTreeSet<OsdId>>,
    /// Cases whose work order is to be read.
    pub work_orders: BTreeSet<CaseId>,
    /// Nodes whose parts are to be listed.
    pub inventory: BTreeSet<NodeName>,
    /// Nodes whose locate LED and power matter.
    pub bmc: BTreeSet<NodeName>,
    /// Nodes about which a survey is wanted.
    #[serde(default)]
    pub surveys: BTreeSet<NodeName>,
    /// A silence is owed, and something was last asked of it then: what was seen before is too old.
    #[serde(default)]
    pub silences: Option<Time>,
}

/// The root helper, as one quorate member answers for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandView {
    pub member: NodeName,
    pub version: String,
    pub quorate: bool,
}

/// What a sensor says now, whatever the alerts say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    pub good: bool,
    /// For people: `3 of 3 samples good`.
    pub text: String,
}

/// A work order as its ticket system shows it. "Done" is a technician's claim, not a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkOrderView {
    pub ticket: TicketRef,
    pub status: WorkOrderStatus,
    /// Who has taken it, as the ticket system calls them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Where a person reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl WorkOrderView {
    /// One that has neither an owner nor a page.
    pub fn plain(ticket: TicketRef, status: WorkOrderStatus) -> Self {
        Self { ticket, status, owner: None, url: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkOrderStatus {
    Open,
    /// A person has taken it. For showing: nothing follows from it.
    InProgress,
    Done,
    /// Refused or called off in the ticket system. Not "hands off": nobody said that the machine is left alone.
    Cancelled,
}

/// A map whose keys are no strings, as a list of pairs.
pub(crate) mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.collect_seq(map)
    }

    pub fn deserialize<'de, K, V, D>(d: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::deserialize(d)?.into_iter().collect())
    }
}
