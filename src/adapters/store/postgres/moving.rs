//! A cluster's state moves in from a state directory: in one transaction, once, and never over something that is there.
//!
//! The directory is held meanwhile, and marked as moved before the transaction is asked to stay: whatever happens then, there
//! is never a moment at which both count.

use std::path::Path;

use rusqlite::types::Value;
use serde::Serialize;

use super::super::Inspected;
use super::super::error::StoreError;
use super::super::sqlite::Leaving;
use super::ask::{Ask, Columns as _};
use super::conn::{Conn, Failure, WRITE_ALL};
use super::fleet::PostgresFleet;
use super::inspect::inspected;
use super::meta::Meta;
use super::pool::{PATIENCE, attempt};
use crate::model::ids::ClusterName;

/// What was moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moved {
    pub cluster: ClusterName,
    /// As it was read back from the database before it was kept.
    pub holds: Inspected,
}

/// One table: what is read there, and the statement that writes it here.
struct Table {
    from: &'static str,
    into: &'static str,
    columns: &'static [Kind],
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    Flag,
    Bytes,
}

use Kind::{Bytes, Flag, Number, Text};

/// In an order in which no row names one that is not there yet.
const TABLES: [Table; 11] = [
    Table {
        from: "SELECT id, node, phase, revision, drained_at, closed_at, doc, seal FROM cases",
        into: "INSERT INTO cases (cluster, id, node, phase, revision, drained_at, closed_at, doc, seal)
               SELECT $1, * FROM UNNEST($2, $3, $4, $5, $6, $7, $8, $9)",
        columns: &[Number, Text, Text, Number, Text, Text, Text, Bytes],
    },
    Table {
        from: "SELECT seq, case_id, at, doc, hash FROM journal",
        into: "INSERT INTO journal (cluster, seq, case_id, at, doc, hash) SELECT $1, * FROM UNNEST($2, $3, $4, $5, $6)",
        columns: &[Number, Number, Text, Text, Bytes],
    },
    Table {
        from: "SELECT id, case_id, tries, at, outcome, seal FROM steps",
        into: "INSERT INTO steps (cluster, id, case_id, tries, at, outcome, seal)
               SELECT $1, * FROM UNNEST($2, $3, $4, $5, $6, $7)",
        columns: &[Text, Number, Number, Text, Text, Bytes],
    },
    Table {
        from: "SELECT id, at, doc, reply, replied_at, seal FROM requests",
        into: "INSERT INTO requests (cluster, id, at, doc, reply, replied_at, seal)
               SELECT $1, * FROM UNNEST($2, $3, $4, $5, $6, $7)",
        columns: &[Text, Text, Text, Text, Text, Bytes],
    },
    Table {
        from: "SELECT fingerprint, starts_at, ends_at, received_at, labels, seal FROM episodes",
        into: "INSERT INTO episodes (cluster, fingerprint, starts_at, ends_at, received_at, labels, seal)
               SELECT $1, * FROM UNNEST($2, $3, $4, $5, $6, $7)",
        columns: &[Text, Text, Text, Text, Text, Bytes],
    },
    Table {
        from: "SELECT id, at, why, size, body FROM poison",
        into: "INSERT INTO poison (cluster, id, at, why, size, body) SELECT $1, * FROM UNNEST($2, $3, $4, $5, $6)",
        columns: &[Number, Text, Text, Number, Bytes],
    },
    Table {
        from: "SELECT number, key, case_id, at, status, closed_at, doc FROM work_orders",
        into: "INSERT INTO work_orders (cluster, number, key, case_id, at, status, closed_at, doc)
               SELECT $1, * FROM UNNEST($2, $3, $4, $5, $6, $7, $8)",
        columns: &[Number, Text, Number, Text, Text, Text, Text],
    },
    Table {
        from: "SELECT key, number, rowid, at, kind, text FROM comments",
        into: "INSERT INTO comments (cluster, key, number, place, at, kind, text)
               SELECT $1, * FROM UNNEST($2, $3, $4, $5, $6, $7)",
        columns: &[Text, Number, Number, Text, Text, Text],
    },
    Table {
        from: "SELECT id, seq, case_id, at, doc FROM notices",
        into: "INSERT INTO notices (cluster, id, seq, case_id, at, doc) SELECT $1, * FROM UNNEST($2, $3, $4, $5, $6)",
        columns: &[Text, Number, Number, Text, Text],
    },
    Table {
        from: "SELECT notice, channel, tries, at, outcome, done FROM deliveries",
        into: "INSERT INTO deliveries (cluster, notice, channel, tries, at, outcome, done)
               SELECT $1, * FROM UNNEST($2, $3, $4, $5, $6, $7)",
        columns: &[Text, Text, Number, Text, Text, Flag],
    },
    Table {
        from: "SELECT task, ended, doc FROM measured",
        into: "INSERT INTO measured (cluster, task, ended, doc) SELECT $1, * FROM UNNEST($2, $3, $4)",
        columns: &[Text, Text, Text],
    },
];

/// What a file keeps of itself alone: the count of its commits, its own seal.
const META: &str =
    "SELECT key, value FROM meta WHERE key NOT IN ('seal', 'commits') AND key NOT LIKE 'tried%'";

/// Rows in one statement: an unreadable delivery may have 64 KiB.
const AT_ONCE: usize = 200;

