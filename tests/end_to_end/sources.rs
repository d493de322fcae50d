//! The real program with a bad network before Alertmanager and the ticket system, and a good one before the cluster: connections
//! that are swallowed, drip, break in the middle, or are refused. Neither source keeps a guest aboard or the loop from
//! its next turn; what could not be told is owed, and told once when there is somebody to tell.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{Method, StatusCode, Uri};
use serde_json::{Value, json};

use crate::hardship::{draining, world};
use crate::proxy::{BAD, Manner, Proxy};
use crate::site::Site;

const LONG: Duration = Duration::from_secs(240);
/// A turn with sources that hang until their deadlines, on two busy cores.
const TURN_MAX: Duration = Duration::from_secs(40);

/// An Alertmanager that lists nothing, and a Request Tracker of one queue that keeps its tickets. Their answers are long
/// enough to be cut off.
#[derive(Clone)]
struct Office {
    address: SocketAddr,
    tickets: Arc<Mutex<Vec<Value>>>,
}

impl Office {
    async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let office = Self { address: listener.local_addr().expect("bound"), tickets: Arc::default() };
        let desk = office.clone();
        let router = Router::new().fallback(async move |method: Method, uri: Uri, body: Bytes| {
            let said = desk.answer(&method, uri.path(), &serde_json::from_slice(&body).unwrap_or_default());
            let status = if said.is_null() { StatusCode::NOT_FOUND } else { StatusCode::OK };
            (status, format!("{said}{}", " ".repeat(4_000)))
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        office
    }

    fn answer(&self, method: &Method, path: &str, asked: &Value) -> Value {
        let mut tickets = self.tickets.lock().expect("unhurt");
        let path = path.trim_start_matches("/REST/2.0/");
        let number = || path.split('/').nth(1).and_then(|n| n.parse::<usize>().ok()).unwrap_or_default();
        match (method.as_str(), path) {
            ("GET", "/api/v2/alerts" | "/api/v2/silences") => json!([]),
            ("GET", "rt") => json!({"Version": "5.0.3"}),
            ("GET", "queue/Hardware") => {
                json!({"Name": "Hardware", "Lifecycle": "default", "TicketCustomFields": [{"name": "CorrelationId"}]})
            }
            // There is one cluster and one case: what is searched for is what there is.
            ("GET", "tickets") => json!({"items": *tickets, "total": tickets.len()}),
            ("POST", "ticket") => {
                let id = tickets.len() + 1;
                let field =
                    json!([{"name": "CorrelationId", "values": [asked["CustomFields"]["CorrelationId"]]}]);
                tickets
                    .push(json!({"id": id, "Subject": asked["Subject"], "Status": "new", "Owner": "Nobody",
                                    "CustomFields": field}));
                json!({"id": id})
            }
            ("GET", path) if path.ends_with("/attachments") => json!({"items": []}),
            ("POST", path) if path.ends_with("/comment") => json!(["Comments added"]),
            ("GET", _) => tickets.get(number().wrapping_sub(1)).cloned().unwrap_or_default(),
            ("PUT", _) => match tickets.get_mut(number().wrapping_sub(1)) {
                Some(ticket) => {
                    for (name, value) in asked.as_object().into_iter().flatten() {
                        if ticket[name].is_string() {
                            ticket[name] = value.clone();
                        }
                    }
                    json!(["changed"])
                }
                None => Value::Null,
            },
            _ => Value::Null,
        }
    }

    /// Subject and status of every ticket.
    fn tickets(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        let tickets = self.tickets.lock().expect("unhurt");
        tickets.iter().map(|ticket| (text(&ticket["Subject"]), text(&ticket["Status"]))).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sources_behind_a_bad_network_hold_up_no_drain_and_are_told_once() {
    let office = Office::open().await;
    let (alarms, tickets) = (Proxy::before(office.address).await, Proxy::before(office.address).await);
    let mut site = Site::open(world(), 8.0).await;
    site.put("robot", "1-2-3\n");
    let sources = format!(
        "name: lab\nalertmanager: {{urls: [\"http://{}\"]}}\ntickets: {{kind: rt, url: \"http://{}\", token_file: robot, queue: \
         Hardware, poll: 5s}}\n",
        alarms.address, tickets.address
    );
    draining(&mut site, &sources).await;
    for proxy in [&alarms, &tickets] {
        proxy.now(Manner::Swallows);
    }
    let view = site.phase(1, "handed-over", LONG).await;
    assert_eq!(site.strays().len(), 12, "{:?}", site.strays());
    assert!(view["case"]["owed"]["work_order"].is_object(), "owed, though nobody hears it: {view}");

    for manner in BAD {
        for proxy in [&alarms, &tickets] {
            proxy.now(manner);
        }
        judged_anew(&site, manner).await;
        assert_eq!(site.door.violation(), None, "{manner:?}\n{}", site.log_tail());
    }
    // What answers were cut off may have been heard; nothing was heard twice.
    assert!(office.tickets().len() <= 1, "{:?}", office.tickets());
    assert!(site.log_tail().contains("Request Tracker"), "it is named:\n{}", site.log_tail());

    tickets.now(Manner::Passes);
    let one = |tickets: &Vec<(String, String)>| tickets.len() == 1;
    site.until("the work order is delivered", LONG, async || office.tickets(), one).await;
    // Whether the alerts are gone cannot be seen, so nothing is proved.
    let said = site.said("tom", &["done", "1", "--note", "cleaned"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let unknown = |story: &String| story.contains("cannot see Alertmanager");
    site.until("it says what it cannot see", LONG, async || site.story(1).await, unknown).await;
    assert_eq!(site.strays().len(), 12, "nobody goes home on what is unknown: {:?}", site.strays());
    alarms.now(Manner::Passes);
    site.phase(1, "closed", LONG).await;

    let closed = |tickets: &Vec<(String, String)>| tickets.len() == 1 && tickets[0].1 == "resolved";
    site.until("the ticket is closed, the only one", LONG, async || office.tickets(), closed).await;
    assert_eq!(site.door.violation(), None, "{}", site.log_tail());
    assert!(site.strays().is_empty(), "{:?}", site.strays());
    assert_eq!(site.said("bob", &["--json", "owed"]).await.out.trim(), "[]");
    site.kill().await;
}

/// The loop goes on: twice more somebody looked and found it safe.
async fn judged_anew(site: &Site, manner: Manner) {
    let judged = async || {
        let view = site.get("/api/v1/cases/1").await.unwrap_or_default();
        view["safe_to_power_off"]["Ok"].as_str().map(str::to_owned)
    };
    let mut last = site.until("it is safe", TURN_MAX, judged, Option::is_some).await;
    for _ in 0..2 {
        let began = tokio::time::Instant::now();
        let what = format!("judged anew while the network {manner:?}");
        last = site.until(&what, TURN_MAX, judged, |now| now.is_some() && *now != last).await;
        println!("{manner:?}: judged anew after {:?}", began.elapsed());
    }
}
