//! What pitlane remembers, and what one turn adds to it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::case::Case;
use super::fault::{Fault, FaultKey, Unplaced};
use super::ids::{CaseId, NodeName, Person, RequestId};
use super::note::Note;
use super::notice::{ChannelName, Notice, NoticeId, Silent};
use super::plan::Plan;
use super::rates::Rates;
use super::request::{Reply, Request};
use super::shared::Place;
use super::step::{Ledger, Step};
use super::time::{Period, Time};
use super::time_box::TimeBox;
use super::verdict::Verdict;

/// Everything remembered that a decision needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Open cases only.
    pub cases: Vec<Case>,
    /// Cases closed within the memory of faults, newest last.
    pub past: Vec<Past>,
    /// Closed cases of the nodes that have an open one, as far back as any policy may ask, oldest first.
    #[serde(default)]
    pub earlier: Vec<Earlier>,
    /// Not yet answered, oldest first.
    pub requests: Vec<Request>,
    pub paused: Option<Pause>,
    /// Steps of the open cases.
    pub ledger: Ledger,
    /// The number that the next case gets.
    pub next_case: u64,
    /// Notices of open cases, and those of the memory of faults: what was told already.
    #[serde(default)]
    pub told: BTreeSet<NoticeId>,
    /// Channels that notices do not reach.
    #[serde(default)]
    pub silent: BTreeMap<ChannelName, Silent>,
    /// How fast guests move here.
    #[serde(default)]
    pub rates: Rates,
}

/// What is remembered of a closed case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    pub case: CaseId,
    pub node: NodeName,
    pub faults: BTreeSet<FaultKey>,
    pub closed_at: Time,
    /// When it began to drain, if it did: the daily budget counts these.
    pub drained_at: Option<Time>,
}

/// What is remembered of a machine's cases for long: a part that comes back has a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    pub case: CaseId,
    pub node: NodeName,
    pub faults: BTreeSet<FaultKey>,
    pub closed_at: Time,
    /// When it began to drain, if it did.
    pub drained_at: Option<Time>,
    /// It was worked on, and proved to be good.
    pub served: bool,
    /// An alarm opened it, no person.
    pub by_alarm: bool,
}

/// How far back cases are remembered for that: no policy's window may be longer.
pub const EARLIER_MAX: Period = Period::hours(400 * 24);
/// And how many of them, the newest.
pub const EARLIER_COUNT_MAX: usize = 500;

/// The kill switch, pulled by a person through CLI or API. (The file is seen, not remembered.)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub by: Person,
    pub at: Time,
    pub reason: String,
}

/// What one turn decided. Cases, notes, steps and replies are committed together, before any step is taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// New and changed cases, with the revision they were read at (0: new).
    pub cases: Vec<Case>,
    pub notes: Vec<Note>,
    /// Written with the notes, each id once; delivered afterwards.
    #[serde(default)]
    pub notices: Vec<Notice>,
    /// In the order in which they are to be taken.
    pub steps: Vec<Step>,
    pub replies: BTreeMap<RequestId, Reply>,
    /// Set by a pause or resume request.
    pub pause: Option<Option<Pause>>,
    /// Silences of ours that no case owes, to be ended after the steps. Visible, and safe to end twice: not stored.
    #[serde(default)]
    pub leaked: BTreeSet<String>,
    /// The places in shared budgets that this cluster is to hold. Taken before the rest is committed, given back after it.
    #[serde(default)]
    pub places: Vec<Place>,
    /// For showing: not stored.
    pub show: Show,
    /// When to look again at the latest. Zero: at once, the world is expected to have changed.
    pub pace: Period,
}

/// What a turn saw and judged, for faces: never an input to a later decision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Show {
    pub faults: Vec<Fault>,
    /// The first thousand.
    pub unplaced: Vec<Unplaced>,
    /// How many more there are, by kind.
    #[serde(default)]
    pub unplaced_more: BTreeMap<String, usize>,
    pub verdicts: BTreeMap<NodeName, Verdict>,
    /// What would be done to the nodes of cases that wait for it: what an approval is asked for.
    #[serde(default)]
    pub plans: BTreeMap<NodeName, Plan>,
    /// Cases whose node is empty and may be switched off, judged at this instant. Not older than 15 s when shown.
    pub safe_to_power_off: BTreeMap<CaseId, Result<Time, String>>,
    /// How each case that holds something stands with its time box.
    #[serde(default)]
    pub time_boxes: BTreeMap<CaseId, TimeBox>,
    /// Cases served in place: may the disk be taken out at this instant? Not older than 15 s when shown.
    #[serde(default)]
    pub safe_to_pull: BTreeMap<CaseId, Result<Time, String>>,
}
