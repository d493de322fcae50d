//! Where the service of a configuration file listens, and where a cluster's file and state are: for the command line, which need
//! not be able to read secrets.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::database::{self, Whereabouts};
use super::file::ConfigFile;
use super::fleet;
use super::formats;
use super::mistakes::Mistakes;
use super::reader::{Read, read};
use crate::model::ids::ClusterName;

/// The address, and the certificate that the service shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAddress {
    listen: SocketAddr,
    pub certificate: Option<PathBuf>,
}

impl ServiceAddress {
    /// `None`: there is no such file, or it does not say. What else is wrong in it is `config check`'s affair.
    pub fn read(path: &Path) -> Option<Self> {
        let read = glance(path)?;
        let listen = match read.json.pointer("/http/listen") {
            Some(listen) => listen.as_str()?.parse().ok()?,
            None => super::file::HttpFile::default().listen.parse().ok()?,
        };
        let certificate = read.json.pointer("/http/tls/cert").and_then(|v| v.as_str());
        Some(Self { listen, certificate: certificate.map(|file| beside(path, Path::new(file))) })
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

/// The file of that cluster: of a fleet, the one that bears its name. What cannot be read is its reader's affair.
///
/// # Errors
/// Which name to write.
pub fn cluster_file(path: &Path, cluster: Option<&str>) -> Result<PathBuf, String> {
    let Some(read) = glance(path) else { return Ok(path.to_owned()) };
    let dir = read.json["clusters"].as_str().map(|dir| beside(path, Path::new(dir)));
    match (dir, cluster) {
        (None, Some(name)) if read.json["name"].as_str() != Some(name) => Err(fleet::only_one(name)),
        (None, _) => Ok(path.to_owned()),
        (Some(dir), Some(name)) => {
            formats::cluster_name(name)?;
            let file = dir.join(format!("{name}.yaml"));
            if file.exists() {
                Ok(file)
            } else {
                Err(format!("there is no cluster {name}: {} is missing", file.display()))
            }
        }
        (Some(dir), None) => {
            Err(format!("which cluster? Write --cluster NAME; each has its file in {}", dir.display()))
        }
    }
}

/// Where the state of that cluster is.
///
/// # Errors
/// The file cannot be read, or which name to write.
pub fn state_dir(path: &Path, cluster: Option<&str>) -> Result<PathBuf, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| format!("{} cannot be read: {e}; write --config FILE", path.display()))?;
    let mut mistakes = Mistakes::of(path.display().to_string());
    let Some(read) = read::<ConfigFile>(&text, &mut mistakes) else { return Err(mistakes.to_string()) };
    cluster_file(path, cluster)?;
    let state = read.json["state"].as_str().map_or_else(super::file::state_dir, PathBuf::from);
    let state = beside(path, &state);
    Ok(match (read.json.get("clusters"), cluster) {
        (Some(_), Some(name)) => fleet::state_of(&state, name),
        _ => state,
    })
}

/// Where what is remembered of that cluster is: in its directory, or in the database that several instances share.
///
/// # Errors
/// The file cannot be read, or what it says of the database is wrong, or which name to write.
pub fn whereabouts(path: &Path, cluster: Option<&str>) -> Result<Whereabouts, String> {
    let dir = state_dir(path, cluster)?;
    let mut mistakes = Mistakes::of(path.display().to_string());
    let read = std::fs::read_to_string(path).ok().and_then(|text| read::<ConfigFile>(&text, &mut mistakes));
    let Some(read) = read else { return Ok(Whereabouts::Dir(dir)) };
    // What else is wrong in it is `config check`'s affair.
    let mut mistakes = Mistakes::of(path.display().to_string());
    let base = path.parent().unwrap_or(Path::new("."));
    let Some(database) = database::read(&read, base, &mut mistakes) else { return Ok(Whereabouts::Dir(dir)) };
    if !mistakes.is_empty() {
        return Err(mistakes.to_string());
    }
    let name = cluster.or_else(|| read.json["name"].as_str()).unwrap_or_default();
    if name.is_empty() {
        return Err("which cluster? Write --cluster NAME".to_owned());
    }
    Ok(Whereabouts::Database { database, cluster: ClusterName::from(name), dir })
}

fn glance(path: &Path) -> Option<Read<ConfigFile>> {
    read::<ConfigFile>(&std::fs::read_to_string(path).ok()?, &mut Mistakes::default())
}

fn beside(path: &Path, named: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new(".")).join(named)
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
