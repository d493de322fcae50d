//! A decision becomes rows, in one transaction that holds the cluster's lease: nobody can take the cluster before it has ended,
//! and where somebody has, nothing of it stays.
//!
//! Two round trips: what is known of that which is to be written, and the writing.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::super::deciding::drain_began;
use super::super::documents::{from_json, stamp, to_json};
use super::super::error::StoreError;
use super::ask::{Ask, Columns as _};
use super::cases::{self, Changes, StepRow, put_steps};
use super::conn::{Conn, Failure};
use super::lease::begin_fenced;
use super::meta::{self, Meta};
use super::{board, journal, notices};
use crate::model::ids::{CaseId, ClusterName, RequestId};
use crate::model::request::{Reply, Request};
use crate::model::state::Decision;
use crate::model::step::{Outcome, Step, StepId};
use crate::model::time::Time;
use crate::ports::Fence;

pub(super) async fn write(
    conn: &Conn,
    cluster: &ClusterName,
    fence: &Fence,
    decision: &Decision,
    at: Time,
) -> Result<(), Failure> {
    let asks = vec![
        meta::ask(cluster),
        cases::ask_known(cluster, &decision.cases),
        ask_tries(cluster, decision.steps.iter().map(|step| &step.id)),
        Ask::new("SELECT id, doc FROM requests WHERE cluster = $1 AND id = ANY($2) AND reply IS NULL")
            .text(&cluster.0)
            .texts(decision.replies.keys().map(|id| id.0.as_str())),
        notices::ask_known(cluster, &decision.notices),
        notices::ask_last(cluster),
    ];
    let answers = begin_fenced(conn, cluster, fence, asks).await?;
    let mut meta = Meta::read(&answers[0])?;
    let mut asks = put_cases(cluster, decision, &answers[1], &mut meta)?;
    if !decision.steps.is_empty() {
        asks.push(owe(cluster, &decision.steps, &answers[2], at)?);
    }
    asks.extend(journal::append(cluster, &mut meta, &decision.notes)?);
    asks.extend(notices::write(cluster, &decision.notices, &answers[4], &answers[5])?);
    asks.extend(answer(cluster, &decision.replies, &answers[3], at)?);
    if let Some(pause) = &decision.pause {
        meta.set("pause", pause.as_ref().map(|pause| to_json("the pause", pause)).transpose()?);
    }
    asks.extend(meta.write(cluster));
    conn.end(asks).await.map(drop)
}

/// What became of a step that was planned.
pub(super) async fn record(
    conn: &Conn,
    cluster: &ClusterName,
    fence: &Fence,
    id: &StepId,
    at: Time,
    outcome: &Outcome,
) -> Result<(), Failure> {
    let answers = begin_fenced(conn, cluster, fence, vec![ask_tries(cluster, [id])]).await?;
    let Some(known) = answers[0].first() else { return Err(StoreError::NeverPlanned(id.clone()).into()) };
    let row = StepRow::of(id, CaseId(known.count(2)?), known.count(1)?, at, outcome)?;
    conn.end(vec![put_steps(cluster, &[row])]).await.map(drop)
}

fn ask_tries<'a>(cluster: &ClusterName, ids: impl IntoIterator<Item = &'a StepId>) -> Ask {
    Ask::new("SELECT id, tries, case_id FROM steps WHERE cluster = $1 AND id = ANY($2)")
        .text(&cluster.0)
        .texts(ids.into_iter().map(|id| id.0.as_str()))
}

fn put_cases(
    cluster: &ClusterName,
    decision: &Decision,
    known: &[Row],
    meta: &mut Meta,
) -> Result<Vec<Ask>, Failure> {
    let (mut known, mut changes) = (cases::known(known)?, Changes::default());
    for case in &decision.cases {
        changes.change(&mut known, case, drain_began(case, &decision.notes))?;
        if case.revision == 0 {
            let next = next_case(meta)?.max(case.id.0.saturating_add(1));
            meta.set(NEXT_CASE, Some(next.to_string()));
        }
    }
    Ok(changes.write(cluster))
}

const NEXT_CASE: &str = "next_case";

/// The number that the next case of the cluster gets; numbers begin at 1.
pub(super) fn next_case(meta: &Meta) -> Result<u64, StoreError> {
    match meta.get(NEXT_CASE) {
        Some(text) => text.parse().map_err(|e| StoreError::document("the next case's number", e)),
        None => Ok(1),
    }
}

/// In the ledger before anybody takes it.
fn owe(cluster: &ClusterName, steps: &[Step], known: &[Row], at: Time) -> Result<Ask, Failure> {
    let mut tries = BTreeMap::new();
    for row in known {
        tries.insert(row.text(0)?, row.count(1)?);
    }
    let mut rows = BTreeMap::new();
    for step in steps {
        let tries = tries.entry(step.id.0.clone()).or_default();
        *tries += 1;
        rows.insert(&step.id.0, StepRow::of(&step.id, step.case, *tries, at, &Outcome::Owed)?);
    }
    Ok(put_steps(cluster, &rows.into_values().collect::<Vec<_>>()))
}

/// A request is answered once.
fn answer(
    cluster: &ClusterName,
    replies: &BTreeMap<RequestId, Reply>,
    waiting: &[Row],
    at: Time,
) -> Result<Vec<Ask>, Failure> {
    let mut docs = BTreeMap::new();
    for row in waiting {
        docs.insert(RequestId(row.text(0)?), row.text(1)?);
    }
    let mut asks = Vec::new();
    for (id, reply) in replies {
        let doc = docs.get(id).ok_or(StoreError::Conflict)?;
        let (said, request) = (
            to_json(&format!("the reply to request {id}"), reply)?,
            from_json::<Request>(&format!("request {id}"), doc)?,
        );
        asks.push(
            Ask::new(
                "UPDATE requests SET reply = $3, replied_at = $4, seal = NULL WHERE cluster = $1 AND id = $2",
            )
            .text(&cluster.0)
            .text(&id.0)
            .text(&said)
            .text(&stamp(at)),
        );
        if matches!(reply, Reply::Accepted { .. }) {
            asks.extend(board::claimed(cluster, &request));
        }
    }
    Ok(asks)
}
