//! Reads what Proxmox means by an answer that is not a success.
//!
//! The text of an error stands in `message` since early 2025 and only in the reason phrase before; 401 and 59x have empty
//! bodies in every version. The phrases below were all recorded or read in Proxmox's source; a text that is not known stays
//! [`Refusal::Other`] and is shown as it is, because guessing would be worse.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Response;
use hyper::ext::ReasonPhrase;
use serde::Deserialize;

use super::error::{Credentials, MissingPrivilege, ProxyFailure, PveError, Refusal};

#[derive(Default, Deserialize)]
struct ErrorBody {
    message: Option<String>,
    errors: Option<BTreeMap<String, String>>,
}

/// The error that an answer outside 2xx stands for. `call` is the call as shown to people.
pub fn error_of(call: &str, response: &Response<Bytes>) -> PveError {
    let call = call.to_owned();
    let body: ErrorBody = serde_json::from_slice(response.body()).unwrap_or_default();
    let errors = body.errors.unwrap_or_default();
    let text = text_of(response, body.message);
    match response.status().as_u16() {
        400 if errors.values().any(|e| e.contains("no such task")) => PveError::NoSuchTask { call },
        400 => PveError::BadParameters { call, text, errors },
        401 => {
            let credentials =
                if text == "No ticket" { Credentials::Missing } else { Credentials::NotAccepted };
            PveError::NotAuthenticated { call, text, credentials }
        }
        403 => PveError::Forbidden { missing: missing_privilege(&text), call, text },
        501 => PveError::NotImplemented { call, text },
        status @ 595..=599 => PveError::Proxy { call, failure: proxy_failure(status), text },
        500 => PveError::Refused { why: refusal(&call, &text), call, text },
        status => PveError::Nonsense { call, what: format!("status {status} {text}") },
    }
}

/// First line of what Proxmox has to say.
fn text_of(response: &Response<Bytes>, message: Option<String>) -> String {
    let reason = || {
        let phrase = response.extensions().get::<ReasonPhrase>();
        phrase.map(|p| String::from_utf8_lossy(p.as_bytes()).into_owned())
    };
    let canonical = || response.status().canonical_reason().unwrap_or_default().to_owned();
    let text = message.or_else(reason).unwrap_or_else(canonical);
    text.lines().next().unwrap_or_default().trim().to_owned()
}

fn proxy_failure(status: u16) -> ProxyFailure {
    match status {
        595 => ProxyFailure::NotConnected,
        596 => ProxyFailure::NoAnswer,
        597 => ProxyFailure::BrokenOff,
        _ => ProxyFailure::Other,
    }
}

/// Takes "Permission check failed (/, Sys.Audit|Datastore.Audit)" apart. Some calls answer without the brackets.
fn missing_privilege(text: &str) -> Option<MissingPrivilege> {
    let (path, privileges) = text.split_once('(')?.1.strip_suffix(')')?.split_once(',')?;
    let any_of = privileges.trim().split('|').map(str::to_owned).collect();
    Some(MissingPrivilege { path: path.trim().to_owned(), any_of })
}

/// What the text of a 500 or of a failed task means. `call` only tells a timeout of Ceph from other timeouts.
pub fn refusal(call: &str, text: &str) -> Refusal {
    if let Some(lock) = lock_of(text) {
        return Refusal::Locked { lock };
    }
    if text.starts_with("got timeout") && call.contains("/ceph/") {
        return Refusal::CephTimeout;
    }
    // Specific phrases first: a lock timeout of a quorum loss mentions both.
    const PHRASES: &[(&str, Refusal)] = &[
        ("no quorum", Refusal::NoQuorum),
        ("Configuration file '", Refusal::GuestNotHere),
        ("can't lock file", Refusal::LockBusy),
        ("already running", Refusal::AlreadyRunning),
        ("not running", Refusal::NotRunning),
        ("it's a template", Refusal::Template),
        ("no such cluster node", Refusal::NoSuchNode),
        ("no such resource", Refusal::NoSuchHaResource),
        ("already defined", Refusal::HaResourceExists),
        ("ha groups have been migrated to rules", Refusal::GroupsAreRules),
        ("command 'ha-manager ", Refusal::HaRefused),
        ("ha rule failed", Refusal::BadHaRule),
        ("pveceph configuration not initialized", Refusal::CephNotConfigured),
        ("binary not installed: /usr/bin/ceph", Refusal::CephNotConfigured),
        ("guest agent", Refusal::NoGuestAgent),
        ("proxy loop detected", Refusal::ProxyLoop),
        ("migration aborted", Refusal::MigrationAborted),
        ("migration problems", Refusal::MigrationProblems),
        ("unexpected status", Refusal::WorkerDied),
        ("interrupted by signal", Refusal::Interrupted),
        ("received interrupt", Refusal::Interrupted),
    ];
    let known = PHRASES.iter().find(|(phrase, _)| text.contains(phrase));
    known.map_or(Refusal::Other, |(_, meaning)| meaning.clone())
}

/// "VM is locked (backup)", "CT is locked (migrate)".
fn lock_of(text: &str) -> Option<String> {
    let (_, rest) = text.split_once(" is locked (")?;
    Some(rest.split_once(')')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, reason: &'static [u8], body: &'static str) -> PveError {
        let mut response = Response::new(Bytes::from_static(body.as_bytes()));
        *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
        response.extensions_mut().insert(ReasonPhrase::from_static(reason));
        error_of("GET /x", &response)
    }

    #[test]
    fn an_old_node_tells_the_reason_in_the_reason_phrase_only() {
        let error = answer(500, b"VM is locked (snapshot-delete)", r#"{"data":null}"#);
        assert_eq!(error.refusal(), Some(&Refusal::Locked { lock: "snapshot-delete".to_owned() }));
    }

    #[test]
    fn a_missing_privilege_is_named_with_its_path() {
        let PveError::Forbidden { missing, .. } =
            answer(403, b"Permission check failed (/, Sys.Audit|Datastore.Audit)", "")
        else {
            panic!("403 is forbidden");
        };
        let any_of = vec!["Sys.Audit".to_owned(), "Datastore.Audit".to_owned()];
        assert_eq!(missing, Some(MissingPrivilege { path: "/".to_owned(), any_of }));
        assert!(matches!(
            answer(403, b"Permission check failed", ""),
            PveError::Forbidden { missing: None, .. }
        ));
    }

    #[test]
    fn a_timeout_is_of_ceph_only_when_ceph_was_asked() {
        assert_eq!(refusal("GET /cluster/ceph/flags", "got timeout"), Refusal::CephTimeout);
        assert_eq!(refusal("GET /nodes/a/qemu/1/config", "got timeout"), Refusal::Other);
        assert_eq!(refusal("", "can't lock file '/x' - got timeout"), Refusal::LockBusy);
        assert_eq!(refusal("", "cfs-lock 'domain-ha' error: no quorum!"), Refusal::NoQuorum);
    }

    #[test]
    fn a_text_nobody_knows_is_kept_and_not_guessed() {
        let error = answer(500, b"the moon is full", "");
        assert_eq!(error.refusal(), Some(&Refusal::Other));
        assert!(error.to_string().contains("the moon is full"));
    }
}
