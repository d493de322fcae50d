//! In which order things start and stop.

mod bells;
mod copies;
mod fleet;
mod keep;
mod lead;
mod notify;
mod outside;
mod rights;
mod running;
mod seat;
mod standing;
mod stored;
mod tickets;
mod unit;
mod unserved;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use pitlane::adapters::alertmanager::{self, Answer, Intake, Receiver};
use pitlane::adapters::store;
use pitlane::cli::{
    self, Command, DiscoverArgs, Discovered, DrainArgs, Ended, Exit, Global, Local, Stop, StoreCommand,
    TicketsTold, Told,
};
use pitlane::config::file::LogFormat;
use pitlane::config::{self, Config, Service, Whereabouts};
use pitlane::model::access::{KnownToken, Role};
use pitlane::model::ids::{CaseId, ClusterName};
use pitlane::model::notice::ChannelName;
use pitlane::model::rights::TokenRights;
use pitlane::model::seen::Trouble;
use pitlane::model::time::Time;
use pitlane::ports::{Archive, Clock, Configuration};
use pitlane::telemetry::{self, Delivery, Lines, Metrics};
use pitlane::web::{self, Access, App, Clients};
use sha2::{Digest, Sha256};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tracing::level_filters::LevelFilter;

use running::Running;
use seat::Seat;
use stored::Stored;

use crate::{discover, systemd};

pub use fleet::surface;
pub use notify::channels;
pub use outside::{Outside, outside};
pub use running::OfAll;
pub use tickets::lacks as tickets_lack;
pub use unit::Unit;

/// The machine's clock.
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        // Whole milliseconds: what is dated by it is read by people and compared by machines, never to the nanosecond.
        let now = Time::now();
        Time::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}

/// The state on this machine, for the command line.
pub struct LocalState;

#[async_trait]
impl Local for LocalState {
    async fn archive(&self, state: &Whereabouts) -> Result<Arc<dyn Archive>, Trouble> {
        Ok(match state {
            Whereabouts::Dir(dir) => Arc::new(store::Reader::open(dir)?),
            Whereabouts::Database { database, cluster, .. } => {
                Arc::new(stored::reader(database, cluster).await?)
            }
        })
    }

    async fn verify(&self, state: &Whereabouts) -> Result<String, Trouble> {
        let head = match state {
            Whereabouts::Dir(dir) => store::Reader::open(dir)?.verify().await?,
            Whereabouts::Database { database, cluster, .. } => {
                stored::reader(database, cluster).await?.verify().await?
            }
        };
        let gone = match head.begins_after {
            0 => String::new(),
            last => format!(" Those up to number {last} were let go (store.keep)."),
        };
        Ok(format!(
            "The journal is whole: {} entries, the last one's hash is {}.{gone}",
            head.entries(),
            head.hash
        ))
    }

    async fn journal_lines(
        &self,
        state: &Whereabouts,
        case: Option<CaseId>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, String)>, Trouble> {
        Ok(match state {
            Whereabouts::Dir(dir) => store::Reader::open(dir)?.lines(case, after, limit).await?,
            Whereabouts::Database { database, cluster, .. } => {
                stored::reader(database, cluster).await?.lines(case, after, limit).await?
            }
        })
    }

    async fn store(&self, state: &Whereabouts, command: &StoreCommand) -> Result<Told, Stop> {
        keep::keep(state, command).await
    }

    async fn discover(&self, at: &DiscoverArgs) -> Result<Discovered, Stop> {
        discover::ask(at, Arc::new(SystemClock)).await
    }

    async fn test_channels(&self, config: &Config) -> Vec<(ChannelName, Result<(), Trouble>)> {
        notify::test(config).await
    }

    async fn test_rights(&self, config: &Config) -> Option<Result<TokenRights, Trouble>> {
        rights::ask(config, Arc::new(SystemClock)).await
    }

    fn calls(&self) -> Vec<pitlane::model::reach::Call> {
        pitlane::adapters::statement()
    }

