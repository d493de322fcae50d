//! Setting and ending silences, against loopback servers that behave as a real Alertmanager was recorded to: the same id
//! for a later end, a new one for anything else, an ended one that stays listed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use pitlane::adapters::alertmanager::{Alertmanagers, AlertmanagersConfig, Login};
use pitlane::model::ids::CaseId;
use pitlane::model::seen::{Seen, Trouble};
use pitlane::model::silence::{Silence, SilenceMark, SilencesView};
use pitlane::model::time::{Time, after};
use pitlane::ports::{Alarms, EndSilence};
use reqwest::Url;
use serde_json::{Value, json};

use crate::served::Wall;

/// Longer than any answer here takes, also on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// What a member does beside its work.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    Works,
    /// Does what it is asked, and never says so.
    Swallows,
    /// Lists, and lets nobody change anything.
    Refuses(StatusCode),
    /// Does nothing at all but say this.
    Says(&'static str),
}

#[derive(Default)]
struct Book {
    silences: Vec<Value>,
    /// Changes that arrived: method and path.
    changes: Vec<String>,
}

#[derive(Clone)]
struct Member {
    url: Url,
    /// Shared by those who gossip.
    book: Arc<Mutex<Book>>,
    manner: Arc<Mutex<Manner>>,
}

impl Member {
    async fn start() -> Self {
        Self::with(Arc::default()).await
    }

    async fn with(book: Arc<Mutex<Book>>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/prefix", listener.local_addr().expect("bound")).parse().expect("a URL");
        let member = Self { url, book, manner: Arc::new(Mutex::new(Manner::Works)) };
        let app = Router::new().fallback(answer).with_state(member.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        member
    }

    /// Nobody listens there any more.
    async fn dead() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound")).parse().expect("a URL");
        Self { url, book: Arc::default(), manner: Arc::new(Mutex::new(Manner::Works)) }
    }

    fn turns(&self, manner: Manner) {
        *self.manner.lock().expect("whole") = manner;
    }

    fn silences(&self) -> Vec<Value> {
        self.book.lock().expect("whole").silences.clone()
    }

    fn active(&self) -> Vec<Value> {
        self.silences().into_iter().filter(|silence| silence["status"]["state"] == "active").collect()
    }

    fn changes(&self) -> Vec<String> {
        self.book.lock().expect("whole").changes.clone()
    }
}

async fn answer(State(member): State<Member>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a small body");
    let path = parts.uri.path().trim_start_matches("/prefix/api/v2/").to_owned();
    let manner = *member.manner.lock().expect("whole");
    if let Manner::Says(text) = manner {
        return text.into_response();
    }
    if parts.method == Method::GET && path == "silences" {
        return json_of(Value::Array(member.silences())).into_response();
    }
    if let Manner::Refuses(status) = manner {
        return (status, "\"no\"").into_response();
    }
    let done = change(&mut member.book.lock().expect("whole"), &parts.method, &path, &body);
    if manner == Manner::Swallows {
        return std::future::pending().await;
    }
    done
}

fn json_of(value: Value) -> Response {
    ([("content-type", "application/json")], value.to_string()).into_response()
}

fn change(book: &mut Book, method: &Method, path: &str, body: &[u8]) -> Response {
    let now = Time::now().to_string();
    book.changes.push(format!("{method} {path}"));
    if let (&Method::DELETE, Some(id)) = (method, path.strip_prefix("silence/")) {
        let Some(silence) = book.silences.iter_mut().find(|silence| silence["id"] == id) else {
            return (StatusCode::NOT_FOUND, "\"silence not found\"").into_response();
        };
        if silence["status"]["state"] == "expired" {
            return (StatusCode::INTERNAL_SERVER_ERROR, "\"already expired\"").into_response();
        }
        (silence["status"]["state"], silence["endsAt"], silence["updatedAt"]) =
            (json!("expired"), json!(now), json!(now));
        return StatusCode::OK.into_response();
    }
    let mut asked: Value = serde_json::from_slice(body).expect("JSON");
    assert!(
        asked["startsAt"].is_string() && asked["endsAt"].is_string() && asked["matchers"].is_array(),
        "{asked}"
    );
    if let Some(id) = asked["id"].as_str().map(str::to_owned) {
        let Some(known) = book.silences.iter_mut().find(|silence| silence["id"] == id.as_str()) else {
            return (StatusCode::NOT_FOUND, "\"silence not found\"").into_response();
        };
        if known["matchers"] == asked["matchers"] && known["status"]["state"] == "active" {
            (known["endsAt"], known["updatedAt"]) = (asked["endsAt"].clone(), json!(now));
            return json_of(json!({"silenceID": id}));
        }
        (known["status"]["state"], known["endsAt"], known["updatedAt"]) =
            (json!("expired"), json!(now), json!(now));
    }
    let id = format!("00000000-0000-0000-0000-{:012}", book.silences.len());
    (asked["id"], asked["updatedAt"], asked["status"]) = (json!(id), json!(now), json!({"state": "active"}));
    book.silences.push(asked);
    json_of(json!({"silenceID": id}))
}

