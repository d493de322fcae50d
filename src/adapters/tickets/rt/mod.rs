//! Request Tracker 5, through its REST 2 API. Measured manners, each with a recording in `tests/data/rt`:
//!
//! - A unique custom field does not refuse a second create: it answers 201 and leaves the field out.
//! - An unknown custom field is dropped with a 201, so the queue is asked for its fields before anything is created.
//! - A status that does not exist is refused inside a 200. Every change is read back.
//! - An unknown queue is "no permission": both are said.
//! - `open` is set by RT itself when anybody replies; only an owner means that a person took it.
//! - Ids are numbers here and strings there.
//!
//! It must never send an empty comment (RT keeps it), nor `correspond` (that mails the requestor: a second voice).

mod calls;
mod wire;
mod words;

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, IF_MATCH};
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};

pub use calls::Asked;

use super::call::{Answer, Caller};
use super::contract::{Become, Carries, Depth, Desk, Paper, Survey, Ticket};
use super::error::TicketError;
use crate::model::observed::WorkOrderStatus;
use crate::model::tickets::StatusWords;

/// More tickets of one case than this nobody could have made.
const FOUND_MAX: usize = 50;
/// Attachments that are read to find a comment of ours: four pages.
const PAGES_MAX: usize = 4;

/// How Request Tracker is reached, and what it calls things.
#[derive(Clone)]
pub struct RtConfig {
    /// `https://rt.example.org/` with the path prefix, if it has one.
    pub url: Url,
    pub token: String,
    pub ca_pem: Option<Vec<u8>>,
    pub queue: String,
    /// The custom field that holds the correlation id.
    pub field: String,
    /// Whom RT mails as requestor: a robot's address, or nobody.
    pub requestor: Option<String>,
    pub statuses: StatusWords,
}

/// Request Tracker, as a desk.
pub struct RequestTracker {
    caller: Caller,
    config: RtConfig,
    headers: HeaderMap,
}

impl RequestTracker {
    /// # Errors
    /// A matter of configuration: the address, the token, the certificates.
    pub fn new(mut config: RtConfig) -> Result<Self, TicketError> {
        if !matches!(config.url.scheme(), "http" | "https") {
            return Err(TicketError::Setup(format!("{} is no address of Request Tracker", config.url)));
        }
        if !config.url.path().ends_with('/') {
            config.url.set_path(&format!("{}/", config.url.path()));
        }
        let mut headers = HeaderMap::new();
        let mut token: HeaderValue = format!("token {}", config.token)
            .parse()
            .map_err(|_| TicketError::Setup("the token of Request Tracker is not fit for a header".into()))?;
        token.set_sensitive(true);
        headers.insert(AUTHORIZATION, token);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let caller = Caller::new("Request Tracker", config.ca_pem.as_deref())?;
        Ok(Self { caller, config, headers })
    }

    async fn call(
        &self,
        doing: &'static str,
        asked: Asked<'_>,
        query: &[(&str, &str)],
        body: Option<Value>,
        etag: Option<&str>,
    ) -> Result<Answer, TicketError> {
        let mut url = self
            .config
            .url
            .join(&format!("REST/2.0/{}", asked.path()))
            .map_err(|_| TicketError::Setup(format!("{} is no path of Request Tracker", asked.path())))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut headers = self.headers.clone();
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(etag) = etag.and_then(|tag| tag.parse().ok()) {
            headers.insert(IF_MATCH, etag);
        }
        self.caller.send(doing, asked.method(), url, headers, body.map(|body| body.to_string())).await
    }

    /// The body of a yes. RT's 400 shows paths of its server, so of that nothing is shown.
    fn yes(&self, answer: Answer, doing: &'static str) -> Result<Value, TicketError> {
        let tell = answer.status != StatusCode::BAD_REQUEST;
        answer.yes(&self.caller, doing, |body| body["message"].as_str().filter(|_| tell).map(str::to_owned))
    }

