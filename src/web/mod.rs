//! The operators' surface over HTTP: an API, a small console, metrics, health.
//!
//! It writes requests and shows; it never acts, never decides, never calls Proxmox. What it shows is a copy of the
//! last turn and of the archive, with its age. The one fresh thing, a verdict, is asked of the loop.

mod api;
mod auth;
mod clients;
mod console;
mod doors;
mod error;
mod fleet;
mod health;
mod pace;
mod patient;
mod reports;
mod requests;
mod serve;
mod swap;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::sync::{Notify, watch};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::model::ids::ClusterName;
use crate::model::rules::Rules;
use crate::model::shown::Shown;
use crate::ports::{Archive, Clock, Configuration, Looker, Store};

pub use auth::{Access, Who};
pub use clients::Clients;
use doors::Gate;
pub use doors::{DOORS, Door};
pub use fleet::{FLEET_DOORS, Front, Member, front};
pub use pace::Pace;
pub use serve::{Bounds, Listening, Renewal, serve, serve_within, tls_config};
pub use swap::{Replace, replaceable};

/// Bodies of our own API are a few lines of JSON.
const BODY_MAX: usize = 64 << 10;

/// Above the 15 s that a fresh verdict may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// What the pages and answers are made of.
#[derive(Clone)]
pub struct App {
    /// Which cluster of a fleet it is; `None`: there is but one.
    pub cluster: Option<ClusterName>,
    pub store: Arc<dyn Store>,
    pub archive: Arc<dyn Archive>,
    pub shown: watch::Receiver<Arc<Shown>>,
    pub looker: Arc<dyn Looker>,
    pub clock: Arc<dyn Clock>,
    pub rules: Arc<Rules>,
    /// Rung when a request was stored. It carries no orders: the loop looks at everything.
    pub bell: Arc<Notify>,
    pub registry: prometheus::Registry,
    pub access: Arc<Access>,
    /// Stays the same when the configuration is read again: wrong tokens stay dear, and fresh looks few.
    pub pace: Arc<Pace>,
    /// `None` where there is no configuration file to be read again.
    pub configuration: Option<Arc<dyn Configuration>>,
    /// Privilege and path of what the checks of the verdict need at Proxmox.
    pub needed_rights: &'static [(&'static str, &'static str)],
}

/// What handlers share.
#[derive(Clone)]
pub(crate) struct Shared {
    app: App,
}

impl FromRef<Shared> for Gate {
    fn from_ref(shared: &Shared) -> Self {
        shared.gate()
    }
}

impl Shared {
    fn gate(&self) -> Gate {
        let App { access, pace, cluster, .. } = &self.app;
        Gate { access: access.clone(), pace: pace.clone(), cluster: cluster.clone(), table: &DOORS }
    }

    /// What the links of our pages begin with.
    pub(crate) fn base(&self) -> String {
        self.gate().base()
    }
}

impl std::ops::Deref for Shared {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}

/// Everything under one roof. `brought`: routers that bring their own body limits and read their own bodies, the receiver
/// of alerts and the ticket system's bell. Who may come in where stands in one table, for them as for everybody.
pub fn router(app: App, brought: Router) -> Router {
    let shared = Shared { app };
    let guard = || from_fn_with_state(shared.gate(), doors::guard);
    let own = Router::new()
        .route("/api/v1/status", get(api::status))
        .route("/api/v1/nodes/{node}/verdict", get(api::verdict))
        .route("/api/v1/cases", get(api::cases))
        .route("/api/v1/cases/{case}", get(api::case))
        .route("/api/v1/cases/{case}/report", get(reports::report))
        .route("/api/v1/reports", get(reports::reports))
        .route("/api/v1/journal", get(api::journal))
        .route("/api/v1/owed", get(api::owed))
        .route("/api/v1/observed", get(api::observed))
        .route("/api/v1/alerts/unreadable", get(api::unreadable))
        .route("/api/v1/reload", post(requests::reload))
        .route("/api/v1/requests", post(requests::ask))
        .route("/api/v1/requests/{request}", get(requests::answered))
        .route("/metrics", get(health::metrics))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .merge(console::routes());
    own.fallback(error::nothing_here)
        .method_not_allowed_fallback(error::not_this_way)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, ANSWER_WITHIN))
        .layer(guard())
        .with_state(shared.clone())
        .merge(brought.layer(guard()))
        .layer(CatchPanicLayer::custom(error::broken))
        .layer(map_response(harden))
}

/// Headers that every answer carries: nothing is cached, framed, sniffed or fetched from elsewhere.
async fn harden(mut response: Response) -> Response {
    const HEADERS: [(header::HeaderName, &str); 5] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_doors;
