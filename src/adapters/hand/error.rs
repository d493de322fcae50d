//! What can go wrong between us and the helper on a member, told from ssh's and the helper's exit codes.

use std::time::Duration;

use crate::adapters::child::{ChildError, Said, last_words};
use crate::model::ids::NodeName;
use crate::model::seen::Trouble;

#[derive(Debug, thiserror::Error)]
pub enum HandError {
    #[error("no member with pitlane-hand is configured")]
    NoMembers,
    #[error("no member is left to ask: {0}")]
    Nobody(String),
    #[error("running ssh to {member}")]
    Ssh { member: NodeName, source: ChildError },
    /// Exit 255: ssh itself, before or instead of the helper.
    #[error("{member}: {text}")]
    Connection { member: NodeName, text: String },
    #[error("{member} does not accept our key")]
    KeyRefused { member: NodeName },
    #[error("{member} shows another host key than the one we know")]
    WrongHostKey { member: NodeName },
    #[error("pitlane-hand is not installed on {member}")]
    NotInstalled { member: NodeName },
    #[error("on {member} a tool failed: {text}")]
    Tool { member: NodeName, text: String },
    #[error("pitlane-hand on {member} does not know `{asked}`; is it of an older version?")]
    Usage { member: NodeName, asked: String },
    #[error("{member}: {text}")]
    Refused { member: NodeName, text: String },
    #[error("{member}: {text}")]
    ToolTooSlow { member: NodeName, text: String },
    #[error("{member} gave no answer within {limit:.0?}")]
    TooSlow { member: NodeName, limit: Duration },
    #[error("the answer of {member}: {why}")]
    Garbled { member: NodeName, why: String },
    #[error("{0:?} is not a name that can be sent")]
    NotAName(String),
    #[error("{member} said that {what} is done, but it is not")]
    NotDone { member: NodeName, what: String },
}

impl HandError {
    /// What an exit code other than 0 means.
    pub fn of(member: &NodeName, asked: &str, said: &Said) -> Self {
        let member = member.clone();
        let text = last_words(&said.stderr);
        let text = text.strip_prefix("pitlane-hand: ").unwrap_or(&text).to_owned();
        match said.rc {
            1 => Self::Tool { member, text },
            2 => Self::Usage { member, asked: asked.to_owned() },
            3 => Self::Refused { member, text: text.strip_prefix("refused: ").unwrap_or(&text).to_owned() },
            4 => Self::ToolTooSlow { member, text },
            126 | 127 => Self::NotInstalled { member },
            255 if said.stderr.contains("Host key verification failed") => Self::WrongHostKey { member },
            255 if said.stderr.contains("Permission denied") => Self::KeyRefused { member },
            255 => Self::Connection { member, text },
            rc => Self::Garbled { member, why: format!("an unknown exit code {rc}: {text}") },
        }
    }

    /// The helper was not reached, so another member may be asked. Never true once it has answered: a refusal asked
    /// around until somebody agrees is no refusal. A connection lost midway counts as not reached too: every verb sets
    /// something, so the same words on another member can only do the same again.
    pub fn unreached(&self) -> bool {
        matches!(self, Self::Connection { .. } | Self::KeyRefused { .. } | Self::WrongHostKey { .. })
    }

    /// An effect asked for may have happened although this is an error.
    pub fn leaves_doubt(&self) -> bool {
        matches!(self, Self::ToolTooSlow { .. } | Self::TooSlow { .. })
    }
}

impl From<HandError> for Trouble {
    fn from(error: HandError) -> Self {
        let text = error.to_string();
        match error {
            HandError::Nobody(_) | HandError::Connection { .. } | HandError::WrongHostKey { .. } => {
                Self::Unreachable(text)
            }
            HandError::Ssh { source, .. } => match source {
                ChildError::Missing { .. } => {
                    Self::NotConfigured(format!("{source}: install openssh-client"))
                }
                _ => Self::Nonsense(format!("{text}: {source}")),
            },
            HandError::NoMembers | HandError::NotInstalled { .. } => Self::NotConfigured(text),
            HandError::KeyRefused { .. }
            | HandError::Tool { .. }
            | HandError::Refused { .. }
            | HandError::NotAName(_) => Self::Refused(text),
            HandError::ToolTooSlow { .. } | HandError::TooSlow { .. } => Self::TooSlow(text),
            HandError::Usage { .. } | HandError::Garbled { .. } | HandError::NotDone { .. } => {
                Self::Nonsense(text)
            }
        }
    }
}
