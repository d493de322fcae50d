//! Clients that show a certificate. It is asked for, not demanded: people come with tokens. One that is signed by the
//! configured authority and carries a configured name may deliver alerts, and nothing else; every other client needs a
//! token, whatever it shows.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};

use super::serve::{BadTls, certificates};
use crate::model::access::AlertClient;

/// Who may deliver alerts without a token.
#[derive(Clone, Debug, Default)]
pub struct AlertClients {
    names: Arc<[ServerName<'static>]>,
}

impl AlertClients {
    /// Names as certificates carry them: DNS names or addresses.
    ///
    /// # Errors
    /// [`BadTls::ClientName`].
    pub fn of(names: &[String]) -> Result<Self, BadTls> {
        let read =
            |name: &String| ServerName::try_from(name.clone()).map_err(|_| BadTls::ClientName(name.clone()));
        Ok(Self { names: names.iter().map(read).collect::<Result<_, _>>()? })
    }

    /// The sender of alerts that this chain shows, if it is one. The chain was verified in the handshake.
    pub fn known(&self, chain: Option<&[CertificateDer<'_>]>) -> Option<AlertClient> {
        let leaf = ParsedCertificate::try_from(chain?.first()?).ok()?;
        let name = self.names.iter().find(|name| verify_server_name(&leaf, name).is_ok())?;
        Some(AlertClient(name.to_str().into_owned()))
    }
}

/// Verifies what a client shows against this authority, and lets those through who show nothing.
///
/// # Errors
/// The file cannot be read, or holds no authority.
pub(super) fn verifier(ca: &Path) -> Result<Arc<dyn ClientCertVerifier>, BadTls> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).map_err(|e| BadTls::ClientCa(ca.display().to_string(), e.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .map_err(|e| BadTls::ClientCa(ca.display().to_string(), e.to_string()))
}
