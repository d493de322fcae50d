//! What is decided about every recording of a real Alertmanager, twice: from its deliveries, each at its time, and from
//! the API alone, as it would have been polled. The real loop decides, on a simulated cluster whose clock is the
//! recording's; it observes, so the journal is the decision.
//!
//! `tests/data/alarms/decisions` is the table. `PITLANE_BLESS=1` writes it anew; read the difference line by line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pitlane::adapters::alertmanager::parse;
use pitlane::config::{Mistakes, policy};
use pitlane::model::alert::{Episode, EpisodeKey, Listed};
use pitlane::model::fault::FaultKey;
use pitlane::model::observed::{AlarmsView, Reading};
use pitlane::model::rules::{
    AlarmsSetup, Budgets, CephSetup, HandSetup, Mode, Policy, Response, Rules, SensorQuery,
};
use pitlane::model::seen::{Seen, Trouble};
use pitlane::model::shown::Shown;
use pitlane::model::silence::{Silence, SilencesView};
use pitlane::model::step::{Action, Outcome};
use pitlane::model::time::{Time, after, age};
use pitlane::model::wait::Source;
use pitlane::ports::{Alarms, Archive, Clock, EndSilence, Meter, Sensors, Store};
use pitlane::reconcile::{Reconciler, World as Outside};
use pitlane::sim::world::Actor;
use pitlane::sim::{Doors, MemoryStore, World};
use serde_json::Value;

/// What nobody delivered: when the list forgot an episode that no delivery ends. Seconds after the recording's start,
/// from its timeline.
const FORGOTTEN: [(&str, f64); 2] = [("restart-nobody-resends", 5.03), ("send-resolved-false", 4.001)];

/// Beside the shipped policies: recordings whose alerts carry the class `fans`, or none.
const EXTRA: [(&str, &str); 2] = [
    ("fans", "'alarm_class=\"fans\"'"),
    ("unclassed", "'alarm_class=\"\"', 'alertname=~\"IpmiFanSpeedBad|NoNode|Odd|Lüfter.*\"'"),
];

/// The lab's two seconds are an operation's minute.
const FASTER: u32 = 30;

/// The loop's own pace while a case is open, and so long after the recording ends.
const PACE: Duration = Duration::from_secs(10);
const RUNS_ON: Duration = Duration::from_secs(180);

struct Silent;

impl Meter for Silent {
    fn turn(&self, _: Duration, _: &Shown) {}
    fn look(&self, _: Source, _: Result<(), &Trouble>) {}
    fn step(&self, _: &Action, _: &Outcome) {}
}

/// The API, as the recording's own times say that it answered.
struct Api {
    doors: Doors,
    /// Each episode with the time at which the list forgot it.
    listed: Vec<(Episode, Time)>,
}

#[async_trait]
impl Alarms for Api {
    async fn poll(&self) -> Seen<AlarmsView> {
        let now = self.doors.now();
        let fires = |(episode, until): &&(Episode, Time)| episode.starts_at <= now && now < *until;
        let listed = self.listed.iter().filter(fires).map(|(episode, _)| Listed {
            episode: Episode { received_at: now, ends_at: None, ..episode.clone() },
            updated_at: now,
            suppressed: false,
        });
        let view = AlarmsView { whole: true, listed: listed.collect(), ..AlarmsView::default() };
        Seen::known(view, now)
    }

    async fn silences(&self) -> Seen<SilencesView> {
        Seen::NotAsked
    }

    async fn silence(&self, _: &Silence, _: Time) -> Result<(), Trouble> {
        Err(Trouble::Refused("recordings are not to be changed".to_owned()))
    }

    async fn end_silence(&self, _: &EndSilence) -> Result<(), Trouble> {
        Err(Trouble::Refused("recordings are not to be changed".to_owned()))
    }
}

/// Recordings tell of alarms; what the sensors read then is not in them.
struct Unread;

#[async_trait]
impl Sensors for Unread {
    async fn read(&self, _: &FaultKey, _: &SensorQuery) -> Seen<Reading> {
        Trouble::Nonsense("no sample: nobody sees it".to_owned()).into()
    }
}

