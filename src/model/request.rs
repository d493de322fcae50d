//! What people ask of pitlane. Faces write requests; only `decide` answers them.

use serde::{Deserialize, Serialize};

use super::ids::{CaseId, NodeName, Person, PlanHash, RequestId};
use super::time::Time;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub id: RequestId,
    pub by: Person,
    pub at: Time,
    pub ask: Ask,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ask")]
pub enum Ask {
    /// Take this node out. `yes`: whoever asks approves the plan, whatever it turns out to be.
    Drain {
        node: NodeName,
        reason: String,
        yes: bool,
    },
    Approve {
        case: CaseId,
        hash: PlanHash,
    },
    Abort {
        case: CaseId,
        reason: String,
    },
    /// The work is done; with `hands_off` after a cancellation: nobody works on the machine.
    Done {
        case: CaseId,
        note: String,
        hands_off: bool,
    },
    Note {
        case: CaseId,
        text: String,
    },
    /// Close a case whose node does not come back.
    Retire {
        case: CaseId,
        reason: String,
    },
    /// A difference in the machine's parts is meant: a part by its name, a source (`bmc`), or the `led`.
    Accept {
        case: CaseId,
        part: String,
        reason: String,
    },
    /// Give noout back although OSDs are down, so that Ceph heals.
    Heal {
        case: CaseId,
    },
    Pause {
        reason: String,
    },
    Resume,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reply")]
pub enum Reply {
    Accepted { case: Option<CaseId> },
    Refused { why: String },
}
