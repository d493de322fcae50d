//! A real Request Tracker: four creates at once, a status that does not exist, a field that somebody forgot, a server that
//! dies between create and answer, a technician who resolves and reopens. One instance for all of it: RT takes its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use pitlane::adapters::tickets::hook::{self, Hook};
use pitlane::adapters::tickets::{Held, RequestTracker, RtConfig};
use pitlane::model::ids::{CaseId, NodeName, TicketRef};
use pitlane::model::observed::{WorkOrderStatus, WorkOrderView};
use pitlane::model::seen::{Seen, Trouble};
use pitlane::model::step::{StepId, WorkOrder};
use pitlane::model::tickets::StatusWords;
use pitlane::ports::Tickets;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::lab::{Lab, Now, until};

const CHANGE: Duration = Duration::from_secs(60);
const SECRET: &str = "0123456789abcdef";

/// RT, and the two who work with it.
struct Desk {
    lab: Lab,
    http: reqwest::Client,
}

impl Desk {
    fn config(&self) -> RtConfig {
        RtConfig {
            url: self.lab.fact("url").parse().expect("an address"),
            token: self.lab.fact("token"),
            ca_pem: None,
            queue: self.lab.fact("queue"),
            field: self.lab.fact("field"),
            requestor: None,
            statuses: StatusWords::request_tracker(),
        }
    }

    /// A process of ours.
    fn tickets(&self) -> Held {
        held(self.config())
    }

    /// What the technician does, with a token of her own.
    async fn tina(&self, method: reqwest::Method, path: &str, body: &Value) -> Value {
        let url = format!("{}/REST/2.0/{path}", self.lab.fact("url"));
        let ask = self.http.request(method, url).header("content-type", "application/json");
        let ask = ask.header("authorization", format!("token {}", self.lab.fact("technician")));
        let ask = if body.is_null() { ask } else { ask.body(body.to_string()) };
        let said = ask.timeout(CHANGE).send().await.expect("RT answers");
        let text = said.text().await.expect("RT answers");
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }

    async fn sets(&self, ticket: &TicketRef, status: &str) {
        let path = format!("ticket/{}", ticket.0.trim_start_matches("RT-"));
        self.tina(reqwest::Method::PUT, &path, &json!({"Status": status})).await;
        assert_eq!(self.tina(reqwest::Method::GET, &path, &Value::Null).await["Status"], status);
    }

    /// Number, status and whether the id is kept, of every ticket whose subject names the case.
    async fn all(&self, case: u64) -> Vec<(u64, String, bool)> {
        let query = format!(
            "tickets?query=Subject LIKE 'case-{case}]'&fields=Subject,Status,CustomFields&per_page=50"
        );
        let body = self.tina(reqwest::Method::GET, &query, &Value::Null).await;
        let one = |item: &Value| {
            let number = item["id"].as_str().and_then(|id| id.parse().ok()).expect("a number");
            let kept = item["CustomFields"].as_array().is_some_and(|all| {
                all.iter().any(|field| {
                    field["values"][0].as_str().is_some_and(|id| id.ends_with(&format!("case-{case}")))
                })
            });
            (number, item["Status"].as_str().unwrap_or_default().to_owned(), kept)
        };
        let mut all: Vec<_> = body["items"].as_array().expect("a list").iter().map(one).collect();
        all.sort_unstable();
        all
    }
}

fn held(config: RtConfig) -> Held {
    let desk = RequestTracker::new(config).expect("a good configuration");
    Held::new(Box::new(desk), "Request Tracker", "lab", Arc::new(Now))
}

fn key(case: u64, subject: &str) -> StepId {
    StepId::new(CaseId(case), subject)
}

fn order(case: u64) -> WorkOrder {
    WorkOrder {
        node: NodeName::from("pve2"),
        title: format!("pve2: FAN{case} failing"),
        body: "It comes and goes; it's \"urgent\".".into(),
        checklist: vec!["clean the fan".into()],
    }
}

async fn open(tickets: &Held, case: u64) -> Result<TicketRef, Trouble> {
    tickets.open(&key(case, "work-order"), CaseId(case), &order(case)).await
}

async fn view(tickets: &Held, case: u64) -> WorkOrderView {
    match tickets.look(CaseId(case)).await {
        Seen::Known { value, .. } => value,
        other => panic!("{other:?}"),
    }
}

