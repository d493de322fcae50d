//! `notify:` of `pitlane.yaml`: the channels to people, and who is told what. Secrets are read from the files it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::file::ConfigFile;
use super::mail::{self, MailSettings, SmtpFile};
use super::mistakes::Mistakes;
use super::reader::Read;
use super::settings::Secret;
use crate::model::ids::{GuestId, NodeName};
use crate::model::notice::{ChannelHome, ChannelName, NotifyRules};
use crate::model::rules::Policy;

/// A larger file is no secret and no certificate.
const FILE_MAX: u64 = 1 << 20;

/// Who is told what, and over which channels.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifyFile {
    /// Name → how it is reached.
    #[serde(default)]
    pub channels: BTreeMap<ChannelName, ChannelFile>,
    /// Channels that wake somebody.
    #[serde(default)]
    pub page: Vec<ChannelName>,
    /// Channels for what can wait until the morning.
    #[serde(default)]
    pub tell: Vec<ChannelName>,
}

/// One channel: `webhook` or `smtp`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelFile {
    /// Every notice is posted here as JSON, with the header Idempotency-Key.
    #[schemars(extend("format" = "url", "examples" = ["https://oncall.example/pitlane"]))]
    pub webhook: Option<String>,
    /// Every notice is one letter to these mailboxes.
    pub smtp: Option<SmtpFile>,
    /// Of a webhook: a file with one line, sent as bearer token.
    pub token_file: Option<PathBuf>,
    /// Of a webhook: certificates (PEM) to believe, instead of those of the machine.
    pub ca_file: Option<PathBuf>,
    /// The member of this cluster that the channel runs on, if it does.
    pub node: Option<NodeName>,
    /// The guest of this cluster that the channel runs in, if it does.
    pub guest: Option<u32>,
}

/// A channel with its secrets.
#[derive(Clone, Debug)]
pub enum Channel {
    Webhook { url: String, token: Option<Secret>, ca_pem: Option<Vec<u8>> },
    Smtp(MailSettings),
}

impl From<NotifyFile> for NotifyRules {
    fn from(file: NotifyFile) -> Self {
        let home = |channel: ChannelFile| match (channel.node, channel.guest) {
            (Some(node), _) => Some(ChannelHome::Node(node)),
            (None, guest) => guest.map(|id| ChannelHome::Guest(GuestId(id))),
        };
        let homes = file.channels.into_iter().filter_map(|(name, channel)| Some((name, home(channel)?)));
        Self { homes: homes.collect(), page: file.page, tell: file.tell }
    }
}

/// The channels, and every mistake about them.
pub(super) fn channels(
    read: &Read<ConfigFile>,
    base: &Path,
    mistakes: &mut Mistakes,
) -> BTreeMap<ChannelName, Channel> {
    let json = &read.json;
    let mut channels = BTreeMap::new();
    for (name, channel) in json.pointer("/notify/channels").and_then(|c| c.as_object()).into_iter().flatten()
    {
        let at = |key: &str| read.root.at(&format!("notify.channels.{name}.{key}")).place;
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) || name.len() > 63 {
            let text =
                format!("notify.channels: {name:?} is no name; write letters, digits, - and _, at most 63");
            mistakes.add(read.root.at(&format!("notify.channels.{name}")).place, text);
        }
        let path = format!("notify.channels.{name}");
        let (webhook, smtp) = (channel.get("webhook"), channel.get("smtp"));
        match (webhook, smtp) {
            (None, None) => {
                mistakes.add(read.root.at(&path).place, format!("{path}: write webhook or smtp"));
            }
            (Some(_), Some(_)) => {
                let text = format!("{path}: it is a webhook or mail; write two channels for both");
                mistakes.add(at("smtp"), text);
            }
            _ => {}
        }
        for key in ["token_file", "ca_file"].into_iter().filter(|key| channel.get(*key).is_some()) {
            if smtp.is_some() && webhook.is_none() {
                mistakes.add(at(key), format!("{path}.{key} is a webhook's; for mail it stands in smtp"));
            }
        }
        let mail = smtp.and_then(|smtp| mail::load(read, &format!("{path}.smtp"), smtp, base, mistakes));
        if channel.get("node").is_some() && channel.get("guest").is_some() {
            let text = format!("notify.channels.{name}: it runs on a node or in a guest; write one of them");
            mistakes.add(at("guest"), text);
        }
        let mut file = |key: &str| {
            let path = base.join(channel[key].as_str()?);
            let text = || -> Result<String, String> {
                if std::fs::metadata(&path).map_err(|e| e.to_string())?.len() > FILE_MAX {
                    return Err("it is larger than 1 MiB".into());
                }
                std::fs::read_to_string(&path).map_err(|e| e.to_string())
            };
            let wrong = |why| format!("notify.channels.{name}.{key}: cannot read {}: {why}", path.display());
            text().map_err(|why| mistakes.add(at(key), wrong(why))).ok()
        };
        let (token, ca_pem) = (file("token_file"), file("ca_file"));
        let token = token.map(|text| text.trim().to_owned());
        if token.as_ref().is_some_and(|t| t.is_empty() || !t.chars().all(|c| c.is_ascii_graphic())) {
            let text = format!("notify.channels.{name}.token_file: it must hold one line without spaces");
            mistakes.add(at("token_file"), text);
        }
        let url = channel["webhook"].as_str().unwrap_or_default().to_owned();
        let plain = url.parse::<http::Uri>().is_ok_and(|u| u.scheme_str() == Some("http") && !loopback(&u));
        if plain && token.is_some() {
            let text = format!(
                "notify.channels.{name}.webhook: the token would travel in the clear; write https://"
            );
            mistakes.add(at("webhook"), text);
        }
        let channel = match mail {
            Some(mail) => Channel::Smtp(mail),
            // Also where mail is wrong: that was told, and its name is known all the same.
            None => {
                Channel::Webhook { url, token: token.map(Secret), ca_pem: ca_pem.map(String::into_bytes) }
            }
        };
        channels.insert(ChannelName(name.clone()), channel);
    }
    for list in ["page", "tell"] {
        let named = json.pointer(&format!("/notify/{list}")).and_then(|l| l.as_array()).into_iter().flatten();
        for (i, name) in named.enumerate() {
            let name = name.as_str().unwrap_or_default();
            if !channels.contains_key(&ChannelName::from(name)) {
                let text = format!("notify.{list}: {}", unknown(name, &channels));
                mistakes.add(read.root.at(&format!("notify.{list}.{i}")).place, text);
            }
        }
    }
    channels
}

/// What policies name must be there, or a page would go nowhere on the night when it is needed.
pub(super) fn known_to(
    policies: &[Policy],
    channels: &BTreeMap<ChannelName, Channel>,
    mistakes: &mut Mistakes,
) {
    for policy in policies {
        let own = policy.notify.page.iter().chain(&policy.notify.tell).flatten();
        for name in own.filter(|name| !channels.contains_key(*name)) {
            mistakes.turn_to(format!("policy {}", policy.name));
            mistakes.add(super::Place::START, format!("notify: {}", unknown(&name.0, channels)));
        }
    }
}

fn unknown(name: &str, channels: &BTreeMap<ChannelName, Channel>) -> String {
    let known: Vec<&str> = channels.keys().map(|name| name.0.as_str()).collect();
    match known.as_slice() {
        [] => format!("there is no channel {name}; add it to notify.channels"),
        known => format!("there is no channel {name}; the channels are {}", known.join(", ")),
    }
}

fn loopback(url: &http::Uri) -> bool {
    url.host().is_some_and(|host| {
        let host = host.trim_matches(['[', ']']);
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}
