//! What a part says now, whatever the alerts say: one instant query to Prometheus (or whatever speaks its API).
//!
//! It must never call silence good. Every sample must be 1; no sample means that nobody sees the part, which is what
//! a hanging BMC and a pulled-out power supply look like.

mod template;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;

pub use template::BadQuery;

use crate::model::fault::FaultKey;
use crate::model::observed::Reading;
use crate::model::reach::{Call, Effect, System};
use crate::model::rules::SensorQuery;
use crate::model::seen::{Seen, Trouble};
use crate::model::time::{Time, after};
use crate::ports::{Clock, Sensors};

/// From the first packet to the last byte.
const LIMIT: Duration = Duration::from_secs(10);
/// An answer about one part has a few samples of some 300 bytes.
const BODY_MAX: usize = 1 << 20;
/// A reading from the future means that the clocks disagree, and then its age says nothing.
const AHEAD_MAX: Duration = Duration::from_secs(10);

/// Where to ask.
#[derive(Clone, Debug)]
pub struct PrometheusConfig {
    /// `https://prometheus.example:9090/` with the path prefix, if it has one.
    pub url: Url,
    pub bearer: Option<String>,
    /// Certificates (PEM) to believe; `None`: those of the machine.
    pub ca_pem: Option<Vec<u8>>,
}

