//! Whom we believe to be a member of the cluster.
//!
//! The custom among Proxmox tools is to pin the SHA-256 fingerprint of the leaf certificate, because every cluster has
//! its own authority. Leaf certificates are renewed, so an endpoint may have several pins. There is deliberately
//! no way to switch verification off.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::error::PveError;
use crate::adapters::pins::{self, Fingerprint};

/// What a member's certificate is checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The authorities the operating system trusts.
    SystemRoots,
    /// Only the authorities of this PEM file, for example a copy of the cluster's `pve-root-ca.pem`.
    CaFile(PathBuf),
    /// Only these leaf certificates; names and dates in the certificate do not matter.
    Pinned(Vec<Fingerprint>),
}

/// The TLS settings for one endpoint.
///
/// # Errors
/// [`PveError::Setup`] when a file cannot be read, holds no certificate, or there is nothing to trust.
pub fn client_config(trust: &Trust) -> Result<ClientConfig, PveError> {
    let versions = |e| setup("choosing TLS versions", e);
    let roots = match trust {
        Trust::SystemRoots => system_roots()?,
        Trust::CaFile(path) => roots_of_file(path)?,
        Trust::Pinned(pins) if pins.is_empty() => {
            return Err(setup(
                "pinning certificates",
                std::io::Error::other("the list of fingerprints is empty"),
            ));
        }
        Trust::Pinned(pins) => return pins::client_config(pins.clone()).map_err(versions),
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(versions)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn setup(what: &str, source: impl std::error::Error + Send + Sync + 'static) -> PveError {
    PveError::Setup { what: what.to_owned(), source: Box::new(source) }
}

fn system_roots() -> Result<RootCertStore, PveError> {
    let mut roots = RootCertStore::empty();
    // A machine may hold one certificate that cannot be parsed among a hundred good ones.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let empty = std::io::Error::other(
            "the system has no certificate authorities; name a CA file or fingerprints",
        );
        return Err(setup("loading the system's certificate authorities", empty));
    }
    Ok(roots)
}

fn roots_of_file(path: &PathBuf) -> Result<RootCertStore, PveError> {
    let what = format!("reading certificate authorities from {}", path.display());
    let pem = std::fs::read(path).map_err(|e| setup(&what, e))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|e| setup(&what, e))?;
        roots.add(certificate).map_err(|e| setup(&what, e))?;
    }
    if roots.is_empty() {
        return Err(setup(&what, std::io::Error::other("the file holds no certificate in PEM")));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_of_pins_trusts_nobody_and_says_so() {
        let error = client_config(&Trust::Pinned(vec![])).expect_err("no pins");
        assert!(matches!(error, PveError::Setup { .. }));
    }
}
