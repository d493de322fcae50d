//! Tells a story: the real loop, on door one of the simulated cluster, with time that is stepped.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use pitlane::model::case::{Case, Phase};
use pitlane::model::fault::FaultKey;
use pitlane::model::ids::{CaseId, GuestId, HostName, NodeName, OsdId, Person, PlanHash, RequestId, Upid};
use pitlane::model::observed::{Affinity, HealthCheck};
use pitlane::model::request::{Ask, Request};
use pitlane::model::rules::{
    CephSetup, ContainerPolicy, HandSetup, ImmovablePolicy, Mode, NPlusOne, Policy, Rules,
};
use pitlane::model::seen::Trouble;
use pitlane::model::shown::Shown;
use pitlane::model::step::{Action, Outcome, Switch};
use pitlane::model::time::{Time, after, age};
use pitlane::model::wait::Source;
use pitlane::ports::{Archive, Meter, Store};
use pitlane::reconcile::{Reconciler, World as Outside};
use pitlane::sim::world::sensor::episode;
use pitlane::sim::world::{Actor, Builder, Call, Cut, GIB, IllMove, Mishap, Sensor};
use pitlane::sim::{Doors, MemoryStore, World};

use crate::deadly::{Deadly, Scythe};
use crate::script::{Event, Script, Until, When};

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
    pub store: Arc<MemoryStore>,
    pub scythe: Arc<Scythe>,
    pub rules: Rules,
    reconciler: Reconciler,
    began: Time,
    events: Vec<Event>,
    /// Phase → when it was first entered.
    entered: BTreeMap<String, Time>,
    /// When each fault's alarm began to fire.
    firing: BTreeMap<FaultKey, Time>,
    asked: u64,
    kill: Option<std::path::PathBuf>,
    remarks: Vec<(Time, String)>,
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
        let store = Arc::new(MemoryStore::default());
        let reconciler = reconciler(&doors, &store, &scythe, &rules, None);
        Ok(Self {
            doors,
            store,
            scythe,
            rules,
            reconciler,
            began,
            events: script.events.clone(),
            entered: BTreeMap::new(),
            firing: BTreeMap::new(),
            asked: 0,
            kill: None,
            remarks: Vec::new(),
        })
    }

    fn now(&self) -> Time {
        self.doors.world().now
    }

    /// Turn after turn until the end.
    pub async fn run(&mut self, until: &Until) -> Result<(), String> {
        for _ in 0..TURNS_MAX {
            self.happen().await?;
            let pace = self.turn().await?;
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
            self.doors.world().advance(next);
        }
        Err("the story does not end".to_owned())
    }

    /// One turn; a process that dies in it is started again, with nothing but what was stored.
    async fn turn(&mut self) -> Result<Duration, String> {
        let scythe = Arc::clone(&self.scythe);
        let turned = tokio::select! {
            biased;
            turned = self.reconciler.turn() => Some(turned),
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
        let now = self.now();
        for case in self.store.cases(100).await.map_err(|t| t.to_string())? {
            self.entered.entry(case.phase.name().to_string()).or_insert(now);
        }
        Ok(pace)
    }

    /// A new process: whatever was not stored is gone.
    pub fn restart(&mut self) {
        self.reconciler = reconciler(&self.doors, &self.store, &self.scythe, &self.rules, self.kill.clone());
    }

    async fn all_closed(&self) -> Result<bool, String> {
        let cases = self.store.cases(100).await.map_err(|t| t.to_string())?;
        Ok(self.events.is_empty() && !cases.is_empty() && cases.iter().all(|case| !case.open()))
    }

    fn due(&self, event: &Event) -> Option<Time> {
        match &event.when {
            When::At(span) => Some(after(self.began, *span)),
            When::After(phase, span) => self.entered.get(phase).map(|at| after(*at, *span)),
        }
    }

    /// Everything whose time has come, in the script's order.
    async fn happen(&mut self) -> Result<(), String> {
        let now = self.now();
        let (due, later): (Vec<Event>, Vec<Event>) = self
            .events
            .drain(..)
            .collect::<Vec<_>>()
            .into_iter()
            .partition(|e| self.due(e).is_some_and(|at| at <= now));
        self.events = later;
        for event in due {
            let words: Vec<&str> = event.words.iter().map(String::as_str).collect();
            self.event(&words).await.map_err(|why| format!("{}: {why}", event.words.join(" ")))?;
        }
        Ok(())
    }

    async fn event(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            ["alarm", node, part] => self.alarm(node, part, Sensor::Bad).await,
            ["clears", node, part] => self.clear(node, part, Some(Sensor::Good)).await,
            // The alarm resolves although the part is as broken as before.
            ["resolves", node, part, "unseen"] => self.clear(node, part, Some(Sensor::Blind)).await,
            ["flaps", node, part, "times", times, "every", every] => {
                let every = number(every)?;
                for n in 0..number(times)? {
                    let at = after(self.now(), Duration::from_secs(n * every));
                    let key = fan(node, part);
                    let told = episode(&key, at, Some(after(at, Duration::from_secs(every / 2))));
                    let told = pitlane::model::alert::Episode { received_at: self.now(), ..told };
                    self.ingest(told).await?;
                    self.doors.world().set_sensor(&key, Sensor::Bad);
                }
                Ok(())
            }
            ["sensor", node, part, to] => {
                let to = match *to {
                    "good" => Sensor::Good,
                    "bad" => Sensor::Bad,
                    "blind" => Sensor::Blind,
                    _ => return Err("good, bad or blind".to_owned()),
                };
                self.doors.world().set_sensor(&fan(node, part), to);
                Ok(())
            }
            ["ask", rest @ ..] => self.ask(rest).await,
            ["mode", mode] => {
                self.rules.mode = mode_of(mode)?;
                self.restart();
                Ok(())
            }
            ["restart"] => {
                self.restart();
                Ok(())
            }
            ["kill-file", "appears"] => {
                let path = std::env::current_exe().map_err(|e| e.to_string())?;
                self.kill = Some(path);
                self.doors.world().kill_switch = true;
                self.restart();
                Ok(())
            }
            ["kill-file", "goes"] => {
                self.kill = None;
                self.doors.world().kill_switch = false;
                self.restart();
                Ok(())
            }
            ["technician", "opens", node] => self.technician_opens(node),
            _ => {
                let mut world = self.doors.world();
                happens(&mut world, words)
            }
        }
    }

    async fn ingest(&self, told: pitlane::model::alert::Episode) -> Result<(), String> {
        self.store.ingest(vec![told]).await.map(|_| ()).map_err(|t| t.to_string())
    }

    async fn alarm(&mut self, node: &str, part: &str, sensor: Sensor) -> Result<(), String> {
        let key = fan(node, part);
        let now = self.now();
        self.firing.insert(key.clone(), now);
        self.doors.world().set_sensor(&key, sensor);
        self.ingest(episode(&key, now, None)).await
    }

    async fn clear(&mut self, node: &str, part: &str, sensor: Option<Sensor>) -> Result<(), String> {
        let key = fan(node, part);
        let began = self.firing.remove(&key).ok_or("that alarm does not fire")?;
        if let Some(sensor) = sensor {
            self.doors.world().set_sensor(&key, sensor);
        }
        self.ingest(episode(&key, began, Some(self.now()))).await
    }

    /// The technician trusts what the page says at this moment, and nothing else.
    fn technician_opens(&self, node: &str) -> Result<(), String> {
        let shown = self.reconciler.shown().borrow().clone();
        let node = NodeName::from(node);
        let case = shown.state.cases.iter().find(|case| case.node == node).ok_or("no case for that node")?;
        shown.safe_to_power_off(case.id, self.now()).map_err(|why| format!("not shown as safe: {why}"))?;
        self.doors.world().technician_opens(&node);
        Ok(())
    }

    async fn ask(&mut self, words: &[&str]) -> Result<(), String> {
        let open = self.open_case().await?;
        let case = || open.as_ref().map(|case| case.id).unwrap_or(CaseId(0));
        let ask = match words {
            ["drain", node] => Ask::Drain { node: (*node).into(), reason: "new firmware".into(), yes: false },
            ["drain", node, "yes"] => {
                Ask::Drain { node: (*node).into(), reason: "new firmware".into(), yes: true }
            }
            ["approve"] => Ask::Approve { case: case(), hash: shown_plan(open.as_ref())? },
            ["approve", hash] => Ask::Approve { case: case(), hash: PlanHash((*hash).to_owned()) },
            ["abort", reason] => Ask::Abort { case: case(), reason: (*reason).to_owned() },
            ["done"] => Ask::Done { case: case(), note: String::new(), hands_off: false },
            ["done", note] => Ask::Done { case: case(), note: (*note).to_owned(), hands_off: false },
            ["hands-off"] => Ask::Done { case: case(), note: String::new(), hands_off: true },
            ["note", text] => Ask::Note { case: case(), text: (*text).to_owned() },
            ["retire", reason] => Ask::Retire { case: case(), reason: (*reason).to_owned() },
            ["heal"] => Ask::Heal { case: case() },
            ["pause", reason] => Ask::Pause { reason: (*reason).to_owned() },
            ["resume"] => Ask::Resume,
            _ => return Err("nobody can ask that".to_owned()),
        };
        let technician = matches!(ask, Ask::Done { .. });
        let by = Person::from(if technician { "technician" } else { "operator" });
        self.asked += 1;
        let request = Request { id: RequestId(format!("ask-{}", self.asked)), by, at: self.now(), ask };
        match &request.ask {
            Ask::Pause { .. } => self.doors.world().kill_switch = true,
            Ask::Resume => self.doors.world().kill_switch = false,
            _ => {}
        }
        self.store.request(&request).await.map_err(|t| t.to_string())
    }

    /// The open case that was opened last.
    async fn open_case(&self) -> Result<Option<Case>, String> {
        let cases = self.store.cases(100).await.map_err(|t| t.to_string())?;
        Ok(cases.into_iter().filter(Case::open).max_by_key(|case| case.id))
    }

    /// What pitlane wrote, and how the world was left.
    pub async fn history(&self) -> Result<String, String> {
        let mut lines: Vec<(Time, u64, String)> = Vec::new();
        for (seq, note) in self.store.journal(None, 0, 10_000).await.map_err(|t| t.to_string())? {
            let who = note.case.map_or_else(|| "      ".to_owned(), |case| format!("case {case}"));
            lines.push((note.at, seq, format!("{who}  {}", note.what)));
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

fn or_none(all: &BTreeSet<String>) -> String {
    if all.is_empty() { "none".to_owned() } else { all.iter().cloned().collect::<Vec<_>>().join(", ") }
}

fn shown_plan(case: Option<&Case>) -> Result<PlanHash, String> {
    match case.map(|case| &case.phase) {
        Some(Phase::Preparing { shown: Some(hash), .. }) => Ok(hash.clone()),
        _ => Err("no plan is shown".to_owned()),
    }
}

fn reconciler(
    doors: &Doors,
    store: &Arc<MemoryStore>,
    scythe: &Arc<Scythe>,
    rules: &Rules,
    kill_file: Option<std::path::PathBuf>,
) -> Reconciler {
    let deadly = Arc::new(Deadly::new(doors.clone(), Arc::clone(store), Arc::clone(scythe)));
    let hand = rules.hand == HandSetup::Installed;
    let outside = Outside {
        pve: deadly.clone(),
        hand: hand.then(|| deadly.clone() as Arc<dyn pitlane::ports::Hand>),
        ceph: (rules.ceph == CephSetup::Hyperconverged)
            .then(|| deadly.clone() as Arc<dyn pitlane::ports::Ceph>),
        sensors: Some(deadly.clone()),
        tickets: deadly.clone(),
        store: deadly,
        clock: Arc::new(doors.clone()),
        meter: Arc::new(Silent),
        kill_file,
    };
    Reconciler::new(outside, rules.clone(), Arc::default())
}

fn fan(node: &str, part: &str) -> FaultKey {
    pitlane::sim::world::sensor::fan(node, part)
}

fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("{word} is not a number"))
}