#[tokio::test]
async fn every_recording_is_decided_as_the_table_says() {
    let mut told = String::new();
    for file in files() {
        let recording = Recording::read(&file);
        let _ = write!(told, "== {}: {}\n-- delivered\n", recording.name, recording.title);
        told.push_str(&decide(&recording, AlarmsSetup::Delivered).await);
        told.push_str("-- polled\n");
        told.push_str(&decide(&recording, AlarmsSetup::Polled).await);
        told.push('\n');
    }
    let table = folder().join("decisions");
    if std::env::var_os("PITLANE_BLESS").is_some() {
        std::fs::write(&table, &told).expect("the table is writable");
        return;
    }
    let expected = std::fs::read_to_string(&table).expect("the table is there");
    for (n, (said, expected)) in told.lines().zip(expected.lines()).enumerate() {
        assert_eq!(said, expected, "line {} of {}", n + 1, table.display());
    }
    assert_eq!(told.lines().count(), expected.lines().count(), "lines of {}", table.display());
}

struct Recording {
    name: String,
    title: String,
    began: Time,
    /// Oldest first.
    deliveries: Vec<(Time, Vec<u8>)>,
}

impl Recording {
    fn read(file: &Path) -> Self {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read(file).expect("readable");
        let document: Value = serde_json::from_slice(&text).expect("a recording is JSON");
        let began: Time = document["t0"].as_str().and_then(|text| text.parse().ok()).expect("t0");
        let mut deliveries: Vec<(Time, Vec<u8>)> = document["deliveries"]
            .as_array()
            .expect("a list")
            .iter()
            // What was answered with an error was delivered all the same; pitlane would have answered 200.
            .map(|delivery| {
                let since = Duration::from_secs_f64(delivery["t"].as_f64().expect("seconds"));
                (after(began, since), delivery["body"].to_string().into_bytes())
            })
            .collect();
        deliveries.sort_by_key(|(at, _)| *at);
        let title = document["title"].as_str().unwrap_or_default().to_owned();
        Self { name, title, began, deliveries }
    }

    /// Every episode that was ever told, and until when it was listed.
    fn listed(&self) -> Vec<(Episode, Time)> {
        let mut all: BTreeMap<EpisodeKey, Episode> = BTreeMap::new();
        for (at, body) in &self.deliveries {
            for episode in parse(body, *at).expect("a delivery").episodes {
                all.entry(episode.key()).and_modify(|known| known.hear(&episode)).or_insert(episode);
            }
        }
        let forgotten = FORGOTTEN.iter().find(|(name, _)| *name == self.name);
        let forgotten = forgotten.map(|(_, secs)| after(self.began, Duration::from_secs_f64(*secs)));
        let until = |episode: &Episode| episode.ends_at.or(forgotten).unwrap_or(Time::MAX);
        all.into_values().map(|episode| (episode.clone(), until(&episode))).collect()
    }
}

