//! The journal: for people, written by the decisions themselves, so it reads like a story.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::case::{Ending, PhaseName};
use super::fault::FaultKey;
use super::ids::{CaseId, GuestId, HostName, NodeName, OsdId, Person, PlanHash, PolicyName, TicketRef};
use super::notice::{ChannelName, Urgency};
use super::observed::{LocateTarget, PartKey, PartSource};
use super::plan::How;
use super::rates::Took;
use super::rules::ProofCheck;
use super::time::{Period, Time};
use super::wait::Wait;

/// One line of the story.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    pub at: Time,
    /// `None`: about pitlane itself.
    pub case: Option<CaseId>,
    pub what: Noted,
}

/// What happened. The words are in `note_text.rs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "noted")]
pub enum Noted {
    // Opening and believing
    AlarmOpened { node: NodeName, fault: FaultKey },
    PersonOpened { node: NodeName, by: Person, reason: String },
    // Asked for what an alarm had opened already.
    PersonJoined { by: Person, reason: String },
    FaultJoined { fault: FaultKey },
    Steady { fault: FaultKey, spell: Period },
    Flapping { fault: FaultKey, episodes: u32, within: Period },
    FalseAlarm { reading: String },
    // Served before, and failing again. `enough`: it is to be replaced.
    CameAgain { fault: FaultKey, times: u32, within: Period, cases: Vec<CaseId>, enough: bool },

    // Judging and agreeing
    // `stops` is missing in journals from before it was counted.
    Planned { moves: usize, ha: usize, stays: usize, stops: Option<usize>, hash: PlanHash },
    WouldDrain { moves: usize, ha: usize },
    Warned { wait: Wait },
    Approved { by: Person, hash: PlanHash },
    // Where the policy wants two.
    ApprovedToo { by: Person, first: Person, hash: PlanHash },
    ApprovalVoid { hash: PlanHash },
    Waits { wait: Wait },
    Phase { to: PhaseName },

    // In place
    PlannedInPlace { node: NodeName, osds: Vec<OsdId>, hash: PlanHash },
    WouldServe { osds: Vec<OsdId> },
    ServiceBegins { node: NodeName, osds: Vec<OsdId> },
    HandedOverInPlace { node: NodeName, osds: Vec<OsdId> },
    AlsoInPlace { disks: Vec<String> },
    CalledOffInPlace { by: Person, reason: String },
    WantsWholeNode { fault: FaultKey },
    ServedByPerson { by: Person },
    OsdReplaced { gone: Vec<OsdId>, new: Vec<OsdId> },

    // Leaving
    PartsListed { sources: Vec<(PartSource, usize)>, blind: Vec<(PartSource, String)> },
    // Another policy than the case's own believes an alarm of it, and its calendar does not hold it back.
    BeginsSooner { policy: PolicyName },
    DrainBegins { node: NodeName },
    MgrFails { mgr: String },
    MaintenanceAsked { node: NodeName },
    NooutAsked { host: HostName },
    Leaves { guest: GuestId, name: String, to: NodeName, how: How },
    MakesRoom { guest: GuestId, name: String, from: NodeName, to: NodeName },
    // `why` is missing where another guest's change brought this one about.
    Replanned { guest: GuestId, name: String, from: NodeName, to: NodeName, why: Option<String> },
    HaMoves { guest: GuestId, name: String, to: Option<NodeName> },
    ShutsDown { guest: GuestId, name: String, why: String },
    IsDown { guest: GuestId, name: String },
    Arrived { guest: GuestId, name: String, node: NodeName, took: Period },
    MoveFailed { guest: GuestId, error: String },
    MoveCancelled { guest: GuestId, after: Period },
    CameBack { guest: GuestId, name: String },
    // By somebody else than the plan, and before its turn.
    MovedByOthers { guest: GuestId, name: String, node: NodeName },
    GuestGone { guest: GuestId, name: String },
    // Ours, and taken away by somebody else.
    MaintenanceTaken { node: NodeName },
    NooutTaken { host: HostName },
    // Set by somebody else, after each of our own tries was refused.
    MaintenanceTheirs { node: NodeName },
    NooutTheirs { host: HostName },
    // Set by somebody else, after our clearing of ours was acknowledged.
    NooutSetAgain { host: HostName },
    Outgrown { guest: GuestId },
    Empty { node: NodeName },
    Took { node: NodeName, took: Took },

