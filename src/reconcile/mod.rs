//! The loop: look, decide, write down, act. Again on every ring of the bell, and on a timer, always by the same path.
//!
//! The bell carries no orders: a lost ring costs a minute and never a case. Nothing is remembered here between turns
//! but what faces show and when to try again after our own store failed.

mod act;
pub mod courier;
mod look;
mod machines;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use backoff::backoff::Backoff;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, info_span, warn};

use crate::decide;
use crate::model::ids::NodeName;
use crate::model::observed::{Observed, Wish};
use crate::model::rules::Rules;
use crate::model::seen::{Seen, Trouble};
use crate::model::shown::{Judged, Shown};
use crate::model::state::Decision;
use crate::model::time::Period;
use crate::ports::{Bmc, Ceph, Clock, Hand, Looker, Meter, Pve, Sensors, Store, Tickets, Uncommitted};

/// Two turns are at least so far apart, however the bell rings.
const TURNS_APART: Duration = Duration::from_millis(200);
/// A turn that wants to be followed at once comes after this: whoever was asked to change needs a moment.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Everything outside.
#[derive(Clone)]
pub struct World {
    pub pve: Arc<dyn Pve>,
    pub hand: Option<Arc<dyn Hand>>,
    pub ceph: Option<Arc<dyn Ceph>>,
    pub sensors: Option<Arc<dyn Sensors>>,
    pub bmc: Option<Arc<dyn Bmc>>,
    pub tickets: Arc<dyn Tickets>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub meter: Arc<dyn Meter>,
    /// While this file is there, nothing is begun.
    pub kill_file: Option<PathBuf>,
}

/// The loop of one cluster.
pub struct Reconciler {
    world: World,
    rules: Rules,
    bell: Arc<Notify>,
    shown: watch::Sender<Arc<Shown>>,
    /// Rung when there is something to deliver.
    courier: Arc<Notify>,
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
        Self {
            world,
            rules,
            bell,
            shown: watch::Sender::new(Arc::new(Shown::nothing())),
            courier: Arc::default(),
        }
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
        let state = self.world.store.load().await.map_err(TurnFailed::Load)?;
        let wish = decide::wish(&state);
        let before = Arc::clone(&self.shown.borrow());
        let observed = look::look(&self.world, &self.rules, &wish, &state, &before.observed)
            .await
            .map_err(TurnFailed::Load)?;
        let decision = decide::decide(&state, &observed, &self.rules);
        if !nothing_to_write(&decision) {
            match self.world.store.commit(&decision, observed.at).await {
                Ok(()) => {}
                Err(Uncommitted::Conflict) => return Err(TurnFailed::Conflict),
                Err(Uncommitted::Trouble(trouble)) => return Err(TurnFailed::Commit(trouble)),
            }
        }
        tell(&decision);
        if !decision.notices.is_empty() {
            self.courier.notify_one();
        }
        self.blind(&observed);
        act::act(&self.world, &decision.steps).await;

        let Decision { show, pace, .. } = decision;
        let state = self.world.store.load().await.unwrap_or(state);
        let shown = Shown { state, observed, show, turn_at: self.world.clock.now(), pace };
        self.world.meter.turn(began.elapsed(), &shown);
        self.shown.send_replace(Arc::new(shown));
        Ok(pace)
    }

    /// Says so when the cluster cannot be seen, and when it can be seen again: a blind service looks like a quiet one.
    fn blind(&self, observed: &Observed) {
        let was = matches!(self.shown.borrow().observed.pve.first, Seen::Unknown { .. });
        match &observed.pve.first {
            Seen::Unknown { why } if !was => error!("the cluster cannot be seen: {why}"),
            Seen::Known { .. } if was => info!("the cluster can be seen again"),
            _ => {}
        }
    }

    /// Turns until told to stop. A turn that has begun is finished.
    pub async fn run(&self, stop: CancellationToken) {
        let mut patience = backoff::ExponentialBackoff {
            initial_interval: Duration::from_secs(1),
            max_interval: Duration::from_secs(30),
            // A reconciler never gives up.
            max_elapsed_time: None,
            ..backoff::ExponentialBackoff::default()
        };
        while !stop.is_cancelled() {
            let pause = match self.turn().instrument(info_span!("turn")).await {
                Ok(pace) => {
                    patience.reset();
                    pace.0.max(AT_ONCE)
                }
                Err(TurnFailed::Conflict) => {
                    info!("another decision came first; deciding again");
                    AT_ONCE
                }
                Err(failed) => {
                    error!(error = %failed, "the turn failed: {failed}");
                    patience.next_backoff().unwrap_or(AT_ONCE)
                }
            };
            tokio::time::sleep(TURNS_APART).await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.bell.notified() => {}
                () = stop.cancelled() => {}
            }
        }
    }
}

#[async_trait]
impl Looker for Reconciler {
    async fn judge(&self, node: &NodeName) -> Result<Judged, Trouble> {
        let state = self.world.store.load().await?;
        let only: BTreeSet<NodeName> = [node.clone()].into();
        let mut wish = decide::wish(&state);
        wish.nodes.insert(node.clone());
        let wish = Wish { avoid: &wish.avoid | &only, ..wish };
        let before = Arc::clone(&self.shown.borrow());
        let observed = look::look(&self.world, &self.rules, &wish, &state, &before.observed).await?;
        let (verdict, plan) = decide::judge(node, &state, &observed, &self.rules)
            .map_err(|wait| Trouble::NotConfigured(wait.to_string()))?;
        Ok(Judged { verdict, plan: plan.ok() })
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

/// The story, in the log as well.
fn tell(decision: &Decision) {
    for note in &decision.notes {
        match note.case {
            Some(case) => info!(case.id = %case, "case {case}: {}", note.what),
            None => info!("{}", note.what),
        }
    }
    for unplaced in &decision.show.unplaced {
        warn!(fingerprint = %unplaced.fingerprint, "an alert leads nowhere: {}", unplaced.why);
    }
}
