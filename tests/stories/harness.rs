//! Tells a story: the real loop, on door one of the simulated cluster, with time that is stepped.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use pitlane::model::fault::FaultKey;
use pitlane::model::ids::CaseId;
use pitlane::model::notice::NoticeId;
use pitlane::model::rules::{AlarmsSetup, CephSetup, HandSetup, Rules};
use pitlane::model::seen::Trouble;
use pitlane::model::shown::Shown;
use pitlane::model::step::{Action, Outcome};
use pitlane::model::time::{Time, after, age};
use pitlane::model::wait::Source;
use pitlane::ports::{Clock as _, Meter};
use pitlane::reconcile::courier::Courier;
use pitlane::reconcile::{Reconciler, TurnFailed, World as Outside};
use pitlane::sim::Doors;
use pitlane::sim::world::Actor;

use crate::deadly::{Deadly, Scythe};
use crate::kept::Kept;
use crate::script::{Event, Script, Until, When};
use crate::setting::setting;

/// No story is longer; one that is does not end.
const STORY_MAX: Duration = Duration::from_secs(3 * 24 * 3600);
const TURNS_MAX: usize = 60_000;

pub struct Silent;

impl Meter for Silent {
    fn turn(&self, _took: Duration, _shown: &Shown) {}
    fn look(&self, _source: Source, _outcome: Result<(), &Trouble>) {}
    fn step(&self, _action: &Action, _outcome: &Outcome) {}
}

/// One telling.
pub struct Teller {
    pub doors: Doors,
    pub store: Arc<Kept>,
    pub scythe: Arc<Scythe>,
    pub rules: Rules,
    pub reconciler: Reconciler,
    pub courier: Courier,
    heard: BTreeSet<NoticeId>,
    pub began: Time,
    pub events: Vec<Event>,
    /// `handed-over`, `handed-over-2` (the second time), each also as `case-1:handed-over` → when it was entered.
    entered: BTreeMap<String, Time>,
    /// The phase in which each case was last seen.
    stood: BTreeMap<CaseId, String>,
    /// When each fault's alarm began to fire.
    pub firing: BTreeMap<FaultKey, Time>,
    /// When it last began, whether or not it still fires.
    pub fired: BTreeMap<FaultKey, Time>,
    /// Alertmanager left alerts out of a delivery.
    pub missed: Arc<AtomicBool>,
    pub asked: u64,
    pub kill: Option<std::path::PathBuf>,
    /// So often may a technician still look at a page that does not say "safe".
    pub looks_left: u32,
    /// The process is dead until then.
    pub dead_until: Time,
    pub remarks: Vec<(Time, String)>,
    /// When each line of the journal was written by the world's clock, once pitlane's own differs from it.
    written: BTreeMap<u64, Time>,
}

/// Tells the story and returns its history.
pub fn tell(script: &Script) -> Result<String, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let mut teller = Teller::new(script, Scythe::idle())?;
    runtime.block_on(async {
        let ran = teller.run(&script.until).await;
        let history = teller.history().await?;
        ran.map(|()| history.clone()).map_err(|why| format!("{why}\n{history}"))
    })
}

impl Teller {
    pub fn new(script: &Script, scythe: Arc<Scythe>) -> Result<Self, String> {
        let (world, rules) = setting(script)?;
        let began = world.now;
        let doors = Doors::new(world);
        let store = Kept::new(&doors);
        let missed = Arc::default();
        let reconciler = reconciler(&doors, &store, &scythe, &rules, None, &missed, Arc::new(Silent));
        let courier = courier(&doors, &store, &scythe, &rules);
        Ok(Self {
            doors,
            store,
            scythe,
            rules,
            reconciler,
            courier,
            heard: BTreeSet::new(),
            began,
            events: script.events.clone(),
            entered: BTreeMap::new(),
            stood: BTreeMap::new(),
            looks_left: 60,
            dead_until: began,
            firing: BTreeMap::new(),
            fired: BTreeMap::new(),
            missed,
            asked: 0,
            kill: None,
            remarks: Vec::new(),
            written: BTreeMap::new(),
        })
    }

