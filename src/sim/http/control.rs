//! The control API: plain HTTP with JSON on a port of its own, for tests, the demo, and the fake commands of a shell.
//! It is the hand of God: what it does, no operator of a cluster could. Every call needs the bearer token.
//!
//! `GET /world` · `POST /advance?secs=N` · `POST /node/NAME/{die,boot,cut,uncut}` (`cut?how=network|corosync`) ·
//! `POST /guest/ID/{lock,unlock,start,stop,backup}` (`lock?as=backup`, `backup?secs=N`) ·
//! `POST /technician/NAME/{opens,closes}` · `POST /case/ID/done` · `POST /maintenance/NAME/{on,off}` and `POST
//! /noout/HOST/{on,off}` by a person · `POST /shell/MEMBER/TOOL` (arguments, one in each line) · `GET /etc/MEMBER/FILE`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::door::{Shared, Stopped};
use super::{Error, shell, summary};
use crate::model::ids::{CaseId, GuestId, HostName, NodeName};
use crate::model::step::Switch;
use crate::sim::World;
use crate::sim::world::Cut;

/// Seconds that one call may let pass: a month of the world costs a second.
const ADVANCE_SECS_MAX: u64 = 31 * 86_400;

type Asked = Query<BTreeMap<String, String>>;

/// A random token, so that nothing else on this machine steers the world by mistake.
///
/// # Errors
/// The machine has no randomness.
pub(super) fn token() -> Result<String, Error> {
    let mut bytes = [0; 16];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| rustls::Error::FailedToGetRandomBytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Serves until `stop`.
pub(super) async fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    token: String,
    stop: CancellationToken,
) {
    let expected: Arc<str> = format!("Bearer {token}").into();
    let router = Router::new()
        .route("/world", get(see))
        .route("/advance", post(advance))
        .route("/node/{name}/{act}", post(node))
        .route("/guest/{id}/{act}", post(guest))
        .route("/technician/{name}/{act}", post(technician))
        .route("/case/{id}/done", post(done))
        .route("/maintenance/{name}/{to}", post(maintenance))
        .route("/noout/{name}/{to}", post(noout))
        .route("/shell/{member}/{tool}", post(run))
        .route("/etc/{member}/{*file}", get(file))
        .with_state(shared)
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            let expected = Arc::clone(&expected);
            async move {
                let given = request.headers().get("authorization").map(|value| value.as_bytes());
                if given.is_some_and(|given| bool::from(given.ct_eq(expected.as_bytes()))) {
                    next.run(request).await
                } else {
                    StatusCode::UNAUTHORIZED.into_response()
                }
            }
        }));
    // It ends when it is told to; a broken connection is its client's business.
    let _ = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
}

/// What was wrong with a call.
enum No {
    Unknown(String),
    Stopped(Stopped),
}

impl From<Stopped> for No {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Unknown(text) => (StatusCode::BAD_REQUEST, text),
            Self::Stopped(stopped) => (StatusCode::INTERNAL_SERVER_ERROR, stopped.to_string()),
        };
        (status, Json(json!({ "error": text }))).into_response()
    }
}

type Told = Result<Json<Value>, No>;

fn unknown(what: &str, given: &str) -> No {
    No::Unknown(format!("{given:?} is no {what}"))
}

/// Acts, and answers with the world as it is afterwards.
fn told(shared: &Shared, change: impl FnOnce(&mut World)) -> Told {
    Ok(Json(shared.act(|world| {
        change(world);
        summary::of(world)
    })?))
}

async fn see(State(shared): State<Arc<Shared>>) -> Told {
    Ok(Json(shared.look(summary::of)?))
}

async fn advance(State(shared): State<Arc<Shared>>, Query(asked): Asked) -> Told {
    let secs = number(&asked, "secs")?.filter(|secs| *secs <= ADVANCE_SECS_MAX);
    let secs = secs.ok_or_else(|| No::Unknown(format!("write secs=N with at most {ADVANCE_SECS_MAX}")))?;
    told(&shared, |world| world.advance_secs(secs))
}

fn number(asked: &BTreeMap<String, String>, name: &str) -> Result<Option<u64>, No> {
    let read = |text: &String| text.parse().map_err(|_| unknown("number", text));
    asked.get(name).map(read).transpose()
}