fn adapter(members: &[&Member], limit: Duration) -> Alertmanagers {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = AlertmanagersConfig {
        urls: members.iter().map(|member| member.url.clone()).collect(),
        receiver: None,
        login: Login::None,
        ca_pem: None,
        wanted: Arc::new(|_| true),
    };
    Alertmanagers::new(config, Arc::new(Wall)).expect("a good configuration").with_limit(limit)
}

fn silence(case: u64, node: &str) -> Silence {
    let mark = SilenceMark { cluster: "lab".into(), case: CaseId(case), node: node.into() };
    Silence {
        mark,
        cluster_label: None,
        label: "node".into(),
        alertnames: vec!["NodeDown".into(), "CephOSDDown".into()],
    }
}

fn later(span: Duration) -> Time {
    after(Time::now(), span)
}

async fn known(adapter: &Alertmanagers) -> SilencesView {
    match adapter.silences().await {
        Seen::Known { value, .. } => value,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn set_twice_it_is_one_with_a_later_end() {
    let member = Member::start().await;
    let pitlane = adapter(&[&member], PATIENCE);
    let ours = silence(7, "pve2");
    pitlane.silence(&ours, later(HOUR)).await.expect("it is set");
    let first = known(&pitlane).await.silences;
    let end = later(2 * HOUR);
    pitlane.silence(&ours, end).await.expect("it is renewed");
    let [second] = &known(&pitlane).await.silences[..] else { panic!("{:?}", member.silences()) };
    assert_eq!((second.id.as_str(), second.ends_at), (first[0].id.as_str(), end));
    assert!(second.active && !second.edited && second.mark == ours.mark);
    let written = &member.silences()[0];
    assert_eq!(written["createdBy"], "pitlane");
    let value = |n: usize| written["matchers"][n]["value"].as_str().expect("a text");
    assert_eq!((value(0), value(1)), ("NodeDown|CephOSDDown", "pve2"));

    // Of another case, and of another node: beside it.
    pitlane.silence(&silence(8, "pve3"), end).await.expect("it is set");
    pitlane.end_silence(&EndSilence::Of(ours.mark.clone())).await.expect("it ends");
    pitlane.end_silence(&EndSilence::Of(ours.mark)).await.expect("ended twice is ended");
    let left: Vec<String> =
        known(&pitlane).await.active(&silence(8, "pve3").mark).map(|s| s.id.clone()).collect();
    assert_eq!((left.len(), member.active().len()), (1, 1));
    pitlane.end_silence(&EndSilence::Id(left[0].clone())).await.expect("it ends");
    assert_eq!(member.active().len(), 0);
}

#[tokio::test]
async fn an_answer_that_is_lost_sets_no_second_one() {
    let (member, other) = (Member::start().await, Member::start().await);
    member.turns(Manner::Swallows);
    let ours = silence(7, "pve2");
    let hasty = adapter(&[&member, &other], Duration::from_secs(5));
    match hasty.silence(&ours, later(HOUR)).await {
        Err(Trouble::TooSlow(_)) => {}
        said => panic!("{said:?}"),
    }
    assert_eq!(other.changes(), Vec::<String>::new(), "the first one may have done it");
    member.turns(Manner::Works);
    adapter(&[&other, &member], PATIENCE).silence(&ours, later(HOUR)).await.expect("it is found");
    assert_eq!((member.active().len(), other.changes().len()), (1, 0), "who does not know it is not asked");
}

#[tokio::test]
async fn one_of_a_pair_is_enough() {
    let book: Arc<Mutex<Book>> = Arc::default();
    let (dead, one, two) = (Member::dead().await, Member::with(book.clone()).await, Member::with(book).await);
    let pitlane = adapter(&[&dead, &one, &two], PATIENCE);
    let ours = silence(7, "pve2");
    pitlane.silence(&ours, later(HOUR)).await.expect("it is set");
    assert_eq!(one.active().len(), 1);
    let view = known(&pitlane).await;
    assert_eq!((view.silences.len(), view.silent.len()), (1, 1), "{view:?}");
    pitlane.end_silence(&EndSilence::Of(ours.mark)).await.expect("it ends");
    assert_eq!(one.changes().len(), 2, "each was asked of one of them alone");
}

#[tokio::test]
async fn of_two_versions_the_younger_counts() {
    let (one, two) = (Member::start().await, Member::start().await);
    let ours = silence(7, "pve2");
    adapter(&[&one], PATIENCE).silence(&ours, later(HOUR)).await.expect("it is set");
    // It was ended at the second one, and the first one has not heard of it.
    two.book.lock().expect("whole").silences = one.silences();
    adapter(&[&two], PATIENCE).end_silence(&EndSilence::Of(ours.mark.clone())).await.expect("it ends");
    for order in [[&one, &two], [&two, &one]] {
        let view = known(&adapter(&order, PATIENCE)).await;
        assert_eq!((view.silences.len(), view.active(&ours.mark).count()), (1, 0));
    }
}

#[tokio::test]
async fn what_is_not_ours_is_not_touched() {
    let member = Member::start().await;
    let ours = silence(7, "pve2");
    let pitlane = adapter(&[&member], PATIENCE);
    pitlane.silence(&ours, later(HOUR)).await.expect("it is set");
    let mut changed = member.silences()[0].clone();
    (changed["id"], changed["matchers"][0]["value"]) = (json!("changed"), json!(".+"));
    let mut foreign = member.silences()[0].clone();
    (foreign["id"], foreign["createdBy"]) = (json!("foreign"), json!("alice"));
    let strange = json!({"id": 7, "createdBy": "pitlane", "comment": "by hand", "status": "odd"});
    member.book.lock().expect("whole").silences = vec![changed, foreign, strange];

    let view = known(&pitlane).await;
    let [theirs] = &view.silences[..] else { panic!("{view:?}") };
    assert!(theirs.edited && theirs.id == "changed");
    for which in [
        EndSilence::Of(ours.mark.clone()),
        EndSilence::Id("changed".into()),
        EndSilence::Id("foreign".into()),
    ] {
        pitlane.end_silence(&which).await.expect("there is none of ours");
    }
    assert_eq!(member.changes(), ["POST silences"], "the first one alone");
    // Ours is set anew, and not made of theirs.
    pitlane.silence(&ours, later(HOUR)).await.expect("it is set");
    assert_eq!((member.silences().len(), known(&pitlane).await.active(&ours.mark).count()), (4, 1));
}

#[tokio::test]
async fn what_was_recorded_is_read_and_none_of_it_is_ours() {
    let recorded: Value =
        serde_json::from_str(include_str!("../data/alarms/silence-api.json")).expect("JSON");
    let timeline = recorded["timeline"].as_array().expect("a list");
    let listed = timeline.iter().find(|event| event["event"]["request"] == "GET /api/v2/silences");
    let member = Member::start().await;
    let list = listed.expect("it was recorded")["event"]["answer"].as_array().expect("a list").clone();
    assert_eq!(list.len(), 2);
    // The same with our mark: read as it was recorded.
    let ours = silence(7, "pve9");
    let mut marked = list.clone();
    marked.iter_mut().for_each(|silence| silence["comment"] = json!(ours.comment()));
    member.book.lock().expect("whole").silences = list;
    let pitlane = adapter(&[&member], PATIENCE);
    assert_eq!(known(&pitlane).await.silences, []);
    member.book.lock().expect("whole").silences = marked;
    let states: Vec<(bool, bool)> =
        known(&pitlane).await.silences.iter().map(|s| (s.active, s.edited)).collect();
    assert_eq!(states, [(true, true), (false, true)], "their matchers are not the ones of the comment");
}

#[tokio::test]
async fn where_nothing_can_be_known_nothing_is_done() {
    let ours = silence(7, "pve2");
    let dead = Member::dead().await;
    let pitlane = adapter(&[&dead], PATIENCE);
    assert!(matches!(pitlane.silences().await, Seen::Unknown { why: Trouble::Unreachable(_) }));
    assert!(matches!(pitlane.silence(&ours, later(HOUR)).await, Err(Trouble::Unreachable(_))));

    let broken = silence(7, "pve2").comment().replace('"', "");
    let half: &'static str =
        Box::leak(format!(r#"[{{"createdBy":"pitlane","comment":"{broken}"}}]"#).into_boxed_str());
    let member = Member::start().await;
    for says in ["{}", "[", half] {
        member.turns(Manner::Says(says));
        let pitlane = adapter(&[&member], PATIENCE);
        assert!(matches!(pitlane.silences().await, Seen::Unknown { why: Trouble::Nonsense(_) }), "{says}");
        assert!(matches!(pitlane.silence(&ours, later(HOUR)).await, Err(Trouble::Nonsense(_))), "{says}");
    }
    let pitlane = adapter(&[&member], PATIENCE);
    for (status, refused) in
        [(StatusCode::FORBIDDEN, true), (StatusCode::BAD_REQUEST, true), (StatusCode::BAD_GATEWAY, false)]
    {
        member.turns(Manner::Refuses(status));
        match pitlane.silence(&ours, later(HOUR)).await {
            Err(Trouble::Refused(_)) if refused => {}
            Err(Trouble::Unreachable(_)) if !refused => {}
            said => panic!("{status}: {said:?}"),
        }
    }
    assert_eq!(member.changes(), Vec::<String>::new());
}
