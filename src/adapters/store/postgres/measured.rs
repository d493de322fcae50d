//! How fast guests moved. For forecasts: a row that cannot be read is left out, because it is nobody's debt.

use std::collections::BTreeMap;

use super::super::documents::{from_json, stamp, to_json};
use super::super::error::StoreError;
use super::ask::{Ask, Columns as _};
use super::conn::{Conn, Failure, READ, WRITE};
use crate::model::ids::ClusterName;
use crate::model::rates::{MEASURED_MAX, Measured};

/// Each task once, whatever is said of it the second time; and no more than the newest.
pub(super) async fn keep(conn: &Conn, cluster: &ClusterName, measured: &[Measured]) -> Result<(), Failure> {
    // Sorted by their tasks: two that keep the same ones wait for each other, and do not each hold what the other wants.
    let mut rows = BTreeMap::new();
    for one in measured {
        rows.entry(one.task.0.as_str()).or_insert((stamp(one.ended), to_json("a measurement", one)?));
    }
    let insert = Ask::new(
        "INSERT INTO measured (cluster, task, ended, doc) SELECT $1, task, ended, doc
         FROM UNNEST($2, $3, $4) AS it (task, ended, doc) ON CONFLICT (cluster, task) DO NOTHING",
    )
    .text(&cluster.0)
    .texts(rows.keys().copied())
    .texts(rows.values().map(|(ended, _)| ended.as_str()))
    .texts(rows.values().map(|(_, doc)| doc.as_str()));
    let forget = Ask::new(
        "DELETE FROM measured WHERE cluster = $1 AND task NOT IN
         (SELECT task FROM measured WHERE cluster = $1 ORDER BY ended DESC, task DESC LIMIT $2)",
    );
    conn.begin(WRITE, vec![insert]).await?;
    conn.end(vec![forget.text(&cluster.0).limit(MEASURED_MAX)]).await.map(drop)
}

/// Oldest first.
pub(super) async fn newest(conn: &Conn, cluster: &ClusterName) -> Result<Vec<Measured>, Failure> {
    let ask = Ask::new("SELECT doc FROM measured WHERE cluster = $1 ORDER BY ended, task LIMIT $2");
    let answers = conn.whole(READ, vec![ask.text(&cluster.0).limit(MEASURED_MAX)]).await?;
    let mut all = Vec::with_capacity(answers[0].len());
    for row in &answers[0] {
        let read: Result<Measured, StoreError> = from_json("a measurement", &row.text(0)?);
        all.extend(read.ok());
    }
    Ok(all)
}