fn member(shared: &Shared, name: &str) -> Result<NodeName, No> {
    let name = NodeName::from(name);
    let known = shared.look(|world| world.nodes.contains_key(&name))?;
    if known { Ok(name) } else { Err(unknown("member", name.as_str())) }
}

async fn node(
    State(shared): State<Arc<Shared>>,
    Path((name, act)): Path<(String, String)>,
    Query(asked): Asked,
) -> Told {
    let name = member(&shared, &name)?;
    let how = match asked.get("how").map(String::as_str) {
        None | Some("network") => Cut::Network,
        Some("corosync") => Cut::Corosync,
        Some(other) => return Err(unknown("cut: network or corosync", other)),
    };
    match act.as_str() {
        "die" => told(&shared, |world| world.node_dies(&name)),
        "boot" => told(&shared, |world| world.node_boots(&name)),
        "cut" => told(&shared, |world| world.cut(&name, how)),
        "uncut" => told(&shared, |world| world.heal_cut(&name)),
        other => Err(unknown("act on a node: die, boot, cut or uncut", other)),
    }
}

async fn guest(
    State(shared): State<Arc<Shared>>,
    Path((id, act)): Path<(u32, String)>,
    Query(asked): Asked,
) -> Told {
    let id = GuestId(id);
    if !shared.look(|world| world.guests.contains_key(&id))? {
        return Err(unknown("guest", &id.to_string()));
    }
    let lock = asked.get("as").map_or("backup", String::as_str);
    let secs = number(&asked, "secs")?.unwrap_or(60).min(ADVANCE_SECS_MAX);
    match act.as_str() {
        "lock" => told(&shared, |world| world.set_lock(id, Some(lock))),
        "unlock" => told(&shared, |world| world.set_lock(id, None)),
        "start" => told(&shared, |world| world.human_starts(id)),
        "stop" => told(&shared, |world| world.human_stops(id)),
        "backup" => told(&shared, |world| world.human_backs_up(id, secs)),
        other => Err(unknown("act on a guest: lock, unlock, start, stop or backup", other)),
    }
}

async fn technician(State(shared): State<Arc<Shared>>, Path((name, act)): Path<(String, String)>) -> Told {
    let name = member(&shared, &name)?;
    match act.as_str() {
        "opens" => told(&shared, |world| world.technician_opens(&name)),
        "closes" => told(&shared, |world| world.technician_closes(&name)),
        other => Err(unknown("act of a technician: opens or closes", other)),
    }
}

/// The technician's claim on the world's own board.
async fn done(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> Told {
    told(&shared, |world| world.technician_claims_done(CaseId(id)))
}

fn switch(to: &str) -> Result<Switch, No> {
    match to {
        "on" => Ok(Switch::On),
        "off" => Ok(Switch::Off),
        other => Err(unknown("switch: on or off", other)),
    }
}

async fn maintenance(State(shared): State<Arc<Shared>>, Path((name, to)): Path<(String, String)>) -> Told {
    let (name, to) = (member(&shared, &name)?, switch(&to)?);
    told(&shared, |world| world.human_maintenance(&name, to))
}

async fn noout(State(shared): State<Arc<Shared>>, Path((name, to)): Path<(String, String)>) -> Told {
    let (name, to) = (HostName(name), switch(&to)?);
    told(&shared, |world| world.human_noout(&name, to))
}

/// A command on a member's shell. The answer's lines begin with 1 (its stdout), 2 (its stderr), and last 0 with its
/// exit code, so that a shell can take them apart without any tool.
async fn run(
    State(shared): State<Arc<Shared>>,
    Path((name, tool)): Path<(String, String)>,
    body: String,
) -> Result<String, No> {
    let name = member(&shared, &name)?;
    let words: Vec<&str> = body.lines().collect();
    Ok(shared.act(|world| shell::run(world, &name, &tool, &words).lines())?)
}

/// A state file below `/etc/pve` of a member.
async fn file(
    State(shared): State<Arc<Shared>>,
    Path((name, file)): Path<(String, String)>,
) -> Result<String, No> {
    let name = member(&shared, &name)?;
    let files = shared.look(|world| shell::files(world, &name))?;
    let path = format!("etc/{file}");
    files
        .into_iter()
        .find(|(name, _)| *name == path)
        .map(|(_, text)| text)
        .ok_or_else(|| unknown("file", &file))
}
