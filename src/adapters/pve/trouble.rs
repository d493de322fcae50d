//! What an error of this adapter is at the port.

use super::error::{Credentials, ProxyFailure, PveError};
use crate::model::seen::Trouble;

impl From<&PveError> for Trouble {
    fn from(error: &PveError) -> Trouble {
        let text = error.to_string();
        match error {
            PveError::Setup { source, .. } => Trouble::NotConfigured(format!("{text}: {source}")),
            PveError::NobodyToAsk { .. } | PveError::Unreachable { .. } => Trouble::Unreachable(text),
            PveError::Connection { source, .. } => {
                let cause = source.root_cause().unwrap_or_default();
                Trouble::Unreachable(format!("{text}: {source}: {cause}"))
            }
            PveError::Proxy { failure: ProxyFailure::NotConnected, .. } => Trouble::Unreachable(text),
            PveError::Proxy { .. } | PveError::TooSlow { .. } => Trouble::TooSlow(text),
            PveError::OutcomeUnknown { because, .. } => Trouble::TooSlow(format!("{text} ({because})")),
            PveError::NotAuthenticated { credentials: Credentials::Missing, .. } => Trouble::NotConfigured(
                format!("{text}; the API token did not arrive, is a proxy in between?"),
            ),
            PveError::NotAuthenticated { credentials: Credentials::NotAccepted, .. } => {
                Trouble::Refused(format!(
                    "{text} (Proxmox says the same of a token that is wrong, expired, disabled or deleted)"
                ))
            }
            PveError::Forbidden { .. }
            | PveError::BadParameters { .. }
            | PveError::NoSuchTask { .. }
            | PveError::NotImplemented { .. }
            | PveError::Refused { .. } => Trouble::Refused(text),
            PveError::Nonsense { .. } | PveError::TooLarge { .. } => Trouble::Nonsense(text),
        }
    }
}

impl From<PveError> for Trouble {
    fn from(error: PveError) -> Trouble {
        Trouble::from(&error)
    }
}