fn mode_of(word: &str) -> Result<Mode, String> {
    match word {
        "observe" => Ok(Mode::Observe),
        "approve" => Ok(Mode::Approve),
        "act" => Ok(Mode::Act),
        _ => Err("observe, approve or act".to_owned()),
    }
}

/// The world and the rules of the story.
fn setting(script: &Script) -> Result<(World, Rules), String> {
    let mut builder: Option<Builder> = None;
    let mut rules = Rules {
        mode: Mode::Act,
        policies: shipped(),
        mapping: Default::default(),
        ceph: CephSetup::None,
        hand: HandSetup::Installed,
        budgets: Default::default(),
        limits: Default::default(),
        packing: Default::default(),
    };
    for line in &script.setting {
        let words: Vec<&str> = line.iter().map(String::as_str).collect();
        builder = match (words.as_slice(), builder.take()) {
            (["nodes", n], _) => Some(World::builder(u32::try_from(number(n)?).map_err(|e| e.to_string())?)),
            (["nodes", n, "gib", gib], _) => {
                let nodes = u32::try_from(number(n)?).map_err(|e| e.to_string())?;
                Some(World::builder(nodes).node_gib(number(gib)?))
            }
            (rest, Some(builder)) => {
                Some(scene(rest, builder, &mut rules).map_err(|why| format!("{}: {why}", line.join(" ")))?)
            }
            (_, None) => return Err("a script begins with: nodes N".to_owned()),
        };
    }
    Ok((builder.ok_or("a script begins with: nodes N")?.build(), rules))
}

