//! `store.postgres`: the database that several instances share. Without it there is one instance, with a file of its own.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asked::{authority_in, secret_in};
use super::file::ConfigFile;
use super::formats;
use super::mistakes::Mistakes;
use super::reader::Read;
use super::settings::Secret;
use crate::model::ids::ClusterName;
use crate::model::time::Period;

/// A shorter one is lost to a short pause of the database; after a longer one nobody looks after the cluster for too long.
const LEASE: (Period, Period) = (Period::secs(6), Period::mins(5));

/// Several instances look after the same clusters, and each cluster has one of them at a time that decides.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresFile {
    /// Where it is, without a password; several hosts with commas between them. Beyond this machine always with TLS.
    #[schemars(extend("examples" = ["postgres://pitlane@db.example.org:5432/pitlane"]))]
    pub url: String,
    /// A file with one line.
    pub password_file: Option<PathBuf>,
    /// Whom to believe, instead of the system's certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// An instance that dies is replaced after a lease and a quarter at most; from six seconds to five minutes.
    #[serde(default = "lease")]
    pub lease: Period,
}

fn lease() -> Period {
    Period::secs(15)
}

/// The same, with what its files hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    pub url: String,
    pub password: Option<Secret>,
    pub ca_pem: Option<Vec<u8>>,
    pub lease: Period,
}

/// Where what is remembered of a cluster is.
#[derive(Clone, Debug)]
pub enum Whereabouts {
    Dir(PathBuf),
    /// `dir`: where it was before it was moved there.
    Database {
        database: Database,
        cluster: ClusterName,
        dir: PathBuf,
    },
}

impl Whereabouts {
    /// The directory; for a database the one that the state may be moved from.
    pub fn dir(&self) -> &Path {
        match self {
            Self::Dir(dir) | Self::Database { dir, .. } => dir,
        }
    }
}

/// What it says, and what is wrong with it.
pub(super) fn read(read: &Read<ConfigFile>, base: &Path, mistakes: &mut Mistakes) -> Option<Database> {
    let written = read.json.pointer("/store/postgres")?;
    let place = |key: &str| read.root.at(&format!("store.postgres{key}")).place;
    let url = written["url"].as_str().unwrap_or_default();
    if let Err(why) = sound(url) {
        mistakes.add(place(".url"), format!("store.postgres.url: {why}"));
    }
    let lease = read.get::<Period>("/store/postgres/lease").unwrap_or_else(lease);
    if !(LEASE.0..=LEASE.1).contains(&lease) {
        let text =
            format!("store.postgres.lease: {lease} is no time for a lease; write {} to {}", LEASE.0, LEASE.1);
        mistakes.add(place(".lease"), text);
    }
    if read.json.pointer("/store/backup").is_some() {
        let text = "store.backup copies a file, and here is a database: take it out, and back the database up by its own \
                    tools (pg_dump, archived logs)";
        mistakes.add(read.root.at("store.backup").place, text);
    }
    let named = read.json["name"].as_str().is_some_and(|name| formats::cluster_name(name).is_ok());
    if !named && read.json.get("clusters").is_none() {
        let text = "store.postgres: several clusters may lie in one database, so each needs a name of letters, digits, - and _; \
                    write name: …";
        mistakes.add(place(""), text);
    }
    let file = |key: &str| written[key].as_str().map(|file| base.join(file));
    let password =
        file("password_file").map(|file| secret_in(read, "store.postgres.password_file", &file, mistakes));
    let ca_pem = file("ca_file").map(|file| authority_in(read, "store.postgres.ca_file", &file, mistakes));
    Some(Database { url: url.to_owned(), password: password.flatten(), ca_pem: ca_pem.flatten(), lease })
}

/// As far as can be told before it is dialled.
fn sound(url: &str) -> Result<(), &'static str> {
    const WRITE: &str = "it is no address of a database; write postgres://USER@HOST:5432/DATABASE";
    let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")).ok_or(WRITE)?;
    let (before, database) = rest.split_once('/').ok_or(WRITE)?;
    let host = before.rsplit('@').next().unwrap_or_default();
    if database.split('?').next().is_none_or(str::is_empty) || host.is_empty() {
        return Err(WRITE);
    }
    let secret = before.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    if secret || url.contains("password=") {
        return Err(
            "the password does not belong into it; put it into a file and name that as password_file",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::reader::read as parse;
    use super::*;

    fn told(text: &str) -> (Option<Database>, String) {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("word"), "hunter2\n").expect("a file");
        let mut mistakes = Mistakes::of("pitlane.yaml".to_owned());
        let file = parse::<ConfigFile>(text, &mut mistakes).expect("it is YAML");
        let database = read(&file, dir.path(), &mut mistakes);
        let told = mistakes.or(Some(())).err().map(|mistakes| mistakes.to_string());
        (database, told.unwrap_or_default())
    }

    #[test]
    fn a_database_is_read_with_what_its_files_hold() {
        let text = "name: lab\nstore:\n  postgres: {url: 'postgres://pitlane@db:5432/pitlane', password_file: word}\n";
        let (database, said) = told(text);
        assert_eq!(said, "");
        let database = database.expect("there is one");
        assert_eq!((database.password, database.lease), (Some(Secret("hunter2".into())), Period::secs(15)));
        assert!(told("name: lab\n").0.is_none());
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let with = |name: &str, more: &str| {
            told(&format!("{name}store:\n  postgres: {{{more}}}\n  backup: {{dir: copies}}\n")).1
        };
        let said = with("", "url: 'postgres://pitlane@db/pitlane', lease: 2s");
        for want in ["needs a name", "write 6s to 5m", "pg_dump"] {
            assert!(said.contains(want), "{want}: {said}");
        }
        assert!(with("name: lab\n", "url: 'mysql://db/x'").contains("postgres://USER@HOST"));
        assert!(with("name: lab\n", "url: 'postgres://a:b@db/x'").contains("password_file"));
        assert!(with("name: lab\n", "url: 'postgres://a@db'").contains("no address"));
    }
}
