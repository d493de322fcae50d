//! A certificate known by its fingerprint: what signed itself can be trusted no other way.
//!
//! Whoever pins says which very certificate must be shown; its names and dates do not matter then, its key still does.

use std::{fmt, str::FromStr, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use sha2::{Digest, Sha256};

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

/// TLS settings that believe these certificates and no other.
///
/// # Errors
/// The versions of TLS cannot be had.
pub(super) fn client_config(pins: Vec<Fingerprint>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let verifier = Arc::new(Pins { provider, pins });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// The certificate shown is none of the pinned. Travels inside rustls' error to who tells it.
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
}
