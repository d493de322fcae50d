//! Who may come in where: one table of every address, and the one place that holds requests against it.
//!
//! An address that is not in the table is closed. The table says what it takes to be heard at all; what a stored request
//! asks for needs a right of its own, which [`Right::for_asking`] tells.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::auth::{Access, Who, bearer, cookie};
use super::error::Refusal;
use super::pace::{Pace, Peer};
use crate::model::access::{KnownClient, Right};
use crate::model::ids::ClusterName;

/// What it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Nothing: it shows nothing of the cluster, or checks a secret of its own.
    Open,
    /// A bearer token or a known certificate.
    Api(Right),
    /// The console's cookie or a known certificate; whoever has neither is sent to log in.
    Page(Right),
}

use Door::{Api, Open, Page};
use Right::{Deliver, Operate, See};

/// What it takes to hold a request against the table.
#[derive(Clone)]
pub(crate) struct Gate {
    pub access: Arc<Access>,
    pub pace: Arc<Pace>,
    /// The one of a fleet whose surface this is.
    pub cluster: Option<ClusterName>,
    pub table: &'static [(&'static str, &'static str, Door)],
}

impl Gate {
    /// What every address of this surface begins with, as a browser sees it.
    pub fn base(&self) -> String {
        self.cluster.as_ref().map_or_else(String::new, |cluster| format!("/clusters/{cluster}"))
    }
}

/// Every address, as the router spells it.
pub const DOORS: [(&str, &str, Door); 29] = [
    ("GET", "/livez", Open),
    ("GET", "/readyz", Open),
    ("POST", "/alerts/alertmanager", Api(Deliver)),
    ("GET", "/metrics", Api(See)),
    ("GET", "/api/v1/status", Api(See)),
    ("GET", "/api/v1/nodes/{node}/verdict", Api(See)),
    ("GET", "/api/v1/cases", Api(See)),
    ("GET", "/api/v1/cases/{case}", Api(See)),
    ("GET", "/api/v1/cases/{case}/report", Api(See)),
    ("GET", "/api/v1/reports", Api(See)),
    ("GET", "/api/v1/journal", Api(See)),
    ("GET", "/api/v1/owed", Api(See)),
    ("GET", "/api/v1/observed", Api(See)),
    ("GET", "/api/v1/alerts/unreadable", Api(See)),
    ("GET", "/api/v1/requests/{request}", Api(See)),
    // What is asked there needs its own right.
    ("POST", "/api/v1/requests", Api(See)),
    ("POST", "/api/v1/reload", Api(Operate)),
    ("GET", "/", Open),
    ("GET", "/style.css", Open),
    ("GET", "/login", Open),
    ("POST", "/login", Open),
    ("POST", "/logout", Open),
    ("GET", "/cases", Page(See)),
    ("GET", "/cases/{case}", Page(See)),
    ("POST", "/cases/{case}/{ask}", Page(See)),
    ("GET", "/verdict", Page(See)),
    ("POST", "/drain", Page(Operate)),
    // Their secret is the way in; whoever answers there compares it.
    ("POST", "/tickets/hook/{secret}", Open),
    ("POST", "/tickets/hook", Open),
];

/// The door of an address, for this method or, where the method is not for it, for any: then it says so to those who may
/// know.
fn door(table: &[(&str, &str, Door)], method: &Method, path: &str) -> Option<Door> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let here = || table.iter().filter(|(_, at, _)| *at == path);
    here().find(|(how, ..)| *how == method).or_else(|| here().next()).map(|(.., door)| *door)
}

/// Lets through who may, with who they are; answers everybody else.
pub async fn guard(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let Some(path) = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()) else {
        // Nothing is there, which says nothing about anything.
        return next.run(request).await;
    };
    match admit(&gate, &request, &path) {
        Ok(Some(who)) => drop(request.extensions_mut().insert(who)),
        Ok(None) => {}
        Err(Stopped::Login) => return Redirect::to(&format!("{}/login", gate.base())).into_response(),
        Err(Stopped::Refused(refusal)) => return refusal.into_response(),
    }
    next.run(request).await
}

/// Why somebody does not come in.
enum Stopped {
    Login,
    Refused(Refusal),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

fn admit(gate: &Gate, request: &Request, path: &str) -> Result<Option<Who>, Stopped> {
    let (headers, method) = (request.headers(), request.method());
    let peer = request.extensions().get::<Peer>().copied().unwrap_or_default();
    let certificate = request.extensions().get::<KnownClient>();
    let door = door(gate.table, method, path).ok_or(Refusal::Closed)?;
    let (token, right) = match door {
        Door::Open => return Ok(None),
        Door::Api(right) => (bearer(headers), right),
        Door::Page(right) => (cookie(headers), right),
    };
    let who = match (token, certificate) {
        (Some(token), _) => match gate.pace.knock(peer, &gate.access, token) {
            Err(Refusal::WrongToken) if matches!(door, Door::Page(_)) => return Err(Stopped::Login),
            known => known?,
        },
        (None, Some(client)) => {
            // A browser shows its certificate whoever wrote the page.
            if !method.is_safe() {
                not_from_elsewhere(headers)?;
            }
            Who::shown(client)
        }
        (None, None) => {
            return Err(if matches!(door, Door::Page(_)) { Stopped::Login } else { Refusal::NoToken.into() });
        }
    };
    who.needs(right)?;
    if let Some(cluster) = gate.cluster.as_ref().filter(|cluster| !who.enters(cluster)) {
        return Err(Refusal::OtherCluster(cluster.clone()).into());
    }
    gate.pace.person(&who)?;
    Ok(Some(who))
}

/// Programs send neither of these; browsers send one of them with everything that changes something.
fn not_from_elsewhere(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key("sec-fetch-site") || headers.contains_key("origin") {
        return super::console::same_site(headers);
    }
    Ok(())
}
