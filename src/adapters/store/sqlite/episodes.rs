//! Episodes: what was told, at most one row for each firing of a label set. An end once heard stays, unless
//! Alertmanager itself lists the alert.

use rusqlite::{Connection, OptionalExtension, params};

use super::error::{StoreError, sql};
use super::rows::{from_json, instant, stamp};
use super::seal::{Seal, of_episode};
use crate::model::alert::{Episode, EpisodeKey, Listed};
use crate::model::ids::Fingerprint;
use crate::model::time::Time;
use crate::ports::Ingested;

pub(super) fn ingest(conn: &Connection, told: &[Episode]) -> Result<Ingested, StoreError> {
    let mut count = Ingested::default();
    for episode in told {
        match find(conn, &episode.fingerprint, episode.starts_at)? {
            None => {
                insert(conn, episode)?;
                count.new += 1;
            }
            Some(known) => {
                let mut heard = known.clone();
                heard.hear(episode);
                if known.fires() && !heard.fires() {
                    count.resolved += 1;
                } else {
                    count.known += 1;
                }
                if heard != known {
                    update(conn, &heard)?;
                }
            }
        }
    }
    Ok(count)
}

/// What Alertmanager lists, and what it no longer does: the one way in which an ended episode fires again.
pub(super) fn level(
    conn: &Connection,
    listed: &[Listed],
    gone: &[EpisodeKey],
    at: Time,
) -> Result<Ingested, StoreError> {
    let mut count = Ingested::default();
    for listed in listed {
        match find(conn, &listed.episode.fingerprint, listed.episode.starts_at)? {
            None => {
                insert(conn, &listed.episode)?;
                count.new += 1;
            }
            Some(known) => {
                let mut level = known.clone();
                level.level(listed);
                if !known.fires() && level.fires() {
                    count.new += 1;
                } else {
                    count.known += 1;
                }
                if level != known {
                    update(conn, &level)?;
                }
            }
        }
    }
    for key in gone {
        let known = find(conn, &key.fingerprint, key.starts_at)?;
        if let Some(known) = known.filter(Episode::fires) {
            update(conn, &Episode { ends_at: Some(at.max(known.starts_at)), ..known })?;
            count.resolved += 1;
        }
    }
    Ok(count)
}

/// Those that fire, and those that ended after `since`; by start.
pub(super) fn since(conn: &Connection, since: Time) -> Result<Vec<Episode>, StoreError> {
    let rows = || -> rusqlite::Result<Vec<Columns>> {
        conn.prepare_cached(
            "SELECT fingerprint, starts_at, ends_at, received_at, labels, seal FROM episodes
             WHERE ends_at IS NULL OR ends_at > ?1 ORDER BY starts_at, fingerprint",
        )?
        .query_map([stamp(since)], columns)?
        .collect()
    };
    rows().map_err(sql("reading the episodes"))?.into_iter().map(episode).collect()
}

fn find(
    conn: &Connection,
    fingerprint: &Fingerprint,
    starts_at: Time,
) -> Result<Option<Episode>, StoreError> {
    conn.prepare_cached(
        "SELECT fingerprint, starts_at, ends_at, received_at, labels, seal FROM episodes
         WHERE fingerprint = ?1 AND starts_at = ?2",
    )
    .and_then(|mut ask| ask.query_row(params![fingerprint.0, stamp(starts_at)], columns).optional())
    .map_err(sql("looking an episode up"))?
    .map(episode)
    .transpose()
}

fn insert(conn: &Connection, episode: &Episode) -> Result<(), StoreError> {
    put(
        conn,
        episode,
        "INSERT INTO episodes (fingerprint, starts_at, ends_at, received_at, labels, seal)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .map_err(sql("storing an episode"))
}

fn update(conn: &Connection, episode: &Episode) -> Result<(), StoreError> {
    put(
        conn,
        episode,
        "UPDATE episodes SET ends_at = ?3, received_at = ?4, labels = ?5, seal = ?6
         WHERE fingerprint = ?1 AND starts_at = ?2",
    )
    .map_err(sql("storing what became of an episode"))
}

fn put(conn: &Connection, episode: &Episode, statement: &str) -> rusqlite::Result<()> {
    let labels = serde_json::to_string(&episode.labels)
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
    let (starts_at, received_at) = (stamp(episode.starts_at), stamp(episode.received_at));
    let ends_at = episode.ends_at.map(stamp);
    let sealed = of_episode(&episode.fingerprint.0, &starts_at, ends_at.as_deref(), &received_at, &labels);
    conn.prepare_cached(statement)?
        .execute(params![episode.fingerprint.0, starts_at, ends_at, received_at, labels, sealed])
        .map(drop)
}

type Columns = (String, String, Option<String>, String, String, Option<Seal>);

fn columns(row: &rusqlite::Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
}

fn episode(columns: Columns) -> Result<Episode, StoreError> {
    let (fingerprint, starts_at, ends_at, received_at, labels, seal) = columns;
    let what = format!("the episode of alert {fingerprint} from {starts_at}");
    let written = || of_episode(&fingerprint, &starts_at, ends_at.as_deref(), &received_at, &labels);
    if seal.is_some_and(|seal| seal != written()) {
        return Err(StoreError::spoilt(what));
    }
    Ok(Episode {
        starts_at: instant(&what, &starts_at)?,
        ends_at: ends_at.map(|text| instant(&what, &text)).transpose()?,
        received_at: instant(&what, &received_at)?,
        labels: from_json(&what, &labels)?,
        fingerprint: Fingerprint(fingerprint),
    })
}
