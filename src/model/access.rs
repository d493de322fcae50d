//! Who may ask what. A token is known by its hash alone.

use serde::{Deserialize, Serialize};

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Deliver alerts, nothing else.
    Alerts,
    /// See everything, change nothing.
    Read,
    /// See everything, say done and add notes.
    Technician,
    /// Everything but delivering alerts.
    Operate,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Read => "read",
            Self::Technician => "technician",
            Self::Operate => "operate",
        }
    }

    pub fn sees(self) -> bool {
        self != Self::Alerts
    }
}

/// A token that we know by its hash alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownToken {
    /// Shown in the journal as the person who asked.
    pub name: String,
    pub role: Role,
    pub sha256: [u8; 32],
}

/// A client whose certificate was verified and carries a name that may deliver alerts. Made by the listener, never from
/// anything that a request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertClient(pub String);
