//! The configuration read again, at SIGHUP or when somebody asks for it.
//!
//! All of it or nothing: everything that the new files ask for is built first, and only when all of it could be built
//! does any of it count, from the next turn on. What is wrong is told in the log, as a metric and by `status`, and
//! changes nothing. What cannot change while the service runs is told, too.

mod another;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pitlane::adapters::tickets::Held;
use pitlane::cli::Stop;
use pitlane::config::file::LogFormat;
use pitlane::config::kept::BackupFile;
use pitlane::config::{self, Config};
use pitlane::model::shown::{InForce, RefusedConfig};
use pitlane::model::time::Time;
use pitlane::ports::{Configuration, Store as _};
use pitlane::reconcile::courier::{Channels, Courier};
use pitlane::reconcile::{Reconciler, World};
use pitlane::telemetry::Metrics;
use pitlane::web::{Clients, Renewal, Replace};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::systemd;
use crate::wiring::{self, Lasting, Outside};

pub use another::Cluster;

/// People who wait for an answer at once; more of them would learn the same.
const ASKING_MAX: usize = 4;
/// Reading some files ends sooner, unless their disk hangs. Below the surface's own deadline.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// What a running service cannot change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    listen: SocketAddr,
    speaks_tls: bool,
    state: PathBuf,
    log: LogFormat,
    backup: Option<BackupFile>,
}

impl Fixed {
    pub fn of(config: &Config) -> Self {
        Self {
            listen: config.http.listen,
            speaks_tls: config.http.tls.is_some(),
            state: config.state.clone(),
            log: config.log,
            backup: config.backup.clone(),
        }
    }

    /// The keys that differ.
    fn differs(&self, new: &Self) -> Vec<String> {
        [
            ("http.listen", self.listen != new.listen),
            ("http.tls (with or without it)", self.speaks_tls != new.speaks_tls),
            ("state", self.state != new.state),
            ("log", self.log != new.log),
            ("store.backup", self.backup != new.backup),
        ]
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(key, _)| key.to_owned())
        .collect()
    }
}

/// Where people ask, and where the answer stands.
pub struct Desk {
    ask: mpsc::Sender<oneshot::Sender<()>>,
    now: watch::Sender<InForce>,
    metrics: Arc<Metrics>,
}

/// What the reloading is asked through.
pub struct Asked {
    asked: mpsc::Receiver<oneshot::Sender<()>>,
    desk: Arc<Desk>,
}

pub fn desk(since: Time, metrics: Arc<Metrics>) -> (Arc<Desk>, Asked) {
    let (ask, asked) = mpsc::channel(ASKING_MAX);
    let now = InForce { since, needs_restart: Vec::new(), tickets_lack: Vec::new(), refused: None };
    metrics.configuration(&now);
    let desk = Arc::new(Desk { ask, now: watch::Sender::new(now), metrics });
    (desk.clone(), Asked { asked, desk })
}

impl Desk {
    /// What the ticket system lacked when it was asked for the configuration of that time. One that no longer counts is
    /// nobody's business any more.
    pub fn tickets_lack(&self, since: Time, lacks: Vec<String>) {
        self.now.send_if_modified(|now| {
            let ours = now.since == since;
            if ours {
                now.tickets_lack = lacks;
            }
            ours
        });
    }
}

#[async_trait]
impl Configuration for Desk {
    async fn reload(&self) -> InForce {
        let (answer, answered) = oneshot::channel();
        let asking = async {
            if self.ask.send(answer).await.is_ok() {
                let _ = answered.await;
            }
        };
        if tokio::time::timeout(ANSWER_WITHIN, asking).await.is_err() {
            tracing::warn!("the configuration is still being read after {} s", ANSWER_WITHIN.as_secs());
        }
        self.in_force()
    }

    fn in_force(&self) -> InForce {
        self.now.borrow().clone()
    }
}

/// Reads the configuration again, one time after the other.
pub struct Reload {
    pub path: PathBuf,
    pub fixed: Fixed,
    /// Of the configuration that counts.
    pub cluster: Mutex<Cluster>,
    pub lasting: Lasting,
    pub reconciler: Arc<Reconciler>,
    pub courier: Arc<Courier>,
    pub replace: Replace,
    pub renewal: Renewal,
}

