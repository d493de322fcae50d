//! Answers that say no: one JSON shape, with what to do instead.

use std::any::Any;

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::model::ids::ClusterName;
use crate::model::seen::Trouble;

/// Why a request gets no answer. What it shows is for whoever asked; insides stay inside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no token: send `Authorization: Bearer TOKEN`")]
    NoToken,
    #[error("this token is not known here; look into the tokens file")]
    WrongToken,
    #[error("a token with the role {role} may not do that; it needs the role {needs}")]
    NotAllowed { role: &'static str, needs: &'static str },
    #[error("this token is not for cluster {0}")]
    OtherCluster(ClusterName),
    #[error("too often; try again in {secs} s")]
    TooOften { secs: u64 },
    #[error("nobody may ask that here")]
    Closed,
    #[error("the body is larger than {0} KiB")]
    TooLarge(usize),
    #[error("{0}")]
    Malformed(String),
    #[error("there is no {0}")]
    Missing(String),
    #[error("this came from another site; open the console itself")]
    OtherSite,
    #[error("too many fresh looks at once; try again in a few seconds")]
    Busy,
    #[error("{0}")]
    Trouble(Trouble),
}

impl Refusal {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::WrongToken => StatusCode::UNAUTHORIZED,
            Self::NotAllowed { .. } | Self::OtherCluster(_) | Self::OtherSite | Self::Closed => {
                StatusCode::FORBIDDEN
            }
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::TooOften { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Trouble(Trouble::TooSlow(_)) => StatusCode::GATEWAY_TIMEOUT,
            Self::Trouble(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<BytesRejection> for Refusal {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge(super::BODY_MAX >> 10),
            _ => Self::Malformed("the body could not be read".into()),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(json!({"error": self.to_string()}))).into_response();
        if response.status() == StatusCode::UNAUTHORIZED {
            let value = header::HeaderValue::from_static("Bearer realm=\"pitlane\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        if let Self::TooOften { secs } = self {
            response.headers_mut().insert(header::RETRY_AFTER, secs.into());
        }
        response
    }
}

pub async fn nothing_here(uri: Uri) -> Refusal {
    Refusal::Missing(format!("page {:?}", uri.path()))
}

pub async fn not_this_way() -> Response {
    let body = Json(json!({"error": "this address does not take that method"}));
    (StatusCode::METHOD_NOT_ALLOWED, body).into_response()
}

/// A handler panicked. The service goes on; the log has the place.
pub fn broken(_: Box<dyn Any + Send>) -> Response {
    let body = Json(json!({"error": "pitlane made a mistake answering this; its log says where"}));
    (StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
}
