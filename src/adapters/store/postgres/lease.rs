//! Leases: one row a cluster. The database's clock alone judges whether one has run out; the holder counts for itself from
//! before it asked, and so always stops earlier. See `docs/decisions/leases.md`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;

use super::super::error::StoreError;
use super::ask::{Ask, Columns as _};
use super::conn::{Answers, Conn, Failure, READ, WRITE};
use super::pool::{Pool, attempt};
use super::schema::KNOWN;
use crate::model::ids::ClusterName;
use crate::model::seen::Trouble;
use crate::ports::{Fence, Held, Lease, Leases, Renewed, Tenure};

/// Who renews asks again soon: one that is not answered must not eat up the tenure.
const ASK_MAX: Duration = Duration::from_secs(3);

/// The holder stops so much earlier than the lease runs out, or a seventh of it where that is less: for clocks that do not run
/// alike, and for answers on their way.
const MARGIN: Duration = Duration::from_secs(2);

/// Takes leases. Has connections of its own: a face that reads a long journal must not hold up a renewal.
pub struct PostgresLeases {
    pub(super) pool: Arc<Pool>,
    pub(super) holder: String,
    pub(super) lasts: Duration,
}

struct Taken {
    pool: Arc<Pool>,
    cluster: ClusterName,
    fence: Fence,
    lasts: Duration,
    /// `None`: lost, or given up.
    until: Mutex<Option<Until>>,
}

/// The end, by a clock that nobody can set and by one that goes on while the machine is suspended. The earlier one counts.
#[derive(Clone, Copy)]
struct Until {
    ran: Instant,
    wall: SystemTime,
}

impl Until {
    /// `sent`: before the database was asked.
    fn counted(sent: (Instant, SystemTime), lasts: Duration) -> Self {
        let good = lasts.saturating_sub(MARGIN.min(lasts / 7));
        Self { ran: sent.0 + good, wall: sent.1 + good }
    }

    fn left(self, now: (Instant, SystemTime)) -> Duration {
        let wall = self.wall.duration_since(now.1).unwrap_or_default();
        self.ran.saturating_duration_since(now.0).min(wall)
    }
}

fn now() -> (Instant, SystemTime) {
    (Instant::now(), SystemTime::now())
}

#[async_trait]
impl Leases for PostgresLeases {
    async fn take(&self, cluster: &ClusterName) -> Result<Option<Arc<dyn Lease>>, Trouble> {
        let (pool, doing) = (&*self.pool, "asking for a lease");
        let mut sent = now();
        let term = attempt!(pool, ASK_MAX, doing, conn => {
            sent = now();
            take(conn, cluster, &self.holder, self.lasts)
        })?;
        Ok(term.map(|term| {
            Arc::new(Taken {
                pool: Arc::clone(&self.pool),
                cluster: cluster.clone(),
                fence: Fence { holder: self.holder.clone(), term },
                lasts: self.lasts,
                until: Mutex::new(Some(Until::counted(sent, self.lasts))),
            }) as Arc<dyn Lease>
        }))
    }

    async fn holders(&self) -> Result<Vec<Held>, Trouble> {
        let (pool, doing) = (&*self.pool, "reading the leases");
        Ok(attempt!(pool, ASK_MAX, doing, conn => holders(conn))?)
    }

    fn lasts(&self) -> Duration {
        self.lasts
    }
}

impl Tenure for Taken {
    fn fence(&self) -> Option<Fence> {
        (!self.left().is_zero()).then(|| self.fence.clone())
    }

    fn left(&self) -> Duration {
        self.until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .map_or(Duration::ZERO, |until| until.left(now()))
    }
}

