//! The `meta` table: what there is one of.

use rusqlite::{Connection, OptionalExtension};

pub(super) use super::documents::{MEMORY, from_json, instant, stamp, to_json};
use super::error::{StoreError, sql};
use super::seal::{hex, seal};

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
