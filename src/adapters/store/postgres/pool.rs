//! A few connections that are used again. Each use has a deadline, and makes a new connection where the old one is gone:
//! that is all there is to reconnecting.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::error::StoreError;
use super::conn::{Conn, Failure};
use super::settings::Dial;

/// From asking to the answer. Alertmanager gives up after 10 s (group_interval under 10 s), and then repeats.
pub(super) const DEADLINE: Duration = Duration::from_secs(9);

/// A person at the command line waits longer, for everything.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// Whoever lost a race tries again so often. Each time a whole transaction of somebody else's came to its end.
const TRIES_MAX: u32 = 12;

/// Connections that nobody used for so long may be cut by what lies between.
const IDLE_MAX: Duration = Duration::from_secs(300);

pub(super) struct Pool {
    dial: Dial,
    idle: Mutex<Vec<Conn>>,
    free: Arc<Semaphore>,
}

impl Pool {
    pub(super) fn new(dial: Dial, connections: usize) -> Self {
        Self { dial, idle: Mutex::default(), free: Arc::new(Semaphore::new(connections)) }
    }

    pub(super) async fn lend(&self) -> Result<Lent<'_>, StoreError> {
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(|_| StoreError::Gone)?;
        let idle = loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match idle {
                Some(conn) if conn.closed() || conn.since.elapsed() > IDLE_MAX => drop(conn),
                found => break found,
            }
        };
        let conn = match idle {
            Some(conn) => conn,
            None => Conn::open(&self.dial).await?,
        };
        Ok(Lent { conn, pool: self, _permit: permit })
    }
}

/// A connection in use. Dropped in the middle it is closed: nobody knows what it still has to say.
pub(super) struct Lent<'a> {
    conn: Conn,
    pool: &'a Pool,
    _permit: OwnedSemaphorePermit,
}

impl Lent<'_> {
    pub(super) fn conn(&self) -> &Conn {
        &self.conn
    }

    fn back(mut self) {
        self.conn.since = std::time::Instant::now();
        self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.conn);
    }

    /// After the work: puts the connection back, and says what became of it. `None`: try again.
    pub(super) async fn settle<T>(
        self,
        ended: Result<T, Failure>,
        tries: &mut u32,
        doing: &'static str,
    ) -> Option<Result<T, StoreError>> {
        let failure = match ended {
            Ok(done) => {
                self.back();
                return Some(Ok(done));
            }
            Err(failure) => failure,
        };
        if self.conn.abandon().await {
            self.back();
        }
        *tries += 1;
        let again = matches!(failure, Failure::Raced(_) | Failure::Stale(_)) && *tries < TRIES_MAX;
        if again {
            let most = 5_u64 << (*tries).min(7);
            // Whoever lost the same race together shall not meet again; no more chance is needed for that.
            let chance = RandomState::new().hash_one(&tries);
            tokio::time::sleep(Duration::from_millis(1 + chance % most)).await;
            return None;
        }
        Some(Err(match failure {
            Failure::Own(error) => error,
            Failure::Unknown(why) => StoreError::Unknown { doing, why },
            Failure::Stale(why) => StoreError::Away { why },
            Failure::Raced(why) | Failure::No(why) => StoreError::Remote { doing, why },
        }))
    }
}

/// Runs `$work` with a connection, again while it loses races, until `$limit` has passed.
macro_rules! attempt {
    ($pool:expr, $limit:expr, $doing:expr, $conn:ident => $work:expr) => {{
        let round = async {
            let mut tries = 0;
            loop {
                let lent = $pool.lend().await?;
                let ended = {
                    let $conn = lent.conn();
                    $work.await
                };
                if let Some(ended) = lent.settle(ended, &mut tries, $doing).await {
                    break ended;
                }
            }
        };
        let late = $crate::adapters::store::error::StoreError::Late { doing: $doing, secs: $limit.as_secs() };
        tokio::time::timeout($limit, round).await.unwrap_or(Err(late))
    }};
}

pub(super) use attempt;
