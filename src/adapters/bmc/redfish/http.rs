//! Questions to one controller, with limits on how many, how large and how deep.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use reqwest::header::{ACCEPT, ETAG, HeaderValue, IF_MATCH};
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde_json::Value;

use super::RedfishConfig;
use crate::adapters::bmc::error::BmcError;
use crate::adapters::bmc::trust::trust;

/// The two methods that a controller is ever spoken to with.
pub(super) const READ: Method = Method::GET;
pub(super) const CHANGE: Method = Method::PATCH;

/// One resource; the largest of a real machine (a collection with everything expanded) has some 200 KB.
const BODY_MAX: usize = 1 << 20;
/// Resources of one round: a machine with 60 drives has about 200.
const PAGES_MAX: usize = 400;
/// Pages of one collection.
const COLLECTION_PAGES_MAX: usize = 16;
/// A controller's processor is small.
const AT_ONCE: usize = 4;

pub(super) struct Http {
    client: Client,
    base: Url,
    user: String,
    password: String,
}

/// The questions of one look or list, counted.
pub(super) struct Round<'a> {
    http: &'a Http,
    pages: AtomicUsize,
}

impl Http {
    pub fn new(config: RedfishConfig) -> Result<Self, BmcError> {
        if !matches!(config.url.scheme(), "http" | "https") {
            return Err(BmcError::Address(config.url.to_string()));
        }
        // Whoever came first has installed it already; then this is nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            // An account does not follow where an answer points to.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(Duration::from_secs(4))
            .pool_idle_timeout(Duration::from_secs(20));
        let client = trust(client, &config.trust)?.build().map_err(BmcError::Client)?;
        Ok(Self { client, base: config.url, user: config.user, password: config.password })
    }

    pub fn round(&self) -> Round<'_> {
        Round { http: self, pages: AtomicUsize::new(0) }
    }
}

impl Round<'_> {
    /// A resource; `None` if there is none.
    pub async fn get(&self, path: &str) -> Result<Option<Value>, BmcError> {
        Ok(self.get_tagged(path).await?.map(|(value, _)| value))
    }

    async fn get_tagged(&self, path: &str) -> Result<Option<(Value, Option<HeaderValue>)>, BmcError> {
        if self.pages.fetch_add(1, Ordering::Relaxed) >= PAGES_MAX {
            return Err(BmcError::Garbled(format!("its tree has more than {PAGES_MAX} resources")));
        }
        let response = self.send(READ, path, None, None).await?;
        if matches!(
            response.status(),
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::METHOD_NOT_ALLOWED
        ) {
            return Ok(None);
        }
        let response = good(response, path)?;
        let tag = response.headers().get(ETAG).cloned();
        let body = body(response, path).await?;
        let value: Value = serde_json::from_slice(&body)
            .map_err(|e| BmcError::Garbled(format!("{path} is no JSON: {e}")))?;
        if !value.is_object() {
            return Err(BmcError::Garbled(format!("{path} is no resource")));
        }
        Ok(Some((value, tag)))
    }

    /// What a link leads to; `None` without a link, or if nothing is there.
    pub async fn follow(&self, link: &Value) -> Result<Option<Value>, BmcError> {
        match link["@odata.id"].as_str() {
            Some(path) => self.get(path).await,
            None => Ok(None),
        }
    }

    /// All members of the collection that a link leads to, in its order. No collection has no members; a member that is listed
    /// and cannot be read is an error.
    pub async fn members(&self, link: &Value) -> Result<Vec<Value>, BmcError> {
        let mut links = Vec::new();
        let mut page = self.follow(link).await?;
        for _ in 0..COLLECTION_PAGES_MAX {
            let Some(collection) = page else { return self.all(&links).await };
            links.extend(collection["Members"].as_array().into_iter().flatten().cloned());
            page = match collection["Members@odata.nextLink"].as_str() {
                Some(next) => self.get(next).await?,
                None => None,
            };
        }
        match page {
            None => self.all(&links).await,
            Some(_) => Err(BmcError::Garbled("a collection has too many pages".to_owned())),
        }
    }

    /// Every linked resource; they are listed, so they must be there.
    pub async fn all(&self, links: &[Value]) -> Result<Vec<Value>, BmcError> {
        let reads = links.iter().map(|link| async move {
            let path = link["@odata.id"].as_str().unwrap_or_default();
            let gone = || BmcError::Garbled(format!("{path:?} is listed and is not there"));
            self.follow(link).await?.ok_or_else(gone)
        });
        // Collected first: the compiler cannot yet tell that a closure's future may be sent.
        let reads: Vec<_> = reads.collect();
        stream::iter(reads).buffered(AT_ONCE).try_collect().await
    }

    /// Changes a resource. Controllers that guard against lost updates want the tag of what was read.
    pub async fn patch(&self, path: &str, change: &Value) -> Result<(), BmcError> {
        let tag = self.get_tagged(path).await?.and_then(|(value, tag)| {
            tag.or_else(|| value["@odata.etag"].as_str().and_then(|tag| tag.parse().ok()))
        });
        let response = self.send(CHANGE, path, Some(change), tag).await?;
        good(response, path).map(drop)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        change: Option<&Value>,
        tag: Option<HeaderValue>,
    ) -> Result<Response, BmcError> {
        // Links come from the controller: they may name another page of it, never another machine.
        if !path.starts_with('/') || path.starts_with("//") {
            return Err(BmcError::Garbled(format!("a link leads to {path:?}")));
        }
        let url =
            self.http.base.join(path).map_err(|_| BmcError::Garbled(format!("a link leads to {path:?}")))?;
        let mut request = self.http.client.request(method, url).header(ACCEPT, "application/json");
        request = request.header("OData-Version", "4.0");
        request = request.basic_auth(&self.http.user, Some(&self.http.password));
        if let Some(change) = change {
            request = request.json(change);
        }
        if let Some(tag) = tag {
            request = request.header(IF_MATCH, tag);
        }
        request
            .send()
            .await
            .map_err(|source| BmcError::Http { path: path.to_owned(), source: source.without_url() })
    }
}

fn good(response: Response, path: &str) -> Result<Response, BmcError> {
    let (path, status) = (path.to_owned(), response.status());
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(BmcError::Unauthorised { path, status }),
        status if status.is_success() => Ok(response),
        status => Err(BmcError::Status { path, status }),
    }
}

async fn body(mut response: Response, path: &str) -> Result<Vec<u8>, BmcError> {
    let mut body = Vec::new();
    let broken =
        |source: reqwest::Error| BmcError::Http { path: path.to_owned(), source: source.without_url() };
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > BODY_MAX {
            return Err(BmcError::Garbled(format!("{path} has more than {BODY_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