/// The hook of a service; what rings is counted.
async fn bell() -> (String, Arc<AtomicUsize>) {
    let rung = Arc::new(AtomicUsize::new(0));
    let counter = rung.clone();
    let router = hook::router(Hook::new(
        SECRET,
        Arc::new(move || {
            counter.fetch_add(1, SeqCst);
        }),
    ));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/tickets/hook/{SECRET}", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, rung)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_request_tracker_holds_the_contract() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (url, rung) = bell().await;
    let lab = tokio::task::spawn_blocking(move || Lab::up("rt-lab", &["--hook", &url])).await;
    let desk = Desk { lab: lab.expect("RT is up"), http: reqwest::Client::new() };
    assert_eq!(desk.tickets().preflight().await, Vec::<String>::new());

    a_race_of_four(&desk).await;
    a_race_where_the_field_is_not_unique(&desk).await;
    the_life_of_a_ticket(&desk, &rung).await;
    what_is_wrong_is_told_before_anything_is_created(&desk).await;
    a_status_that_does_not_exist(&desk).await;
    a_server_that_dies_after_the_create(&desk).await;
}

/// Four processes that know nothing of each other. RT answers 201 to all of them.
async fn a_race_of_four(desk: &Desk) {
    let four = [desk.tickets(), desk.tickets(), desk.tickets(), desk.tickets()];
    let said = futures::future::join_all(four.iter().map(|tickets| open(tickets, 1))).await;
    let refs: Vec<_> = said.into_iter().collect();
    // Whoever came second may be told so once; the next turn is the retry.
    let again = open(&desk.tickets(), 1).await.expect("a ticket");
    for said in refs.iter().flatten() {
        assert_eq!(said, &again, "{refs:?}");
    }
    let all = desk.all(1).await;
    assert_eq!(all.iter().filter(|(_, _, kept)| *kept).count(), 1, "{all:?}");
    assert_eq!(all.iter().filter(|(_, status, _)| status == "new").count(), 1, "{all:?}");
    assert!(all.iter().all(|(_, status, kept)| *kept || status == "rejected"), "{all:?}");
}

/// An administrator forgot "unique": all four carry the id, and the lowest counts.
async fn a_race_where_the_field_is_not_unique(desk: &Desk) {
    let loose = RtConfig { queue: "Loose".into(), field: "SharedId".into(), ..desk.config() };
    let four: Vec<Held> = (0..4).map(|_| held(loose.clone())).collect();
    let _ = futures::future::join_all(four.iter().map(|tickets| open(tickets, 2))).await;
    let counts = open(&held(loose.clone()), 2).await.expect("a ticket");
    let all = desk.all(2).await;
    assert_eq!(counts.0, format!("RT-{}", all[0].0), "{all:?}");
    assert_eq!(all.iter().filter(|(_, status, _)| status == "new").count(), 1, "{all:?}");
}

async fn the_life_of_a_ticket(desk: &Desk, rung: &AtomicUsize) {
    let ticket = open(&desk.tickets(), 3).await.expect("a ticket");
    let path = format!("ticket/{}", ticket.0.trim_start_matches("RT-"));
    let seen = view(&desk.tickets(), 3).await;
    assert_eq!((seen.status, seen.owner), (WorkOrderStatus::Open, None));
    assert!(seen.url.is_some_and(|url| url.contains("Display.html?id=")));
    // A reply opens it, by RT itself. Nobody has taken it.
    desk.tina(
        reqwest::Method::POST,
        &format!("{path}/correspond"),
        &json!({"Content": "which rack?", "ContentType": "text/plain"}),
    )
    .await;
    assert_eq!(view(&desk.tickets(), 3).await.status, WorkOrderStatus::Open);
    desk.tina(reqwest::Method::PUT, &path, &json!({"Owner": "tina"})).await;
    let seen = view(&desk.tickets(), 3).await;
    assert_eq!((seen.status, seen.owner.as_deref()), (WorkOrderStatus::InProgress, Some("tina")));

    for _ in 0..2 {
        desk.tickets().comment(&key(3, "work-order/also"), CaseId(3), "Also: FAN4.").await.expect("said");
    }
    let before = rung.load(SeqCst);
    desk.sets(&ticket, "resolved").await;
    assert_eq!(view(&desk.tickets(), 3).await.status, WorkOrderStatus::Done);
    until("the scrip rings", CHANGE, async || rung.load(SeqCst), |n| *n > before).await;

    let reopen = key(3, "work-order/reopen-2");
    desk.tickets().reopen(&reopen, CaseId(3), "Not done yet: it fails.").await.expect("reopened");
    assert_eq!(view(&desk.tickets(), 3).await.status, WorkOrderStatus::InProgress);
    desk.sets(&ticket, "resolved").await;
    // The same step once more, as after a crash: the technician's work stands.
    desk.tickets().reopen(&reopen, CaseId(3), "Not done yet: it fails.").await.expect("said before");
    assert_eq!(view(&desk.tickets(), 3).await.status, WorkOrderStatus::Done);
    // A person opens it again, and another one rejects it.
    desk.sets(&ticket, "open").await;
    assert_eq!(view(&desk.tickets(), 3).await.status, WorkOrderStatus::InProgress);
    desk.sets(&ticket, "rejected").await;
    assert_eq!(view(&desk.tickets(), 3).await.status, WorkOrderStatus::Cancelled);
    desk.sets(&ticket, "stalled").await;
    for _ in 0..2 {
        desk.tickets()
            .close(&key(3, "work-order/close-2"), CaseId(3), "Closed: returned.")
            .await
            .expect("closed");
    }
    assert_eq!(view(&desk.tickets(), 3).await.status, WorkOrderStatus::Done);
    let comments = desk
        .tina(
            reqwest::Method::GET,
            &format!("{path}/attachments?fields=Subject,Content&per_page=100"),
            &Value::Null,
        )
        .await;
    let subjects: Vec<&str> = comments["items"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|item| item["Subject"].as_str())
        .collect();
    for said in ["also", "reopen-2", "close-2"] {
        let subject = format!("pitlane case-3/work-order/{said}");
        assert_eq!(subjects.iter().filter(|s| **s == subject).count(), 1, "{subjects:?}");
    }
}

