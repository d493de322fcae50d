//! The certificates of the simulated members: one authority for the cluster, one leaf for each member, as Proxmox makes
//! them. Made anew at each start; nothing is written to disk.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};

use super::Error;

/// The cluster's own authority.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// What a client is given as its CA file.
    pub pem: String,
}

/// A member's identity on the wire.
pub(super) struct Leaf {
    pub tls: Arc<ServerConfig>,
    /// SHA-256 of the leaf, upper hex with colons, as `/nodes` prints it.
    pub fingerprint: String,
}

impl Authority {
    pub fn new() -> Result<Self, Error> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "Proxmox Virtual Environment");
        params.distinguished_name.push(DnType::OrganizationName, "PVE Cluster Manager CA");
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// A leaf that is good for the member's name and for loopback, where all members live.
    pub fn leaf(&self, member: &str) -> Result<Leaf, Error> {
        let names = [member, "localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, member);
        let key = KeyPair::generate()?;
        let leaf: CertificateDer<'static> = params.signed_by(&key, &self.issuer)?.into();
        let fingerprint = fingerprint(&leaf);
        let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // No ALPN is offered: Proxmox speaks HTTP/1.1 only and does not say so.
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf], secret)?;
        Ok(Leaf { tls: Arc::new(tls), fingerprint })
    }
}

fn fingerprint(leaf: &CertificateDer<'_>) -> String {
    let digest = Sha256::digest(leaf.as_ref());
    digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}
