//! Who looks after a cluster: this instance, in a loop that holds the right to decide, or another one.
//!
//! Each time that the right is taken there is a new loop, begun with that very right, that knows nothing of the one before: as
//! though the process had been started again. It ends with its right. What stays is how the outside is reached, and what faces see.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use pitlane::model::ids::NodeName;
use pitlane::model::notice::ChannelName;
use pitlane::model::rules::{Mode, Rules};
use pitlane::model::seen::Trouble;
use pitlane::model::shown::{Judged, Shown};
use pitlane::ports::Looker;
use pitlane::reconcile::courier::{Channels, Courier};
use pitlane::reconcile::{Reconciler, Spread};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::stored::Stored;
use super::{Lasting, Outside, notify};

/// Of one cluster.
pub struct Seat {
    lasting: Lasting,
    shown: watch::Sender<Arc<Shown>>,
    /// Tells people past the outbox, whoever looks after the cluster.
    pub mouth: Arc<Courier>,
    now: Mutex<Now>,
}

/// What the configuration that counts asks for, and the loop that runs.
struct Now {
    outside: Outside,
    rules: Rules,
    channels: Channels,
    term: Option<Term>,
}

/// A loop, from the moment at which the right was taken to its end.
#[derive(Clone)]
pub struct Term {
    pub reconciler: Arc<Reconciler>,
    courier: Arc<Courier>,
    stored: Stored,
    /// How often the cluster had been rung before.
    rung: u64,
}

impl Seat {
    /// Nobody sits on it yet.
    pub fn new(lasting: Lasting, outside: Outside, rules: Rules, channels: Channels) -> Self {
        let mouth = Arc::new(notify::courier(channels.clone(), &lasting, &lasting.stored));
        let now = Mutex::new(Now { outside, rules, channels, term: None });
        Self { lasting, shown: watch::Sender::new(Arc::new(Shown::nothing())), mouth, now }
    }

    /// Begins to look after the cluster, by the right that `stored` has. `rung`: how often other instances had rung for it before.
    pub fn sit(&self, stored: Stored, rung: u64) -> Term {
        let mut now = self.now();
        // What an earlier loop saw must not be taken for what this one has seen.
        self.forget(None);
        let spread =
            self.lasting.cluster.as_ref().map_or_else(Spread::default, |name| Spread::of(name.as_str()));
        let world = now.outside.world(&stored);
        let reconciler = Reconciler::new(world, now.rules.clone(), self.lasting.bell.clone());
        let reconciler = Arc::new(reconciler.spread(spread).showing(self.shown.clone()));
        let courier = Arc::new(notify::courier(now.channels.clone(), &self.lasting, &stored));
        let term = Term { reconciler, courier, stored, rung };
        now.term = Some(term.clone());
        drop(now);
        self.lasting.metrics.leads(true);
        term
    }

    /// The right is over.
    pub fn rise(&self) {
        self.now().term = None;
        self.lasting.metrics.leads(false);
        self.forget(Some("the lease of the cluster ended".to_owned()));
    }

    /// Nothing is seen here. What is stored was so when it was last read, and is more than nothing.
    fn forget(&self, failing: Option<String>) {
        self.shown.send_modify(|shown| {
            let state = shown.state.clone();
            *shown = Arc::new(Shown { state, failing, ..Shown::nothing() });
        });
    }

    /// What faces see while there is no loop here.
    pub fn show(&self, shown: Shown) {
        self.shown.send_replace(Arc::new(shown));
    }

    /// Why nothing can be told of the cluster, while there is no loop here.
    pub fn fails(&self, why: String) {
        self.shown.send_modify(|shown| Arc::make_mut(shown).failing = Some(why));
    }

    pub fn shown(&self) -> watch::Receiver<Arc<Shown>> {
        self.shown.subscribe()
    }

    /// Is the cluster looked after here? Then, how often it had been rung before.
    pub fn leads(&self) -> Option<u64> {
        self.now().term.as_ref().map(|term| term.rung)
    }

    /// Who is woken; nobody in mode observe, which sends nothing.
    pub fn pages(&self) -> Vec<ChannelName> {
        let rules = &self.now().rules;
        if rules.mode == Mode::Observe { Vec::new() } else { rules.notify.page.clone() }
    }

    /// From the next turn on this counts, and for every loop that begins later.
    pub fn replace(&self, outside: Outside, rules: Rules, channels: Channels) {
        let mut now = self.now();
        self.mouth.replace(channels.clone());
        if let Some(term) = &now.term {
            term.reconciler.replace(outside.world(&term.stored), rules.clone());
            term.courier.replace(channels.clone());
        }
        (now.outside, now.rules, now.channels) = (outside, rules, channels);
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // A panic elsewhere does not make a configuration wrong.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Term {
    /// Its turns and its deliveries.
    pub fn begin(&self, seat: &Seat, stop: &CancellationToken) -> JoinSet<()> {
        let span = seat.lasting.span();
        let (reconciler, courier, bell) =
            (self.reconciler.clone(), self.courier.clone(), self.reconciler.courier());
        let mut tasks = JoinSet::new();
        let ends = stop.clone();
        tasks.spawn(async move { courier.run(bell, ends).await });
        let ends = stop.clone();
        tasks.spawn(async move { reconciler.run(ends).await }.instrument(span));
        tasks
    }
}

#[async_trait]
impl Looker for Seat {
    async fn judge(&self, node: &NodeName) -> Result<Judged, Trouble> {
        let (term, world, rules) = {
            let now = self.now();
            (now.term.clone(), now.outside.world(&self.lasting.stored), now.rules.clone())
        };
        match term {
            Some(term) => term.reconciler.judge(node).await,
            // Whoever waits looks for itself; it has no right to do more.
            None => Reconciler::new(world, rules, Arc::default()).judge(node).await,
        }
    }
}
