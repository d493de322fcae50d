//! What people ask, and deliveries that nobody could read.

use rusqlite::{Connection, OptionalExtension, params};

use super::error::{StoreError, sql};
use super::poison::{POISON_ROWS_MAX, Poison, WAITING_MAX};
use super::rows::{from_json, stamp, to_json};
use super::seal::{Seal, of_request};
use crate::model::ids::RequestId;
use crate::model::request::{Reply, Request};
use crate::model::shown::Unreadable;
use crate::model::time::Time;

pub(super) fn request(conn: &Connection, request: &Request) -> Result<(), StoreError> {
    let what = format!("request {}", request.id);
    let known: Option<String> = conn
        .prepare_cached("SELECT doc FROM requests WHERE id = ?1")
        .and_then(|mut ask| ask.query_row([&request.id.0], |row| row.get(0)).optional())
        .map_err(sql("looking a request up"))?;
    if let Some(doc) = known {
        let known: Request = from_json(&what, &doc)?;
        // Asked again later is the same request; asked otherwise under the same id is a mistake of the asker's.
        let same = known.by == request.by && known.ask == request.ask;
        return if same { Ok(()) } else { Err(StoreError::OtherRequest(request.id.clone())) };
    }
    let waiting: usize = conn
        .query_row("SELECT count(*) FROM requests WHERE replied_at IS NULL", [], |row| row.get(0))
        .map_err(sql("counting the requests"))?;
    if waiting >= WAITING_MAX {
        return Err(StoreError::TooManyRequests(waiting));
    }
    let (at, doc) = (stamp(request.at), to_json(&what, request)?);
    let sealed = of_request(&request.id.0, &at, &doc);
    conn.execute(
        "INSERT INTO requests (id, at, doc, seal) VALUES (?1, ?2, ?3, ?4)",
        params![request.id.0, at, doc, sealed],
    )
    .map(drop)
    .map_err(sql("storing a request"))
}

pub(super) fn reply(conn: &Connection, id: &RequestId) -> Result<Option<Reply>, StoreError> {
    conn.prepare_cached("SELECT reply FROM requests WHERE id = ?1")
        .and_then(|mut ask| ask.query_row([&id.0], |row| row.get::<_, Option<String>>(0)).optional())
        .map_err(sql("reading a reply"))?
        .flatten()
        .map(|doc| from_json(&format!("the reply to request {id}"), &doc))
        .transpose()
}

/// A request as it is kept: id, time, document, seal.
type Kept = (String, String, String, Option<Seal>);

/// Oldest first.
pub(super) fn unanswered(conn: &Connection) -> Result<Vec<Request>, StoreError> {
    let rows = || -> rusqlite::Result<Vec<Kept>> {
        conn.prepare_cached(
            "SELECT id, at, doc, seal FROM requests WHERE replied_at IS NULL ORDER BY at, id",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect()
    };
    rows()
        .map_err(sql("reading the requests"))?
        .into_iter()
        .map(|(id, at, doc, seal)| {
            let what = format!("request {id}");
            if seal.is_some_and(|seal| seal != of_request(&id, &at, &doc)) {
                return Err(StoreError::spoilt(what));
            }
            from_json(&what, &doc)
        })
        .collect()
}

pub(super) fn poison(
    conn: &Connection,
    kept: &[u8],
    size: u64,
    why: &str,
    at: Time,
) -> Result<(), StoreError> {
    let put = || -> rusqlite::Result<()> {
        conn.execute(
            "INSERT INTO poison (at, why, size, body) VALUES (?1, ?2, ?3, ?4)",
            params![stamp(at), why, size, kept],
        )?;
        conn.execute("DELETE FROM poison WHERE id <= (SELECT max(id) FROM poison) - ?1", [POISON_ROWS_MAX])?;
        Ok(())
    };
    put().map_err(sql("storing an unreadable delivery"))
}

/// How many there are, and the newest.
pub(super) fn unreadable(conn: &Connection, newest: usize) -> Result<Unreadable, StoreError> {
    let count = conn
        .query_row("SELECT count(*) FROM poison", [], |row| row.get(0))
        .map_err(sql("counting unreadable deliveries"))?;
    let newest = poisoned(conn, newest)?.into_iter().map(Poison::shown);
    Ok(Unreadable { count, newest: newest.collect::<Result<_, StoreError>>()? })
}

/// Newest first.
pub(super) fn poisoned(conn: &Connection, limit: usize) -> Result<Vec<Poison>, StoreError> {
    let rows = || -> rusqlite::Result<Vec<Poison>> {
        conn.prepare_cached("SELECT at, why, size, body FROM poison ORDER BY id DESC LIMIT ?1")?
            .query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                Ok(Poison { at: row.get(0)?, why: row.get(1)?, size: row.get(2)?, body: row.get(3)? })
            })?
            .collect()
    };
    rows().map_err(sql("reading unreadable deliveries"))
}
