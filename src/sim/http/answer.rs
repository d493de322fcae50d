//! What Proxmox answers: the envelope, the errors with their reason phrases, and the silence of 401 and 59x.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::ext::ReasonPhrase;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, SERVER};
use serde_json::{Value, json};

/// An answer before it is put on the wire.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub status: u16,
    /// Proxmox puts the error's first line here; before 5.2.0 of its HTTP server nowhere else.
    pub reason: String,
    /// `None`: an empty body. A string is sent as plain text.
    pub body: Option<Value>,
    /// How long the real one takes to say this, in the cluster's time.
    pub takes: Duration,
}

impl Answer {
    pub fn data(data: impl Into<Value>) -> Self {
        Self::good(json!({ "data": data.into() }))
    }

    /// A page of a longer list.
    pub fn page(rows: Vec<Value>, total: usize) -> Self {
        Self::good(json!({ "data": rows, "total": total }))
    }

    fn good(body: Value) -> Self {
        Self { status: 200, reason: "OK".to_owned(), body: Some(body), takes: Duration::ZERO }
    }

    /// An error that a Perl `die` made: the text is everywhere.
    pub fn fail(status: u16, text: impl Into<String>) -> Self {
        let text = text.into();
        let reason = text.lines().next().unwrap_or_default().to_owned();
        // Refusals by the HTTP server itself have no line feed at the end, those of a `die` do.
        let end = if status == 501 { "" } else { "\n" };
        let body = json!({ "data": null, "message": format!("{text}{end}") });
        Self { status, reason, body: Some(body), takes: Duration::ZERO }
    }

    /// 400: parameter → what is wrong with it.
    pub fn wrong(errors: BTreeMap<String, String>) -> Self {
        let mut answer = Self::fail(400, "Parameter verification failed.");
        if let Some(Value::Object(body)) = &mut answer.body {
            body.insert("errors".to_owned(), json!(errors));
        }
        answer
    }

    pub fn wrong_param(name: &str, text: &str) -> Self {
        Self::wrong(BTreeMap::from([(name.to_owned(), text.to_owned())]))
    }

    pub fn forbidden(path: &str, privileges: &[&str]) -> Self {
        Self::fail(403, format!("Permission check failed ({path}, {})", privileges.join("|")))
    }

    /// 401 and 59x: a reason phrase and nothing else.
    pub fn silent(status: u16, reason: &str, takes: Duration) -> Self {
        Self { status, reason: reason.to_owned(), body: None, takes }
    }

    /// A refusal of the HTTP server itself, which does not speak JSON.
    pub fn plain(status: u16, text: &str) -> Self {
        Self { body: Some(Value::from(text)), ..Self::silent(status, text, Duration::ZERO) }
    }

    pub fn taking(self, takes: Duration) -> Self {
        Self { takes, ..self }
    }

    /// What goes over the wire. `message`: newer servers repeat the error's text in the body.
    pub fn render(self, message: Messages, last: Last) -> Response<Full<Bytes>> {
        let mut body = self.body;
        if let (Messages::InReasonOnly, Some(Value::Object(map))) = (message, &mut body) {
            map.shift_remove("message");
        }
        let mut response = match &body {
            Some(Value::String(text)) => Response::new(Full::from(text.clone())),
            Some(value) => Response::new(Full::from(value.to_string())),
            None => Response::new(Full::default()),
        };
        *response.status_mut() =
            hyper::StatusCode::from_u16(self.status).expect("our statuses are between 200 and 599");
        // A reason that cannot be put on a status line (a control character) is left to the default.
        if let Ok(reason) = ReasonPhrase::try_from(self.reason.into_bytes()) {
            response.extensions_mut().insert(reason);
        }
        let headers = response.headers_mut();
        headers.insert(SERVER, HeaderValue::from_static("pve-api-daemon/3.0"));
        if body.is_some_and(|body| !body.is_string()) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
        }
        let closes = self.status >= 400 || last == Last::Yes;
        headers.insert(CONNECTION, HeaderValue::from_static(if closes { "close" } else { "Keep-Alive" }));
        response
    }
}

/// Where the text of an error is put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Messages {
    /// 9.x and current 8.4: reason phrase and body.
    #[default]
    InBody,
    /// Older 8.x: the reason phrase only.
    InReasonOnly,
}

/// Is this the last answer on its connection?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    Yes,
    No,
}
