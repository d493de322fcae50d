//! A cluster's lease: asked for while another instance has it, renewed while this one has it, given up at the end. Only while
//! it is held does a loop run here, and that loop knows no other lease. `docs/decisions/leases.md` is the protocol.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pitlane::model::case::Case;
use pitlane::model::seen::Trouble;
use pitlane::model::shown::Shown;
use pitlane::model::time::Period;
use pitlane::ports::{Lease, Leases as _, Meter as _, Renewed, Tenure};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::Lasting;
use super::seat::Seat;
use super::standing::{Standing, Standings};
use super::stored::Shared;

/// What another instance's cluster remembers is read anew at the latest, while nothing goes on there and nobody rings.
const LOAD_QUIET_EVERY: Duration = Duration::from_secs(60);

/// Takes the cluster whenever it is free, and looks after it as long as it is held.
pub async fn lead(
    shared: Shared,
    mut standings: Standings,
    seat: Arc<Seat>,
    lasting: Lasting,
    stop: CancellationToken,
) {
    let mut waits = Waits { shared: &shared, seat: &seat, lasting: &lasting, told: None, loaded: None };
    loop {
        let standing = tokio::select! {
            () = stop.cancelled() => return,
            standing = standings.next(&shared.cluster) => standing,
        };
        match standing {
            Ok(Standing { holder: Some(holder), rung }) => waits.stand_by(holder, rung).await,
            // What was told may be a moment old: the database says who is first.
            Ok(Standing { holder: None, rung }) => match shared.database.leases().take(&shared.cluster).await
            {
                Ok(Some(lease)) => {
                    (waits.told, waits.loaded) = (None, None);
                    look_after(&shared, &seat, lease, rung, &stop).await;
                }
                Ok(None) => {}
                Err(trouble) => waits.cannot(&trouble),
            },
            Err(trouble) => waits.cannot(&trouble),
        }
        // A sign of life: here is no loop that gives one.
        lasting.meter.begins();
    }
}

/// Another instance has it, or nobody knows.
struct Waits<'a> {
    shared: &'a Shared,
    seat: &'a Seat,
    lasting: &'a Lasting,
    /// Who has it, as the log was told.
    told: Option<String>,
    /// `None`: nothing that is stored is shown, or it may be wrong.
    loaded: Option<Loaded>,
}

/// What is shown of a cluster that another instance looks after.
struct Loaded {
    at: Instant,
    rung: u64,
    /// A case is open: its phase and its words change at any time.
    busy: bool,
}

impl Loaded {
    fn good(&self, rung: u64) -> bool {
        !self.busy && self.rung == rung && self.at.elapsed() < LOAD_QUIET_EVERY
    }
}

impl Waits<'_> {
    /// Shows what is stored, and who looks after it.
    async fn stand_by(&mut self, holder: String, rung: u64) {
        if self.told.as_ref() == Some(&holder) && self.loaded.as_ref().is_some_and(|loaded| loaded.good(rung))
        {
            return;
        }
        let at = Instant::now();
        let state = match self.lasting.stored.store.load().await {
            Ok(state) => state,
            Err(trouble) => return self.cannot(&trouble),
        };
        if self.told.as_ref() != Some(&holder) {
            let cluster = &self.shared.cluster;
            info!("instance {holder} looks after cluster {cluster}; this one waits beside it");
            self.told = Some(holder.clone());
        }
        self.loaded = Some(Loaded { at, rung, busy: state.cases.iter().any(Case::open) });
        let now = self.lasting.clock.now();
        self.seat.show(Shown::of_another(holder, state, now, Period(LOAD_QUIET_EVERY)));
    }

    fn cannot(&mut self, trouble: &Trouble) {
        let cluster = &self.shared.cluster;
        let why = format!("whether cluster {cluster} is looked after cannot be asked: {trouble}");
        if self.told.as_ref() != Some(&why) {
            error!("{why}");
            self.told = Some(why.clone());
        }
        self.loaded = None;
        self.seat.fails(why);
    }
}

/// Why a term came to its end.
enum Over {
    Asked,
    Lost(String),
    /// One of its tasks ended by itself: a mistake in this program.
    Broken,
}

/// `rung`: how often it had been rung, asked before the lease was taken. The first turn hears of all that.
async fn look_after(
    shared: &Shared,
    seat: &Seat,
    lease: Arc<dyn Lease>,
    rung: u64,
    stop: &CancellationToken,
) {
    let cluster = &shared.cluster;
    let stored = match shared.under(lease.clone() as Arc<dyn Tenure>) {
        Ok(stored) => stored,
        Err(why) => return seat.fails(why),
    };
    let term = lease.fence().map(|fence| fence.term).unwrap_or_default();
    info!("this instance looks after cluster {cluster} now (term {term})");
    let lasts = shared.database.leases().lasts();
    // Not a child of `stop`: the lease is renewed until the last turn has ended.
    let ends = CancellationToken::new();
    let mut tasks = seat.sit(stored, rung).begin(seat, &ends);
    let working = async {
        tokio::select! {
            () = stop.cancelled() => Over::Asked,
            _ = tasks.join_next() => Over::Broken,
        }
    };
    let mut over = renewing(&*lease, lasts, working).await.unwrap_or_else(Over::Lost);
    ends.cancel();
    if matches!(over, Over::Asked)
        && let Err(why) = renewing(&*lease, lasts, all(&mut tasks)).await
    {
        over = Over::Lost(why);
    }
    // What still runs ends here: it could neither write nor do anything.
    tasks.abort_all();
    all(&mut tasks).await;
    seat.rise();
    match over {
        Over::Asked => info!("cluster {cluster} is given up"),
        Over::Lost(why) => return error!("the lease of cluster {cluster} is lost: {why}"),
        Over::Broken => {
            error!(
                "the loop of cluster {cluster} ended by itself; the cluster is given up, and asked for again"
            );
        }
    }
    // Between turns, and while no renewal is under way.
    if let Err(trouble) = lease.give_up().await {
        warn!("cluster {cluster} could not be given up ({trouble}); it is free when its lease is over");
    }
    if matches!(over, Over::Broken) {
        // Whoever waits may have it first.
        sleep(lasts).await;
    }
}

async fn all(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

/// Renews until `work` is done. A renewal that was sent is waited for, whatever else happens.
///
/// # Errors
/// Renewing is of no more use, and why.
async fn renewing<T>(lease: &dyn Lease, lasts: Duration, work: impl Future<Output = T>) -> Result<T, String> {
    let mut work = std::pin::pin!(work);
    let mut pause = lasts / 3;
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            () = sleep(pause) => {}
        }
        match lease.renew().await {
            Ok(Renewed::Still) => pause = lasts / 3,
            Ok(Renewed::Lost) => return Err("another instance may have it".to_owned()),
            Err(trouble) if lease.left().is_zero() => return Err(trouble.to_string()),
            Err(trouble) => {
                warn!("a lease could not be renewed: {trouble}");
                pause = lasts / 15;
            }
        }
    }
}
