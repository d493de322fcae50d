//! The places in budgets that clusters share, in a file beside theirs. The process that holds the fleet's state directory is
//! the only one that writes here.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::error::{StoreError, sql};
use super::open::{explain, ours_alone};
use super::rows::{instant, stamp};
use crate::model::ids::{BudgetName, CaseId, ClusterName, NodeName};
use crate::model::seen::Trouble;
use crate::model::shared::Place;
use crate::ports::{Claimed, Fleet};

const FILE: &str = "fleet.db";

/// Some rows at most: whoever waits longer waits for the disk.
const DEADLINE: Duration = Duration::from_secs(9);

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS places (
    budget  TEXT NOT NULL,
    cluster TEXT NOT NULL,
    node    TEXT NOT NULL,
    -- NULL: seen out, and not by us.
    case_id INTEGER,
    since   TEXT NOT NULL,
    PRIMARY KEY (budget, cluster, node)
) STRICT, WITHOUT ROWID;";

/// Shared budgets of the clusters of one process.
#[derive(Clone)]
pub struct SqliteFleet {
    conn: Arc<Mutex<Connection>>,
}

impl SqliteFleet {
    /// In the fleet's state directory, which the caller holds.
    ///
    /// # Errors
    /// The file cannot be opened or is none of ours.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let file = dir.join(FILE);
        ours_alone(dir, &file)?;
        let open = || -> rusqlite::Result<Connection> {
            let conn = Connection::open(&file)?;
            conn.busy_timeout(DEADLINE)?;
            // A place is granted when the disk has it.
            conn.pragma_update(None, "synchronous", "FULL")?;
            conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
            conn.execute_batch(SCHEMA)?;
            Ok(conn)
        };
        let conn = open().map_err(|error| explain(&file, error))?;
        Ok(Self { conn: Arc::new(Mutex::new(conn)) })
    }

    async fn run<T, F>(&self, doing: &'static str, work: F) -> Result<T, Trouble>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let conn = Arc::clone(&self.conn);
        // A panic in between left no half transaction: the next one begins with a rollback.
        let task = tokio::task::spawn_blocking(move || {
            work(&mut conn.lock().unwrap_or_else(PoisonError::into_inner))
        });
        let late = StoreError::Late { doing, secs: DEADLINE.as_secs() };
        match tokio::time::timeout(DEADLINE, task).await {
            Ok(Ok(answer)) => Ok(answer?),
            Ok(Err(_)) => Err(StoreError::Gone.into()),
            Err(_) => Err(late.into()),
        }
    }
}

#[async_trait]
impl Fleet for SqliteFleet {
    async fn places(&self) -> Result<Vec<Place>, Trouble> {
        self.run("reading the shared budgets", |conn| all(conn)).await
    }

    async fn claim(&self, place: &Place, max: u32) -> Result<Claimed, Trouble> {
        let place = place.clone();
        self.run("taking a place in a shared budget", move |conn| claim(conn, &place, max)).await
    }

    async fn release(&self, place: &Place) -> Result<(), Trouble> {
        let place = place.clone();
        self.run("giving a place in a shared budget back", move |conn| {
            let key = params![place.budget.0, place.cluster.0, place.node.0];
            conn.execute("DELETE FROM places WHERE budget = ?1 AND cluster = ?2 AND node = ?3", key)
                .map(drop)
                .map_err(sql("giving a place back"))
        })
        .await
    }
}

fn all(conn: &Connection) -> Result<Vec<Place>, StoreError> {
    type Columns = (String, String, String, Option<u64>, String);
    let rows = || -> rusqlite::Result<Vec<Columns>> {
        conn.prepare_cached(
            "SELECT budget, cluster, node, case_id, since FROM places ORDER BY budget, cluster, node",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?
        .collect()
    };
    let read = |(budget, cluster, node, case, since): Columns| {
        Ok(Place {
            since: instant("a place in a shared budget", &since)?,
            budget: BudgetName(budget),
            cluster: ClusterName(cluster),
            node: NodeName(node),
            case: case.map(CaseId),
        })
    };
    rows().map_err(sql("reading places"))?.into_iter().map(read).collect()
}

fn claim(conn: &mut Connection, place: &Place, max: u32) -> Result<Claimed, StoreError> {
    let mut run = || -> rusqlite::Result<Claimed> {
        let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let (budget, cluster, node) = (&place.budget.0, &place.cluster.0, &place.node.0);
        let others: u32 = tx.query_row(
            "SELECT count(*) FROM places WHERE budget = ?1 AND NOT (cluster = ?2 AND node = ?3)",
            [budget, cluster, node],
            |row| row.get(0),
        )?;
        if others >= max {
            return Ok(Claimed::Full);
        }
        tx.execute(
            "INSERT INTO places (budget, cluster, node, case_id, since) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (budget, cluster, node) DO UPDATE SET case_id = excluded.case_id",
            params![budget, cluster, node, place.case.map(|case| case.0), stamp(place.since)],
        )?;
        tx.commit()?;
        Ok(Claimed::Granted)
    };
    run().map_err(sql("taking a place"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn place(cluster: &str, node: &str, case: Option<u64>) -> Place {
        let since = "2026-03-01T10:00:00Z".parse().expect("a time");
        Place {
            budget: "row-7".into(),
            cluster: cluster.into(),
            node: node.into(),
            case: case.map(CaseId),
            since,
        }
    }

    #[tokio::test]
    async fn no_more_places_than_the_budget_has_and_ones_own_is_ones_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let fleet = SqliteFleet::open(dir.path()).expect("opens");
        let about = std::fs::metadata(dir.path().join(FILE)).expect("is there");
        assert_eq!(about.permissions().mode() & 0o777, 0o600);
        let (berlin, paris) = (place("berlin", "pve1", Some(1)), place("paris", "pve1", Some(1)));
        assert_eq!(fleet.claim(&berlin, 1).await, Ok(Claimed::Granted));
        assert_eq!(fleet.claim(&berlin, 1).await, Ok(Claimed::Granted), "its own again");
        assert_eq!(fleet.claim(&paris, 1).await, Ok(Claimed::Full));
        assert_eq!(
            fleet.claim(&place("paris", "pve1", None), u32::MAX).await,
            Ok(Claimed::Granted),
            "recorded"
        );
        assert_eq!(fleet.places().await.expect("reads").len(), 2);
        drop(fleet);
        let again = SqliteFleet::open(dir.path()).expect("opens");
        again.release(&place("paris", "pve1", None)).await.expect("releases");
        again.release(&place("paris", "pve1", None)).await.expect("was given back already");
        assert_eq!(again.places().await, Ok(vec![berlin]));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_many_at_the_same_time_so_many_are_granted_as_there_are_places() {
        let dir = tempfile::tempdir().expect("a directory");
        let fleet = SqliteFleet::open(dir.path()).expect("opens");
        let claims = (0..12).map(|i| {
            let fleet = fleet.clone();
            tokio::spawn(async move { fleet.claim(&place(&format!("c{i}"), "pve1", Some(1)), 3).await })
        });
        let mut granted = 0;
        for claim in claims.collect::<Vec<_>>() {
            granted += u32::from(claim.await.expect("ends") == Ok(Claimed::Granted));
        }
        assert_eq!(granted, 3);
    }
}
