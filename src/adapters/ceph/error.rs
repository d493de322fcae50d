//! What can go wrong between us and Ceph, told from the exit code and the client's own words.

use std::time::Duration;

use super::runner::Answer;
use crate::adapters::child::{ChildError, last_words};
use crate::model::seen::Trouble;

#[derive(Debug, thiserror::Error)]
pub enum CephError {
    #[error("running `ceph {command}`")]
    Client { command: String, source: ChildError },
    #[error("`ceph {command}` gave no answer within {limit:.0?}")]
    TooSlow { command: String, limit: Duration },
    #[error("no monitor let us in: {text}")]
    NoMonitor { text: String },
    /// Whatever the monitors say without a majority may be old, HEALTH_OK included.
    #[error("the monitors have no quorum ({have} of {all} agree)")]
    NoQuorum { have: usize, all: usize },
    #[error("the keyring file is missing")]
    NoKeyring,
    #[error("the client's configuration cannot be read: {text}")]
    NoConf { text: String },
    #[error("the cluster does not accept our key: unknown name or wrong key")]
    KeyUnknown,
    #[error("our key lacks the right to `ceph {command}`: {text}")]
    Denied { command: String, text: String },
    #[error("`ceph {command}` was refused with {rc}: {text}")]
    Refused { command: String, rc: i32, text: String },
    #[error("{0}")]
    Unwilling(String),
    #[error("the answer to `ceph {command}`: {why}")]
    Garbled { command: String, why: String },
    /// A manager that just took over does not know the placement groups yet.
    #[error("the manager does not know all placement groups yet: {text}")]
    NotYet { text: String },
    /// Done by its own word, and not there when we looked.
    #[error("`ceph {command}` said that it is done, but it is not: {why}")]
    NotDone { command: String, why: String },
}

impl CephError {
    /// What a client that left with `answer.rc` (not 0) wanted to say.
    pub fn of(command: &str, answer: &Answer) -> Self {
        let said = answer.stderr.as_str();
        let (command, text) = (command.to_owned(), last_words(said));
        let connecting = said.contains("error connecting to the cluster");
        // Never by the word "keyring": the client complains that there is none where its configuration points to, and
        // goes on with the one that we gave it.
        match answer.rc {
            13 if connecting => Self::KeyUnknown,
            13 => Self::Denied { command, text },
            _ if said.contains("conf_read_file") => Self::NoConf { text },
            1 | 110 if said.contains("timed out") => Self::NoMonitor { text },
            _ if connecting && said.contains("[errno 2]") => Self::NoKeyring,
            _ if connecting => Self::NoMonitor { text },
            11 => Self::NotYet { text },
            rc => Self::Refused { command, rc, text },
        }
    }

    /// An effect asked for may have happened although this is an error.
    pub fn leaves_doubt(&self) -> bool {
        match self {
            Self::TooSlow { .. } | Self::Garbled { .. } => true,
            Self::Client { source, .. } => {
                !matches!(source, ChildError::Missing { .. } | ChildError::Start { .. })
            }
            _ => false,
        }
    }
}

impl From<CephError> for Trouble {
    fn from(error: CephError) -> Self {
        let text = error.to_string();
        match error {
            CephError::Client { source, .. } => match source {
                ChildError::Missing { .. } => Self::NotConfigured(format!("{source}: install ceph-common")),
                ChildError::TooSlow { .. } => Self::TooSlow(format!("{text}: {source}")),
                _ => Self::Nonsense(format!("{text}: {source}")),
            },
            CephError::TooSlow { .. } | CephError::NotYet { .. } => Self::TooSlow(text),
            CephError::NoMonitor { .. } | CephError::NoQuorum { .. } => Self::Unreachable(text),
            CephError::NoKeyring | CephError::NoConf { .. } => Self::NotConfigured(text),
            CephError::KeyUnknown
            | CephError::Denied { .. }
            | CephError::Refused { .. }
            | CephError::Unwilling(_) => Self::Refused(text),
            CephError::Garbled { .. } | CephError::NotDone { .. } => Self::Nonsense(text),
        }
    }
}
