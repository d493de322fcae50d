//! Every no has a reason. A `Wait` is the status line, the journal note, the metric label and the test's expectation.

mod source;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::calendar::Shut;
use super::fault::FaultKey;
use super::ids::{
    BudgetName, ClusterName, GuestId, HostName, NodeName, OsdId, Person, PlanHash, PolicyName, TicketRef,
};
use super::notice::ChannelName;
use super::observed::GuestKind;
use super::rules::ProofCheck;
use super::seen::Blind;
use super::time::{Period, Time};

pub use source::Source;

/// Why no backup of a guest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackupLack {
    Missing,
    /// Only on what would be lost with the guest.
    AtRisk,
    Old,
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplicationIllness {
    Failing,
    Late,
    /// It is configured, and switched off or was never done.
    Off,
}

/// Why a case does not go on, or a check does not pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "wait")]
pub enum Wait {
    CannotSee { source: Source, why: Blind },

    // Quorum and members
    NoQuorum { member: NodeName },
    QuorumAfter { votes_left: u32, votes_total: u32 },
    TwoNodesOnly,
    NotAMember { node: NodeName },
    NodeOffline { node: NodeName },

    // HA
    HaDisarmed,
    HaDead { who: String },
    HaNoCandidate { guest: GuestId, why: String },
    // It chooses by the number of guests, and this node lacks what the guest needs.
    HaOverfills { guest: GuestId, node: NodeName, why: String },
    HaGuestInError { guest: GuestId, state: String },
    HaRuleBroken { rule: String, text: String },
    NoHand { what: String },

    // Guests
    NoTarget { guest: GuestId, blockers: Vec<(NodeName, String)> },
    Unmovable { guest: GuestId, why: String },
    // What it is and where, so that whoever is to unlock it can copy the command.
    GuestLocked { guest: GuestId, lock: String, kind: Option<GuestKind>, node: Option<NodeName> },
    BackupRunning { node: NodeName },
    ForeignMove { guest: GuestId },
    ContainerRestarts { guest: GuestId },
    ShutsDown { guest: GuestId },
    NoSpareFor { lost: NodeName, guests: Vec<GuestId> },
    // The planner's own check refused what the planner found: a mistake of ours, never carried out.
    NoPlan { why: String },
    // A canary is asked for, and no guest is fit to be one.
    NoCanary,
    NoSpareQuorum { votes_left: u32, votes_total: u32 },

    // Ceph
    CephNoQuorum { have: usize, monitors: usize },
    CephUnexpected { presence: String },
    CephHealth { code: String, summary: String },
    PgsUnclean { states: String },
    NoStandbyMgr,
    MonsAfter { left: usize, monitors: usize },
    HostUnknown { node: NodeName },
    OsdsDown { osds: Vec<OsdId> },
    NotOkToStop { host: HostName, bad_pgs: u64 },
    EmptyAnswer { host: HostName },
    TooFewCopies { pool: String, have: u32, need: u32 },
    NoSpareCopy { pool: String, have: u32 },
    ForeignNoout { host: HostName },
    ForeignFlag { flag: String },

    // In place
    DiskUnknown { node: NodeName, disk: String },
    NoOsdOn { node: NodeName, disk: String },
    DiskElsewhere { osd: OsdId, host: HostName },
    DisksNeeded { osds: Vec<OsdId>, bad_pgs: u64 },
    OsdMissing { osds: Vec<OsdId> },
    ServedInPlace { node: NodeName },
    NotInPlaceNow { reasons: Vec<Wait> },
    DisksWithTechnician { osds: Vec<OsdId> },

    // Itself, neighbours, other movers
    SelfUnset,
    // `command` moves it away, if it is a guest.
    SelfOnNode { node: NodeName, command: Option<String> },
    NeighbourSick { node: NodeName, class: String },
    AutoRebalance,
    // Guests elsewhere, moved by somebody else.
    ForeignMoves { guests: Vec<GuestId> },
    MovedHere { guest: GuestId, node: NodeName },
    UnlikeProcessor { guest: GuestId, node: NodeName, why: String },
    OtherProcessor { guests: Vec<GuestId> },
    // Where they go has processor features that their home lacks.
    NoWayHome { guests: Vec<GuestId> },
    HiddenGuests { guests: Vec<GuestId> },

    // Ceph's daemons
    CephMixedVersions { versions: BTreeSet<String> },
    NoStandbyMds { filesystems: BTreeSet<String> },

    // Recoverability
    BackupsUnseen { why: String },
    NoGoodBackup { guests: Vec<GuestId>, lack: BackupLack },
    ReplicationUnseen { why: String },
    ReplicationIll { guests: Vec<GuestId>, ill: ReplicationIllness },

