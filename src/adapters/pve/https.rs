//! The production transport: reqwest over rustls.
//!
//! One client per endpoint, because each endpoint has its own list of pins. HTTP/1.1 only, as the server offers nothing
//! else. Proxies from the environment are ignored: the controller stands beside the cluster. Deadlines belong to
//! [`super::client`], which drops the call; here are only the limits that need the connection.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use super::{
    endpoint::Endpoint,
    error::PveError,
    tls::{Trust, client_config},
    transport::{HttpTransport, TransportError, chain},
};
use crate::adapters::pins::NotPinned;

/// The server closes an idle connection silently after 5 s; ours must be gone before.
const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(4);

/// Limits of a connection.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// A dead member refuses or is silent; the next one in the order is only asked after this.
    pub connect: Duration,
    /// Largest body that is read. `/cluster/resources` has about 450 bytes for each guest, so 32 MiB are 70,000 guests.
    pub body_bytes_max: usize,
}

impl Default for ConnectionLimits {
    fn default() -> ConnectionLimits {
        ConnectionLimits { connect: Duration::from_secs(3), body_bytes_max: 32 * 1024 * 1024 }
    }
}

/// A client, and where it goes when that was found rather than configured.
struct Found {
    client: reqwest::Client,
    at: Option<(SocketAddr, Trust)>,
}

/// HTTPS to the endpoints it was built for.
pub struct Https {
    clients: RwLock<BTreeMap<String, Found>>,
    limits: ConnectionLimits,
}

impl Https {
    /// # Errors
    /// [`PveError::Setup`] when the trust of an endpoint cannot be loaded.
    pub fn new<'a>(
        endpoints: impl IntoIterator<Item = (&'a Endpoint, &'a Trust)>,
        limits: ConnectionLimits,
    ) -> Result<Https, PveError> {
        // reqwest wants a process-wide default even when every client brings its own; a second call changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut clients = BTreeMap::new();
        for (endpoint, trust) in endpoints {
            let client = built(endpoint, None, trust, limits)?;
            clients.insert(endpoint.base.clone(), Found { client, at: None });
        }
        Ok(Https { clients: RwLock::new(clients), limits })
    }

    /// One more endpoint, whose name is not looked up: it listens at `at`. The same one again changes nothing.
    ///
    /// # Errors
    /// [`PveError::Setup`] when its trust cannot be loaded.
    pub(super) fn add(&self, endpoint: &Endpoint, at: SocketAddr, trust: &Trust) -> Result<(), PveError> {
        let known = |clients: &BTreeMap<String, Found>| {
            clients.get(&endpoint.base).is_some_and(|found| match &found.at {
                Some((there, trusted)) => *there == at && trusted == trust,
                None => true,
            })
        };
        if known(&self.clients.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        let client = built(endpoint, Some(at), trust, self.limits)?;
        let mut clients = self.clients.write().unwrap_or_else(PoisonError::into_inner);
        clients.insert(endpoint.base.clone(), Found { client, at: Some((at, trust.clone())) });
        Ok(())
    }

    fn client(&self, base: &str) -> Option<reqwest::Client> {
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        clients.get(base).map(|found| found.client.clone())
    }

    async fn read_body(
        &self,
        endpoint: &Endpoint,
        mut response: reqwest::Response,
    ) -> Result<http::Response<Bytes>, TransportError> {
        let limit = self.limits.body_bytes_max;
        let too_large = || TransportError::TooLarge { node: endpoint.node.clone(), limit };
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| explain(endpoint, e))? {
            if body.len() + chunk.len() > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        // `Into` keeps status, headers and extensions, among them the reason phrase; the body was read above.
        let (head, _) = http::Response::<reqwest::Body>::from(response).into_parts();
        Ok(http::Response::from_parts(head, body.freeze()))
    }
}

fn built(
    endpoint: &Endpoint,
    at: Option<SocketAddr>,
    trust: &Trust,
    limits: ConnectionLimits,
) -> Result<reqwest::Client, PveError> {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(client_config(trust)?)
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(limits.connect)
        .pool_idle_timeout(IDLE_CONNECTION_MAX)
        .pool_max_idle_per_host(2)
        .tcp_nodelay(true)
        .user_agent(concat!("pitlane/", env!("CARGO_PKG_VERSION")));
    let builder = match at {
        Some(at) => builder.resolve(&endpoint.node, at),
        None => builder,
    };
    builder.build().map_err(|e| PveError::Setup {
        what: format!("building the client for {endpoint}"),
        source: e.into(),
    })
}

#[async_trait]
impl HttpTransport for Https {
    async fn call(
        &self,
        endpoint: &Endpoint,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, TransportError> {
        let broken =
            |source: super::transport::Cause| TransportError::Broken { node: endpoint.node.clone(), source };
        let client =
            self.client(&endpoint.base).ok_or_else(|| broken("no client was built for it".into()))?;
        let (head, body) = request.into_parts();
        let url = format!("{}{}", endpoint.base, head.uri);
        let request = client.request(head.method, url).headers(head.headers).body(body);
        let response = request.send().await.map_err(|e| explain(endpoint, e))?;
        self.read_body(endpoint, response).await
    }
}

fn explain(endpoint: &Endpoint, error: reqwest::Error) -> TransportError {
    let node = endpoint.node.clone();
    let error = error.without_url();
    if let Some(observed) = not_pinned(&error) {
        return TransportError::WrongPin { node, observed };
    }
    if error.is_connect() {
        return TransportError::Connect { node, source: error.into() };
    }
    if was_closed(&error) {
        return TransportError::Closed { node, source: error.into() };
    }
    TransportError::Broken { node, source: error.into() }
}

fn not_pinned(error: &reqwest::Error) -> Option<String> {
    chain(error).find_map(|cause| {
        let rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) =
            cause.downcast_ref()?
        else {
            return None;
        };
        other.0.downcast_ref::<NotPinned>().map(|n| n.observed.to_string())
    })
}

fn was_closed(error: &reqwest::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    chain(error).any(|cause| {
        let by_hyper = cause.downcast_ref::<hyper::Error>().is_some_and(|e| {
            e.is_incomplete_message() || e.is_canceled() || e.is_closed() || e.is_body_write_aborted()
        });
        let by_kernel = cause.downcast_ref::<std::io::Error>().is_some_and(|e| {
            matches!(
                e.kind(),
                BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof
            )
        });
        by_hyper || by_kernel
    })
}
