//! Steps: the difference between the desired and the observed world, as things to do.
//!
//! *Set* steps (a flag, a guest's place) are repeatable and visible: we keep no memory of them, we look. *Say* steps
//! (a work order, a comment) are invisible afterwards: their id goes to the other side as idempotency key, and the
//! ledger remembers them. A step that outlives its turn is a ghost: every one has a `not_after`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::{CaseId, GuestId, HostName, NodeName, TicketRef, Upid};
use super::observed::{GuestKind, LocateTarget};
use super::plan::How;
use super::seen::Trouble;
use super::silence::Silence;
use super::time::Time;

/// Made from case and subject, never from time or chance: the same step has the same id after every crash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub String);

impl StepId {
    pub fn new(case: CaseId, subject: &str) -> Self {
        Self(format!("case-{case}/{subject}"))
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub id: StepId,
    pub case: CaseId,
    /// The node under maintenance: never used as the way in.
    pub node: NodeName,
    pub action: Action,
    /// Not begun after this.
    pub not_after: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    On,
    Off,
}

/// Everything pitlane can do to the world. There is nothing here that destroys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Action {
    /// Let another Ceph manager take over, so that PG states stay true while the node is down.
    FailMgr {
        mgr: String,
    },
    Maintenance {
        node: NodeName,
        to: Switch,
    },
    Noout {
        host: HostName,
        to: Switch,
    },
    Migrate {
        guest: GuestId,
        name: String,
        kind: GuestKind,
        from: NodeName,
        to: NodeName,
        how: How,
    },
    /// Cancel a migration of ours that does not end.
    CancelTask {
        upid: Upid,
        on: NodeName,
        guest: GuestId,
    },
    /// Start a guest that was running before we moved it or shut it down.
    Start {
        guest: GuestId,
        kind: GuestKind,
        on: NodeName,
    },
    /// Shut a guest down that cannot move: by policy and approval only.
    Shutdown {
        guest: GuestId,
        kind: GuestKind,
        on: NodeName,
    },
    /// The machine's own lamp, for whoever looks for it in the rack.
    Locate {
        node: NodeName,
        target: LocateTarget,
        to: Switch,
    },
    /// Set one that ends then, or make the one that is there end then.
    Silence {
        silence: Silence,
        until: Time,
    },
    /// End it now.
    EndSilence {
        silence: Silence,
    },
    OpenWorkOrder {
        order: WorkOrder,
    },
    ReopenWorkOrder {
        round: u32,
        text: String,
    },
    Comment {
        text: String,
    },
    CloseWorkOrder {
        text: String,
    },
}

impl Action {
    /// Invisible afterwards, so remembered in the ledger.
    pub fn said(&self) -> bool {
        matches!(
            self,
            Self::OpenWorkOrder { .. }
                | Self::ReopenWorkOrder { .. }
                | Self::Comment { .. }
                | Self::CloseWorkOrder { .. }
        )
    }

    /// From a closed set: a metric label.
    pub fn name(&self) -> &'static str {
        match self {
            Self::FailMgr { .. } => "fail_mgr",
            Self::Maintenance { to: Switch::On, .. } => "maintenance_on",
            Self::Maintenance { to: Switch::Off, .. } => "maintenance_off",
            Self::Noout { to: Switch::On, .. } => "noout_on",
            Self::Noout { to: Switch::Off, .. } => "noout_off",
            Self::Migrate { .. } => "migrate",
            Self::CancelTask { .. } => "cancel_task",
            Self::Start { .. } => "start",
            Self::Shutdown { .. } => "shutdown",
            Self::Locate { to: Switch::On, .. } => "locate_on",
            Self::Locate { to: Switch::Off, .. } => "locate_off",
            Self::Silence { .. } => "silence_on",
            Self::EndSilence { .. } => "silence_off",
            Self::OpenWorkOrder { .. } => "open_work_order",
            Self::ReopenWorkOrder { .. } => "reopen_work_order",
            Self::Comment { .. } => "comment",
            Self::CloseWorkOrder { .. } => "close_work_order",
        }
    }
}

/// What the technician gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkOrder {
    pub node: NodeName,
    pub title: String,
    pub body: String,
    pub checklist: Vec<String>,
}

/// Step → what became of it, last try.
pub type Ledger = BTreeMap<StepId, Attempt>;

/// The last try of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub tries: u32,
    pub at: Time,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// Planned and committed; whether it happened is not known. After a crash all of them look like this.
    Owed,
    Done {
        ticket: Option<TicketRef>,
    },
    Failed {
        trouble: Trouble,
    },
    /// Its time was over before it began.
    Expired,
}
