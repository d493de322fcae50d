//! Where the database is, and how the way there is kept private.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore, crypto};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::super::error::StoreError;

/// A lease lasts so long without being renewed.
pub const LEASE: Duration = Duration::from_secs(15);

/// A database that does not let us in within this is away.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Where the database is, and who we are there.
#[derive(Clone)]
pub struct PostgresSettings {
    /// `postgres://USER@HOST:PORT/DATABASE`, without a password; several hosts with commas between them.
    pub url: String,
    pub password: Option<String>,
    /// Whom to believe, instead of the machine's authorities.
    pub ca_pem: Option<Vec<u8>>,
    /// This life of this process, for people who look at the leases. Must never be used again.
    pub holder: String,
    pub lease: Duration,
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password stays where it is.
        f.debug_struct("PostgresSettings").field("url", &self.url).field("holder", &self.holder).finish()
    }
}

/// The address as it is dialled.
pub(super) struct Dial {
    pub(super) config: Config,
    pub(super) tls: Option<Arc<ClientConfig>>,
}

/// Is this an address that can be used?
///
/// # Errors
/// What to write instead.
pub fn postgres_url(url: &str) -> Result<(), StoreError> {
    parsed(url).map(drop)
}

pub(super) fn dial(settings: &PostgresSettings) -> Result<Dial, StoreError> {
    let mut config = parsed(&settings.url)?;
    if let Some(password) = &settings.password {
        config.password(password);
    }
    config
        .application_name("pitlane")
        .connect_timeout(CONNECT_MAX)
        .tcp_user_timeout(Duration::from_secs(10))
        .keepalives_idle(Duration::from_secs(30))
        // A standby answers, too, and takes nothing.
        .target_session_attrs(TargetSessionAttrs::ReadWrite);
    let tls = if settings.ca_pem.is_some() || config.get_hosts().iter().any(far) {
        config.ssl_mode(SslMode::Require);
        Some(Arc::new(believing(settings.ca_pem.as_deref())?))
    } else {
        config.ssl_mode(SslMode::Disable);
        None
    };
    Ok(Dial { config, tls })
}

fn parsed(url: &str) -> Result<Config, StoreError> {
    let refuse = |why: &str| StoreError::Address(why.to_owned());
    let config: Config = url
        .parse()
        .map_err(|_| refuse("it is no address of a database; write postgres://USER@HOST:5432/DATABASE"))?;
    if config.get_password().is_some() {
        return Err(refuse(
            "the password does not belong into it; put it into a file and name that as password_file",
        ));
    }
    if config.get_hosts().is_empty() {
        return Err(refuse("it names no host; write postgres://USER@HOST:5432/DATABASE"));
    }
    if config.get_dbname().is_none() {
        return Err(refuse("it names no database; write postgres://USER@HOST:5432/DATABASE"));
    }
    if config.get_ssl_mode() == SslMode::Disable && config.get_hosts().iter().any(far) {
        return Err(refuse("sslmode=disable would carry everything in the clear; leave it out"));
    }
    Ok(config)
}

/// Beyond this machine.
fn far(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name != "localhost" && !name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        Host::Unix(_) => false,
    }
}

fn believing(ca_pem: Option<&[u8]>) -> Result<ClientConfig, StoreError> {
    let mut roots = RootCertStore::empty();
    match ca_pem {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let added = certificate
                    .map_err(|e| e.to_string())
                    .and_then(|c| roots.add(c).map_err(|e| e.to_string()));
                added.map_err(|why| {
                    StoreError::Address(format!("ca_file holds what is no certificate: {why}"))
                })?;
            }
        }
        // Some of a machine's authorities may be unreadable; the others count.
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    if roots.is_empty() {
        return Err(StoreError::Address(
            "there is no certificate to believe; name one as ca_file".to_owned(),
        ));
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| StoreError::Address(e.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> PostgresSettings {
        let (password, ca_pem) = (Some("a b'c".to_owned()), None);
        PostgresSettings { url: url.to_owned(), password, ca_pem, holder: "me".to_owned(), lease: LEASE }
    }

    #[test]
    fn nothing_leaves_this_machine_in_the_clear() {
        for (url, tls) in [
            ("postgres://pitlane@db.example.org/pitlane", true),
            ("postgres://pitlane@127.0.0.1:5433,db.example.org/pitlane", true),
            ("postgres://pitlane@127.0.0.1:5433/pitlane", false),
            ("postgres://pitlane@localhost/pitlane", false),
            ("host=/run/postgresql user=pitlane dbname=pitlane", false),
        ] {
            let dial = dial(&settings(url)).expect(url);
            assert_eq!(dial.tls.is_some(), tls, "{url}");
            assert_eq!(dial.config.get_ssl_mode() == SslMode::Require, tls, "{url}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_with_what_to_write() {
        for (url, want) in [
            ("mysql://db/pitlane", "postgres://USER@HOST"),
            ("postgres://pitlane:secret@db/pitlane", "password_file"),
            ("postgres:///pitlane", "names no host"),
            ("postgres://pitlane@db", "names no database"),
            ("postgres://pitlane@db/pitlane?sslmode=disable", "in the clear"),
        ] {
            let said = postgres_url(url).expect_err(url).to_string();
            assert!(said.contains(want) && !said.contains("secret"), "{url}: {said}");
        }
        assert!(!format!("{:?}", settings("postgres://pitlane@db/pitlane")).contains("a b'c"));
    }
}
