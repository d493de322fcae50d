//! How fast guests moved. For forecasts: a row that cannot be read is left out, because it is nobody's debt.

use rusqlite::{Connection, params};

use super::error::{StoreError, sql};
use super::rows::{from_json, stamp, to_json};
use crate::model::rates::{MEASURED_MAX, Measured};

/// Each task once, whatever is said of it the second time; and no more than the newest.
pub(super) fn keep(conn: &Connection, measured: &[Measured]) -> Result<(), StoreError> {
    for one in measured {
        let doc = to_json("a measurement", one)?;
        conn.prepare_cached("INSERT OR IGNORE INTO measured (task, ended, doc) VALUES (?1, ?2, ?3)")
            .and_then(|mut put| put.execute(params![one.task.0, stamp(one.ended), doc]))
            .map_err(sql("keeping a measurement"))?;
    }
    conn.execute(
        "DELETE FROM measured WHERE task NOT IN
         (SELECT task FROM measured ORDER BY ended DESC, task DESC LIMIT ?1)",
        [MEASURED_MAX as i64],
    )
    .map(drop)
    .map_err(sql("forgetting old measurements"))
}

/// Oldest first.
pub(super) fn newest(conn: &Connection) -> Result<Vec<Measured>, StoreError> {
    let docs = || -> rusqlite::Result<Vec<String>> {
        conn.prepare_cached("SELECT doc FROM measured ORDER BY ended, task LIMIT ?1")?
            .query_map([MEASURED_MAX as i64], |row| row.get(0))?
            .collect()
    };
    let docs = docs().map_err(sql("reading the measurements"))?;
    Ok(docs.iter().filter_map(|doc| from_json("a measurement", doc).ok()).collect())
}
