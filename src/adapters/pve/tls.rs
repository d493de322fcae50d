//! Whom we believe to be a member of the cluster.
//!
//! The custom among Proxmox tools is to pin the SHA-256 fingerprint of the leaf certificate, because every cluster has
//! its own authority. Leaf certificates are renewed, so an endpoint may have several pins. There is deliberately
//! no way to switch verification off.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use sha2::{Digest, Sha256};

use super::error::PveError;

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

/// The SHA-256 of a certificate in DER, written as `AB:CD:…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub fn of(certificate: &CertificateDer<'_>) -> Fingerprint {
        Fingerprint(Sha256::digest(certificate.as_ref()).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let colon = if i == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

/// The text is not a SHA-256 fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is no SHA-256 fingerprint: write 64 hexadecimal digits, in pairs with colons between them or without"
)]
pub struct BadFingerprint {
    given: String,
}

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    fn from_str(text: &str) -> Result<Fingerprint, BadFingerprint> {
        let bad = || BadFingerprint { given: text.to_owned() };
        let digits: Vec<u32> = text
            .trim()
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16))
            .collect::<Option<_>>()
            .ok_or_else(bad)?;
        if digits.len() != 64 {
            return Err(bad());
        }
        let mut bytes = [0u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = (pair[0] * 16 + pair[1]) as u8;
        }
        Ok(Fingerprint(bytes))
    }
}

/// The TLS settings for one endpoint.
///
/// # Errors
/// [`PveError::Setup`] when a file cannot be read, holds no certificate, or there is nothing to trust.
pub fn client_config(trust: &Trust) -> Result<ClientConfig, PveError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| setup("choosing TLS versions", e))?;
    Ok(match trust {
        Trust::SystemRoots => builder.with_root_certificates(system_roots()?).with_no_client_auth(),
        Trust::CaFile(path) => builder.with_root_certificates(roots_of_file(path)?).with_no_client_auth(),
        Trust::Pinned(pins) if pins.is_empty() => {
            return Err(setup(
                "pinning certificates",
                std::io::Error::other("the list of fingerprints is empty"),
            ));
        }
        Trust::Pinned(pins) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pins { provider, pins: pins.clone() }))
            .with_no_client_auth(),
    })
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

/// The certificate shown is none of the pinned. Travels inside rustls' error to [`super::https`].
#[derive(Debug, thiserror::Error)]
#[error("the certificate {observed} is not pinned")]
pub(super) struct NotPinned {
    pub(super) observed: Fingerprint,
}

#[derive(Debug)]
struct Pins {
    provider: Arc<CryptoProvider>,
    pins: Vec<Fingerprint>,
}

impl ServerCertVerifier for Pins {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let observed = Fingerprint::of(leaf);
        if self.pins.contains(&observed) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::Other(OtherError(Arc::new(NotPinned { observed }))).into())
    }

    // The pin proves which certificate was shown; the signature proves that the other side owns its key.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_with_and_without_colons_and_written_with_them() {
        let written =
            "76:AB:86:25:EE:EB:9B:91:C9:38:D7:3F:1B:3B:D2:E1:D9:7E:81:75:1E:98:C3:39:F4:AC:8F:36:FC:85:C0:1C";
        let read: Fingerprint = written.parse().expect("as the node list prints it");
        assert_eq!(read.to_string(), written);
        assert_eq!(written.replace(':', "").to_lowercase().parse(), Ok(read));
    }

    #[test]
    fn what_is_no_fingerprint_is_refused_with_what_to_write() {
        for wrong in ["", "AB:CD", "zz", "é", &"A".repeat(63), &"A".repeat(66)] {
            let error = wrong.parse::<Fingerprint>().expect_err(wrong);
            assert!(error.to_string().contains("64 hexadecimal digits"));
        }
    }

    #[test]
    fn an_empty_list_of_pins_trusts_nobody_and_says_so() {
        let error = client_config(&Trust::Pinned(vec![])).expect_err("no pins");
        assert!(matches!(error, PveError::Setup { .. }));
    }
}
