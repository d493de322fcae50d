//! One cluster's service: its store, its loop, its couriers, its surface. A fleet is several of them in one process, which know
//! nothing of each other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pitlane::adapters::alertmanager;
use pitlane::adapters::store::{self, PostgresFleet, SqliteStore};
use pitlane::cli::Stop;
use pitlane::config::Config;
use pitlane::model::ids::ClusterName;
use pitlane::ports::{Clock, Configuration, Fleet};
use pitlane::reconcile::last_word;
use pitlane::telemetry::Metrics;
use pitlane::web;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::seat::{Seat, Term};
use super::standing::Standings;
use super::stored::{Shared, Stored, kept};
use super::{Lasting, copies, failed, lead, notify, outside, rights, tickets};
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
    /// There are several of them.
    pub in_fleet: bool,
    /// Their shared budgets, where they are in files.
    pub places: Option<Arc<dyn Fleet>>,
    /// Where several instances share what is remembered, and who of them looks after what.
    pub database: Option<(PostgresFleet, Standings)>,
    pub shelf: alertmanager::Shelf,
    pub stop: CancellationToken,
}

/// One cluster's service.
pub struct Unit {
    /// Its name in a fleet; `None`: there is but one cluster.
    pub name: Option<ClusterName>,
    pub lasting: Lasting,
    pub seat: Arc<Seat>,
    held: Held,
    /// Of the configuration that counts.
    cluster: Mutex<Cluster>,
    /// Says `true` when the first turn has begun.
    pub begun: watch::Receiver<bool>,
}

/// By which right it is looked after.
enum Held {
    /// The lock of its file, until the process ends.
    File(Term),
    /// A lease, whenever there is one.
    Lease(Shared, Standings),
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
        let name = common.in_fleet.then(|| config.cluster.as_deref().map(ClusterName::from)).flatten();
        let of =
            |what: &str| name.as_ref().map_or_else(|| what.to_owned(), |name| format!("{what} of {name}"));
        let shared = common.database.clone().map(|(database, standings)| {
            let cluster = ClusterName(config.cluster.clone().unwrap_or_default());
            let (clock, keep, in_fleet) = (common.clock.clone(), kept(config), common.in_fleet);
            (Shared { database, cluster, clock, keep, in_fleet }, standings)
        });
        let stored = match &shared {
            Some((shared, _)) => {
                store::nothing_left(&config.state).map_err(|e| failed(&of("the state"), e))?;
                shared.without_lease()?
            }
            None => Stored::file(&opened(config, common, &of("the state"))?, common.places.clone()),
        };
        let (meter, begun) = systemd::watched(metrics.clone());
        let lasting = Lasting {
            cluster: name.clone(),
            stored,
            shelf: common.shelf.clone(),
            clock: common.clock.clone(),
            metrics,
            meter,
            bell: Arc::new(Notify::new()),
            alerts_missed: Arc::default(),
            pace: common.pace.clone(),
            configuration: common.configuration.clone(),
        };
        let outside = outside(config, &lasting)?;
        if let Some(asked) = outside.asked() {
            let (desk, since) = (common.desk.clone(), common.desk.since());
            tokio::spawn(async move { desk.tickets_lack(since, tickets::lacks(&asked).await) });
        }
        let (hook, channels) = (outside.hook(), notify::channels(config, name.as_ref())?);
        let seat = Seat::new(lasting.clone(), outside, config.rules.clone(), channels);
        let held = match shared {
            Some((shared, standings)) => Held::Lease(shared, standings),
            None => {
                let term = seat.sit(lasting.stored.clone(), 0);
                copies::begin(config, &lasting, &term.reconciler, &common.stop)?;
                Held::File(term)
            }
        };
        let cluster = Cluster::of(config).into();
        Ok((Self { name, lasting, seat: Arc::new(seat), held, cluster, begun }, hook))
    }

    /// Where it is in a database that several instances share.
    pub fn shared(&self) -> Option<&Shared> {
        match &self.held {
            Held::Lease(shared, _) => Some(shared),
            Held::File(_) => None,
        }
    }

    /// The cluster of the configuration that counts.
    pub fn cluster(&self) -> MutexGuard<'_, Cluster> {
        // A panic elsewhere does not make a name wrong.
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its turns, and what goes on beside them.
    pub fn begin(&self, stop: &CancellationToken) -> JoinSet<()> {
        let seat = self.seat.clone();
        let span = self.lasting.span();
        tokio::spawn(rights::watch(seat.shown(), stop.clone()).instrument(span.clone()));
        let (shown, mouth, pages) = (seat.shown(), seat.mouth.clone(), {
            let seat = seat.clone();
            move || seat.pages()
        });
        let word = last_word::watch(shown, pages, mouth, self.lasting.clock.clone(), stop.clone());
        tokio::spawn(word.instrument(span));
        match &self.held {
            Held::File(term) => term.begin(&seat, stop),
            Held::Lease(shared, standings) => {
                let mut tasks = JoinSet::new();
                let (shared, standings) = (shared.clone(), standings.clone());
                tasks.spawn(lead::lead(shared, standings, seat, self.lasting.clone(), stop.clone()));
                tasks
            }
        }
    }
}

/// The state directory, held by this process.
fn opened(config: &Config, common: &Common, what: &str) -> Result<SqliteStore, Stop> {
    store::fit(&config.state).map_err(|e| failed(what, e))?;
    let store = store::open(&config.state, common.clock.clone()).map_err(|e| failed(what, e.chain()))?;
    store.keep(kept(config));
    Ok(store)
}
