//! A small loopback server plays Prometheus: one canned answer, and the request it got is kept.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::model::seen::Blind;

const NOW: i64 = 1_800_000_000;

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Time {
        Time::from_second(NOW).expect("in range")
    }
}

fn fan() -> FaultKey {
    FaultKey { node: "pve2".into(), class: "fan".into(), component: "FAN 3\"&".into() }
}

fn query() -> SensorQuery {
    SensorQuery {
        promql: vec!["ipmi_fan_speed_state{node=\"{{ node }}\",name=\"{{ component }}\"} == bool 0".into()],
        bmc: false,
    }
}

/// Serves `answer` (a whole HTTP response; `None`: nothing at all) to everybody; gives the address and what was asked.
async fn serve(answer: Option<String>) -> (Url, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let asked = Arc::new(Mutex::new(String::new()));
    let keep = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            let mut buffer = [0; 4096];
            while !head.windows(4).any(|w| w == b"\r\n\r\n") {
                match stream.read(&mut buffer).await {
                    Ok(n) if n > 0 => head.extend_from_slice(&buffer[..n]),
                    _ => return,
                }
            }
            *keep.lock().expect("no panic while held") = String::from_utf8_lossy(&head).into_owned();
            match &answer {
                Some(text) => drop(stream.write_all(text.as_bytes()).await),
                // Keeps the connection open and says nothing, until the other side goes.
                None => drop(stream.read(&mut buffer).await),
            }
        }
    });
    (format!("http://{address}/prefix").parse().expect("an address"), asked)
}

fn http(status: &str, body: &str) -> Option<String> {
    Some(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()))
}

fn vector(samples: &str) -> Option<String> {
    http(
        "200 OK",
        &format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{samples}]}}}}"#),
    )
}

