//! Logging in and out of the console.

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use maud::html;
use serde::Deserialize;

use super::pages::{Reload, frame};
use crate::model::access::Right;
use crate::web::auth::{COOKIE, Who};
use crate::web::doors::Gate;
use crate::web::error::Refusal;
use crate::web::pace::Peer;

/// A working day.
const STAY_SECS: u32 = 12 * 3600;

/// Somebody who may see: whoever may not does not come as far as this.
pub struct Visitor(pub Who);

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        Who::from_request_parts(parts, state).await.map(Self)
    }
}

/// The cookie is sent by our own pages only; this checks the same by another sign, for browsers that forget.
///
/// # Errors
/// [`Refusal::OtherSite`].
pub fn same_site(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return if matches!(site, "same-origin" | "none") { Ok(()) } else { Err(Refusal::OtherSite) };
    }
    match (text("origin"), text("host")) {
        (Some(origin), Some(host)) if origin.split_once("://").is_some_and(|(_, rest)| rest == host) => {
            Ok(())
        }
        _ => Err(Refusal::OtherSite),
    }
}

pub async fn page(State(gate): State<Gate>) -> Response {
    form(&gate, None).into_response()
}

fn form(gate: &Gate, wrong: Option<&str>) -> maud::Markup {
    let base = gate.base();
    frame(
        &base,
        "Log in",
        None,
        Reload::Never,
        html! {
            @if let Some(wrong) = wrong { p.no { (wrong) } }
            form method="post" action={ (base) "/login" } {
                label { "Token " input type="password" name="token" autocomplete="current-password" required; }
                button { "Log in" }
            }
        },
    )
}

#[derive(Deserialize)]
pub struct Login {
    token: String,
}

pub async fn enter(
    State(gate): State<Gate>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    Form(login): Form<Login>,
) -> Result<Response, Refusal> {
    same_site(&headers)?;
    let token = login.token.trim();
    let welcome = match gate.pace.knock(peer.map_or_else(Peer::default, |peer| peer.0), &gate.access, token) {
        Ok(who) => who.role.may(Right::See),
        Err(Refusal::WrongToken) => false,
        Err(refusal) => return Err(refusal),
    };
    let plain = token.bytes().all(|b| b.is_ascii_graphic() && b != b';' && b != b',');
    if !welcome || !plain {
        let page = form(&gate, Some("This token is not known here, or may not see."));
        return Ok((StatusCode::UNAUTHORIZED, page).into_response());
    }
    Ok(with_cookie(&gate, token, STAY_SECS, "/"))
}

pub async fn leave(State(gate): State<Gate>, headers: HeaderMap) -> Result<Response, Refusal> {
    same_site(&headers)?;
    Ok(with_cookie(&gate, "", 0, "/login"))
}

fn with_cookie(gate: &Gate, token: &str, secs: u32, to: &str) -> Response {
    let secure = if gate.access.secure { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={token}; Path=/; Max-Age={secs}; HttpOnly; SameSite=Strict{secure}");
    let mut response = Redirect::to(&format!("{}{to}", gate.base())).into_response();
    if let Ok(value) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}