    async fn test_tickets(&self, config: &Config) -> Option<TicketsTold> {
        let settings = config.tickets.as_ref()?;
        let told = tickets::survey(settings, Arc::new(SystemClock)).await;
        Some(TicketsTold { saw: told.saw, lacks: told.lacks })
    }
}

pub fn usage(text: impl Into<String>) -> Stop {
    Stop::new(Exit::Usage, text)
}

pub fn failed(what: &str, error: impl std::fmt::Display) -> Stop {
    Stop::new(Exit::Failed, format!("{what}: {error}"))
}

fn configured(global: &Global) -> Result<Service, Stop> {
    config::serve(&global.config).map_err(|mistakes| usage(mistakes.to_string()))
}

/// `pitlane run`: until SIGTERM or SIGINT. SIGHUP reads the configuration again.
pub async fn service(global: &Global) -> Ended {
    let service = configured(global)?;
    start_logging(service.front(), global, LevelFilter::INFO);
    for hint in config::hints_of(&service) {
        tracing::warn!("{hint}");
    }
    let listen = service.front().http.listen;
    let running = Running::start(service, listen, Some(global.config.clone())).await?;
    tracing::info!("pitlane {} serves {}", env!("CARGO_PKG_VERSION"), running.address);
    let signalled = async {
        running.first_look().await;
        systemd::ready();
        wait_for_signal().await
    };
    tokio::select! {
        signal = wait_for_signal() => signal?,
        signal = signalled => signal?,
    }
    systemd::stopping();
    tracing::info!("stopping: the running turn is finished first");
    Ok(running.stop().await)
}

/// `drain --standalone`: the same service on a loopback port, for one drain, asked through its own front door.
pub async fn drain_here(global: &Global, args: &DrainArgs) -> Ended {
    let mut config = configured(global)?.cluster(global.cluster.as_deref()).map_err(usage)?.clone();
    start_logging(&config, global, LevelFilter::WARN);
    let token = one_time_token();
    let name = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    let sha256 = Sha256::digest(token.as_bytes()).into();
    config.http.tokens = vec![KnownToken { name, role: Role::Operate, sha256, clusters: None }];
    config.http.tls = None;
    if config.database.is_some() {
        return Err(usage(
            "the state is in a database that instances share, so the cluster is drained by the one that looks after it: drain \
             without --standalone",
        ));
    }
    // Its budgets beside other clusters are kept by the fleet's process, which would have to be stopped for this.
    if config.rules.shared.is_some() {
        return Err(usage(
            "this cluster shares budgets with others, so it is drained by their service: drain without --standalone",
        ));
    }
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let running = Running::start(Service::One(Box::new(config)), listen, None).await?;
    let url = Some(format!("http://{}", running.address));
    let here = Global { url, token: Some(token), cluster: None, ..global.clone() };
    let mut args = args.clone();
    args.wait.wait = true;
    let drain = Command::Drain(args);
    let exit = tokio::select! {
        exit = cli::run(&here, &drain, &LocalState) => exit,
        signal = wait_for_signal() => signal.map(|()| Exit::Waiting)?,
    };
    running.stop().await;
    if exit == Exit::Done {
        // A closed pipe is the reader's choice.
        let _ = writeln!(
            std::io::stderr(),
            "The node stays out until `pitlane run` is told that the work is done."
        );
    }
    Ok(exit)
}

fn start_logging(config: &Config, global: &Global, level: LevelFilter) {
    let lines = match global.log_format.unwrap_or(config.log) {
        LogFormat::Text => Lines::Text,
        LogFormat::Json => Lines::Json,
    };
    telemetry::start(lines, level);
}

fn one_time_token() -> String {
    let mut bytes = [0; 32];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).expect("an operating system without randomness cannot do TLS either");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn wait_for_signal() -> Result<(), Stop> {
    let listen = |kind| signal(kind).map_err(|e| failed("signals cannot be heard", e));
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}

