//! What is right and still worth knowing: names that do not meet, secrets that others can read, a kill switch that
//! nobody can pull. Told by `config check`, and logged when the service starts; nothing here refuses anything.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::fleet::Service;
use super::mistakes::meant;
use super::settings::Config;
use crate::model::rules::CephSetup;

/// Of everything that one process serves: what holds for all clusters is told once, the rest with its cluster's name.
pub fn hints_of(service: &Service) -> Vec<String> {
    let each: Vec<Vec<String>> = service.clusters().iter().map(hints).collect();
    let [first, others @ ..] = &each[..] else { return Vec::new() };
    let of_all = |hint: &String| others.iter().all(|other| other.contains(hint));
    let mut told: Vec<String> = first.iter().filter(|hint| of_all(hint)).cloned().collect();
    for (config, hints) in service.clusters().iter().zip(&each) {
        let name = config.cluster.as_deref().unwrap_or_default();
        let own = hints.iter().filter(|hint| !(of_all(hint) && first.contains(hint)));
        told.extend(own.map(|hint| format!("{name}: {hint}")));
    }
    told
}

pub fn hints(config: &Config) -> Vec<String> {
    let mut hints = Vec::new();
    missing(config, &mut hints);
    members(config, &mut hints);
    secrets(config, &mut hints);
    kill_file(config, &mut hints);
    hints
}

fn missing(config: &Config, hints: &mut Vec<String>) {
    let mut hint = |text: &str| hints.push(text.to_owned());
    match &config.proxmox {
        None => hint("no proxmox section: there is no cluster to look at, so `pitlane run` will refuse"),
        Some(proxmox) if proxmox.ca_file.is_none() => {
            let pinned = proxmox.fingerprints.keys();
            let asked: BTreeSet<_> = proxmox.endpoints.iter().map(|e| &e.node).chain(pinned).collect();
            if asked.len() < 3 {
                hint(
                    "fewer than three members can be asked: before a node may leave, two beside it have to answer; members \
                     that are found by themselves are asked only if ca_file or a fingerprint says whom to believe",
                );
            }
        }
        Some(_) => {}
    }
    if config.ceph.setup != CephSetup::None && config.ceph.client.is_none() {
        hint("no ceph.client: Ceph cannot be seen, and unknown is no; add it, or declare ceph.setup: none");
    }
    if config.hand.is_none() {
        hint("no hand: HA maintenance cannot be asked for, so nodes with HA guests cannot be drained");
    }
    if config.prometheus.is_none() {
        hint("no prometheus: sensors cannot be read, so checks with sensors_ok never pass");
    }
    match &config.alertmanager {
        None => hint(
            "no alertmanager: what fires cannot be asked for, so a delivered alarm is believed without asking back",
        ),
        Some(asked) if asked.receiver.is_none() => {
            hint("alertmanager without receiver: all alerts of the house are read at each poll");
        }
        Some(_) => {}
    }
    if config.rules.notify.page.is_empty() {
        hint("no notify.page: nobody is called when something goes wrong");
    }
    if let Some(unsaid) = &config.self_unsaid {
        hint(&unsaid.to_string());
    }
    if config.http.tokens.is_empty() {
        hint("no tokens: nobody may ask, and no alert can be delivered");
    }
}

/// Who the members are is known to the cluster alone; but names that are written in several places should meet.
fn members(config: &Config, hints: &mut Vec<String>) {
    let endpoints: BTreeSet<&str> =
        config.proxmox.iter().flat_map(|p| &p.endpoints).map(|e| e.node.as_str()).collect();
    let hands: BTreeSet<&str> =
        config.hand.iter().flat_map(|h| &h.members).map(|m| m.node.as_str()).collect();
    let pinned = config.proxmox.iter().flat_map(|p| p.fingerprints.keys()).map(|node| node.as_str());
    let known: BTreeSet<&str> = endpoints.union(&hands).copied().chain(pinned).collect();
    if known.is_empty() {
        return;
    }
    let strange = |key: &str, name: &str| {
        let all = known.iter().copied().collect::<Vec<_>>().join(", ");
        let close = meant(name, known.iter().copied());
        let guess = close.map_or_else(String::new, |close| format!("; did you mean {close}?"));
        format!("{key} names {name}, which no endpoint, hand or fingerprint does (named there: {all}){guess}")
    };
    if config.hand.is_some() {
        for name in endpoints.difference(&hands) {
            hints.push(format!(
                "hand.members lacks {name}, which is an endpoint; install the helper there, too"
            ));
        }
        // With one endpoint the others are found; then only what is nearly the same is worth a word.
        for name in hands.difference(&endpoints).filter(|name| {
            endpoints.len() > 1 || meant(name, endpoints.iter().copied()).is_some_and(|e| same(e, name))
        }) {
            hints
                .push(format!("hand.members names {name}, which is no endpoint; are the names spelt alike?"));
        }
    }
    // One or two names are no list of members: the others are found by themselves.
    let whole = known.len() > 2;
    let doubtful = |name: &str| {
        !known.contains(name) && (whole || meant(name, known.iter().copied()).is_some_and(|e| same(e, name)))
    };
    for node in config.rules.mapping.map.values().filter(|node| doubtful(node.as_str())) {
        hints.push(strange("mapping.map", node.as_str()));
    }
    for node in config.rules.budgets.domains.keys().filter(|node| doubtful(node.as_str())) {
        hints.push(strange("budgets.domains", node.as_str()));
    }
}

/// Spelt alike but for case and punctuation.
fn same(a: &str, b: &str) -> bool {
    let plain = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
    plain(a) == plain(b)
}

fn secrets(config: &Config, hints: &mut Vec<String>) {
    let mut files: Vec<(&str, &Path)> = Vec::new();
    let of_tickets = config.tickets.iter().flat_map(|tickets| &tickets.secret_files);
    files.extend(of_tickets.map(|(key, file)| (key.as_str(), file.as_path())));
    if let Some(file) = config.proxmox.as_ref().and_then(|p| p.token_file.as_deref()) {
        files.push(("proxmox.token_file", file));
    }
    if let Some(hand) = &config.hand {
        files.push(("hand.key", &hand.key));
    }
    if let Some(client) = &config.ceph.client {
        files.push(("ceph.client.keyring", &client.keyring));
    }
    if let Some(tls) = &config.http.tls {
        files.push(("http.tls.key", &tls.key));
    }
    if let Some(file) = &config.http.tokens_file {
        files.push(("http.tokens_file", file));
    }
    for (key, file) in files {
        let Ok(about) = std::fs::metadata(file) else { continue };
        let mode = about.permissions().mode() & 0o777;
        let shown = file.display();
        if mode & 0o007 != 0 {
            hints.push(format!(
                "{key}: everybody on this machine may use {shown} (mode {mode:04o}); chmod 0600 it"
            ));
        } else if key == "hand.key" && mode & 0o077 != 0 && about.uid() != 0 {
            hints.push(format!("{key}: ssh refuses a key that its owner's group may read, {shown} (mode {mode:04o}); chmod 0600 it"));
        }
    }
}

/// In an emergency the switch is pulled with `touch`; then is too late to learn that there is no directory.
fn kill_file(config: &Config, hints: &mut Vec<String>) {
    let dir = match config.kill_files.first().and_then(|file| file.parent()) {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    if !dir.is_dir() {
        hints.push(format!(
            "kill_file: there is no directory {}, so nobody can pull that switch now (the unit's RuntimeDirectory= makes \
             /run/pitlane when the service starts)",
            dir.display()
        ));
    }
}
