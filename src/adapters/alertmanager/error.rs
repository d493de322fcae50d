//! What goes wrong when an Alertmanager is asked.

use std::time::Duration;

use reqwest::{StatusCode, Url};

use crate::model::seen::Trouble;

#[derive(Debug, thiserror::Error)]
pub enum PollError {
    #[error("the Alertmanager's address {0} cannot be asked")]
    Url(Url),
    #[error("there is no Alertmanager to ask")]
    Nobody,
    #[error("the Alertmanager's token is not fit for a header")]
    Token,
    #[error("the certificates for the Alertmanagers cannot be read")]
    Ca(#[source] reqwest::Error),
    #[error("setting up the client for the Alertmanagers")]
    Client(#[source] reqwest::Error),
    #[error("asking it")]
    Http(#[source] reqwest::Error),
    #[error("no answer within {} s", .0.as_secs())]
    TooSlow(Duration),
    #[error("it does not accept our login ({0})")]
    Unauthorised(StatusCode),
    #[error("it refuses ({status}): {text}")]
    Refused { status: StatusCode, text: String },
    #[error("it is not at work ({0})")]
    NotAtWork(StatusCode),
    #[error("its answer: {0}")]
    Garbled(String),
}

impl From<PollError> for Trouble {
    fn from(error: PollError) -> Self {
        let text = error.to_string();
        match error {
            PollError::Url(_)
            | PollError::Nobody
            | PollError::Token
            | PollError::Ca(_)
            | PollError::Client(_) => Self::NotConfigured(text),
            // The cause may hold the whole address; the kind of failure is enough for a status line.
            PollError::Http(source) if source.is_connect() => Self::Unreachable("no connection".to_owned()),
            PollError::Http(_) | PollError::NotAtWork(_) => Self::Unreachable(text),
            PollError::TooSlow(_) => Self::TooSlow(text),
            PollError::Unauthorised(_) | PollError::Refused { .. } => Self::Refused(text),
            PollError::Garbled(_) => Self::Nonsense(text),
        }
    }
}
