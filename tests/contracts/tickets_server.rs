//! A ticket system on loopback that answers as it is told, and remembers what it heard.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Method, Response, Uri};
use pitlane::adapters::tickets::{Desk, Held};
use pitlane::model::ids::{CaseId, NodeName};
use pitlane::model::observed::{WorkOrderStatus, WorkOrderView};
use pitlane::model::seen::{Seen, Trouble};
use pitlane::model::step::{StepId, WorkOrder};
use pitlane::model::time::Time;
use pitlane::ports::{Clock, Tickets};
use serde_json::Value;

/// One request, as it arrived.
#[derive(Clone, Debug)]
pub struct Heard {
    pub method: Method,
    pub path: String,
    /// Decoded: `name=value` pairs.
    pub query: Vec<(String, String)>,
    pub authorization: String,
    pub session: String,
    pub body: Value,
}

impl Heard {
    pub fn asked(&self, name: &str) -> String {
        self.query.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// `GET /a/b` as one text, to match on.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What it answers. `None`: the connection breaks.
pub type Said = Option<(u16, Value)>;

pub struct Server {
    pub url: reqwest::Url,
    pub heard: Arc<Mutex<Vec<Heard>>>,
}

/// # Panics
/// Loopback has no free port.
pub async fn serve(answer: impl Fn(&Heard) -> Said + Send + Sync + 'static) -> Server {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
    let (answer, list) = (Arc::new(answer), heard.clone());
    let router = Router::new().fallback(
        async move |method: Method, uri: Uri, headers: axum::http::HeaderMap, body: Bytes| {
            let header = |name: &str| {
                headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
            };
            let url: reqwest::Url = format!("http://x{uri}").parse().expect("an address");
            let one = Heard {
                method,
                path: uri.path().to_owned(),
                query: url.query_pairs().map(|(n, v)| (n.into_owned(), v.into_owned())).collect(),
                authorization: header("authorization") + &header("private-token"),
                session: header("session-token"),
                body: serde_json::from_slice(&body).unwrap_or_default(),
            };
            list.lock().expect("unhurt").push(one.clone());
            match answer(&one) {
                Some((status, said)) => {
                    let text = if said.is_null() { String::new() } else { said.to_string() };
                    let answer = Response::builder().status(status).header("etag", "\"7\"");
                    answer.body(Body::from(text)).expect("an answer")
                }
                // Less than was promised, and the end of the connection.
                None => {
                    let broken =
                        futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut")) });
                    Response::new(Body::from_stream(broken))
                }
            }
        },
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("bound")).parse().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    Server { url, heard }
}

struct Now;

impl Clock for Now {
    fn now(&self) -> Time {
        Time::now()
    }
}

/// A new process in front of the same system.
pub fn held(desk: impl Desk + 'static) -> Held {
    Held::new(Box::new(desk), "the ticket system", "lab", Arc::new(Now))
}

pub const CASE: CaseId = CaseId(1);

pub fn key(subject: &str) -> StepId {
    StepId::new(CASE, subject)
}

pub fn order() -> WorkOrder {
    WorkOrder {
        node: NodeName::from("pve2"),
        title: "pve2: FAN3 \"failing\" & <flapping>".into(),
        body: "It comes and goes.\nBefore you switch it off, ask.".into(),
        checklist: vec!["clean the fan".into(), "note the part's number".into()],
    }
}

pub async fn open(tickets: &Held) -> Result<String, Trouble> {
    tickets.open(&key("work-order"), CASE, &order()).await.map(|ticket| ticket.0)
}

pub async fn status(tickets: &Held) -> Result<WorkOrderStatus, Trouble> {
    view(tickets).await.map(|view| view.status)
}

pub async fn view(tickets: &Held) -> Result<WorkOrderView, Trouble> {
    match tickets.look(CASE).await {
        Seen::Known { value, .. } => Ok(value),
        Seen::Unknown { why } => Err(why),
        Seen::NotAsked => panic!("it was asked"),
    }
}
