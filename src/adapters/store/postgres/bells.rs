//! Bells: one row a cluster, which counts how often something was heard. Rung in the transaction that takes it in, so that
//! whoever hears the bell finds what it was rung for.

use std::collections::BTreeMap;

use super::ask::{Ask, Columns as _};
use super::conn::{Conn, Failure, READ};
use crate::model::ids::ClusterName;

pub(super) fn ring(cluster: &ClusterName) -> Ask {
    Ask::new(
        "INSERT INTO bells (cluster, rung) VALUES ($1, 1) ON CONFLICT (cluster) DO UPDATE SET rung = bells.rung + 1",
    )
    .text(&cluster.0)
}

pub(super) async fn rung(conn: &Conn, of: &[ClusterName]) -> Result<BTreeMap<ClusterName, u64>, Failure> {
    let ask = Ask::new("SELECT cluster, rung FROM bells WHERE cluster = ANY($1)");
    let answers = conn.whole(READ, vec![ask.texts(of.iter().map(|cluster| cluster.0.as_str()))]).await?;
    let one = |row: &tokio_postgres::Row| Ok((ClusterName(row.text(0)?), row.count(1)?));
    answers[0].iter().map(one).collect()
}