    /// The queue, with what to say when it cannot be seen.
    async fn queue(&self) -> Result<Value, TicketError> {
        const DOING: &str = "reading the queue";
        let queue = &self.config.queue;
        let answer = self.call(DOING, Asked::Queue(queue), &[], None, None).await?;
        if matches!(answer.status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
            return Err(TicketError::Setup(format!(
                "Request Tracker shows no queue {queue}: it does not exist (RT spells names with capitals), or the \
                 robot lacks SeeQueue there"
            )));
        }
        self.yes(answer, DOING)
    }

    async fn queue_has_the_field(&self) -> Result<(), TicketError> {
        let (queue, field) = (&self.config.queue, &self.config.field);
        let fields = wire::fields_of(&self.queue().await?);
        if fields.iter().any(|name| name == field) {
            return Ok(());
        }
        let have = if fields.is_empty() { "none".to_owned() } else { fields.join(", ") };
        Err(TicketError::Setup(format!(
            "queue {queue} of Request Tracker shows no custom field {field} for tickets (it shows {have}); apply the \
             field to the queue, and give the robot SeeCustomField"
        )))
    }

    fn ticket(&self, body: &Value, id: &str) -> Result<Ticket, TicketError> {
        let raw = wire::ticket(body, &self.config.field)
            .ok_or_else(|| self.caller.nonsense("a ticket without number, subject or status"))?;
        let status = self.config.statuses.read(&raw.status).ok_or_else(|| {
            self.caller.nonsense(format!(
                "ticket {} is {:?}, which tickets.statuses does not know; add the word there",
                raw.number, raw.status
            ))
        })?;
        let status = match (status, &raw.owner) {
            (WorkOrderStatus::Open, Some(_)) => WorkOrderStatus::InProgress,
            (status, _) => status,
        };
        let carries = if raw.id.as_deref() == Some(id) { Carries::Id } else { Carries::TitleOnly };
        let number = raw.number.to_string();
        let page = self.config.url.join(&format!("Ticket/Display.html?id={number}")).ok();
        Ok(Ticket {
            name: format!("RT-{number}"),
            number,
            carries,
            status,
            title: raw.subject,
            owner: raw.owner,
            url: page.map(String::from),
        })
    }

    /// One change, on the ticket as we just saw it; what came of it is for the caller to read.
    async fn put(&self, doing: &'static str, number: &str, change: &Value) -> Result<(), TicketError> {
        for last in [false, true] {
            let before = self.call("reading a ticket", Asked::Read(number), &[], None, None).await?;
            let etag = before.etag.clone();
            self.yes(before, "reading a ticket")?;
            let answer =
                self.call(doing, Asked::Change(number), &[], Some(change.clone()), etag.as_deref()).await?;
            // Somebody wrote in between: look again, once.
            if answer.status == StatusCode::PRECONDITION_FAILED && !last {
                continue;
            }
            self.yes(answer, doing)?;
            return Ok(());
        }
        Ok(())
    }
}

#[async_trait]
impl Desk for RequestTracker {
    async fn find(&self, id: &str, depth: Depth) -> Result<Vec<Ticket>, TicketError> {
        const DOING: &str = "searching for the ticket";
        let mut query = format!("CF.{{{}}} = '{}'", self.config.field, wire::quoted(id));
        if depth == Depth::Titles {
            query += &format!(" OR Subject LIKE '[{}]'", wire::quoted(id));
        }
        let most = FOUND_MAX.to_string();
        let search = [
            ("query", query.as_str()),
            ("fields", "Subject,Status,Owner,CustomFields"),
            ("orderby", "id"),
            ("per_page", most.as_str()),
        ];
        let answer = self.call(DOING, Asked::Search, &search, None, None).await?;
        let body = self.yes(answer, DOING)?;
        let items = wire::items(&body).ok_or_else(|| self.caller.nonsense("a search without a list"))?;
        let tag = format!("[{id}]");
        let ours = |body: &&Value| {
            let raw = wire::ticket(body, &self.config.field);
            // Databases compare without case, and LIKE has wildcards: held against the very id.
            raw.is_none_or(|raw| raw.id.as_deref() == Some(id) || raw.subject.contains(&tag))
        };
        items.iter().filter(ours).map(|body| self.ticket(body, id)).collect()
    }

