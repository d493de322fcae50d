//! Clients that show a certificate. It is asked for, not demanded: people come with tokens. One that is signed by the
//! configured authority and carries a configured name has the role that stands beside that name; every other client needs a
//! token, whatever it shows.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};

use super::serve::{BadTls, certificates};
use crate::model::access::KnownClient;

/// Who needs no token.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    known: Arc<[(ServerName<'static>, KnownClient)]>,
}

impl Clients {
    /// Names as certificates carry them (DNS names or addresses), and whom they stand for.
    ///
    /// # Errors
    /// [`BadTls::ClientName`].
    pub fn of(known: Vec<(String, KnownClient)>) -> Result<Self, BadTls> {
        let read = |(name, client): (String, KnownClient)| match ServerName::try_from(name.clone()) {
            Ok(read) => Ok((read, client)),
            Err(_) => Err(BadTls::ClientName(name)),
        };
        Ok(Self { known: known.into_iter().map(read).collect::<Result<_, _>>()? })
    }

    /// Whoever this chain shows, if we know them. The chain was verified in the handshake.
    pub fn known(&self, chain: Option<&[CertificateDer<'_>]>) -> Option<KnownClient> {
        let leaf = ParsedCertificate::try_from(chain?.first()?).ok()?;
        let found = self.known.iter().find(|(name, _)| verify_server_name(&leaf, name).is_ok())?;
        Some(found.1.clone())
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