/// Everything that a new configuration asks for.
struct Built {
    config: Config,
    world: World,
    tickets: Option<Arc<Held>>,
    channels: Channels,
    surface: axum::Router,
    tls: Option<(Arc<rustls::ServerConfig>, Clients)>,
}

impl Reload {
    /// Until `stop`.
    pub async fn run(self, mut asked: Asked, stop: CancellationToken) {
        let this = Arc::new(self);
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            tracing::error!(
                "SIGHUP cannot be heard; the configuration is read again by `pitlane reload` alone"
            );
            return;
        };
        loop {
            let answer = tokio::select! {
                () = stop.cancelled() => return,
                _ = hangup.recv() => None,
                Some(answer) = asked.asked.recv() => Some(answer),
            };
            systemd::reloading();
            this.clone().again(&asked.desk).await;
            systemd::ready();
            // Whoever asked may have gone.
            answer.map(|answer| answer.send(()));
        }
    }

    async fn again(self: Arc<Self>, desk: &Desk) {
        let this = self.clone();
        // Files are read: off the threads that serve.
        let built = tokio::task::spawn_blocking(move || this.build()).await;
        let now = self.lasting.clock.now();
        let before = desk.in_force();
        let in_force = match built {
            Ok(Ok(built)) => match self.of_another_cluster(&built.config).await {
                None => {
                    let asked = built.tickets.clone();
                    let mut in_force = self.take(built, now);
                    if let Some(asked) = asked {
                        in_force.tickets_lack = wiring::tickets_lack(&asked).await;
                    }
                    in_force
                }
                Some(mistake) => refused(before, now, vec![mistake]),
            },
            Ok(Err(mistakes)) => refused(before, now, mistakes),
            Err(error) => refused(before, now, vec![format!("reading it ended badly: {error}")]),
        };
        desk.metrics.configuration(&in_force);
        desk.now.send_replace(in_force);
    }

    fn cluster(&self) -> std::sync::MutexGuard<'_, Cluster> {
        // A panic elsewhere does not make a name wrong.
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why this configuration must not count while the cases that are open are.
    async fn of_another_cluster(&self, config: &Config) -> Option<String> {
        let what = self.cluster().turned_into(&Cluster::of(config))?;
        let what = format!("{}: {what}", self.path.display());
        match self.lasting.store.load().await {
            Ok(state) => another::refusal(&what, &state.cases),
            Err(trouble) => Some(format!("{what}, and whether a case is open cannot be read: {trouble}")),
        }
    }

    /// # Errors
    /// All mistakes, as lines.
    fn build(&self) -> Result<Built, Vec<String>> {
        let said = |stop: Stop| vec![stop.text];
        let config = config::load(&self.path)
            .map_err(|mistakes| mistakes.list().iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let Outside { world, hook, tickets } = wiring::outside(&config, &self.lasting).map_err(said)?;
        let tls = wiring::tls(&config).map_err(said)?;
        let surface = self.lasting.surface(&config, hook, &self.reconciler);
        let channels = wiring::channels(&config).map_err(said)?;
        Ok(Built { config, world, tickets, channels, surface, tls })
    }

    fn take(&self, built: Built, now: Time) -> InForce {
        *self.cluster() = Cluster::of(&built.config);
        let needs_restart = self.fixed.differs(&Fixed::of(&built.config));
        for hint in config::hints(&built.config) {
            tracing::warn!("{hint}");
        }
        self.reconciler.replace(built.world, built.config.rules);
        self.courier.replace(built.channels);
        self.replace.with(built.surface);
        if let Some((tls, clients)) = built.tls {
            self.renewal.with(tls, clients);
        }
        tracing::info!("the configuration was read again; it counts from the next turn on");
        for key in &needs_restart {
            tracing::warn!("{key} has changed; it counts only after a restart");
        }
        InForce { since: now, needs_restart, tickets_lack: Vec::new(), refused: None }
    }
}

fn refused(before: InForce, at: Time, mistakes: Vec<String>) -> InForce {
    tracing::error!("the configuration was read again and is wrong; the one from before still counts");
    for mistake in &mistakes {
        tracing::error!("{mistake}");
    }
    InForce { refused: Some(RefusedConfig { at, mistakes }), ..before }
}
