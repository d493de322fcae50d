//! Connections that only read, so that a face showing a long journal never holds up a commit. Each read is one
//! snapshot: what it returns was true together.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::error::{StoreError, sql};
use super::open;

/// Readers at once: the loop and one face. More of them would only share the same disk.
const READERS: usize = 2;

/// For one read, waiting for a free connection included.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// Some connections that cannot write.
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    free: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let idle = (0..READERS).map(|_| open::readable(dir)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { idle: Arc::new(Mutex::new(idle)), free: Arc::new(Semaphore::new(READERS)) })
    }

    /// Runs `work` on one snapshot, off the async threads. After `limit` the answer is [`StoreError::Late`].
    pub(super) async fn read<T, F>(
        &self,
        doing: &'static str,
        limit: Duration,
        work: F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (idle, free) = (Arc::clone(&self.idle), Arc::clone(&self.free));
        let round = async move {
            let permit = free.acquire_owned().await.map_err(|_| StoreError::Gone)?;
            let task = tokio::task::spawn_blocking(move || {
                // Held until the read ends, also when nobody waits for it any more.
                let _permit = permit;
                let conn = pop(&idle).ok_or(StoreError::Gone)?;
                let answer = snapshot(&conn, work);
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
                answer
            });
            task.await.map_err(|_| StoreError::Gone)?
        };
        let late = StoreError::Late { doing, secs: limit.as_secs() };
        tokio::time::timeout(limit, round).await.unwrap_or(Err(late))
    }
}

fn pop(idle: &Mutex<Vec<Connection>>) -> Option<Connection> {
    // The list is whole after any panic: it is only pushed to and popped from.
    idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

fn snapshot<T>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let tx = conn.unchecked_transaction().map_err(sql("beginning to read"))?;
    work(&tx)
}
