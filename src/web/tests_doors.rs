//! Every address against every role, and every request against every role: the whole table, by its own front door.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::json;
use tower::ServiceExt;

use super::doors::{DOORS, Door};
use super::tests::fakes::{Parts, parts};
use super::tests::{ask, send, text};
use crate::model::access::{KnownClient, Right, Role};
use crate::model::request::Ask;

/// How somebody comes.
#[derive(Clone, Copy, Debug)]
enum By {
    Nothing,
    Wrong,
    Token(Role),
    Certificate(Role),
}

fn request(method: &str, template: &str, door: Door, by: By) -> Request<Body> {
    let path = template
        .replace("{node}", "pve1")
        .replace("{case}", "7")
        .replace("{request}", "x")
        .replace("{ask}", "note")
        .replace("{secret}", "x");
    let mut request = Request::builder().method(method).uri(path).header("sec-fetch-site", "same-origin");
    let token = match by {
        By::Wrong => Some("wrong"),
        By::Token(role) => Some(role.name()),
        By::Nothing | By::Certificate(_) => None,
    };
    if let Some(token) = token {
        request = match door {
            Door::Page(_) => request.header(header::COOKIE, format!("pitlane={token}")),
            _ => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
        };
    }
    let form = "application/x-www-form-urlencoded";
    let request = request.header(header::CONTENT_TYPE, form).body(Body::from("text=a&node=pve1&token=x"));
    let mut request = request.expect("a valid request");
    if let By::Certificate(role) = by {
        request.extensions_mut().insert(KnownClient { name: role.name().to_owned(), role });
    }
    request
}

/// Was the visitor turned away, and how?
async fn turned_away(parts: &Parts, method: &str, path: &str, door: Door, by: By) -> Option<StatusCode> {
    let response = send(parts, request(method, path, door, by)).await;
    let to_login = response.headers().get(header::LOCATION).is_some_and(|to| to == "/login");
    match response.status() {
        StatusCode::SEE_OTHER if to_login && path != "/logout" => Some(StatusCode::SEE_OTHER),
        StatusCode::UNAUTHORIZED if path == "/login" => None,
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Some(status),
        _ => None,
    }
}

#[tokio::test]
async fn each_address_takes_those_whom_its_door_names_and_nobody_else() {
    let mut asked = 0;
    for (method, path, door) in DOORS {
        // Measured by person and by address: each address afresh.
        let parts = parts();
        let all = [By::Nothing, By::Wrong].into_iter();
        let all = all.chain(Role::ALL.map(By::Token)).chain(Role::ALL.map(By::Certificate));
        for by in all {
            let expected = match (door, by) {
                (Door::Open, _) => None,
                (Door::Api(_), By::Nothing | By::Wrong) => Some(StatusCode::UNAUTHORIZED),
                (Door::Page(_), By::Nothing | By::Wrong) => Some(StatusCode::SEE_OTHER),
                (Door::Api(right) | Door::Page(right), By::Token(role) | By::Certificate(role)) => {
                    (!role.may(right)).then_some(StatusCode::FORBIDDEN)
                }
            };
            // Whoever may see gets as far as the form; what the form asks for is theirs to ask or not.
            let expected = match by {
                By::Token(role) | By::Certificate(role) if path == "/cases/{case}/{ask}" => {
                    (!role.may(Right::Report)).then_some(StatusCode::FORBIDDEN)
                }
                _ => expected,
            };
            let found = turned_away(&parts, method, path, door, by).await;
            assert_eq!(found, expected, "{method} {path} by {by:?}");
            asked += 1;
        }
    }
    assert_eq!(asked, DOORS.len() * 12);
}

/// An address that the router knows and the table does not would be closed; this finds it before somebody misses it.
#[test]
fn every_address_of_the_router_stands_in_the_table() {
    let sources = [
        include_str!("mod.rs"),
        include_str!("console/mod.rs"),
        include_str!("../adapters/alertmanager/route.rs"),
        include_str!("../adapters/tickets/hook.rs"),
    ];
    let routed = sources.iter().flat_map(|text| text.split(".route(\"").skip(1));
    let routed: Vec<&str> = routed.filter_map(|rest| rest.split('"').next()).collect();
    assert!(routed.len() > 20, "{routed:?}");
    for path in &routed {
        assert!(DOORS.iter().any(|(_, at, _)| at == path), "{path} has no door");
    }
    for (_, path, _) in DOORS {
        assert!(routed.contains(&path), "{path} leads nowhere");
    }
}

#[tokio::test]
async fn an_address_without_a_door_is_closed_to_everybody() {
    use axum::routing::post;
    use tower::ServiceExt;
    let parts = parts();
    let strange = axum::Router::new().route("/debug/everything", post(|| async { "all of it" }));
    for by in Role::ALL.map(By::Token) {
        let router = super::router(parts.app.clone(), strange.clone());
        let request = request("POST", "/debug/everything", Door::Open, by);
        let response = router.oneshot(request).await.expect("a router always answers");
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{by:?}");
    }
}