fn sample(at: i64, value: &str) -> String {
    format!(r#"{{"metric":{{"name":"FAN3"}},"value":[{at}.25,"{value}"]}}"#)
}

fn prometheus(url: Url, limit: Duration) -> Prometheus {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = PrometheusConfig { url, bearer: Some("s3cret".into()), ca_pem: None };
    let mut prometheus = Prometheus::new(config, Arc::new(Stopped)).expect("a good configuration");
    prometheus.limit = limit;
    prometheus
}

async fn read(answer: Option<String>) -> Seen<Reading> {
    let (url, _) = serve(answer).await;
    prometheus(url, LIMIT).read(&fan(), &query()).await
}

#[tokio::test]
async fn every_sample_must_be_good() {
    let two = |a, b| vector(&format!("{},{}", sample(NOW - 1, a), sample(NOW - 2, b)));
    let at = Time::from_millisecond((NOW - 2) * 1000 + 250).expect("in range");
    let good = Reading { good: true, text: "2 of 2 samples good".into() };
    assert_eq!(read(two("1", "1")).await, Seen::known(good, at));
    let bad = Reading { good: false, text: "1 of 2 samples good".into() };
    assert_eq!(read(two("1", "0")).await, Seen::known(bad, at));
}

#[tokio::test]
async fn an_old_answer_is_stale() {
    let old = read(vector(&sample(NOW - 60, "1"))).await;
    let blind = old.fresh(Stopped.now(), Duration::from_secs(15));
    assert!(matches!(blind, Err(Blind::Stale { .. })), "{blind:?}");
}

#[tokio::test]
async fn whatever_is_no_clear_answer_is_unknown() {
    let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1800000000,"1"]}}"#;
    let partial = r#"{"status":"success","warnings":["no answer from eu-2"],"data":{"resultType":"vector","result":[]}}"#;
    let wrong = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
    let table = [
        (vector(""), "no_trace", "no sample: nobody sees it"),
        (vector(&sample(NOW, "2")), "nonsense", "the query must give 1 or 0"),
        (vector(&sample(NOW, "NaN")), "nonsense", "the query must give 1 or 0"),
        (vector(&sample(NOW + 60, "1")), "nonsense", "the clocks disagree"),
        (vector(r#"{"metric":{},"histogram":[1800000000,{}]}"#), "nonsense", "no value"),
        (http("200 OK", scalar), "nonsense", "a scalar, not a vector"),
        (http("200 OK", partial), "nonsense", "it warns: no answer from eu-2"),
        (http("200 OK", "<html>"), "nonsense", "no answer of Prometheus (200 OK)"),
        (http("404 Not Found", "no"), "nonsense", "404"),
        (http("302 Found", ""), "nonsense", "302"),
        (http("400 Bad Request", wrong), "refused", "parse error"),
        (http("401 Unauthorized", ""), "refused", "token"),
        (http("503 Service Unavailable", ""), "unreachable", "503"),
        (http("200 OK", &"x".repeat(BODY_MAX + 1)), "nonsense", "about one part"),
    ];
    for (answer, kind, words) in table {
        let Seen::Unknown { why } = read(answer).await else {
            panic!("{words}: it must not be known");
        };
        assert_eq!(why.kind(), kind, "{why}");
        assert!(why.text().contains(words), "{why}");
        assert!(!why.text().contains("s3cret"), "{why}");
    }
}

#[tokio::test]
async fn the_question_arrives_as_it_was_meant_with_the_token() {
    let (url, asked) = serve(vector(&sample(NOW, "1"))).await;
    prometheus(url, LIMIT).read(&fan(), &query()).await;
    let asked = asked.lock().expect("no panic while held").clone();
    let line = asked.lines().next().expect("a request line");
    assert!(line.starts_with("GET /prefix/api/v1/query?query="), "{line}");
    assert!(line.contains("node%3D%22pve2%22%2Cname%3D%22FAN+3%5C%22%26%22%7D"), "{line}");
    assert!(asked.to_ascii_lowercase().contains("authorization: bearer s3cret"), "{asked}");
}

#[tokio::test]
async fn silence_and_absence_end_by_themselves() {
    let (url, _) = serve(None).await;
    let Seen::Unknown { why } = prometheus(url, Duration::from_millis(200)).read(&fan(), &query()).await
    else {
        panic!("silence is not known");
    };
    assert_eq!(why.kind(), "too_slow");
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound");
    let url = format!("http://{gone}").parse().expect("an address");
    let Seen::Unknown { why } = prometheus(url, LIMIT).read(&fan(), &query()).await else {
        panic!("absence is not known");
    };
    assert_eq!(why.kind(), "unreachable");
}

#[tokio::test]
async fn a_query_that_cannot_be_asked_is_not_asked() {
    let (url, asked) = serve(vector(&sample(NOW, "1"))).await;
    let nameless = FaultKey { component: String::new(), ..fan() };
    let Seen::Unknown { why } = prometheus(url, LIMIT).read(&nameless, &query()).await else {
        panic!("it must not be known");
    };
    assert_eq!(why.kind(), "not_configured");
    assert_eq!(asked.lock().expect("no panic while held").as_str(), "");
}

/// Answers each question by what it is about: the named part, or all of the node.
async fn serve_two(named: Option<String>, all: Option<String>) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
            while !head.windows(4).any(|w| w == b"\r\n\r\n") {
                match stream.read(&mut buffer).await {
                    Ok(n) if n > 0 => head.extend_from_slice(&buffer[..n]),
                    _ => break,
                }
            }
            let about = if String::from_utf8_lossy(&head).contains("eno2") { &named } else { &all };
            drop(stream.write_all(about.clone().unwrap_or_default().as_bytes()).await);
        }
    });
    format!("http://{address}/").parse().expect("an address")
}

#[tokio::test]
async fn those_that_are_left_cannot_call_a_vanished_part_good() {
    let query = SensorQuery {
        promql: vec!["up{device=\"{{ component }}\"} == bool 1".into(), "up{node=\"n\"} == bool 1".into()],
        bmc: false,
    };
    let part =
        |component: &str| FaultKey { node: "pve2".into(), class: "nic".into(), component: component.into() };
    let (yes, no, none) = (vector(&sample(NOW, "1")), vector(&sample(NOW, "0")), vector(""));
    for (component, named, all, good) in [
        ("eno2", &yes, &yes, Some(true)),
        ("eno2", &none, &yes, None),
        ("eno2", &yes, &none, Some(true)),
        ("eno2", &none, &no, Some(false)),
        ("eno2", &yes, &no, Some(false)),
        ("", &none, &yes, Some(true)),
    ] {
        let url = serve_two(named.clone(), all.clone()).await;
        let seen = prometheus(url, LIMIT).read(&part(component), &query).await;
        let told = seen.any_age().map(|reading| reading.good);
        assert_eq!(told, good, "{component:?} {named:?} {all:?}: {seen:?}");
        if let Seen::Unknown { why } = seen {
            assert_eq!(why.kind(), "no_trace", "{why}");
        }
    }
}
