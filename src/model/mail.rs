//! How mail leaves: what the configuration and whoever sends share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the way to a mail server is kept private.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MailTls {
    /// Begun in the clear, and nothing is said before it is encrypted. Port 587.
    #[default]
    Starttls,
    /// Encrypted from the first byte. Port 465.
    Tls,
    /// Not at all: to a server on this machine only. Port 25.
    None,
}

impl MailTls {
    pub fn port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }

    /// Only what never leaves the machine: `localhost`, `::1` and addresses 127.x.y.z, but no name that begins so.
    pub fn may_be_none(host: &str) -> bool {
        let parts: Vec<&str> = host.split('.').collect();
        let address = parts.len() == 4 && parts.iter().all(|part| part.parse::<u8>().is_ok());
        matches!(host, "localhost" | "::1") || (address && parts[0] == "127")
    }
}
