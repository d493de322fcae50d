//! In which order things start and stop.

mod copies;
mod keep;
mod notify;
mod outside;
mod rights;
mod tickets;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use pitlane::adapters::alertmanager::{self, Answer, Intake, Receiver};
use pitlane::adapters::store::{self, SqliteStore};
use pitlane::cli::{
    self, Command, DiscoverArgs, Discovered, DrainArgs, Ended, Exit, Global, Local, Stop, StoreCommand,
    TicketsTold, Told,
};
use pitlane::config::file::LogFormat;
use pitlane::config::{self, Config};
use pitlane::model::access::{KnownToken, Role};
use pitlane::model::notice::ChannelName;
use pitlane::model::rights::TokenRights;
use pitlane::model::seen::Trouble;
use pitlane::model::time::Time;
use pitlane::ports::{Archive, Clock, Configuration};
use pitlane::reconcile::{Reconciler, last_word};
use pitlane::telemetry::{self, Delivery, Lines, Metrics};
use pitlane::web::{self, Access, App, Clients, Listening};
use sha2::{Digest, Sha256};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::reload::{self, Cluster, Fixed, Reload};
use crate::{discover, systemd};

pub use notify::channels;
pub use outside::{Outside, outside};
pub use tickets::lacks as tickets_lack;

