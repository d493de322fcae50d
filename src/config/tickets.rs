//! Where work orders go: what is written under `tickets:`, what it means, and the template file that it may name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::file::ConfigFile;
use super::mail::{self, MailSettings, SmtpFile};
use super::mistakes::{Mistakes, Place};
use super::reader::{Read, read};
use super::settings::{Secret, text_of};
use super::ticket_template;
use crate::model::ticket_template::TicketTemplate;
use crate::model::tickets::{StatusWords, fit_for_correlation};
use crate::model::time::Period;

/// Asked again after this; a hook makes it sooner.
const POLL: Period = Period::secs(60);

/// Where work orders go beside the built-in board, which always has them.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TicketsFile {
    #[serde(default)]
    pub kind: TicketKind,
    #[schemars(extend("format" = "url", "examples" = ["https://rt.example.org/"]))]
    pub url: Option<String>,
    /// Certificates (PEM) to believe instead of the machine's.
    pub ca_file: Option<PathBuf>,
    /// kind rt: a file with the robot's token.
    pub token_file: Option<PathBuf>,
    /// kind rt: the queue that gets the tickets.
    #[schemars(extend("examples" = ["Hardware"]))]
    pub queue: Option<String>,
    /// kind rt: the custom field that holds the correlation id. CorrelationId if not given.
    pub field: Option<String>,
    /// kind rt: whom the system mails as requestor. Nobody if not given.
    pub requestor: Option<String>,
    /// kind rt: what the words of its lifecycle mean. Those of the default lifecycle if not given.
    pub statuses: Option<StatusWords>,
    /// kind http: the file that tells the system's manners.
    #[schemars(extend("examples" = ["jira.yaml"]))]
    pub template: Option<PathBuf>,
    /// kind http: what the template calls `values`.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// kind http: what the template calls `secrets`, each in a file of its own.
    #[serde(default)]
    pub secret_files: BTreeMap<String, PathBuf>,
    /// kind mail: the server, and the mailboxes that get the work orders.
    pub smtp: Option<SmtpFile>,
    /// How long an answer is good.
    pub poll: Option<Period>,
    /// A file with the secret of `/tickets/hook/SECRET`. Without it there is no hook.
    pub hook_secret_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TicketKind {
    /// The built-in board alone.
    #[default]
    Board,
    /// Request Tracker 5.
    Rt,
    /// Any other system, told by a template.
    Http,
    /// Mailboxes; the built-in board carries what becomes of the work.
    Mail,
}

/// What the service is told of the team's ticket system.
#[derive(Clone, Debug)]
pub struct TicketSettings {
    /// The cluster's name in correlation ids.
    pub cluster: String,
    /// Of mail, which has none: empty.
    pub url: String,
    pub ca_file: Option<PathBuf>,
    pub poll: Period,
    pub hook_secret: Option<Secret>,
    pub system: TicketSystem,
    /// Files that hold a secret, each with the key that names it.
    pub secret_files: Vec<(String, PathBuf)>,
}

#[derive(Clone, Debug)]
pub enum TicketSystem {
    Rt {
        token: Secret,
        queue: String,
        field: String,
        requestor: Option<String>,
        statuses: StatusWords,
    },
    Http {
        template: Box<TicketTemplate>,
        values: BTreeMap<String, String>,
        secrets: BTreeMap<String, Secret>,
    },
    Mail(MailSettings),
}

