//! What people ask: stored durably, answered by the next turn. Nothing is done here.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};

use super::Shared;
use super::auth::Who;
use super::error::Refusal;
use crate::model::access::Right;
use crate::model::ids::{PlanHash, RequestId};
use crate::model::request::{Ask, Request};
use crate::model::shown::{Answered, InForce, Receipt};

/// Reasons, notes and the like.
const TEXT_MAX: usize = 4_000;
const KEY_MAX: usize = 200;

pub async fn ask(
    State(shared): State<Shared>,
    who: Who,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Receipt>), Refusal> {
    let body = body?;
    let ask: Ask = serde_json::from_slice(&body).map_err(|error| {
        Refusal::Malformed(format!(
            "this is no request ({error}); write for example {{\"ask\": \"drain\", \"node\": \"pve1\", \"reason\": \
             \"fan\", \"yes\": false}}"
        ))
    })?;
    let key = match headers.get("idempotency-key") {
        None => None,
        Some(key) => match key.to_str() {
            Ok(key) if (1..=KEY_MAX).contains(&key.len()) => Some(key),
            _ => return Err(Refusal::Malformed("Idempotency-Key: write 1 to 200 plain characters".into())),
        },
    };
    let receipt = submit(&shared, &who, ask, key).await?;
    Ok((StatusCode::ACCEPTED, Json(receipt)))
}

/// Reads the configuration again. What is wrong in it is in the answer, and changes nothing.
pub async fn reload(State(shared): State<Shared>, who: Who) -> Result<Json<InForce>, Refusal> {
    let configuration = shared.configuration.as_ref();
    let configuration =
        configuration.ok_or_else(|| Refusal::Missing("configuration file to be read again".into()))?;
    tracing::info!(person = %who.name, "{} asks for the configuration to be read again", who.name);
    Ok(Json(configuration.reload().await))
}

/// Stores a request and rings. The same person asking the same thing with the same key asks once.
pub async fn submit(shared: &Shared, who: &Who, ask: Ask, key: Option<&str>) -> Result<Receipt, Refusal> {
    who.needs(Right::for_asking(&ask))?;
    sane(&ask)?;
    let id = RequestId(match key {
        Some(key) => {
            let what = serde_json::to_vec(&(&who.name, key, &ask)).unwrap_or_default();
            hex(&Sha256::digest(what)[..16])
        }
        None => fresh_id(),
    });
    let request = Request { id: id.clone(), by: who.name.clone(), at: shared.clock.now(), ask };
    shared.store.request(&request).await?;
    shared.bell.notify_one();
    tracing::info!(request.id = %id, person = %who.name, "{} asks; request {id} is stored", who.name);
    Ok(Receipt { request: id })
}

/// An id that nobody has used or will guess.
pub fn fresh_id() -> String {
    let mut bytes = [0; 16];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).expect("an operating system without randomness cannot serve TLS either");
    hex(&bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sane(ask: &Ask) -> Result<(), Refusal> {
    let text = match ask {
        Ask::Drain { node, reason, .. } => {
            super::api::node_name(node.as_str())?;
            reason
        }
        Ask::Accept { part, reason, .. } => {
            if part.len() > TEXT_MAX {
                return Err(Refusal::Malformed("the part's name is too long".to_owned()));
            }
            reason
        }
        Ask::Abort { reason, .. } | Ask::Retire { reason, .. } | Ask::Pause { reason } => reason,
        Ask::Done { note: text, .. } | Ask::Note { text, .. } => text,
        Ask::Approve { hash, .. } => {
            PlanHash::long_enough(&hash.0).map_err(Refusal::Malformed)?;
            &hash.0
        }
        Ask::Heal { .. } | Ask::Resume => return Ok(()),
    };
    if text.len() > TEXT_MAX {
        return Err(Refusal::Malformed(format!("the text is longer than {TEXT_MAX} bytes; write less")));
    }
    Ok(())
}

pub async fn answered(
    State(shared): State<Shared>,
    Path(request): Path<String>,
) -> Result<Json<Answered>, Refusal> {
    let request = RequestId(request);
    let reply = shared.store.reply(&request).await?;
    Ok(Json(Answered { request, reply }))
}
