//! `pitlane demo`: one maintenance from the first alarm to the last guest home, on a simulated cluster, told as it happens.
//!
//! Everything of pitlane is the real thing: the webhook, the store, the loop, the client for Proxmox over TLS, the pages.
//! Only the cluster, the technician and the operator are simulated. Where nothing happens, time leaps.

mod people;
mod scene;
mod telling;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::adapters::alertmanager::{self, Intake, Receiver};
use crate::adapters::pve::{self, ApiToken, Proxmox, Trust};
use crate::adapters::store::{self, SqliteStore};
use crate::model::access::{KnownToken, Role};
use crate::model::case::PhaseName;
use crate::ports::{Archive, Clock};
use crate::reconcile::{self, Reconciler};
use crate::sim::Doors;
use crate::sim::http::{self, Options, Running, Token};
use crate::telemetry::Metrics;
use crate::web::{self, Access, App, Listening};

use people::People;
use telling::Teller;

/// Fast enough for a story in under a minute, slow enough that a look at the world is still fresh when it ends.
const SPEED: f64 = 20.0;
/// The world is put away so often, so that the demo can be killed and go on.
const PUT_AWAY: Duration = Duration::from_millis(200);
const PVE_SECRET: &str = "simulated-secret";
/// The secrets of the demo's own loopback surface. They guard nothing but a simulation.
const OPERATOR: &str = "demo-operator";
const TECHNICIAN: &str = "demo-technician";
const ALERTS: &str = "demo-alerts";

/// What the command line asks for.
#[derive(Clone, Debug, Default)]
pub struct DemoOptions {
    /// Seconds of the world for each real second.
    pub speed: Option<f64>,
    /// Keep running afterwards.
    pub serve: bool,
    /// Keep the state here.
    pub dir: Option<PathBuf>,
    /// Events as JSON lines.
    pub json: bool,
}

/// Runs the story.
///
/// # Errors
/// It could not be set up; or something was left owed at its end.
pub async fn run(options: DemoOptions) -> anyhow::Result<()> {
    if let Some(speed) = options.speed.filter(|speed| !(0.1..=60.0).contains(speed)) {
        bail!("a speed of {speed} is not possible; write a number from 0.1 to 60 (20 if you write none)");
    }
    let kept = options.dir.clone();
    let dir = match &kept {
        Some(dir) => dir.clone(),
        None => std::env::temp_dir().join(format!("pitlane-demo-{}", std::process::id())),
    };
    make_private(&dir)?;
    let stage = Stage::build(&dir, options.speed.unwrap_or(SPEED)).await?;
    let mut teller = Teller::new(options.json, std::io::stdout().is_terminal());
    let ended = stage.tell(&mut teller).await;
    let ended = match (ended, options.serve) {
        (Ok(()), true) if !teller.closed() => {
            teller.serving(stage.address, OPERATOR, &stage.token);
            stage.serve().await
        }
        (ended, _) => ended,
    };
    stage.close().await;
    if kept.is_none() {
        // Ours alone, made by this process.
        let _ = std::fs::remove_dir_all(&dir);
    }
    ended
}

/// Everything that the story needs, running.
struct Stage {
    dir: PathBuf,
    speed: f64,
    doors: Doors,
    door: Running,
    store: SqliteStore,
    reconciler: Arc<Reconciler>,
    bell: Arc<Notify>,
    address: SocketAddr,
    stop: CancellationToken,
    token: PathBuf,
}

