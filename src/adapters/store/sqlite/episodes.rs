//! Episodes: what was told, at most one row for each firing of a label set. An end once heard stays, unless
//! Alertmanager itself lists the alert.

use std::cmp::Ordering;

use rusqlite::types::{FromSqlError, ValueRef};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use super::error::{StoreError, sql};
use super::rows::stamp;
use super::seal::of_episode;
use crate::model::alert::{Episode, EpisodeKey, Listed};
use crate::model::ids::Fingerprint;
use crate::model::time::Time;
use crate::ports::Ingested;

/// What became of a telling: the counts, and every episode that is not what it was.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) count: Ingested,
    pub(super) news: Vec<Episode>,
}

pub(super) fn ingest(conn: &Connection, told: &[Episode]) -> Result<Heard, StoreError> {
    let mut heard = Heard::default();
    let mut insert = Put::prepare(conn, INSERT)?;
    for episode in told {
        // Most of what comes in a storm is new: it is not looked for first.
        if insert.row(episode)? {
            heard.count.new += 1;
            heard.news.push(episode.clone());
            continue;
        }
        let Some(known) = find(conn, &episode.fingerprint, episode.starts_at)? else { continue };
        let mut again = known.clone();
        again.hear(episode);
        if known.fires() && !again.fires() {
            heard.count.resolved += 1;
        } else {
            heard.count.known += 1;
        }
        if again != known {
            update(conn, &again)?;
            heard.news.push(again);
        }
    }
    Ok(heard)
}

/// What Alertmanager lists, and what it no longer does: the one way in which an ended episode fires again.
pub(super) fn level(
    conn: &Connection,
    listed: &[Listed],
    gone: &[EpisodeKey],
    at: Time,
) -> Result<Heard, StoreError> {
    let mut heard = Heard::default();
    let mut insert = Put::prepare(conn, INSERT)?;
    for listed in listed {
        if insert.row(&listed.episode)? {
            heard.count.new += 1;
            heard.news.push(listed.episode.clone());
            continue;
        }
        let Some(known) = find(conn, &listed.episode.fingerprint, listed.episode.starts_at)? else {
            continue;
        };
        let mut level = known.clone();
        level.level(listed);
        if !known.fires() && level.fires() {
            heard.count.new += 1;
        } else {
            heard.count.known += 1;
        }
        if level != known {
            update(conn, &level)?;
            heard.news.push(level);
        }
    }
    for key in gone {
        let known = find(conn, &key.fingerprint, key.starts_at)?;
        if let Some(known) = known.filter(Episode::fires) {
            let over = Episode { ends_at: Some(at.max(known.starts_at)), ..known };
            update(conn, &over)?;
            heard.count.resolved += 1;
            heard.news.push(over);
        }
    }
    Ok(heard)
}

/// By start.
pub(super) fn order(one: &Episode, other: &Episode) -> Ordering {
    one.starts_at.cmp(&other.starts_at).then_with(|| one.fingerprint.cmp(&other.fingerprint))
}

/// Those that fire, and those that ended after `since`; in [`order`]. `known`: the same from before, in the same order; what
/// did not change is shared with it.
pub(super) fn since(conn: &Connection, since: Time, known: &[Episode]) -> Result<Vec<Episode>, StoreError> {
    let reading = || sql("reading the episodes");
    let mut ask = conn
        .prepare_cached(
            "SELECT fingerprint, starts_at, ends_at, received_at, labels, seal FROM episodes
             WHERE ends_at IS NULL OR ends_at > ?1",
        )
        .map_err(reading())?;
    let mut rows = ask.query([stamp(since)]).map_err(reading())?;
    let mut all = Vec::with_capacity(known.len());
    while let Some(row) = rows.next().map_err(reading())? {
        let read = episode(row)?;
        match known.binary_search_by(|one| order(one, &read)) {
            Ok(same) if known[same] == read => all.push(known[same].clone()),
            _ => all.push(read),
        }
    }
    all.sort_unstable_by(order);
    all.shrink_to_fit();
    Ok(all)
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
    .and_then(|mut ask| {
        ask.query_row(params![fingerprint.0, stamp(starts_at)], |row| Ok(episode(row))).optional()
    })
    .map_err(sql("looking an episode up"))?
    .transpose()
}