    pub fn now(&self) -> Time {
        self.doors.world().now
    }

    /// Turn after turn until the end.
    pub async fn run(&mut self, until: &Until) -> Result<(), String> {
        for _ in 0..TURNS_MAX {
            self.happen().await?;
            let pace = match age(self.dead_until, self.now()) {
                Duration::ZERO => self.turn().await?,
                dead => dead,
            };
            let now = self.now();
            let spent = age(now, self.began);
            let done = match until {
                Until::At(end) => spent >= *end,
                Until::Closed => self.all_closed().await?,
            };
            if done {
                return Ok(());
            }
            if spent > STORY_MAX {
                return Err("the story does not end".to_owned());
            }
            let mut next = after(now, pace.max(Duration::from_secs(1)));
            for at in self.events.iter().filter_map(|event| self.due(event)) {
                next = next.min(at.max(after(now, Duration::from_secs(1))));
            }
            self.rest(next).await;
        }
        Err("the story does not end".to_owned())
    }

    /// Lets time pass until the next turn is due: then, or when the loop's glance sees that a migration has ended.
    async fn rest(&mut self, until: Time) {
        let dead = age(self.dead_until, self.now()) > Duration::ZERO;
        if dead || self.reconciler.idle().await {
            return self.doors.world().advance(until);
        }
        while self.now() < until {
            self.doors.advance_secs(1);
            if self.reconciler.glance().await {
                return;
            }
        }
    }

    /// One turn; a process that dies in it is started again, with nothing but what was stored.
    async fn turn(&mut self) -> Result<Duration, String> {
        let scythe = Arc::clone(&self.scythe);
        let turned = tokio::select! {
            biased;
            turned = async {
                let turned = self.reconciler.turn().await;
                // Beside the turns in service; after each of them here, so that a history is one history.
                self.reconciler.learn().await;
                self.courier.round().await.map_err(|_| TurnFailed::Conflict).and(turned)
            } => Some(turned),
            () = scythe.fell() => None,
        };
        let pace = match turned {
            Some(Ok(pace)) => pace.0,
            Some(Err(failed)) => {
                self.remarks.push((self.now(), format!("(the turn failed: {failed})")));
                Duration::from_secs(5)
            }
            None => {
                self.restart();
                Duration::from_secs(1)
            }
        };
        self.hear();
        let now = self.now();
        if self.doors.world().our_clock != 0 || !self.written.is_empty() {
            let (first, ours) = (self.written.is_empty(), self.doors.now());
            for (seq, note) in self.store.journal(None, 0, 10_000).await.map_err(|t| t.to_string())? {
                // Until the first difference both clocks told the same.
                let before = first && age(ours, note.at).max(age(note.at, ours)) > Duration::from_secs(60);
                let at = if before { note.at } else { now };
                self.written.entry(seq).or_insert(at);
            }
        }
        for case in self.store.cases(100).await.map_err(|t| t.to_string())? {
            let phase = case.phase.name().to_string();
            if self.stood.insert(case.id, phase.clone()).as_ref() == Some(&phase) {
                continue;
            }
            for entry in [phase.clone(), format!("case-{}:{phase}", case.id)] {
                let again = (2..).map(|n| format!("{entry}-{n}"));
                let free =
                    std::iter::once(entry.clone()).chain(again).find(|e| !self.entered.contains_key(e));
                self.entered.extend(free.map(|entry| (entry, now)));
            }
        }
        Ok(pace)
    }

