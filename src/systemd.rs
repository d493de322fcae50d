//! What the service manager is told: ready, alive, reading again, stopping. Without one nothing is told, and nothing
//! is different.
//!
//! The watchdog is fed by the loop alone: when it has looked, when it has taken a step, and while it waits for its
//! next turn. A loop that hangs is not fed, whatever else of the process still answers.

use std::sync::Arc;
use std::time::Duration;

use pitlane::model::seen::Trouble;
use pitlane::model::shown::Shown;
use pitlane::model::step::{Action, Outcome};
use pitlane::model::wait::Source;
use pitlane::ports::Meter;
use pitlane::telemetry::Metrics;
use sd_notify::NotifyState;
use tokio::sync::watch;

/// The numbers, and a sign of life beside each of them.
pub struct Watched {
    metrics: Arc<Metrics>,
    begun: watch::Sender<bool>,
}

/// The receiver says `true` when the first turn has begun.
pub fn watched(metrics: Arc<Metrics>) -> (Arc<Watched>, watch::Receiver<bool>) {
    let (begun, receiver) = watch::channel(false);
    (Arc::new(Watched { metrics, begun }), receiver)
}

impl Meter for Watched {
    fn begins(&self) {
        self.begun.send_replace(true);
        tell(&[NotifyState::Watchdog]);
    }

    fn waits(&self) {
        tell(&[NotifyState::Watchdog]);
    }

    fn turn(&self, took: Duration, shown: &Shown) {
        self.metrics.turn(took, shown);
        tell(&[NotifyState::Watchdog, NotifyState::Status(&status(shown))]);
    }

    fn look(&self, source: Source, outcome: Result<(), &Trouble>) {
        self.metrics.look(source, outcome);
        tell(&[NotifyState::Watchdog]);
    }

    fn step(&self, action: &Action, outcome: &Outcome) {
        self.metrics.step(action, outcome);
        tell(&[NotifyState::Watchdog]);
    }
}

/// One line of `systemctl status`.
fn status(shown: &Shown) -> String {
    match (shown.blind(), shown.state.cases.len()) {
        (Some(why), _) => format!("blind, the cluster cannot be seen: {}", why.kind()),
        (None, 1) => "1 open case".to_owned(),
        (None, n) => format!("{n} open cases"),
    }
}

/// The surface listens and the first look has begun.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The configuration is being read again; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        // Without the moment systemd would take the message for a mistake.
        Err(error) => tracing::warn!(error = %error, "the clock for systemd cannot be read: {error}"),
    }
}

fn tell(what: &[NotifyState]) {
    // Whoever started us may not listen any more; that is no reason to stop.
    if let Err(error) = sd_notify::notify(what) {
        tracing::debug!(error = %error, "the service manager was not told: {error}");
    }
}
