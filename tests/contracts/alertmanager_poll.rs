//! Asking Alertmanagers what fires, against loopback servers that answer as a real one was recorded to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use pitlane::adapters::alertmanager::{Alertmanagers, AlertmanagersConfig, Login, parse};
use pitlane::model::observed::AlarmsView;
use pitlane::model::seen::{Seen, Trouble};
use pitlane::ports::Alarms;
use reqwest::Url;
use serde_json::Value;

use crate::served::Wall;

/// Longer than any answer here takes, also on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a member does when it is asked.
#[derive(Clone)]
enum Manner {
    Says(String),
    Refuses(StatusCode),
    /// Says this much, and then nothing more.
    Hangs(String),
    /// Promises more than it says.
    BreaksOff(String),
    /// So many alerts, one chunk each.
    Many(usize),
}

struct Member {
    url: Url,
    /// Each request: path with query, and its Authorization.
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

async fn member(manner: Manner) -> Member {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let app = Router::new().fallback(answer).with_state((manner, asked.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/prefix", listener.local_addr().expect("bound")).parse().expect("a URL");
    tokio::spawn(async move { axum::serve(listener, app).await });
    Member { url, asked }
}

type Asked = Arc<Mutex<Vec<(String, String)>>>;

async fn answer(State((manner, asked)): State<(Manner, Asked)>, request: Request) -> Response {
    let login = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or("none");
    asked.lock().expect("whole").push((request.uri().to_string(), login.to_owned()));
    let json = [(header::CONTENT_TYPE, "application/json")];
    match manner {
        Manner::Says(body) => (json, body).into_response(),
        Manner::Refuses(status) => (status, "\"no\"").into_response(),
        Manner::Hangs(body) => {
            let begun = stream::iter([Ok::<_, std::io::Error>(body)]);
            let never = stream::once(std::future::pending());
            Body::from_stream(futures::StreamExt::chain(begun, never)).into_response()
        }
        Manner::BreaksOff(body) => {
            let cut = stream::iter([Ok(body), Err(std::io::Error::other("gone"))]);
            Body::from_stream(cut).into_response()
        }
        Manner::Many(count) => {
            let alerts = (0..count).map(move |n| {
                let before = if n == 0 { "[" } else { "," };
                let after = if n + 1 == count { "]" } else { "" };
                Ok::<_, std::io::Error>(format!("{before}{}{after}", alert(n)))
            });
            Body::from_stream(stream::iter(alerts)).into_response()
        }
    }
}

/// As large as a real one.
fn alert(n: usize) -> String {
    format!(
        r#"{{"annotations":{{"summary":"{}"}},"endsAt":"2026-03-01T10:05:00.000Z","fingerprint":"{n:016x}","receivers":[{{"name":"pitlane"}}],"startsAt":"2026-03-01T10:00:00.123Z","status":{{"inhibitedBy":[],"silencedBy":[],"state":"active"}},"updatedAt":"2026-03-01T10:01:00.000Z","generatorURL":"http://127.0.0.1:9090/graph","labels":{{"alertname":"FanBad","alarm_class":"{}","node":"pve{n}"}}}}"#,
        "x".repeat(250),
        if n.is_multiple_of(100) { "fan" } else { "other" }
    )
}

fn says(alerts: &[usize]) -> Manner {
    let alerts: Vec<String> = alerts.iter().map(|n| alert(*n)).collect();
    Manner::Says(format!("[{}]", alerts.join(",")))
}

fn config(members: &[&Member]) -> AlertmanagersConfig {
    AlertmanagersConfig {
        urls: members.iter().map(|member| member.url.clone()).collect(),
        receiver: None,
        login: Login::None,
        ca_pem: None,
        wanted: Arc::new(|_| true),
    }
}

async fn poll(config: AlertmanagersConfig, limit: Duration) -> Seen<AlarmsView> {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Alertmanagers::new(config, Arc::new(Wall)).expect("a good configuration").with_limit(limit).poll().await
}

async fn known(members: &[&Member]) -> AlarmsView {
    match poll(config(members), PATIENCE).await {
        Seen::Known { value, .. } => value,
        other => panic!("{other:?}"),
    }
}

/// Nobody listens there any more.
async fn dead() -> Member {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound")).parse().expect("a URL");
    Member { url, asked: Asked::default() }
}

#[tokio::test]
async fn what_was_recorded_is_listed_under_the_key_of_its_delivery() {
    let text = include_str!("../data/alarms/silence-api.json");
    let recorded: Value = serde_json::from_str(text).expect("JSON");
    let answer = recorded["timeline"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|event| {
            event["event"]["request"].as_str().is_some_and(|r| r.starts_with("GET /api/v2/alerts?"))
        })
        .expect("it was recorded");
    let member = member(Manner::Says(answer["event"]["answer"].to_string())).await;
    let view = known(&[&member]).await;
    assert!(view.whole && view.silent.is_empty());
    let [listed] = &view.listed[..] else { panic!("{view:?}") };
    assert!(listed.suppressed && listed.episode.fires());
    let delivery = recorded["deliveries"][0]["body"].to_string();
    let at = "2026-11-21T22:40:00Z".parse().expect("a time");
    let delivered = parse(delivery.as_bytes(), at).expect("a delivery");
    assert_eq!(delivered.episodes[0].key(), listed.episode.key(), "finer in the webhook than in the API");
}

#[tokio::test]
async fn every_member_is_asked_and_the_union_counts() {
    let (one, two) = (member(says(&[1, 2])).await, member(says(&[2, 3])).await);
    let view = known(&[&one, &two]).await;
    assert!(view.whole);
    let mut listed: Vec<&str> = view.listed.iter().map(|l| &l.episode.labels["node"]).collect();
    listed.sort_unstable();
    assert_eq!(listed, ["pve1", "pve2", "pve3"]);
}

#[tokio::test]
async fn a_member_that_cannot_be_heard_leaves_the_view_with_a_hole() {
    let hole = alert(3).replace("\"active\"", "\"odd\"");
    for (manner, limit) in [
        (Manner::Refuses(StatusCode::UNAUTHORIZED), PATIENCE),
        (Manner::Refuses(StatusCode::BAD_REQUEST), PATIENCE),
        (Manner::Refuses(StatusCode::BAD_GATEWAY), PATIENCE),
        (Manner::Says("{\"status\":\"success\"}".into()), PATIENCE),
        (Manner::Says(format!("[{hole}]")), PATIENCE),
        (Manner::BreaksOff(format!("[{},", alert(3))), PATIENCE),
        (Manner::Hangs(format!("[{},", alert(3))), Duration::from_secs(1)),
    ] {
        let (good, bad) = (member(says(&[1])).await, member(manner).await);
        let Seen::Known { value: view, .. } = poll(config(&[&good, &bad]), limit).await else {
            panic!("one of two answers")
        };
        assert!(!view.whole, "{view:?}");
        assert_eq!((view.silent.len(), view.listed.len()), (1, 1), "{view:?}");
        let port = bad.url.port().expect("a port").to_string();
        assert!(view.silent[0].contains(&port), "who is it? {}", view.silent[0]);
    }
}

#[tokio::test]
async fn where_nobody_answers_it_is_unknown_and_never_empty() {
    let (one, two) = (dead().await, dead().await);
    match poll(config(&[&one, &two]), PATIENCE).await {
        Seen::Unknown { why: Trouble::Unreachable(text) } => {
            assert_eq!(text.matches(';').count(), 1, "{text}")
        }
        other => panic!("{other:?}"),
    }
    let refusing = member(Manner::Refuses(StatusCode::FORBIDDEN)).await;
    match poll(config(&[&refusing]), PATIENCE).await {
        Seen::Unknown { why: Trouble::Refused(_) } => {}
        other => panic!("{other:?}"),
    }
    let slow = member(Manner::Hangs("[".into())).await;
    match poll(config(&[&slow]), Duration::from_millis(200)).await {
        Seen::Unknown { why: Trouble::TooSlow(_) } => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn it_asks_for_everything_that_is_routed_to_us() {
    let member = member(says(&[])).await;
    let basic = Login::Basic { user: "pitlane".into(), password: "p:w".into() };
    for (login, expected) in [
        (Login::None, "none"),
        (Login::Bearer("s3cret".into()), "Bearer s3cret"),
        (basic, "Basic cGl0bGFuZTpwOnc="),
    ] {
        let receiver = Some("team.pitlane".to_owned());
        let seen = poll(AlertmanagersConfig { login, receiver, ..config(&[&member]) }, PATIENCE).await;
        assert!(matches!(seen, Seen::Known { .. }), "{seen:?}");
        let (path, authorization) = member.asked.lock().expect("whole").pop().expect("asked");
        assert_eq!(authorization, expected);
        assert_eq!(
            path,
            "/prefix/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true&receiver=team%5C.pitlane"
        );
    }
}

#[tokio::test]
async fn of_very_many_alerts_only_the_wanted_ones_are_kept() {
    let member = member(Manner::Many(20_000)).await;
    let mut config = config(&[&member]);
    config.wanted = Arc::new(|labels| labels.get("alarm_class").is_some_and(|class| class == "fan"));
    let Seen::Known { value: view, .. } = poll(config, PATIENCE).await else { panic!("an answer") };
    assert!(view.whole);
    assert_eq!(view.listed.len(), 200);
}
