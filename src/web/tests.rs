//! The surface through its one front door: requests in, answers out, nothing of the insides.

pub(super) mod fakes;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use axum::routing::post;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use fakes::{NOON, Parts, at, parts};

pub(super) async fn send(parts: &Parts, request: Request<Body>) -> Response<Body> {
    let alerts = Router::new().route("/alerts/alertmanager", post(|| async { "stored" }));
    // Each for itself: many wrong tokens in one test are many strangers.
    let app = super::App { pace: Default::default(), ..parts.app.clone() };
    super::router(app, alerts).oneshot(request).await.expect("a router always answers")
}

fn get(path: &str, token: &str) -> Request<Body> {
    let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {token}"));
    request.body(Body::empty()).expect("a valid request")
}

pub(super) fn ask(token: &str, body: &Value) -> Request<Body> {
    let request = Request::post("/api/v1/requests").header(header::AUTHORIZATION, format!("Bearer {token}"));
    request.body(Body::from(body.to_string())).expect("a valid request")
}

pub(super) async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.expect("a whole body").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

async fn json(response: Response<Body>) -> Value {
    serde_json::from_str(&text(response).await).expect("JSON")
}

#[tokio::test]
async fn nobody_unknown_sees_anything() {
    let parts = parts();
    for path in [
        "/api/v1/status",
        "/api/v1/cases",
        "/api/v1/cases/7",
        "/api/v1/owed",
        "/api/v1/observed",
        "/api/v1/journal",
        "/api/v1/nodes/pve1/verdict",
        "/api/v1/requests/x",
        "/metrics",
    ] {
        let none = Request::get(path).body(Body::empty()).expect("a valid request");
        let response = send(&parts, none).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
        assert!(json(response).await["error"].as_str().is_some_and(|e| e.contains("Bearer")), "{path}");
        assert_eq!(send(&parts, get(path, "wrong")).await.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(send(&parts, get(path, "alerts")).await.status(), StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn roles_may_do_what_they_are_for() {
    let parts = parts();
    let drain = json!({"ask": "drain", "node": "pve2", "reason": "fan", "yes": false});
    let done = json!({"ask": "done", "case": 7, "note": "new fan", "hands_off": true});
    for (token, body, expected) in [
        ("read", &drain, StatusCode::FORBIDDEN),
        ("read", &done, StatusCode::FORBIDDEN),
        ("technician", &drain, StatusCode::FORBIDDEN),
        ("technician", &done, StatusCode::ACCEPTED),
        ("operate", &drain, StatusCode::ACCEPTED),
        ("operate", &done, StatusCode::ACCEPTED),
    ] {
        assert_eq!(send(&parts, ask(token, body)).await.status(), expected, "{token} {body}");
    }
    assert_eq!(parts.world.requests().len(), 3, "what was refused is not stored");
    for (token, expected) in
        [("alerts", StatusCode::OK), ("operate", StatusCode::FORBIDDEN), ("wrong", StatusCode::UNAUTHORIZED)]
    {
        let request = Request::post("/alerts/alertmanager")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::empty())
            .expect("a valid request");
        assert_eq!(send(&parts, request).await.status(), expected, "{token}");
    }
}

#[tokio::test]
async fn a_request_is_stored_and_the_bell_rings_once_per_key() {
    let parts = parts();
    let drain = json!({"ask": "drain", "node": "pve2", "reason": "fan", "yes": false});
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut request = ask("operate", &drain);
        request.headers_mut().insert("idempotency-key", "k1".parse().expect("plain"));
        let response = send(&parts, request).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        ids.push(json(response).await["request"].as_str().expect("an id").to_owned());
    }
    assert_eq!(ids[0], ids[1]);
    assert_eq!(parts.world.requests().len(), 1);
    assert_eq!(parts.world.requests()[0].by.as_str(), "operate");
    let rung = tokio::time::timeout(std::time::Duration::from_secs(5), parts.app.bell.notified()).await;
    assert!(rung.is_ok(), "the bell did not ring");

    let answered = json(send(&parts, get(&format!("/api/v1/requests/{}", ids[0]), "read")).await).await;
    assert_eq!(answered, json!({"request": ids[0], "reply": {"reply": "accepted", "case": 7}}));
    let unknown = json(send(&parts, get("/api/v1/requests/other", "read")).await).await;
    assert_eq!(unknown["reply"], Value::Null);
}

#[tokio::test]
async fn what_is_wrong_is_told_in_json() {
    let parts = parts();
    let big = json!({"ask": "note", "case": 7, "text": "x".repeat(70 << 10)});
    let long = json!({"ask": "note", "case": 7, "text": "x".repeat(5000)});
    let odd = json!({"ask": "drain", "node": "a/b", "reason": "", "yes": false});
    for (request, expected, words) in [
        (ask("operate", &big), StatusCode::PAYLOAD_TOO_LARGE, "larger than 64 KiB"),
        (ask("operate", &long), StatusCode::BAD_REQUEST, "write less"),
        (ask("operate", &odd), StatusCode::BAD_REQUEST, "no node's name"),
        (ask("operate", &json!({"ask": "explode"})), StatusCode::BAD_REQUEST, "write for example"),
        (get("/api/v1/cases/9", "read"), StatusCode::NOT_FOUND, "no case 9"),
        (get("/api/v1/nowhere", "read"), StatusCode::NOT_FOUND, "/api/v1/nowhere"),
        (get("/api/v1/requests", "read"), StatusCode::METHOD_NOT_ALLOWED, "does not take that method"),
        (get("/api/v1/nodes/gone/verdict", "read"), StatusCode::SERVICE_UNAVAILABLE, "not reachable"),
    ] {
        let path = request.uri().to_string();
        let response = send(&parts, request).await;
        assert_eq!(response.status(), expected, "{path}");
        let error = json(response).await["error"].as_str().map(str::to_owned).unwrap_or_default();
        assert!(error.contains(words), "{path}: {error}");
    }
    assert!(parts.world.requests().is_empty());
}

#[tokio::test]
async fn reading_shows_the_last_turn_and_the_archive() {
    let parts = parts();
    let status = json(send(&parts, get("/api/v1/status", "read")).await).await;
    assert_eq!((&status["ready"], &status["cases"][0]["node"]), (&json!(true), &json!("pve2")));
    let case = json(send(&parts, get("/api/v1/cases/7", "technician")).await).await;
    assert_eq!(case["case"]["id"], 7);
    assert!(case["story"][0]["text"].as_str().is_some_and(|t| t.contains("alice")), "{case}");
    let owed = json(send(&parts, get("/api/v1/owed", "read")).await).await;
    assert_eq!(owed[0]["shell"][0], "ha-manager crm-command node-maintenance disable pve2");
    let judged = json(send(&parts, get("/api/v1/nodes/pve1/verdict", "read")).await).await;
    assert_eq!(judged["verdict"]["node"], "pve1");
    let recorded = json(send(&parts, get("/api/v1/observed", "read")).await).await;
    assert!(recorded["rules"]["limits"].is_object() && recorded["state"]["cases"].is_array());
    let metrics = text(send(&parts, get("/metrics", "read")).await).await;
    assert!(metrics.contains("pitlane_turns_total"), "{metrics}");
}

#[tokio::test]
async fn safe_to_power_off_dies_with_its_judgement() {
    let parts = parts();
    let safe =
        async || json(send(&parts, get("/api/v1/cases/7", "read")).await).await["safe_to_power_off"].clone();
    assert_eq!(safe().await, json!({"Ok": NOON}));
    parts.clock.set(at(15));
    assert_eq!(safe().await, json!({"Ok": NOON}));
    parts.clock.set(at(16));
    assert_eq!(safe().await, json!({"Err": "the last judgement is 16s old"}));
    let page = text(send(&parts, visit("/cases/7", "technician")).await).await;
    assert!(page.contains("Do not power it off") && !page.contains("Safe to power off"), "{page}");
}

#[tokio::test]
async fn ready_while_the_loop_turns_alive_always() {
    let parts = parts();
    let ask = |path: &str| Request::get(path).body(Body::empty()).expect("a valid request");
    assert_eq!(send(&parts, ask("/readyz")).await.status(), StatusCode::OK);
    parts.clock.set(at(31));
    assert_eq!(send(&parts, ask("/readyz")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(send(&parts, ask("/livez")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_blind_service_says_so_and_is_not_ready() {
    let parts = parts();
    parts.blind("no member answers");
    let ask = |path: &str| Request::get(path).body(Body::empty()).expect("a valid request");
    let response = send(&parts, ask("/readyz")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let said = text(response).await;
    assert!(said.contains("cannot be seen (unreachable)") && !said.contains("no member"), "{said}");
    assert_eq!(send(&parts, ask("/livez")).await.status(), StatusCode::OK);
    let status = json(send(&parts, get("/api/v1/status", "read")).await).await;
    assert_eq!((&status["ready"], &status["turns"]), (&json!(false), &json!(true)), "{status}");
    assert!(status["blind"].as_str().is_some_and(|why| why.contains("no member answers")), "{status}");
    let page = text(send(&parts, visit("/cases", "read")).await).await;
    assert!(page.contains("The cluster cannot be seen"), "{page}");
}

#[tokio::test]
async fn ages_are_counted_by_the_services_clock() {
    let parts = parts();
    parts.clock.set(at(7));
    let case = json(send(&parts, get("/api/v1/cases/7", "read")).await).await;
    let status = json(send(&parts, get("/api/v1/status", "read")).await).await;
    for now in [&case["now"], &status["now"]] {
        assert_eq!(now, &json!("2026-01-01T12:00:07Z"));
    }
    assert_eq!(status["cases"][0]["age"], "7s");
}

#[tokio::test]
async fn deliveries_that_nobody_could_read_are_counted_and_shown() {
    let parts = parts();
    let status = json(send(&parts, get("/api/v1/status", "read")).await).await;
    assert_eq!(status["unreadable"], 1);
    let all = json(send(&parts, get("/api/v1/alerts/unreadable", "read")).await).await;
    assert_eq!((&all["count"], &all["newest"][0]["beginning"]), (&json!(1), &json!("hello")));
    let page = text(send(&parts, visit("/cases", "read")).await).await;
    assert!(page.contains("could not be read: 1; see"), "{page}");
}

#[tokio::test]
async fn a_refused_configuration_is_told_to_those_who_asked_and_to_those_who_look() {
    let parts = parts();
    let reload = |token: &str| {
        let request =
            Request::post("/api/v1/reload").header(header::AUTHORIZATION, format!("Bearer {token}"));
        request.body(Body::from("{}")).expect("a valid request")
    };
    assert_eq!(send(&parts, reload("technician")).await.status(), StatusCode::FORBIDDEN);
    let told = json(send(&parts, reload("operate")).await).await;
    assert_eq!(told["refused"]["mistakes"][0], "pitlane.yaml:1:1: mdoe");
    let status = json(send(&parts, get("/api/v1/status", "read")).await).await;
    assert_eq!(status["config"], told);
    let page = text(send(&parts, visit("/cases", "read")).await).await;
    assert!(page.contains("The configuration on disk is wrong"), "{page}");
}

#[tokio::test]
async fn who_approves_sees_every_move_of_that_very_plan() {
    let mut parts = parts();
    parts.wait_for_approval();
    let page = text(send(&parts, visit("/cases/7", "operate")).await).await;
    let forecast = "about 14 min; from the default of 1.0 GiB/s a stream, nothing measured yet";
    for words in ["web1", "pve3", "live", "is shut down", "a passed-through device", forecast, "Approve plan"]
    {
        assert!(page.contains(words), "{words} is not in\n{page}");
    }
    parts.forget_plans();
    let page = text(send(&parts, visit("/cases/7", "operate")).await).await;
    assert!(
        page.contains("made anew") && !page.contains("web1"),
        "another plan must not stand there: {page}"
    );
}

#[tokio::test]
async fn planned_stands_beside_real() {
    let parts = parts();
    let words = "took 15 min, planned 14 min";
    for path in ["/cases", "/cases/7"] {
        let page = text(send(&parts, visit(path, "read")).await).await;
        assert!(page.contains(words), "{words} is not in {path}\n{page}");
    }
    let case = json(send(&parts, get("/api/v1/cases/7", "read")).await).await;
    assert_eq!(case["case"]["took"]["planned"]["secs"], 840, "{case}");
    let status = json(send(&parts, get("/api/v1/cases", "read")).await).await;
    assert_eq!(status[0]["took"], case["case"]["took"], "{status}");
}

#[tokio::test]
async fn a_hash_that_is_too_short_is_told_to_be_so_and_a_stranger_is_no_member() {
    let parts = parts();
    let approve = json!({"ask": "approve", "case": 7, "hash": "01234567"});
    let response = send(&parts, ask("operate", &approve)).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let said = json(response).await["error"].as_str().map(str::to_owned).unwrap_or_default();
    assert!(said.contains("first 12 characters"), "{said}");
    let response = send(&parts, get("/api/v1/nodes/stranger/verdict", "read")).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let said = json(response).await["error"].as_str().map(str::to_owned).unwrap_or_default();
    assert!(said.contains("stranger is not a member of this cluster"), "{said}");
}

#[tokio::test]
async fn every_answer_is_hardened() {
    let parts = parts();
    for path in ["/livez", "/login", "/nowhere", "/api/v1/status"] {
        let response = send(&parts, Request::get(path).body(Body::empty()).expect("a valid request")).await;
        let value =
            |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        assert!(value("content-security-policy").starts_with("default-src 'none'"), "{path}");
        assert_eq!((value("x-frame-options"), value("cache-control")), ("DENY", "no-store"), "{path}");
    }
}

fn visit(path: &str, token: &str) -> Request<Body> {
    let request = Request::get(path).header(header::COOKIE, format!("other=1; pitlane={token}"));
    request.body(Body::empty()).expect("a valid request")
}

fn form(path: &str, token: &str, site: &str, body: &str) -> Request<Body> {
    Request::post(path)
        .header(header::COOKIE, format!("pitlane={token}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("sec-fetch-site", site)
        .body(Body::from(body.to_owned()))
        .expect("a valid request")
}

#[tokio::test]
async fn the_console_lets_in_whoever_has_a_token() {
    let parts = parts();
    let response = send(&parts, form("/login", "", "same-origin", "token=technician")).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let cookie = response.headers()[header::SET_COOKIE].to_str().expect("plain").to_owned();
    for part in ["pitlane=technician;", "HttpOnly", "SameSite=Strict"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    for token in ["wrong", "alerts"] {
        let response = send(&parts, form("/login", "", "same-origin", &format!("token={token}"))).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{token}");
        assert!(!response.headers().contains_key(header::SET_COOKIE));
    }
    let stranger = Request::get("/cases").body(Body::empty()).expect("a valid request");
    assert_eq!(send(&parts, stranger).await.headers()[header::LOCATION], "/login");
    let page = text(send(&parts, visit("/cases", "read")).await).await;
    assert!(page.contains("pve2") && page.contains("handed-over"), "{page}");
}

#[tokio::test]
async fn the_console_asks_for_who_may_and_never_for_another_site() {
    let parts = parts();
    let page = text(send(&parts, visit("/cases/7", "technician")).await).await;
    assert!(page.contains("/cases/7/done") && !page.contains("/cases/7/abort"), "{page}");
    assert!(page.contains("Safe to power off, judged 0s ago"), "{page}");
    assert!(page.contains("pve2: maintenance") && page.contains("clean FAN3"), "{page}");
    assert!(page.contains("Asked for by alice: fan"), "the technician reads why: {page}");
    assert!(page.contains("pitlane done 7 when") && !page.contains("CASE"), "{page}");
    let page = text(send(&parts, visit("/cases/7", "read")).await).await;
    assert!(!page.contains("/cases/7/done"), "{page}");

    let body = "key=k&text=new+fan&hands_off=yes";
    let stolen = send(&parts, form("/cases/7/done", "technician", "cross-site", body)).await;
    assert_eq!(stolen.status(), StatusCode::FORBIDDEN);
    let refused = send(&parts, form("/cases/7/abort", "technician", "same-origin", "text=no")).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(parts.world.requests().is_empty());
    for _ in 0..2 {
        let done = send(&parts, form("/cases/7/done", "technician", "same-origin", body)).await;
        assert_eq!(done.status(), StatusCode::SEE_OTHER);
    }
    assert_eq!(parts.world.requests().len(), 1, "a form sent twice asks once");
    let page = text(send(&parts, visit("/verdict?node=pve1", "operate")).await).await;
    assert!(page.contains("No, at") && page.contains("/drain"), "{page}");
}

#[tokio::test]
async fn a_certificate_that_may_deliver_alerts_does_nothing_else() {
    let parts = parts();
    let with = |request: Request<Body>| {
        let (mut head, body) = request.into_parts();
        let name = "am1.example.org".to_owned();
        head.extensions
            .insert(crate::model::access::KnownClient { name, role: crate::model::access::Role::Alerts });
        Request::from_parts(head, body)
    };
    let deliver = || Request::post("/alerts/alertmanager").body(Body::empty()).expect("a valid request");
    assert_eq!(send(&parts, deliver()).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(send(&parts, with(deliver())).await.status(), StatusCode::OK);
    let status = Request::get("/api/v1/status").body(Body::empty()).expect("a valid request");
    assert_eq!(send(&parts, with(status)).await.status(), StatusCode::FORBIDDEN);
}
