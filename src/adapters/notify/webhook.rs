//! A notice as one POST of JSON, for whatever pages people: a gateway, a chat, a script.
//!
//! The notice's id travels as `Idempotency-Key`, so that whoever receives it twice can tell. A redirect is not followed:
//! a token does not go where an answer points to.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::model::notice::Notice;
use crate::model::seen::Trouble;
use crate::ports::Notifier;

/// From the first packet to the answer's head.
const LIMIT: Duration = Duration::from_secs(15);

/// Where to post.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    pub url: Url,
    pub bearer: Option<String>,
    /// Certificates (PEM) to believe; `None`: those of the machine.
    pub ca_pem: Option<Vec<u8>>,
    /// For tests; `None`: 15 s.
    pub limit: Option<Duration>,
}

/// One address that takes notices.
pub struct Webhook {
    client: Client,
    url: Url,
    authorization: Option<HeaderValue>,
    limit: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error("the webhook's token is not fit for a header")]
    Token,
    #[error("the certificates for the webhook cannot be read")]
    Ca(#[source] reqwest::Error),
    #[error("setting up the client for the webhook")]
    Client(#[source] reqwest::Error),
    #[error("no connection to the webhook")]
    NoConnection,
    #[error("the webhook broke off before it answered")]
    BrokenOff,
    #[error("the webhook gave no answer within {0:?}")]
    TooSlow(Duration),
    #[error("the webhook answered {0}")]
    Answered(StatusCode),
}

impl From<WebhookError> for Trouble {
    fn from(error: WebhookError) -> Self {
        let text = error.to_string();
        match error {
            WebhookError::Token | WebhookError::Ca(_) | WebhookError::Client(_) => Self::NotConfigured(text),
            WebhookError::NoConnection => Self::Unreachable(text),
            // The notice may have arrived; it is sent again under the same id.
            WebhookError::BrokenOff | WebhookError::TooSlow(_) => Self::TooSlow(text),
            WebhookError::Answered(status) if status.is_server_error() => Self::Unreachable(text),
            WebhookError::Answered(_) => Self::Refused(text),
        }
    }
}

impl Webhook {
    /// # Errors
    /// A matter of configuration: the token or the certificates.
    pub fn new(config: WebhookConfig) -> Result<Self, WebhookError> {
        let limit = config.limit.unwrap_or(LIMIT);
        let mut client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(limit / 2)
            // Notices are rare: a kept connection is a dead one by the next night.
            .pool_max_idle_per_host(0);
        if let Some(pem) = config.ca_pem {
            let certs = reqwest::Certificate::from_pem_bundle(&pem).map_err(WebhookError::Ca)?;
            client = client.tls_certs_only(certs);
        }
        let authorization = match config.bearer {
            None => None,
            Some(token) => {
                let mut value: HeaderValue =
                    format!("Bearer {token}").parse().map_err(|_| WebhookError::Token)?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let client = client.build().map_err(WebhookError::Client)?;
        Ok(Self { client, url: config.url, authorization, limit })
    }

    async fn post(&self, notice: &Notice) -> Result<(), WebhookError> {
        let mut request = self
            .client
            .post(self.url.clone())
            .timeout(self.limit)
            .header("Idempotency-Key", key(&notice.id.0))
            .json(&json!({
                "id": notice.id,
                "at": notice.at,
                "urgency": notice.urgency,
                "title": notice.title,
                "body": notice.body,
                "node": notice.node,
                "case": notice.case,
            }));
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        let response = request.send().await.map_err(|error| {
            if error.is_timeout() {
                WebhookError::TooSlow(self.limit)
            } else if error.is_connect() {
                WebhookError::NoConnection
            } else {
                WebhookError::BrokenOff
            }
        })?;
        // What it says beside the number is not read: it may be any page of any size.
        if response.status().is_success() { Ok(()) } else { Err(WebhookError::Answered(response.status())) }
    }
}

/// The id as a header's value: itself, or its hash where a label brought something that no header may hold.
fn key(id: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && c != '"';
    if id.len() <= 200 && id.chars().all(plain) {
        return id.to_owned();
    }
    Sha256::digest(id.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[async_trait]
impl Notifier for Webhook {
    async fn send(&self, notice: &Notice) -> Result<(), Trouble> {
        self.post(notice).await.map_err(Trouble::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_with_a_hostile_label_is_hashed() {
        assert_eq!(key("case-7/died"), "case-7/died");
        let hostile = key("fault/pve2/fan/FAN 3\r\nX-Evil: 1");
        assert_eq!(hostile.len(), 64);
        assert!(hostile.chars().all(|c| c.is_ascii_hexdigit()));
        assert_eq!(key(&"x".repeat(5000)).len(), 64);
    }
}
