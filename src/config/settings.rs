//! What `pitlane.yaml` means: the model's rules, and how the outside is reached.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::assemble::{Beside, assemble};
use super::file::{ConfigFile, Endpoint, LogFormat, TlsFile, TokensFile};
use super::formats;
use super::mistakes::{Mistakes, Place};
use super::notify::{self, Channel};
use super::policy;
use super::reader::{Read, read};
use super::{asked, bmc, file, fleet, kept, own, silences, tree};
use crate::model::access::KnownToken;
use crate::model::ids::NodeName;
use crate::model::notice::ChannelName;
use crate::model::rules::Rules;
use crate::model::state::EARLIER_MAX;
use crate::model::time::Period;

/// A larger file is no configuration.
const FILE_MAX: u64 = 4 << 20;

/// Everything the service is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster's name, if it was given one.
    pub cluster: Option<String>,
    pub rules: Rules,
    pub state: PathBuf,
    /// What several instances share, instead of the state directory.
    pub database: Option<super::database::Database>,
    /// While one of these is there, nothing new is begun.
    pub kill_files: Vec<PathBuf>,
    /// Labels of an alert that name its cluster, in a fleet.
    pub cluster_labels: Vec<String>,
    /// Copies of the store that the service makes by itself.
    pub backup: Option<super::kept::BackupFile>,
    /// How long what is over is kept.
    pub keep: super::kept::KeepFile,
    pub log: LogFormat,
    pub proxmox: Option<ProxmoxSettings>,
    pub hand: Option<file::HandFile>,
    pub ceph: file::CephFile,
    pub prometheus: Option<Asked>,
    pub alertmanager: Option<AlertmanagerSettings>,
    /// `None`: the built-in board alone.
    pub tickets: Option<super::tickets::TicketSettings>,
    pub bmc: std::collections::BTreeMap<NodeName, bmc::BmcSettings>,
    pub http: Http,
    pub channels: BTreeMap<ChannelName, Channel>,
    /// Where `self` is missing although mode act needs it.
    pub self_unsaid: Option<super::Mistake>,
    /// All that lie beside the house's own policies, named by one of them or not.
    pub calendars: Vec<crate::model::calendar::Calendar>,
}

#[derive(Clone, Debug)]
pub struct ProxmoxSettings {
    pub endpoints: Vec<Endpoint>,
    pub token: Secret,
    pub token_file: Option<PathBuf>,
    pub ca_file: Option<PathBuf>,
    /// Node → certificates it may show, SHA-256 in 64 lower-case digits.
    pub fingerprints: std::collections::BTreeMap<NodeName, Vec<String>>,
}

/// A system that is asked over HTTP.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub url: String,
    pub token: Option<Secret>,
    pub ca_pem: Option<Vec<u8>>,
}

#[derive(Clone, Debug, Default)]
pub struct AlertmanagerSettings {
    pub urls: Vec<String>,
    pub receiver: Option<String>,
    pub ca_pem: Option<Vec<u8>>,
    pub token: Option<Secret>,
    /// User and password.
    pub basic: Option<(String, Secret)>,
}

#[derive(Clone, Debug)]
pub struct Http {
    pub listen: SocketAddr,
    pub tls: Option<TlsFile>,
    pub tokens: Vec<KnownToken>,
    /// For the command line on the same machine.
    pub tokens_file: Option<PathBuf>,
}

/// A secret, which never shows itself in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// Reads the configuration and everything that it names: policies, tokens, secrets.
///
/// # Errors
/// All mistakes of all files together.
pub fn load(path: &Path) -> Result<Config, Mistakes> {
    let mut mistakes = Mistakes::of(path.display().to_string());
    let Some(read) = open(path, &mut mistakes, Place::START) else { return mistakes.or(None) };
    fleet::alone(&read, &mut mistakes);
    let config = of_file(read, path, &mut mistakes);
    mistakes.or(config)
}

/// One file's contents, as far as they are right by themselves. `named`: where the file's name stands.
pub(super) fn open(path: &Path, mistakes: &mut Mistakes, named: Place) -> Option<Read<ConfigFile>> {
    let text = text_of(path, mistakes, named)?;
    mistakes.turn_to(path.display().to_string());
    read::<ConfigFile>(&text, mistakes)
}

