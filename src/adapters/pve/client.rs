//! Puts a [`Call`] to the right member of the cluster, within the limits, and reads the answer.
//!
//! Flow: pick the endpoints that may be asked, in order → wait for one of the two places at the executing node → one
//! attempt → the next endpoint only when the request was certainly not sent → decode. Guarantees: an order is sent at most once;
//! every call ends within its deadline; the node being serviced is never the entry point. Caveat: an order that fails after it may
//! have been sent ends as [`PveError::OutcomeUnknown`], and somebody has to look.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::{
    classify::error_of,
    endpoint::Endpoint,
    error::PveError,
    request::{ApiToken, Call},
    transport::{HttpTransport, TransportError},
    wire::Envelope,
};

/// Bounds of every call.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For one call, all attempts together. Above the 30 s after which the contacted member gives up on the executing one:
    /// its 596 says more than our own impatience.
    pub deadline: Duration,
    /// Calls that one node executes for us at the same time. A node has three workers, handlers block, and
    /// people want to use its web page meanwhile.
    pub calls_per_node: usize,
    /// An endpoint that refused a connection is asked last for this long.
    pub unreachable_for: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            deadline: Duration::from_secs(35),
            calls_per_node: 2,
            unreachable_for: Duration::from_secs(30),
        }
    }
}

/// Which members may be asked.
#[derive(Debug, Clone, Default)]
pub struct Route {
    /// Nodes being serviced: they must not speak for the cluster.
    pub avoid: BTreeSet<String>,
    /// Ask this member and no other, for a second opinion or to pair readings of one round.
    pub only: Option<String>,
}

impl Route {
    /// Through any member but those being serviced.
    pub fn avoiding<N: Into<String>>(nodes: impl IntoIterator<Item = N>) -> Route {
        Route { avoid: nodes.into_iter().map(Into::into).collect(), only: None }
    }

    /// The same, but through this member alone.
    pub fn only_through(&self, node: &str) -> Route {
        Route { avoid: self.avoid.clone(), only: Some(node.to_owned()) }
    }

    /// Whether this endpoint may be asked.
    pub fn allows(&self, endpoint: &Endpoint) -> bool {
        !self.avoid.contains(&endpoint.node) && self.only.as_ref().is_none_or(|only| *only == endpoint.node)
    }
}

/// A decoded answer and who gave it.
#[derive(Debug, Clone)]
pub struct Answer<T> {
    pub value: T,
    /// Rows there are in all, when the answer was cut to a limit.
    pub total: Option<u64>,
    /// The member that was asked. Its quorum decides whether the answer counts.
    pub via: String,
}

/// One cluster's API.
pub struct Client {
    configured: Vec<Endpoint>,
    /// Configured ones first, then those that were found.
    endpoints: Mutex<Arc<[Endpoint]>>,
    transport: Arc<dyn HttpTransport>,
    token: ApiToken,
    limits: Limits,
    places: Mutex<BTreeMap<String, Arc<Semaphore>>>,
    unreachable: Mutex<BTreeMap<String, Instant>>,
}

impl Client {
    /// `endpoints` in the order of preference.
    pub fn new(
        endpoints: Vec<Endpoint>,
        transport: Arc<dyn HttpTransport>,
        token: ApiToken,
        limits: Limits,
    ) -> Client {
        Client {
            endpoints: Mutex::new(endpoints.clone().into()),
            configured: endpoints,
            transport,
            token,
            limits,
            places: Mutex::default(),
            unreachable: Mutex::default(),
        }
    }

    /// The members that can be asked: in the configured order, then those that were found.
    pub fn endpoints(&self) -> Arc<[Endpoint]> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on these can be asked beside the configured ones, and no others.
    pub(super) fn also(&self, found: Vec<Endpoint>) {
        let all: Vec<Endpoint> = self.configured.iter().cloned().chain(found).collect();
        *self.endpoints.lock().unwrap_or_else(PoisonError::into_inner) = all.into();
    }

    /// Puts the call and decodes its answer.
    ///
    /// # Errors
    /// See [`PveError`]; for an order, [`PveError::OutcomeUnknown`] whenever it may have been taken although no
    /// answer tells so.
    pub async fn run<T: DeserializeOwned>(
        &self,
        call: &Call<T>,
        route: &Route,
    ) -> Result<Answer<T>, PveError> {
        let Answer { value, via, .. } = self.read(call, route, |body| Envelope::<T>::read(body)).await?;
        Ok(Answer { value: value.data, total: value.total, via })
    }