    // Budgets, rights, people
    ForeignMaintenance { node: NodeName },
    NodesOut { out: Vec<NodeName>, max: u32 },
    // Two could begin in one turn: nothing was planned with the other one gone.
    OneByOne { first: NodeName },
    // Neither looked at in full nor planned: no node may leave, and so many wait longer.
    Queued { before: usize },
    SharedBudgetSpent { budget: BudgetName, out: Vec<(ClusterName, NodeName)>, max: u32 },
    DomainOut { domain: String, out: NodeName },
    DrainsToday { count: u32, max: u32 },
    // Going and coming back take longer than the policy allows, and it says back_out.
    TimeBoxTooShort { needs: Period, within: Period },
    // The calendar is closed now, or not open for as long as the drain takes.
    OutsideWindow(Shut),
    // Nobody knows what hour it is.
    ClockUnsure,
    // Alarms took this node out so often already.
    AttemptsSpent { node: NodeName, count: u32, max: u32, within: Period },
    ManyAlarm { nodes: BTreeSet<NodeName>, max: u32 },
    // One class on many nodes at once: a room or a feed.
    Correlated { class: String, nodes: BTreeSet<NodeName> },
    ChannelOnNode { channel: ChannelName, node: NodeName },
    MissingPrivilege { privilege: String, path: String },
    ObserveOnly,
    Approval { hash: PlanHash },
    // Of those who may not be the second.
    SecondPerson { hash: PlanHash, besides: BTreeSet<Person> },
    OutsideApproval { guest: GuestId },
    PolicyGone { policy: PolicyName },
    Paused { by: String },
    Verdict { reasons: Vec<Wait> },

    // On the way
    AlarmNotListed { fault: FaultKey },
    Unconfirmed { episodes: u32, needed: u32, steady_for: Period },
    QuietButUnproved { why: String },
    MgrOnNode { mgr: String },
    MaintenancePending,
    NooutPending { host: HostName },
    GuestsAboard { guests: Vec<GuestId> },
    // The canary, or those that make room: nothing else begins before they are away.
    FirstMoves { guests: Vec<GuestId> },
    MoveFails { guest: GuestId, tries: u32, error: String },
    HaStuck { guest: GuestId },
    SecondLook { since: Time },
    Technician,
    // Somebody put guests on a node that was handed over.
    CameAboard { guests: Vec<GuestId> },
    HandsOff,
    NodeNotBack,
    // Removed from the cluster, or renamed, while it was out.
    NoMemberAnyMore { node: NodeName },
    Unproved { check: ProofCheck, why: String },
    Soaking { until: Time },
    NooutStillSet { host: HostName },
    MaintenanceStillOn,
    LocateStillOn { node: NodeName },
    SilenceStillSet { node: NodeName, until: Time },
    GuestsNotHome { guests: Vec<GuestId> },
    // HA would bring it, live, as soon as maintenance ends.
    HaBringsHome { guest: GuestId, node: NodeName, why: String },
    // In no list; nobody is forgotten on one look.
    GuestMissing { guest: GuestId },
    WorkOrderPending,
    // Refused or called off in the ticket system by somebody there.
    WorkOrderCancelled { ticket: TicketRef },
    SecondFailure { what: String, of: Option<Second> },
    StrandedGuests { guests: Vec<GuestId> },
    EffectFails { effect: String, error: String },
}

/// Whose failure it is beside the node that is out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    pub nodes: BTreeSet<NodeName>,
    /// They are offline; else only some of their OSDs are down.
    pub offline: bool,
}

