//! How Proxmox says no over HTTP.

use crate::model::seen::Trouble;

/// A status and its words (the reason phrase, and the body's `message`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} {text}")]
pub struct Refusal {
    /// 400, 403, 500; 595 and 596 are the proxying member's, with an empty body.
    pub status: u16,
    pub text: String,
    /// The parameter at fault, for a 400: its entry in `errors`.
    pub parameter: Option<&'static str>,
}

impl Refusal {
    /// What a Perl `die` becomes: a finding, not an outage.
    pub fn died(text: impl Into<String>) -> Self {
        Self { status: 500, text: text.into(), parameter: None }
    }

    pub fn parameter(name: &'static str, text: impl Into<String>) -> Self {
        Self { status: 400, text: text.into(), parameter: Some(name) }
    }

    pub fn forbidden(path: &str, privilege: &str) -> Self {
        Self { status: 403, text: format!("Permission check failed ({path}, {privilege})"), parameter: None }
    }

    pub fn no_route() -> Self {
        Self { status: 595, text: "No route to host".into(), parameter: None }
    }

    pub fn no_quorum() -> Self {
        Self::died("cluster not ready - no quorum?")
    }

    pub fn locked(lock: &str) -> Self {
        Self::died(format!("VM is locked ({lock})"))
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        match refusal.status {
            595 => Self::Unreachable(refusal.text),
            596 => Self::TooSlow(refusal.text),
            _ => Self::Refused(refusal.text),
        }
    }
}
