//! Between two turns: how long the loop rests, and what wakes it.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::model::time::Period;

use super::pulse::{self, Pulse};
use super::{Reconciler, glance};

/// A loop that waits says so at least so often.
const NAP: Duration = Duration::from_secs(10);

/// The first look waits for its place, and for nothing else: whoever rings has it at once.
pub(super) async fn first(wait: Duration, bell: &Notify, stop: &CancellationToken) {
    if wait.is_zero() {
        return;
    }
    tokio::select! {
        () = tokio::time::sleep(wait) => {}
        () = bell.notified() => {}
        () = stop.cancelled() => {}
    }
}

impl Reconciler {
    /// Quiet turns take their places among other clusters; a busy one is nobody's but its own.
    pub(super) fn pause(&self, pace: Period) -> Duration {
        let given = self.given();
        let quiet = pace == given.rules.limits.turn_quiet;
        if quiet { self.spread.pause(pace.0, given.world.clock.ran()) } else { pace.0 }
    }

    /// Nobody is under way, so nothing that ends could be missed.
    pub async fn idle(&self) -> bool {
        self.glance.lock().await.idle()
    }

    /// A moment's look between two turns: has a migration ended that ran? Then a turn is due.
    pub async fn glance(&self) -> bool {
        let mut glance = self.glance.lock().await;
        !glance.idle() && glance.look(self.given().world.pve.as_ref()).await
    }

    fn beat(&self, stop_max: Duration) {
        let now = Instant::now();
        let mut pulse = self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(what) = pulse.get_or_insert_with(|| Pulse::at(now)).beat(now, stop_max) {
            warn!("{what}");
        }
    }

    /// Sleeps, and says now and then that it only sleeps: a loop that hangs in a turn does not say so.
    pub(super) async fn rest(&self, pause: Duration) {
        // The turn before this took its time; that is no stop.
        self.beat(Duration::MAX);
        // A glance takes time, too: a node that does not answer must not stretch the turns.
        let end = tokio::time::Instant::now() + pause;
        loop {
            let given = self.given();
            given.world.meter.waits();
            self.beat(pulse::STOOD);
            let idle = self.idle().await;
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            tokio::time::sleep(left.min(if idle { NAP } else { glance::EVERY })).await;
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() || (!idle && self.glance().await) {
                self.beat(pulse::STOOD);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody waits for this hour: the test would.
    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_bell_has_the_first_look_at_once_and_so_has_an_end() {
        let (bell, stop) = (Notify::new(), CancellationToken::new());
        // Rung before anybody listens.
        bell.notify_one();
        first(HOUR, &bell, &stop).await;
        tokio::join!(first(HOUR, &bell, &stop), async { bell.notify_one() });
        tokio::join!(first(HOUR, &bell, &stop), async { stop.cancel() });
    }
}