#[tokio::test]
async fn each_request_takes_its_right() {
    let bodies = [
        json!({"ask": "drain", "node": "pve2", "reason": "fan", "yes": false}),
        json!({"ask": "approve", "case": 7, "hash": "0123456789abcdef"}),
        json!({"ask": "abort", "case": 7, "reason": "no"}),
        json!({"ask": "done", "case": 7, "note": "new fan", "hands_off": false}),
        json!({"ask": "note", "case": 7, "text": "seen"}),
        json!({"ask": "retire", "case": 7, "reason": "scrapped"}),
        json!({"ask": "accept", "case": 7, "part": "PS2", "reason": "bought"}),
        json!({"ask": "heal", "case": 7}),
        json!({"ask": "pause", "reason": "storm"}),
        json!({"ask": "resume"}),
    ];
    let allowed = |role: Role, ask: &str| match role {
        Role::Alerts | Role::Read => false,
        Role::Technician => matches!(ask, "done" | "note"),
        Role::Approve => ask == "approve",
        Role::Operate => true,
    };
    for body in &bodies {
        let what: Ask = serde_json::from_value(body.clone()).expect("a request");
        for role in Role::ALL {
            let parts = parts();
            let word = body["ask"].as_str().expect("a word");
            let expected = if allowed(role, word) { StatusCode::ACCEPTED } else { StatusCode::FORBIDDEN };
            assert_eq!(send(&parts, ask(role.name(), body)).await.status(), expected, "{role:?} {word}");
            assert_eq!(role.may(Right::for_asking(&what)), allowed(role, word), "{role:?} {word}");
            assert_eq!(parts.world.requests().len(), usize::from(allowed(role, word)));
        }
    }
}

/// A browser shows its certificate whoever wrote the page that sends the form.
#[tokio::test]
async fn a_page_from_elsewhere_cannot_use_somebodys_certificate() {
    let parts = parts();
    let body = json!({"ask": "pause", "reason": "evil"}).to_string();
    for (name, value, expected) in [
        ("sec-fetch-site", "cross-site", StatusCode::FORBIDDEN),
        ("origin", "https://evil.example", StatusCode::FORBIDDEN),
        ("origin", "null", StatusCode::FORBIDDEN),
        ("sec-fetch-site", "same-origin", StatusCode::ACCEPTED),
        // A program says neither.
        ("accept", "*/*", StatusCode::ACCEPTED),
    ] {
        let request = Request::post("/api/v1/requests").header(name, value).header("host", "pitlane.example");
        let mut request = request.body(Body::from(body.clone())).expect("a valid request");
        request.extensions_mut().insert(KnownClient { name: "alice".to_owned(), role: Role::Operate });
        assert_eq!(send(&parts, request).await.status(), expected, "{name}: {value}");
    }
    assert!(parts.world.requests().iter().all(|request| request.by.as_str() == "alice"));
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let parts = parts();
    let mut last = None;
    for _ in 0..30 {
        use tower::ServiceExt;
        // A router of its own each time, as after a reload: it forgives nobody.
        let router = super::router(parts.app.clone(), axum::Router::new());
        let guess = Request::get("/api/v1/status").header(header::AUTHORIZATION, "Bearer guess");
        let guess = guess.body(Body::empty()).expect("a valid request");
        last = Some(router.oneshot(guess).await.expect("a router always answers"));
    }
    let last = last.expect("asked");
    assert_eq!(last.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(last.headers()[header::RETRY_AFTER], "6");
    assert!(last.headers().contains_key("content-security-policy"), "hardened as every answer");
}

/// What alerts, guests and people call things stands on pages as text, and nothing of it is markup.
#[tokio::test]
async fn names_are_text_on_every_page() {
    for evil in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'; </td></table><form action=//evil.example>",
        "&lt;b&gt;<!-- ",
        "\r\n\r\n<svg/onload=alert(1)>",
    ] {
        let mut parts = parts();
        parts.wait_with_a_guest_called(evil);
        let request = request("GET", "/cases/{case}", Door::Page(Right::See), By::Token(Role::Operate));
        let page = super::tests::text(send(&parts, request).await).await;
        assert!(page.contains("Approve plan"), "{page}");
        for markup in ["<script", "<img", "<svg", "<!--", "evil.example>", "onerror=alert(1)>"] {
            assert!(!page.contains(markup), "{markup} of {evil:?} stands in\n{page}");
        }
    }
}

/// The escaping is the template's; whoever goes around it says so here.
#[test]
fn no_page_goes_around_the_escaping() {
    for (file, text) in [
        ("pages", include_str!("console/pages.rs")),
        ("login", include_str!("console/login.rs")),
        ("forms", include_str!("console/forms.rs")),
    ] {
        assert!(!text.contains("PreEscaped"), "{file}");
    }
}

/// A reload makes the surface anew and asks nobody to end what they do: the looks that go on still count.
#[tokio::test]
async fn a_reload_lets_nobody_look_more_often() {
    let parts = parts();
    let pace = parts.app.pace.clone();
    let verdict = || {
        let reloaded = crate::web::router(parts.app.clone(), axum::Router::new());
        let request = Request::get("/api/v1/nodes/pve1/verdict").header(header::AUTHORIZATION, "Bearer read");
        reloaded.oneshot(request.body(Body::empty()).expect("a valid request"))
    };
    let (first, second) = (pace.look().expect("one"), pace.look().expect("two"));
    let refused = verdict().await.expect("answers");
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(text(refused).await.contains("too many fresh looks"));
    drop((first, second));
    assert_eq!(verdict().await.expect("answers").status(), StatusCode::OK);
}

#[tokio::test]
async fn the_reports_of_a_span_are_read_and_a_wrong_span_is_told() {
    let parts = parts();
    let ask = |path: &str| {
        let request = Request::get(path).header(header::AUTHORIZATION, "Bearer read");
        send(&parts, request.body(Body::empty()).expect("a valid request"))
    };
    let told = text(ask("/api/v1/reports?since=30d").await).await;
    assert!(told.contains("\"case\":7") && told.contains("\"kept\":0"), "{told}");
    let wrong = ask("/api/v1/reports?since=soon").await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    assert!(text(wrong).await.contains("such as 30d"));
}
