//! Alertmanager with a client certificate instead of a token, over real TLS: who may deliver, and who is still a
//! stranger.

use std::path::Path;
use std::sync::Arc;

use pitlane::adapters::alertmanager::{Intake, Limits, Receiver, Tokens, router};
use pitlane::adapters::store;
use pitlane::model::access::{KnownClient, Role};
use pitlane::web::{Clients, Listening, serve, tls_config};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use reqwest::{Certificate, Client, Identity};
use tokio_util::sync::CancellationToken;

use crate::served::Wall;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().expect("a key");
    let pem = params.self_signed(&key).expect("an authority").pem();
    Authority { issuer: Issuer::new(params, key), pem }
}

/// Certificate and key of one machine, PEM each.
fn leaf(authority: &Authority, name: &str, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.extended_key_usages = vec![purpose];
    let key = KeyPair::generate().expect("a key");
    let leaf = params.signed_by(&key, &authority.issuer).expect("a leaf");
    (leaf.pem(), key.serialize_pem())
}

fn write(dir: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("writable");
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_certificate_delivers_and_nobody_else_without_a_token() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().expect("a directory");
    let (ours, theirs) = (authority(), authority());
    let (cert, key) = leaf(&ours, "localhost", ExtendedKeyUsagePurpose::ServerAuth);
    let tls = tls_config(
        &write(dir.path(), "cert.pem", &cert),
        &write(dir.path(), "key.pem", &key),
        Some(&write(dir.path(), "clients.pem", &ours.pem)),
    )
    .expect("a good configuration");
    let known = |name: &str, role| (name.to_owned(), KnownClient { name: name.to_owned(), role });
    let clients = Clients::of(vec![
        known("am1.example.org", Role::Alerts),
        known("192.0.2.7", Role::Alerts),
        known("alice.example.org", Role::Operate),
    ])
    .expect("names");
    let listening = Listening::bind(([127, 0, 0, 1], 0).into(), Some((tls, clients))).await.expect("binds");
    let port = listening.address.port();
    let store = store::open(&dir.path().join("state"), Arc::new(Wall)).expect("opens");
    let receiver = Receiver {
        store: Arc::new(store),
        clock: Arc::new(Wall),
        bell: Arc::default(),
        intake: Arc::new(Intake::new(Limits::default(), Arc::default())),
        tokens: Tokens::default(),
        heard: Arc::new(|_| {}),
    };
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(listening, router(receiver), stop.clone()));

    let client = ExtendedKeyUsagePurpose::ClientAuth;
    let server = ExtendedKeyUsagePurpose::ServerAuth;
    for (shown, expected) in [
        (Some(leaf(&ours, "am1.example.org", client.clone())), Some(200)),
        (Some(leaf(&ours, "AM1.example.org", client.clone())), Some(200)),
        (Some(leaf(&ours, "192.0.2.7", client.clone())), Some(200)),
        // Known, and not for this.
        (Some(leaf(&ours, "alice.example.org", client.clone())), Some(401)),
        // Signed by our authority, and nobody we know.
        (Some(leaf(&ours, "am2.example.org", client.clone())), Some(401)),
        (Some(leaf(&ours, "am1.example.org.evil.example", client.clone())), Some(401)),
        (Some(leaf(&ours, "192.0.2.8", client.clone())), Some(401)),
        (None, Some(401)),
        // No certificate for clients, or by an authority that is not ours: not even heard.
        (Some(leaf(&ours, "am1.example.org", server)), None),
        (Some(leaf(&theirs, "am1.example.org", client)), None),
    ] {
        let shows = shown.is_some();
        let mut builder = Client::builder()
            .no_proxy()
            .tls_certs_only([Certificate::from_pem(ours.pem.as_bytes()).expect("PEM")]);
        if let Some((cert, key)) = shown {
            builder = builder.identity(Identity::from_pem(format!("{key}{cert}").as_bytes()).expect("PEM"));
        }
        let request =
            builder.build().expect("a client").post(format!("https://localhost:{port}/alerts/alertmanager"));
        let answer = request.body(r#"{"version":"4","alerts":[]}"#).send().await;
        assert_eq!(answer.ok().map(|a| a.status().as_u16()), expected, "shows a certificate: {shows}");
    }
    stop.cancel();
    serving.await.expect("ends");
}

#[test]
fn what_does_not_serve_as_an_authority_is_refused_with_its_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let ours = authority();
    let (cert, key) = leaf(&ours, "localhost", ExtendedKeyUsagePurpose::ServerAuth);
    let (cert, key) = (write(dir.path(), "cert.pem", &cert), write(dir.path(), "key.pem", &key));
    let empty = write(dir.path(), "empty.pem", "");
    let error = tls_config(&cert, &key, Some(&empty)).expect_err("no authority");
    assert!(error.to_string().contains("empty.pem"), "{error}");
    let nobody = KnownClient { name: "x".to_owned(), role: Role::Read };
    assert!(Clients::of(vec![("not a name".to_owned(), nobody)]).is_err());
}
