//! One conversation with a system told by a template: login where there is one, a look-up where there is one, the request
//! itself, and always the logout.

use std::collections::BTreeMap;

use minijinja::Value as Given;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;

use super::HttpConfig;
use super::fill::{Fill, at, text_of};
use crate::adapters::tickets::call::Caller;
use crate::adapters::tickets::error::{TicketError, short};
use crate::model::ticket_template::{LookupTemplate, MethodName, Pointer, RequestTemplate, TicketTemplate};

pub struct Talk {
    pub caller: Caller,
    url: String,
    template: TicketTemplate,
    values: Given,
    secrets: Given,
}

impl Talk {
    pub fn new(config: HttpConfig) -> Result<Self, TicketError> {
        let system = config.template.system.clone();
        if !matches!(config.url.scheme(), "http" | "https") {
            return Err(TicketError::Setup(format!("{} is no address of {system}", config.url)));
        }
        Ok(Self {
            caller: Caller::new(&system, config.ca_pem.as_deref())?,
            url: config.url.as_str().trim_end_matches('/').to_owned(),
            template: config.template,
            values: Given::from(config.values),
            secrets: Given::from(config.secrets),
        })
    }

    /// What every text may use but the secrets: for what people see.
    pub fn base(&self) -> BTreeMap<&'static str, Given> {
        BTreeMap::from([("values", self.values.clone())])
    }

    /// Says it, and returns the answer's body.
    pub async fn say(
        &self,
        doing: &'static str,
        request: &RequestTemplate,
        given: BTreeMap<&'static str, Given>,
    ) -> Result<Value, TicketError> {
        let mut all = self.base();
        all.insert("secrets", self.secrets.clone());
        all.extend(given);
        let fill = Fill::plain(all);
        let Some(session) = &self.template.session else { return self.told(doing, request, fill).await };
        let opened = self.send("logging in", &session.open, &fill, &BTreeMap::new()).await?;
        let token = at(&opened, &session.token)
            .and_then(text_of)
            .ok_or_else(|| self.caller.nonsense("a login without a session"))?;
        let fill = fill.with("session", Given::from(token));
        let told = self.told(doing, request, fill.clone()).await;
        // Sessions that nobody ends fill the system's disk. A logout that fails changes nothing for us.
        if let Err(error) = self.send("logging out", &session.close, &fill, &self.template.headers).await {
            tracing::debug!("{error}");
        }
        told
    }

    async fn told(
        &self,
        doing: &'static str,
        request: &RequestTemplate,
        fill: Fill,
    ) -> Result<Value, TicketError> {
        let fill = match &request.first {
            None => fill,
            Some(first) => {
                let found = self.look_up(doing, first, &fill).await?;
                fill.with("found", Given::from(found))
            }
        };
        self.send(doing, request, &fill, &self.template.headers).await
    }

    async fn look_up(
        &self,
        doing: &'static str,
        first: &LookupTemplate,
        fill: &Fill,
    ) -> Result<String, TicketError> {
        let wanted = fill.text(&first.is)?;
        let request = RequestTemplate {
            method: MethodName::GET,
            path: first.path.clone(),
            headers: BTreeMap::new(),
            body: None,
            ok: Vec::new(),
            first: None,
        };
        let body = self.send(doing, &request, fill, &self.template.headers).await?;
        let list = at(&body, &first.list)
            .and_then(Value::as_array)
            .ok_or_else(|| self.caller.nonsense(format!("no list at {:?} while {doing}", first.list.0)))?;
        let named = |entry: &Value| at(entry, &first.by).and_then(text_of);
        let found = list.iter().find(|entry| named(entry).is_some_and(|n| n.eq_ignore_ascii_case(&wanted)));
        found.and_then(|entry| at(entry, &first.take)).and_then(text_of).ok_or_else(|| {
            let have: Vec<String> = list.iter().filter_map(named).collect();
            TicketError::NotDone {
                system: self.caller.system.clone(),
                doing,
                why: format!("there is no {wanted:?} from here, only {}", short(&have.join(", "))),
            }
        })
    }

    async fn send(
        &self,
        doing: &'static str,
        request: &RequestTemplate,
        fill: &Fill,
        common: &BTreeMap<String, String>,
    ) -> Result<Value, TicketError> {
        let path = fill.url(&request.path)?;
        let url: Url = format!("{}{path}", self.url)
            .parse()
            .map_err(|_| TicketError::Setup("a path of the ticket template makes no address".into()))?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        for (name, text) in common.iter().chain(&request.headers) {
            let name: HeaderName =
                name.parse().map_err(|_| TicketError::Setup(format!("{name:?} is no name of a header")))?;
            let mut value: HeaderValue = fill
                .text(text)?
                .parse()
                .map_err(|_| TicketError::Setup(format!("what {name} holds is not fit for a header")))?;
            // Which of them are secret the template knows, not we.
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let body = request.body.as_deref().map(|body| fill.json(body)).transpose()?;
        if body.is_some() {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        }
        let method = match request.method {
            MethodName::GET => Method::GET,
            MethodName::POST => Method::POST,
            MethodName::PUT => Method::PUT,
            MethodName::PATCH => Method::PATCH,
            MethodName::DELETE => Method::DELETE,
        };
        let answer = self.caller.send(doing, method, url, headers, body).await?;
        let (system, status) = (self.caller.system.clone(), answer.status);
        let yes = match request.ok.as_slice() {
            [] => status.is_success(),
            some => some.contains(&status.as_u16()),
        };
        let body = answer.json.as_ref();
        let refusal = body.and_then(|body| words(body, &self.template.refusals));
        if !yes || refusal.is_some() {
            let why = refusal.or_else(|| body.and_then(|body| words(body, &self.template.why)));
            return Err(TicketError::Refused { system, doing, status, why: why.unwrap_or_default() });
        }
        answer.json.ok_or_else(|| self.caller.nonsense(format!("the answer to {doing} is no JSON")))
    }
}

/// The first place where something stands, in words.
fn words(body: &Value, places: &[Pointer]) -> Option<String> {
    let empty = |value: &Value| match value {
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        _ => false,
    };
    let said = places.iter().filter_map(|pointer| at(body, pointer)).find(|value| !empty(value))?;
    Some(short(&text_of(said).unwrap_or_else(|| said.to_string())))
}
