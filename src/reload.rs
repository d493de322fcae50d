//! The configuration read again, at SIGHUP or when somebody asks for it.
//!
//! All of it or nothing: everything that the new files ask for is built first, and only when all of it could be built
//! does any of it count, from the next turn on. What is wrong is told in the log, as a metric and by `status`, and
//! changes nothing. What cannot change while the service runs is told, too.

mod another;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use pitlane::cli::Stop;
use pitlane::config::file::LogFormat;
use pitlane::config::kept::{BackupFile, KeepFile};
use pitlane::config::{self, Config, Database, Service};
use pitlane::model::ids::ClusterName;
use pitlane::model::shown::{InForce, RefusedConfig};
use pitlane::model::time::Time;
use pitlane::model::wait_text::list;
use pitlane::ports::{Clock, Configuration};
use pitlane::reconcile::courier::Channels;
use pitlane::telemetry::Metrics;
use pitlane::web::{Clients, Renewal, Replace};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::systemd;
use crate::wiring::{self, OfAll, Outside, Unit};

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
    keep: KeepFile,
    database: Option<Database>,
    /// Of a fleet.
    clusters: Option<BTreeSet<String>>,
}

impl Fixed {
    pub fn of(service: &Service) -> Self {
        let front = service.front();
        let names = || service.clusters().iter().filter_map(|config| config.cluster.clone()).collect();
        Self {
            listen: front.http.listen,
            speaks_tls: front.http.tls.is_some(),
            state: front.state.clone(),
            log: front.log,
            backup: front.backup.clone(),
            keep: front.keep.clone(),
            database: front.database.clone(),
            clusters: matches!(service, Service::Fleet { .. }).then(names),
        }
    }

    /// The keys that differ, and count only after a restart.
    fn differs(&self, new: &Self) -> Vec<String> {
        [
            ("http.listen", self.listen != new.listen),
            ("http.tls (with or without it)", self.speaks_tls != new.speaks_tls),
            ("state", self.state != new.state),
            ("log", self.log != new.log),
            ("store.backup", self.backup != new.backup),
            ("store.keep", self.keep != new.keep),
            ("store.postgres", self.database != new.database),
        ]
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(key, _)| key.to_owned())
        .collect()
    }

    /// Why nothing of the new configuration can count while this process runs.
    fn other_clusters(&self, new: &Self) -> Option<String> {
        let (old, new) = match (&self.clusters, &new.clusters) {
            (None, None) => return None,
            (Some(old), Some(new)) => (old, new),
            (None, Some(_)) => {
                return Some(
                    "clusters: one cluster is served, and this is a fleet; restart pitlane".to_owned(),
                );
            }
            (Some(_), None) => {
                return Some(
                    "clusters: a fleet is served, and this is one cluster; restart pitlane".to_owned(),
                );
            }
        };
        let told =
            |what: &str, names: Vec<&String>| (!names.is_empty()).then(|| format!("{what} {}", list(names)));
        let new_ones = told("new are", new.difference(old).collect());
        let gone = told("gone are", old.difference(new).collect());
        let told: Vec<String> = new_ones.into_iter().chain(gone).collect();
        (!told.is_empty())
            .then(|| format!("clusters: {}; restart pitlane to serve these ones", told.join(", ")))
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
    /// When the configuration began to count that counts.
    pub fn since(&self) -> Time {
        self.now.borrow().since
    }

    /// What the ticket system lacked when it was asked for the configuration of that time. One that no longer counts is
    /// nobody's business any more.
    pub fn tickets_lack(&self, since: Time, lacks: Vec<String>) {
        self.now.send_if_modified(|now| {
            let ours = now.since == since;
            if ours {
                now.tickets_lack.extend(lacks);
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
    pub units: Arc<Vec<Unit>>,
    /// Of a fleet.
    pub of_all: Option<OfAll>,
    pub clock: Arc<dyn Clock>,
    pub replace: Replace,
    pub renewal: Renewal,
}

/// Everything that a new configuration asks for.
struct Built {
    service: Service,
    /// In the order of the units.
    units: Vec<BuiltUnit>,
    surface: axum::Router,
    tls: Option<(Arc<rustls::ServerConfig>, Clients)>,
}

struct BuiltUnit {
    config: Config,
    outside: Outside,
    channels: Channels,
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
        let now = self.clock.now();
        let before = desk.in_force();
        let in_force = match built {
            Ok(Ok(built)) => match self.of_other_clusters(&built.units).await {
                none if none.is_empty() => {
                    let asked: Vec<_> = built.units.iter().filter_map(|unit| unit.outside.asked()).collect();
                    let mut in_force = self.take(built, now);
                    for lacks in join_all(asked.iter().map(|asked| wiring::tickets_lack(asked))).await {
                        in_force.tickets_lack.extend(lacks);
                    }
                    in_force
                }
                mistakes => refused(before, now, mistakes),
            },
            Ok(Err(mistakes)) => refused(before, now, mistakes),
            Err(error) => refused(before, now, vec![format!("reading it ended badly: {error}")]),
        };
        desk.metrics.configuration(&in_force);
        desk.now.send_replace(in_force);
    }

    /// Why this configuration must not count while the cases that are open are.
    async fn of_other_clusters(&self, built: &[BuiltUnit]) -> Vec<String> {
        let mut mistakes = Vec::new();
        for (unit, new) in self.units.iter().zip(built) {
            let Some(what) = unit.cluster().turned_into(&Cluster::of(&new.config)) else { continue };
            let what = format!("{}: {what}", self.path.display());
            match unit.lasting.stored.store.load().await {
                Ok(state) => mistakes.extend(another::refusal(&what, &state.cases)),
                Err(trouble) => {
                    mistakes.push(format!("{what}, and whether a case is open cannot be read: {trouble}"))
                }
            }
        }
        mistakes
    }

    /// # Errors
    /// All mistakes, as lines.
    fn build(&self) -> Result<Built, Vec<String>> {
        let said = |stop: Stop| vec![stop.text];
        let service = config::serve(&self.path)
            .map_err(|mistakes| mistakes.list().iter().map(ToString::to_string).collect::<Vec<_>>())?;
        if let Some(what) = self.fixed.other_clusters(&Fixed::of(&service)) {
            return Err(vec![format!("{}: {what}", self.path.display())]);
        }
        let (mut units, mut hooks) = (Vec::new(), Vec::new());
        for unit in self.units.iter() {
            let name = unit.name.as_ref().map(ClusterName::as_str);
            let config = service.cluster(name).map_err(|text| vec![text])?.clone();
            let outside = wiring::outside(&config, &unit.lasting).map_err(said)?;
            let channels = wiring::channels(&config, unit.name.as_ref()).map_err(said)?;
            hooks.push(outside.hook());
            units.push(BuiltUnit { config, outside, channels });
        }
        let tls = wiring::tls(service.front()).map_err(said)?;
        let surface = wiring::surface(&service, &self.units, hooks, self.of_all.as_ref()).map_err(said)?;
        Ok(Built { service, units, surface, tls })
    }

    fn take(&self, built: Built, now: Time) -> InForce {
        let needs_restart = self.fixed.differs(&Fixed::of(&built.service));
        for hint in config::hints_of(&built.service) {
            tracing::warn!("{hint}");
        }
        for (unit, new) in self.units.iter().zip(built.units) {
            *unit.cluster() = Cluster::of(&new.config);
            unit.seat.replace(new.outside, new.config.rules, new.channels);
        }
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