/// After the signal: the running turn is finished, then everything ends.
const STOP_WITHIN: Duration = Duration::from_secs(20);

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
    async fn archive(&self, state: &Path) -> Result<Arc<dyn Archive>, Trouble> {
        Ok(Arc::new(store::Reader::open(state)?))
    }

    async fn verify(&self, state: &Path) -> Result<String, Trouble> {
        let head = store::Reader::open(state)?.verify().await?;
        Ok(format!("The journal is whole: {} entries, the last one's hash is {}.", head.seq, head.hash))
    }

    async fn store(&self, state: &Path, command: &StoreCommand) -> Result<Told, Stop> {
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

fn configured(global: &Global) -> Result<Config, Stop> {
    config::load(&global.config).map_err(|mistakes| usage(mistakes.to_string()))
}

/// `pitlane run`: until SIGTERM or SIGINT. SIGHUP reads the configuration again.
pub async fn service(global: &Global) -> Ended {
    let config = configured(global)?;
    start_logging(&config, global, "info");
    for hint in config::hints(&config) {
        tracing::warn!("{hint}");
    }
    let listen = config.http.listen;
    let running = Running::start(config, listen, Some(global.config.clone())).await?;
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
    let mut config = configured(global)?;
    start_logging(&config, global, "warn");
    let token = one_time_token();
    let name = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    let sha256 = Sha256::digest(token.as_bytes()).into();
    config.http.tokens = vec![KnownToken { name, role: Role::Operate, sha256 }];
    config.http.tls = None;
    let running = Running::start(config, SocketAddr::from(([127, 0, 0, 1], 0)), None).await?;
    let here =
        Global { url: Some(format!("http://{}", running.address)), token: Some(token), ..global.clone() };
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

fn start_logging(config: &Config, global: &Global, level: &str) {
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

/// A service that runs: its loop and its surface.
struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    begun: watch::Receiver<bool>,
    turning: tokio::task::JoinHandle<()>,
    serving: tokio::task::JoinHandle<()>,
    delivering: tokio::task::JoinHandle<()>,
}

/// What stays when the configuration is read again.
#[derive(Clone)]
pub struct Lasting {
    pub store: SqliteStore,
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
    /// The operators' surface and the webhook, as this configuration wants them.
    pub fn surface(&self, config: &Config, hook: axum::Router, reconciler: &Arc<Reconciler>) -> axum::Router {
        let alerts = alerts(config, self);
        let app = App {
            store: Arc::new(self.store.clone()),
            archive: Arc::new(self.store.clone()),
            shown: reconciler.shown(),
            looker: reconciler.clone(),
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

impl Running {
    /// Store first: whoever does not hold the state must not look, let alone act. `path`: the file that is read again
    /// when asked for.
    async fn start(config: Config, listen: SocketAddr, path: Option<PathBuf>) -> Result<Self, Stop> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        store::fit(&config.state).map_err(|e| failed("the state", e))?;
        let store = store::open(&config.state, clock.clone()).map_err(|e| failed("the state", e.chain()))?;
        let metrics = Arc::new(Metrics::new().map_err(|e| failed("metrics", e))?);
        let bell = Arc::new(Notify::new());
        let (meter, begun) = systemd::watched(metrics.clone());
        let (desk, asked) = reload::desk(clock.now(), metrics.clone());
        let configuration = path.is_some().then(|| desk.clone() as Arc<dyn Configuration>);
        let (alerts_missed, pace) = (Arc::default(), Arc::default());
        let lasting = Lasting { store, clock, metrics, meter, bell, alerts_missed, pace, configuration };
        let Outside { world, hook, tickets } = outside(&config, &lasting)?;
        if let Some(asked) = tickets {
            let (desk, since) = (desk.clone(), desk.in_force().since);
            tokio::spawn(async move { desk.tickets_lack(since, tickets::lacks(&asked).await) });
        }
        let reconciler = Arc::new(Reconciler::new(world, config.rules.clone(), lasting.bell.clone()));
        let stop = CancellationToken::new();
        copies::begin(&config, &lasting, &reconciler, &stop)?;
        let tls = tls(&config)?;
        let listening =
            Listening::bind(listen, tls).await.map_err(|e| failed(&format!("listening on {listen}"), e))?;
        let address = listening.address;
        let courier = Arc::new(notify::courier(&config, &lasting)?);
        let lasting_clock = lasting.clock.clone();
        let (replace, router) = web::replaceable(lasting.surface(&config, hook, &reconciler));
        if let Some(path) = path {
            let reload = Reload {
                path,
                fixed: Fixed::of(&config),
                cluster: Cluster::of(&config).into(),
                lasting,
                reconciler: reconciler.clone(),
                courier: courier.clone(),
                replace,
                renewal: listening.renewal(),
            };
            tokio::spawn(reload.run(asked, stop.clone()));
        }
        tokio::spawn(rights::watch(reconciler.shown(), stop.clone()));
        let serving = tokio::spawn(web::serve(listening, router, stop.clone()));
        let delivering = {
            let (stop, bell, courier) = (stop.clone(), reconciler.courier(), courier.clone());
            tokio::spawn(async move { courier.run(bell, stop).await })
        };
        let last_word = last_word::watch(reconciler.clone(), courier.clone(), lasting_clock, stop.clone());
        tokio::spawn(last_word);
        let turning = {
            let stop = stop.clone();
            tokio::spawn(async move { reconciler.run(stop).await })
        };
        Ok(Self { address, stop, begun, turning, serving, delivering })
    }

    /// Returns when the loop has begun to look for the first time.
    async fn first_look(&self) {
        // The loop holds the other end as long as it lives; one that is gone is told by `turning`.
        let _ = self.begun.clone().wait_for(|begun| *begun).await;
    }

    /// An effect that was asked for is not torn: the turn ends first, if it ends in time. If it does not, every step
    /// was written down before it was taken, as for any other death.
    async fn stop(self) -> Exit {
        self.stop.cancel();
        let all = async { tokio::join!(self.turning, self.serving, self.delivering) };
        match tokio::time::timeout(STOP_WITHIN, all).await {
            Ok((Ok(()), Ok(()), Ok(()))) => Exit::Done,
            Ok(_) => Exit::Failed,
            Err(_) => {
                tracing::warn!("the turn did not end within {} s and is left behind", STOP_WITHIN.as_secs());
                Exit::Done
            }
        }
    }
}

/// The receiver of alerts, and whoever counts its answers.
fn alerts(config: &Config, lasting: &Lasting) -> axum::Router {
    let Lasting { store, clock, metrics, bell, alerts_missed, .. } = lasting.clone();
    let intake = Arc::new(Intake::new(alertmanager::Limits::default(), alerts_missed));
    let of_alerts = config.http.tokens.iter().filter(|token| token.role == Role::Alerts);
    let tokens = alertmanager::Tokens::of_hashes(of_alerts.map(|token| token.sha256));
    let heard = Arc::new(move |answer: &Answer| {
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
    });
    alertmanager::router(Receiver { store: Arc::new(store), clock, bell, intake, tokens, heard })
}

/// Certificate and key, and whose certificates are known, where they are configured.
pub fn tls(config: &Config) -> Result<Option<(Arc<rustls::ServerConfig>, Clients)>, Stop> {
    let Some(tls) = &config.http.tls else { return Ok(None) };
    let clients = Clients::of(tls.known_clients()).map_err(|e| failed("http.tls", e))?;
    let speaks = web::tls_config(&tls.cert, &tls.key, tls.client_ca.as_deref());
    speaks.map(|speaks| Some((speaks, clients))).map_err(|e| failed("http.tls", e))
}
