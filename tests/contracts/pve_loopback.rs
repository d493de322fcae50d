//! The real transport against a real socket: TLS, pins, reason phrases, broken connections, limits.

use std::{io::Write, sync::Arc, time::Duration};

use pitlane::adapters::pve::{
    ApiToken, Client, ConnectionLimits, Endpoint, Fingerprint, Https, Limits, PveError, Refusal, Route,
    TransportError, Trust,
    calls::{self, QemuMove},
    error::{Credentials, ProxyFailure},
};

use crate::pve_server::{Act, Server, answer};

const VERSION: &str = r#"{"data":{"version":"9.2.11","release":"9.2"}}"#;
const TASK: &str = r#"{"data":"UPID:pve1:0000012B:00043B30:6B02228B:qmigrate:100:pitlane@pve!ctl:"}"#;

fn ok() -> String {
    answer(200, "OK", VERSION)
}

fn client(servers: &[(&Server, Trust)]) -> Client {
    let limits = Limits { deadline: Duration::from_secs(5), ..Limits::default() };
    let connection = ConnectionLimits { connect: Duration::from_secs(2), body_bytes_max: 64 * 1024 };
    let number = |(i, (server, trust)): (usize, &(&Server, Trust))| {
        (Endpoint::new(format!("pve{}", i + 1), server.url.as_str()), trust.clone())
    };
    let endpoints: Vec<(Endpoint, Trust)> = servers.iter().enumerate().map(number).collect();
    let https = Https::new(endpoints.iter().map(|(e, t)| (e, t)), connection).expect("the trust is good");
    let endpoints = endpoints.into_iter().map(|(endpoint, _)| endpoint).collect();
    Client::new(endpoints, Arc::new(https), ApiToken::new("pitlane@pve!ctl", "a%b"), limits)
}

fn pinned(server: &Server) -> Trust {
    Trust::Pinned(vec![server.fingerprint])
}

async fn version(client: &Client) -> Result<String, PveError> {
    client.run(&calls::version(), &Route::default()).await.map(|answer| answer.value.version.0)
}

async fn migrate(client: &Client) -> Result<String, PveError> {
    let call = calls::migrate_qemu("pve1", 100, &QemuMove { target: "pve2", ..QemuMove::default() });
    client.run(&call, &Route::default()).await.map(|answer| answer.value.0)
}

#[tokio::test]
async fn a_pinned_certificate_is_believed_and_the_token_arrives() {
    let server = Server::saying(&ok()).await;
    let other: Fingerprint = "AA".repeat(32).parse().expect("64 digits");
    let trust = Trust::Pinned(vec![other, server.fingerprint]);
    assert_eq!(version(&client(&[(&server, trust)])).await.expect("answered"), "9.2.11");
    let head = &server.seen()[0].head.to_lowercase();
    assert!(head.starts_with("get /api2/json/version http/1.1\r\n"), "{head}");
    assert!(head.contains("authorization: pveapitoken=pitlane@pve!ctl=a%25b\r\n"), "{head}");
}

