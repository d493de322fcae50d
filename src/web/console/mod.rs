//! A small console, rendered here, without a script: cases, their story, a verdict, and the forms to ask.
//!
//! Whoever logs in gives the same bearer token; it lives in a cookie that other sites cannot send and scripts cannot
//! read. Every form checks the origin as well. The forms write requests; they decide nothing.

mod forms;
mod login;
mod pages;

pub(super) use login::same_site;
pub(super) use login::{Visitor, enter, leave, page as login_page};
pub(super) use pages::{Reload, frame};

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};

use super::Shared;
use super::doors::Gate;

const STYLE: &str = include_str!("style.css");

pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(home))
        .route("/style.css", get(style))
        .route("/login", get(login::page).post(login::enter))
        .route("/logout", post(login::leave))
        .route("/cases", get(pages::cases))
        .route("/cases/{case}", get(pages::case))
        .route("/cases/{case}/{ask}", post(forms::about_case))
        .route("/verdict", get(pages::verdict))
        .route("/drain", post(forms::drain))
}

async fn home(State(gate): State<Gate>) -> Redirect {
    Redirect::to(&format!("{}/cases", gate.base()))
}

pub async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}
