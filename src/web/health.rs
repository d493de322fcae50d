//! Alive: the process answers. Ready: the loop turns.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::Shared;

pub async fn livez() -> &'static str {
    "ok\n"
}

pub async fn readyz(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    if shared.shown.borrow().ready(shared.clock.now()) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no turn has ended within three times its pace; see the log\n")
    }
}

pub async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    let text = prometheus::TextEncoder::new().encode_to_string(&shared.registry.gather()).unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