impl Wait {
    /// What the wait is about, without readings that change from turn to turn: two waits with the same subject
    /// are one wait, told once.
    pub fn subject(&self) -> String {
        use Wait::*;
        let name = self.name();
        match self {
            CannotSee { source, .. } => format!("{name}/{source:?}"),
            HaNoCandidate { guest, .. }
            | HaOverfills { guest, .. }
            | HaGuestInError { guest, .. }
            | NoTarget { guest, .. }
            | Unmovable { guest, .. }
            | GuestLocked { guest, .. }
            | ForeignMove { guest }
            | ContainerRestarts { guest }
            | ShutsDown { guest }
            | OutsideApproval { guest }
            | MovedHere { guest, .. }
            | MoveFails { guest, .. }
            | HaStuck { guest }
            | HaBringsHome { guest, .. }
            | GuestMissing { guest } => format!("{name}/{guest}"),
            HaRuleBroken { rule, .. } => format!("{name}/{rule}"),
            NoHand { what } | HaDead { who: what } | SecondFailure { what, .. } => format!("{name}/{what}"),
            NoSpareFor { lost: node, .. }
            | BackupRunning { node }
            | NoQuorum { member: node }
            | NodeOffline { node } => {
                format!("{name}/{node}")
            }
            NeighbourSick { node, class } => format!("{name}/{node}/{class}"),
            UnlikeProcessor { guest, node, .. } => format!("{name}/{guest}/{node}"),
            OtherProcessor { guests } | NoWayHome { guests } | HiddenGuests { guests } => {
                format!("{name}/{guests:?}")
            }
            NoStandbyMds { filesystems } => format!("{name}/{filesystems:?}"),
            NoGoodBackup { guests, lack } => format!("{name}/{lack:?}/{guests:?}"),
            ReplicationIll { guests, ill } => format!("{name}/{ill:?}/{guests:?}"),
            CephHealth { code, .. } => format!("{name}/{code}"),
            AlarmNotListed { fault } => format!("{name}/{fault}"),
            TooFewCopies { pool, .. } | NoSpareCopy { pool, .. } => format!("{name}/{pool}"),
            CameAboard { guests }
            | StrandedGuests { guests }
            | GuestsAboard { guests }
            | FirstMoves { guests }
            | GuestsNotHome { guests } => {
                format!("{name}/{guests:?}")
            }
            OsdsDown { osds }
            | OsdMissing { osds }
            | DisksNeeded { osds, .. }
            | DisksWithTechnician { osds } => format!("{name}/{osds:?}"),
            OutsideWindow(shut) => format!("{name}/{}", shut.subject()),
            DiskUnknown { disk, .. } | NoOsdOn { disk, .. } => format!("{name}/{disk}"),
            Correlated { class, .. } => format!("{name}/{class}"),
            ChannelOnNode { channel, .. } => format!("{name}/{channel}"),
            ForeignFlag { flag } => format!("{name}/{flag}"),
            MissingPrivilege { privilege, path } => format!("{name}/{privilege}@{path}"),
            Approval { hash } | SecondPerson { hash, .. } => format!("{name}/{hash}"),
            Unproved { check, .. } => format!("{name}/{check}"),
            Soaking { until } => format!("{name}/{until}"),
            Verdict { reasons } | NotInPlaceNow { reasons } => {
                let all: BTreeSet<String> = reasons.iter().map(Self::subject).collect();
                format!("{name}/{}", all.into_iter().collect::<Vec<_>>().join(","))
            }
            EffectFails { effect, .. } => format!("{name}/{effect}"),
            _ => name,
        }
    }

    /// What it is about first of all: a wait is told again only when this changes.
    pub fn headline(&self) -> String {
        match self {
            Self::Verdict { reasons } | Self::NotInPlaceNow { reasons } => {
                reasons.first().map(Self::headline).unwrap_or_default()
            }
            Self::OsdsDown { .. } => self.name(),
            other => other.subject(),
        }
    }

    /// The same incident on its way to being over: the OSDs of a machine that was offline a moment ago, which come up last.
    pub fn ebbs(&self, before: &Self) -> bool {
        match (self, before) {
            (
                Self::SecondFailure { of: Some(Second { nodes, offline: false }), .. },
                Self::SecondFailure { of: Some(Second { nodes: were, offline: true }), .. },
            ) => !nodes.is_empty() && nodes.is_subset(were),
            _ => false,
        }
    }

    /// Told by another note already, or passing by itself within a minute: shown, but not journaled.
    pub fn quiet(&self) -> bool {
        use Wait::*;
        matches!(
            self,
            GuestsAboard { .. }
                | OneByOne { .. }
                | Queued { .. }
                | FirstMoves { .. }
                | SecondLook { .. }
                | MaintenancePending
                | NooutPending { .. }
                | NooutStillSet { .. }
                | MaintenanceStillOn
                | LocateStillOn { .. }
                | SilenceStillSet { .. }
                | GuestsNotHome { .. }
                | GuestMissing { .. }
                | WorkOrderPending
                | Soaking { .. }
                | Technician
                | DisksWithTechnician { .. }
                | MgrOnNode { .. }
                | Unconfirmed { .. }
                | ObserveOnly
                | HandsOff
        )
    }

    /// Others' doing that is over within minutes: part of the verdict, and no part of what is approved. Otherwise no approval
    /// would live long in a cluster whose guests are moved by others.
    pub fn passing(&self) -> bool {
        matches!(self, Self::ForeignMoves { .. })
    }

    /// Only because nobody looked there yet: the next look will, so it should come at once.
    pub fn wants_a_deeper_look(&self) -> bool {
        match self {
            Self::CannotSee { why, .. } => *why == Blind::NotAsked,
            Self::Verdict { reasons } | Self::NotInPlaceNow { reasons } => {
                reasons.iter().any(Self::wants_a_deeper_look)
            }
            _ => false,
        }
    }

    /// The kind alone, from a closed set: a metric label.
    pub fn name(&self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(fields)) => {
                fields.get("wait").and_then(|v| v.as_str()).unwrap_or("wait").to_owned()
            }
            _ => "wait".to_owned(),
        }
    }
}