fn shipped() -> Vec<Policy> {
    let mut mistakes = pitlane::config::Mistakes::default();
    let mut policies = pitlane::config::policy::load(None, &mut mistakes);
    for policy in &mut policies {
        policy.respond.mode = Mode::Act;
    }
    policies
}

fn scene(words: &[&str], builder: Builder, rules: &mut Rules) -> Result<Builder, String> {
    let id = |word: &str| word.parse::<u32>().map_err(|_| format!("{word} is not a guest"));
    let ids = |words: &[&str]| words.iter().map(|w| id(w)).collect::<Result<Vec<u32>, String>>();
    Ok(match words {
        ["ceph", osds] => {
            rules.ceph = CephSetup::Hyperconverged;
            builder.ceph(u32::try_from(number(osds)?).map_err(|e| e.to_string())?)
        }
        [kind @ ("vm" | "ct" | "stopped"), guest, "on", node, details @ ..] => {
            guest_in(kind, id(guest)?, node, details, builder)?
        }
        ["no-hand"] => {
            rules.hand = HandSetup::Absent;
            builder.no_hand()
        }
        ["mode", mode] => {
            rules.mode = mode_of(mode)?;
            builder
        }
        ["containers", "restart"] => {
            rules.policies.iter_mut().for_each(|p| p.respond.containers = ContainerPolicy::Restart);
            builder
        }
        ["immovable", "shut-down"] => {
            rules.policies.iter_mut().for_each(|p| p.respond.immovable = ImmovablePolicy::ShutDown);
            builder
        }
        ["soak", soak] => {
            let soak = soak.parse().map_err(|why| format!("{why}"))?;
            rules.policies.iter_mut().for_each(|p| p.prove.soak = soak);
            builder
        }
        ["n-plus-one", "required"] => {
            rules.packing.n_plus_one = NPlusOne::Required;
            builder
        }
        ["budget", "nodes", n] => {
            rules.budgets.nodes_out_max = u32::try_from(number(n)?).map_err(|e| e.to_string())?;
            builder
        }
        ["budget", "drains", n] => {
            rules.budgets.drains_per_day_max = u32::try_from(number(n)?).map_err(|e| e.to_string())?;
            builder
        }
        ["apart", rule, guests @ ..] => builder.guest_rule(rule, Affinity::Apart, &ids(guests)?),
        ["together", rule, guests @ ..] => builder.guest_rule(rule, Affinity::Together, &ids(guests)?),
        ["strict", rule, guest, "on", nodes @ ..] => {
            let nodes: Vec<(&str, i64)> = nodes.iter().map(|n| (*n, 0)).collect();
            builder.node_rule(rule, &[id(guest)?], &nodes, true)
        }
        ["prefers", rule, guest, "on", nodes @ ..] => {
            let nodes: Vec<(&str, i64)> = nodes.iter().map(|n| (*n, 0)).collect();
            builder.node_rule(rule, &[id(guest)?], &nodes, false)
        }
        ["pool", name, "size", size, "min", min] => {
            let (size, min) = (number(size)? as u32, number(min)? as u32);
            let kind = pitlane::model::observed::PoolKind::Replicated;
            builder.pools(vec![pitlane::sim::world::build::pool(name, kind, size, min, "host")])
        }
        ["lacks", privilege] => {
            let privilege = (*privilege).to_owned();
            builder.with(|world| {
                for granted in world.token.values_mut() {
                    granted.remove(&privilege);
                }
            })
        }
        _ => return Err("no such thing in a world".to_owned()),
    })
}