async fn decide(recording: &Recording, how: AlarmsSetup) -> String {
    let first = recording.deliveries.first().map_or(recording.began, |(at, _)| *at);
    let began = recording.began.min(first);
    let doors = Doors::new(World::builder(9).at(began).build());
    let store = Arc::new(MemoryStore::new());
    let rules = rules(how);
    let api = Api { doors: doors.clone(), listed: recording.listed() };
    let outside = Outside {
        pve: Arc::new(doors.clone()),
        hand: None,
        ceph: None,
        sensors: Some(Arc::new(Unread)),
        alarms: (how == AlarmsSetup::Polled).then(|| Arc::new(api) as Arc<dyn Alarms>),
        alerts_missed: Arc::default(),
        tenure: Arc::new(pitlane::ports::AlwaysGood),
        bmc: None,
        tickets: Arc::new(doors.clone()),
        store: store.clone(),
        clock: Arc::new(doors.clone()),
        meter: Arc::new(Silent),
        fleet: None,
        kill_files: Vec::new(),
    };
    let reconciler = Reconciler::new(outside, rules.clone(), Arc::default());
    let shown = reconciler.shown();
    let mut unplaced: BTreeMap<String, usize> = BTreeMap::new();
    let mut counted = std::collections::BTreeSet::new();
    let last = recording.deliveries.last().map_or(began, |(at, _)| *at);
    let end = after(last, RUNS_ON);
    let mut coming = recording.deliveries.iter().peekable();
    while doors.now() < end {
        reconciler.turn().await.expect("the memory does not fail");
        let seen = Arc::clone(&shown.borrow());
        for alert in &seen.show.unplaced {
            if counted.insert(alert.fingerprint.clone()) {
                let told = seen.observed.episodes.iter().find(|e| e.fingerprint == alert.fingerprint);
                let name = told.and_then(|episode| episode.labels.get("alertname"));
                let name = name.unwrap_or("without a name");
                *unplaced.entry(format!("{name}: {}", alert.why)).or_default() += 1;
            }
        }
        let pause = after(doors.now(), PACE).min(end);
        match coming.next_if(|(at, _)| how == AlarmsSetup::Delivered && *at <= pause) {
            Some((at, body)) => {
                doors.world().advance(*at);
                store.ingest(parse(body, *at).expect("a delivery").episodes).await.expect("stores");
            }
            None => doors.world().advance(pause),
        }
    }
    assert!(doors.world().effects_of(Actor::Pitlane).is_empty(), "{}: it only observes", recording.name);
    let mut told = String::new();
    for (_, note) in store.journal(None, 0, 10_000).await.expect("reads") {
        let case = note.case.map_or_else(String::new, |case| format!("case {case}  "));
        let what = note.what.to_string().escape_debug().to_string();
        let _ = writeln!(told, "{:>4} s  {case}{what}", age(note.at, began).as_secs());
    }
    for fault in &shown.borrow().show.faults {
        let (key, starts) = (&fault.key, fault.episodes_since(Time::UNIX_EPOCH));
        let now = if fault.fires() { "fires" } else { "quiet" };
        let drains = acts_on(rules.policy(&fault.policy));
        let key = key.to_string().escape_debug().to_string();
        let _ = writeln!(told, "        {key}: {now} at the end, episodes {starts}{drains}");
    }
    for (why, alerts) in unplaced {
        let _ = writeln!(told, "        {alerts} unplaced: {why}");
    }
    told.lines().map(short).collect()
}

/// A line of the table: no part's name breaks it, and none fills a page.
fn short(line: &str) -> String {
    let mut short: String = line.chars().take(160).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short + "\n"
}

/// What the policy does about it, where that is no drain.
fn acts_on(policy: Option<&Policy>) -> &'static str {
    match policy.map(|policy| policy.respond.action) {
        None | Some(Response::Drain) => "",
        Some(Response::InPlace) => "; served in place",
        Some(Response::Page) => "; a person is called",
        Some(Response::Record) => "; only recorded",
    }
}

fn rules(how: AlarmsSetup) -> Rules {
    let dir = tempfile::tempdir().expect("a directory");
    for (class, matchers) in EXTRA {
        let text = format!(
            "policy: {class}\nmatch: [{matchers}]\ncomponent_labels: [name]\n\
             confirm: {{steady_for: 10m, or_episodes: 3, within: 1h, clears_after: 30m}}\n\
             respond: {{action: drain, mode: approve, time_box: 4h}}\n\
             work_order:\n  title: \"{{{{ node }}}}: {class}\"\n  checklist: [look]\n\
             sensor:\n  promql: 'up == bool 1'\n\
             prove: {{soak: 2h, checks: [alerts_clear]}}\n"
        );
        std::fs::write(dir.path().join(format!("{class}.yaml")), text).expect("writable");
    }
    let mut mistakes = Mistakes::default();
    let mut policies = policy::load(None, &mut mistakes);
    let extra = policy::load(Some(dir.path()), &mut mistakes);
    policies.extend(extra.into_iter().filter(|policy| policy.name.as_str() != "manual"));
    assert_eq!(mistakes.to_string(), "", "the table's own policies");
    for policy in &mut policies {
        let confirm = &mut policy.confirm;
        for span in [&mut confirm.steady_for, &mut confirm.within, &mut confirm.clears_after] {
            span.0 /= FASTER;
        }
    }
    Rules {
        mode: Mode::Observe,
        policies,
        mapping: Default::default(),
        ceph: CephSetup::None,
        hand: HandSetup::Absent,
        alarms: how,
        budgets: Budgets::default(),
        limits: Default::default(),
        own: pitlane::model::rules::OwnHome::outside(),
        silences: None,
        shared: None,
        notify: Default::default(),
        packing: Default::default(),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/alarms")
}

fn files() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder())
        .expect("the recordings are there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    all.sort();
    assert!(all.len() >= 23, "only {} recordings", all.len());
    all
}
