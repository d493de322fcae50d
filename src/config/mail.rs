//! `smtp:` wherever it stands in `pitlane.yaml`: a mail server and the mailboxes behind it.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::file::ConfigFile;
use super::mistakes::{Mistakes, Place};
use super::reader::Read;
use super::settings::{Secret, text_of};
use crate::model::mail::MailTls;

/// Each mailbox is asked one by one in every dialogue; more people than this belong behind one address.
const TO_MAX: usize = 50;

/// A mail server and the mailboxes behind it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SmtpFile {
    #[schemars(extend("examples" = ["mail.example.org"]))]
    pub host: String,
    /// 587 for starttls, 465 for tls, 25 for none, if not given.
    pub port: Option<u16>,
    /// How the way there is kept private.
    #[serde(default)]
    pub tls: MailTls,
    /// Whom to log in as. Nobody logs in if not given.
    pub user: Option<String>,
    /// A file with the password, in one line.
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) to believe, instead of those of the machine.
    pub ca_file: Option<PathBuf>,
    /// The sender. Its domain stands in every Message-ID.
    #[schemars(extend("examples" = ["pitlane@example.org"]))]
    pub from: String,
    /// The mailboxes.
    #[schemars(length(min = 1, max = 50))]
    pub to: Vec<String>,
}

/// The same, with what the files say.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// The cluster's name, where it has one.
    pub cluster: Option<String>,
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    pub login: Option<(String, Secret)>,
    pub ca_pem: Option<Vec<u8>>,
    pub from: String,
    pub to: Vec<String>,
}

/// Reads what stands at `path`. `None`: something is wrong, which was told.
pub(super) fn load(
    config: &Read<ConfigFile>,
    path: &str,
    written: &Value,
    base: &Path,
    mistakes: &mut Mistakes,
) -> Option<MailSettings> {
    let before = mistakes.list().len();
    let place = |key: &str| -> Place { config.root.at(&format!("{path}.{key}")).place };
    let text = |key: &str| written[key].as_str();
    let tls: MailTls = written.get("tls").map_or(Some(MailTls::default()), |tls| {
        // Misspelt, and told by whoever read the file.
        serde_json::from_value(tls.clone()).ok()
    })?;
    let host = text("host").unwrap_or_default();
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/') {
        mistakes.add(place("host"), format!("{path}.host: write the mail server's name or address alone"));
    } else if tls == MailTls::None && !MailTls::may_be_none(host) {
        let told = format!("{path}.tls: none is for a server on this machine; write starttls or tls");
        mistakes.add(place("tls"), told);
    }
    let senders = [("from".to_owned(), text("from"))];
    let to: Vec<&str> = written["to"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let people = to.iter().enumerate().map(|(i, who)| (format!("to.{i}"), Some(*who)));
    for (key, who) in senders.into_iter().chain(people) {
        if let Some(who) = who
            && !is_address(who)
        {
            let told = format!("{path}.{key}: {who:?} is no mail address; write name@example.org");
            mistakes.add(place(&key), told);
        }
    }
    if to.is_empty() || to.len() > TO_MAX {
        mistakes.add(place("to"), format!("{path}.to: write 1 to {TO_MAX} addresses"));
    }
    let named = |key: &str, mistakes: &mut Mistakes| text_of(&base.join(text(key)?), mistakes, place(key));
    let (password, ca) = (named("password_file", mistakes), named("ca_file", mistakes));
    let password = password.map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
    if password.as_ref().is_some_and(|text| text.is_empty() || text.contains(char::is_control)) {
        let told = format!("{path}.password_file: the file must hold the password in one line");
        mistakes.add(place("password_file"), told);
    }
    for (given, lacks) in [("user", "password_file"), ("password_file", "user")] {
        if written.get(given).is_some() && written.get(lacks).is_none() {
            mistakes.add(place(given), format!("{path}.{given} needs {lacks} beside it"));
        }
    }
    let file: SmtpFile = serde_json::from_value(written.clone()).ok()?;
    (mistakes.list().len() == before).then(|| MailSettings {
        cluster: config.json["name"].as_str().map(str::to_owned),
        host: file.host,
        port: file.port.unwrap_or(tls.port()),
        tls,
        login: file.user.zip(password.map(Secret)),
        ca_pem: ca.map(String::into_bytes),
        from: file.from,
        to: file.to,
    })
}

/// Plain addresses only: what the server is told and what stands in the letter are then the same.
fn is_address(text: &str) -> bool {
    text.is_ascii() && text.parse::<lettre::Address>().is_ok()
}
