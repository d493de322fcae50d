//! Reading a request: limits, path, query, and a body that may be a form or JSON.

use std::collections::BTreeMap;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request};
use serde_json::Value;

use super::answer::Answer;
use super::params::Params;

/// Bytes; Proxmox's own limit for a posted body.
const BODY_MAX: usize = 512 * 1024;

/// A request, read.
pub(super) struct Ask {
    pub method: Method,
    /// Below `/api2/json`, decoded, without empty parts.
    pub path: Vec<String>,
    pub params: Params,
    /// The `Authorization` header.
    pub authorization: Option<String>,
}

impl Ask {
    /// `/cluster/status`, as Proxmox names it in its refusals.
    pub fn shown(&self) -> String {
        format!("/{}", self.path.join("/"))
    }
}

/// The request, or the refusal that it earned before anybody looked who asks.
pub(super) async fn read(request: Request<Incoming>) -> Result<Ask, Answer> {
    let (head, body) = request.into_parts();
    let Some(below) = head.uri.path().strip_prefix("/api2/json") else {
        return Err(Answer::fail(501, format!("Path '{}' not found", head.uri.path())));
    };
    let path = below.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
    let mut params = BTreeMap::new();
    pairs(head.uri.query().unwrap_or_default(), &mut params);
    if !body.is_end_stream() {
        if !matches!(head.method, Method::POST | Method::PUT) {
            return Err(Answer::plain(501, &format!("Unexpected content for method '{}'", head.method)));
        }
        let kind = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
        let bytes = match Limited::new(body, BODY_MAX).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(_) => return Err(Answer::plain(501, "for data too large")),
        };
        fields(&kind, &bytes, &mut params)?;
    }
    let authorization =
        head.headers.get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok(Ask { method: head.method, path, params: Params(params), authorization })
}

fn fields(kind: &str, bytes: &Bytes, into: &mut BTreeMap<String, Value>) -> Result<(), Answer> {
    if bytes.is_empty() {
        return Ok(());
    }
    match kind {
        "application/x-www-form-urlencoded" => {
            let text = std::str::from_utf8(bytes).map_err(|_| Answer::fail(400, "invalid form"))?;
            pairs(text, into);
            Ok(())
        }
        "application/json" => {
            let read: serde_json::Map<String, Value> =
                serde_json::from_slice(bytes).map_err(|_| Answer::fail(400, "malformed JSON string"))?;
            into.extend(read);
            Ok(())
        }
        other => Err(Answer::plain(506, &format!("upload 'Content-Type '{other}' not implemented"))),
    }
}

/// `a=1&b=2`, decoded. The last of two equal names counts.
fn pairs(text: &str, into: &mut BTreeMap<String, Value>) {
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        into.insert(decoded(&name.replace('+', " ")), Value::from(decoded(&value.replace('+', " "))));
    }
}

/// Percent-decoding; what is no escape stays as it is.
pub(super) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(escape.unwrap_or(bytes[at]));
        at += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_and_broken_ones_kept() {
        assert_eq!(decoded("UPID%3Apve1%3A%21"), "UPID:pve1:!");
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%zz%4"), "%zz%4");
    }
}