impl Stage {
    async fn build(dir: &Path, speed: f64) -> anyhow::Result<Self> {
        let world = match std::fs::read(dir.join("world.json")) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).context("reading the simulated cluster that was put away")?
            }
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => scene::cluster(),
            Err(why) => return Err(why).context("reading the simulated cluster that was put away"),
        };
        let doors = Doors::new(world);
        let tokens = vec![Token::pitlane(PVE_SECRET)];
        let door = http::serve(doors.shared(), Options { speed, tokens, ..Options::default() }).await?;
        let clock: Arc<dyn Clock> = Arc::new(doors.clone());
        let store = store::open(&dir.join("state"), clock.clone())?;
        let rules = scene::rules();
        let metrics = Arc::new(Metrics::new()?);
        let bell = Arc::new(Notify::new());
        let outside = reconcile::World {
            pve: Arc::new(client(&door, clock.clone())?),
            hand: Some(Arc::new(doors.clone())),
            ceph: Some(Arc::new(doors.clone())),
            sensors: Some(Arc::new(doors.clone())),
            alarms: None,
            alerts_missed: Arc::default(),
            tenure: Arc::new(crate::ports::AlwaysGood),
            bmc: Some(Arc::new(doors.clone())),
            tickets: Arc::new(store.board()),
            store: Arc::new(store.clone()),
            clock: clock.clone(),
            meter: metrics.clone(),
            fleet: None,
            kill_files: vec![dir.join("kill")],
        };
        let reconciler = Arc::new(Reconciler::new(outside, rules.clone(), bell.clone()));
        let app = App {
            cluster: None,
            store: Arc::new(store.clone()),
            archive: Arc::new(store.clone()),
            shown: reconciler.shown(),
            looker: reconciler.clone(),
            clock: clock.clone(),
            rules: Arc::new(rules.clone()),
            bell: bell.clone(),
            registry: metrics.registry(),
            access: Arc::new(Access::new(tokens_known(), false)),
            pace: Arc::default(),
            configuration: None,
            needed_rights: &crate::decide::NEEDED_PRIVILEGES,
        };
        let alerts = alertmanager::router(Receiver {
            store: Arc::new(store.clone()),
            clock,
            bell: bell.clone(),
            intake: Arc::new(Intake::new(alertmanager::Limits::default(), Arc::default())),
            tokens: alertmanager::Tokens::of_hashes([Sha256::digest(ALERTS).into()]),
            heard: Arc::new(|_| {}),
        });
        let listening = Listening::bind(SocketAddr::from(([127, 0, 0, 1], 0)), None).await?;
        let address = listening.address;
        let stop = CancellationToken::new();
        tokio::spawn(web::serve(listening, web::router(app, alerts), stop.clone()));
        let token = scene::write_token(dir, OPERATOR)?;
        Ok(Self { dir: dir.to_owned(), speed, doors, door, store, reconciler, bell, address, stop, token })
    }

    /// Turn after turn, with people around, until nothing is owed.
    async fn tell(&self, teller: &mut Teller) -> anyhow::Result<()> {
        let mut people = People::new(format!("http://{}", self.address), ALERTS, OPERATOR, TECHNICIAN);
        let cases = self.store.cases(1).await.map_err(trouble)?;
        teller.begin(&self.doors.world(), cases.first());
        let mut put_away = Instant::now();
        loop {
            let pace = self.turn(teller).await?;
            if teller.closed() {
                return self.put_away();
            }
            let case = self.store.cases(1).await.map_err(trouble)?.into_iter().next();
            if let Some(case) = case.as_ref().filter(|case| !case.open()) {
                return self.end(teller, case);
            }
            let leap =
                people.act(case.as_ref(), &self.doors, &self.reconciler.shown().borrow(), teller).await?;
            if put_away.elapsed() > PUT_AWAY {
                self.put_away()?;
                put_away = Instant::now();
            }
            match leap {
                Some(secs) => self.door.advance(secs).map_err(|why| anyhow::anyhow!(why))?,
                None => self.pause(pace).await,
            }
        }
    }

    async fn turn(&self, teller: &mut Teller) -> anyhow::Result<Duration> {
        let pace = self.reconciler.turn().await?;
        if let Some(violation) = self.door.violation() {
            bail!("the simulated cluster was treated unsafely: {violation}");
        }
        let news = self.store.journal(None, teller.told(), 1000).await.map_err(trouble)?;
        teller.tell(&news);
        let shown = self.reconciler.shown().borrow().clone();
        teller.verdict(&shown);
        Ok(pace.0)
    }

    /// As long as the loop would wait, at the world's speed.
    async fn pause(&self, pace: Duration) {
        let pause =
            pace.max(Duration::from_secs(2)).div_f64(self.speed.max(0.001)).max(Duration::from_millis(20));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.bell.notified() => {}
        }
    }

    fn end(&self, teller: &mut Teller, case: &crate::model::case::Case) -> anyhow::Result<()> {
        self.put_away()?;
        let wrong = crate::sim::world::audit::audit(&self.doors.world(), &scene::expected());
        teller.end(case, &self.doors.world(), &wrong);
        if wrong.is_empty() && case.owed.nothing() { Ok(()) } else { bail!("something was left behind") }
    }

    /// The cluster goes on living, for whoever wants to drain a node.
    async fn serve(&self) -> anyhow::Result<()> {
        let mut put_away = Instant::now();
        let mut quit = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            let pace = self.reconciler.turn().await?.0;
            let handed_over =
                self.store.cases(1).await.map_err(trouble)?.first().map(|case| case.phase.name())
                    == Some(PhaseName::HandedOver);
            if put_away.elapsed() > PUT_AWAY {
                self.put_away()?;
                put_away = Instant::now();
            }
            let pause = if handed_over { pace } else { pace.div_f64(self.speed) };
            tokio::select! {
                () = tokio::time::sleep(pause.clamp(Duration::from_millis(50), Duration::from_secs(1))) => {}
                () = self.bell.notified() => {}
                _ = &mut quit => return Ok(()),
            }
        }
    }

    /// Written beside and renamed, so that a death in the middle leaves the old one.
    fn put_away(&self) -> anyhow::Result<()> {
        let bytes = serde_json::to_vec(&*self.doors.world())?;
        let beside = self.dir.join("world.json.new");
        std::fs::write(&beside, bytes).context("putting the simulated cluster away")?;
        std::fs::rename(beside, self.dir.join("world.json")).context("putting the simulated cluster away")
    }

    async fn close(self) {
        self.stop.cancel();
        self.door.stop().await;
    }
}

/// pitlane's own client, through every member's front door.
fn client(door: &Running, clock: Arc<dyn Clock>) -> anyhow::Result<Proxmox> {
    let mut members = Vec::new();
    for (node, url) in &door.endpoints {
        let pin = door.fingerprints.get(node).context("every member has a certificate")?.parse()?;
        members.push(pve::Member { node: node.clone(), url: url.clone(), trust: Trust::Pinned(vec![pin]) });
    }
    let header = Token::pitlane(PVE_SECRET).header();
    let (id, secret) = header
        .trim_start_matches("PVEAPIToken=")
        .split_once('=')
        .context("a token's header has an id and a secret")?;
    Ok(Proxmox::connect(pve::Settings::new(members, ApiToken::new(id, secret)), clock)?)
}

fn tokens_known() -> Vec<KnownToken> {
    let known = |name: &str, role, secret: &str| KnownToken {
        name: name.to_owned(),
        role,
        sha256: Sha256::digest(secret).into(),
        clusters: None,
    };
    vec![
        known("operator", Role::Operate, OPERATOR),
        known("technician", Role::Technician, TECHNICIAN),
        known("alertmanager", Role::Alerts, ALERTS),
    ]
}

fn make_private(dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("making {}", dir.display()))
}

fn trouble(trouble: crate::model::seen::Trouble) -> anyhow::Error {
    anyhow::anyhow!("{trouble}")
}