const INSERT: &str = "INSERT INTO episodes (fingerprint, starts_at, ends_at, received_at, labels, seal)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (fingerprint, starts_at) DO NOTHING";

fn update(conn: &Connection, episode: &Episode) -> Result<(), StoreError> {
    Put::prepare(
        conn,
        "UPDATE episodes SET ends_at = ?3, received_at = ?4, labels = ?5, seal = ?6
         WHERE fingerprint = ?1 AND starts_at = ?2",
    )?
    .row(episode)
    .map(drop)
}

/// A statement that takes an episode, for many of them.
struct Put<'c> {
    statement: CachedStatement<'c>,
    starts_at: Stamped,
    received_at: Stamped,
}

/// The last instant that was written, as it was written: alerts of one delivery were received together.
#[derive(Default)]
struct Stamped(Option<(Time, String)>);

impl Stamped {
    fn of(&mut self, at: Time) -> &str {
        if self.0.as_ref().is_none_or(|(last, _)| *last != at) {
            self.0 = None;
        }
        &self.0.get_or_insert_with(|| (at, stamp(at))).1
    }
}

impl<'c> Put<'c> {
    fn prepare(conn: &'c Connection, statement: &str) -> Result<Self, StoreError> {
        let statement = conn.prepare_cached(statement).map_err(sql("storing an episode"))?;
        Ok(Self { statement, starts_at: Stamped::default(), received_at: Stamped::default() })
    }

    /// Whether a row was written.
    fn row(&mut self, episode: &Episode) -> Result<bool, StoreError> {
        let labels = serde_json::to_string(&episode.labels)
            .map_err(|e| StoreError::document("the labels of an alert", e))?;
        let fingerprint = episode.fingerprint.0.as_str();
        let (starts_at, received_at) =
            (self.starts_at.of(episode.starts_at), self.received_at.of(episode.received_at));
        let ends_at = episode.ends_at.map(stamp);
        let sealed = of_episode(fingerprint, starts_at, ends_at.as_deref(), received_at, &labels);
        self.statement
            .execute(params![fingerprint, starts_at, ends_at, received_at, labels, sealed])
            .map(|rows| rows > 0)
            .map_err(sql("storing an episode"))
    }
}

/// A row becomes an episode, if it is what was written.
fn episode(row: &Row<'_>) -> Result<Episode, StoreError> {
    let reading = || sql("reading an episode");
    let text = |column: usize| -> Result<Option<&str>, StoreError> {
        let wrong = |e: FromSqlError| {
            rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, e.into())
        };
        row.get_ref(column).and_then(|value| value.as_str_or_null().map_err(wrong)).map_err(reading())
    };
    let (fingerprint, starts_at) = (text(0)?.unwrap_or_default(), text(1)?.unwrap_or_default());
    let (ends_at, received_at) = (text(2)?, text(3)?.unwrap_or_default());
    let labels = text(4)?.unwrap_or_default();
    let what = || format!("the episode of alert {fingerprint} from {starts_at}");
    let unspoilt = match row.get_ref(5).map_err(reading())? {
        ValueRef::Null => true,
        ValueRef::Blob(seal) => *seal == of_episode(fingerprint, starts_at, ends_at, received_at, labels),
        _ => false,
    };
    if !unspoilt {
        return Err(StoreError::spoilt(what()));
    }
    // The words of an error are made when there is one.
    let at = |text: &str| text.parse::<Time>().map_err(|e| StoreError::document(what(), e));
    Ok(Episode {
        starts_at: at(starts_at)?,
        ends_at: ends_at.map(at).transpose()?,
        received_at: at(received_at)?,
        labels: serde_json::from_str(labels).map_err(|e| StoreError::document(what(), e))?,
        fingerprint: Fingerprint(fingerprint.to_owned()),
    })
}
