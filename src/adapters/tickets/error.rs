//! What can go wrong with a ticket system, each with the words that a person needs.

use std::time::Duration;

use reqwest::StatusCode;

use crate::model::seen::Trouble;

#[derive(Debug, thiserror::Error)]
pub enum TicketError {
    #[error("{0}")]
    Setup(String),
    #[error("{system}: setting up the client")]
    Client { system: String, source: reqwest::Error },
    #[error("{system}: no connection while {doing}")]
    NoConnection { system: String, doing: &'static str },
    #[error("{system}: the connection broke while {doing}; it may have happened")]
    Broken { system: String, doing: &'static str },
    #[error("{system} gave no answer within {} s while {doing}; it may have happened", limit.as_secs())]
    TooSlow { system: String, doing: &'static str, limit: Duration },
    #[error("{system} is not at work ({status}) while {doing}")]
    NotAtWork { system: String, doing: &'static str, status: StatusCode },
    #[error("{system} does not know our token ({status})")]
    Unauthorised { system: String, status: StatusCode },
    #[error("{system} refused {doing} ({status}){}", because(why))]
    Refused { system: String, doing: &'static str, status: StatusCode, why: String },
    #[error("{system}: {why}")]
    Nonsense { system: String, why: String },
    /// Said yes, and when we looked again nothing had changed.
    #[error("{system} accepted {doing} and did not do it: {why}")]
    NotDone { system: String, doing: &'static str, why: String },
    #[error("no ticket carries {0}; was it deleted or moved out of our sight?")]
    NoTicket(String),
    /// Its search may not show yet what we created a moment ago.
    #[error("{system} shows new tickets up to {} s late; looking once more before a ticket is created", lag.as_secs())]
    Lagging { system: String, lag: Duration },
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

impl TicketError {
    /// Whether it happened is not known.
    pub fn unclear(&self) -> bool {
        matches!(
            self,
            Self::TooSlow { .. } | Self::Broken { .. } | Self::NotAtWork { .. } | Self::Nonsense { .. }
        )
    }
}

impl From<TicketError> for Trouble {
    fn from(error: TicketError) -> Self {
        let text = error.to_string();
        match error {
            TicketError::Setup(_) | TicketError::Client { .. } => Self::NotConfigured(text),
            TicketError::NoConnection { .. } | TicketError::NotAtWork { .. } => Self::Unreachable(text),
            TicketError::TooSlow { .. } | TicketError::Broken { .. } | TicketError::Lagging { .. } => {
                Self::TooSlow(text)
            }
            TicketError::Unauthorised { .. }
            | TicketError::Refused { .. }
            | TicketError::NotDone { .. }
            | TicketError::NoTicket(_) => Self::Refused(text),
            TicketError::Nonsense { .. } => Self::Nonsense(text),
        }
    }
}

/// Words of a stranger, cut and cleaned for a status line.
pub fn short(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect::<String>().trim().to_owned()
}
