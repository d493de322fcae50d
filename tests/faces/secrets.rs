//! Every place that can hold a secret holds a marked one; then everything goes wrong, at the highest log level. Nothing
//! that the program writes may hold a mark: no log, no answer, no database, no exported turn.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::reload::left_open;
use super::running::{hash, until};
use super::{pitlane, said};

/// In each secret, and nowhere else.
const MARK: &str = "Sesame9f41c0";

/// How a stranger at one of our addresses behaves.
#[derive(Clone, Copy)]
enum Manner {
    /// "401", with a page that repeats what it was asked, secrets and all.
    Repeats,
    /// A mail server that dislikes every login.
    Mail,
    /// Closes the connection as it comes: to TLS a refusal.
    Closes,
}

/// A server of strangers on a port of its own; counts who came.
fn stranger(manner: Manner, tls: Option<Arc<rustls::ServerConfig>>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (at, met) = (listener.local_addr().expect("bound"), Arc::new(AtomicUsize::new(0)));
    let count = met.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (tls, count) = (tls.clone(), count.clone());
            std::thread::spawn(move || {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                match (manner, tls) {
                    (Manner::Closes, _) => {}
                    (Manner::Mail, _) => mail(stream, &count),
                    (Manner::Repeats, None) => repeat(stream, &count),
                    (Manner::Repeats, Some(tls)) => {
                        let Ok(session) = rustls::ServerConnection::new(tls) else { return };
                        repeat(rustls::StreamOwned::new(session, stream), &count);
                    }
                }
            });
        }
    });
    (at, met)
}

fn repeat(mut stream: impl Read + Write, count: &AtomicUsize) {
    let (mut asked, mut piece) = (Vec::new(), [0; 4096]);
    while !asked.windows(4).any(|w| w == b"\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(n @ 1..) => asked.extend_from_slice(&piece[..n]),
            _ => return,
        }
    }
    let heard = String::from_utf8_lossy(&asked);
    if heard.contains(MARK) || heard.contains(&basic(MARK)) {
        count.fetch_add(1, Ordering::SeqCst);
    }
    let page = format!("you said: {}", String::from_utf8_lossy(&asked));
    let head =
        format!("HTTP/1.1 401 Unauthorized\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", page.len());
    let _ = stream.write_all(format!("{head}{page}").as_bytes());
    let _ = stream.flush();
}

/// As `Authorization: Basic` has it, for the account that everybody has here; without padding.
fn basic(password: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes = format!("pitlane:{password}").into_bytes();
    let group = |three: &[u8]| {
        let all = three.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
        [18, 12, 6, 0].map(|shift| LETTERS[(all >> shift) as usize & 63] as char)
    };
    bytes.chunks_exact(3).flat_map(group).collect()
}

fn mail(mut stream: TcpStream, count: &AtomicUsize) {
    let _ = stream.write_all(b"220 mail ESMTP\r\n");
    let mut line = Vec::new();
    let mut byte = [0];
    while stream.read_exact(&mut byte).is_ok() {
        line.push(byte[0]);
        if byte[0] != b'\n' {
            continue;
        }
        let said = String::from_utf8_lossy(&line).into_owned();
        let answer = if said.starts_with("EHLO") {
            "250-mail\r\n250 AUTH PLAIN\r\n".to_owned()
        } else if said.starts_with("AUTH") {
            count.fetch_add(1, Ordering::SeqCst);
            format!("535 no: {said}")
        } else {
            "250 ok\r\n".to_owned()
        };
        let _ = stream.write_all(answer.as_bytes());
        line.clear();
    }
}

