//! The one seam between this adapter and the network.
//!
//! Production speaks HTTPS ([`super::https`]); contract tests answer from recordings. Everything above the seam
//! (endpoint order, retries, error classes, decoding) is the same in both. A transport makes one attempt at one endpoint:
//! it must never retry, follow redirects or choose another endpoint by itself.

use std::error::Error;

use async_trait::async_trait;
use bytes::Bytes;

use super::endpoint::Endpoint;

/// A cause from a library below us, kept for the error chain.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Sends one request to one endpoint.
#[async_trait]
pub trait HttpTransport: Send + Sync {
    /// The request's URI holds path and query only; the endpoint brings scheme, host and port.
    ///
    /// Proxmox puts the text of an error into the reason phrase, so an implementation must keep
    /// [`hyper::ext::ReasonPhrase`] in the extensions of the response.
    async fn call(
        &self,
        endpoint: &Endpoint,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, TransportError>;
}

/// Why no whole answer came back. What differs is whether the request may have reached the other side.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection; the request was certainly not sent.
    #[error("connecting to {node}")]
    Connect {
        node: String,
        #[source]
        source: Cause,
    },
    /// The other side showed a certificate that is not pinned; the request was certainly not sent.
    #[error(
        "{node} showed a certificate that is not pinned, SHA-256 {observed}; if it was renewed, pin this fingerprint"
    )]
    WrongPin { node: String, observed: String },
    /// The connection ended before the answer was complete. Idle connections are closed silently
    /// by the server after 5 s, so this happens to healthy clusters.
    #[error("{node} closed the connection before it had answered")]
    Closed {
        node: String,
        #[source]
        source: Cause,
    },
    /// The body is larger than the limit.
    #[error("{node} answers with more than {limit} bytes")]
    TooLarge { node: String, limit: usize },
    /// Anything else: bytes that are not HTTP, for example.
    #[error("talking to {node}")]
    Broken {
        node: String,
        #[source]
        source: Cause,
    },
}

impl TransportError {
    /// True when the other side cannot have seen the request, so that another endpoint may be tried even for an order.
    pub fn certainly_not_sent(&self) -> bool {
        matches!(self, TransportError::Connect { .. } | TransportError::WrongPin { .. })
    }

    /// The innermost cause, for people: "Connection refused", "invalid peer certificate: UnknownIssuer". The layers above it
    /// would add addresses.
    pub fn root_cause(&self) -> Option<String> {
        match self {
            TransportError::Connect { source, .. }
            | TransportError::Closed { source, .. }
            | TransportError::Broken { source, .. } => chain(source.as_ref()).last().map(ToString::to_string),
            TransportError::WrongPin { .. } | TransportError::TooLarge { .. } => None,
        }
    }
}

/// An error and all its causes.
pub(super) fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause| below(*cause))
}

/// An `io::Error` hides the error it wraps from `source()`, so it is opened here.
fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}
