//! The loop: look, decide, write down, act. Again on every ring of the bell, and on a timer, always by the same path.
//!
//! The bell carries no orders: a lost ring costs a minute and never a case. Nothing is remembered here between turns
//! but what faces show and when to try again after our own store failed.

mod act;
mod alarms;
mod apart;
pub mod courier;
mod glance;
pub mod last_word;
mod learn;
mod look;
mod machines;
mod memory;
mod places;
mod pulse;
mod rest;
mod silences;
mod spread;
mod survey;
mod tenure;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use backoff::backoff::Backoff;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, info_span, warn};

use crate::decide;
use crate::model::fault::Unplaced;
use crate::model::ids::{Fingerprint, NodeName};
use crate::model::note::Noted;
use crate::model::observed::{BackupFails, Observed, Wish};
use crate::model::rules::Rules;
use crate::model::seen::Trouble;
use crate::model::shown::{Judged, Shown};
use crate::model::state::Decision;
use crate::model::time::Period;
use apart::Apart;
use glance::Glance;
use memory::Memory;
use pulse::Pulse;
pub use spread::Spread;

use crate::ports::{
    Alarms, Bmc, Ceph, Clock, Fleet, Hand, Looker, Meter, Pve, Sensors, Store, Tenure, Tickets, Uncommitted,
};

/// A turn that wants to be followed at once comes after this: whoever was asked to change needs a moment.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Of alerts that newly lead nowhere a turn tells so many; the faces show all.
const UNPLACED_TOLD_MAX: usize = 20;

/// Everything outside.
#[derive(Clone)]
pub struct World {
    pub pve: Arc<dyn Pve>,
    pub hand: Option<Arc<dyn Hand>>,
    pub ceph: Option<Arc<dyn Ceph>>,
    pub sensors: Option<Arc<dyn Sensors>>,
    pub alarms: Option<Arc<dyn Alarms>>,
    /// Set by whoever knows that alerts were not delivered: the next turn polls, however young the last poll is.
    pub alerts_missed: Arc<AtomicBool>,
    pub bmc: Option<Arc<dyn Bmc>>,
    pub tickets: Arc<dyn Tickets>,
    pub store: Arc<dyn Store>,
    /// Where there are other clusters, with which budgets are shared.
    pub fleet: Option<Arc<dyn Fleet>>,
    /// Asked immediately before each effect.
    pub tenure: Arc<dyn Tenure>,
    pub clock: Arc<dyn Clock>,
    pub meter: Arc<dyn Meter>,
    /// While one of these files is there, nothing is begun.
    pub kill_files: Vec<PathBuf>,
}

/// What a turn is made with: one snapshot, from its first look to its last step.
struct Given {
    world: World,
    rules: Rules,
}

/// The loop of one cluster.
pub struct Reconciler {
    spread: Spread,
    /// Replaced between two turns when the configuration is read again.
    given: watch::Sender<Arc<Given>>,
    bell: Arc<Notify>,
    shown: watch::Sender<Arc<Shown>>,
    /// Rung when there is something to deliver.
    courier: Arc<Notify>,
    /// Held while logs are read; a turn never asks for it.
    learned: tokio::sync::Mutex<learn::Learned>,
    /// What runs between two turns.
    glance: tokio::sync::Mutex<Glance>,
    /// `None` before the first rest.
    pulse: Mutex<Option<Pulse>>,
    /// What was read of our store, while nobody writes to it.
    memory: Memory,
    /// Told by whoever copies our store.
    backup_fails: Mutex<Option<BackupFails>>,
}

/// Why a turn ended without a decision.
#[derive(Debug, thiserror::Error)]
pub enum TurnFailed {
    #[error("reading what is remembered: {0}")]
    Load(Trouble),
    #[error("writing down what was decided: {0}")]
    Commit(Trouble),
    #[error("somebody else decided meanwhile")]
    Conflict,
}

impl Reconciler {
    pub fn new(world: World, rules: Rules, bell: Arc<Notify>) -> Self {
        let given = watch::Sender::new(Arc::new(Given { world, rules }));
        let shown = watch::Sender::new(Arc::new(Shown::nothing()));
        let (glance, learned, pulse, memory, backup_fails) = Default::default();
        let spread = Spread::default();
        Self {
            spread,
            given,
            bell,
            shown,
            courier: Arc::default(),
            glance,
            learned,
            pulse,
            memory,
            backup_fails,
        }
    }

    /// One of several clusters in a process: they take turns.
    #[must_use]
    pub fn spread(self, spread: Spread) -> Self {
        Self { spread, ..self }
    }

