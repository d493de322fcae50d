//! A look around in a ticket system, for a person who tests: what is told, and that nothing is written.

use pitlane::adapters::tickets::{RequestTracker, RtConfig, Survey};
use pitlane::model::tickets::StatusWords;
use serde_json::{Value, json};

use crate::tickets_server::{Heard, held, serve};

/// A queue with this lifecycle and one ticket, shaped as Request Tracker 5.0.3 answered.
fn rt(
    lifecycle: &'static str,
    status: &'static str,
    ways: &'static [&'static str],
) -> impl Fn(&Heard) -> Option<(u16, Value)> {
    move |heard| {
        let ours = heard.asked("query").starts_with("CF.");
        Some(match heard.line().as_str() {
            "GET /REST/2.0/rt" => (200, json!({"Version": "5.0.3"})),
            "GET /REST/2.0/queue/Hardware" => (
                200,
                json!({"Name": "Hardware", "Lifecycle": lifecycle, "TicketCustomFields": [{"name": "CorrelationId"}]}),
            ),
            "GET /REST/2.0/tickets" if ours => (200, json!({"items": [], "total": 0})),
            "GET /REST/2.0/tickets" => {
                assert_eq!(heard.asked("query"), "Queue = 'Hardware'");
                (200, json!({"items": [{"id": "7", "Status": status, "type": "ticket"}], "total": 1}))
            }
            "GET /REST/2.0/ticket/7" => {
                let ways = ways.iter().map(|to| json!({"ref": "lifecycle", "from": status, "to": to}));
                let links: Vec<Value> = std::iter::once(json!({"ref": "self"})).chain(ways).collect();
                (200, json!({"id": 7, "Status": status, "_hyperlinks": links}))
            }
            other => panic!("nothing but reading is expected: {other}"),
        })
    }
}

async fn survey(
    statuses: StatusWords,
    answer: impl Fn(&Heard) -> Option<(u16, Value)> + Send + Sync + 'static,
) -> Survey {
    let server = serve(answer).await;
    let config = RtConfig {
        url: server.url.clone(),
        token: "1-2-3".into(),
        ca_pem: None,
        queue: "Hardware".into(),
        field: "CorrelationId".into(),
        requestor: None,
        statuses,
    };
    let told = held(RequestTracker::new(config).expect("a good configuration")).survey().await;
    let heard = server.heard.lock().expect("unhurt");
    assert!(heard.iter().all(|one| one.method == "GET"), "it reads, and no more: {heard:?}");
    told
}

#[tokio::test]
async fn the_words_of_the_default_lifecycle_are_good() {
    let told =
        survey(StatusWords::request_tracker(), rt("default", "new", &["open", "resolved", "rejected"])).await;
    assert_eq!(told.lacks, Vec::<String>::new());
    let saw = told.saw.join("\n");
    for words in [
        "answers",
        "finds nothing of a case that never was",
        "lifecycle default",
        "new, open, rejected, resolved",
    ] {
        assert!(saw.contains(words), "{words} is not in\n{saw}");
    }
}

#[tokio::test]
async fn a_word_that_the_lifecycle_does_not_have_is_told_with_those_that_it_has() {
    let words = StatusWords { done: vec!["done".into()], ..StatusWords::request_tracker() };
    let told = survey(words, rt("default", "new", &["open"])).await;
    let [first, second] = told.lacks.as_slice() else { panic!("{told:?}") };
    assert!(
        first.contains("tickets.statuses.done names \"done\", which the lifecycle default does not have"),
        "{first}"
    );
    // And what a technician can choose there would not be understood.
    assert!(second.contains("can be \"resolved\", which tickets.statuses does not know"), "{second}");
}

#[tokio::test]
async fn of_a_lifecycle_of_the_house_only_what_is_in_use_is_known() {
    let told = survey(StatusWords::request_tracker(), rt("hardware", "waiting", &["open", "resolved"])).await;
    let [lack] = told.lacks.as_slice() else { panic!("{told:?}") };
    assert!(lack.contains("\"waiting\", which tickets.statuses does not know; add the word"), "{lack}");
    assert!(
        told.saw.iter().any(|line| line.contains("no ticket is \"stalled\" (tickets.statuses.open)")),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_search_that_does_not_search_is_told() {
    let told = survey(StatusWords::request_tracker(), |heard| {
        let every = json!({"items": [{"id": "7", "Subject": "[pitlane:lab:case-0]", "Status": "new", "Owner": {"id": "Nobody"}, "CustomFields": []}]});
        match heard.line().as_str() {
            "GET /REST/2.0/tickets" => Some((200, every)),
            _ => rt("default", "new", &[])(heard),
        }
    })
    .await;
    assert!(
        told.lacks.iter().any(|line| line.contains("finds 1 tickets of a case that never was")),
        "{told:?}"
    );
}
