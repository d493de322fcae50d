//! A server on loopback that speaks TLS and says exactly the bytes it is told to: proxies and old Perl code say things that
//! no well-behaved library would.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use pitlane::adapters::pve::Fingerprint;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// What the server does with one request.
#[derive(Clone)]
pub enum Act {
    /// These bytes, and the connection stays open.
    Say(String),
    /// These bytes, and the end of the connection.
    SayAndClose(String),
    Close,
    /// Nothing, until the client goes away.
    Silence,
    /// A body that does not end, after this head.
    Flood(String),
    /// Waits for a permit of [`Server::gate`], then answers.
    Gated(String),
}

type Script = dyn Fn(&Seen) -> Act + Send + Sync;

/// One request, as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The first line and the headers.
    pub head: String,
    /// Counted from 0.
    pub connection: usize,
    /// Counted from 0 on its connection.
    pub number: usize,
}

pub struct Server {
    pub url: String,
    pub fingerprint: Fingerprint,
    /// PEM of the authority that signed the server's certificate.
    pub authority: String,
    pub gate: Arc<Semaphore>,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    script: Box<Script>,
    seen: Mutex<Vec<Seen>>,
    now: AtomicUsize,
    most: AtomicUsize,
    flooded: AtomicUsize,
    gate: Arc<Semaphore>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    pub async fn start(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Server {
        Server::named("127.0.0.1:0", "127.0.0.1", script).await.expect("a free port")
    }

    /// At this address, with a certificate for this name. The port may be taken.
    pub async fn named(
        address: &str,
        name: &str,
        script: impl Fn(&Seen) -> Act + Send + Sync + 'static,
    ) -> std::io::Result<Server> {
        let (authority, leaf, key) = certificates(name);
        let fingerprint = Fingerprint::of(&leaf);
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![leaf], key)
            .expect("the key fits its certificate");
        let listener = TcpListener::bind(address).await?;
        let url = format!("https://{}", listener.local_addr().expect("bound"));
        let gate = Arc::new(Semaphore::new(0));
        let state = Arc::new(State {
            script: Box::new(script),
            seen: Mutex::default(),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            flooded: AtomicUsize::new(0),
            gate: gate.clone(),
        });
        let accepting = tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), state.clone()));
        Ok(Server { url, fingerprint, authority, gate, state, accepting })
    }

    /// Answers every request with these bytes.
    pub async fn saying(bytes: &str) -> Server {
        let act = Act::Say(bytes.to_owned());
        Server::start(move |_| act.clone()).await
    }

    /// When this returns nobody listens any more.
    pub async fn stop(&mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().expect("no panic while held").clone()
    }

    /// Requests being answered at this moment, and the most there ever were.
    pub fn in_flight(&self) -> (usize, usize) {
        (self.state.now.load(SeqCst), self.state.most.load(SeqCst))
    }

    /// Bytes of a flood that the client took.
    pub fn flooded(&self) -> usize {
        self.state.flooded.load(SeqCst)
    }
}

/// An answer as pveproxy writes it.
pub fn answer(status: u16, reason: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} {reason}\r\nServer: pve-api-daemon/3.0\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn certificates(name: &str) -> (String, CertificateDer<'static>, PrivateKeyDer<'static>) {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key).expect("signed").pem();
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec![name.to_owned()]).expect("a name or an address");
    let leaf = leaf.signed_by(&key, &Issuer::new(authority, authority_key)).expect("signed");
    (pem, leaf.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).expect("a key in PKCS 8"))
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, state: Arc<State>) {
    for connection in 0.. {
        let Ok((stream, _)) = listener.accept().await else { return };
        tokio::spawn(serve(stream, tls.clone(), state.clone(), connection));
    }
}

/// Ends when the client goes away or the script closes; the error has nobody to be told to.
async fn serve(stream: TcpStream, tls: TlsAcceptor, state: Arc<State>, connection: usize) -> Option<()> {
    let mut stream = tls.accept(stream).await.ok()?;
    for number in 0.. {
        let head = read_request(&mut stream).await?;
        let seen = Seen { head, connection, number };
        let act = (state.script)(&seen);
        state.seen.lock().expect("no panic while held").push(seen);
        state.most.fetch_max(state.now.fetch_add(1, SeqCst) + 1, SeqCst);
        let goes_on = perform(&mut stream, &act, &state).await;
        state.now.fetch_sub(1, SeqCst);
        if !goes_on {
            // Without TLS's own farewell, as a crashed worker would.
            return None;
        }
    }
    None
}

async fn perform(stream: &mut TlsStream<TcpStream>, act: &Act, state: &State) -> bool {
    match act {
        Act::Say(bytes) => stream.write_all(bytes.as_bytes()).await.is_ok() && stream.flush().await.is_ok(),
        Act::SayAndClose(bytes) => {
            let _ = stream.write_all(bytes.as_bytes()).await;
            let _ = stream.flush().await;
            false
        }
        Act::Close => false,
        Act::Silence => {
            let _ = stream.read_u8().await;
            false
        }
        Act::Flood(head) => {
            let mut open = stream.write_all(head.as_bytes()).await.is_ok();
            while open {
                open = stream.write_all(&[b' '; 4096]).await.is_ok();
                state.flooded.fetch_add(4096, SeqCst);
            }
            false
        }
        Act::Gated(bytes) => {
            let permit = state.gate.acquire().await.expect("never closed");
            permit.forget();
            stream.write_all(bytes.as_bytes()).await.is_ok() && stream.flush().await.is_ok()
        }
    }
}

/// The head; a body of known length is read and dropped.
async fn read_request(stream: &mut TlsStream<TcpStream>) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(bytes).ok()?;
    let length = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some(head)
}
