//! Places in the budgets that clusters share. A claim holds the budget's row while it counts, so that of several at the same
//! time no more are granted than there are places; and the lease of its cluster, as everything that decides.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::Row;

use super::super::documents::{instant, stamp};
use super::super::error::StoreError;
use super::ask::{Ask, Columns as _};
use super::conn::{Conn, Failure, READ};
use super::lease::begin_fenced;
use super::pool::{DEADLINE, Pool, attempt};
use crate::model::ids::{BudgetName, CaseId, ClusterName, NodeName};
use crate::model::seen::Trouble;
use crate::model::shared::Place;
use crate::ports::{Claimed, Fence, Fleet, Tenure};

/// Made by [`PostgresFleet::budgets`](super::PostgresFleet::budgets).
#[derive(Clone)]
pub struct PostgresBudgets {
    pub(super) pool: Arc<Pool>,
    pub(super) tenure: Arc<dyn Tenure>,
}

impl PostgresBudgets {
    fn fence(&self, cluster: &ClusterName) -> Result<Fence, StoreError> {
        self.tenure.fence().ok_or_else(|| StoreError::Fenced(cluster.clone()))
    }
}

#[async_trait]
impl Fleet for PostgresBudgets {
    async fn places(&self) -> Result<Vec<Place>, Trouble> {
        let (pool, doing) = (&*self.pool, "reading the shared budgets");
        Ok(attempt!(pool, DEADLINE, doing, conn => places(conn))?)
    }

    async fn claim(&self, place: &Place, max: u32) -> Result<Claimed, Trouble> {
        let (pool, doing) = (&*self.pool, "taking a place in a shared budget");
        let fence = self.fence(&place.cluster)?;
        Ok(attempt!(pool, DEADLINE, doing, conn => claim(conn, &fence, place, max))?)
    }

    async fn release(&self, place: &Place) -> Result<(), Trouble> {
        let (pool, doing) = (&*self.pool, "giving a place in a shared budget back");
        let fence = self.fence(&place.cluster)?;
        Ok(attempt!(pool, DEADLINE, doing, conn => release(conn, &fence, place))?)
    }
}

async fn places(conn: &Conn) -> Result<Vec<Place>, Failure> {
    let ask =
        Ask::new("SELECT budget, cluster, node, case_id, since FROM places ORDER BY budget, cluster, node");
    let answers = conn.whole(READ, vec![ask]).await?;
    let one = |row: &Row| {
        let case = row.get_as::<Option<i64>>(3)?.and_then(|case| u64::try_from(case).ok());
        Ok(Place {
            budget: BudgetName(row.text(0)?),
            cluster: ClusterName(row.text(1)?),
            node: NodeName(row.text(2)?),
            case: case.map(CaseId),
            since: instant("a place in a shared budget", &row.text(4)?)?,
        })
    };
    answers[0].iter().map(one).collect()
}

async fn claim(conn: &Conn, fence: &Fence, place: &Place, max: u32) -> Result<Claimed, Failure> {
    let (budget, cluster, node) = (&place.budget.0, &place.cluster.0, &place.node.0);
    // Writes the row even if it is there: so it is held, and the count comes after every claim before this one.
    let hold = "INSERT INTO budgets (budget) VALUES ($1) ON CONFLICT (budget) DO UPDATE SET budget = excluded.budget";
    let hold = Ask::new(hold).text(budget);
    begin_fenced(conn, &place.cluster, fence, vec![hold]).await?;
    let count = "SELECT count(*) FROM places WHERE budget = $1 AND NOT (cluster = $2 AND node = $3)";
    let others = conn.more(vec![Ask::new(count).text(budget).text(cluster).text(node)]).await?;
    if others[0].first().map_or(Ok(0), |row| row.count(0))? >= u64::from(max) {
        conn.end(Vec::new()).await?;
        return Ok(Claimed::Full);
    }
    let take = Ask::new(
        "INSERT INTO places (budget, cluster, node, case_id, since) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (budget, cluster, node) DO UPDATE SET case_id = excluded.case_id",
    );
    let case = place.case.and_then(|case| i64::try_from(case.0).ok());
    let take = take.text(budget).text(cluster).text(node).maybe_int(case).text(&stamp(place.since));
    conn.end(vec![take]).await?;
    Ok(Claimed::Granted)
}

async fn release(conn: &Conn, fence: &Fence, place: &Place) -> Result<(), Failure> {
    begin_fenced(conn, &place.cluster, fence, Vec::new()).await?;
    let give = Ask::new("DELETE FROM places WHERE budget = $1 AND cluster = $2 AND node = $3");
    let give = give.text(&place.budget.0).text(&place.cluster.0).text(&place.node.0);
    conn.end(vec![give]).await.map(drop)
}
