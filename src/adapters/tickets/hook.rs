//! Where a ticket system may say "something changed". It is a bell and nothing more: what changed is read through the API.
//!
//! The body is not read. The secret is in the path or in an `Authorization: Bearer` header, whichever the system can do.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Who may ring, and what ringing does.
#[derive(Clone)]
pub struct Hook {
    sha256: [u8; 32],
    ring: Arc<dyn Fn() + Send + Sync>,
}

impl Hook {
    pub fn new(secret: &str, ring: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { sha256: Sha256::digest(secret).into(), ring }
    }

    fn rung_with(&self, secret: Option<&str>) -> StatusCode {
        let given: [u8; 32] = Sha256::digest(secret.unwrap_or_default()).into();
        if secret.is_none() || !bool::from(given.ct_eq(&self.sha256)) {
            return StatusCode::UNAUTHORIZED;
        }
        (self.ring)();
        StatusCode::NO_CONTENT
    }
}

/// `POST /tickets/hook/SECRET`, or `POST /tickets/hook` with the secret as bearer.
pub fn router(hook: Hook) -> Router {
    Router::new()
        .route("/tickets/hook/{secret}", post(by_path))
        .route("/tickets/hook", post(by_bearer))
        .with_state(hook)
}

async fn by_path(State(hook): State<Hook>, Path(secret): Path<String>) -> StatusCode {
    hook.rung_with(Some(&secret))
}

async fn by_bearer(State(hook): State<Hook>, headers: HeaderMap) -> StatusCode {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    hook.rung_with(bearer.and_then(|value| value.strip_prefix("Bearer ")))
}