    /// What reached people since the last look.
    fn hear(&mut self) {
        let heard: Vec<NoticeId> = self.doors.world().heard.keys().cloned().collect();
        for notice in self.store.notices() {
            if heard.contains(&notice.id) && self.heard.insert(notice.id.clone()) {
                let to: Vec<&str> = notice.to.iter().map(|channel| channel.0.as_str()).collect();
                let text = format!("({} to {}: {})", notice.urgency.name(), to.join(", "), notice.title);
                self.remarks.push((self.now(), text));
            }
        }
    }

    /// A new process: whatever was not stored is gone.
    pub fn restart(&mut self) {
        // What this process was told and did not write down.
        self.missed = Arc::default();
        // All of the old process goes before its store is opened again: whatever holds the store holds its lock.
        let store = std::mem::replace(&mut self.store, Kept::nothing());
        self.begin();
        self.store = Kept::again(store, &self.doors);
        self.begin();
    }

    fn begin(&mut self) {
        let (kill, meter) = (self.kill.clone(), Arc::new(Silent));
        self.reconciler =
            reconciler(&self.doors, &self.store, &self.scythe, &self.rules, kill, &self.missed, meter);
        self.courier = courier(&self.doors, &self.store, &self.scythe, &self.rules);
    }

    async fn all_closed(&self) -> Result<bool, String> {
        let cases = self.store.cases(100).await.map_err(|t| t.to_string())?;
        Ok(self.events.is_empty() && !cases.is_empty() && cases.iter().all(|case| !case.open()))
    }

    pub fn due(&self, event: &Event) -> Option<Time> {
        match &event.when {
            When::At(span) => Some(after(self.began, *span)),
            When::After(phase, span) => self.entered.get(phase).map(|at| after(*at, *span)),
        }
    }

    /// Lets the courier end its work with channels that are well; how many notices stay undelivered.
    pub async fn everybody_is_told(&mut self) -> Result<usize, String> {
        self.doors.world().spoil_nothing();
        for _ in 0..10 {
            // A blade that falls here finds nothing to kill: the courier is made anew each time.
            let scythe = Arc::clone(&self.scythe);
            self.courier = courier(&self.doors, &self.store, &scythe, &self.rules);
            tokio::select! {
                biased;
                round = self.courier.round() => round.map_err(|t| t.to_string())?,
                () = scythe.fell() => {}
            }
            let left = self.store.undelivered().await.map_err(|t| t.to_string())?.len();
            if left == 0 {
                return Ok(0);
            }
            self.doors.advance_secs(300);
        }
        Ok(self.store.undelivered().await.map_err(|t| t.to_string())?.len())
    }

    /// What pitlane wrote, and how the world was left.
    pub async fn history(&self) -> Result<String, String> {
        let mut lines: Vec<(Time, u64, String)> = Vec::new();
        for (seq, note) in self.store.journal(None, 0, 10_000).await.map_err(|t| t.to_string())? {
            let who = note.case.map_or_else(|| "      ".to_owned(), |case| format!("case {case}"));
            let at = self.written.get(&seq).copied().unwrap_or(note.at);
            lines.push((at, seq, format!("{who}  {}", note.what)));
        }
        lines.extend(self.remarks.iter().map(|(at, text)| (*at, u64::MAX, text.clone())));
        lines.sort();
        let mut text = String::new();
        for (at, _, line) in lines {
            let secs = age(at, self.began).as_secs();
            let _ = writeln!(text, "{:02}:{:02}:{:02}  {line}", secs / 3600, secs / 60 % 60, secs % 60);
        }
        let _ = write!(text, "--\n{}", self.left_behind().await?);
        Ok(text)
    }

