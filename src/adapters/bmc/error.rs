//! What can go wrong between us and a management controller.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;

use crate::adapters::child::ChildError;
use crate::model::seen::Trouble;

#[derive(Debug, thiserror::Error)]
pub enum BmcError {
    // Configuration
    #[error("the BMC's address {0} cannot be asked")]
    Address(String),
    #[error("the BMC's certificates: {0}")]
    Certificates(String),
    #[error("setting up the client for a BMC")]
    Client(#[source] reqwest::Error),
    #[error("writing {}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Account(&'static str),
    #[error("the BMC shows {0} systems; name one of them with system:")]
    Systems(usize),

    // On the way
    #[error("asking the BMC for {path}")]
    Http { path: String, source: reqwest::Error },
    #[error("the BMC gave no answer within {0:?}")]
    TooSlow(Duration),
    #[error("running {program}")]
    Program { program: &'static str, source: ChildError },

    // Its answer
    #[error("the BMC does not accept our account ({status} for {path})")]
    Unauthorised { path: String, status: StatusCode },
    #[error("the BMC answers {status} for {path}")]
    Status { path: String, status: StatusCode },
    #[error("{program}: {words}")]
    Said { program: &'static str, words: String },
    #[error("the BMC's answer: {0}")]
    Garbled(String),
    #[error("the BMC has no locate LED for {0} that can be read back")]
    NoLamp(String),
}

impl From<BmcError> for Trouble {
    fn from(error: BmcError) -> Self {
        let text = error.to_string();
        match error {
            BmcError::Address(_)
            | BmcError::Certificates(_)
            | BmcError::Client(_)
            | BmcError::File { .. }
            | BmcError::Account(_)
            | BmcError::Systems(_) => Self::NotConfigured(text),
            BmcError::Http { source, .. } if source.is_connect() => {
                Self::Unreachable(format!("{text}: no connection, or not the certificate that we trust"))
            }
            BmcError::Http { .. } => Self::Unreachable(text),
            BmcError::TooSlow(_) => Self::TooSlow(text),
            BmcError::Program { source, .. } => match source {
                ChildError::Missing { .. } => {
                    Self::NotConfigured(format!("{source}: install freeipmi-tools"))
                }
                ChildError::TooSlow { .. } => Self::TooSlow(format!("{text}: {source}")),
                _ => Self::Nonsense(format!("{text}: {source}")),
            },
            BmcError::Unauthorised { .. } | BmcError::NoLamp(_) => Self::Refused(text),
            // A controller that is busy with itself answers 503 and its like.
            BmcError::Status { status, .. } if status.is_server_error() => Self::Unreachable(text),
            BmcError::Status { .. } => Self::Refused(text),
            BmcError::Said { ref words, .. } if words.contains("timeout") || words.contains("timed out") => {
                Self::TooSlow(text)
            }
            BmcError::Said { ref words, .. } if words.contains("password") || words.contains("privilege") => {
                Self::Refused(text)
            }
            BmcError::Said { .. } => Self::Unreachable(text),
            BmcError::Garbled(_) => Self::Nonsense(text),
        }
    }
}