fn guest_in(kind: &str, id: u32, node: &str, details: &[&str], builder: Builder) -> Result<Builder, String> {
    let mut ha = false;
    let mut rest = details.iter();
    let mut changes: Vec<Box<dyn Fn(&mut pitlane::sim::world::Guest)>> = Vec::new();
    while let Some(word) = rest.next() {
        let mut next = || rest.next().copied().ok_or_else(|| format!("{word} what?"));
        match *word {
            "ha" => ha = true,
            "template" => changes.push(Box::new(|g| g.template = true)),
            "deaf" => changes.push(Box::new(|g| g.deaf = true)),
            "gib" => {
                let gib = number(next()?)?;
                changes.push(Box::new(move |g| (g.memory, g.memory_used) = (gib * GIB, gib * GIB / 2)));
            }
            "cpus" => {
                let cpus = number(next()?)? as u32;
                changes.push(Box::new(move |g| g.cpus = cpus));
            }
            "dirty" => {
                let dirty = number(next()?)? << 20;
                changes.push(Box::new(move |g| g.dirty = dirty));
            }
            "disk" => {
                let bytes = number(next()?)? * GIB;
                let volume = format!("local-lvm:vm-{id}-disk-0");
                changes.push(Box::new(move |g| {
                    g.local_disks.insert(volume.clone(), bytes);
                }));
            }
            "device" => {
                let device = next()?.to_owned();
                changes.push(Box::new(move |g| g.devices.push(device.clone())));
            }
            "cdrom" => {
                let image = next()?.to_owned();
                changes.push(Box::new(move |g| g.local_cdrom = Some(image.clone())));
            }
            "lock" => {
                let lock = next()?.to_owned();
                changes.push(Box::new(move |g| g.lock = Some(lock.clone())));
            }
            _ => return Err(format!("{word} is no property of a guest")),
        }
    }
    let lxc = kind == "ct";
    let stopped = kind == "stopped";
    let builder = builder.guest(id, node, |guest| {
        if lxc {
            guest.kind = pitlane::model::observed::GuestKind::Lxc;
            guest.name = format!("ct{id}");
        }
        if stopped {
            guest.run = pitlane::sim::world::Run::Stopped;
        }
        for change in &changes {
            change(guest);
        }
    });
    Ok(if ha { builder.ha(&[id]) } else { builder })
}

