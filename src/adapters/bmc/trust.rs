//! Whom we believe to be a machine's controller. Most show a certificate that they signed themselves, so its
//! fingerprint can be pinned. There is deliberately no way to switch verification off.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest, Sha256};

use super::error::BmcError;

/// What a controller's certificate is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The authorities that the machine trusts.
    System,
    /// Only these (PEM).
    Ca(Vec<u8>),
    /// Only the certificate with this SHA-256 (hexadecimal, colons or none); its names and dates do not matter.
    Pinned(String),
}

/// Puts the trust into a client under construction.
///
/// # Errors
/// Certificates or the fingerprint cannot be read.
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
        Trust::Pinned(pin) => client.tls_backend_preconfigured(pinned(pin)?),
    })
}

fn pinned(pin: &str) -> Result<ClientConfig, BmcError> {
    let digits: String = pin.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
    if digits.len() != 64 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(BmcError::Certificates("a fingerprint is 64 hexadecimal digits (SHA-256)".to_owned()));
    }
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| BmcError::Certificates(e.to_string()))?;
    Ok(config
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pin { provider, digits }))
        .with_no_client_auth())
}

#[derive(Debug)]
struct Pin {
    provider: Arc<CryptoProvider>,
    digits: String,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown: String = Sha256::digest(leaf.as_ref()).iter().map(|byte| format!("{byte:02x}")).collect();
        if shown == self.digits {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
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
