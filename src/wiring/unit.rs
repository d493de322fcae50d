//! One cluster's service: its store, its loop, its couriers, its surface. A fleet is several of them in one process, which know
//! nothing of each other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pitlane::adapters::{alertmanager, store};
use pitlane::cli::Stop;
use pitlane::config::Config;
use pitlane::model::ids::ClusterName;
use pitlane::ports::{Clock, Configuration, Fleet};
use pitlane::reconcile::courier::Courier;
use pitlane::reconcile::{Reconciler, Spread, last_word};
use pitlane::telemetry::Metrics;
use pitlane::web;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Lasting, Outside, copies, failed, notify, outside, rights, tickets};
use crate::reload::{Cluster, Desk};
use crate::systemd;

/// What the clusters of one process share.
#[derive(Clone)]
pub struct Common {
    pub clock: Arc<dyn Clock>,
    pub pace: Arc<web::Pace>,
    pub desk: Arc<Desk>,
    /// `None` where there is no file to be read again.
    pub configuration: Option<Arc<dyn Configuration>>,
    /// Where there are several of them.
    pub fleet: Option<Arc<dyn Fleet>>,
    pub shelf: alertmanager::Shelf,
    pub stop: CancellationToken,
}

/// One cluster's service.
pub struct Unit {
    /// Its name in a fleet; `None`: there is but one cluster.
    pub name: Option<ClusterName>,
    pub lasting: Lasting,
    pub reconciler: Arc<Reconciler>,
    pub courier: Arc<Courier>,
    /// Of the configuration that counts.
    cluster: Mutex<Cluster>,
    /// Says `true` when the first turn has begun.
    pub begun: watch::Receiver<bool>,
}

impl Unit {
    /// Store first: whoever does not hold the state must not look, let alone act. Also the surface of its ticket system.
    ///
    /// # Errors
    /// The state is not ours to use, or a matter of configuration.
    pub fn open(
        config: &Config,
        metrics: Arc<Metrics>,
        common: &Common,
    ) -> Result<(Self, axum::Router), Stop> {
        let name = common.fleet.is_some().then(|| config.cluster.as_deref().map(ClusterName::from)).flatten();
        let of =
            |what: &str| name.as_ref().map_or_else(|| what.to_owned(), |name| format!("{what} of {name}"));
        store::fit(&config.state).map_err(|e| failed(&of("the state"), e))?;
        let store = store::open(&config.state, common.clock.clone())
            .map_err(|e| failed(&of("the state"), e.chain()))?;
        store.keep(store::Keep {
            closed_cases: config.keep.closed_cases.map(|kept| kept.0),
            journal: config.keep.journal.map(|kept| kept.0),
        });
        let (meter, begun) = systemd::watched(metrics.clone());
        let lasting = Lasting {
            cluster: name.clone(),
            store,
            fleet: common.fleet.clone(),
            shelf: common.shelf.clone(),
            clock: common.clock.clone(),
            metrics,
            meter,
            bell: Arc::new(Notify::new()),
            alerts_missed: Arc::default(),
            pace: common.pace.clone(),
            configuration: common.configuration.clone(),
        };
        let Outside { world, hook, tickets: asked } = outside(config, &lasting)?;
        if let Some(asked) = asked {
            let (desk, since) = (common.desk.clone(), common.desk.since());
            tokio::spawn(async move { desk.tickets_lack(since, tickets::lacks(&asked).await) });
        }
        let spread = name.as_ref().map_or_else(Spread::default, |name| Spread::of(name.as_str()));
        let reconciler = Reconciler::new(world, config.rules.clone(), lasting.bell.clone());
        let reconciler = Arc::new(reconciler.spread(spread));
        copies::begin(config, &lasting, &reconciler, &common.stop)?;
        let courier = Arc::new(notify::courier(config, &lasting)?);
        let cluster = Cluster::of(config).into();
        Ok((Self { name, lasting, reconciler, courier, cluster, begun }, hook))
    }

    /// The cluster of the configuration that counts.
    pub fn cluster(&self) -> MutexGuard<'_, Cluster> {
        // A panic elsewhere does not make a name wrong.
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its turns, and what goes on beside them.
    pub fn begin(&self, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
        let (reconciler, courier) = (self.reconciler.clone(), self.courier.clone());
        tokio::spawn(rights::watch(reconciler.shown(), stop.clone()));
        tokio::spawn(last_word::watch(
            reconciler.clone(),
            courier.clone(),
            self.lasting.clock.clone(),
            stop.clone(),
        ));
        let delivering = {
            let (stop, bell) = (stop.clone(), reconciler.courier());
            tokio::spawn(async move { courier.run(bell, stop).await })
        };
        let span = match &self.name {
            Some(name) => tracing::info_span!("cluster", cluster.name = %name),
            None => tracing::Span::none(),
        };
        let turning = {
            let stop = stop.clone();
            tokio::spawn(tracing::Instrument::instrument(async move { reconciler.run(stop).await }, span))
        };
        vec![delivering, turning]
    }
}