/// What stays when the configuration is read again.
#[derive(Clone)]
pub struct Lasting {
    /// Its name in a fleet; `None`: there is but one cluster.
    pub cluster: Option<ClusterName>,
    /// As long as this instance has no other right to it, for reading and taking in.
    pub stored: Stored,
    /// Whose alerts are whose, where there are other clusters.
    pub shelf: alertmanager::Shelf,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub meter: Arc<systemd::Watched>,
    pub bell: Arc<Notify>,
    /// Alertmanager left alerts out of a delivery: the next poll is due at once.
    pub alerts_missed: Arc<AtomicBool>,
    pub pace: Arc<web::Pace>,
    pub configuration: Option<Arc<dyn Configuration>>,
}

impl Lasting {
    /// Lines of the log say in it which cluster of a fleet they are about.
    pub fn span(&self) -> tracing::Span {
        match &self.cluster {
            Some(name) => tracing::info_span!("cluster", cluster.name = %name),
            None => tracing::Span::none(),
        }
    }

    /// The operators' surface and the webhook, as this configuration wants them.
    pub fn surface(&self, config: &Config, hook: axum::Router, seat: &Arc<Seat>) -> axum::Router {
        let alerts = alerts(config, self);
        let app = App {
            cluster: self.cluster.clone(),
            store: self.stored.store.clone(),
            archive: self.stored.archive.clone(),
            shown: seat.shown(),
            looker: seat.clone(),
            clock: self.clock.clone(),
            rules: Arc::new(config.rules.clone()),
            bell: self.bell.clone(),
            registry: self.metrics.registry(),
            access: Arc::new(Access::new(config.http.tokens.clone(), config.http.tls.is_some())),
            pace: self.pace.clone(),
            configuration: self.configuration.clone(),
            needed_rights: &pitlane::decide::NEEDED_PRIVILEGES,
        };
        web::router(app, alerts.merge(hook))
    }
}

/// The receiver of alerts, and whoever counts its answers.
fn alerts(config: &Config, lasting: &Lasting) -> axum::Router {
    let Lasting { stored, clock, metrics, bell, alerts_missed, .. } = lasting.clone();
    let intake = Arc::new(Intake::new(alertmanager::Limits::default(), alerts_missed));
    let here = |token: &&KnownToken| match (&token.clusters, &lasting.cluster) {
        (Some(only), Some(cluster)) => only.contains(cluster),
        _ => true,
    };
    let of_alerts = config.http.tokens.iter().filter(|token| token.role == Role::Alerts).filter(here);
    let tokens = alertmanager::Tokens::of_hashes(of_alerts.map(|token| token.sha256));
    let heard = Arc::new(move |answer: &Answer| counted(&metrics, answer));
    alertmanager::router(Receiver { store: stored.inbox, clock, bell, intake, tokens, heard })
}

/// Every answer to a delivery is counted.
fn counted(metrics: &Metrics, answer: &Answer) {
    metrics.delivery(match answer {
        Answer::Stored(_) => Delivery::Stored,
        Answer::Cut { .. } => Delivery::Truncated,
        Answer::Poison => Delivery::Unreadable,
        Answer::TooLarge => Delivery::TooLarge,
        Answer::NotNow(_) => Delivery::NotNow,
        Answer::NotStored(_) => Delivery::NotStored,
    });
    if let Answer::Stored(told) | Answer::Cut { told, .. } = answer {
        metrics.ingested(told);
    }
}

/// Certificate and key, and whose certificates are known, where they are configured.
pub fn tls(config: &Config) -> Result<Option<(Arc<rustls::ServerConfig>, Clients)>, Stop> {
    let Some(tls) = &config.http.tls else { return Ok(None) };
    let clients = Clients::of(tls.known_clients()).map_err(|e| failed("http.tls", e))?;
    let speaks = web::tls_config(&tls.cert, &tls.key, tls.client_ca.as_deref());
    speaks.map(|speaks| Some((speaks, clients))).map_err(|e| failed("http.tls", e))
}