    // With the technician
    HandedOver { node: NodeName },
    WorkOrderAsked { title: String },
    WorkOrderWritten { ticket: TicketRef },
    WorkOrderReopened { round: u32, why: String },
    WorkOrderAlso { fault: FaultKey },
    WorkOrderWarned { what: String },
    LocateAsked { node: NodeName, target: LocateTarget },
    SilenceAsked { node: NodeName, alertnames: Vec<String>, lease: Period },
    SilenceNotSet { node: NodeName, error: String },
    // Ended or changed in Alertmanager by somebody there.
    SilenceLeft { node: NodeName, changed: bool },
    SilenceLapsed { node: NodeName },
    // A person lengthened it, and nobody can be asked to end it.
    SilenceOutlives { node: NodeName, until: Time },
    ClaimedDone { by: Person, note: String },
    HandsOff { by: Person },
    // Done in the ticket, and then taken up again there.
    TakenUpAgain,
    Cancelled { by: Person, reason: String },
    CalledOffHalfway { by: Person, reason: String },
    // The machine is back already, and was being proved.
    CalledOffProving { by: Person, reason: String },
    Overrun { time_box: Period },
    // From now on, not everything is home when the box ends. `choose`: a person has to choose, by the policy.
    LastSafeAbort { within: Period, ends: Time, way_back: Period, choose: bool },

    // Proving
    NodeBack { node: NodeName },
    PartReplaced { part: PartKey, old: String, new: String },
    PartAccepted { part: PartKey, by: Person, reason: String },
    SourceGivenUp { source: PartSource, by: Person, reason: String },
    OsdsGivenUp { osds: Vec<OsdId>, by: Person, reason: String },
    ProofBegins { soak: Period },
    ProofBroken { check: ProofCheck, why: String },
    Proved { soak: Period },

    // Giving back
    ReturnBegins { why: Ending },
    ReturnStopped { fault: FaultKey },
    Heals { by: Person, host: HostName },
    NooutReturned { host: HostName },
    NooutGone { host: HostName },
    MaintenanceReturned { node: NodeName },
    MaintenanceGone { node: NodeName },
    SilenceReturned { node: NodeName },
    SilenceGone { node: NodeName },
    LocateReturned { node: NodeName, target: LocateTarget },
    LocateGone { node: NodeName, target: LocateTarget },
    LocateLeft { node: NodeName, target: LocateTarget, why: String },
    GoesHome { guest: GuestId, name: String, how: How },
    HaBringsHome { guest: GuestId, name: String },
    Home { guest: GuestId, name: String, took: Option<Period> },
    StartedAgain { guest: GuestId, name: String },
    StaysAway { guest: GuestId, name: String, why: String },
    StaysDown { guest: GuestId, name: String, why: String },
    WorkOrderClosed,
    Died { node: NodeName, aboard: usize },
    Closed { ending: Ending, took: Period, stay: usize },

    // Told
    Paged { fault: FaultKey, nobody: bool },
    Recorded { fault: FaultKey },
    Storm { class: String, nodes: BTreeSet<NodeName>, nobody: bool },
    Blind { span: Period, nobody: bool },
    ChannelSilent { channel: ChannelName, error: String },
    BackupFails { error: String },
    WouldNotify { urgency: Urgency, title: String },

    // People and pitlane itself
    Remark { by: Person, text: String },
    Refused { by: Person, why: String },
    Paused { by: Person, reason: String },
    Resumed { by: Person },
    // Seconds; negative: back.
    ClockJumped { secs: i64 },
}
