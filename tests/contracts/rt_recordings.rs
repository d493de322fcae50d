//! Every recording of a real Request Tracker goes through the client, and a reviewed table says what must come out.
//!
//! `rt_recordings.expected` has one line for each exchange, `FILE | WHAT`. A file without a line fails, a line without a file fails,
//! and so does any difference.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use axum::body::Body;
use axum::http::Request;
use pitlane::adapters::tickets::hook::{self, Hook};
use pitlane::adapters::tickets::{Become, Carries, Depth, Desk, Paper, RequestTracker, RtConfig, Ticket};
use pitlane::model::seen::Trouble;
use pitlane::model::tickets::StatusWords;
use reqwest::Url;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::tickets_server::{CASE, Heard, order, serve};

const ID: &str = "pitlane:lab:1795301125";

fn tests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn desk(url: Url) -> RequestTracker {
    let config = RtConfig {
        url,
        token: "1-2-3".into(),
        ca_pem: None,
        queue: "Hardware".into(),
        field: "CorrelationId".into(),
        requestor: Some("pitlane@lab.example".into()),
        statuses: StatusWords::request_tracker(),
    };
    RequestTracker::new(config).expect("a good configuration")
}

#[tokio::test]
async fn every_recording_gives_what_the_table_expects() {
    let expected = table();
    let mut told = BTreeMap::new();
    for (file, recording) in recordings() {
        match file.as_str() {
            "race.json" => {
                for (i, answer) in recording["responses"].as_array().expect("a list").iter().enumerate() {
                    let what =
                        replay(&file, "POST", "/REST/2.0/ticket", answer[0].clone(), answer[1].clone()).await;
                    told.insert(format!("{file}/{i}"), what);
                }
            }
            "webhooks.json" => {
                for (i, posted) in recording["received"].as_array().expect("a list").iter().enumerate() {
                    told.insert(format!("{file}/{i}"), ring(&posted["body"]).await);
                }
            }
            _ => {
                let (asked, said) = (&recording["request"], &recording["response"]);
                let text = |value: &Value| value.as_str().expect("a text").to_owned();
                let (method, path) = (text(&asked["method"]), text(&asked["path"]));
                let what = replay(&file, &method, &path, said["status"].clone(), said["body"].clone()).await;
                told.insert(file, what);
            }
        }
    }
    let mut wrong = String::new();
    for (file, told) in &told {
        if expected.get(file) != Some(told) {
            wrong += &format!("{file} | {told}\n");
        }
    }
    for file in expected.keys().filter(|file| !told.contains_key(*file)) {
        wrong += &format!("{file} is in the table, but there is no such recording\n");
    }
    assert!(wrong.is_empty(), "the table does not agree with what the client made of these:\n{wrong}");
}

/// The recorded answer to the call that makes such a request; everything else that the client asks on the way is answered well.
async fn replay(file: &str, method: &str, path: &str, status: Value, body: Value) -> String {
    let path = path.split('?').next().unwrap_or_default().to_owned();
    let kind =
        format!("{method} {}", path.trim_start_matches("/REST/2.0/").trim_end_matches(char::is_numeric));
    let status = u16::try_from(status.as_u64().expect("a status")).expect("a status");
    let recorded = (status, body);
    // Two of them the client never sends in that way; the answer is fed to what comes closest.
    let wanted = match kind.as_str() {
        "POST tickets" => "GET /REST/2.0/tickets".to_owned(),
        "POST ticket/1/correspond" => "POST /REST/2.0/ticket/1/comment".to_owned(),
        "GET ticket/1/history" => "GET /REST/2.0/ticket/1/attachments".to_owned(),
        "PUT ticket/2/merge" => "PUT /REST/2.0/ticket/1".to_owned(),
        _ => format!("{method} {path}"),
    };
    let server =
        serve(move |heard: &Heard| Some(if heard.line() == wanted { recorded.clone() } else { well(heard) }))
            .await;
    let desk = desk(server.url.clone());
    let number = path.rsplit('/').find(|part| part.parse::<u64>().is_ok()).unwrap_or("1").to_owned();
    let id = match file {
        "32-find-quote.json" => format!("{ID}:it's"),
        "33-race-find.json" => format!("{ID}:race"),
        _ => ID.to_owned(),
    };
    let paper = order();
    let said = match kind.as_str() {
        "GET rt" => desk.preflight().await.join("; "),
        "GET tickets" | "POST tickets" => {
            show(desk.find(&id, Depth::Titles).await.map(|all| all.iter().map(ticket).collect()))
        }
        "POST ticket" => {
            let title = format!("{} [{id}]", paper.title);
            let paper = Paper { id: &id, case: CASE, title, body: id.clone(), order: &paper };
            show(desk.create(&paper).await.map(|number| vec![format!("created {number}")]))
        }
        "GET ticket/" => show(desk.read(&number, &id).await.map(|one| vec![ticket(&one)])),
        "GET ticket/1/history" => {
            show(desk.said("1", "pitlane x").await.map(|said| vec![format!("said: {said}")]))
        }
        _ if method == "PUT" => {
            show(desk.become_("1", Become::Closed, "").await.map(|()| vec!["accepted".to_owned()]))
        }
        _ => show(desk.comment("1", "pitlane x", "a word").await.map(|()| vec!["accepted".to_owned()])),
    };
    if said.is_empty() { "well".to_owned() } else { said }
}

