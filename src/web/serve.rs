//! The listener: TLS where configured, hard limits everywhere, and an orderly end.

use std::fs::File;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
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

use super::clients::AlertClients;

/// Connections at once; the rest waits in the kernel's queue.
const CONNECTIONS_MAX: usize = 512;
/// Whoever has not sent its headers or shaken hands by then is no client.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
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
    clients: AlertClients,
}

/// Renews the certificates of a listener that speaks TLS; connections that are open keep those from before.
#[derive(Clone)]
pub struct Renewal(watch::Sender<Option<Speaks>>);

impl Renewal {
    /// A listener without TLS stays without: what it speaks is fixed when it is bound.
    pub fn with(&self, tls: Arc<rustls::ServerConfig>, clients: AlertClients) {
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

    /// `tls`: what it speaks, and who may deliver alerts by certificate alone.
    ///
    /// # Errors
    /// The address is taken, or not ours.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<(Arc<rustls::ServerConfig>, AlertClients)>,
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
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let open = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listening.listener, &slots) => accepted,
        };
        let Some((stream, slot)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (speaks, router, stop) = (listening.speaks.borrow().clone(), router.clone(), stop.clone());
        open.spawn(async move {
            let _slot = slot;
            match speaks {
                None => connection(stream, router, stop).await,
                Some(Speaks { tls, clients }) => {
                    if let Ok(Ok(stream)) = tokio::time::timeout(HEADERS_WITHIN, tls.accept(stream)).await {
                        let router = match clients.known(stream.get_ref().1.peer_certificates()) {
                            Some(client) => router.layer(axum::Extension(client)),
                            None => router,
                        };
                        connection(stream, router, stop).await;
                    }
                }
            }
        });
    }
    drop(listening);
    open.close();
    let _ = tokio::time::timeout(STOP_WITHIN, open.wait()).await;
}

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            let _ = stream.set_nodelay(true);
            Some((stream, slot))
        }
        Err(error) => {
            tracing::warn!(error = %error, "accepting a connection: {error}");
            None
        }
    }
}

/// One connection. How it ends is the client's affair: a broken line is not worth a log line. At the end it finishes
/// the answer that it is giving.
async fn connection<S>(stream: S, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADERS_MAX_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