    /// The same with a reading of its own, for an answer that is borrowed from its body. `read` tells what it cannot read.
    ///
    /// # Errors
    /// As [`Client::run`].
    pub async fn read<T, R>(
        &self,
        call: &Call<T>,
        route: &Route,
        read: impl FnOnce(&[u8]) -> Result<R, String>,
    ) -> Result<Answer<R>, PveError> {
        let (via, response) = self.fetch(call, route).await.map_err(|e| unknown_if_order(call, e))?;
        if !response.status().is_success() {
            return Err(unknown_if_order(call, error_of(&call.to_string(), &response)));
        }
        let value = read(response.body())
            .map_err(|what| unknown_if_order(call, PveError::Nonsense { call: call.to_string(), what }))?;
        Ok(Answer { value, total: None, via })
    }

    async fn fetch<T>(
        &self,
        call: &Call<T>,
        route: &Route,
    ) -> Result<(String, http::Response<Bytes>), PveError> {
        let until = Instant::now() + self.limits.deadline;
        let request = call.to_http(&self.token)?;
        let mut attempts = Vec::new();
        for endpoint in &self.in_order(route) {
            match self.attempt(call, &request, endpoint, until).await? {
                Ok(response) => {
                    self.mark(endpoint, None);
                    return Ok((endpoint.node.clone(), response));
                }
                Err(e) if e.certainly_not_sent() => {
                    self.mark(endpoint, Some(Instant::now() + self.limits.unreachable_for));
                    attempts.push(e);
                }
                Err(e) => return Err(connection_error(call, e)),
            }
        }
        let call = call.to_string();
        Err(if attempts.is_empty() {
            PveError::NobodyToAsk { call }
        } else {
            PveError::Unreachable { call, attempts }
        })
    }

    /// One endpoint: the outer error is ours and final, the inner one is the connection's.
    async fn attempt<T>(
        &self,
        call: &Call<T>,
        request: &http::Request<Bytes>,
        endpoint: &Endpoint,
        until: Instant,
    ) -> Result<Result<http::Response<Bytes>, TransportError>, PveError> {
        let too_slow = || PveError::TooSlow { call: call.to_string(), deadline: self.limits.deadline };
        let places = self.places_at(call.executes_on.as_ref().unwrap_or(&endpoint.node));
        // The place is waited for before anything is sent, so a full node is no unknown outcome.
        let Ok(place) = timeout_at(until, places.acquire()).await else {
            let why = TransportError::Connect {
                node: endpoint.node.clone(),
                source: "its places stayed taken".into(),
            };
            return Err(PveError::Unreachable { call: call.to_string(), attempts: vec![why] });
        };
        let _place = place.map_err(|_| too_slow())?; // the semaphore is never closed
        let send = || timeout_at(until, self.transport.call(endpoint, request.clone()));
        let first = send().await.map_err(|_| too_slow())?;
        // The server closes idle connections without a word; a read may be put again.
        if call.is_read() && matches!(first, Err(TransportError::Closed { .. })) {
            return send().await.map_err(|_| too_slow());
        }
        Ok(first)
    }

    /// The endpoints that may be asked; those that lately refused a connection come last, but come.
    fn in_order(&self, route: &Route) -> Vec<Endpoint> {
        let now = Instant::now();
        let mut endpoints: Vec<Endpoint> =
            self.endpoints().iter().filter(|e| route.allows(e)).cloned().collect();
        let unreachable = self.unreachable.lock().unwrap_or_else(PoisonError::into_inner);
        endpoints.sort_by_key(|e| unreachable.get(&e.base).is_some_and(|until| *until > now));
        endpoints
    }

    fn mark(&self, endpoint: &Endpoint, unreachable_until: Option<Instant>) {
        let mut unreachable = self.unreachable.lock().unwrap_or_else(PoisonError::into_inner);
        match unreachable_until {
            Some(until) => unreachable.insert(endpoint.base.clone(), until),
            None => unreachable.remove(&endpoint.base),
        };
    }

    fn places_at(&self, node: &str) -> Arc<Semaphore> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Semaphore::new(self.limits.calls_per_node));
        places.entry(node.to_owned()).or_insert_with(new).clone()
    }
}

fn connection_error<T>(call: &Call<T>, error: TransportError) -> PveError {
    let call = call.to_string();
    match error {
        TransportError::TooLarge { limit, .. } => PveError::TooLarge { call, limit },
        source => PveError::Connection { call, source },
    }
}

/// Turns an error after which an order may have been taken into the class that says so.
fn unknown_if_order<T>(call: &Call<T>, error: PveError) -> PveError {
    let may_have_been_taken = match &error {
        PveError::TooSlow { .. }
        | PveError::Connection { .. }
        | PveError::TooLarge { .. }
        | PveError::Nonsense { .. }
        | PveError::Proxy { .. } => true,
        // "got timeout" and the like come from below the call, when part of the work may be done.
        PveError::Refused { why, .. } => *why == super::Refusal::CephTimeout,
        _ => false,
    };
    if call.is_read() || !may_have_been_taken {
        return error;
    }
    PveError::OutcomeUnknown { call: call.to_string(), because: Box::new(error) }
}