/// Prometheus, asked for one part at a time.
pub struct Prometheus {
    client: Client,
    endpoint: Url,
    authorization: Option<reqwest::header::HeaderValue>,
    clock: Arc<dyn Clock>,
    limit: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum SensorError {
    #[error("{0}")]
    Query(#[from] BadQuery),
    #[error("the sensors' address {0} cannot be asked")]
    Url(Url),
    #[error("the sensors' token is not fit for a header")]
    Token,
    #[error("the certificates for the sensors cannot be read")]
    Ca(#[source] reqwest::Error),
    #[error("setting up the client for the sensors")]
    Client(#[source] reqwest::Error),
    #[error("asking for the sensor")]
    Http(#[source] reqwest::Error),
    #[error("the sensors gave no answer within {0:?}")]
    TooSlow(Duration),
    #[error("the sensors do not accept our token ({0})")]
    Unauthorised(StatusCode),
    #[error("the query was refused: {0}")]
    Refused(String),
    #[error("the sensors are not at work ({0})")]
    NotAtWork(StatusCode),
    #[error("the sensors' answer: {0}")]
    Garbled(String),
    #[error("no sample: nobody sees it")]
    NoSample,
    #[error("no query is configured")]
    NoQuery,
}

impl From<SensorError> for Trouble {
    fn from(error: SensorError) -> Self {
        let text = error.to_string();
        match error {
            SensorError::Query(_)
            | SensorError::Url(_)
            | SensorError::Token
            | SensorError::Ca(_)
            | SensorError::NoQuery
            | SensorError::Client(_) => Self::NotConfigured(text),
            // The cause may hold the whole address; the kind of failure is enough for a status line.
            SensorError::Http(source) if source.is_connect() => {
                Self::Unreachable("the sensors' Prometheus: no connection".to_owned())
            }
            SensorError::Http(_) | SensorError::NotAtWork(_) => Self::Unreachable(text),
            SensorError::TooSlow(_) => Self::TooSlow(text),
            SensorError::Unauthorised(_) | SensorError::Refused(_) => Self::Refused(text),
            SensorError::Garbled(_) => Self::Nonsense(text),
            // Not a fault of the way there: it answered, and there was nothing.
            SensorError::NoSample => Self::NoTrace(text),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Answer {
    status: String,
    data: Option<Data>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

#[derive(Debug, Deserialize)]
struct Sample {
    /// Seconds since 1970, and the number as text (`NaN` is no JSON number). Absent for native histograms.
    value: Option<(f64, String)>,
}

/// The one question.
const PATH: &str = "api/v1/query";

/// What pitlane can say to Prometheus.
pub fn statement() -> Vec<Call> {
    let ask = Call::new(System::Prometheus, "GET", format!("/{PATH}"), Effect::Read, "reading");
    vec![Call { parameters: ["query", "timeout"].map(str::to_owned).to_vec(), ..ask }]
}

impl Prometheus {
    /// # Errors
    /// A matter of configuration: the address, the token, the certificates.
    pub fn new(config: PrometheusConfig, clock: Arc<dyn Clock>) -> Result<Self, SensorError> {
        let mut endpoint = config.url;
        if !endpoint.path().ends_with('/') {
            endpoint.set_path(&format!("{}/", endpoint.path()));
        }
        let endpoint = endpoint.join(PATH).map_err(|_| SensorError::Url(endpoint.clone()))?;
        if !matches!(endpoint.scheme(), "http" | "https") {
            return Err(SensorError::Url(endpoint));
        }
        let mut client = Client::builder()
            // A token does not follow where an answer points to.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(LIMIT / 2)
            .pool_idle_timeout(Duration::from_secs(30));
        if let Some(pem) = config.ca_pem {
            let certs = reqwest::Certificate::from_pem_bundle(&pem).map_err(SensorError::Ca)?;
            client = client.tls_certs_only(certs);
        }
        let authorization = match config.bearer {
            None => None,
            Some(token) => {
                let mut value: reqwest::header::HeaderValue =
                    format!("Bearer {token}").parse().map_err(|_| SensorError::Token)?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let client = client.build().map_err(SensorError::Client)?;
        Ok(Self { client, endpoint, authorization, clock, limit: LIMIT })
    }

    /// All witnesses at once. One who cannot be asked may know something bad, so without him there is no good reading;
    /// one who does not see the part says nothing. Where the alert names the part and somebody can be asked for it by
    /// name, only he can call it good: all others of the node are well, too, when this one fell off the bus.
    async fn try_read(&self, fault: &FaultKey, query: &SensorQuery) -> Result<(Reading, Time), SensorError> {
        let named = |promql: &&String| !fault.component.is_empty() && template::names_the_part(promql);
        let by_name = query.promql.iter().any(|promql| named(&promql));
        let words = query.promql.iter().map(|promql| self.witness(fault, promql));
        let (mut good, mut blank, mut failed) = (None::<(Reading, Time)>, None, None);
        for (promql, word) in query.promql.iter().zip(futures::future::join_all(words).await) {
            match word {
                Ok((reading, at)) if !reading.good => return Ok((reading, at)),
                Ok(_) if by_name && !named(&promql) => blank = blank.or(Some(SensorError::NoSample)),
                Ok((reading, at)) => {
                    good = Some(match good {
                        None => (reading, at),
                        Some((first, old)) => {
                            let text = format!("{}, {}", first.text, reading.text);
                            (Reading { good: true, text }, old.min(at))
                        }
                    });
                }
                Err(why @ SensorError::NoSample) => blank = blank.or(Some(why)),
                // A witness who can only be asked for a part, and the alert names none. Alone he is of no use.
                Err(why @ SensorError::Query(BadQuery::NoComponent)) if query.promql.len() > 1 => {
                    blank = blank.or(Some(why));
                }
                Err(why) => failed = failed.or(Some(why)),
            }
        }
        match (failed, good) {
            (Some(why), _) => Err(why),
            (None, Some(reading)) => Ok(reading),
            (None, None) => Err(blank.unwrap_or(SensorError::NoQuery)),
        }
    }

    async fn witness(&self, fault: &FaultKey, promql: &str) -> Result<(Reading, Time), SensorError> {
        let promql = template::fill(promql, fault)?;
        let (status, body) = tokio::time::timeout(self.limit, self.fetch(&promql))
            .await
            .map_err(|_| SensorError::TooSlow(self.limit))??;
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(SensorError::Unauthorised(status));
            }
            // 400 and 422 carry a reason in the body; a proxy's page does not.
            status if status.is_server_error() => return Err(SensorError::NotAtWork(status)),
            _ => {}
        }
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|e| SensorError::Garbled(format!("no answer of Prometheus ({status}): {e}")))?;
        judge(answer, self.clock.now())
    }

    async fn fetch(&self, promql: &str) -> Result<(StatusCode, Vec<u8>), SensorError> {
        let mut request =
            self.client.get(self.endpoint.clone()).query(&[("query", promql), ("timeout", "8s")]);
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        let mut response = request.send().await.map_err(SensorError::Http)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(SensorError::Http)? {
            if body.len() + chunk.len() > BODY_MAX {
                return Err(SensorError::Garbled(format!("more than {BODY_MAX} bytes about one part")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((response.status(), body))
    }
}

/// Good only if every sample is; true when the oldest of them was.
fn judge(answer: Answer, now: Time) -> Result<(Reading, Time), SensorError> {
    let garbled = |why: &str| SensorError::Garbled(why.to_owned());
    if answer.status != "success" {
        let why = answer.error.unwrap_or_else(|| "it did not say why".to_owned());
        return Err(SensorError::Refused(why.chars().filter(|c| !c.is_control()).take(200).collect()));
    }
    // Several Prometheus behind one address warn so when one of them did not answer: half a look is none.
    if let Some(warning) = answer.warnings.first() {
        return Err(garbled(&format!("it warns: {}", warning.chars().take(200).collect::<String>())));
    }
    let data = answer.data.ok_or_else(|| garbled("it has no data"))?;
    if data.result_type != "vector" {
        return Err(garbled(&format!("the query gives a {}, not a vector", data.result_type)));
    }
    let samples: Vec<Sample> =
        serde_json::from_value(data.result).map_err(|e| garbled(&format!("its samples: {e}")))?;
    let (mut good, mut oldest) = (0_usize, None::<Time>);
    for sample in &samples {
        let Some((seconds, value)) = &sample.value else {
            return Err(garbled("a sample has no value"));
        };
        match value.parse::<f64>() {
            Ok(1.0) => good += 1,
            Ok(0.0) => {}
            _ => return Err(garbled(&format!("a sample is {value:?}; the query must give 1 or 0"))),
        }
        let at = instant(*seconds).ok_or_else(|| garbled("a sample has no sensible time"))?;
        if at > after(now, AHEAD_MAX) {
            return Err(garbled("a sample is of the future; the clocks disagree"));
        }
        oldest = Some(oldest.map_or(at, |old| old.min(at)));
    }
    let at = oldest.ok_or(SensorError::NoSample)?;
    let text = format!("{good} of {} samples good", samples.len());
    Ok((Reading { good: good == samples.len(), text }, at))
}

fn instant(seconds: f64) -> Option<Time> {
    let millis = (seconds * 1000.0).round();
    // The end of jiff's range, and of any sense.
    if !(0.0..2.5e14).contains(&millis) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked just above")]
    Time::from_millisecond(millis as i64).ok()
}

#[async_trait]
impl Sensors for Prometheus {
    /// Known at the sample's own time: an old answer, out of a cache, is stale by itself.
    async fn read(&self, fault: &FaultKey, query: &SensorQuery) -> Seen<Reading> {
        match self.try_read(fault, query).await {
            Ok((reading, at)) => Seen::known(reading, at),
            Err(error) => Trouble::from(error).into(),
        }
    }
}

#[cfg(test)]
mod tests;
