//! The webhook as Alertmanager, a stranger and an attacker meet it.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use pitlane::adapters::alertmanager::{Answer, Limits};
use pitlane::adapters::store;
use pitlane::model::time::Time;
use pitlane::ports::{Ingested, Store};

use crate::served::{Caller, InChild, OPERATOR, TOKEN, Wall, deliver, here, serve_if_child};

const MIB: usize = 1 << 20;

fn alert(name: &str) -> String {
    format!(
        r#"{{"status":"firing","labels":{{"alertname":"{name}","node":"pve1"}},"annotations":{{}},"startsAt":"2026-03-01T10:00:00Z","endsAt":"0001-01-01T00:00:00Z","fingerprint":"{name}"}}"#
    )
}

fn body(alerts: &[String]) -> String {
    format!(r#"{{"version":"4","status":"firing","alerts":[{}],"truncatedAlerts":0}}"#, alerts.join(","))
}

async fn stored(store: &store::SqliteStore) -> usize {
    store.episodes(Time::UNIX_EPOCH).await.expect("reads").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_refused_before_the_body_is_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let served = here(dir.path(), Limits::default()).await;
    for token in
        [None, Some("wrong"), Some(""), Some("a token for test"), Some("a token for tests!"), Some(OPERATOR)]
    {
        let mut caller = Caller::to(served.address).expect("connects");
        caller.head(token, "Content-Length: 1000000").expect("sends");
        // Not a byte of the body was sent: the answer cannot have waited for it.
        assert_eq!(caller.status().expect("an answer"), 401, "{token:?}");
    }
    assert_eq!(deliver(served.address, body(&[alert("a")])).await, 200);
    assert_eq!(stored(&served.store).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bell_rings_for_news_only() {
    let dir = tempfile::tempdir().expect("a directory");
    let served = here(dir.path(), Limits::default()).await;
    let rang = async || {
        let heard = served.bell.notified();
        futures::future::poll_immediate(heard).await.is_some()
    };
    let resolved = alert("a").replace("firing", "resolved");
    for (delivery, news) in [
        (body(&[alert("a")]), true),
        (body(&[alert("a")]), false),
        (body(std::slice::from_ref(&resolved)), true),
        (body(&[alert("a")]), false),
        ("not JSON".into(), false),
    ] {
        assert_eq!(deliver(served.address, delivery.clone()).await, 200);
        assert_eq!(rang().await, news, "{delivery}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_kept_and_does_not_block() {
    let dir = tempfile::tempdir().expect("a directory");
    let served = here(dir.path(), Limits::default()).await;
    assert_eq!(deliver(served.address, "{\"alerts\": [").await, 200);
    let mixed = body(&[alert("a"), r#"{"status":"firing"}"#.into(), alert("b"), "[]".into()]);
    assert_eq!(deliver(served.address, mixed).await, 200);
    assert_eq!(stored(&served.store).await, 2);
    let answers = served.answers.lock().expect("whole").clone();
    let told = Ingested { new: 2, ..Ingested::default() };
    assert_eq!(answers, [Answer::Poison, Answer::Stored(told)]);
    let kept = served.store.poisoned(9).await.expect("reads");
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[0].body, b"{\"status\":\"firing\"}\n[]\n");
    assert!(kept[0].why.contains("2 alerts") && kept[0].why.contains("labels"), "{}", kept[0].why);
    assert_eq!(kept[1].body, b"{\"alerts\": [");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_stored_is_asked_for_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let served = here(dir.path(), Limits::default()).await;
    let meddle = rusqlite::Connection::open(dir.path().join("pitlane.db")).expect("opens");
    meddle.execute_batch("ALTER TABLE episodes RENAME TO elsewhere").expect("breaks it");
    assert_eq!(deliver(served.address, body(&[alert("a")])).await, 503);
    assert!(futures::future::poll_immediate(served.bell.notified()).await.is_none(), "rung for nothing");
    meddle.execute_batch("ALTER TABLE elsewhere RENAME TO episodes").expect("mends it");
    assert_eq!(deliver(served.address, body(&[alert("a")])).await, 200);
    assert_eq!(stored(&served.store).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_alerts_in_one_body_are_taken() {
    let dir = tempfile::tempdir().expect("a directory");
    let served = here(dir.path(), Limits::default()).await;
    let alerts: Vec<String> = (0..10_000)
        .map(|n| {
            let padded = format!("\"summary\":\"{}\"", "x".repeat(250));
            alert(&format!("alert-{n}"))
                .replace("\"annotations\":{}", &format!("\"annotations\":{{{padded}}}"))
        })
        .collect();
    let body = body(&alerts);
    assert!(body.len() > 4 * MIB, "as large as the recorded one");
    assert_eq!(deliver(served.address, body).await, 200);
    assert_eq!(stored(&served.store).await, 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_share_a_bounded_room() {
    let dir = tempfile::tempdir().expect("a directory");
    let limits = Limits { body_bytes_max: 90_000, in_flight_bytes_max: 100_000, ..Limits::default() };
    let served = here(dir.path(), limits).await;
    let whole = body(&[alert("a").replace("pve1", &"x".repeat(80_000))]).into_bytes();
    let mut slow = Caller::to(served.address).expect("connects");
    slow.head(Some(TOKEN), &format!("Content-Length: {}", whole.len())).expect("sends");
    slow.send(&whole[..10]).expect("sends");
    let taken = async {
        while served.intake.bytes_in_flight() < whole.len() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), taken).await.expect("its room is taken with its head");
    let other = body(&[alert("b").replace("pve1", &"x".repeat(80_000))]);
    assert_eq!(deliver(served.address, other.clone()).await, 503, "both do not fit together");
    slow.send(&whole[10..]).expect("sends");
    assert_eq!(slow.status().expect("an answer"), 200);
    assert_eq!(deliver(served.address, other).await, 200, "its room is free again");
    assert_eq!(deliver(served.address, vec![b' '; 90_001]).await, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_ends_is_given_up() {
    let dir = tempfile::tempdir().expect("a directory");
    let limits = Limits { arrives_within: Duration::from_millis(100), ..Limits::default() };
    let served = here(dir.path(), limits).await;
    let mut slow = Caller::to(served.address).expect("connects");
    slow.head(Some(TOKEN), "Content-Length: 1000").expect("sends");
    slow.send(b"{").expect("sends");
    assert_eq!(slow.status().expect("an answer"), 503);
    assert!(matches!(served.answers.lock().expect("whole")[..], [Answer::NotNow(_)]));
}

#[test]
fn a_hundred_megabytes_are_refused_in_bounded_memory() {
    serve_if_child();
    let dir = tempfile::tempdir().expect("a directory");
    let child = InChild::start("webhook::a_hundred_megabytes_are_refused_in_bounded_memory", dir.path());
    let before = child.peak();
    let mut caller = Caller::to(child.address).expect("connects");
    assert_eq!(caller.deliver(&vec![b' '; 100_000_000]).expect("an answer"), 413);
    let declared = child.peak() - before;
    assert!(declared < 16 * MIB, "{declared} bytes for a body whose length alone says no");

    // Without a length it is kept up to the limit; eight at once share the room of two.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let status = chunked(&child, 100).expect("an answer");
                assert!([413, 503].contains(&status), "{status}");
            });
        }
    });
    let undeclared = child.peak() - before;
    assert!(undeclared > 32 * MIB, "{undeclared} bytes: the bodies never arrived, so this shows nothing");
    assert!(undeclared < 192 * MIB, "{undeclared} bytes for eight bodies of 100 MiB");
    child.kill();
}

fn chunked(child: &InChild, mebibytes: usize) -> std::io::Result<u16> {
    let mut caller = Caller::to(child.address)?;
    caller.head(Some(TOKEN), "Transfer-Encoding: chunked")?;
    let mut chunk = format!("{MIB:x}\r\n").into_bytes();
    chunk.resize(chunk.len() + MIB, b' ');
    chunk.extend_from_slice(b"\r\n");
    for _ in 0..mebibytes {
        // Told "not now" in the middle, the connection may be closed before all is sent; the answer is there.
        if caller.send(&chunk).is_err() {
            break;
        }
    }
    let _ = caller.send(b"0\r\n\r\n");
    // A connection reset under the sender may take the answer along; it was a refusal in any case.
    caller.status().or(Ok(503))
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    serve_if_child();
    let dir = tempfile::tempdir().expect("a directory");
    let mut acknowledged = BTreeSet::new();
    for (round, acks) in [1, 2, 13, 40, 150].into_iter().enumerate() {
        let child = InChild::start("webhook::what_was_acknowledged_survives_kill_9", dir.path());
        let address = child.address;
        let (said, heard) = mpsc::channel();
        let senders: Vec<_> = (0..4)
            .map(|sender| {
                let said = said.clone();
                std::thread::spawn(move || {
                    let Ok(mut caller) = Caller::to(address) else { return };
                    for n in 0.. {
                        let name = format!("{round}-{sender}-{n}");
                        match caller.deliver(body(&[alert(&name)]).as_bytes()) {
                            Ok(200) => said.send(name).unwrap_or(()),
                            // The process is gone.
                            _ => return,
                        }
                    }
                })
            })
            .collect();
        drop(said);
        acknowledged.extend(heard.iter().take(acks));
        child.kill();
        for sender in senders {
            sender.join().expect("a sender ends by itself");
        }
        acknowledged.extend(heard.iter());
    }
    let runtime = tokio::runtime::Runtime::new().expect("starts");
    let found: BTreeSet<String> = runtime.block_on(async {
        let store = store::open(dir.path(), std::sync::Arc::new(Wall)).expect("opens after kill -9");
        let episodes = store.episodes(Time::UNIX_EPOCH).await.expect("reads");
        episodes.iter().map(|episode| episode.fingerprint.0.clone()).collect()
    });
    let lost: Vec<&String> = acknowledged.difference(&found).collect();
    assert!(acknowledged.len() >= 206, "{} acknowledged", acknowledged.len());
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_leaves_alerts_out_asks_for_a_poll() {
    let dir = tempfile::tempdir().expect("a directory");
    let served = here(dir.path(), Limits::default()).await;
    let whole = body(&[alert("a")]);
    assert_eq!(deliver(served.address, whole.clone()).await, 200);
    assert!(futures::future::poll_immediate(served.bell.notified()).await.is_some(), "news ring");
    assert!(!served.missed.load(Ordering::SeqCst));
    // Nothing new in it but that something is missing.
    assert_eq!(
        deliver(served.address, whole.replace(r#""truncatedAlerts":0"#, r#""truncatedAlerts":35"#)).await,
        200
    );
    assert!(served.missed.load(Ordering::SeqCst));
    assert!(futures::future::poll_immediate(served.bell.notified()).await.is_some(), "a poll at once");
    let told = Ingested { known: 1, ..Ingested::default() };
    assert_eq!(served.answers.lock().expect("whole").last(), Some(&Answer::Cut { told, left_out: 35 }));
}
