//! Rows become what a decision needs. A document that does not parse, fails its proofs or contradicts its row stops
//! the load and is named: what pitlane owes stands in it, so it is never skipped.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::case_row::CaseRow;
use super::commit::next_case;
use super::error::{StoreError, sql};
use super::inbox::unanswered;
use super::notices;
use super::rows::{MEMORY, from_json, instant, meta, meta_unspoilt, stamp};
use super::seal::{Seal, of_step};
use crate::model::case::{Case, Phase};
use crate::model::ids::CaseId;
use crate::model::rates::Rates;
use crate::model::state::{EARLIER_COUNT_MAX, EARLIER_MAX, Earlier, Past, State};
use crate::model::step::{Attempt, Ledger, StepId};
use crate::model::time::Time;

pub(super) fn state(conn: &Connection, now: Time) -> Result<State, StoreError> {
    meta_unspoilt(conn)?;
    let paused = meta(conn, "pause")?.map(|doc| from_json("the pause", &doc)).transpose()?;
    Ok(State {
        cases: select(conn, "WHERE closed_at IS NULL ORDER BY id LIMIT ?1", i64::MAX)?
            .into_iter()
            .map(|(case, _)| case)
            .collect(),
        past: past(conn, now)?,
        earlier: earlier(conn, now)?,
        requests: unanswered(conn)?,
        paused,
        ledger: ledger(conn, None)?,
        next_case: next_case(conn)?,
        told: notices::told(conn, now)?,
        silent: notices::silent(conn)?,
        rates: Rates::default(),
    })
}

/// Newest first, open ones before closed ones.
pub(super) fn cases(conn: &Connection, limit: usize) -> Result<Vec<Case>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = select(conn, "ORDER BY closed_at IS NOT NULL, id DESC LIMIT ?1", limit)?;
    Ok(rows.into_iter().map(|(case, _)| case).collect())
}

pub(super) fn case(conn: &Connection, id: CaseId) -> Result<Option<Case>, StoreError> {
    // The database counts no further, and so there is no such case.
    let Ok(id) = i64::try_from(id.0) else { return Ok(None) };
    Ok(select(conn, "WHERE id = ?1", id)?.pop().map(|(case, _)| case))
}

/// Steps of one case; of all open cases for `None`.
pub(super) fn ledger(conn: &Connection, case: Option<CaseId>) -> Result<Ledger, StoreError> {
    type Columns = (String, u32, String, String, u64, Option<Seal>);
    let rows = || -> rusqlite::Result<Vec<Columns>> {
        conn.prepare_cached(
            "SELECT steps.id, tries, at, outcome, case_id, steps.seal FROM steps
             JOIN cases ON cases.id = case_id WHERE (?1 IS NULL AND closed_at IS NULL) OR case_id = ?1",
        )?
        .query_map(params![case.map(|id| id.0)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
        })?
        .collect()
    };
    let mut ledger = BTreeMap::new();
    for (id, tries, at, outcome, case, seal) in rows().map_err(sql("reading the steps"))? {
        let what = format!("step {id}");
        if seal.is_some_and(|seal| seal != of_step(&id, case, tries, &at, &outcome)) {
            return Err(StoreError::spoilt(what));
        }
        let attempt = Attempt { tries, at: instant(&what, &at)?, outcome: from_json(&what, &outcome)? };
        ledger.insert(StepId(id), attempt);
    }
    Ok(ledger)
}

fn past(conn: &Connection, now: Time) -> Result<Vec<Past>, StoreError> {
    let horizon = stamp(now.saturating_sub(MEMORY).unwrap_or(Time::MIN));
    let rows = select(conn, "WHERE closed_at >= ?1 ORDER BY closed_at, id", horizon)?;
    let mut past = Vec::with_capacity(rows.len());
    for (case, drained_at) in rows {
        if let Phase::Closed { at, .. } = case.phase {
            let Case { id, node, faults, .. } = case;
            past.push(Past { case: id, node, faults, closed_at: at, drained_at });
        }
    }
    Ok(past)
}

/// What a machine's history needs of its closed cases, and only of machines with an open one: a quiet turn reads none. The
/// documents are not read whole, because nothing is owed there; what is read of them has to be readable.
fn earlier(conn: &Connection, now: Time) -> Result<Vec<Earlier>, StoreError> {
    type Columns = (u64, String, String, Option<String>, Option<String>, Option<String>, Option<String>);
    let horizon = jiff::SignedDuration::try_from(EARLIER_MAX.0).unwrap_or(jiff::SignedDuration::MAX);
    let horizon = stamp(now.saturating_sub(horizon).unwrap_or(Time::MIN));
    let rows = || -> rusqlite::Result<Vec<Columns>> {
        conn.prepare_cached(
            "SELECT id, node, closed_at, drained_at, json_extract(doc, '$.faults'),
                    json_extract(doc, '$.phase.ending.ending'), json_extract(doc, '$.origin.origin')
             FROM cases WHERE closed_at >= ?1 AND node IN (SELECT node FROM cases WHERE closed_at IS NULL)
             ORDER BY closed_at DESC, id DESC LIMIT ?2",
        )?
        .query_map(params![horizon, EARLIER_COUNT_MAX], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
        })?
        .collect()
    };
    let mut earlier = Vec::new();
    for (id, node, closed_at, drained_at, faults, ending, origin) in
        rows().map_err(sql("reading the machines' earlier cases"))?
    {
        let what = format!("case {id} ({node})");
        earlier.push(Earlier {
            case: CaseId(id),
            node: node.as_str().into(),
            // A document without them was not written so: how often a machine failed is counted from this.
            faults: from_json(&what, faults.as_deref().unwrap_or("null"))?,
            closed_at: instant(&what, &closed_at)?,
            drained_at: drained_at.map(|text| instant(&what, &text)).transpose()?,
            served: matches!(ending.as_deref(), Some("returned" | "served")),
            by_alarm: origin.as_deref() == Some("alarm"),
        });
    }
    earlier.reverse();
    Ok(earlier)
}

/// Cases with the time at which each began to drain.
fn select<P: rusqlite::ToSql>(
    conn: &Connection,
    which: &str,
    with: P,
) -> Result<Vec<(Case, Option<Time>)>, StoreError> {
    let statement =
        format!("SELECT id, node, phase, revision, drained_at, closed_at, doc, seal FROM cases {which}");
    let rows = || -> rusqlite::Result<Vec<(CaseRow, Option<Seal>)>> {
        conn.prepare_cached(&statement)?
            .query_map([with], |row| {
                let case = CaseRow {
                    id: row.get(0)?,
                    node: row.get(1)?,
                    phase: row.get(2)?,
                    revision: row.get(3)?,
                    drained_at: row.get(4)?,
                    closed_at: row.get(5)?,
                    doc: row.get(6)?,
                };
                Ok((case, row.get(7)?))
            })?
            .collect()
    };
    let read = |(row, seal): (CaseRow, Option<Seal>)| row.read(seal.as_ref().map(|seal| &seal[..]));
    rows().map_err(sql("reading the cases"))?.into_iter().map(read).collect()
}