    /// The end of the world, in lines.
    pub async fn left_behind(&self) -> Result<String, String> {
        let cases = self.store.cases(100).await.map_err(|t| t.to_string())?;
        let mut text = String::new();
        for case in cases.iter().rev() {
            let wait =
                case.wait.as_ref().filter(|_| case.open()).map_or_else(String::new, |w| format!(" ({w})"));
            let _ = writeln!(text, "case {} {}: {}{wait}", case.id, case.node, case.phase.name());
        }
        let world = self.doors.world();
        let away: BTreeSet<String> = world
            .origin
            .keys()
            .filter(|id| world.guests.contains_key(id) && !world.at_home(**id))
            .map(|id| format!("{id} on {}", world.guests[id].node))
            .collect();
        let _ = writeln!(text, "guests not as they were: {}", or_none(&away));
        let held: BTreeSet<String> = world
            .ha
            .maintenance_by
            .iter()
            .map(|(node, (who, _))| format!("maintenance {node} ({who:?})"))
            .chain(world.ceph.iter().flat_map(|ceph| {
                ceph.host_noout.iter().map(|(host, (who, _))| format!("noout {host} ({who:?})"))
            }))
            .chain(world.machines.iter().flat_map(|(node, machine)| {
                let lit = machine.bmc.iter().flat_map(|bmc| &bmc.lit);
                lit.map(move |(target, who)| format!("locate {node} {target} ({who:?})"))
            }))
            .chain(
                world
                    .silences
                    .values()
                    .filter(|set| set.ends_at > world.now)
                    .map(|set| format!("silence {} ({:?})", set.node(), set.by)),
            )
            .collect();
        let _ = writeln!(text, "held: {}", or_none(&held));
        let _ = writeln!(text, "work orders open: {}", world.board.open_orders().len());
        let did: BTreeSet<String> = world
            .effects_of(Actor::Pitlane)
            .into_iter()
            .map(|(kind, times)| format!("{kind} {times}"))
            .collect();
        let _ = writeln!(text, "pitlane did: {}", or_none(&did));
        Ok(text)
    }
}

fn courier(doors: &Doors, store: &Arc<Kept>, scythe: &Arc<Scythe>, rules: &Rules) -> Courier {
    let deadly = Arc::new(Deadly::new(doors.clone(), Arc::clone(store), Arc::clone(scythe)));
    let channels = rules.notify.page.iter().chain(&rules.notify.tell);
    let channels =
        channels.map(|name| (name.clone(), deadly.clone() as Arc<dyn pitlane::ports::Notifier>)).collect();
    Courier::new(store.all.clone(), channels, Arc::new(doors.clone()), Arc::new(|_, _| ()))
}

fn or_none(all: &BTreeSet<String>) -> String {
    if all.is_empty() { "none".to_owned() } else { all.iter().cloned().collect::<Vec<_>>().join(", ") }
}

pub fn reconciler(
    doors: &Doors,
    store: &Arc<Kept>,
    scythe: &Arc<Scythe>,
    rules: &Rules,
    kill_file: Option<std::path::PathBuf>,
    missed: &Arc<AtomicBool>,
    meter: Arc<dyn Meter>,
) -> Reconciler {
    let deadly = Arc::new(Deadly::new(doors.clone(), Arc::clone(store), Arc::clone(scythe)));
    let hand = rules.hand == HandSetup::Installed;
    let outside = Outside {
        pve: deadly.clone(),
        hand: hand.then(|| deadly.clone() as Arc<dyn pitlane::ports::Hand>),
        ceph: (rules.ceph == CephSetup::Hyperconverged)
            .then(|| deadly.clone() as Arc<dyn pitlane::ports::Ceph>),
        sensors: Some(deadly.clone()),
        alarms: (rules.alarms == AlarmsSetup::Polled)
            .then(|| deadly.clone() as Arc<dyn pitlane::ports::Alarms>),
        alerts_missed: Arc::clone(missed),
        tenure: Arc::new(pitlane::ports::AlwaysGood),
        bmc: Some(deadly.clone()),
        tickets: deadly.clone(),
        store: deadly,
        clock: Arc::new(doors.clone()),
        meter,
        fleet: None,
        kill_files: kill_file.into_iter().collect(),
    };
    Reconciler::new(outside, rules.clone(), Arc::default())
}
