//! A decision becomes rows: cases, planned steps, notes, replies and pause, all in the writer's one transaction.
//!
//! A step is in the ledger as owed before anybody takes it. Whatever does not fit what is stored is a conflict, and
//! then nothing of the decision stays.

use rusqlite::{Connection, OptionalExtension, params};

use super::case_row::CaseRow;
use super::deciding::drain_began;
use super::error::{StoreError, sql};
use super::rows::{from_json, meta, set_meta, stamp, to_json};
use super::seal::of_step;
use super::{board, journal, notices};
use crate::model::case::Case;
use crate::model::ids::{CaseId, RequestId};
use crate::model::request::{Reply, Request};
use crate::model::state::Decision;
use crate::model::step::{Outcome, Step, StepId};
use crate::model::time::Time;

pub(super) fn write(conn: &Connection, decision: &Decision, at: Time) -> Result<(), StoreError> {
    for case in &decision.cases {
        put_case(conn, case, drain_began(case, &decision.notes))?;
    }
    for step in &decision.steps {
        owe(conn, step, at)?;
    }
    journal::append(conn, &decision.notes)?;
    notices::write(conn, &decision.notices)?;
    for (id, reply) in &decision.replies {
        answer(conn, id, reply, at)?;
    }
    match &decision.pause {
        None => Ok(()),
        Some(None) => set_meta(conn, "pause", None),
        Some(Some(pause)) => set_meta(conn, "pause", Some(&to_json("the pause", pause)?)),
    }
}

/// What became of a step that was planned.
pub(super) fn record(conn: &Connection, id: &StepId, at: Time, outcome: &Outcome) -> Result<(), StoreError> {
    let doc = to_json(&format!("step {id}"), outcome)?;
    let known: Option<(u64, u32)> = conn
        .prepare_cached("SELECT case_id, tries FROM steps WHERE id = ?1")
        .and_then(|mut ask| ask.query_row([&id.0], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .map_err(sql("looking a step up"))?;
    let (case, tries) = known.ok_or_else(|| StoreError::NeverPlanned(id.clone()))?;
    put_step(conn, id, CaseId(case), tries, at, &doc)
}

fn put_step(
    conn: &Connection,
    id: &StepId,
    case: CaseId,
    tries: u32,
    at: Time,
    outcome: &str,
) -> Result<(), StoreError> {
    let at = stamp(at);
    let sealed = of_step(&id.0, case.0, tries, &at, outcome);
    conn.prepare_cached(
        "INSERT INTO steps (id, case_id, tries, at, outcome, seal) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET tries = excluded.tries, at = excluded.at, outcome = excluded.outcome,
                                        case_id = excluded.case_id, seal = excluded.seal",
    )
    .and_then(|mut put| put.execute(params![id.0, case.0, tries, at, outcome, sealed]))
    .map(drop)
    .map_err(sql("writing a step"))
}

/// Compare-and-swap on the revision; revision 0 is a new case.
fn put_case(conn: &Connection, case: &Case, began: Option<Time>) -> Result<(), StoreError> {
    let row = CaseRow::of(case, drain_noted(conn, case.id)?, began)?;
    let sealed = row.seal();
    let CaseRow { id, node, phase, revision, drained_at, closed_at, doc } = &row;
    let row = params![id, node, phase, revision, drained_at, closed_at, doc, case.revision, sealed];
    let statement = if case.revision == 0 {
        "INSERT INTO cases (id, node, phase, revision, drained_at, closed_at, doc, seal)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?9 WHERE ?8 = 0
         ON CONFLICT (id) DO NOTHING"
    } else {
        "UPDATE cases SET node = ?2, phase = ?3, revision = ?4, drained_at = ?5, closed_at = ?6, doc = ?7,
                          seal = ?9
         WHERE id = ?1 AND revision = ?8"
    };
    let changed =
        conn.prepare_cached(statement).and_then(|mut put| put.execute(row)).map_err(sql("writing a case"))?;
    match changed {
        0 => Err(StoreError::Conflict),
        _ if case.revision == 0 => count_up(conn, case.id),
        _ => Ok(()),
    }
}

/// The first time counts.
fn drain_noted(conn: &Connection, CaseId(id): CaseId) -> Result<Option<String>, StoreError> {
    conn.prepare_cached("SELECT drained_at FROM cases WHERE id = ?1")
        .and_then(|mut ask| ask.query_row([id], |row| row.get(0)).optional())
        .map(Option::flatten)
        .map_err(sql("looking a case up"))
}

fn count_up(conn: &Connection, CaseId(id): CaseId) -> Result<(), StoreError> {
    let next = next_case(conn)?.max(id.saturating_add(1));
    set_meta(conn, "next_case", Some(&next.to_string()))
}

/// The number that the next case gets; numbers begin at 1.
pub(super) fn next_case(conn: &Connection) -> Result<u64, StoreError> {
    match meta(conn, "next_case")? {
        Some(text) => text.parse().map_err(|e| StoreError::document("the next case's number", e)),
        None => Ok(1),
    }
}

fn owe(conn: &Connection, step: &Step, at: Time) -> Result<(), StoreError> {
    let owed = to_json("an owed step", &Outcome::Owed)?;
    let tried: Option<u32> = conn
        .prepare_cached("SELECT tries FROM steps WHERE id = ?1")
        .and_then(|mut ask| ask.query_row([&step.id.0], |row| row.get(0)).optional())
        .map_err(sql("looking a step up"))?;
    put_step(conn, &step.id, step.case, tried.unwrap_or(0).saturating_add(1), at, &owed)
}

/// A request is answered once.
fn answer(conn: &Connection, id: &RequestId, reply: &Reply, at: Time) -> Result<(), StoreError> {
    let said = to_json(&format!("the reply to request {id}"), reply)?;
    let doc: Option<String> = conn
        .prepare_cached(
            "UPDATE requests SET reply = ?2, replied_at = ?3, seal = NULL WHERE id = ?1 AND reply IS NULL
             RETURNING doc",
        )
        .and_then(|mut put| put.query_row(params![id.0, said, stamp(at)], |row| row.get(0)).optional())
        .map_err(sql("answering a request"))?;
    let request: Request = from_json(&format!("request {id}"), &doc.ok_or(StoreError::Conflict)?)?;
    if matches!(reply, Reply::Accepted { .. }) {
        board::claimed(conn, &request)?;
    }
    Ok(())
}
