//! Deliveries of alerts, several in one transaction: a wait for the database's disk is paid once for all that came while the one
//! before was written.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::super::error::StoreError;
use super::episodes;
use super::pool::{DEADLINE, Pool, attempt};
use crate::model::alert::Episode;
use crate::model::ids::ClusterName;
use crate::ports::Ingested;

/// Deliveries in one transaction.
const GROUP_MAX: usize = 64;

const DOING: &str = "storing alerts";

/// Of one cluster.
pub(super) struct Intake {
    pool: Arc<Pool>,
    cluster: ClusterName,
    waiting: Mutex<Vec<Delivery>>,
    /// One transaction at a time: meanwhile others gather.
    turn: tokio::sync::Mutex<()>,
}

struct Delivery {
    told: Vec<Episode>,
    reply: oneshot::Sender<Result<Ingested, StoreError>>,
}

impl Intake {
    pub(super) fn new(pool: Arc<Pool>, cluster: ClusterName) -> Self {
        Self { pool, cluster, waiting: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    pub(super) async fn ingest(self: &Arc<Self>, told: Vec<Episode>) -> Result<Ingested, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(Delivery { told, reply });
        let this = Arc::clone(self);
        // Apart: whoever gives up waiting must not end it for the others.
        tokio::spawn(async move { this.round().await });
        let late = StoreError::Late { doing: DOING, secs: DEADLINE.as_secs() };
        let answer = tokio::time::timeout(DEADLINE, answer).await.map_err(|_| late)?;
        answer.map_err(|_| StoreError::Gone)?
    }

    async fn round(&self) {
        let _turn = self.turn.lock().await;
        let mut group: Vec<Delivery> = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let next = waiting.len().min(GROUP_MAX);
            waiting.drain(..next).collect()
        };
        // Nobody waits for it any more; it is told again.
        group.retain(|delivery| !delivery.reply.is_closed());
        let (told, replies): (Vec<_>, Vec<_>) = group.into_iter().map(|one| (one.told, one.reply)).unzip();
        match self.write(&told).await {
            Ok(counts) => {
                for (reply, count) in replies.into_iter().zip(counts) {
                    // Whoever gave up waiting looks again by itself.
                    let _ = reply.send(Ok(count));
                }
            }
            // One that cannot be stored must not keep the others out.
            Err(error) => {
                let alone = told.len() == 1;
                let mut error = Some(error);
                for (told, reply) in told.into_iter().zip(replies) {
                    let ended = match error.take_if(|_| alone) {
                        Some(error) => Err(error),
                        None => self
                            .write(&[told])
                            .await
                            .map(|counts| counts.into_iter().next().unwrap_or_default()),
                    };
                    let _ = reply.send(ended);
                }
            }
        }
    }

    async fn write(&self, told: &[Vec<Episode>]) -> Result<Vec<Ingested>, StoreError> {
        if told.is_empty() {
            return Ok(Vec::new());
        }
        let (pool, cluster) = (&*self.pool, &self.cluster);
        attempt!(pool, DEADLINE, DOING, conn => episodes::ingest(conn, cluster, told))
    }
}
