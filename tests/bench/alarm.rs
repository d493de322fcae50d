//! From an alarm to what is done about it: the webhook over HTTP, the store on the disk and the loop are the real ones, the
//! cluster is the simulated one without its delays. Prints what docs/PERFORMANCE.md tells; never run by a test.
//!
//!   cargo bench --bench alarm -- [looks] [calls] [storm]

#[allow(dead_code)]
#[path = "intake/alerts.rs"]
mod alerts;
#[allow(dead_code)]
#[path = "intake/load.rs"]
mod load;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pitlane::adapters::alertmanager::{self, Intake, Receiver, Tokens};
use pitlane::adapters::store::{self, SqliteStore};
use pitlane::model::case::PhaseName;
use pitlane::model::rules::{Budgets, CephSetup, HandSetup, Mode, OwnHome, Packing, Rules};
use pitlane::model::seen::Trouble;
use pitlane::model::shown::Shown;
use pitlane::model::step::{Action, Outcome};
use pitlane::model::time::Period;
use pitlane::model::wait::Source;
use pitlane::ports::{Clock, Meter, Store};
use pitlane::reconcile::{self, Reconciler};
use pitlane::sim::world::GIB;
use pitlane::sim::{Doors, World};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "alerts";

/// So many nodes may be out at once, in a storm where the budgets allow some to leave.
const OUT_MAX: u32 = 2;

/// When the loop did what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Did {
    Begin,
    Looked,
    Step,
    End,
}

#[derive(Default)]
struct Watch(Mutex<Vec<(Instant, Did)>>);

impl Watch {
    fn note(&self, did: Did) {
        self.0.lock().expect("whole").push((Instant::now(), did));
    }

    fn all(&self) -> Vec<(Instant, Did)> {
        self.0.lock().expect("whole").clone()
    }
}

impl Meter for Watch {
    fn begins(&self) {
        self.note(Did::Begin);
    }

    fn turn(&self, _: Duration, _: &Shown) {
        self.note(Did::End);
    }

    fn look(&self, _: Source, _: Result<(), &Trouble>) {
        self.note(Did::Looked);
    }

    fn step(&self, _: &Action, _: &Outcome) {
        self.note(Did::Step);
    }
}

