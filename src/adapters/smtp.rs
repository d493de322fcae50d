//! One letter to some mailboxes, by SMTP: what notices and work orders share.
//!
//! A mailbox that refuses loses nobody else theirs. What may have arrived is sent again under the same `Message-ID`, and
//! mailboxes that have a letter do not get it again while this process lives. It must never send anything in the clear
//! beyond loopback, and never let a label of somebody's alert write a header.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::address::Address;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use sha2::{Digest, Sha256};

use crate::model::mail::MailTls;
use crate::model::seen::Trouble;
use crate::model::time::Time;

/// One letter, from the first packet to the last answer; below the courier's own deadline and the loop's.
const LIMIT: Duration = Duration::from_secs(45);
/// Saying goodbye changes nothing any more.
const GOODBYE: Duration = Duration::from_secs(1);
/// Letters that some mailboxes have and others do not yet; the oldest is forgotten first, and then sent to all again.
const PARTLY_MAX: usize = 1000;
/// What a subject may hold, in characters.
const SUBJECT_MAX: usize = 200;

/// The server, and between whom.
#[derive(Clone)]
pub struct PostConfig {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    /// User and password.
    pub login: Option<(String, String)>,
    /// Certificates (PEM) to believe; `None`: those of the machine.
    pub ca_pem: Option<Vec<u8>>,
    pub from: String,
    pub to: Vec<String>,
    /// For tests; `None`: 45 s.
    pub limit: Option<Duration>,
}

/// What is sent. Nothing in it need be clean.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// Becomes the `Message-ID`: the same key is the same letter.
    pub key: &'a str,
    /// The key of the letter that this one belongs under; it need not exist.
    pub thread: Option<&'a str>,
    pub subject: &'a str,
    pub body: &'a str,
    pub at: Time,
    pub important: bool,
}

/// A mailbox that does not want a letter, and never will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    pub who: String,
    /// The server's words.
    pub why: String,
}

