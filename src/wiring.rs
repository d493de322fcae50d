//! Which adapter stands behind which port, and in which order things start and stop.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pitlane::adapters::alertmanager::{self, Answer, Intake, Receiver};
use pitlane::adapters::ceph::{self, CephClient, CephProgram};
use pitlane::adapters::hand::{self, HandConfig, SshHand};
use pitlane::adapters::notify::{Webhook, WebhookConfig};
use pitlane::adapters::pve::{self, ApiToken, Proxmox, Trust};
use pitlane::adapters::sensors::{Prometheus, PrometheusConfig};
use pitlane::adapters::store::{self, SqliteStore};
use pitlane::cli::{self, Command, DrainArgs, Ended, Exit, Global, Local, Stop};
use pitlane::config::file::LogFormat;
use pitlane::config::{self, Config, ProxmoxSettings};
use pitlane::model::access::{KnownToken, Role};
use pitlane::model::notice::{ChannelName, Notice, NoticeId, Urgency};
use pitlane::model::seen::Trouble;
use pitlane::model::time::Time;
use pitlane::ports::{Archive, Ceph, Clock, Hand, Notifier, Sensors};
use pitlane::reconcile::courier::Courier;
use pitlane::reconcile::{Reconciler, World};
use pitlane::telemetry::{self, Delivery, Lines, Metrics};
use pitlane::web::{self, Access, App, Listening};
use sha2::{Digest, Sha256};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// After the signal: the running turn is finished, then everything ends.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// One call to one member's helper; a healthy one answers in two seconds.
const HAND_CALL: Duration = Duration::from_secs(20);
/// One request, all the members that it took together; below the loop's own deadline for an effect.
const HAND_WHOLE: Duration = Duration::from_secs(60);

/// The machine's clock.
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        Time::now()
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

    async fn test_channels(&self, config: &Config) -> Vec<(ChannelName, Result<(), Trouble>)> {
        let at = Time::now();
        // A person looks for this one: a new id each time, so that no receiver takes it for the last one.
        let notice = Notice {
            id: NoticeId(format!("test/{at}")),
            at,
            urgency: Urgency::Tell,
            title: "pitlane: a test notice".to_owned(),
            body: "Somebody asked pitlane to try this channel. There is nothing to do.\n".to_owned(),
            node: None,
            case: None,
            to: Vec::new(),
        };
        let mut told = Vec::new();
        for (name, channel) in &config.channels {
            let sent = match self::channel(name, channel) {
                Ok(channel) => channel.send(&notice).await,
                Err(stop) => Err(Trouble::NotConfigured(stop.text)),
            };
            told.push((name.clone(), sent));
        }
        told
    }
}

fn usage(text: impl Into<String>) -> Stop {
    Stop::new(Exit::Usage, text)
}

fn failed(what: &str, error: impl std::fmt::Display) -> Stop {
    Stop::new(Exit::Failed, format!("{what}: {error}"))
}

fn configured(global: &Global) -> Result<Config, Stop> {
    config::load(&global.config).map_err(|mistakes| usage(mistakes.to_string()))
}

/// `pitlane run`: until SIGTERM or SIGINT.
pub async fn service(global: &Global) -> Ended {
    let config = configured(global)?;
    start_logging(&config, "info");
    let listen = config.http.listen;
    let running = Running::start(config, listen).await?;
    tracing::info!("pitlane {} serves {}", env!("CARGO_PKG_VERSION"), running.address);
    wait_for_signal().await?;
    tracing::info!("stopping: the running turn is finished first");
    Ok(running.stop().await)
}

/// `drain --standalone`: the same service on a loopback port, for one drain, asked through its own front door.
pub async fn drain_here(global: &Global, args: &DrainArgs) -> Ended {
    let mut config = configured(global)?;
    start_logging(&config, "warn");
    let token = one_time_token();
    let name = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    let sha256 = Sha256::digest(token.as_bytes()).into();
    config.http.tokens = vec![KnownToken { name, role: Role::Operate, sha256 }];
    config.http.tls = None;
    let running = Running::start(config, SocketAddr::from(([127, 0, 0, 1], 0))).await?;
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
        eprintln!("The node stays out until `pitlane run` is told that the work is done.");
    }
    Ok(exit)
}

