//! From a body on the wire to durable episodes. It stores and rings; it never asks Proxmox and never decides.
//!
//! Alertmanager repeats what it thinks was not taken, and a 4xx for ever: so 200 as soon as the delivery is durable,
//! whatever it contains; 503 where it could not be stored; 413 only for what no genuine group can be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::parse::{Bad, NotADelivery, Parsed, parse};
use crate::model::seen::Trouble;
use crate::model::time::Time;
use crate::ports::{Inbox, Ingested};

/// Bigger bodies leave the async threads to be parsed: a millisecond of parsing is some hundred kilobytes.
const INLINE_MAX: usize = 256 * 1024;

/// What the intake may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of one body. 10,000 alerts in one group are 4.6 MB.
    pub body_bytes_max: usize,
    /// Of all bodies being taken in at this moment.
    pub in_flight_bytes_max: usize,
    /// For one body to arrive. Alertmanager itself gives a notification up after max(group_interval, 10 s).
    pub arrives_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 64 << 20,
            in_flight_bytes_max: 128 << 20,
            arrives_within: Duration::from_secs(30),
        }
    }
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: its alerts are durable; single ones that could not be read are kept for people.
    Stored(Ingested),
    /// 200: its alerts are durable, and Alertmanager left so many out (`max_alerts`). Those have to be asked for.
    Cut { told: Ingested, left_out: u64 },
    /// 200: nothing of it could be read; it is kept for people.
    Poison,
    /// 413: over the limit of one body.
    TooLarge,
    /// 503: too much is being taken in at this moment; or the sender broke off, or was too slow.
    NotNow(&'static str),
    /// 503: the store could not keep it.
    NotStored(Trouble),
}

/// The room that bodies in flight share.
#[derive(Debug)]
pub struct Intake {
    limits: Limits,
    room: Semaphore,
    missed: Arc<AtomicBool>,
}

impl Intake {
    /// `missed` is set when a delivery left alerts out: whoever asks Alertmanager should do so soon.
    pub fn new(limits: Limits, missed: Arc<AtomicBool>) -> Self {
        // The semaphore's own bound is far above any memory.
        let room = Semaphore::new(limits.in_flight_bytes_max.min(Semaphore::MAX_PERMITS));
        Self { limits, room, missed }
    }

    /// Bytes of the bodies being taken in at this moment.
    pub fn bytes_in_flight(&self) -> usize {
        self.limits.in_flight_bytes_max.saturating_sub(self.room.available_permits())
    }

