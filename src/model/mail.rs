//! How mail leaves: what the configuration and whoever sends share.

use std::net::IpAddr;

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

    /// Only what never leaves the machine.
    pub fn may_be_none(host: &str) -> bool {
        let host = host.trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}