async fn what_is_wrong_is_told_before_anything_is_created(desk: &Desk) {
    for (config, expected) in [
        (RtConfig { queue: "Bare".into(), ..desk.config() }, "shows no custom field CorrelationId"),
        (RtConfig { queue: "hardwear".into(), ..desk.config() }, "or the robot lacks SeeQueue"),
        (RtConfig { token: "1-2-3".into(), ..desk.config() }, "does not know our token"),
    ] {
        let said = open(&held(config.clone()), 4).await.expect_err(expected);
        assert!(said.text().contains(expected), "{said}");
        let told = held(config).preflight().await;
        assert!(told.iter().any(|line| line.contains(expected)), "{told:?}");
    }
    let told = desk.tickets().survey().await;
    assert_eq!(told.lacks, Vec::<String>::new());
    assert!(
        told.saw.iter().any(|line| line.contains("queue Hardware has the lifecycle default")),
        "{told:?}"
    );
    let strange =
        StatusWords { done: vec!["erledigt".into(), "resolved".into()], ..StatusWords::request_tracker() };
    let told = held(RtConfig { statuses: strange, ..desk.config() }).survey().await;
    assert!(told.lacks.iter().any(|line| line.contains("statuses.done names \"erledigt\"")), "{told:?}");
    assert!(desk.all(4).await.is_empty());
}

/// RT refuses it inside a 200.
async fn a_status_that_does_not_exist(desk: &Desk) {
    open(&desk.tickets(), 5).await.expect("a ticket");
    let mut words = StatusWords::request_tracker();
    words.done = vec!["erledigt".into(), "resolved".into()];
    let tickets = held(RtConfig { statuses: words, ..desk.config() });
    let said =
        tickets.close(&key(5, "work-order/close-1"), CaseId(5), "Closed.").await.expect_err("no such status");
    assert!(said.text().contains("did not do it: RT-"), "{said}");
    desk.tickets().close(&key(5, "work-order/close-1"), CaseId(5), "Closed.").await.expect("closed");
}

/// A proxy hands the create on and cuts the line before the answer comes: the ticket is there, and nobody told us.
async fn a_server_that_dies_after_the_create(desk: &Desk) {
    let cutting = Arc::new(AtomicBool::new(true));
    let url = proxy(desk.lab.fact("url").trim_start_matches("http://").to_owned(), cutting.clone()).await;
    let config = RtConfig { url: url.parse().expect("an address"), ..desk.config() };
    let said = open(&held(config.clone()), 6).await.expect_err("the answer is lost");
    assert!(matches!(said, Trouble::TooSlow(_)), "{said}");
    until("RT has the ticket", CHANGE, async || desk.all(6).await, |all| all.len() == 1).await;
    cutting.store(false, SeqCst);
    open(&held(config), 6).await.expect("the same ticket");
    let all = desk.all(6).await;
    assert!(matches!(all.as_slice(), [(_, status, true)] if status == "new"), "{all:?}");
}

/// Hands everything on; while `cutting`, whoever creates a ticket gets no answer.
async fn proxy(to: String, cutting: Arc<AtomicBool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (to, cutting) = (to.clone(), cutting.clone());
            tokio::spawn(async move { drop(hand_on(client, &to, &cutting).await) });
        }
    });
    url
}

async fn hand_on(mut client: TcpStream, to: &str, cutting: &AtomicBool) -> std::io::Result<()> {
    let mut server = TcpStream::connect(to).await?;
    let (mut asked, mut said) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        tokio::select! {
            n = client.read(&mut asked) => {
                let n = n?;
                if n == 0 {
                    return Ok(());
                }
                server.write_all(&asked[..n]).await?;
                if cutting.load(SeqCst) && asked[..n].starts_with(b"POST /REST/2.0/ticket ") {
                    // The whole request is through when RT begins to answer.
                    let _begun = server.read(&mut said).await?;
                    return Ok(());
                }
            }
            n = server.read(&mut said) => {
                let n = n?;
                if n == 0 {
                    return Ok(());
                }
                client.write_all(&said[..n]).await?;
            }
        }
    }
}