/// What a healthy Request Tracker says.
fn well(heard: &Heard) -> (u16, Value) {
    match heard.line().as_str() {
        "GET /REST/2.0/rt" => (200, json!({"Version": "5.0.3"})),
        "GET /REST/2.0/queue/Hardware" => (200, json!({"TicketCustomFields": [{"name": "CorrelationId"}]})),
        _ => (
            200,
            json!({"id": 1, "Subject": "s", "Status": "open", "Owner": {"id": "Nobody"}, "CustomFields": []}),
        ),
    }
}

fn ticket(ticket: &Ticket) -> String {
    let id = if ticket.carries == Carries::Id { "carries the id" } else { "without the id" };
    let owner = ticket.owner.as_deref().unwrap_or("nobody");
    format!("{} {:?} {id}, {owner}", ticket.name, ticket.status)
}

fn show(said: Result<Vec<String>, pitlane::adapters::tickets::TicketError>) -> String {
    match said {
        Ok(all) if all.is_empty() => "none".to_owned(),
        Ok(all) => all.join("; "),
        Err(error) => Trouble::from(error).to_string(),
    }
}

/// A callback is a bell: whatever it says.
async fn ring(body: &Value) -> String {
    let rung = Arc::new(AtomicUsize::new(0));
    let counter = rung.clone();
    let secret = "0123456789abcdef";
    let router = hook::router(Hook::new(
        secret,
        Arc::new(move || {
            counter.fetch_add(1, SeqCst);
        }),
    ));
    let post = async |path: &str, bearer: &str| {
        let request = Request::post(path).header("authorization", bearer).body(Body::from(body.to_string()));
        let answer = router.clone().oneshot(request.expect("a request")).await.expect("an answer");
        answer.status().as_u16()
    };
    let with = post(&format!("/tickets/hook/{secret}"), "").await;
    let bearer = post("/tickets/hook", &format!("Bearer {secret}")).await;
    let strange = post("/tickets/hook/0123456789abcdeF", "").await;
    let without = post("/tickets/hook", "").await;
    let rang = rung.load(SeqCst);
    format!("path {with}, bearer {bearer}, strange {strange}, without {without}; rang {rang} times")
}

fn table() -> BTreeMap<String, String> {
    let text = fs::read_to_string(tests().join("contracts/rt_recordings.expected")).expect("the table");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs = lines.map(|line| line.split_once(" | ").unwrap_or_else(|| panic!("no ' | ' in {line:?}")));
    pairs.map(|(file, what)| (file.to_owned(), what.to_owned())).collect()
}

fn recordings() -> BTreeMap<String, Value> {
    let folder = fs::read_dir(tests().join("data/rt")).expect("the recordings");
    let files = folder.map(|entry| entry.expect("an entry").path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    files
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let recording = serde_json::from_slice(&fs::read(&path).expect("readable"));
            (name, recording.expect("recordings are JSON"))
        })
        .collect()
}