struct Scene {
    dir: tempfile::TempDir,
    /// Who has to have been shown a secret, and how often it was.
    met: Vec<(&'static str, Arc<AtomicUsize>)>,
    /// The secrets, and the lines of the private keys.
    secrets: Vec<String>,
}

fn scene() -> Scene {
    let dir = tempfile::tempdir().expect("a directory");
    let mut secrets = Vec::new();
    let write = |name: &str, text: &str| {
        fs::write(dir.path().join(name), text).expect("writable");
        fs::set_permissions(dir.path().join(name), PermissionsExt::from_mode(0o600)).expect("ours");
    };
    let mut secret = |name: &str| {
        let text = format!("{MARK}-{name}-0123456789");
        write(name, &format!("{text}\n"));
        secrets.push(text);
    };
    for name in ["prometheus", "alertmanager", "bmc", "hook", "webhook", "smtp", "rt", "operate", "guess"] {
        secret(name);
    }
    let pve = format!("{MARK}-pve-0123456789");
    write("pve", &format!("pitlane@pve!main={pve}\n"));
    write("keyring", &format!("[client.pitlane]\n\tkey = {MARK}+keyring==\n"));
    write(
        "hand",
        &format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{MARK}hand\n-----END OPENSSH PRIVATE KEY-----\n"),
    );
    write("known_hosts", "");
    let pair =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("made");
    write("cert.pem", &pair.cert.pem());
    let key = pair.signing_key.serialize_pem();
    write("key.pem", &key);
    secrets.extend(key.lines().filter(|line| !line.starts_with('-')).map(str::to_owned));
    let chain = vec![CertificateDer::from_pem_slice(pair.cert.pem().as_bytes()).expect("PEM")];
    let private = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|b| b.with_no_client_auth().with_single_cert(chain, private))
        .expect("they fit");
    let (pve, pve_met) = stranger(Manner::Repeats, Some(Arc::new(tls.clone())));
    let (redfish, redfish_met) = stranger(Manner::Repeats, Some(Arc::new(tls)));
    let (shut, _) = stranger(Manner::Closes, None);
    let plain: Vec<_> = (0..4).map(|_| stranger(Manner::Repeats, None)).collect();
    let (mail, mail_met) = stranger(Manner::Mail, None);
    let tokens = format!(
        "tokens:\n  - {{name: alice, role: operate, sha256: {}}}\n",
        hash(&format!("{MARK}-operate-0123456789"))
    );
    write("tokens.yaml", &tokens);
    let [prometheus, alertmanager, webhook, rt] = [0, 1, 2, 3].map(|i| plain[i].0);
    write(
        "pitlane.yaml",
        &format!(
            "name: lab
mode: approve
state: state
kill_file: stop
proxmox:
  endpoints:
    - {{node: pve1, url: \"https://{pve}\"}}
    - {{node: pve2, url: \"https://{shut}\"}}
  token_file: pve
  ca_file: cert.pem
hand:
  members: [{{node: pve1, address: 127.0.0.1, port: {}}}]
  key: hand
  known_hosts: known_hosts
ceph: {{setup: hyperconverged, client: {{keyring: keyring}}}}
prometheus: {{url: \"http://{prometheus}\", token_file: prometheus}}
alertmanager: {{urls: [\"http://{alertmanager}\"], user: pitlane, password_file: alertmanager}}
bmc:
  nodes:
    pve1: {{redfish: \"https://{redfish}\", user: pitlane, password_file: bmc, ca_file: cert.pem}}
    pve2: {{ipmi: 127.0.0.1, user: pitlane, password_file: bmc}}
tickets: {{kind: rt, url: \"http://{rt}/\", token_file: rt, queue: Hardware, hook_secret_file: hook}}
notify:
  channels:
    hook: {{webhook: \"http://{webhook}/\", token_file: webhook}}
    post: {{smtp: {{host: 127.0.0.1, port: {}, tls: none, user: pitlane, password_file: smtp, from: a@b.example, to: [c@b.example]}}}}
  page: [hook, post]
  tell: [hook, post]
http: {{listen: \"127.0.0.1:0\", tls: {{cert: cert.pem, key: key.pem}}, tokens_file: tokens.yaml}}
",
            shut.port(),
            mail.port(),
        ),
    );
    let met = vec![
        ("Proxmox", pve_met),
        ("Alertmanager", plain[1].1.clone()),
        ("the webhook", plain[2].1.clone()),
        ("Request Tracker", plain[3].1.clone()),
        ("mail", mail_met),
        ("the BMC", redfish_met),
    ];
    Scene { dir, met, secrets }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Everything below a directory but the secrets themselves.
fn written(dir: &Path) -> Vec<(PathBuf, String)> {
    let own = [
        "prometheus",
        "alertmanager",
        "bmc",
        "hook",
        "webhook",
        "smtp",
        "rt",
        "operate",
        "guess",
        "pve",
        "keyring",
        "hand",
        "key.pem",
    ];
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).expect("readable").map(|entry| entry.expect("an entry").path()) {
            let name = entry.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if entry.is_dir() && name != "bmc" {
                dirs.push(entry);
            } else if entry.is_dir() {
                // FreeIPMI takes its account from a file alone: for us alone to read.
                for account in fs::read_dir(&entry).expect("readable").map(|a| a.expect("an entry")) {
                    if account.path().extension().is_some_and(|e| e == "account") {
                        let mode = account.metadata().expect("there").permissions().mode();
                        assert_eq!(mode & 0o077, 0, "{}", account.path().display());
                    }
                }
            } else if !own.contains(&name.as_str()) {
                let bytes = fs::read(&entry).expect("readable");
                found.push((entry, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
    }
    found
}

#[test]
fn no_secret_is_ever_written_whatever_goes_wrong() {
    let Scene { dir, met, secrets } = scene();
    let mut answers: Vec<(String, String)> = Vec::new();
    let mut keep = |what: &str, (_, out, err): (i32, String, String)| {
        answers.push((what.to_owned(), format!("{out}{err}")))
    };

    // The channels and the ticket system, tried out by hand.
    let tried = pitlane(dir.path())
        .env("PITLANE_LOG", "trace")
        .args(["config", "check", "--send", "--config", "pitlane.yaml"])
        .output()
        .expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    keep("config check --send", (0, text(&tried.stdout), text(&tried.stderr)));

    // A controller is asked only for a case.
    left_open(dir.path(), &["pve1", "pve2"]);
    let log = dir.path().join("log");
    let file = fs::File::create(&log).expect("writable");
    let child = pitlane_running(dir.path()).stderr(file).stdout(Stdio::null()).spawn().expect("it starts");
    let mut running = Running(child);
    let logged = || fs::read_to_string(&log).unwrap_or_default();
    until("it serves", || logged().contains(" serves "));
    let port = logged()
        .split(" serves ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .map(|at| at.rsplit(':').next().unwrap_or_default().to_owned());
    let url = format!("https://localhost:{}", port.expect("an address"));
    let ask = |token: &str, words: &[&str]| {
        let at = ["--config", "pitlane.yaml", "--url", &url, "--ca-file", "cert.pem", "--token-file", token];
        said(dir.path(), &[&at[..], words].concat())
    };
    keep("a wrong token", ask("guess", &["status"]));
    keep("status", ask("operate", &["--json", "status"]));
    keep("check", ask("operate", &["--json", "check", "pve1"]));
    keep("drain", ask("operate", &["drain", "pve1", "--reason", "test", "--when-clear"]));
    keep("cases", ask("operate", &["--json", "cases"]));
    // A password in an address, and a token in place of its hash: refused, and told to everybody who asks.
    let good = fs::read_to_string(dir.path().join("pitlane.yaml")).expect("readable");
    let tokens = fs::read_to_string(dir.path().join("tokens.yaml")).expect("readable");
    for bad in [
        "https://root:SECRET@127.0.0.1:1",
        "http://root:SECRET@127.0.0.1:1",
        "https://root:SECRET@:x/",
        "SECRET@",
    ] {
        let bad = bad.replace("SECRET", &secrets[0]);
        let wrong: Vec<String> = good
            .lines()
            .map(|line| {
                if line.contains("node: pve2, url") {
                    format!("    - {{node: pve2, url: \"{bad}\"}}")
                } else {
                    line.to_owned()
                }
            })
            .collect();
        fs::write(dir.path().join("broken.yaml"), "").expect("writable");
        fs::write(dir.path().join("pitlane.yaml"), wrong.join("\n")).expect("writable");
        fs::write(
            dir.path().join("tokens.yaml"),
            format!("tokens: [{{name: x, role: read, sha256: {}}}]\n", secrets[0]),
        )
        .expect("writable");
        keep("reload", ask("operate", &["--json", "reload"]));
        keep("config check", said(dir.path(), &["config", "check", "--config", "pitlane.yaml"]));
        keep("status", ask("operate", &["status"]));
    }
    fs::write(dir.path().join("pitlane.yaml"), good).expect("writable");
    fs::write(dir.path().join("tokens.yaml"), tokens).expect("writable");
    // Everybody was asked, and shown what they had to be shown: else there is nothing to leak.
    let deadline = Instant::now() + Duration::from_secs(60);
    for (who, times) in &met {
        while times.load(Ordering::SeqCst) == 0 {
            assert!(Instant::now() < deadline, "{who} was never shown a secret");
            std::thread::yield_now();
        }
    }
    until("a turn has ended", || ask("operate", &["--json", "status"]).1.contains("\"turn_at\": \"2"));
    let observed = dir.path().join("observed.json");
    let exported = curl(&url, &secrets[7], "/api/v1/observed", dir.path());
    fs::write(&observed, &exported).expect("writable");
    answers.push(("observed".into(), exported));
    let ring = format!("/tickets/hook/{}", secrets[3]);
    assert!(curl(&url, "", &ring, dir.path()).starts_with("HTTP/1.1 204"), "the bell knows its secret");
    for path in ["/api/v1/journal", "/api/v1/cases/1", "/api/v1/owed", "/metrics"] {
        answers.push((path.into(), curl(&url, &secrets[7], path, dir.path())));
    }
    let explained = said(dir.path(), &["explain", "--observed", "observed.json", "--node", "pve1"]);
    answers.push(("explain".into(), format!("{}{}", explained.1, explained.2)));
    running.0.kill().expect("ours");
    running.0.wait().expect("ours");

    assert!(logged().contains("TRACE"), "it logged everything");
    assert!(
        answers.iter().any(|(what, text)| what == "observed" && text.contains("\"rules\"")),
        "{answers:?}"
    );
    let files = written(dir.path()).into_iter().map(|(path, text)| (path.display().to_string(), text));
    for (what, text) in files.chain(answers) {
        // As HTTP's Basic and as mail's PLAIN have it.
        let (http, smtp) = (basic(MARK), "U2VzYW1l");
        for needle in secrets.iter().map(String::as_str).chain([MARK, &http, smtp]) {
            if let Some(at) = text.find(needle) {
                let near: String =
                    text[..at].chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
                panic!("{what} holds a secret after …{near}");
            }
        }
    }
}

fn pitlane_running(dir: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("pitlane"));
    command.args(["run", "--config", "pitlane.yaml"]).env("PITLANE_LOG", "trace").current_dir(dir);
    command
}

/// One request with a token, over TLS: a GET, or the ringing of a bell.
fn curl(url: &str, token: &str, path: &str, dir: &Path) -> String {
    let mut roots = rustls::RootCertStore::empty();
    let pem = fs::read(dir.join("cert.pem")).expect("readable");
    roots.add(CertificateDer::from_pem_slice(&pem).expect("PEM")).expect("an authority");
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
    let method = if path.contains("hook") { "POST" } else { "GET" };
    let session = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().expect("a name"));
    let port = url.rsplit(':').next().expect("a port");
    let stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
    let mut stream = rustls::StreamOwned::new(session.expect("a session"), stream);
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
    )
    .expect("writable");
    let mut answer = Vec::new();
    // An end without TLS's goodbye is one all the same.
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    assert!(text.starts_with("HTTP/1.1 200") || path.contains("cases") || method == "POST", "{path}: {text}");
    text
}