/// Reads what `tickets:` says and names. `None`: the board alone, or something is wrong, which was told.
pub(super) fn load(
    config: &Read<ConfigFile>,
    base: &Path,
    mistakes: &mut Mistakes,
) -> Option<TicketSettings> {
    let written = config.json.get("tickets")?;
    let told = Told { config, base, before: mistakes.list().len() };
    let kind = match written["kind"].as_str() {
        Some(kind) => kind,
        None if told.place("kind") == config.root.at("tickets").place => "board",
        // Misspelt, and told: what it should have been cannot be known.
        None => return None,
    };
    told.only_what_counts(kind, mistakes);
    let hook_secret = told.secret("hook_secret_file", mistakes);
    if let Some(Secret(secret)) = &hook_secret
        && (secret.len() < 16 || !secret.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b)))
    {
        let text = "tickets.hook_secret_file: the secret stands in a URL; write 16 or more letters, digits, ., _, ~ or -";
        mistakes.add(told.place("hook_secret_file"), text);
    }
    if kind == "board" {
        return None;
    }
    let cluster = told.cluster(mistakes);
    let url = if kind == "mail" { Some(String::new()) } else { told.needed("url", mistakes) };
    if url.as_deref().is_some_and(|url| url.starts_with("http://") && !loopback(url)) {
        let text = "tickets.url would send the token in the clear; write https://";
        mistakes.add(told.place("url"), text);
    }
    if kind == "rt"
        && let Some(own) = url.as_deref().and_then(without_rest)
    {
        let text =
            format!("tickets.url: pitlane adds REST/2.0 itself; write the address of Request Tracker, {own}");
        mistakes.add(told.place("url"), text);
    }
    let system = match kind {
        "rt" => told.rt(mistakes),
        "mail" => told.mail(mistakes),
        _ => told.http(mistakes),
    };
    let file: TicketsFile = serde_json::from_value(written.clone()).ok()?;
    (mistakes.list().len() == told.before).then_some(())?;
    Some(TicketSettings {
        cluster: cluster?,
        url: url?,
        ca_file: file.ca_file.map(|file| base.join(file)),
        poll: file.poll.unwrap_or(POLL),
        hook_secret,
        system: system?,
        secret_files: secret_files(written, base),
    })
}

/// Every file named below `tickets:` that holds a secret.
fn secret_files(written: &serde_json::Value, base: &Path) -> Vec<(String, PathBuf)> {
    let single = ["token_file", "hook_secret_file", "smtp/password_file"];
    let single = single.into_iter().map(|key| (key.replace('/', "."), written.pointer(&format!("/{key}"))));
    let of_template = written["secret_files"].as_object().into_iter().flatten();
    let of_template = of_template.map(|(name, file)| (format!("secret_files.{name}"), Some(file)));
    single
        .chain(of_template)
        .filter_map(|(key, file)| Some((format!("tickets.{key}"), base.join(file?.as_str()?))))
        .collect()
}

/// The address up to Request Tracker's own REST path, where somebody wrote that, too.
fn without_rest(url: &str) -> Option<&str> {
    let at = url.to_ascii_lowercase().find("/rest/")?;
    Some(&url[..=at])
}

struct Told<'a> {
    config: &'a Read<ConfigFile>,
    base: &'a Path,
    /// Mistakes told before `tickets:` was read.
    before: usize,
}