/// One cluster with its loop.
struct Bench {
    doors: Doors,
    watch: Arc<Watch>,
    store: SqliteStore,
    reconciler: Arc<Reconciler>,
    bell: Arc<Notify>,
    dir: PathBuf,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn cluster(nodes: u32, guests_each: u32) -> World {
    let mut builder = World::builder(nodes).node_gib(512);
    for id in 0..nodes * guests_each {
        let node = format!("pve{}", id % nodes + 1);
        builder = builder.guest(1_000 + id, &node, |guest| guest.memory = (1 + u64::from(id % 7)) * GIB);
    }
    builder.build()
}

impl Bench {
    fn new(world: World, rules: Rules) -> Self {
        let doors = Doors::new(world);
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("pitlane-alarm-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let clock: Arc<dyn Clock> = Arc::new(doors.clone());
        let store = store::open(&dir.join("state"), clock.clone()).expect("opens");
        let (watch, bell) = (Arc::new(Watch::default()), Arc::new(Notify::new()));
        let outside = outside(&doors, &store, &watch);
        let reconciler = Arc::new(Reconciler::new(outside, rules, bell.clone()));
        Self { doors, watch, store, reconciler, bell, dir }
    }

    fn outside(&self) -> reconcile::World {
        outside(&self.doors, &self.store, &self.watch)
    }

    /// The webhook, on loopback.
    async fn served(&self) -> load::Target {
        let receiver = Receiver {
            store: Arc::new(self.store.clone()),
            clock: Arc::new(self.doors.clone()),
            bell: self.bell.clone(),
            intake: Arc::new(Intake::new(Default::default(), Arc::default())),
            tokens: Tokens::of_hashes([Sha256::digest(TOKEN).into()]),
            heard: Arc::new(|_| {}),
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address: SocketAddr = listener.local_addr().expect("bound");
        let app = alertmanager::router(receiver);
        tokio::spawn(async move { axum::serve(listener, app).await.expect("serves") });
        load::Target { address, path: "/alerts/alertmanager", token: Some(TOKEN) }
    }

    fn now(&self) -> String {
        self.doors.now().to_string()
    }
}

fn outside(doors: &Doors, store: &SqliteStore, watch: &Arc<Watch>) -> reconcile::World {
    reconcile::World {
        pve: Arc::new(doors.clone()),
        hand: Some(Arc::new(doors.clone())),
        ceph: None,
        sensors: None,
        alarms: None,
        alerts_missed: Arc::default(),
        tenure: Arc::new(pitlane::ports::AlwaysGood),
        bmc: None,
        tickets: Arc::new(doors.clone()),
        store: Arc::new(store.clone()),
        fleet: None,
        clock: Arc::new(doors.clone()),
        meter: watch.clone(),
        kill_files: Vec::new(),
    }
}

fn rules(mode: Mode) -> Rules {
    let mut policies = pitlane::config::policy::load(None, &mut Default::default());
    for policy in &mut policies {
        policy.respond.mode = mode;
    }
    Rules {
        mode,
        policies,
        mapping: Default::default(),
        ceph: CephSetup::None,
        hand: HandSetup::Installed,
        alarms: Default::default(),
        budgets: Budgets { drains_per_day_max: 100, ..Budgets::default() },
        limits: Default::default(),
        packing: Packing { cpu_overcommit: 16.0, ..Packing::default() },
        notify: Default::default(),
        own: OwnHome::outside(),
        silences: None,
        shared: None,
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let wants = |what: &str| asked.is_empty() || asked.iter().any(|word| word == what);
    runtime.block_on(async {
        for (nodes, guests) in [(5, 8), (100, 80)] {
            if wants("looks") {
                looks(nodes, guests).await;
            }
            if wants("calls") {
                calls(nodes, guests).await;
            }
        }
        if wants("storm") {
            storm(1_000).await;
        }
    });
}

fn told(what: &str, mut spans: Vec<Duration>) {
    spans.sort_unstable();
    let at = |share: f64| spans[((spans.len() as f64 * share).ceil() as usize).clamp(1, spans.len()) - 1];
    let [p50, p99] = [at(0.5), at(0.99)].map(|span| span.as_secs_f64() * 1e3);
    println!("{what:<70} {:>4} times  p50 {p50:>6.1} ms  p99 {p99:>6.1} ms", spans.len());
}

/// An alarm that comes alone, while the loop rests: from its first byte to the beginning of a look.
async fn looks(nodes: u32, guests: u32) {
    let bench = Bench::new(cluster(nodes, guests), rules(Mode::Observe));
    let target = bench.served().await;
    let stop = CancellationToken::new();
    let (reconciler, stopped) = (bench.reconciler.clone(), stop.clone());
    let running = tokio::spawn(async move { reconciler.run(stopped).await });
    let (watch, at) = (bench.watch.clone(), bench.now());
    let spans = tokio::task::spawn_blocking(move || {
        let mut line = load::Line::to(&target).expect("it listens");
        let mut spans = Vec::new();
        for n in 0..60_usize {
            std::thread::sleep(Duration::from_millis(400 + n as u64 * 37 % 300));
            // The turns that follow from the one before are over.
            let sent = Instant::now();
            let body = alerts::delivered(8 + n, 1, &at);
            line.ask(&body).expect("taken");
            let began = loop {
                let all = watch.all();
                let begin = all.iter().find(|(when, did)| *did == Did::Begin && *when >= sent);
                if let Some((when, _)) = begin {
                    break *when;
                }
                assert!(sent.elapsed() < Duration::from_secs(20), "nobody looks");
                std::thread::sleep(Duration::from_millis(1));
            };
            spans.push(began - sent);
        }
        spans
    });
    let spans = spans.await.expect("a sender");
    stop.cancel();
    running.await.expect("ends");
    told(&format!("webhook to look started, {nodes} nodes, {} guests", nodes * guests), spans);
}

/// Turns that do something: from the end of the look, through decision and commit, to the end of their first call.
async fn calls(nodes: u32, guests: u32) {
    let bench = Bench::new(cluster(nodes, guests), rules(Mode::Act));
    bench.reconciler.turn().await.expect("a turn");
    let at = bench.now();
    let told_of =
        alertmanager::parse(alerts::delivered(16, 1, &at).as_bytes(), bench.doors.now()).expect("good");
    bench.store.ingest(told_of.episodes).await.expect("stored");
    let mut spans = Vec::new();
    let began = Instant::now();
    while spans.len() < 40 && began.elapsed() < Duration::from_secs(90) {
        let seen = bench.watch.all().len();
        bench.reconciler.turn().await.expect("a turn");
        let all = bench.watch.all();
        let looked = all[seen..].iter().rfind(|(_, did)| *did == Did::Looked);
        let step = all[seen..].iter().find(|(_, did)| *did == Did::Step);
        if let (Some((looked, _)), Some((step, _))) = (looked, step) {
            spans.push(*step - *looked);
        }
        let over = |case: &pitlane::model::case::Case| case.phase.name() == PhaseName::HandedOver;
        if bench.reconciler.shown().borrow().state.cases.iter().any(over) {
            break;
        }
        let pace = bench.reconciler.shown().borrow().pace;
        let pace = if spans.is_empty() { Period::mins(1) } else { pace };
        bench.doors.advance_secs(pace.0.as_secs().max(1));
    }
    told(&format!("end of look to first call answered, {nodes} nodes, {} guests", nodes * guests), spans);
}

/// CPU seconds of this process so far: all threads.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = stat.rsplit(") ").next().expect("a name in brackets").split(' ');
    fields.skip(11).take(2).map(|field| field.parse::<f64>().expect("a count")).sum::<f64>() / 100.0
}

/// Every node alarms at once. First under the budgets that forbid any drain then; then under some that let them begin, two at a time.
async fn storm(nodes: u32) {
    let bench = Bench::new(cluster(nodes, 1), rules(Mode::Act));
    bench.reconciler.turn().await.expect("a turn");
    let before = cpu();
    bench.reconciler.turn().await.expect("a turn");
    let quiet = cpu() - before;
    // The first alert of each node: eight fans each.
    let mut body = Vec::new();
    for node in 1..=nodes as usize {
        body.extend(
            alertmanager::parse(alerts::delivered(node * 8, 1, &bench.now()).as_bytes(), bench.doors.now())
                .expect("good")
                .episodes,
        );
    }
    let before = cpu();
    bench.store.ingest(body).await.expect("stored");
    let (mut turns, mut cases) = (0, 0);
    while cases < nodes as usize && turns < 50 {
        bench.reconciler.turn().await.expect("a turn");
        turns += 1;
        cases = bench.store.load().await.expect("loads").cases.len();
    }
    println!(
        "{nodes} nodes alarm at once: {cases} cases persisted after {turns} turns and {:.2} s CPU, the simulated cluster's own \
         among it (a quiet turn: {quiet:.2} s)",
        cpu() - before
    );
    minutes(&bench, 20).await;

    let mut wide = rules(Mode::Act);
    wide.budgets = Budgets {
        nodes_alarming_max: nodes,
        nodes_out_max: OUT_MAX,
        drains_per_day_max: nodes,
        ..Budgets::default()
    };
    for policy in &mut wide.policies {
        policy.correlate = None;
    }
    bench.reconciler.replace(bench.outside(), wide);
    println!("the same, where {OUT_MAX} may be out however many alarm:");
    let out = minutes(&bench, 60).await;
    assert!((1..=OUT_MAX as usize).contains(&out), "{out} were out at once");
}

/// Turns of a minute. The answer: how many nodes were held at once at most.
async fn minutes(bench: &Bench, turns: usize) -> usize {
    let (before, mut longest, mut out) = (cpu(), 0.0_f64, 0);
    for _ in 0..turns {
        bench.doors.advance_secs(60);
        let began = cpu();
        bench.reconciler.turn().await.expect("a turn");
        longest = longest.max(cpu() - began);
        let held = bench.store.load().await.expect("loads").cases;
        out = out.max(held.iter().filter(|case| case.holds_the_node()).count());
    }
    println!("{turns} turns of a minute: {:.2} s CPU, the longest {longest:.2} s", cpu() - before);
    let mut phases: BTreeMap<PhaseName, usize> = BTreeMap::new();
    for case in bench.store.load().await.expect("loads").cases {
        *phases.entry(case.phase.name()).or_default() += 1;
    }
    let steps = bench.watch.all().iter().filter(|(_, did)| *did == Did::Step).count();
    println!("then: {phases:?}, {out} held at once at most, {steps} calls that change something");
    out
}