/// What happens in the world without pitlane.
fn happens(world: &mut World, words: &[&str]) -> Result<(), String> {
    let guest = |word: &str| word.parse::<u32>().map(GuestId).map_err(|_| format!("{word} is not a guest"));
    let switch = |word: &str| if word == "on" { Switch::On } else { Switch::Off };
    match words {
        ["technician", "closes", node] => world.technician_closes(&(*node).into()),
        ["dies", node] => world.node_dies(&(*node).into()),
        ["boots", node] => world.node_boots(&(*node).into()),
        ["cut", node] => world.cut(&(*node).into(), Cut::Network),
        ["uncut", node] => world.heal_cut(&(*node).into()),
        ["human", "maintenance", to, node] => world.human_maintenance(&(*node).into(), switch(to)),
        ["human", "noout", to, host] => world.human_noout(&HostName::from(*host), switch(to)),
        ["human", "flag", flag, to] => world.human_flag(flag, switch(to)),
        ["human", "disarms"] => world.human_arms_ha(Switch::Off),
        ["human", "arms"] => world.human_arms_ha(Switch::On),
        ["human", "starts", id] => world.human_starts(guest(id)?),
        ["human", "stops", id] => world.human_stops(guest(id)?),
        ["human", "moves", id, "to", node] => {
            let id = guest(id)?;
            let row = world.guests.get(&id).ok_or("no such guest")?;
            let call = pitlane::sim::world::MigrateCall {
                guest: id,
                kind: row.kind,
                node: row.node.clone(),
                target: (*node).into(),
                online: row.aboard(),
                restart: row.aboard(),
                with_local_disks: false,
            };
            let via = call.target.clone();
            let _: Upid = world.migrate(Actor::Human, &via, &call).map_err(|r| format!("{r:?}"))?;
        }
        ["human", "deletes", id] => {
            world.guests.remove(&guest(id)?);
        }
        ["lock", id, lock] => world.set_lock(guest(id)?, Some(lock)),
        ["unlock", id] => world.set_lock(guest(id)?, None),
        ["backup", id, secs] => world.human_backs_up(guest(id)?, number(secs)?),
        ["osd", id, to @ ("fails" | "recovers")] => {
            world.set_osd_failed(OsdId(number(id)? as u32), *to == "fails");
        }
        ["health", code, "gone"] => world.set_check(code, None),
        ["health", code, summary] => {
            let severity = "HEALTH_WARN".to_owned();
            world.set_check(
                code,
                Some(HealthCheck { severity, summary: (*summary).to_owned(), muted: false }),
            );
        }
        ["spoil-move", id, how] => {
            let how = match *how {
                "aborted" => IllMove::Aborted("storage 'ceph-vm' is not available on node".to_owned()),
                "problems" => IllMove::ProblemsAtSource,
                "stuck" => IllMove::StuckAtSource,
                "stopped-at-target" => IllMove::StoppedAtTarget,
                "killed" => IllMove::Killed,
                _ => return Err("aborted, problems, stuck, stopped-at-target or killed".to_owned()),
            };
            world.spoil_move(guest(id)?, how);
        }
        ["spoil", call, mishap, "for", secs] => {
            let call = Call::ALL.into_iter().find(|c| format!("{c:?}") == *call).ok_or("no such call")?;
            let until = world.later(number(secs)?);
            world.spoil_until(call, mishap_of(mishap)?, until);
        }
        ["spoil", call, mishap, "times", times] => {
            let call = Call::ALL.into_iter().find(|c| format!("{c:?}") == *call).ok_or("no such call")?;
            world.spoil(call, mishap_of(mishap)?, number(times)? as u32);
        }
        ["service", node, service, to] => world.set_service(&(*node).into(), service, *to == "runs"),
        ["restarts-pvedaemon", node] => world.restart_pvedaemon(&(*node).into()),
        ["clock", node, secs] => {
            let ahead = secs.parse().map_err(|_| "seconds?")?;
            world.nodes.get_mut(&NodeName::from(*node)).ok_or("no such node")?.clock_ahead = ahead;
        }
        _ => return Err("nothing of that kind can happen".to_owned()),
    }
    Ok(())
}

fn mishap_of(word: &str) -> Result<Mishap, String> {
    Ok(match word {
        "unreachable" => Mishap::Unreachable,
        "refused" => Mishap::Refused("permission denied".to_owned()),
        "nonsense" => Mishap::Nonsense,
        "slow" => Mishap::Slow,
        "answer-lost" => Mishap::AnswerLost,
        _ => return Err("unreachable, refused, nonsense, slow or answer-lost".to_owned()),
    })
}
