//! Cases and their steps, as rows.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::super::case_row::CaseRow;
use super::super::documents::{from_json, instant, stamp, to_json};
use super::super::error::StoreError;
use super::super::seal::of_step;
use super::ask::{Ask, Columns as _};
use super::conn::Failure;
use crate::model::case::Case;
use crate::model::ids::{CaseId, ClusterName};
use crate::model::step::{Attempt, Ledger, Outcome, StepId};
use crate::model::time::Time;

/// From the columns id, node, phase, revision, drained_at, closed_at, doc and seal: the case, with the time at which it began to
/// drain.
pub(super) fn read(row: &Row) -> Result<(Case, Option<Time>), Failure> {
    let case = CaseRow {
        id: row.count(0)?,
        node: row.text(1)?,
        phase: row.text(2)?,
        revision: row.count(3)?,
        drained_at: row.maybe_text(4)?,
        closed_at: row.maybe_text(5)?,
        doc: row.text(6)?,
    };
    Ok(case.read(row.maybe_seal(7)?.as_deref())?)
}

/// What is known of a case before it is written.
#[derive(Clone)]
pub(super) struct Known {
    revision: u64,
    drained_at: Option<String>,
}

/// Held until the transaction ends.
pub(super) fn ask_known(cluster: &ClusterName, cases: &[Case]) -> Ask {
    Ask::new("SELECT id, revision, drained_at FROM cases WHERE cluster = $1 AND id = ANY($2) ORDER BY id FOR UPDATE")
        .text(&cluster.0)
        .counts(cases.iter().map(|case| case.id.0))
}

pub(super) fn known(rows: &[Row]) -> Result<BTreeMap<u64, Known>, Failure> {
    let one =
        |row: &Row| Ok((row.count(0)?, Known { revision: row.count(1)?, drained_at: row.maybe_text(2)? }));
    rows.iter().map(one).collect()
}

/// Rows that are to be made, and rows that are to be changed.
#[derive(Default)]
pub(super) struct Changes {
    new: BTreeMap<u64, CaseRow>,
    changed: BTreeMap<u64, CaseRow>,
}

impl Changes {
    /// Compare-and-swap on the revision; revision 0 is a new case.
    pub(super) fn change(
        &mut self,
        known: &mut BTreeMap<u64, Known>,
        case: &Case,
        began: Option<Time>,
    ) -> Result<(), StoreError> {
        let before = known.get(&case.id.0).cloned();
        if before.as_ref().map_or(0, |known| known.revision) != case.revision {
            return Err(StoreError::Conflict);
        }
        let row = CaseRow::of(case, before.as_ref().and_then(|known| known.drained_at.clone()), began)?;
        known.insert(row.id, Known { revision: row.revision, drained_at: row.drained_at.clone() });
        // One that this decision itself made is still to be made.
        let rows = match before.is_none() || self.new.contains_key(&row.id) {
            true => &mut self.new,
            false => &mut self.changed,
        };
        rows.insert(row.id, row);
        Ok(())
    }

    pub(super) fn write(&self, cluster: &ClusterName) -> Vec<Ask> {
        let insert = "INSERT INTO cases (cluster, id, node, phase, revision, drained_at, closed_at, doc, seal)
            SELECT $1, id, node, phase, revision, drained_at, closed_at, doc, seal
            FROM UNNEST($2, $3, $4, $5, $6, $7, $8, $9) AS it (id, node, phase, revision, drained_at, closed_at, doc, seal)";
        let update = "UPDATE cases SET node = it.node, phase = it.phase, revision = it.revision, drained_at = it.drained_at,
                closed_at = it.closed_at, doc = it.doc, seal = it.seal
            FROM UNNEST($2, $3, $4, $5, $6, $7, $8, $9) AS it (id, node, phase, revision, drained_at, closed_at, doc, seal)
            WHERE cases.cluster = $1 AND cases.id = it.id";
        [(insert, &self.new), (update, &self.changed)]
            .into_iter()
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(statement, rows)| columns(Ask::new(statement).text(&cluster.0), rows))
            .collect()
    }
}

fn columns(ask: Ask, rows: &BTreeMap<u64, CaseRow>) -> Ask {
    ask.counts(rows.keys().copied())
        .texts(rows.values().map(|row| row.node.as_str()))
        .texts(rows.values().map(|row| row.phase.as_str()))
        .counts(rows.values().map(|row| row.revision))
        .maybe_texts(rows.values().map(|row| row.drained_at.as_deref()))
        .maybe_texts(rows.values().map(|row| row.closed_at.as_deref()))
        .texts(rows.values().map(|row| row.doc.as_str()))
        .many_bytes(rows.values().map(|row| Some(row.seal().to_vec())))
}

/// One row of the ledger.
pub(super) struct StepRow {
    id: String,
    case: u64,
    tries: u64,
    at: String,
    outcome: String,
}

impl StepRow {
    pub(super) fn of(
        id: &StepId,
        case: CaseId,
        tries: u64,
        at: Time,
        outcome: &Outcome,
    ) -> Result<Self, StoreError> {
        let outcome = to_json(&format!("step {id}"), outcome)?;
        Ok(Self { id: id.0.clone(), case: case.0, tries, at: stamp(at), outcome })
    }

    fn seal(&self) -> [u8; 32] {
        of_step(&self.id, self.case, u32::try_from(self.tries).unwrap_or(u32::MAX), &self.at, &self.outcome)
    }
}

/// Each step once.
pub(super) fn put_steps(cluster: &ClusterName, rows: &[StepRow]) -> Ask {
    Ask::new(
        "INSERT INTO steps (cluster, id, case_id, tries, at, outcome, seal)
         SELECT $1, id, case_id, tries, at, outcome, seal
         FROM UNNEST($2, $3, $4, $5, $6, $7) AS it (id, case_id, tries, at, outcome, seal)
         ON CONFLICT (cluster, id) DO UPDATE SET tries = excluded.tries, at = excluded.at, outcome = excluded.outcome,
                                                 case_id = excluded.case_id, seal = excluded.seal",
    )
    .text(&cluster.0)
    .texts(rows.iter().map(|row| row.id.as_str()))
    .counts(rows.iter().map(|row| row.case))
    .counts(rows.iter().map(|row| row.tries))
    .texts(rows.iter().map(|row| row.at.as_str()))
    .texts(rows.iter().map(|row| row.outcome.as_str()))
    .many_bytes(rows.iter().map(|row| Some(row.seal().to_vec())))
}

/// From the columns id, tries, at, outcome, case_id and seal.
pub(super) fn ledger(rows: &[Row]) -> Result<Ledger, Failure> {
    let mut ledger = BTreeMap::new();
    for row in rows {
        let (id, at, outcome) = (row.text(0)?, row.text(2)?, row.text(3)?);
        let tries = u32::try_from(row.count(1)?).unwrap_or(u32::MAX);
        let what = format!("step {id}");
        let written = of_step(&id, row.count(4)?, tries, &at, &outcome);
        if row.maybe_seal(5)?.is_some_and(|seal| seal != written) {
            return Err(StoreError::spoilt(what).into());
        }
        let attempt = Attempt { tries, at: instant(&what, &at)?, outcome: from_json(&what, &outcome)? };
        ledger.insert(StepId(id), attempt);
    }
    Ok(ledger)
}
