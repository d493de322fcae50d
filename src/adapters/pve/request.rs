//! One question or order for the API, as data.
//!
//! A [`Call`] knows its path, its parameters and the type of its answer, and nothing about who is asked. So the contract test
//! can hold every call of pitlane against Proxmox's published schema without a cluster.

use std::{fmt, marker::PhantomData};

use bytes::Bytes;
use http::{HeaderValue, Method, header};

use super::error::PveError;

/// The name of a parameter and its value, not yet encoded.
pub type Parameter = (&'static str, String);

/// A call and the type its answer decodes to.
pub struct Call<T> {
    pub method: Method,
    /// Below `/api2/json`, each segment already percent-encoded.
    pub path: String,
    /// Goes into the query for GET and DELETE, which must not carry a body, and into a form otherwise.
    pub parameters: Vec<Parameter>,
    /// The node that executes the call, when the member that is asked passes it on; `None` when it answers itself.
    pub executes_on: Option<String>,
    answer: PhantomData<fn() -> T>,
}

impl<T> Call<T> {
    /// A call that the contacted member answers itself.
    pub fn new(method: Method, segments: &[&str]) -> Call<T> {
        let path = segments.iter().fold(String::new(), |path, segment| path + "/" + &encode(segment));
        Call { method, path, parameters: Vec::new(), executes_on: None, answer: PhantomData }
    }

    pub fn get(segments: &[&str]) -> Call<T> {
        Call::new(Method::GET, segments)
    }

    /// A call below `/nodes/NODE`, which is executed there whoever is asked.
    pub fn on(method: Method, node: &str, segments: &[&str]) -> Call<T> {
        let path = [&["nodes", node], segments].concat();
        Call { executes_on: Some(node.to_owned()), ..Call::new(method, &path) }
    }

    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Call<T> {
        self.parameters.push((name, value.to_string()));
        self
    }

    /// Adds the parameter when there is a value for it.
    pub fn with_some(self, name: &'static str, value: Option<impl fmt::Display>) -> Call<T> {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Whether asking twice is harmless.
    pub fn is_read(&self) -> bool {
        self.method == Method::GET
    }

    /// The request for an HTTP connection; the URI has no host.
    ///
    /// # Errors
    /// [`PveError::Setup`] when the token cannot be a header.
    pub fn to_http(&self, token: &ApiToken) -> Result<http::Request<Bytes>, PveError> {
        let setup = |e: http::Error| PveError::Setup {
            what: format!("writing the request {self}"),
            source: e.into(),
        };
        let parameters = form(&self.parameters);
        let in_query = matches!(self.method, Method::GET | Method::DELETE);
        let question_mark = if in_query && !parameters.is_empty() { "?" } else { "" };
        let query = if in_query { parameters.as_str() } else { "" };
        let mut request = http::Request::builder()
            .method(self.method.clone())
            .uri(format!("/api2/json{}{question_mark}{query}", self.path))
            .header(header::AUTHORIZATION, token.header()?)
            .header(header::ACCEPT, "application/json");
        if !in_query {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let body = if in_query { Bytes::new() } else { Bytes::from(parameters) };
        request.body(body).map_err(setup)
    }
}

impl<T> fmt::Display for Call<T> {
    /// `POST /nodes/pve1/qemu/100/migrate`: enough to find the call, without its parameters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// `USER@REALM!TOKENID` and its secret. Neither `Debug` nor `Display` shows the secret.
#[derive(Clone)]
pub struct ApiToken {
    id: String,
    secret: String,
}

impl ApiToken {
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> ApiToken {
        ApiToken { id: id.into(), secret: secret.into() }
    }

    /// `pitlane@pve!ctl`, as it appears in task lists and permission texts.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn header(&self) -> Result<HeaderValue, PveError> {
        // The server percent-decodes the value, so a literal percent sign must be encoded, and nothing else need be.
        let text = format!("PVEAPIToken={}={}", self.id, self.secret).replace('%', "%25");
        let mut value = HeaderValue::from_str(&text).map_err(|e| PveError::Setup {
            what: "writing the API token as a header".to_owned(),
            source: e.into(),
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiToken({}, …)", self.id)
    }
}

fn form(parameters: &[Parameter]) -> String {
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

/// Percent-encodes everything but unreserved characters; right for a path segment, a query and a form alike.
fn encode(text: &str) -> String {
    use fmt::Write;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}"); // writing to a String cannot fail
            }
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> ApiToken {
        ApiToken::new("pitlane@pve!ctl", "se%cret")
    }

    #[test]
    fn a_read_carries_its_parameters_in_the_query_and_no_body() {
        let call: Call<()> =
            Call::on(Method::GET, "pve1", &["tasks"]).with("source", "all").with("vmid", 100);
        let request = call.to_http(&token()).expect("a request");
        assert_eq!(request.uri(), "/api2/json/nodes/pve1/tasks?source=all&vmid=100");
        assert!(request.body().is_empty());
        assert_eq!(request.headers().get(header::CONTENT_TYPE), None);
    }

    #[test]
    fn an_order_carries_its_parameters_as_a_form() {
        let call: Call<()> =
            Call::on(Method::POST, "pve1", &["qemu", "100", "migrate"]).with("target", "a&b c");
        let request = call.to_http(&token()).expect("a request");
        assert_eq!(request.uri(), "/api2/json/nodes/pve1/qemu/100/migrate");
        assert_eq!(request.body().as_ref(), b"target=a%26b%20c");
    }

    #[test]
    fn a_task_id_is_one_encoded_segment() {
        let call: Call<()> = Call::get(&["nodes", "pve1", "tasks", "UPID:pve1:0:a@pve!ctl:", "status"]);
        assert_eq!(call.path, "/nodes/pve1/tasks/UPID%3Apve1%3A0%3Aa%40pve%21ctl%3A/status");
    }

    #[test]
    fn the_token_is_encoded_for_the_server_and_never_shown() {
        let call: Call<()> = Call::get(&["version"]);
        let request = call.to_http(&token()).expect("a request");
        let header = &request.headers()[header::AUTHORIZATION];
        assert_eq!(header.as_bytes(), b"PVEAPIToken=pitlane@pve!ctl=se%25cret");
        assert!(header.is_sensitive());
        assert!(!format!("{:?} {request:?}", token()).contains("cret"));
    }
}
