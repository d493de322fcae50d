//! `POST /alerts/alertmanager`, for those who bring the token or a certificate that the listener
//! knows.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tokio::sync::Notify;

use super::intake::{Answer, Intake};
use crate::model::access::{KnownClient, KnownToken, Role};
use crate::ports::{Clock, Inbox};

/// Seconds after which a sender that was told "not now" may come again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// What the route needs.
#[derive(Clone)]
pub struct Receiver {
    pub store: Arc<dyn Inbox>,
    pub clock: Arc<dyn Clock>,
    /// Rung after something new is durable.
    pub bell: Arc<Notify>,
    pub intake: Arc<Intake>,
    pub tokens: Tokens,
    /// Hears of every answer: for metrics.
    pub heard: Arc<dyn Fn(&Answer) + Send + Sync>,
}

/// Who may deliver: tokens of the role `alerts`. With none of them nobody may.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Arc<[[u8; 32]]>);

impl Tokens {
    pub fn of(known: &[KnownToken]) -> Self {
        Self(known.iter().filter(|token| token.role == Role::Alerts).map(|token| token.sha256).collect())
    }

    /// For those who know their tokens by SHA-256 alone.
    pub fn of_hashes(hashes: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self(hashes.into_iter().collect())
    }

    /// Hashes are compared, all of them and to the end: the time taken tells nothing about any token.
    fn know(&self, headers: &HeaderMap) -> bool {
        let Some(token) = bearer(headers) else { return false };
        let told: [u8; 32] = Sha256::digest(token).into();
        let known = self.0.iter().fold(Choice::from(0), |known, one| known | one.ct_eq(&told));
        known.into()
    }
}

/// The webhook alone, to be merged into the operators' listener.
pub fn router(receiver: Receiver) -> Router {
    Router::new().route("/alerts/alertmanager", post(deliver)).with_state(receiver)
}

async fn deliver(State(receiver): State<Receiver>, request: Request) -> Response {
    let by_certificate =
        request.extensions().get::<KnownClient>().is_some_and(|known| known.role == Role::Alerts);
    if !by_certificate && !receiver.tokens.know(request.headers()) {
        // Before a byte of the body is read: strangers do not fill our memory.
        let challenge = [(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))];
        return (StatusCode::UNAUTHORIZED, challenge, "a bearer token is needed\n").into_response();
    }
    let declared = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok());
    let body = Body::into_data_stream(request.into_body());
    let Receiver { store, clock, bell, intake, heard, .. } = &receiver;
    let answer = intake.take(store.as_ref(), bell, clock.now(), declared, body).await;
    heard(&answer);
    say(answer)
}

fn say(answer: Answer) -> Response {
    let again = |text: String| {
        (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER)], text).into_response()
    };
    match answer {
        Answer::Stored(told) => {
            format!("{} new, {} resolved, {} known\n", told.new, told.resolved, told.known).into_response()
        }
        Answer::Cut { told, left_out } => format!(
            "{} new, {} resolved, {} known; {left_out} left out by max_alerts\n",
            told.new, told.resolved, told.known
        )
        .into_response(),
        Answer::Poison => "it could not be read; it is kept for people\n".into_response(),
        Answer::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n").into_response(),
        Answer::NotNow(why) => again(format!("{why}\n")),
        // The reason is in our log; the sender learns only what to do.
        Answer::NotStored(_) => again("it could not be stored; send it again\n".into()),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