    /// Shows where others look already: several loops of one cluster, one after the other.
    #[must_use]
    pub fn showing(self, shown: watch::Sender<Arc<Shown>>) -> Self {
        Self { shown, ..self }
    }

    /// From the next turn on another world and other rules count. The turn that runs ends with what it began with.
    /// The store must be the same: it remembers what is owed.
    pub fn replace(&self, world: World, rules: Rules) {
        self.given.send_replace(Arc::new(Given { world, rules }));
        self.bell.notify_one();
    }

    fn given(&self) -> Arc<Given> {
        Arc::clone(&self.given.borrow())
    }

    /// Whether our store is copied as it should be: people are told by the next turn.
    pub fn backup_fails(&self, fails: Option<BackupFails>) {
        *self.backup_fails.lock().unwrap_or_else(PoisonError::into_inner) = fails;
        self.bell.notify_one();
    }

    /// The courier's bell.
    pub fn courier(&self) -> Arc<Notify> {
        Arc::clone(&self.courier)
    }

    /// What the last turn saw, for faces.
    pub fn shown(&self) -> watch::Receiver<Arc<Shown>> {
        self.shown.subscribe()
    }

    /// One turn. The answer is when the next one is due at the latest.
    ///
    /// # Errors
    /// Our own store could not be read or written: nothing was done.
    pub async fn turn(&self) -> Result<Period, TurnFailed> {
        let began = Instant::now();
        let given = self.given();
        let Given { world, rules } = &*given;
        world.meter.begins();
        let state = self.memory.state(world).await.map_err(TurnFailed::Load)?;
        let wish = decide::wish(&state);
        let before = Arc::clone(&self.shown.borrow());
        let mut observed = look::look(world, rules, &self.memory, &wish, &state, &before.observed)
            .await
            .map_err(TurnFailed::Load)?;
        observed.backup_fails = self.backup_fails.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let decision = places::decide(world, rules, &state, &mut observed).await?;
        if !nothing_to_write(&decision) {
            match world.store.commit(&decision, observed.at).await {
                Ok(()) => {}
                Err(Uncommitted::Conflict) => return Err(TurnFailed::Conflict),
                Err(Uncommitted::Trouble(trouble)) => return Err(TurnFailed::Commit(trouble)),
            }
        }
        tell(&decision, &before.show.unplaced);
        places::give_back(world, rules, &observed, &decision).await;
        if !decision.notices.is_empty() {
            self.courier.notify_one();
        }
        self.tell_oddities(&observed);
        act::act(world, &decision.steps).await;
        act::end_leaked(world, &decision.leaked).await;

        let Decision { show, pace, .. } = decision;
        let state = self.memory.state(world).await.unwrap_or(state);
        let (turn_at, not_asked) = (world.clock.now(), world.pve.not_asked());
        let shown = Shown { state, observed, show, turn_at, pace, failing: None, not_asked, led_by: None };
        world.meter.turn(began.elapsed(), &shown);
        *self.glance.lock().await = Glance::of(&shown);
        self.shown.send_replace(Arc::new(shown));
        Ok(pace)
    }

    /// Says so when the cluster cannot be seen, and when it can be seen again: a blind service looks like a quiet one. And when
    /// our clock was set: lines of the log that follow one another are hours apart.
    fn tell_oddities(&self, observed: &Observed) {
        if let Some(secs) = observed.jumped {
            let way = if secs < 0 { "back" } else { "forward" };
            warn!(
                "the clock of this machine was set {way} by {} s; what was watched is watched anew",
                secs.unsigned_abs()
            );
        }
        let was = self.shown.borrow().blind().is_some();
        match observed.blind() {
            Some(why) if !was => error!("the cluster cannot be seen: {why}"),
            None if was => info!("the cluster can be seen again"),
            _ => {}
        }
    }

    /// Reads the logs of migrations that the last turn saw ending.
    pub async fn learn(&self) {
        let (given, shown) = (self.given(), Arc::clone(&self.shown.borrow()));
        self.learned.lock().await.round(&given.world, &shown).await;
    }

    /// Turns until told to stop. A turn that has begun is finished; learning goes on beside them, and is torn.
    pub async fn run(&self, stop: CancellationToken) {
        let mut shown = self.shown.subscribe();
        let learning = async {
            while shown.changed().await.is_ok() {
                self.learn().await;
            }
        };
        tokio::select! {
            () = self.turns(stop) => {}
            () = learning => {}
        }
    }

