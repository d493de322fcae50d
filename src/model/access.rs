//! Who may ask what: one table of roles and rights, and one of what each request needs. A token is known by its hash alone.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::ids::ClusterName;
use super::request::Ask;

/// What a token or a certificate stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Deliver alerts, nothing else.
    Alerts,
    /// See everything, change nothing.
    Read,
    /// See everything, say done and add notes.
    Technician,
    /// See everything and approve plans: for the second person.
    Approve,
    /// Everything but delivering alerts.
    Operate,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    Deliver,
    See,
    /// Say done, add notes.
    Report,
    Approve,
    Operate,
}

impl Role {
    pub const ALL: [Self; 5] = [Self::Alerts, Self::Read, Self::Technician, Self::Approve, Self::Operate];

    pub fn name(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Read => "read",
            Self::Technician => "technician",
            Self::Approve => "approve",
            Self::Operate => "operate",
        }
    }

    pub fn may(self, right: Right) -> bool {
        match self {
            Self::Alerts => right == Right::Deliver,
            Self::Read => right == Right::See,
            Self::Technician => matches!(right, Right::See | Right::Report),
            Self::Approve => matches!(right, Right::See | Right::Approve),
            Self::Operate => right != Right::Deliver,
        }
    }
}

impl Right {
    /// What a request needs.
    pub fn for_asking(ask: &Ask) -> Self {
        match ask {
            Ask::Done { .. } | Ask::Note { .. } => Self::Report,
            Ask::Approve { .. } => Self::Approve,
            Ask::Drain { .. }
            | Ask::Abort { .. }
            | Ask::Retire { .. }
            | Ask::Accept { .. }
            | Ask::Heal { .. }
            | Ask::Pause { .. }
            | Ask::Resume => Self::Operate,
        }
    }

    /// The least role that has it.
    pub fn role(self) -> Role {
        match self {
            Self::Deliver => Role::Alerts,
            Self::See => Role::Read,
            Self::Report => Role::Technician,
            Self::Approve => Role::Approve,
            Self::Operate => Role::Operate,
        }
    }
}

/// A token that we know by its hash alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownToken {
    /// Shown in the journal as the person who asked.
    pub name: String,
    pub role: Role,
    pub sha256: [u8; 32],
    /// The only clusters of a fleet that it is good for; `None`: all.
    pub clusters: Option<BTreeSet<ClusterName>>,
}

/// A client whose certificate was verified and carries a name that the configuration knows. Made by the listener, never
/// from anything that a request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownClient {
    /// Shown in the journal as the person who asked.
    pub name: String,
    pub role: Role,
}