    /// Takes one delivery in. `declared`: its Content-Length, if it has one.
    pub async fn take<S, E>(
        &self,
        store: &dyn Inbox,
        bell: &Notify,
        now: Time,
        declared: Option<u64>,
        body: S,
    ) -> Answer
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let collected =
            match tokio::time::timeout(self.limits.arrives_within, self.collect(declared, body)).await {
                Ok(collected) => collected,
                Err(_) => Err(Answer::NotNow("the body did not arrive in time")),
            };
        let answer = match collected {
            Ok((body, _room)) => self.keep(store, body, now).await,
            Err(refusal) => refusal,
        };
        log(&answer);
        // Before the bell: the turn that it starts must know.
        if matches!(answer, Answer::Cut { .. }) {
            self.missed.store(true, Ordering::SeqCst);
            bell.notify_one();
        }
        // Only for news: repetitions of what is known come every few seconds and must not make turns.
        if matches!(answer, Answer::Stored(told) if told.new + told.resolved > 0) {
            bell.notify_one();
        }
        answer
    }

    async fn collect<S, E>(
        &self,
        declared: Option<u64>,
        mut body: S,
    ) -> Result<(Vec<u8>, Vec<SemaphorePermit<'_>>), Answer>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let max = self.limits.body_bytes_max;
        let declared = declared.map_or(0, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        if declared > max {
            self.pour_away(0, body).await;
            return Err(Answer::TooLarge);
        }
        // All of it before the first byte: two bodies that each wait for the other's room would both fail late.
        let mut room = match self.reserve(declared) {
            Ok(room) => vec![room],
            Err(busy) => {
                self.pour_away(0, body).await;
                return Err(busy);
            }
        };
        let mut reserved = declared;
        let mut whole = Vec::with_capacity(declared.min(max));
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|_| Answer::NotNow("the sender broke off"))?;
            let size = whole.len() + chunk.len();
            if size > max {
                drop((whole, room));
                self.pour_away(size, body).await;
                return Err(Answer::TooLarge);
            }
            if size > reserved {
                // In steps, so that a body of tiny chunks does not hold a permit for each.
                let more = (size - reserved).max(64 * 1024).min(max - reserved);
                room.push(self.reserve(more)?);
                reserved += more;
            }
            whole.extend_from_slice(&chunk);
        }
        Ok((whole, room))
    }

    fn reserve(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Answer> {
        let busy = || Answer::NotNow("too much is being taken in at this moment");
        let bytes = u32::try_from(bytes).map_err(|_| busy())?;
        self.room.try_acquire_many(bytes).map_err(|_| busy())
    }

    /// Reads a body on without keeping it, up to four times the limit: a connection closed under a sender that is still
    /// writing is a broken pipe to it, and our answer is lost.
    async fn pour_away<S, E>(&self, had: usize, mut body: S)
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let mut poured = had;
        while poured < self.limits.body_bytes_max.saturating_mul(4) {
            match body.next().await {
                Some(Ok(chunk)) => poured += chunk.len(),
                Some(Err(_)) | None => break,
            }
        }
    }

    async fn keep(&self, store: &dyn Inbox, body: Vec<u8>, now: Time) -> Answer {
        let Some((body, read)) = read(body, now).await else {
            return Answer::NotNow("pitlane is stopping");
        };
        let parsed = match read {
            Ok(parsed) => parsed,
            Err(why) => {
                tracing::warn!("a delivery could not be read and is kept for people: {why}");
                return match store.poison(&body, &why.to_string(), now).await {
                    Ok(()) => Answer::Poison,
                    Err(trouble) => Answer::NotStored(trouble),
                };
            }
        };
        drop(body);
        self.keep_parsed(store, parsed, now).await
    }

    async fn keep_parsed(&self, store: &dyn Inbox, parsed: Parsed, now: Time) -> Answer {
        let Parsed { episodes, bad, truncated } = parsed;
        if truncated > 0 {
            tracing::warn!(
                truncated,
                "Alertmanager left {truncated} alerts out of a delivery; they are known only if it is asked \
                 (alertmanager: in pitlane's configuration): set its max_alerts to 0"
            );
        }
        if let Err(trouble) = keep_bad(store, &bad, now).await {
            return Answer::NotStored(trouble);
        }
        match store.ingest(episodes).await {
            Ok(told) if truncated > 0 => Answer::Cut { told, left_out: truncated },
            Ok(told) => Answer::Stored(told),
            Err(trouble) => Answer::NotStored(trouble),
        }
    }
}

fn log(answer: &Answer) {
    match answer {
        Answer::Stored(_) | Answer::Cut { .. } | Answer::Poison | Answer::TooLarge => {}
        Answer::NotNow(why) => tracing::warn!("a delivery was not taken in: {why}"),
        Answer::NotStored(trouble) => {
            tracing::error!("a delivery could not be stored, Alertmanager will repeat it: {trouble}");
        }
    }
}

/// `None`: the runtime ends, so nobody parses any more.
async fn read(body: Vec<u8>, now: Time) -> Option<(Vec<u8>, Result<Parsed, NotADelivery>)> {
    let small = body.len() <= INLINE_MAX;
    let parsing = move || {
        let read = parse(&body, now);
        (body, read)
    };
    if small { Some(parsing()) } else { tokio::task::spawn_blocking(parsing).await.ok() }
}

/// One row for all bad alerts of a body.
async fn keep_bad(store: &dyn Inbox, bad: &Bad, now: Time) -> Result<(), Trouble> {
    if bad.count == 0 {
        return Ok(());
    }
    tracing::warn!(alerts = bad.count, "{} alerts of a delivery could not be read: {}", bad.count, bad.why);
    store.poison(&bad.kept, &format!("{} alerts; the first: {}", bad.count, bad.why), now).await
}
