//! Systems that are asked over HTTP (Prometheus, Alertmanager): their tokens, passwords and authorities, read from the
//! files that the configuration names. A secret never travels in the clear beyond this machine.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use super::file::ConfigFile;
use super::mistakes::Mistakes;
use super::reader::Read;
use super::settings::{AlertmanagerSettings, Asked, Secret, text_of};

/// More members than these are no pair any more; each costs a list in memory.
const MEMBERS_MAX: usize = 8;

/// What the sections say, with everything that they name.
#[derive(Default)]
pub(super) struct AskedOf {
    pub prometheus: Option<Asked>,
    pub alertmanager: Option<AlertmanagerSettings>,
}

/// Rules across fields.
pub(super) fn across(read: &Read<ConfigFile>, mistakes: &mut Mistakes) {
    let written = |pointer: &str| read.json.pointer(pointer).is_some();
    let place = |path: &str| read.root.at(path).place;
    let urls = urls(read);
    let mut known = BTreeSet::new();
    for (i, url) in urls.iter().enumerate().filter(|(_, url)| !known.insert(url.trim_end_matches('/'))) {
        let text = format!("alertmanager.urls: {url} is there twice; keep one");
        mistakes.add(place(&format!("alertmanager.urls.{i}")), text);
    }
    if urls.len() > MEMBERS_MAX {
        let text = format!("alertmanager.urls: at most {MEMBERS_MAX} members can be asked");
        mistakes.add(place("alertmanager.urls"), text);
    }
    let (user, password) = (written("/alertmanager/user"), written("/alertmanager/password_file"));
    if user != password {
        mistakes.add(place("alertmanager"), "a login needs both; write user and password_file, or neither");
    } else if user && written("/alertmanager/token_file") {
        let text = "write token_file, or user and password_file: which one should count?";
        mistakes.add(place("alertmanager.token_file"), text);
    }
    let prometheus = read.json.pointer("/prometheus/url").and_then(|url| url.as_str());
    for (path, urls) in [
        ("alertmanager.token_file", &urls),
        ("alertmanager.password_file", &urls),
        ("prometheus.token_file", &prometheus.into_iter().collect()),
    ] {
        let secret = written(&format!("/{}", path.replace('.', "/")));
        if let Some(url) = urls.iter().find(|url| secret && in_the_clear(url)) {
            let text = format!("{path}: {url} would carry it in the clear; write https://");
            mistakes.add(place(path), text);
        }
    }
    let named = ["http.tls.alert_clients", "http.tls.clients"]
        .into_iter()
        .filter(|path| written(&format!("/{}", path.replace('.', "/"))));
    let named: Vec<&str> = named.collect();
    match (written("/http/tls/client_ca"), named.first()) {
        (false, Some(path)) => {
            mistakes.add(place(path), "nobody could tell whose certificates these are; add client_ca");
        }
        (true, None) => mistakes.add(
            place("http.tls.client_ca"),
            "its certificates may do nothing; add alert_clients with the names that may deliver alerts, or clients",
        ),
        _ => {}
    }
    let mut seen: Vec<String> = Vec::new();
    let names = |pointer: &str, key: Option<&str>| -> Vec<(String, String)> {
        let list = read.json.pointer(pointer).and_then(|list| list.as_array());
        let path = pointer.trim_start_matches('/').replace('/', ".");
        let name =
            |item: &serde_json::Value| key.map_or(item, |key| &item[key]).as_str().map(str::to_lowercase);
        list.into_iter()
            .flatten()
            .enumerate()
            .filter_map(|(i, item)| Some((format!("{path}.{i}"), name(item)?)))
            .collect()
    };
    for (path, name) in names("/http/tls/alert_clients", None)
        .into_iter()
        .chain(names("/http/tls/clients", Some("certificate")))
    {
        if seen.contains(&name) {
            mistakes
                .add(place(&path), format!("{name} is there twice; which of the two roles should count?"));
        }
        seen.push(name);
    }
}

/// Reads what the sections name.
pub(super) fn read(read: &Read<ConfigFile>, base: &Path, mistakes: &mut Mistakes) -> AskedOf {
    let text = |pointer: &str| read.json.pointer(pointer).and_then(|v| v.as_str()).map(str::to_owned);
    let mut secret = |path: &str| {
        let file = text(&format!("/{}", path.replace('.', "/")))?;
        secret_in(read, path, &base.join(file), mistakes)
    };
    let (token, password) = (secret("alertmanager.token_file"), secret("alertmanager.password_file"));
    let of_prometheus = secret("prometheus.token_file");
    let mut authority = |path: &str| {
        let file = text(&format!("/{}", path.replace('.', "/")))?;
        authority_in(read, path, &base.join(file), mistakes)
    };
    let (ca_pem, ca_of_prometheus) = (authority("alertmanager.ca_file"), authority("prometheus.ca_file"));
    AskedOf {
        prometheus: text("/prometheus/url").map(|url| Asked {
            url,
            token: of_prometheus,
            ca_pem: ca_of_prometheus,
        }),
        alertmanager: read.json.get("alertmanager").map(|_| AlertmanagerSettings {
            urls: urls(read).into_iter().map(str::to_owned).collect(),
            receiver: text("/alertmanager/receiver"),
            ca_pem,
            token,
            basic: text("/alertmanager/user").zip(password),
        }),
    }
}

fn urls(read: &Read<ConfigFile>) -> Vec<&str> {
    let list = read.json.pointer("/alertmanager/urls").and_then(|urls| urls.as_array());
    list.into_iter().flatten().filter_map(|url| url.as_str()).collect()
}

/// Beyond this machine, without TLS.
fn in_the_clear(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let uri = format!("http://{rest}").parse::<http::Uri>().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host != "localhost" && !address.is_ok_and(|address| address.is_loopback())
}

pub(super) fn secret_in(
    read: &Read<ConfigFile>,
    path: &str,
    file: &Path,
    mistakes: &mut Mistakes,
) -> Option<Secret> {
    let place = read.root.at(path).place;
    let text = text_of(file, mistakes, place)?;
    let text = text.trim();
    if text.is_empty() || text.lines().count() > 1 || text.contains(char::is_control) {
        mistakes.add(place, format!("{path}: {} must hold one line, the secret alone", file.display()));
        return None;
    }
    Some(Secret(text.to_owned()))
}

pub(super) fn authority_in(
    read: &Read<ConfigFile>,
    path: &str,
    file: &Path,
    mistakes: &mut Mistakes,
) -> Option<Vec<u8>> {
    let place = read.root.at(path).place;
    let text = text_of(file, mistakes, place)?;
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        mistakes.add(place, format!("{path}: {} holds no certificate; it must be PEM", file.display()));
        return None;
    }
    Some(text.into_bytes())
}