/// One file, and everything that it names. Whatever is wrong is added to the mistakes, so a value is good only where there are
/// none.
pub(super) fn of_file(read: Read<ConfigFile>, path: &Path, mistakes: &mut Mistakes) -> Option<Config> {
    across(&read, mistakes);
    asked::across(&read, mistakes);
    silences::across(&read, mistakes);
    own::across(&read, mistakes);
    let self_unsaid = own::unsaid(&read, mistakes);
    let base = path.parent().unwrap_or(Path::new("."));
    kept::across(&read, base, mistakes);
    // What other files say is told in the same run, whatever is wrong in this one.
    let named = |pointer: &str| read.json.pointer(pointer).and_then(|v| v.as_str()).map(|p| base.join(p));
    let database = super::database::read(&read, base, mistakes);
    let token = token(&read, base, mistakes);
    let asked = asked::read(&read, base, mistakes);
    let tokens_file = named("/http/tokens_file");
    let place = read.root.at("http.tokens_file").place;
    let tokens_text = tokens_file.as_ref().and_then(|file| text_of(file, mistakes, place));
    for (pointer, path) in [
        ("/proxmox/ca_file", "proxmox.ca_file"),
        ("/hand/key", "hand.key"),
        ("/hand/known_hosts", "hand.known_hosts"),
        ("/ceph/client/keyring", "ceph.client.keyring"),
        ("/http/tls/cert", "http.tls.cert"),
        ("/http/tls/key", "http.tls.key"),
        ("/http/tls/client_ca", "http.tls.client_ca"),
        ("/tickets/ca_file", "tickets.ca_file"),
    ] {
        if let Some(file) = named(pointer)
            && let Err(why) = std::fs::File::open(&file)
        {
            mistakes.add(read.root.at(path).place, format!("{path}: cannot read {}: {why}", file.display()));
        }
    }
    let tickets = super::tickets::load(&read, base, mistakes);
    let bmcs = bmc::settings(&read, base, mistakes);
    let channels = notify::channels(&read, base, mistakes);
    let policies_dir = named("/policies");
    let (policies, mut calendars) = policy::load_all(policies_dir.as_deref(), mistakes);
    if policies_dir.is_none() {
        // No shipped policy names one of the shipped calendars: they are nobody's hours.
        calendars.clear();
    }
    notify::known_to(&policies, &channels, mistakes);
    let tokens = match (&tokens_file, tokens_text) {
        (Some(file), Some(text)) => {
            mistakes.turn_to(file.display().to_string());
            read_tokens(&text, mistakes)
        }
        _ => Vec::new(),
    };
    read.value.map(|file| Config {
        tickets,
        bmc: bmcs,
        channels,
        self_unsaid,
        calendars,
        database,
        ..assemble(file, base, Beside { policies, token, asked, tokens, tokens_file })
    })
}

/// The file's text, or a mistake at the place that names it.
pub(super) fn text_of(path: &Path, mistakes: &mut Mistakes, place: Place) -> Option<String> {
    let read = || -> Result<String, String> {
        // Bounded while it is read: a device or a pipe has no size to be asked for.
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
        file.take(FILE_MAX + 1).read_to_string(&mut text).map_err(|e| e.to_string())?;
        if text.len() as u64 > FILE_MAX { Err("it is larger than 4 MiB".into()) } else { Ok(text) }
    };
    read().map_err(|why| mistakes.add(place, format!("cannot read {}: {why}", path.display()))).ok()
}

/// Rules across fields.
fn across(read: &Read<ConfigFile>, mistakes: &mut Mistakes) {
    let json = &read.json;
    let place = |path: &str| read.root.at(path).place;
    let written = |pointer: &str| json.pointer(pointer).is_some();
    if written("/proxmox") {
        if written("/proxmox/token_file") == written("/proxmox/token_env") && !lost(read, "proxmox") {
            let text = "proxmox needs its token from one place: write token_file or token_env, not both";
            mistakes.add(place("proxmox"), text);
        }
        if written("/proxmox/ca_file") && written("/proxmox/fingerprints") {
            let text = "write ca_file or fingerprints, not both: which one should count?";
            mistakes.add(place("proxmox.fingerprints"), text);
        }
    }
    if let (Some(pinned), Some(endpoints)) =
        (json.pointer("/proxmox/fingerprints"), json.pointer("/proxmox/endpoints").and_then(|e| e.as_array()))
    {
        let names: Vec<&str> = endpoints.iter().filter_map(|e| e["node"].as_str()).collect();
        let pinned = pinned.as_object();
        for name in names.iter().filter(|name| pinned.is_none_or(|p| !p.contains_key(**name))) {
            let text =
                format!("no fingerprint for {name}, so it could not be trusted; add one, or take it out");
            mistakes.add(place("proxmox.fingerprints"), text);
        }
    }
    for (list, key) in [("proxmox.endpoints", "node"), ("proxmox.endpoints", "url"), ("hand.members", "node")]
    {
        twice(read, list, key, mistakes);
    }
    let no_ceph = json.pointer("/ceph/setup").is_some_and(|setup| setup == "none");
    if no_ceph && written("/ceph/client") {
        mistakes.add(place("ceph.client"), "ceph.setup is none; take the client out, or declare the setup");
    }
    let listen = read.get::<SocketAddr>("/http/listen");
    if listen.is_some_and(|l| !l.ip().is_loopback()) && !written("/http/tls") {
        let text = "beyond loopback tokens would travel in the clear; add http.tls: {cert: …, key: …}";
        mistakes.add(place("http.listen"), text);
    }
    if read.get::<Period>("/budgets/attempts_per_node/within").is_some_and(|within| within > EARLIER_MAX) {
        let text = format!(
            "budgets.attempts_per_node.within is longer than what is remembered; write {EARLIER_MAX} or less"
        );
        mistakes.add(place("budgets.attempts_per_node.within"), text);
    }
    if let Some(apart) = read.get::<Period>("/limits/empty_apart")
        && apart.0 < crate::model::proof::EMPTY_APART_MIN
    {
        let text =
            "limits.empty_apart: two sightings closer together than 12s prove nothing; write 12s or more";
        mistakes.add(place("limits.empty_apart"), text);
    }
    for path in ["limits.turn_busy", "limits.turn_quiet", "limits.step_for"] {
        if read.get::<Period>(&format!("/{}", path.replace('.', "/"))).is_some_and(|p| p < Period::secs(1)) {
            mistakes.add(place(path), format!("{path}: shorter than a second; write 1s or more"));
        }
    }
}

