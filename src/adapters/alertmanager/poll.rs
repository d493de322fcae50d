//! Asking every Alertmanager what fires. Alerts are not gossiped between the members of a pair, so each is asked, and
//! what counts is the union: one that lists an alert is enough for it to fire, and only where all answer is anything
//! known to be absent.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use tokio::sync::mpsc;

use super::calls::Asked;
use super::error::PollError;
use super::listing::{Listing, read};
use crate::model::alert::{EpisodeKey, Listed};
use crate::model::matcher::Labels;
use crate::model::observed::AlarmsView;
use crate::model::seen::{Seen, Trouble};
use crate::model::silence::{Silence, SilencesView};
use crate::model::time::Time;
use crate::ports::{Alarms, Clock, EndSilence};

/// From the first packet to the last byte; below the loop's own 11 s. A hundred thousand alerts were measured at 7.7 s.
const LIMIT: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(3);
/// A hundred thousand alerts are 58 MB.
const BODY_MAX: usize = 96 << 20;
/// Chunks on their way from the network to the parser: about a megabyte.
const CHUNKS_MAX: usize = 16;
/// Of a refusal's words, so many are told.
const WORDS_MAX: usize = 200;

/// Which alerts are worth keeping: those that some policy wants.
pub type Wanted = Arc<dyn Fn(&Labels) -> bool + Send + Sync>;

/// How a member knows us.
#[derive(Clone)]
pub enum Login {
    None,
    Bearer(String),
    Basic { user: String, password: String },
}

/// Whom to ask, and for what.
#[derive(Clone)]
pub struct AlertmanagersConfig {
    /// Every member of the pair, each with its path prefix if it has one.
    pub urls: Vec<Url>,
    /// Only alerts that are routed to this receiver; `None`: all of the house.
    pub receiver: Option<String>,
    pub login: Login,
    /// Certificates (PEM) to believe; `None`: those of the machine.
    pub ca_pem: Option<Vec<u8>>,
    pub wanted: Wanted,
}

/// All members together.
pub struct Alertmanagers {
    client: Client,
    pub(super) members: Vec<Member>,
    authorization: Option<HeaderValue>,
    basic: Option<(String, String)>,
    wanted: Wanted,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limit: Duration,
}

pub(super) struct Member {
    /// Host and port: for people.
    pub(super) name: String,
    alerts: Url,
    /// Of the API, with a slash at its end.
    pub(super) api: Url,
}

impl Alertmanagers {
    /// # Errors
    /// A matter of configuration: an address, the token, the certificates.
    pub fn new(config: AlertmanagersConfig, clock: Arc<dyn Clock>) -> Result<Self, PollError> {
        if config.urls.is_empty() {
            return Err(PollError::Nobody);
        }
        let members = config.urls.into_iter().map(|url| member(url, config.receiver.as_deref()));
        let members = members.collect::<Result<Vec<Member>, PollError>>()?;
        let mut client = Client::builder()
            // A token does not follow where an answer points to.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .pool_idle_timeout(Duration::from_secs(90));
        if let Some(pem) = config.ca_pem {
            let certs = reqwest::Certificate::from_pem_bundle(&pem).map_err(PollError::Ca)?;
            client = client.tls_certs_only(certs);
        }
        let (authorization, basic) = match config.login {
            Login::None => (None, None),
            Login::Bearer(token) => {
                let mut value: HeaderValue =
                    format!("Bearer {token}").parse().map_err(|_| PollError::Token)?;
                value.set_sensitive(true);
                (Some(value), None)
            }
            Login::Basic { user, password } => (None, Some((user, password))),
        };
        let client = client.build().map_err(PollError::Client)?;
        Ok(Self { client, members, authorization, basic, wanted: config.wanted, clock, limit: LIMIT })
    }

    /// For tests that cannot wait ten seconds.
    #[must_use]
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    async fn ask(&self, member: &Member, at: Time) -> Result<Listing, PollError> {
        tokio::time::timeout(self.limit, self.fetch(member, at))
            .await
            .unwrap_or(Err(PollError::TooSlow(self.limit)))
    }

    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// With our login. Only a good answer is one.
    pub(super) async fn send(&self, mut request: RequestBuilder) -> Result<Response, PollError> {
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        if let Some((user, password)) = &self.basic {
            request = request.basic_auth(user, Some(password));
        }
        let mut response = request.send().await.map_err(PollError::Http)?;
        match response.status() {
            StatusCode::OK => Ok(response),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(PollError::Unauthorised(status))
            }
            status if status.is_server_error() => Err(PollError::NotAtWork(status)),
            status => {
                let text = response.chunk().await.ok().flatten().unwrap_or_default();
                let text = String::from_utf8_lossy(&text[..text.len().min(4 * WORDS_MAX)]).into_owned();
                let text = text.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect();
                Err(PollError::Refused { status, text })
            }
        }
    }

    async fn fetch(&self, member: &Member, at: Time) -> Result<Listing, PollError> {
        let mut response = self.send(self.request(Asked::Alerts.method(), member.alerts.clone())).await?;
        let (sender, chunks) = mpsc::channel::<Bytes>(CHUNKS_MAX);
        let wanted = Arc::clone(&self.wanted);
        let reading = tokio::task::spawn_blocking(move || {
            // The parser takes single bytes.
            let body = BufReader::with_capacity(64 << 10, Chunks { chunks, now: Bytes::new() });
            read(body, at, wanted.as_ref())
        });
        let mut size = 0;
        while let Some(chunk) = response.chunk().await.map_err(PollError::Http)? {
            size += chunk.len();
            if size > BODY_MAX {
                return Err(PollError::Garbled(format!("it is larger than {} MiB", BODY_MAX >> 20)));
            }
            // A parser that has given up wants no more; what it says is the reason.
            if sender.send(chunk).await.is_err() {
                break;
            }
        }
        drop(sender);
        match reading.await {
            Ok(listing) => listing.map_err(|why| PollError::Garbled(format!("no list of alerts: {why}"))),
            Err(_) => Err(PollError::Garbled("pitlane is stopping".to_owned())),
        }
    }
}