#[tokio::test]
async fn another_certificate_is_refused_by_name_and_nothing_is_sent() {
    let server = Server::saying(&ok()).await;
    let wrong: Fingerprint = "AA".repeat(32).parse().expect("64 digits");
    let error = version(&client(&[(&server, Trust::Pinned(vec![wrong]))])).await.expect_err("not pinned");
    assert!(error.to_string().contains(&server.fingerprint.to_string()), "{error}");
    let PveError::Unreachable { attempts, .. } = error else { panic!("not sent: {error:?}") };
    assert!(matches!(&attempts[..], [TransportError::WrongPin { .. }]), "{attempts:?}");
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn an_authority_from_a_file_is_believed_and_a_foreign_one_is_not() {
    let server = Server::saying(&ok()).await;
    let stranger = Server::saying(&ok()).await;
    for (pem, good) in [(&server.authority, true), (&stranger.authority, false)] {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(pem.as_bytes()).expect("written");
        let client = client(&[(&server, Trust::CaFile(file.path().to_owned()))]);
        let answer = version(&client).await;
        match answer {
            Ok(version) => assert!(good && version == "9.2.11"),
            Err(error) => assert!(!good && error.to_string().contains("certificate"), "{error}"),
        }
    }
    let by_system = version(&client(&[(&server, Trust::SystemRoots)])).await;
    assert!(by_system.is_err(), "signed by no public authority");
}

#[tokio::test]
async fn the_text_of_an_error_is_found_in_the_reason_phrase() {
    let missing = Server::saying(&answer(401, "No ticket", "")).await;
    let error = version(&client(&[(&missing, pinned(&missing))])).await.expect_err("401");
    assert!(
        matches!(error, PveError::NotAuthenticated { credentials: Credentials::Missing, .. }),
        "{error:?}"
    );

    let wrong = Server::saying(&answer(401, "Authentication failed!", "")).await;
    let error = version(&client(&[(&wrong, pinned(&wrong))])).await.expect_err("401");
    assert!(matches!(error, PveError::NotAuthenticated { credentials: Credentials::NotAccepted, .. }));

    let locked = Server::saying(&answer(500, "VM is locked (backup)", "{\"data\":null}")).await;
    let error = migrate(&client(&[(&locked, pinned(&locked))])).await.expect_err("500");
    assert_eq!(error.refusal(), Some(&Refusal::Locked { lock: "backup".to_owned() }));
}

#[tokio::test]
async fn a_595_with_an_empty_body_leaves_an_order_unknown_and_sent_once() {
    let server = Server::saying(&answer(595, "Connection refused", "")).await;
    let client = client(&[(&server, pinned(&server))]);
    let error = version(&client).await.expect_err("595");
    assert!(matches!(error, PveError::Proxy { failure: ProxyFailure::NotConnected, .. }), "{error:?}");
    let error = migrate(&client).await.expect_err("595");
    assert!(error.outcome_unknown(), "{error:?}");
    assert_eq!(server.seen().iter().filter(|seen| seen.head.starts_with("POST")).count(), 1);
}

/// The first connection answers once and dies under the second request, as an idle one does.
async fn dying_connection() -> Server {
    Server::start(|seen| match (seen.connection, seen.number) {
        (0, 1) => Act::Close,
        _ if seen.head.starts_with("POST") => Act::Say(answer(200, "OK", TASK)),
        _ => Act::Say(ok()),
    })
    .await
}

#[tokio::test]
async fn a_read_survives_a_connection_that_was_closed_meanwhile() {
    let server = dying_connection().await;
    let client = client(&[(&server, pinned(&server))]);
    for _ in 0..2 {
        assert_eq!(version(&client).await.expect("answered"), "9.2.11");
    }
    let connections: Vec<usize> = server.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
}

#[tokio::test]
async fn an_order_on_such_a_connection_is_unknown_and_not_repeated() {
    let server = dying_connection().await;
    let client = client(&[(&server, pinned(&server))]);
    version(&client).await.expect("answered");
    let error = migrate(&client).await.expect_err("closed");
    assert!(error.outcome_unknown(), "{error:?}");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_skipped_even_for_an_order() {
    let server = Server::saying(&answer(200, "OK", TASK)).await;
    let mut gone = Server::saying(&ok()).await;
    let client = client(&[(&gone, pinned(&gone)), (&server, pinned(&server))]);
    gone.stop().await;
    let alone = self::client(&[(&gone, pinned(&gone))]);
    let error = version(&alone).await.expect_err("nobody listens");
    assert!(error.to_string().contains("refused") && !error.to_string().contains("127.0.0.1"), "{error}");
    assert!(migrate(&client).await.expect("taken by the second").starts_with("UPID:pve1:"));
}

#[tokio::test]
async fn a_silent_server_costs_the_deadline_and_no_more() {
    let server = Server::start(|_| Act::Silence).await;
    let endpoint = Endpoint::new("pve1", server.url.as_str());
    let trust = pinned(&server);
    let https = Https::new([(&endpoint, &trust)], ConnectionLimits::default()).expect("good");
    let limits = Limits { deadline: Duration::from_millis(300), ..Limits::default() };
    let client = Client::new(vec![endpoint], Arc::new(https), ApiToken::new("a@b!c", "d"), limits);
    let started = std::time::Instant::now();
    let error = version(&client).await.expect_err("silence");
    assert!(matches!(error, PveError::TooSlow { .. }), "{error:?}");
    assert!(migrate(&client).await.expect_err("silence").outcome_unknown());
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_not_read_to_its_end() {
    let announced = "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n";
    let endless = "HTTP/1.1 200 OK\r\n\r\n";
    for head in [announced, endless] {
        let server = Server::start(move |_| Act::Flood(head.to_owned())).await;
        let error = version(&client(&[(&server, pinned(&server))])).await.expect_err("too large");
        assert!(matches!(error, PveError::TooLarge { limit: 65536, .. }), "{error:?}");
        // What the two kernels buffer is theirs; 100 MB would show that we read on.
        assert!(server.flooded() < 20_000_000, "{}", server.flooded());
    }
}

#[tokio::test]
async fn what_is_no_answer_of_proxmox_is_nonsense_and_no_data() {
    let login_page = answer(200, "OK", "<html>please log in</html>");
    let elsewhere =
        "HTTP/1.1 301 Moved\r\nLocation: https://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_owned();
    for bytes in [login_page, elsewhere] {
        let server = Server::saying(&bytes).await;
        let error = version(&client(&[(&server, pinned(&server))])).await.expect_err("nonsense");
        assert!(matches!(error, PveError::Nonsense { .. }), "{error:?}");
        assert_eq!(server.seen().len(), 1, "redirects are not followed");
    }
    let server = Server::start(|_| Act::SayAndClose("220 mail.example ESMTP\r\n".to_owned())).await;
    let error = version(&client(&[(&server, pinned(&server))])).await.expect_err("not HTTP");
    assert!(matches!(error, PveError::Connection { .. }), "{error:?}");
}

#[tokio::test]
async fn one_node_never_has_more_than_two_calls_to_execute() {
    let server = Server::start(|_| Act::Gated(answer(200, "OK", VERSION))).await;
    let client = Arc::new(client(&[(&server, pinned(&server))]));
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(
                async move { client.run(&calls::node_version("pve9"), &Route::default()).await.is_ok() },
            )
        })
        .collect();
    let full = async {
        while server.in_flight().0 < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(3), full).await.expect("two calls arrive");
    server.gate.add_permits(6);
    for call in calls {
        assert!(call.await.expect("no panic"));
    }
    assert_eq!(server.in_flight().1, 2);
}