/// Was something in this section already told to be wrong? Then what is missing may just be misspelt.
fn lost(read: &Read<ConfigFile>, section: &str) -> bool {
    let tree::Kind::Map(entries) = &read.root.at(section).kind else { return true };
    let known = read.json[section].as_object();
    entries.iter().any(|entry| known.is_none_or(|k| !k.contains_key(&entry.key)))
}

/// Two entries of a list must not share this key.
fn twice(read: &Read<ConfigFile>, list: &str, key: &str, mistakes: &mut Mistakes) {
    let pointer = format!("/{}", list.replace('.', "/"));
    let values: Vec<Option<&str>> = read
        .json
        .pointer(&pointer)
        .and_then(|v| v.as_array())
        .map(|items| items.iter().map(|item| item[key].as_str()).collect())
        .unwrap_or_default();
    for (i, value) in values.iter().enumerate() {
        if value.is_some() && values[..i].contains(value) {
            let place = read.root.at(&format!("{list}.{i}.{key}")).place;
            mistakes.add(place, format!("{list}: {} is there twice; keep one", value.unwrap_or_default()));
        }
    }
}

/// The API token of Proxmox, from its file or the environment.
fn token(read: &Read<ConfigFile>, base: &Path, mistakes: &mut Mistakes) -> Option<Secret> {
    let proxmox = read.json.get("proxmox")?;
    let (path, text) = if let Some(file) = proxmox["token_file"].as_str() {
        let place = read.root.at("proxmox.token_file").place;
        ("proxmox.token_file", text_of(&base.join(file), mistakes, place)?)
    } else {
        let name = proxmox["token_env"].as_str()?;
        let Ok(text) = std::env::var(name) else {
            let text = format!("proxmox.token_env: the environment has no {name}; set it, or use token_file");
            mistakes.add(read.root.at("proxmox.token_env").place, text);
            return None;
        };
        ("proxmox.token_env", text)
    };
    let text = text.trim();
    let shaped = text.split_once('!').is_some_and(|(user, rest)| {
        user.contains('@')
            && rest.split_once('=').is_some_and(|(id, uuid)| !id.is_empty() && !uuid.is_empty())
    });
    if !shaped || text.contains(char::is_whitespace) {
        let text =
            format!("{path}: what it holds is no API token; it must be one line, USER@REALM!NAME=UUID");
        mistakes.add(read.root.at(path).place, text);
        return None;
    }
    Some(Secret(text.to_owned()))
}

/// Reads a tokens file.
pub fn read_tokens(text: &str, mistakes: &mut Mistakes) -> Vec<KnownToken> {
    let Some(read) = read::<TokensFile>(text, mistakes) else { return Vec::new() };
    let mut known: Vec<KnownToken> = Vec::new();
    for (i, entry) in read.value.into_iter().flat_map(|file| file.tokens).enumerate() {
        let Some(sha256) = formats::sha256(&entry.sha256).ok().and_then(|digits| bytes_of(&digits)) else {
            continue;
        };
        if known.iter().any(|k| k.sha256 == sha256) {
            let place = read.root.at(&format!("tokens.{i}.sha256")).place;
            mistakes.add(place, "this token is there twice; give each person a token of their own");
        }
        if entry.clusters.as_ref().is_some_and(Vec::is_empty) {
            let place = read.root.at(&format!("tokens.{i}.clusters")).place;
            mistakes.add(place, "this token is good for no cluster; name some, or leave clusters out");
        }
        let clusters = entry.clusters.map(|all| all.into_iter().collect());
        known.push(KnownToken { name: entry.name, role: entry.role, sha256, clusters });
    }
    known
}

fn bytes_of(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
