//! One call to a ticket system: a deadline, a limit on the answer, no redirects, and what HTTP itself can say.
//!
//! It must never retry: whether a call that broke has happened is for the caller to find out.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, StatusCode, Url};
use serde_json::Value;

use super::error::{TicketError, short};

/// From the first packet to the last byte. Request Tracker takes up to a second for a call; the loop gives a look 11 s.
const LIMIT: Duration = Duration::from_secs(9);
/// A list of twenty tickets has some 40 KiB.
const BODY_MAX: usize = 1 << 20;

pub struct Caller {
    client: Client,
    pub system: String,
    limit: Duration,
}

/// An answer, whatever its status.
pub struct Answer {
    pub status: StatusCode,
    pub etag: Option<String>,
    /// Null when it was empty; `None` when it was no JSON.
    pub json: Option<Value>,
}

impl Caller {
    /// `ca_pem`: certificates to believe instead of the machine's.
    ///
    /// # Errors
    /// The certificates cannot be read.
    pub fn new(system: &str, ca_pem: Option<&[u8]>) -> Result<Self, TicketError> {
        let wrong = |source| TicketError::Client { system: system.to_owned(), source };
        let mut client = Client::builder()
            // A token does not follow where an answer points to.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(LIMIT / 2)
            .pool_idle_timeout(Duration::from_secs(30));
        if let Some(pem) = ca_pem {
            client = client.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem).map_err(wrong)?);
        }
        Ok(Self { client: client.build().map_err(wrong)?, system: system.to_owned(), limit: LIMIT })
    }

    /// # Errors
    /// No answer, or one that says that nobody is at work or that we are strangers. Every other answer is returned.
    pub async fn send(
        &self,
        doing: &'static str,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Option<String>,
    ) -> Result<Answer, TicketError> {
        let mut request = self.client.request(method, url).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = tokio::time::timeout(self.limit, self.exchange(doing, request)).await;
        let answer = answer.map_err(|_| TicketError::TooSlow {
            system: self.system.clone(),
            doing,
            limit: self.limit,
        })??;
        let (system, status) = (self.system.clone(), answer.status);
        match status {
            StatusCode::UNAUTHORIZED => Err(TicketError::Unauthorised { system, status }),
            StatusCode::TOO_MANY_REQUESTS => Err(TicketError::NotAtWork { system, doing, status }),
            _ if status.is_server_error() => Err(TicketError::NotAtWork { system, doing, status }),
            _ => Ok(answer),
        }
    }

    async fn exchange(
        &self,
        doing: &'static str,
        request: reqwest::RequestBuilder,
    ) -> Result<Answer, TicketError> {
        let broke = |error: reqwest::Error| {
            let system = self.system.clone();
            if error.is_connect() {
                TicketError::NoConnection { system, doing }
            } else {
                TicketError::Broken { system, doing }
            }
        };
        let mut response = request.send().await.map_err(broke)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broke)? {
            if body.len() + chunk.len() > BODY_MAX {
                return Err(self.nonsense(format!("an answer of more than {BODY_MAX} bytes while {doing}")));
            }
            body.extend_from_slice(&chunk);
        }
        let etag = response.headers().get("etag").and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let json = if body.is_empty() { Some(Value::Null) } else { serde_json::from_slice(&body).ok() };
        Ok(Answer { status: response.status(), etag, json })
    }

    pub fn nonsense(&self, why: impl Into<String>) -> TicketError {
        TicketError::Nonsense { system: self.system.clone(), why: why.into() }
    }
}

impl Answer {
    /// The body of a yes.
    ///
    /// # Errors
    /// It was a no, or no JSON. `words`: what the system says of a no, where that may be shown.
    pub fn yes(
        self,
        caller: &Caller,
        doing: &'static str,
        words: impl FnOnce(&Value) -> Option<String>,
    ) -> Result<Value, TicketError> {
        if !self.status.is_success() {
            let why = self.json.as_ref().and_then(words).map(|text| short(&text)).unwrap_or_default();
            return Err(TicketError::Refused {
                system: caller.system.clone(),
                doing,
                status: self.status,
                why,
            });
        }
        self.json.ok_or_else(|| caller.nonsense(format!("the answer to {doing} is no JSON")))
    }
}
