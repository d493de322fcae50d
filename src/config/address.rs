//! Where the service of a configuration file listens: for the command line, which need not be able to read secrets.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::file::ConfigFile;
use super::mistakes::Mistakes;
use super::reader::read;

/// The address, and the certificate that the service shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAddress {
    listen: SocketAddr,
    pub certificate: Option<PathBuf>,
}

impl ServiceAddress {
    /// `None`: there is no such file, or it does not say. What else is wrong in it is `config check`'s affair.
    pub fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let read = read::<ConfigFile>(&text, &mut Mistakes::default())?;
        let listen = match read.json.pointer("/http/listen") {
            Some(listen) => listen.as_str()?.parse().ok()?,
            None => super::file::HttpFile::default().listen.parse().ok()?,
        };
        let certificate = read.json.pointer("/http/tls/cert").and_then(|v| v.as_str());
        let base = path.parent().unwrap_or(Path::new("."));
        Some(Self { listen, certificate: certificate.map(|file| base.join(file)) })
    }

    /// As a client on the same machine writes it.
    pub fn url(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        let host = match self.listen.ip() {
            ip if !ip.is_unspecified() => SocketAddr::new(ip, self.listen.port()),
            IpAddr::V4(_) => SocketAddr::from(([127, 0, 0, 1], self.listen.port())),
            IpAddr::V6(_) => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], self.listen.port())),
        };
        format!("{scheme}://{host}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_without_any_secret() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("pitlane.yaml");
        let told = |text: &str| {
            std::fs::write(&path, text).expect("writable");
            ServiceAddress::read(&path).map(|a| a.url())
        };
        assert_eq!(told("mode: act\n").as_deref(), Some("http://127.0.0.1:9690"));
        assert_eq!(told("http: {listen: '0.0.0.0:1'}\n").as_deref(), Some("http://127.0.0.1:1"));
        let tls =
            "http: {listen: '[2001:db8::1]:1', tls: {cert: c.pem, key: k.pem}}\nproxmox: {token_file: no}\n";
        assert_eq!(told(tls).as_deref(), Some("https://[2001:db8::1]:1"));
        assert_eq!(ServiceAddress::read(&dir.path().join("nowhere")), None);
    }
}
