//! Delivers what people are to be told: beside the turns, so that a slow mail server never holds up a migration.
//!
//! At least once, always under the same id: what was sent and not written down is sent again, and the other side knows
//! the id. It never gives up and never decides what is told or to whom. The kill switch does not stop it: who pulled
//! it wants to hear more, not less.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::tenure;
use crate::model::notice::{ChannelName, Notice, SILENT_TRIES, Undelivered};
use crate::model::seen::Trouble;
use crate::model::time::{Time, after, age};
use crate::ports::{AlwaysGood, Clock, Notifier, Outbox, Tenure};

/// A failed delivery is tried again after this, doubled each time …
const RETRY_FIRST: Duration = Duration::from_secs(5);
/// … up to this.
const RETRY_MAX: Duration = Duration::from_secs(300);
/// One delivery; every adapter keeps a shorter deadline of its own.
const DELIVERY_MAX: Duration = Duration::from_secs(60);
/// Above that one: a delivery says itself that it is late.
const CUT_AFTER: Duration = Duration::from_secs(2 * DELIVERY_MAX.as_secs());
/// Deliveries of one channel in one round. More wait for the next one, which follows at once. Counted for each, so that
/// a channel that is dead does not keep the living ones waiting.
const ROUND_MAX: usize = 50;
/// Without a ring it looks into the outbox so often: a lost ring costs this much.
const ROUND_EVERY: Duration = Duration::from_secs(30);

/// The courier of one cluster.
pub struct Courier {
    outbox: Arc<dyn Outbox>,
    /// Replaced between two deliveries when the configuration is read again.
    channels: watch::Sender<Arc<Channels>>,
    clock: Arc<dyn Clock>,
    /// Asked before each delivery.
    tenure: Arc<dyn Tenure>,
    /// Told of each delivery, for the numbers.
    heard: Heard,
}

/// The ways to people.
pub type Channels = BTreeMap<ChannelName, Arc<dyn Notifier>>;

/// What became of one delivery.
pub type Heard = Arc<dyn Fn(&ChannelName, &Result<(), Trouble>) + Send + Sync>;

impl Courier {
    pub fn new(outbox: Arc<dyn Outbox>, channels: Channels, clock: Arc<dyn Clock>, heard: Heard) -> Self {
        let (channels, tenure) = (watch::Sender::new(Arc::new(channels)), Arc::new(AlwaysGood));
        Self { outbox, channels, clock, tenure, heard }
    }

    /// Delivers only while this is good: another instance may have the cluster.
    pub fn under(self, tenure: Arc<dyn Tenure>) -> Self {
        Self { tenure, ..self }
    }

    /// From the next delivery on these channels count.
    pub fn replace(&self, channels: Channels) {
        self.channels.send_replace(Arc::new(channels));
    }

    /// Delivers everything that is due, the channels beside each other, each in the order in which it was written.
    ///
    /// # Errors
    /// The outbox could not be read; nothing was sent.
    pub async fn round(&self) -> Result<(), Trouble> {
        if !tenure::good(&*self.tenure) {
            return Ok(());
        }
        let now = self.clock.now();
        let mut due: BTreeMap<ChannelName, Vec<Undelivered>> = BTreeMap::new();
        for owed in self.outbox.undelivered().await?.into_iter().filter(|owed| is_due(owed, now)) {
            let channel = due.entry(owed.channel.clone()).or_default();
            if channel.len() < ROUND_MAX {
                channel.push(owed);
            }
        }
        join_all(due.into_iter().map(|(channel, owed)| self.channel(channel, owed))).await;
        Ok(())
    }

    /// Past the outbox, to these channels: for the one thing that cannot be written down. Who did not take it.
    pub async fn directly(&self, notice: &Notice, to: &BTreeSet<ChannelName>) -> BTreeSet<ChannelName> {
        let channels = Arc::clone(&self.channels.borrow());
        let each = to.iter().map(|name| {
            let channel = channels.get(name).cloned();
            async move {
                let sent = deliver(channel.as_ref(), name, notice).await;
                (self.heard)(name, &sent);
                if let Err(why) = &sent {
                    info!(notice.id = %notice.id, "notice {} did not reach {name}: {why}", notice.id);
                }
                sent.is_err().then(|| name.clone())
            }
        });
        join_all(each).await.into_iter().flatten().collect()
    }

    async fn channel(&self, name: ChannelName, owed: Vec<Undelivered>) {
        for Undelivered { notice, tries, .. } in owed {
            if !tenure::good(&*self.tenure) {
                return;
            }
            let channels = Arc::clone(&self.channels.borrow());
            let sending = deliver(channels.get(&name), &name, &notice);
            let Ok(sent) = tenure::within(&*self.tenure, CUT_AFTER, sending).await else {
                // Whoever leads now sends it again, under the same id.
                return;
            };
            (self.heard)(&name, &sent);
            match &sent {
                Ok(()) => debug!(notice.id = %notice.id, "notice {} reached {name}", notice.id),
                Err(why) if tries + 1 == SILENT_TRIES => {
                    warn!(notice.id = %notice.id, "notices do not reach {name}: {why}; it is tried on and on");
                }
                Err(why) => info!(notice.id = %notice.id, "notice {} did not reach {name}: {why}", notice.id),
            }
            let at = self.clock.now();
            if let Err(trouble) = self.outbox.delivered(&notice.id, &name, at, &sent).await {
                // It stays owed and is sent again, under the same id.
                warn!(notice.id = %notice.id, "the delivery of {} could not be written down: {trouble}", notice.id);
                return;
            }
            if matches!(sent, Err(Trouble::Unreachable(_) | Trouble::TooSlow(_))) {
                // Nobody is there: the others need not wait for the same deadline one by one.
                return;
            }
        }
    }

    /// Round after round until told to stop. A delivery that is under way then is torn, and made again by the next process.
    pub async fn run(&self, bell: Arc<Notify>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                ended = self.round() => if let Err(trouble) = ended {
                    warn!("the outbox could not be read: {trouble}");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = bell.notified() => {}
                () = tokio::time::sleep(self.pause().await) => {}
            }
        }
    }

    /// Until the next try is due; a round's while at most.
    async fn pause(&self) -> Duration {
        let now = self.clock.now();
        let owed = self.outbox.undelivered().await.unwrap_or_default();
        let next = owed.iter().map(|owed| age(due_at(owed), now)).min().unwrap_or(ROUND_EVERY);
        next.clamp(Duration::from_secs(1), ROUND_EVERY)
    }
}

async fn deliver(
    channel: Option<&Arc<dyn Notifier>>,
    name: &ChannelName,
    notice: &Notice,
) -> Result<(), Trouble> {
    let Some(channel) = channel else {
        return Err(Trouble::NotConfigured(format!("there is no channel {name} any more")));
    };
    tokio::time::timeout(DELIVERY_MAX, channel.send(notice)).await.unwrap_or_else(|_| {
        Err(Trouble::TooSlow(format!("no answer within {} s; it may have arrived", DELIVERY_MAX.as_secs())))
    })
}

fn due_at(owed: &Undelivered) -> Time {
    match owed.tries.checked_sub(1) {
        None => owed.at,
        Some(doubled) => {
            after(owed.at, RETRY_FIRST.saturating_mul(2_u32.saturating_pow(doubled)).min(RETRY_MAX))
        }
    }
}

fn is_due(owed: &Undelivered, now: Time) -> bool {
    owed.tries == 0 || now >= due_at(owed)
}