#[async_trait]
impl Lease for Taken {
    async fn renew(&self) -> Result<Renewed, Trouble> {
        // What ended by our own count has ended, whatever the database still thinks: somebody may have believed us.
        if self.left().is_zero() {
            self.set(None);
            return Ok(Renewed::Lost);
        }
        let (pool, doing) = (&*self.pool, "renewing a lease");
        let mut sent = now();
        let still = attempt!(pool, ASK_MAX, doing, conn => {
            sent = now();
            renew(conn, &self.cluster, &self.fence, self.lasts)
        });
        match still {
            Ok(true) if !self.left().is_zero() => {
                self.set(Some(Until::counted(sent, self.lasts)));
                Ok(Renewed::Still)
            }
            Ok(_) => {
                self.set(None);
                Ok(Renewed::Lost)
            }
            Err(error @ StoreError::NewerDatabase { .. }) => {
                self.set(None);
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn give_up(&self) -> Result<(), Trouble> {
        self.set(None);
        let (pool, doing) = (&*self.pool, "giving a lease up");
        Ok(attempt!(pool, ASK_MAX, doing, conn => give_up(conn, &self.cluster, &self.fence))?)
    }
}

impl Taken {
    fn set(&self, until: Option<Until>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

const SCHEMA: &str = "SELECT version, oldest_reader FROM schema WHERE one = 1";

fn millis(lasts: Duration) -> i64 {
    i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX)
}

async fn take(
    conn: &Conn,
    cluster: &ClusterName,
    holder: &str,
    lasts: Duration,
) -> Result<Option<u64>, Failure> {
    let taking = Ask::new(
        "INSERT INTO leases (cluster, holder, term, until)
         SELECT $1, $2, 1, now() + $3 * INTERVAL '1 millisecond' FROM schema WHERE one = 1 AND oldest_reader <= $4
         ON CONFLICT (cluster) DO UPDATE SET holder = excluded.holder, term = leases.term + 1, until = excluded.until
         WHERE leases.until < now() RETURNING term",
    )
    .text(&cluster.0)
    .text(holder)
    .int(millis(lasts))
    .int(KNOWN);
    let answers = conn.whole(WRITE, vec![Ask::new(SCHEMA), taking]).await?;
    known(&answers[0])?;
    answers[1].first().map(|row| row.count(0)).transpose()
}

async fn renew(conn: &Conn, cluster: &ClusterName, fence: &Fence, lasts: Duration) -> Result<bool, Failure> {
    let renewing = Ask::new(
        "UPDATE leases SET until = now() + $4 * INTERVAL '1 millisecond'
         WHERE cluster = $1 AND holder = $2 AND term = $3 AND until >= now()
           AND EXISTS (SELECT 1 FROM schema WHERE one = 1 AND oldest_reader <= $5) RETURNING term",
    )
    .text(&cluster.0)
    .text(&fence.holder)
    .int(term(fence))
    .int(millis(lasts))
    .int(KNOWN);
    let answers = conn.whole(WRITE, vec![Ask::new(SCHEMA), renewing]).await?;
    known(&answers[0])?;
    Ok(!answers[1].is_empty())
}

fn known(schema: &[tokio_postgres::Row]) -> Result<(), Failure> {
    match schema.first() {
        Some(row) if row.int(1)? <= KNOWN => Ok(()),
        Some(row) => Err(StoreError::NewerDatabase { found: row.int(0)?, known: KNOWN }.into()),
        None => Err(Failure::No("the table schema is empty".to_owned())),
    }
}

async fn give_up(conn: &Conn, cluster: &ClusterName, fence: &Fence) -> Result<(), Failure> {
    let giving = Ask::new(
        "UPDATE leases SET until = now() WHERE cluster = $1 AND holder = $2 AND term = $3 AND until > now()",
    );
    let giving = giving.text(&cluster.0).text(&fence.holder).int(term(fence));
    conn.whole(WRITE, vec![giving]).await.map(drop)
}

async fn holders(conn: &Conn) -> Result<Vec<Held>, Failure> {
    let ask = Ask::new(
        "SELECT cluster, holder, term, CAST(floor(EXTRACT(EPOCH FROM until - now()) * 1000) AS BIGINT) FROM leases
         ORDER BY cluster",
    );
    let answers = conn.whole(READ, vec![ask]).await?;
    let held = |row: &tokio_postgres::Row| {
        let left = u64::try_from(row.int(3)?).ok().filter(|left| *left > 0);
        Ok(Held {
            cluster: ClusterName(row.text(0)?),
            fence: Fence { holder: row.text(1)?, term: row.count(2)? },
            left: left.map(Duration::from_millis),
        })
    };
    answers[0].iter().map(held).collect()
}

fn term(fence: &Fence) -> i64 {
    i64::try_from(fence.term).unwrap_or(i64::MAX)
}

/// The first statement of every transaction that decides: nobody can take the cluster until it has ended, and if somebody has
/// it already, there is no row. `clock_timestamp`, because the transaction may have begun long before this is reached.
fn fencing(cluster: &ClusterName, fence: &Fence) -> Ask {
    Ask::new(
        "SELECT term FROM leases
         WHERE cluster = $1 AND holder = $2 AND term = $3 AND until > clock_timestamp() FOR UPDATE",
    )
    .text(&cluster.0)
    .text(&fence.holder)
    .int(term(fence))
}

/// Begins a transaction that decides, with its first questions. The answers are theirs.
///
/// # Errors
/// [`StoreError::Fenced`]: the cluster is not ours, or not any more.
pub(super) async fn begin_fenced(
    conn: &Conn,
    cluster: &ClusterName,
    fence: &Fence,
    asks: Vec<Ask>,
) -> Result<Answers, Failure> {
    begin_fenced_as(WRITE, conn, cluster, fence, asks).await
}

/// The same in another mode.
pub(super) async fn begin_fenced_as(
    mode: &'static str,
    conn: &Conn,
    cluster: &ClusterName,
    fence: &Fence,
    asks: Vec<Ask>,
) -> Result<Answers, Failure> {
    let asks = [fencing(cluster, fence)].into_iter().chain(asks).collect();
    let mut answers = conn.begin(mode, asks).await?;
    if answers.remove(0).is_empty() {
        return Err(StoreError::Fenced(cluster.clone()).into());
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_stops_before_the_lease_does_by_either_clock() {
        let sent = now();
        let lasts = Duration::from_secs(15);
        let until = Until::counted(sent, lasts);
        let later = |ran: u64, wall: i64| {
            let passed = Duration::from_secs(wall.unsigned_abs());
            let wall = if wall < 0 { sent.1 - passed } else { sent.1 + passed };
            until.left((sent.0 + Duration::from_secs(ran), wall))
        };
        assert_eq!(later(0, 0), Duration::from_secs(13));
        assert_eq!(later(12, 12), Duration::from_secs(1));
        assert_eq!(later(13, 13), Duration::ZERO);
        assert_eq!(later(1, 20), Duration::ZERO, "suspended: only the wall went on");
        assert_eq!(later(20, -3600), Duration::ZERO, "the clock was set back");
        assert_eq!(later(1, -3600), Duration::from_secs(12), "set back, and nothing ran out");
    }
}
