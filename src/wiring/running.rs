//! A service that runs: its clusters, and the one surface that they are reached through.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use pitlane::adapters::store::{self, SqliteFleet};
use pitlane::cli::{Exit, Stop};
use pitlane::config::{Config, Service};
use pitlane::ports::{Clock, Configuration};
use pitlane::telemetry::Metrics;
use pitlane::web::{self, Listening};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::standing::Standings;
use super::stored::{self, Stored};
use super::unit::{Common, Unit};
use super::{SystemClock, bells, failed, fleet, tls, unserved, usage};
use crate::reload::{self, Fixed, Reload};

/// After the signal: the running turns are finished, then everything ends.
const STOP_WITHIN: Duration = Duration::from_secs(20);

pub struct Running {
    pub address: SocketAddr,
    stop: CancellationToken,
    units: Arc<Vec<Unit>>,
    tasks: Vec<JoinSet<()>>,
}

/// What a fleet has beside its clusters.
#[derive(Clone)]
pub struct OfAll {
    /// Alerts that lead to no cluster are kept here. In a file, its lock is the fleet's.
    pub refused: Stored,
    pub metrics: Arc<Metrics>,
    /// Clusters that are not served, and why.
    pub broken: Arc<BTreeMap<String, String>>,
}

impl Running {
    /// `path`: the file that is read again when asked for.
    ///
    /// # Errors
    /// The state is not ours to use, the port is taken, or a matter of configuration. One cluster of a fleet whose state cannot be
    /// used does not stop the others: it is told, and not served.
    pub async fn start(service: Service, listen: SocketAddr, path: Option<PathBuf>) -> Result<Self, Stop> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let front = service.front();
        let metrics = match &service {
            Service::One(_) => Metrics::new(),
            Service::Fleet { .. } => Metrics::of_all(),
        };
        let metrics = Arc::new(metrics.map_err(|e| failed("metrics", e))?);
        let (desk, asked) = reload::desk(clock.now(), metrics.clone());
        let mut common = Common {
            clock: clock.clone(),
            pace: Arc::default(),
            configuration: path.is_some().then(|| desk.clone() as Arc<dyn Configuration>),
            desk,
            in_fleet: matches!(service, Service::Fleet { .. }),
            places: None,
            database: None,
            shelf: Default::default(),
            stop: CancellationToken::new(),
        };
        common.database = stored::database(front).await?.map(|database| {
            let standings = Standings::asked(database.clone(), common.stop.clone());
            (database, standings)
        });
        let mut opened = Vec::new();
        let of_all = match &service {
            Service::One(config) => {
                opened.push(Unit::open(config, metrics, &common)?);
                None
            }
            Service::Fleet { clusters, .. } => {
                let refused = match &common.database {
                    Some((database, _)) => stored::of_no_cluster(database, &clock)?,
                    None => {
                        let refused = of_all(front, &clock)?;
                        common.places = refused.fleet.clone();
                        refused
                    }
                };
                let (units, mut broken) = open_all(clusters, &common)?;
                broken.extend(unserved::left_behind(&front.state, clusters));
                opened = units;
                Some(OfAll { refused, metrics, broken: Arc::new(broken) })
            }
        };
        let (units, hooks): (Vec<Unit>, Vec<Router>) = opened.into_iter().unzip();
        let units = Arc::new(units);
        let stop = common.stop.clone();
        let speaks = tls(front)?;
        let listening = Listening::bind(listen, speaks)
            .await
            .map_err(|e| failed(&format!("listening on {listen}"), e))?;
        let address = listening.address;
        let (replace, router) = web::replaceable(fleet::surface(&service, &units, hooks, of_all.as_ref())?);
        if let Some(of_all) = &of_all {
            unserved::wake(&service, of_all, &stop)?;
            if let Some(places) = &of_all.refused.fleet {
                unserved::gone(&service, of_all, &**places, common.database.is_none()).await;
            }
        }
        let mut tasks: Vec<JoinSet<()>> = units.iter().map(|unit| unit.begin(&stop)).collect();
        if let Some((database, _)) = common.database {
            tokio::spawn(bells::listen(database, units.clone(), stop.clone()));
        }
        if let Some(path) = path {
            let (fixed, renewal) = (Fixed::of(&service), listening.renewal());
            let reload = Reload { path, fixed, units: units.clone(), of_all, clock, replace, renewal };
            tokio::spawn(reload.run(asked, stop.clone()));
        }
        let mut serving = JoinSet::new();
        serving.spawn(web::serve(listening, router, stop.clone()));
        tasks.push(serving);
        Ok(Self { address, stop, units, tasks })
    }

    /// Returns when every loop has begun to look for the first time.
    pub async fn first_look(&self) {
        for unit in self.units.iter() {
            // The loop holds the other end as long as it lives; one that is gone is told by its task.
            let _ = unit.begun.clone().wait_for(|begun| *begun).await;
        }
    }

    /// An effect that was asked for is not torn: the turns end first, if they end in time. If they do not, every step was
    /// written down before it was taken, as for any other death.
    pub async fn stop(self) -> Exit {
        self.stop.cancel();
        let ended = futures::future::join_all(self.tasks.into_iter().map(well));
        match tokio::time::timeout(STOP_WITHIN, ended).await {
            Ok(ended) if ended.iter().all(|well| *well) => Exit::Done,
            Ok(_) => Exit::Failed,
            Err(_) => {
                tracing::warn!("a turn did not end within {} s and is left behind", STOP_WITHIN.as_secs());
                Exit::Done
            }
        }
    }
}

/// All of them ended, and none by a panic.
async fn well(mut tasks: JoinSet<()>) -> bool {
    let mut well = true;
    while let Some(ended) = tasks.join_next().await {
        well &= ended.is_ok();
    }
    well
}

/// What the fleet's own directory holds. Whoever has it is the only one that serves this fleet.
fn of_all(front: &Config, clock: &Arc<dyn Clock>) -> Result<Stored, Stop> {
    store::fit(&front.state).map_err(|e| failed("the fleet's state", e))?;
    let refused =
        store::open(&front.state, clock.clone()).map_err(|e| failed("the fleet's state", e.chain()))?;
    let places = SqliteFleet::open(&front.state).map_err(|e| failed("the fleet's state", e.chain()))?;
    Ok(Stored::file(&refused, Some(Arc::new(places))))
}

type Opened = (Vec<(Unit, Router)>, BTreeMap<String, String>);

/// Every cluster whose state can be used.
fn open_all(clusters: &[Config], common: &Common) -> Result<Opened, Stop> {
    let (mut units, mut broken) = (Vec::new(), BTreeMap::new());
    for config in clusters {
        let name = config.cluster.clone().unwrap_or_default();
        let metrics = Metrics::of(Some(&name)).map_err(|e| failed("metrics", e))?;
        match Unit::open(config, Arc::new(metrics), common) {
            Ok(unit) => units.push(unit),
            Err(stop) if stop.exit == Exit::Usage => return Err(usage(format!("cluster {name}: {stop}"))),
            Err(stop) => {
                tracing::error!("cluster {name} is not served: {stop}");
                broken.insert(name, stop.text);
            }
        }
    }
    Ok((units, broken))
}
