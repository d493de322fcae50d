//! What pitlane can say to the systems around it, as data: for auditors, and for whoever writes its roles.
//!
//! Each adapter tells its own part from the very data that its client speaks with, so that the list cannot promise less than
//! the program can do. Nothing is decided by it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that pitlane can say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Call {
    pub system: System,
    /// HTTP's method; `run` for a program, `mail` for a letter.
    pub method: String,
    /// HTTP's path, or the program with its words. What is filled in is written in capitals: `NODE`, `VMID`.
    pub path: String,
    /// Every parameter that may be sent, in the order of the call. Empty for programs: their words are all there is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
    pub effect: Effect,
    /// The right that it needs over there, as that system names it.
    pub needs: String,
}

/// Who is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    Proxmox,
    /// The root helper on a member.
    Hand,
    Ceph,
    Bmc,
    Prometheus,
    Alertmanager,
    RequestTracker,
    /// A ticket system told by a template.
    TicketTemplate,
    Mail,
    /// A webhook that takes notices.
    Notify,
}

/// What it does over there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nothing.
    Read,
    /// Takes something from the cluster or gives it back.
    Change,
    /// Tells people or their systems.
    Tell,
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Proxmox => "proxmox",
            Self::Hand => "hand",
            Self::Ceph => "ceph",
            Self::Bmc => "bmc",
            Self::Prometheus => "prometheus",
            Self::Alertmanager => "alertmanager",
            Self::RequestTracker => "request-tracker",
            Self::TicketTemplate => "ticket-template",
            Self::Mail => "mail",
            Self::Notify => "notify",
        })
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Read => "read",
            Self::Change => "change",
            Self::Tell => "tell",
        })
    }
}

impl Call {
    /// `needs`: the right, or `anybody`.
    pub fn new(
        system: System,
        method: impl fmt::Display,
        path: impl Into<String>,
        effect: Effect,
        needs: impl Into<String>,
    ) -> Self {
        let (method, path, needs) = (method.to_string(), path.into(), needs.into());
        Self { system, method, path, parameters: Vec::new(), effect, needs }
    }
}