impl PostgresFleet {
    /// Moves a cluster in from its state directory. `to`: where that is, in words for whoever finds the directory later.
    ///
    /// # Errors
    /// The directory is not whole or somebody holds it, or the cluster is in the database already: then nothing was moved.
    /// [`StoreError::Unknown`]: it may have been; the directory is marked, and its mark says what to do.
    pub async fn take_over(&self, dir: &Path, cluster: &ClusterName, to: &str) -> Result<Moved, StoreError> {
        let dir = dir.to_owned();
        let read = move || {
            let statements: Vec<&str> = TABLES.iter().map(|table| table.from).chain([META]).collect();
            Leaving::of(&dir, &statements)
        };
        let leaving = tokio::task::spawn_blocking(read).await.map_err(|_| StoreError::Gone)??;
        let (pool, doing) = (&*self.pool, "moving a cluster in");
        let moved = attempt!(pool, PATIENCE, doing, conn => take_over(conn, &leaving, cluster, to));
        match moved {
            Ok(holds) => Ok(Moved { cluster: cluster.clone(), holds }),
            // Nobody knows whether it stays.
            Err(error @ (StoreError::Unknown { .. } | StoreError::Late { .. })) => Err(error),
            Err(error) => {
                leaving.unmark();
                Err(error)
            }
        }
    }
}

async fn take_over(
    conn: &Conn,
    leaving: &Leaving,
    cluster: &ClusterName,
    to: &str,
) -> Result<Inspected, Failure> {
    nobody_there(conn, cluster).await?;
    for (table, rows) in TABLES.iter().zip(&leaving.found) {
        for rows in rows.chunks(AT_ONCE) {
            conn.more(vec![insert(table, cluster, rows)?]).await?;
        }
    }
    let mut meta = Meta::default();
    for row in leaving.found.last().into_iter().flatten() {
        meta.set(text(row, 0)?.unwrap_or_default(), text(row, 1)?.map(str::to_owned));
    }
    conn.more(meta.write(cluster)).await?;
    // Every row read back, the chain walked: before it stays, and before the old one is given up.
    let holds = inspected(conn, cluster).await?;
    if holds != (Inspected { commits: None, ..leaving.holds.clone() }) {
        let why = "what was read back is not what was written; nothing was moved";
        return Err(StoreError::document(format!("cluster {cluster}"), why).into());
    }
    leaving.mark(to)?;
    conn.end(Vec::new()).await?;
    Ok(holds)
}

/// Begins the transaction with a lease that ran out at once: nobody can take the cluster before the end.
async fn nobody_there(conn: &Conn, cluster: &ClusterName) -> Result<(), Failure> {
    let lease = "INSERT INTO leases (cluster, holder, term, until) VALUES ($1, 'moved in', 1, now())
        ON CONFLICT (cluster) DO NOTHING RETURNING term";
    let there = "SELECT (SELECT count(*) FROM cases WHERE cluster = $1) + (SELECT count(*) FROM journal WHERE cluster = $1)
        + (SELECT count(*) FROM requests WHERE cluster = $1) + (SELECT count(*) FROM episodes WHERE cluster = $1)
        + (SELECT count(*) FROM meta WHERE cluster = $1) + (SELECT count(*) FROM poison WHERE cluster = $1)";
    let asks = vec![Ask::new(lease).text(&cluster.0), Ask::new(there).text(&cluster.0)];
    let answers = conn.begin(WRITE_ALL, asks).await?;
    let there = |why: &str| StoreError::There { cluster: cluster.clone(), why: why.to_owned() };
    if answers[0].is_empty() {
        return Err(there("an instance has served it").into());
    }
    match answers[1].first().map_or(Ok(0), |row| row.int(0))? {
        0 => Ok(()),
        rows => Err(there(&format!("{rows} rows carry its name")).into()),
    }
}

fn insert(table: &Table, cluster: &ClusterName, rows: &[Vec<Value>]) -> Result<Ask, StoreError> {
    let mut ask = Ask::new(table.into).text(&cluster.0);
    for (column, kind) in table.columns.iter().enumerate() {
        ask = match kind {
            Text => ask.maybe_texts(rows.iter().map(|row| text(row, column)).collect::<Result<Vec<_>, _>>()?),
            Number => {
                ask.maybe_ints(rows.iter().map(|row| number(row, column)).collect::<Result<Vec<_>, _>>()?)
            }
            Flag => {
                let flag = |row: &Vec<Value>| Ok(number(row, column)? == Some(1));
                ask.flags(rows.iter().map(flag).collect::<Result<Vec<_>, StoreError>>()?)
            }
            Bytes => {
                ask.many_bytes(rows.iter().map(|row| bytes(row, column)).collect::<Result<Vec<_>, _>>()?)
            }
        };
    }
    Ok(ask)
}

fn text(row: &[Value], column: usize) -> Result<Option<&str>, StoreError> {
    match row.get(column) {
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(Value::Null) => Ok(None),
        _ => Err(unlike()),
    }
}

fn number(row: &[Value], column: usize) -> Result<Option<i64>, StoreError> {
    match row.get(column) {
        Some(Value::Integer(number)) => Ok(Some(*number)),
        Some(Value::Null) => Ok(None),
        _ => Err(unlike()),
    }
}

fn bytes(row: &[Value], column: usize) -> Result<Option<Vec<u8>>, StoreError> {
    match row.get(column) {
        Some(Value::Blob(bytes)) => Ok(Some(bytes.clone())),
        Some(Value::Null) => Ok(None),
        _ => Err(unlike()),
    }
}

fn unlike() -> StoreError {
    StoreError::document("a row of the state directory", "it holds what its table does not")
}
