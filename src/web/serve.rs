//! The listener: TLS where configured, hard limits everywhere, and an orderly end.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::clients::Clients;
use super::pace::Peer;
use super::patient::Patient;

/// What a surface bears.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at once; the rest waits in the kernel's queue.
    pub connections_max: usize,
    /// Of them those of one address; one more is closed as it comes, so that one machine cannot shut out all others.
    pub per_address_max: usize,
    /// Whoever has not shaken hands or sent its headers by then is no client; also the rest between two requests.
    pub headers_within: Duration,
    /// Whoever takes not a byte of its answer for so long is cut off.
    pub stuck_for: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections_max: 512,
            per_address_max: 256,
            headers_within: Duration::from_secs(10),
            stuck_for: Duration::from_secs(30),
        }
    }
}

/// All headers of a request together; cookies and tokens fit many times.
const HEADERS_MAX_BYTES: usize = 32 << 10;
const HEADERS_MAX: usize = 64;
/// Running answers at the end have so long.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// After a failed accept (out of descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound listener, so that the address is known before the first client comes.
pub struct Listening {
    listener: TcpListener,
    speaks: watch::Sender<Option<Speaks>>,
    pub address: SocketAddr,
}

/// How a listener with TLS speaks, and whom it knows by certificate.
#[derive(Clone)]
struct Speaks {
    tls: TlsAcceptor,
    clients: Clients,
}

/// Renews the certificates of a listener that speaks TLS; connections that are open keep those from before.
#[derive(Clone)]
pub struct Renewal(watch::Sender<Option<Speaks>>);

impl Renewal {
    /// A listener without TLS stays without: what it speaks is fixed when it is bound.
    pub fn with(&self, tls: Arc<rustls::ServerConfig>, clients: Clients) {
        self.0.send_if_modified(|now| match now {
            Some(speaks) => {
                *speaks = Speaks { tls: TlsAcceptor::from(tls), clients };
                true
            }
            None => false,
        });
    }
}

impl Listening {
    pub fn renewal(&self) -> Renewal {
        Renewal(self.speaks.clone())
    }

    /// `tls`: what it speaks, and who needs no token.
    ///
    /// # Errors
    /// The address is taken, or not ours.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<(Arc<rustls::ServerConfig>, Clients)>,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let speaks = tls.map(|(tls, clients)| Speaks { tls: TlsAcceptor::from(tls), clients });
        Ok(Self { listener, speaks: watch::Sender::new(speaks), address })
    }
}

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum BadTls {
    #[error("reading {0}")]
    Read(String, #[source] rustls::pki_types::pem::Error),
    #[error("opening {0}")]
    Open(String, #[source] std::io::Error),
    #[error("{0} holds no certificate; it must be PEM")]
    NoCertificate(String),
    #[error("{0} does not serve as the authority of clients: {1}")]
    ClientCa(String, String),
    #[error("{0:?} is no name of a machine")]
    ClientName(String),
    #[error("certificate and key do not fit together")]
    Unfit(#[source] rustls::Error),
}

fn open(path: &Path) -> Result<BufReader<File>, BadTls> {
    File::open(path).map(BufReader::new).map_err(|e| BadTls::Open(path.display().to_string(), e))
}

/// All certificates of a PEM file; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, BadTls> {
    let all: Vec<CertificateDer<'static>> = CertificateDer::pem_reader_iter(open(path)?)
        .collect::<Result<_, _>>()
        .map_err(|e| BadTls::Read(path.display().to_string(), e))?;
    if all.is_empty() { Err(BadTls::NoCertificate(path.display().to_string())) } else { Ok(all) }
}

/// Certificate chain and key from PEM files. `client_ca`: the authority of clients that show a certificate.
///
/// # Errors
/// Says which file, and why.
pub fn tls_config(
    cert: &Path,
    key: &Path,
    client_ca: Option<&Path>,
) -> Result<Arc<rustls::ServerConfig>, BadTls> {
    let chain = certificates(cert)?;
    let key =
        PrivateKeyDer::from_pem_reader(open(key)?).map_err(|e| BadTls::Read(key.display().to_string(), e))?;
    let clients = match client_ca {
        Some(ca) => super::clients::verifier(ca)?,
        None => rustls::server::WebPkiClientVerifier::no_client_auth(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_client_cert_verifier(clients).with_single_cert(chain, key))
        .map_err(BadTls::Unfit)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Serves until `stop`, then lets running answers end for a few seconds.
pub async fn serve(listening: Listening, router: Router, stop: CancellationToken) {
    serve_within(Bounds::default(), listening, router, stop).await;
}

/// The same within bounds of one's own: for tests that cannot wait ten seconds.
pub async fn serve_within(bounds: Bounds, listening: Listening, router: Router, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(bounds.connections_max));
    let seats = Seats::default();
    let open = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listening.listener, &slots) => accepted,
        };
        let Some((stream, peer, slot)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Some(seat) = seats.take(peer, bounds.per_address_max) else { continue };
        let (speaks, stop) = (listening.speaks.borrow().clone(), stop.clone());
        let router = router.clone().layer(axum::Extension(peer));
        open.spawn(async move {
            let _held = (slot, seat);
            match speaks {
                None => connection(bounds, stream, router, stop).await,
                Some(Speaks { tls, clients }) => {
                    let shaken = tokio::time::timeout(bounds.headers_within, tls.accept(stream)).await;
                    if let Ok(Ok(stream)) = shaken {
                        let router = match clients.known(stream.get_ref().1.peer_certificates()) {
                            Some(client) => router.layer(axum::Extension(client)),
                            None => router,
                        };
                        connection(bounds, stream, router, stop).await;
                    }
                }
            }
        });
    }
    drop(listening);
    open.close();
    let _ = tokio::time::timeout(STOP_WITHIN, open.wait()).await;
}

/// Connections of each address that are open now. There are never more entries than connections.
#[derive(Clone, Default)]
struct Seats(Arc<Mutex<HashMap<Peer, usize>>>);

/// One of them; given back when it is dropped.
struct Seat {
    seats: Seats,
    peer: Peer,
}

impl Seats {
    fn take(&self, peer: Peer, max: usize) -> Option<Seat> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let here = taken.entry(peer).or_default();
        if *here >= max {
            return None;
        }
        *here += 1;
        Some(Seat { seats: self.clone(), peer })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.peer) {
            Some(here) if *here > 1 => *here -= 1,
            _ => drop(taken.remove(&self.peer)),
        }
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, from)) => {
            let _ = stream.set_nodelay(true);
            Some((stream, Peer::of(from.ip()), slot))
        }
        Err(error) => {
            tracing::warn!(error = %error, "accepting a connection: {error}");
            None
        }
    }
}

/// One connection. How it ends is the client's affair: a broken line is not worth a log line. At the end it finishes
/// the answer that it is giving.
async fn connection<S>(bounds: Bounds, stream: S, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.headers_within)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADERS_MAX_BYTES)
        .serve_connection(
            TokioIo::new(Patient::new(stream, bounds.stuck_for)),
            TowerToHyperService::new(router),
        );
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
