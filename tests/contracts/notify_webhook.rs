//! The webhook against a server that misbehaves: refuses, breaks off, says nothing. And the courier that lives through it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pitlane::adapters::notify::{Webhook, WebhookConfig};
use pitlane::model::notice::{ChannelName, Notice, NoticeId, Urgency};
use pitlane::model::seen::Trouble;
use pitlane::model::state::Decision;
use pitlane::model::time::{Time, after};
use pitlane::ports::{Clock, Notifier, Outbox, Store};
use pitlane::reconcile::courier::Courier;
use pitlane::sim::MemoryStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What the server does with one request, in turn; the last one for ever.
#[derive(Clone, Copy)]
enum Manner {
    Answers(&'static str),
    BreaksOff,
    Silent,
}

type Heard = Arc<Mutex<Vec<String>>>;

/// A server on a free port of loopback, and everything that was sent to it.
async fn server(manners: Vec<Manner>) -> (String, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
    let heard = Heard::default();
    let all = heard.clone();
    tokio::spawn(async move {
        let mut held = Vec::new();
        for n in 0.. {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let mut text = String::new();
            let mut part = [0; 4096];
            // Head and body come in one piece or two; the body is JSON and ends with a brace.
            while !text.trim_end().ends_with('}') {
                match stream.read(&mut part).await {
                    Ok(n) if n > 0 => text.push_str(&String::from_utf8_lossy(&part[..n])),
                    _ => break,
                }
            }
            all.lock().expect("nobody panics with it").push(text);
            match manners[n.min(manners.len() - 1)] {
                Manner::Answers(line) => {
                    let answer = format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
                Manner::BreaksOff => drop(stream),
                Manner::Silent => held.push(stream),
            }
        }
    });
    (url, heard)
}

fn webhook(url: &str) -> Webhook {
    // The program does this first of all; a second time changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = url.parse().expect("a URL");
    let limit = Some(Duration::from_millis(500));
    Webhook::new(WebhookConfig { url, bearer: Some("secret".into()), ca_pem: None, limit }).expect("is made")
}

fn noon() -> Time {
    "2026-01-01T12:00:00Z".parse().expect("a valid instant")
}

fn notice(id: &str) -> Notice {
    Notice {
        id: NoticeId(id.to_owned()),
        at: noon(),
        urgency: Urgency::Page,
        title: "pve2 died".into(),
        body: "What to do: look.\n".into(),
        node: Some("pve2".into()),
        case: None,
        to: vec!["oncall".into()],
    }
}

#[tokio::test]
async fn each_manner_of_failing_is_told_apart() {
    for (manner, kind) in [
        (Manner::Answers("204 No Content"), "arrived"),
        (Manner::Answers("500 Internal Server Error"), "unreachable"),
        (Manner::Answers("403 Forbidden"), "refused"),
        (Manner::Answers("302 Found"), "refused"),
        (Manner::BreaksOff, "too_slow"),
        (Manner::Silent, "too_slow"),
    ] {
        let (url, heard) = server(vec![manner]).await;
        let sent = webhook(&url).send(&notice("case-7/died")).await;
        assert_eq!(sent.as_ref().err().map_or("arrived", Trouble::kind), kind, "{sent:?}");
        let text = heard.lock().expect("nobody panics with it")[0].clone();
        assert!(text.to_lowercase().contains("idempotency-key: case-7/died"), "{text}");
        assert!(text.contains("Bearer secret") && text.contains("\"title\":\"pve2 died\""), "{text}");
    }
    let nobody = webhook("http://127.0.0.1:1/hook").send(&notice("case-7/died")).await;
    assert_eq!(nobody.err().map(|why| why.kind()), Some("unreachable"));
}

struct Steps(Mutex<Time>);

impl Clock for Steps {
    fn now(&self) -> Time {
        *self.0.lock().expect("nobody panics with it")
    }
}

#[tokio::test]
async fn a_notice_that_may_have_arrived_is_sent_again_under_the_same_id() {
    let (url, heard) =
        server(vec![Manner::BreaksOff, Manner::Answers("500 Oh No"), Manner::Answers("200 OK")]).await;
    let store = Arc::new(MemoryStore::new());
    let decision = Decision { notices: vec![notice("case-7/died")], ..Decision::default() };
    store.commit(&decision, noon()).await.expect("commits");
    let clock = Arc::new(Steps(Mutex::new(noon())));
    let channels: BTreeMap<ChannelName, Arc<dyn Notifier>> =
        [("oncall".into(), Arc::new(webhook(&url)) as Arc<dyn Notifier>)].into();
    let mut rounds = 0;
    while !store.undelivered().await.expect("reads").is_empty() {
        // A new courier each time: nothing is remembered but what is stored.
        let courier =
            Courier::new(store.clone(), channels.clone(), clock.clone(), Arc::new(|_: &ChannelName, _| ()));
        courier.round().await.expect("reads");
        courier.round().await.expect("reads: not due yet, so nothing is sent");
        let mut now = clock.0.lock().expect("nobody panics with it");
        *now = after(*now, Duration::from_secs(10));
        rounds += 1;
        assert!(rounds < 5, "it never arrives");
    }
    assert_eq!(rounds, 3);
    let heard = heard.lock().expect("nobody panics with it");
    let same = heard.iter().filter(|t| t.to_lowercase().contains("idempotency-key: case-7/died")).count();
    assert_eq!((heard.len(), same), (3, 3));
}