    async fn create(&self, paper: &Paper<'_>) -> Result<String, TicketError> {
        const DOING: &str = "creating the ticket";
        // Without its field a ticket would be created, and never found again.
        self.queue_has_the_field().await?;
        let mut body = json!({
            "Queue": self.config.queue,
            "Subject": paper.title,
            "Content": paper.body,
            "ContentType": "text/plain",
            "CustomFields": {&self.config.field: paper.id},
        });
        if let Some(requestor) = &self.config.requestor {
            body["Requestor"] = json!(requestor);
        }
        let answer = self.call(DOING, Asked::Create, &[], Some(body), None).await?;
        let body = self.yes(answer, DOING)?;
        let number = wire::number(&body["id"]);
        number
            .map(|n| n.to_string())
            .ok_or_else(|| self.caller.nonsense("a ticket was created without number"))
    }

    async fn read(&self, number: &str, id: &str) -> Result<Ticket, TicketError> {
        const DOING: &str = "reading a ticket";
        let answer = self.call(DOING, Asked::Read(number), &[], None, None).await?;
        if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN) {
            return Err(TicketError::NoTicket(id.to_owned()));
        }
        self.ticket(&self.yes(answer, DOING)?, id)
    }

    async fn adopt(&self, number: &str, id: &str) -> Result<(), TicketError> {
        let change = json!({"CustomFields": {&self.config.field: id}});
        self.put("writing the correlation id", number, &change).await
    }

    async fn become_(&self, number: &str, to: Become, _text: &str) -> Result<(), TicketError> {
        let words = &self.config.statuses;
        let word = match to {
            Become::Open => words.open.first(),
            Become::Closed => words.done.first(),
            Become::Cancelled => words.cancelled.first().or(words.done.first()),
        };
        let word = word.ok_or_else(|| TicketError::Setup("tickets.statuses lacks a word".into()))?;
        self.put("changing the ticket's status", number, &json!({"Status": word})).await
    }

    async fn comment(&self, number: &str, receipt: &str, text: &str) -> Result<(), TicketError> {
        const DOING: &str = "commenting on the ticket";
        let body = json!({"Subject": receipt, "Content": text, "ContentType": "text/plain"});
        let answer = self.call(DOING, Asked::Comment(number), &[], Some(body), None).await?;
        self.yes(answer, DOING).map(drop)
    }

    async fn said(&self, number: &str, receipt: &str) -> Result<bool, TicketError> {
        const DOING: &str = "reading the ticket's comments";
        for page in 1..=PAGES_MAX {
            let page = page.to_string();
            let query = [("fields", "Subject"), ("per_page", "100"), ("page", page.as_str())];
            let answer = self.call(DOING, Asked::Comments(number), &query, None, None).await?;
            let body = self.yes(answer, DOING)?;
            let items =
                wire::items(&body).ok_or_else(|| self.caller.nonsense("attachments without a list"))?;
            if items.iter().any(|item| item["Subject"].as_str() == Some(receipt)) {
                return Ok(true);
            }
            if items.len() < 100 {
                return Ok(false);
            }
        }
        Err(self.caller.nonsense("more comments than pitlane reads"))
    }

    async fn retitle(&self, number: &str, title: &str) -> Result<(), TicketError> {
        self.put("changing the ticket's subject", number, &json!({"Subject": title})).await
    }

    async fn preflight(&self) -> Vec<String> {
        const DOING: &str = "asking for its version";
        let known = match self.call(DOING, Asked::Version, &[], None, None).await {
            Ok(answer) => self.yes(answer, DOING).map(drop),
            Err(error) => Err(error),
        };
        let ready = match known {
            Ok(()) => self.queue_has_the_field().await,
            Err(error) => Err(error),
        };
        ready.err().map(|error| error.to_string()).into_iter().collect()
    }

    async fn words(&self, survey: &mut Survey) -> Result<(), TicketError> {
        self.hold_words(survey).await
    }

    fn done(&self) -> Option<&str> {
        self.config.statuses.done.first().map(String::as_str)
    }

    /// It searches its database, not an index.
    fn lag(&self) -> Duration {
        Duration::ZERO
    }
}