impl Told<'_> {
    fn place(&self, key: &str) -> Place {
        self.config.root.at(&format!("tickets.{key}")).place
    }

    fn text(&self, key: &str) -> Option<String> {
        self.config.json["tickets"][key].as_str().map(str::to_owned)
    }

    fn needed(&self, key: &str, mistakes: &mut Mistakes) -> Option<String> {
        let text = self.text(key);
        // What is wrong by itself was told already.
        if text.is_none() && self.place(key) == self.config.root.at("tickets").place {
            let kind = self.text("kind").unwrap_or_default();
            mistakes.add(self.place(key), format!("tickets.{key} is missing; kind {kind} needs it"));
        }
        text
    }

    /// Keys of another kind would be believed to do something.
    fn only_what_counts(&self, kind: &str, mistakes: &mut Mistakes) {
        const RT: [&str; 5] = ["token_file", "queue", "field", "requestor", "statuses"];
        const HTTP: [&str; 3] = ["template", "values", "secret_files"];
        const EITHER: [&str; 4] = ["url", "ca_file", "poll", "hook_secret_file"];
        const MAIL: [&str; 1] = ["smtp"];
        let others: &[(&[&str], &str)] = match kind {
            "rt" => &[(&HTTP, "http"), (&MAIL, "mail")],
            "http" => &[(&RT, "rt"), (&MAIL, "mail")],
            "mail" => &[(&RT, "rt"), (&HTTP, "http"), (&EITHER, "rt or kind: http")],
            _ => &[
                (&RT, "rt or kind: http"),
                (&HTTP, "rt or kind: http"),
                (&EITHER, "rt or kind: http"),
                (&MAIL, "mail"),
            ],
        };
        let strange = others.iter().flat_map(|(keys, of)| keys.iter().map(move |key| (*key, *of)));
        for (key, of) in strange.filter(|(key, _)| self.config.json["tickets"].get(key).is_some()) {
            let text =
                format!("tickets.{key} says nothing for kind {kind}; take it out, or write kind: {of}");
            mistakes.add(self.place(key), text);
        }
    }

    /// A name that never changes: with another one no ticket would be found again.
    fn cluster(&self, mistakes: &mut Mistakes) -> Option<String> {
        let root = &self.config.root;
        let Some(name) = self.config.json["name"].as_str() else {
            if root.at("name").place == root.place {
                let text = "name is missing; tickets are found again by the cluster's name: write the one that pvecm \
                            status shows";
                mistakes.add(root.at("tickets").place, text);
            }
            return None;
        };
        if !fit_for_correlation(name) {
            let text = format!(
                "name: {name:?} cannot stand in a ticket; write letters, digits, ., _ and -, 40 at most"
            );
            mistakes.add(root.at("name").place, text);
            return None;
        }
        Some(name.to_owned())
    }

    /// One line out of a file.
    fn secret(&self, key: &str, mistakes: &mut Mistakes) -> Option<Secret> {
        let file = key.split('.').fold(&self.config.json["tickets"], |json, step| &json[step]).as_str()?;
        let text = text_of(&self.base.join(file), mistakes, self.place(key))?;
        let text = text.trim();
        if text.is_empty() || text.contains(char::is_control) {
            mistakes
                .add(self.place(key), format!("tickets.{key}: the file must hold the secret in one line"));
            return None;
        }
        Some(Secret(text.to_owned()))
    }

    fn rt(&self, mistakes: &mut Mistakes) -> Option<TicketSystem> {
        self.needed("token_file", mistakes);
        let (token, queue) = (self.secret("token_file", mistakes), self.needed("queue", mistakes));
        let words = &self.config.json["tickets"]["statuses"];
        let statuses = match words.is_null() {
            true => StatusWords::request_tracker(),
            false => serde_json::from_value(words.clone()).ok()?,
        };
        one_meaning(&statuses, self.place("statuses"), "tickets.statuses", mistakes);
        Some(TicketSystem::Rt {
            token: token?,
            queue: queue?,
            field: self.text("field").unwrap_or_else(|| "CorrelationId".to_owned()),
            requestor: self.text("requestor"),
            statuses,
        })
    }

    fn mail(&self, mistakes: &mut Mistakes) -> Option<TicketSystem> {
        let Some(smtp) = self.config.json["tickets"].get("smtp") else {
            let text = "tickets.smtp is missing; kind mail needs it: {host: …, from: …, to: […]}";
            mistakes.add(self.config.root.at("tickets").place, text);
            return None;
        };
        Some(TicketSystem::Mail(mail::load(self.config, "tickets.smtp", smtp, self.base, mistakes)?))
    }

    fn http(&self, mistakes: &mut Mistakes) -> Option<TicketSystem> {
        let written = &self.config.json["tickets"];
        let texts = |key: &str| -> BTreeMap<String, String> {
            let all = written[key].as_object().into_iter().flatten();
            all.filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned()))).collect()
        };
        let names = texts("secret_files");
        let secrets: BTreeMap<String, Secret> = names
            .keys()
            .filter_map(|name| Some((name.clone(), self.secret(&format!("secret_files.{name}"), mistakes)?)))
            .collect();
        let values = texts("values");
        let file = self.base.join(self.needed("template", mistakes)?);
        let text = text_of(&file, mistakes, self.place("template"))?;
        let before = mistakes.file().to_owned();
        mistakes.turn_to(file.display().to_string());
        let template = read::<TicketTemplate>(&text, mistakes).and_then(|read| {
            let template = read.value?;
            one_meaning(&template.statuses, read.root.at("statuses").place, "statuses", mistakes);
            let known = ticket_template::Known { values: values.keys(), secrets: names.keys() };
            ticket_template::check(&template, &read.root, known, mistakes);
            Some(template)
        });
        mistakes.turn_to(before);
        Some(TicketSystem::Http { template: Box::new(template?), values, secrets })
    }
}

fn one_meaning(words: &StatusWords, place: Place, path: &str, mistakes: &mut Mistakes) {
    if let Some(word) = words.twice() {
        mistakes.add(place, format!("{path}: {word:?} stands there twice; a word means one thing"));
    }
}

fn loopback(url: &str) -> bool {
    let uri: Option<http::Uri> = url.parse().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests;
