//! Whom we believe to be a machine's controller. Most show a certificate that they signed themselves, so its
//! fingerprint can be pinned. There is deliberately no way to switch verification off.

use super::error::BmcError;
use crate::adapters::pins::{self, Fingerprint};

/// What a controller's certificate is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The authorities that the machine trusts.
    System,
    /// Only these (PEM).
    Ca(Vec<u8>),
    /// Only this certificate; its names and dates do not matter.
    Pinned(Fingerprint),
}

/// Puts the trust into a client under construction.
///
/// # Errors
/// The certificates cannot be read.
pub(super) fn trust(
    client: reqwest::ClientBuilder,
    trust: &Trust,
) -> Result<reqwest::ClientBuilder, BmcError> {
    Ok(match trust {
        Trust::System => client,
        Trust::Ca(pem) => {
            let certificates = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|e| BmcError::Certificates(format!("the CA file: {e}")))?;
            client.tls_certs_only(certificates)
        }
        Trust::Pinned(pin) => {
            let config =
                pins::client_config(vec![*pin]).map_err(|e| BmcError::Certificates(e.to_string()))?;
            client.tls_backend_preconfigured(config)
        }
    })
}