    async fn turns(&self, stop: CancellationToken) {
        let mut patience = backoff::ExponentialBackoff {
            initial_interval: Duration::from_secs(1),
            max_interval: Duration::from_secs(30),
            // A reconciler never gives up.
            max_elapsed_time: None,
            ..backoff::ExponentialBackoff::default()
        };
        rest::first(self.spread.first(), &self.bell, &stop).await;
        let mut apart = Apart::at(Instant::now());
        while !stop.is_cancelled() {
            let began = Instant::now();
            let pause = match self.turn().instrument(info_span!("turn")).await {
                Ok(pace) => {
                    patience.reset();
                    self.pause(pace).max(AT_ONCE)
                }
                Err(TurnFailed::Conflict) => {
                    info!("another decision came first; deciding again");
                    AT_ONCE
                }
                Err(failed) => {
                    error!(error = %failed, "the turn failed: {failed}");
                    let failing = Some(failed.to_string());
                    self.shown.send_modify(|shown| Arc::make_mut(shown).failing = failing);
                    patience.next_backoff().unwrap_or(AT_ONCE)
                }
            };
            tokio::time::sleep(apart.rest(began, Instant::now())).await;
            tokio::select! {
                () = self.rest(pause) => {}
                () = self.bell.notified() => {}
                () = stop.cancelled() => {}
            }
        }
    }
}

/// Hears nothing. A look that a person asked for says nothing of the loop: while somebody keeps the console open, a loop
/// that hangs would be held to be alive.
struct Deaf;

impl Meter for Deaf {
    fn turn(&self, _took: Duration, _shown: &Shown) {}
    fn look(&self, _source: crate::model::wait::Source, _outcome: Result<(), &Trouble>) {}
    fn step(&self, _action: &crate::model::step::Action, _outcome: &crate::model::step::Outcome) {}
}

#[async_trait]
impl Looker for Reconciler {
    async fn judge(&self, node: &NodeName) -> Result<Judged, Trouble> {
        let given = self.given();
        let Given { world, rules } = &*given;
        let world = &World { meter: Arc::new(Deaf), ..world.clone() };
        let state = self.memory.state(world).await?;
        let only: BTreeSet<NodeName> = [node.clone()].into();
        let mut wish = decide::wish(&state);
        wish.nodes.insert(node.clone());
        wish.surveys.insert(node.clone());
        let wish = Wish { avoid: &wish.avoid | &only, ..wish };
        let before = Arc::clone(&self.shown.borrow());
        let observed = look::look(world, rules, &self.memory, &wish, &state, &before.observed).await?;
        let more = decide::might_make_room(node, &state, &observed, rules);
        let observed = match more.is_empty() {
            true => observed,
            false => {
                let guests = &wish.guests | &more;
                let wish = Wish { guests, ..wish };
                look::look(world, rules, &self.memory, &wish, &state, &observed).await?
            }
        };
        let (verdict, plan) = decide::judge(node, &state, &observed, rules)
            .map_err(|wait| Trouble::NotConfigured(wait.to_string()))?;
        let in_place = decide::judge_in_place(node, &state, &observed, rules)
            .map(|(verdict, plan)| Box::new(Judged { verdict, plan, in_place: None }));
        Ok(Judged { verdict, plan: plan.ok(), in_place })
    }
}

/// A quiet turn writes nothing.
fn nothing_to_write(decision: &Decision) -> bool {
    decision.cases.is_empty()
        && decision.notes.is_empty()
        && decision.notices.is_empty()
        && decision.steps.is_empty()
        && decision.replies.is_empty()
        && decision.pause.is_none()
}

/// The story, in the log as well. `told`: alerts that led nowhere at the last turn.
fn tell(decision: &Decision, told: &[Unplaced]) {
    for note in &decision.notes {
        match note.case {
            // The one line about it: spans that are told may be wrong by as much.
            None if matches!(note.what, Noted::ClockJumped { .. }) => warn!("{}", note.what),
            Some(case) => info!(case.id = %case, "case {case}: {}", note.what),
            None => info!("{}", note.what),
        }
    }
    let told: BTreeSet<&Fingerprint> = told.iter().map(|unplaced| &unplaced.fingerprint).collect();
    let new = decision.show.unplaced.iter().filter(|unplaced| !told.contains(&unplaced.fingerprint));
    for unplaced in new.take(UNPLACED_TOLD_MAX) {
        warn!(fingerprint = %unplaced.fingerprint, "an alert leads nowhere: {}", unplaced.why);
    }
}
