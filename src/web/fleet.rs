//! The surface of a fleet: which clusters there are and how each stands, and below `/clusters/NAME` the whole surface of each,
//! as it would be by itself.
//!
//! It shows what each cluster's last turn knew, and asks none of them: a cluster that hangs holds up its own addresses alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRef, Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{StatusCode, Uri};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use maud::{Markup, html};
use prometheus::proto::MetricFamily;
use tokio::sync::watch;
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use super::auth::{Access, Who};
use super::console::{self, Reload, Visitor, frame};
use super::doors::{self, Door, Gate};
use super::error::{self, Refusal};
use super::{ANSWER_WITHIN, BODY_MAX, Pace, harden, health};
use crate::model::access::Right::{Deliver, Operate, See};
use crate::model::ids::ClusterName;
use crate::model::rules::Mode;
use crate::model::shown::{ClusterLine, InForce, Shown, Unreadable};
use crate::ports::{Archive, Clock, Configuration};

/// What a fleet's own addresses need. Those below `/clusters/NAME` are each cluster's own.
pub const FLEET_DOORS: [(&str, &str, Door); 12] = [
    ("GET", "/livez", Door::Open),
    ("GET", "/readyz", Door::Open),
    ("POST", "/alerts/alertmanager", Door::Api(Deliver)),
    ("GET", "/metrics", Door::Api(See)),
    ("GET", "/api/v1/clusters", Door::Api(See)),
    ("GET", "/api/v1/alerts/unreadable", Door::Api(See)),
    ("POST", "/api/v1/reload", Door::Api(Operate)),
    ("GET", "/", Door::Page(See)),
    ("GET", "/style.css", Door::Open),
    ("GET", "/login", Door::Open),
    ("POST", "/login", Door::Open),
    ("POST", "/logout", Door::Open),
];

/// What was asked of one cluster, and here are several.
const WHICH: &str =
    "such address of the fleet; name a cluster: pitlane --cluster NAME, or /clusters/NAME before the address";

/// Deliveries that nobody could read, in one answer.
const UNREADABLE_MAX: usize = 100;

/// One cluster of it.
#[derive(Clone)]
pub struct Member {
    pub mode: Mode,
    pub surface: Router,
    pub shown: watch::Receiver<Arc<Shown>>,
    pub registry: prometheus::Registry,
}

/// What the fleet's pages and answers are made of.
#[derive(Clone)]
pub struct Front {
    pub members: Arc<BTreeMap<ClusterName, Member>>,
    /// Where alerts that lead to no cluster are kept.
    pub archive: Arc<dyn Archive>,
    pub clock: Arc<dyn Clock>,
    pub access: Arc<Access>,
    pub pace: Arc<Pace>,
    pub configuration: Option<Arc<dyn Configuration>>,
    /// The numbers of the process itself.
    pub registry: prometheus::Registry,
}

impl FromRef<Front> for Gate {
    fn from_ref(front: &Front) -> Self {
        let Front { access, pace, .. } = front;
        Gate { access: access.clone(), pace: pace.clone(), cluster: None, table: &FLEET_DOORS }
    }
}

/// Everything under one roof. `alerts`: the receiver of the fleet's alerts.
pub fn front(front: Front, alerts: Router) -> Router {
    let guard = || from_fn_with_state(Gate::from_ref(&front), doors::guard);
    let own = Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/v1/clusters", get(clusters))
        .route("/api/v1/alerts/unreadable", get(unreadable))
        .route("/api/v1/reload", post(reload))
        .route("/", get(page))
        .route("/style.css", get(console::style))
        .route("/login", get(console::login_page).post(console::enter))
        .route("/logout", post(console::leave))
        .method_not_allowed_fallback(error::not_this_way)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, ANSWER_WITHIN))
        .layer(guard())
        .with_state(front.clone())
        .merge(alerts.layer(guard()))
        .layer(CatchPanicLayer::custom(error::broken))
        .layer(map_response(harden));
    // Each cluster's surface guards and hardens itself.
    let members = front.members.clone();
    own.fallback(move |request: Request| below(members.clone(), request))
}

