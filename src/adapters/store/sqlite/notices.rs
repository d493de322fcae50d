//! The outbox: notices as they were decided, and how far each came on each of its channels.
//!
//! An id is written once, so a decision that is made again after a crash tells nobody twice. What is not delivered is
//! never forgotten.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};

use super::error::{StoreError, sql};
use super::rows::{MEMORY, from_json, instant, stamp, to_json};
use crate::model::notice::{ChannelName, Notice, NoticeId, SILENT_TRIES, Silent, Undelivered};
use crate::model::seen::Trouble;
use crate::model::step::Outcome;
use crate::model::time::Time;

/// Of each channel; more are read with the next round.
const READ_MAX: i64 = 1_000;

pub(super) fn write(conn: &Connection, notices: &[Notice]) -> Result<(), StoreError> {
    for notice in notices {
        let doc = to_json(&format!("notice {}", notice.id), notice)?;
        let row = params![notice.id.0, notice.case.map(|case| case.0), stamp(notice.at), doc];
        let new = conn
            .prepare_cached("INSERT OR IGNORE INTO notices (id, case_id, at, doc) VALUES (?1, ?2, ?3, ?4)")
            .and_then(|mut put| put.execute(row))
            .map_err(sql("writing a notice"))?;
        if new == 0 {
            continue;
        }
        let owed = to_json("an owed delivery", &Outcome::Owed)?;
        for channel in &notice.to {
            conn.prepare_cached(
                "INSERT OR IGNORE INTO deliveries (notice, channel, tries, at, outcome, done)
                 VALUES (?1, ?2, 0, ?3, ?4, 0)",
            )
            .and_then(|mut put| put.execute(params![notice.id.0, channel.0, stamp(notice.at), owed]))
            .map_err(sql("owing a delivery"))?;
        }
    }
    Ok(())
}

pub(super) fn told(conn: &Connection, now: Time) -> Result<BTreeSet<NoticeId>, StoreError> {
    let horizon = stamp(now.saturating_sub(MEMORY).unwrap_or(Time::MIN));
    let rows = || -> rusqlite::Result<BTreeSet<NoticeId>> {
        conn.prepare_cached(
            "SELECT id FROM notices WHERE at >= ?1
             UNION SELECT notices.id FROM notices JOIN cases ON cases.id = case_id WHERE closed_at IS NULL",
        )?
        .query_map([horizon], |row| row.get(0).map(NoticeId))?
        .collect()
    };
    rows().map_err(sql("reading what was told"))
}

/// Per channel the oldest notice that does not arrive.
pub(super) fn silent(conn: &Connection) -> Result<BTreeMap<ChannelName, Silent>, StoreError> {
    let rows = || -> rusqlite::Result<Vec<(String, String, String)>> {
        conn.prepare_cached(
            "SELECT channel, notice, outcome FROM deliveries JOIN notices ON notices.id = notice
             WHERE done = 0 AND tries >= ?1 ORDER BY seq",
        )?
        .query_map([SILENT_TRIES], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect()
    };
    let mut silent = BTreeMap::new();
    for (channel, notice, outcome) in rows().map_err(sql("reading the deliveries"))? {
        if let Outcome::Failed { trouble } = from_json(&format!("the delivery of {notice}"), &outcome)? {
            silent.entry(ChannelName(channel)).or_insert(Silent { first: NoticeId(notice), trouble });
        }
    }
    Ok(silent)
}

pub(super) fn undelivered(conn: &Connection) -> Result<Vec<Undelivered>, StoreError> {
    let rows = || -> rusqlite::Result<Vec<(String, String, u32, String)>> {
        conn.prepare_cached(
            "SELECT doc, channel, tries, at FROM (
                 SELECT doc, channel, tries, deliveries.at AS at, seq,
                        ROW_NUMBER() OVER (PARTITION BY channel ORDER BY seq) AS place
                 FROM deliveries JOIN notices ON notices.id = notice WHERE done = 0)
             WHERE place <= ?1 ORDER BY seq, channel",
        )?
        .query_map([READ_MAX], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect()
    };
    let mut owed = Vec::new();
    for (doc, channel, tries, at) in rows().map_err(sql("reading the outbox"))? {
        let notice: Notice = from_json("a notice", &doc)?;
        let at = instant(&format!("the delivery of {}", notice.id), &at)?;
        owed.push(Undelivered { notice, channel: ChannelName(channel), tries, at });
    }
    Ok(owed)
}

/// One try. A delivery that is done stays done.
pub(super) fn delivered(
    conn: &Connection,
    id: &NoticeId,
    channel: &ChannelName,
    at: Time,
    sent: &Result<(), Trouble>,
) -> Result<(), StoreError> {
    let (outcome, done) = match sent {
        Ok(()) => (Outcome::Done { ticket: None }, 1),
        Err(trouble) => (Outcome::Failed { trouble: trouble.clone() }, 0),
    };
    let doc = to_json(&format!("the delivery of {id}"), &outcome)?;
    let changed = conn
        .prepare_cached(
            "UPDATE deliveries SET tries = tries + (1 - done), at = iif(done, at, ?3),
                                   outcome = iif(done, outcome, ?4), done = max(done, ?5)
             WHERE notice = ?1 AND channel = ?2",
        )
        .and_then(|mut put| put.execute(params![id.0, channel.0, stamp(at), doc, done]))
        .map_err(sql("recording a delivery"))?;
    if changed == 0 { Err(StoreError::NeverTold(id.clone())) } else { Ok(()) }
}

/// Old notices that reached everybody, of cases that are closed.
pub(super) fn prune(conn: &Connection, horizon: &str, at_once: i64) -> Result<usize, StoreError> {
    let run = || -> rusqlite::Result<usize> {
        let old = "SELECT id FROM notices WHERE at < ?1
            AND NOT EXISTS (SELECT 1 FROM deliveries WHERE notice = notices.id AND done = 0)
            AND NOT EXISTS (SELECT 1 FROM cases WHERE cases.id = case_id AND closed_at IS NULL)
            ORDER BY seq LIMIT ?2";
        conn.execute(&format!("DELETE FROM deliveries WHERE notice IN ({old})"), params![horizon, at_once])?;
        conn.execute(&format!("DELETE FROM notices WHERE id IN ({old})"), params![horizon, at_once])
    };
    run().map_err(sql("forgetting notices"))
}