#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    #[error("{0}")]
    Setup(String),
    #[error("no connection to the mail server: {0}")]
    NoConnection(String),
    #[error("the mail server offers no STARTTLS; nothing was sent in the clear")]
    NoStartTls,
    #[error("the mail server offers no login that we know (PLAIN, LOGIN)")]
    NoLogin,
    #[error("the mail server said {why} to {doing}")]
    NotNow { doing: &'static str, why: String },
    #[error("the mail server refused {doing}: {why}")]
    Refused { doing: &'static str, why: String },
    #[error("the mail server broke off at {0}")]
    BrokenOff(&'static str),
    #[error("the mail server broke off after the text; it may have arrived")]
    BrokenAfterText,
    #[error("the mail server did not come to an end within {0:?}; it may have arrived")]
    TooSlow(Duration),
    #[error("no mailbox takes it: {0}")]
    Nobody(String),
    #[error("not every mailbox took it yet: {0}")]
    SomeLater(String),
}

impl From<SmtpError> for Trouble {
    fn from(error: SmtpError) -> Self {
        let text = error.to_string();
        match error {
            SmtpError::Setup(_) => Self::NotConfigured(text),
            SmtpError::NoConnection(_) | SmtpError::NotNow { .. } | SmtpError::BrokenOff(_) => {
                Self::Unreachable(text)
            }
            SmtpError::BrokenAfterText | SmtpError::TooSlow(_) => Self::TooSlow(text),
            // One full mailbox holds up no other letter: that is for servers that are not there.
            SmtpError::SomeLater(_)
            | SmtpError::NoStartTls
            | SmtpError::NoLogin
            | SmtpError::Refused { .. }
            | SmtpError::Nobody(_) => Self::Refused(text),
        }
    }
}

/// A mail server and the mailboxes behind it.
pub struct Post {
    host: String,
    port: u16,
    mode: MailTls,
    tls: Option<TlsParameters>,
    login: Option<Credentials>,
    from: Mailbox,
    to: Vec<Mailbox>,
    limit: Duration,
    /// Message-ID → who has it, for letters that are not yet with everybody.
    partly: Mutex<Vec<(String, BTreeSet<Address>)>>,
}

/// How the mailboxes of one dialogue answered.
#[derive(Default)]
struct Answers {
    took: Vec<Address>,
    refused: BTreeMap<Address, String>,
    later: BTreeMap<Address, String>,
}

impl Post {
    /// # Errors
    /// A matter of configuration: addresses, certificates, or no TLS beyond loopback.
    pub fn new(config: PostConfig) -> Result<Self, SmtpError> {
        if config.tls == MailTls::None && !MailTls::may_be_none(&config.host) {
            let text = format!("mail to {} would travel in the clear; use starttls or tls", config.host);
            return Err(SmtpError::Setup(text));
        }
        let mailbox = |text: &String| {
            text.parse().map_err(|e| SmtpError::Setup(format!("{text:?} is no mail address: {e}")))
        };
        let to = config.to.iter().map(mailbox).collect::<Result<Vec<Mailbox>, _>>()?;
        if to.is_empty() {
            return Err(SmtpError::Setup("there is nobody to send mail to".to_owned()));
        }
        let tls = match config.tls {
            MailTls::None => None,
            MailTls::Starttls | MailTls::Tls => Some(believed(&config)?),
        };
        Ok(Self {
            from: mailbox(&config.from)?,
            to,
            tls,
            mode: config.tls,
            login: config.login.map(|(user, password)| Credentials::new(user, password)),
            host: config.host,
            port: config.port,
            limit: config.limit.unwrap_or(LIMIT),
            partly: Mutex::default(),
        })
    }

    /// Sends it to whoever does not have it yet. `Ok`: everybody has it, except for those who never will.
    ///
    /// # Errors
    /// Somebody may still get it: try again with the same key. [`SmtpError::Nobody`]: all of them refused.
    pub async fn send(&self, letter: &Letter<'_>) -> Result<Vec<Missed>, SmtpError> {
        let id = self.message_id(letter.key);
        let mut have = self.have(&id);
        let text = self.written(letter, &id)?;
        let asked: Vec<Address> =
            self.to.iter().map(|to| to.email.clone()).filter(|to| !have.contains(to)).collect();
        let (mut connection, answers) = tokio::time::timeout(self.limit, self.dialogue(&asked, &text))
            .await
            .map_err(|_| SmtpError::TooSlow(self.limit))??;
        let _ = tokio::time::timeout(GOODBYE, connection.quit()).await;
        have.extend(answers.took);
        let told = |all: &BTreeMap<Address, String>| {
            all.iter().map(|(who, why)| format!("{who}: {why}")).collect::<Vec<_>>().join("; ")
        };
        if !answers.later.is_empty() {
            self.keep(id, have);
            return Err(SmtpError::SomeLater(told(&answers.later)));
        }
        if have.is_empty() {
            return Err(SmtpError::Nobody(told(&answers.refused)));
        }
        self.forget(&id);
        let missed = answers.refused.into_iter().map(|(who, why)| Missed { who: who.to_string(), why });
        Ok(missed.collect())
    }

    /// The key as `Message-ID`: a hash, since a label may bring anything, below the sender's own domain.
    fn message_id(&self, key: &str) -> String {
        let hash = Sha256::digest(key.as_bytes());
        let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("<pitlane.{hex}@{}>", self.from.email.domain())
    }

    fn written(&self, letter: &Letter<'_>, id: &str) -> Result<Vec<u8>, SmtpError> {
        // Robots that answer mail (out of office, ticket systems) know by it that nobody is there: RFC 3834.
        let automatic = raw("Auto-Submitted", "auto-generated");
        let mut message = Message::builder()
            .from(self.from.clone())
            .message_id(Some(id.to_owned()))
            .date(SystemTime::from(letter.at).max(SystemTime::UNIX_EPOCH))
            .subject(one_line(letter.subject))
            .raw_header(automatic)
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            message = message.to(to.clone());
        }
        if let Some(thread) = letter.thread.filter(|thread| *thread != letter.key) {
            let root = self.message_id(thread);
            message = message.in_reply_to(root.clone()).references(root);
        }
        if letter.important {
            message = message.raw_header(raw("Importance", "high"));
        }
        let written = message.body(plain(letter.body));
        Ok(written.map_err(|e| SmtpError::Setup(format!("the letter cannot be written: {e}")))?.formatted())
    }

    async fn dialogue(
        &self,
        asked: &[Address],
        text: &[u8],
    ) -> Result<(AsyncSmtpConnection, Answers), SmtpError> {
        let mut connection = self.connected().await?;
        let mail = Mail::new(Some(self.from.email.clone()), vec![]);
        connection.command(mail).await.map_err(|e| said(&e, "the sender"))?;
        let mut answers = Answers::default();
        for to in asked {
            match connection.command(Rcpt::new(to.clone(), vec![])).await {
                Ok(_) => answers.took.push(to.clone()),
                Err(e) if e.is_permanent() => _ = answers.refused.insert(to.clone(), words(&e)),
                Err(e) if e.is_transient() => _ = answers.later.insert(to.clone(), words(&e)),
                Err(e) => return Err(said(&e, "a recipient")),
            }
        }
        if answers.took.is_empty() {
            return Ok((connection, answers));
        }
        connection.command(Data).await.map_err(|e| said(&e, "the text"))?;
        match connection.message(text).await {
            Ok(_) => Ok((connection, answers)),
            Err(e) if e.status().is_some() => Err(said(&e, "the text")),
            Err(_) => Err(SmtpError::BrokenAfterText),
        }
    }

    async fn connected(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let hello = ClientId::default();
        let within = Some(self.limit / 3);
        let (first, later) = match self.mode {
            MailTls::Tls => (self.tls.clone(), None),
            MailTls::Starttls => (None, self.tls.clone()),
            MailTls::None => (None, None),
        };
        let server = (self.host.as_str(), self.port);
        let mut connection = AsyncSmtpConnection::connect_tokio1(server, within, &hello, first, None)
            .await
            .map_err(|e| not_there(&e))?;
        if self.mode == MailTls::Starttls {
            // A server that offers none today, and somebody in between who takes the offer away, look the same.
            let tls = later.filter(|_| connection.can_starttls()).ok_or(SmtpError::NoStartTls)?;
            connection.starttls(tls, &hello).await.map_err(|e| not_there(&e))?;
        }
        if let Some(login) = &self.login {
            let ways = [Mechanism::Plain, Mechanism::Login];
            if !ways.iter().any(|way| connection.server_info().supports_auth_mechanism(*way)) {
                return Err(SmtpError::NoLogin);
            }
            connection.auth(&ways, login).await.map_err(|e| without_words(&e, "the login"))?;
        }
        Ok(connection)
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Vec<(String, BTreeSet<Address>)>> {
        // A panic elsewhere does not make a list of addresses wrong.
        self.partly.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn have(&self, id: &str) -> BTreeSet<Address> {
        self.shared().iter().find(|(known, _)| known == id).map(|(_, have)| have.clone()).unwrap_or_default()
    }

    fn keep(&self, id: String, have: BTreeSet<Address>) {
        let mut partly = self.shared();
        partly.retain(|(known, _)| *known != id);
        if !have.is_empty() {
            partly.push((id, have));
        }
        if partly.len() > PARTLY_MAX {
            partly.remove(0);
        }
    }

    fn forget(&self, id: &str) {
        self.shared().retain(|(known, _)| known != id);
    }
}

fn believed(config: &PostConfig) -> Result<TlsParameters, SmtpError> {
    let wrong =
        |e: &dyn std::fmt::Display| SmtpError::Setup(format!("certificates for the mail server: {e}"));
    let mut tls = TlsParameters::builder(config.host.clone());
    if let Some(pem) = &config.ca_pem {
        let ca = Certificate::from_pem(pem).map_err(|e| wrong(&e))?;
        tls = tls.certificate_store(CertificateStore::None).add_root_certificate(ca);
    }
    tls.build().map_err(|e| wrong(&e))
}

type Wire = lettre::transport::smtp::Error;

fn not_there(error: &Wire) -> SmtpError {
    if error.status().is_some() {
        return said(error, "our greeting");
    }
    SmtpError::NoConnection(words(error))
}

fn said(error: &Wire, doing: &'static str) -> SmtpError {
    match error.status() {
        None => SmtpError::BrokenOff(doing),
        Some(_) if error.is_permanent() => SmtpError::Refused { doing, why: words(error) },
        Some(_) => SmtpError::NotNow { doing, why: words(error) },
    }
}

/// The same without the server's words: some repeat what they were told, and here that is the password.
fn without_words(error: &Wire, doing: &'static str) -> SmtpError {
    let why = error.status().map(|code| code.to_string()).unwrap_or_default();
    match said(error, doing) {
        SmtpError::Refused { .. } => SmtpError::Refused { doing, why },
        SmtpError::NotNow { .. } => SmtpError::NotNow { doing, why },
        other => other,
    }
}

/// A stranger's words for a status line: one line, and not too long.
fn words(error: &Wire) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    one_line(&text)
}

fn raw(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// Characters that end lines or turn the direction of others, so that a text looks like another.
fn tricks(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if tricks(c) { ' ' } else { c }).collect();
    let clean = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    clean.chars().take(SUBJECT_MAX).collect()
}

fn plain(text: &str) -> String {
    text.replace("\r\n", "\n")
        .chars()
        .map(|c| if c != '\n' && c != '\t' && tricks(c) { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests;
