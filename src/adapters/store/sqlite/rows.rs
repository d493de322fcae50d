//! Small things that every table needs: instants as sortable text, documents as JSON, the `meta` table.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{StoreError, sql};
use super::seal::{hex, seal};
use crate::model::time::Time;

/// How long closed cases, ended episodes and answered requests are kept for decisions: the memory of faults.
pub(super) const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);

/// Always nine digits, so that text sorts as time does.
pub(super) fn stamp(at: Time) -> String {
    format!("{at:.9}")
}

pub(super) fn instant(what: &str, text: &str) -> Result<Time, StoreError> {
    text.parse().map_err(|e| StoreError::document(what, e))
}

pub(super) fn to_json<T: Serialize>(what: &str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::document(what, e))
}

pub(super) fn from_json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::document(what, e))
}

pub(super) fn meta(conn: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")
        .and_then(|mut ask| ask.query_row([key], |row| row.get(0)).optional())
        .map_err(sql("reading meta"))
}

/// `None` takes the entry away.
pub(super) fn set_meta(conn: &Connection, key: &str, value: Option<&str>) -> Result<(), StoreError> {
    put_meta(conn, key, value)?;
    put_meta(conn, META_SEAL, Some(&meta_seal(conn)?))
}

fn put_meta(conn: &Connection, key: &str, value: Option<&str>) -> Result<(), StoreError> {
    let put = || -> rusqlite::Result<usize> {
        match value {
            Some(value) => conn
                .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
                .execute([key, value]),
            None => conn.execute("DELETE FROM meta WHERE key = ?1", [key]),
        }
    };
    put().map(drop).map_err(sql("writing meta"))
}

/// One seal for all entries together: a pause whose name was spoilt would be a pause that nobody sees.
const META_SEAL: &str = "seal";

fn meta_seal(conn: &Connection) -> Result<String, StoreError> {
    let rows = || -> rusqlite::Result<Vec<(String, String)>> {
        conn.prepare_cached("SELECT key, value FROM meta WHERE key <> ?1 ORDER BY key")?
            .query_map([META_SEAL], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    };
    let rows = rows().map_err(sql("reading meta"))?;
    let parts: Vec<Option<&str>> =
        rows.iter().flat_map(|(key, value)| [Some(key.as_str()), Some(value.as_str())]).collect();
    Ok(hex(&seal(&parts)))
}

/// Are the entries what was written?
pub(super) fn meta_unspoilt(conn: &Connection) -> Result<(), StoreError> {
    match meta(conn, META_SEAL)? {
        Some(seal) if seal != meta_seal(conn)? => Err(StoreError::spoilt("the store's own record")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_sort_as_time_does_and_come_back_whole() {
        let times = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000001Z", "2026-01-01T00:00:00.5Z"];
        let stamps: Vec<String> = times.iter().map(|t| stamp(t.parse().expect(t))).collect();
        assert!(stamps.is_sorted(), "{stamps:?}");
        for (time, stamp) in times.iter().zip(&stamps) {
            assert_eq!(instant("a stamp", stamp).expect("parses"), time.parse::<Time>().expect(time));
        }
    }
}