fn start_logging(config: &Config, level: &str) {
    let lines = match config.log {
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
    turning: tokio::task::JoinHandle<()>,
    serving: tokio::task::JoinHandle<()>,
    delivering: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Store first: whoever does not hold the state must not look, let alone act.
    async fn start(config: Config, listen: SocketAddr) -> Result<Self, Stop> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = store::open(&config.state, clock.clone()).map_err(|e| failed("the state", e))?;
        let metrics = Arc::new(Metrics::new().map_err(|e| failed("metrics", e))?);
        let bell = Arc::new(Notify::new());
        let world = world(&config, &store, clock.clone(), metrics.clone())?;
        let reconciler = Arc::new(Reconciler::new(world, config.rules.clone(), bell.clone()));
        let courier = courier(&config, &store, clock.clone(), metrics.clone())?;
        let tls = match &config.http.tls {
            Some(tls) => Some(web::tls_config(&tls.cert, &tls.key).map_err(|e| failed("http.tls", e))?),
            None => None,
        };
        let alerts = alerts(&config, &store, clock.clone(), bell.clone(), metrics.clone());
        let app = App {
            store: Arc::new(store.clone()),
            archive: Arc::new(store),
            shown: reconciler.shown(),
            looker: reconciler.clone(),
            clock,
            rules: Arc::new(config.rules),
            bell,
            registry: metrics.registry(),
            access: Arc::new(Access::new(config.http.tokens, tls.is_some())),
        };
        let listening =
            Listening::bind(listen, tls).await.map_err(|e| failed(&format!("listening on {listen}"), e))?;
        let address = listening.address;
        let stop = CancellationToken::new();
        let serving = tokio::spawn(web::serve(listening, web::router(app, alerts), stop.clone()));
        let delivering = {
            let (stop, bell) = (stop.clone(), reconciler.courier());
            tokio::spawn(async move { courier.run(bell, stop).await })
        };
        let turning = {
            let stop = stop.clone();
            tokio::spawn(async move { reconciler.run(stop).await })
        };
        Ok(Self { address, stop, turning, serving, delivering })
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

/// One way to people, as configured.
fn channel(name: &ChannelName, channel: &config::notify::Channel) -> Result<Arc<dyn Notifier>, Stop> {
    let wrong = |why: String| usage(format!("notify.channels.{name}: {why}"));
    let url = channel.url.parse().map_err(|e| wrong(format!("webhook: {e}")))?;
    let bearer = channel.token.as_ref().map(|token| token.0.clone());
    let webhook = Webhook::new(WebhookConfig { url, bearer, ca_pem: channel.ca_pem.clone(), limit: None });
    Ok(Arc::new(webhook.map_err(|e| wrong(e.to_string()))?))
}

/// Who brings notices to people, beside the turns.
fn courier(
    config: &Config,
    store: &SqliteStore,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
) -> Result<Courier, Stop> {
    let mut channels = BTreeMap::new();
    for (name, settings) in &config.channels {
        channels.insert(name.clone(), channel(name, settings)?);
    }
    let heard = Arc::new(move |_: &ChannelName, sent: Result<(), &Trouble>| metrics.notice(sent));
    Ok(Courier::new(Arc::new(store.clone()), channels, clock, heard))
}

/// The receiver of alerts, and whoever counts its answers.
fn alerts(
    config: &Config,
    store: &SqliteStore,
    clock: Arc<dyn Clock>,
    bell: Arc<Notify>,
    metrics: Arc<Metrics>,
) -> axum::Router {
    let intake = Arc::new(Intake::new(alertmanager::Limits::default()));
    let of_alerts = config.http.tokens.iter().filter(|token| token.role == Role::Alerts);
    let tokens = alertmanager::Tokens::of_hashes(of_alerts.map(|token| token.sha256));
    let heard = Arc::new(move |answer: &Answer| {
        metrics.delivery(match answer {
            Answer::Stored(_) => Delivery::Stored,
            Answer::Poison => Delivery::Unreadable,
            Answer::TooLarge => Delivery::TooLarge,
            Answer::NotNow(_) => Delivery::NotNow,
            Answer::NotStored(_) => Delivery::NotStored,
        });
        if let Answer::Stored(told) = answer {
            metrics.ingested(told);
        }
    });
    alertmanager::router(Receiver { store: Arc::new(store.clone()), clock, bell, intake, tokens, heard })
}

fn world(
    config: &Config,
    store: &SqliteStore,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
) -> Result<World, Stop> {
    let proxmox = config.proxmox.as_ref().ok_or_else(|| {
        usage(
            "there is no cluster to look at; add proxmox: {endpoints: …, token_file: …} to the configuration",
        )
    })?;
    let pve =
        Proxmox::connect(proxmox_settings(proxmox)?, clock.clone()).map_err(|e| failed("proxmox", e))?;
    let hand = config.hand.as_ref().map(|hand| {
        let member = |m: &config::file::HandMember| hand::Member {
            node: m.node.clone(),
            address: m.address.clone(),
            port: m.port,
        };
        let settings = HandConfig {
            ssh: "/usr/bin/ssh".into(),
            key: hand.key.clone(),
            known_hosts: hand.known_hosts.clone(),
            user: hand.user.clone(),
            members: hand.members.iter().map(member).collect(),
            call: HAND_CALL,
            whole: HAND_WHOLE,
        };
        Arc::new(SshHand::new(settings, clock.clone())) as Arc<dyn Hand>
    });
    let ceph = config.ceph.client.as_ref().map(|client| {
        let program = CephProgram {
            program: client.program.clone(),
            conf: client.conf.clone(),
            keyring: client.keyring.clone(),
            name: client.name.clone(),
        };
        Arc::new(CephClient::new(Arc::new(program), clock.clone(), ceph::Limits::default())) as Arc<dyn Ceph>
    });
    let sensors = match &config.prometheus {
        None => None,
        Some(url) => {
            let url = url.parse().map_err(|e| usage(format!("prometheus.url: {e}")))?;
            let prometheus =
                Prometheus::new(PrometheusConfig { url, bearer: None, ca_pem: None }, clock.clone())
                    .map_err(|e| failed("prometheus", e))?;
            Some(Arc::new(prometheus) as Arc<dyn Sensors>)
        }
    };
    Ok(World {
        pve: Arc::new(pve),
        hand,
        ceph,
        sensors,
        bmc: None,
        tickets: Arc::new(store.board()),
        store: Arc::new(store.clone()),
        clock,
        meter: metrics,
        kill_file: Some(config.kill_file.clone()),
    })
}

fn proxmox_settings(proxmox: &ProxmoxSettings) -> Result<pve::Settings, Stop> {
    let mut members = Vec::new();
    for endpoint in &proxmox.endpoints {
        let trust = match (&proxmox.ca_file, proxmox.fingerprints.get(&endpoint.node)) {
            (Some(file), _) => Trust::CaFile(file.clone()),
            (None, Some(pins)) => {
                let pins: Result<Vec<pve::Fingerprint>, _> = pins.iter().map(|pin| pin.parse()).collect();
                Trust::Pinned(pins.map_err(|e| usage(format!("proxmox.fingerprints: {e}")))?)
            }
            (None, None) => Trust::SystemRoots,
        };
        members.push(pve::Member { node: endpoint.node.clone(), url: endpoint.url.clone(), trust });
    }
    let (id, secret) =
        proxmox.token.0.split_once('=').ok_or_else(|| usage("the API token must be USER@REALM!NAME=UUID"))?;
    Ok(pve::Settings::new(members, ApiToken::new(id, secret)))
}
