//! Alive: the process answers. Ready: the loop turns and sees the cluster.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::Shared;

pub async fn livez() -> &'static str {
    "ok\n"
}

/// Anybody may ask, so the reason is a kind and never an address or a name.
pub async fn readyz(State(shared): State<Shared>) -> (StatusCode, String) {
    let shown = shared.shown.borrow().clone();
    let no = |why: String| (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"));
    // Its reason may name paths, so it is told to those who may ask for the status.
    if shown.failing.is_some() {
        return no(
            "the last turn failed: our own store cannot be read or written; see `pitlane status` and the log"
                .into(),
        );
    }
    if !shown.ready(shared.clock.now()) {
        return no("no turn has ended within three times its pace; see `pitlane status` and the log".into());
    }
    if shown.led_by.is_some() {
        return (StatusCode::OK, "ok; another instance looks after the cluster\n".to_owned());
    }
    match shown.blind() {
        Some(why) => no(format!("the cluster cannot be seen ({}); see `pitlane status`", why.kind())),
        // It sees and may be asked; what its token lacks or could destroy is for those who may know.
        None => match shown.token_rights(shared.needed_rights).is_none_or(|found| found.good()) {
            true => (StatusCode::OK, "ok\n".to_owned()),
            false => (
                StatusCode::OK,
                "ok; the token's rights are not as they should be, see `pitlane status`\n".to_owned(),
            ),
        },
    }
}

pub async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    exposition(&shared.registry.gather())
}

pub fn exposition(families: &[prometheus::proto::MetricFamily]) -> impl IntoResponse + use<> {
    let text = prometheus::TextEncoder::new().encode_to_string(families).unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
