//! Asking the service. Every call ends by itself; what goes wrong is told with what to do.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::args::Global;
use super::exit::{Exit, Stop};
use crate::config::{ServiceAddress, cluster_name};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Above the 20 s in which the service answers or gives up.
const ANSWER_WITHIN: Duration = Duration::from_secs(25);
/// A story of years is smaller.
const ANSWER_MAX: usize = 64 << 20;

pub struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    /// Asks the cluster that is meant; without a name, the only one there is.
    ///
    /// # Errors
    /// No address, no token, or files that cannot be read: usage.
    pub fn new(global: &Global) -> Result<Self, Stop> {
        let client = Self::of_the_fleet(global)?;
        let Some(cluster) = &global.cluster else { return Ok(client) };
        cluster_name(cluster).map_err(|text| Stop::new(Exit::Usage, text))?;
        Ok(Self { base: format!("{}/clusters/{cluster}", client.base), ..client })
    }

    /// Asks what is served, whichever clusters it has.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_the_fleet(global: &Global) -> Result<Self, Stop> {
        let usage = |text: String| Stop::new(Exit::Usage, text);
        let told = ServiceAddress::read(&global.config);
        let base = match (&global.url, &told) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Some(told)) => told.url(),
            (None, None) => {
                return Err(usage(format!(
                    "where is the service? There is no {}; write --url URL, or set PITLANE_URL",
                    global.config.display()
                )));
            }
        };
        let token = match &global.token {
            Some(token) => token.clone(),
            None => token_of(global.token_file.as_deref())?,
        };
        let trusted = global.ca_file.clone().or_else(|| told.and_then(|t| t.certificate));
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tls_backend_preconfigured(tls(trusted.as_deref())?)
            .build()
            .map_err(|e| Stop::new(Exit::Failed, format!("no HTTP client can be made: {e}")))?;
        Ok(Self { http, base, token })
    }

    /// # Errors
    /// As the service says, or that it does not answer.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Stop> {
        self.send(Method::GET, path, None::<&()>, None).await
    }

    /// The same key twice is one request.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        key: &str,
    ) -> Result<T, Stop> {
        self.send(Method::POST, path, Some(body), Some(key)).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        key: Option<&str>,
    ) -> Result<T, Stop> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let bytes = self.whole(response).await?;
        if !status.is_success() {
            return Err(said_no(status, &bytes));
        }
        serde_json::from_slice(&bytes).map_err(|error| {
            let text = format!(
                "{} answered what this pitlane does not understand ({error}); is it the same version?",
                self.base
            );
            Stop::new(Exit::Failed, text)
        })
    }

    /// The body, as long as it stays reasonable.
    async fn whole(&self, mut response: Response) -> Result<Vec<u8>, Stop> {
        let mut bytes = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            bytes.extend_from_slice(&part);
            if bytes.len() > ANSWER_MAX {
                return Err(Stop::new(Exit::Failed, "the answer is larger than 64 MiB"));
            }
        }
        Ok(bytes)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Stop {
        let mut why = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            why = cause.to_string();
            source = cause.source();
        }
        let slow = if error.is_timeout() { "did not answer in time" } else { "does not answer" };
        let text =
            format!("pitlane at {} {slow}: {why}. Does it run? Try `systemctl status pitlane`", self.base);
        Stop::new(Exit::Unseen, text)
    }
}

fn token_of(file: Option<&Path>) -> Result<String, Stop> {
    let usage = |text: String| Stop::new(Exit::Usage, text);
    let file = file.ok_or_else(|| {
        usage(
            "which token? Write --token-file FILE, or set PITLANE_TOKEN_FILE; FILE holds the token alone"
                .into(),
        )
    })?;
    let token = std::fs::read_to_string(file)
        .map_err(|e| usage(format!("the token file {} cannot be read: {e}", file.display())))?;
    let token = token.trim().to_owned();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(usage(format!("{} holds no token; it must be one line of plain text", file.display())));
    }
    Ok(token)
}

/// The service's own words, with the exit code that belongs to them.
fn said_no(status: StatusCode, body: &[u8]) -> Stop {
    let words = serde_json::from_slice::<serde_json::Value>(body).ok();
    let words =
        words.as_ref().and_then(|v| v["error"].as_str()).map_or_else(|| status.to_string(), str::to_owned);
    let exit = match status {
        // A wrong token is no verdict: a script must not read it as "this node may not leave".
        StatusCode::UNAUTHORIZED => Exit::Usage,
        StatusCode::FORBIDDEN => Exit::Refused,
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => Exit::Usage,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => Exit::Unseen,
        _ => Exit::Failed,
    };
    Stop::new(exit, words)
}

/// The system's authorities, and the one file that was named.
fn tls(trusted: Option<&Path>) -> Result<rustls::ClientConfig, Stop> {
    let usage = |text: String| Stop::new(Exit::Usage, text);
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = trusted {
        let wrong = |e: String| usage(format!("the certificate file {} cannot be used: {e}", file.display()));
        let pem = std::fs::read(file).map_err(|e| wrong(e.to_string()))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
            roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
        .map_err(|e| usage(format!("TLS cannot be set up: {e}")))
}