#[async_trait]
impl Alarms for Alertmanagers {
    /// True when it was asked for: what is listed later is the next poll's.
    async fn poll(&self) -> Seen<AlarmsView> {
        let at = self.clock.now();
        let answers = join_all(self.members.iter().map(|member| self.ask(member, at))).await;
        let mut union: BTreeMap<EpisodeKey, Listed> = BTreeMap::new();
        let mut silent = Vec::new();
        let mut heard = 0;
        let mut last = None;
        for (member, answer) in self.members.iter().zip(answers) {
            match answer {
                Ok(Listing { listed, bad }) => {
                    heard += 1;
                    silent
                        .extend(bad.map(|why| format!("{}: an alert could not be read: {why}", member.name)));
                    listed.into_iter().for_each(|listed| join(&mut union, listed));
                }
                Err(error) => {
                    let trouble = Trouble::from(error);
                    silent.push(format!("{}: {}", member.name, trouble.text()));
                    last = Some(trouble);
                }
            }
        }
        if let (0, Some(trouble)) = (heard, last) {
            return named(trouble, silent.join("; ")).into();
        }
        let listed = union.into_values().collect();
        Seen::known(AlarmsView { whole: silent.is_empty(), silent, listed, ..AlarmsView::default() }, at)
    }

    async fn silences(&self) -> Seen<SilencesView> {
        self.list_silences().await
    }

    async fn silence(&self, silence: &Silence, until: Time) -> Result<(), Trouble> {
        self.set_silence(silence, until).await
    }

    async fn end_silence(&self, which: &EndSilence) -> Result<(), Trouble> {
        self.end(which).await
    }
}

/// Two members list one episode: the later word counts, and it is suppressed only where both suppress it.
fn join(union: &mut BTreeMap<EpisodeKey, Listed>, listed: Listed) {
    match union.get_mut(&listed.episode.key()) {
        None => drop(union.insert(listed.episode.key(), listed)),
        Some(known) => {
            known.updated_at = known.updated_at.max(listed.updated_at);
            known.suppressed &= listed.suppressed;
        }
    }
}

/// The kind of the last trouble, with the words of all. Never "not configured": it is, and nobody answers.
pub(super) fn named(trouble: Trouble, text: String) -> Trouble {
    match trouble {
        Trouble::TooSlow(_) => Trouble::TooSlow(text),
        Trouble::Refused(_) => Trouble::Refused(text),
        Trouble::Nonsense(_) => Trouble::Nonsense(text),
        Trouble::Unreachable(_) | Trouble::NoTrace(_) | Trouble::NotConfigured(_) => {
            Trouble::Unreachable(text)
        }
    }
}

fn member(url: Url, receiver: Option<&str>) -> Result<Member, PollError> {
    let mut base = url.clone();
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    let api = base.join("api/v2/").map_err(|_| PollError::Url(url.clone()))?;
    let mut alerts = Asked::Alerts.url(&api).ok_or_else(|| PollError::Url(url.clone()))?;
    let Some(host) = alerts.host_str().filter(|_| matches!(alerts.scheme(), "http" | "https")) else {
        return Err(PollError::Url(url));
    };
    let port = alerts.port_or_known_default().unwrap_or_default();
    let name = format!("{host}:{port}");
    {
        let mut query = alerts.query_pairs_mut();
        for which in ["active", "silenced", "inhibited", "unprocessed"] {
            query.append_pair(which, "true");
        }
        if let Some(receiver) = receiver {
            // It takes a pattern, which it anchors by itself.
            query.append_pair("receiver", &regex::escape(receiver));
        }
    }
    Ok(Member { name, alerts, api })
}

/// Chunks from the network as something to read from: the parser never has more than a megabyte before it.
struct Chunks {
    chunks: mpsc::Receiver<Bytes>,
    now: Bytes,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.now.is_empty() {
            match self.chunks.blocking_recv() {
                Some(next) => self.now = next,
                None => return Ok(0),
            }
        }
        let n = buffer.len().min(self.now.len());
        buffer[..n].copy_from_slice(&self.now.split_to(n));
        Ok(n)
    }
}
