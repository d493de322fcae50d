//! The console's forms: each writes one request and goes back to the page.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Redirect;
use serde::Deserialize;

use super::login::{Visitor, same_site};
use crate::model::ids::{CaseId, PlanHash};
use crate::model::request::Ask;
use crate::web::Shared;
use crate::web::api::node_name;
use crate::web::error::Refusal;
use crate::web::requests::submit;

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Fields {
    /// Made with the page, so that a form sent twice asks once.
    key: String,
    plan: String,
    text: String,
    node: String,
    hands_off: Option<String>,
}

pub async fn about_case(
    State(shared): State<Shared>,
    Visitor(who): Visitor,
    Path((case, ask)): Path<(u64, String)>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Result<Redirect, Refusal> {
    same_site(&headers)?;
    let case = CaseId(case);
    let text = fields.text;
    let ask = match ask.as_str() {
        "approve" => Ask::Approve { case, hash: PlanHash(fields.plan) },
        "abort" => Ask::Abort { case, reason: text },
        "done" => Ask::Done { case, note: text, hands_off: fields.hands_off.is_some() },
        "note" => Ask::Note { case, text },
        "retire" => Ask::Retire { case, reason: text },
        "heal" => Ask::Heal { case },
        other => return Err(Refusal::Missing(format!("form {other:?}"))),
    };
    let receipt = submit(&shared, &who, ask, key(&fields.key)).await?;
    Ok(Redirect::to(&format!("{}/cases/{case}?request={}", shared.base(), receipt.request)))
}

pub async fn drain(
    State(shared): State<Shared>,
    Visitor(who): Visitor,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Result<Redirect, Refusal> {
    same_site(&headers)?;
    let ask = Ask::Drain { node: node_name(&fields.node)?, reason: fields.text, yes: false };
    let receipt = submit(&shared, &who, ask, key(&fields.key)).await?;
    Ok(Redirect::to(&format!("{}/cases?request={}", shared.base(), receipt.request)))
}

fn key(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