/// Hands a request to the cluster that its address names.
async fn below(members: Arc<BTreeMap<ClusterName, Member>>, mut request: Request) -> Response {
    let meant = split(request.uri()).and_then(|(name, rest)| Some((members.get(&name)?, rest)));
    let Some((member, rest)) = meant else {
        let refused = match request.uri().path().starts_with("/api/v1/") {
            true => Refusal::Missing(WHICH.to_owned()),
            false if request.uri().path().starts_with("/clusters/") => {
                Refusal::Missing("such cluster here; pitlane clusters lists those that there are".to_owned())
            }
            false => error::nothing_here(request.uri().clone()).await,
        };
        return harden(refused.into_response()).await;
    };
    *request.uri_mut() = rest;
    match member.surface.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// `/clusters/NAME/what/ever?a=b` is NAME and `/what/ever?a=b`.
fn split(uri: &Uri) -> Option<(ClusterName, Uri)> {
    let below = uri.path().strip_prefix("/clusters/")?;
    let (name, rest) = below.split_once('/').unwrap_or((below, ""));
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let rest: PathAndQuery = format!("/{rest}{query}").parse().ok()?;
    Some((ClusterName::from(name), Uri::from(rest)))
}

/// One line for each cluster that this person may see.
fn lines(front: &Front, who: &Who) -> Vec<ClusterLine> {
    let now = front.clock.now();
    let open = front.members.iter().filter(|(name, _)| who.enters(name));
    open.map(|(name, member)| ClusterLine::of(name.clone(), member.mode, &member.shown.borrow(), now))
        .collect()
}

async fn clusters(State(front): State<Front>, who: Who) -> Json<Vec<ClusterLine>> {
    Json(lines(&front, &who))
}

/// Ready as long as one cluster is looked after: the others are told by `/api/v1/clusters` and by their own `/readyz`. A
/// process that was taken out of service for one cluster's outage would be every cluster's.
async fn readyz(State(front): State<Front>) -> (StatusCode, String) {
    let now = front.clock.now();
    let all = front.members.len();
    let ready = front.members.values().filter(|member| member.shown.borrow().well(now)).count();
    let status = if ready > 0 { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, format!("{ready} of {all} clusters are looked after\n"))
}

/// The numbers of all clusters, each with its cluster's name.
async fn metrics(State(front): State<Front>, who: Who) -> impl IntoResponse {
    let mut families: BTreeMap<String, MetricFamily> = BTreeMap::new();
    let members =
        front.members.iter().filter(|(name, _)| who.enters(name)).map(|(_, member)| &member.registry);
    for registry in members.chain([&front.registry]) {
        for mut family in registry.gather() {
            match families.get_mut(family.name()) {
                Some(known) => {
                    let mut all = known.take_metric();
                    all.extend(family.take_metric());
                    known.set_metric(all);
                }
                None => drop(families.insert(family.name().to_owned(), family)),
            }
        }
    }
    health::exposition(&families.into_values().collect::<Vec<_>>())
}

/// What led to no cluster. Not for those who may see some clusters only: nobody can say whose it is.
async fn unreadable(State(front): State<Front>, who: Who) -> Result<Json<Unreadable>, Refusal> {
    if who.clusters.is_some() {
        return Err(Refusal::Closed);
    }
    Ok(Json(front.archive.unreadable(UNREADABLE_MAX).await?))
}

/// Not for those who may see some clusters only: it counts for all, and tells the mistakes of all files.
async fn reload(State(front): State<Front>, who: Who) -> Result<Json<InForce>, Refusal> {
    if who.clusters.is_some() {
        return Err(Refusal::Closed);
    }
    let missing = || Refusal::Missing("configuration file to be read again".into());
    let configuration = front.configuration.as_ref().ok_or_else(missing)?;
    tracing::info!(person = %who.name, "{} asks for the configuration to be read again", who.name);
    Ok(Json(configuration.reload().await))
}

async fn page(State(front): State<Front>, Visitor(who): Visitor) -> Result<Markup, Refusal> {
    let lines = lines(&front, &who);
    let unreadable = match who.clusters {
        None => front.archive.unreadable(0).await.map(|all| all.count).unwrap_or(0),
        Some(_) => 0,
    };
    let body = html! {
        @if unreadable > 0 {
            p.wait { "Deliveries with alerts that lead to no cluster, or that could not be read: " (unreadable) "; see "
                code { "pitlane alerts --unreadable" } "." }
        }
        table {
            thead { tr { th { "Cluster" } th { "Mode" } th { "Open cases" } th { "State" } } }
            tbody {
                @for line in &lines {
                    tr {
                        td { a href={ "/clusters/" (line.name) "/cases" } { (line.name) } }
                        td { (line.mode) } td { (line.cases) }
                        td.no[!line.well] { (line.text) }
                    }
                }
            }
        }
    };
    Ok(frame("", "Clusters", Some(&who), Reload::Often, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_its_cluster_and_what_is_asked_of_it() {
        let of = |text: &'static str| {
            split(&Uri::from_static(text)).map(|(name, rest)| (name.to_string(), rest.to_string()))
        };
        let told = |name: &str, rest: &str| Some((name.to_owned(), rest.to_owned()));
        assert_eq!(of("/clusters/berlin/cases/3?request=x"), told("berlin", "/cases/3?request=x"));
        assert_eq!(of("/clusters/berlin"), told("berlin", "/"));
        assert_eq!(of("/clusters/berlin/"), told("berlin", "/"));
        assert_eq!(of("/clusters//cases"), told("", "/cases"));
        assert_eq!(of("/cases"), None);
    }
}
