//! Rows become what a decision needs: all of it asked at once, in one snapshot and one round trip. A document that does not
//! parse, fails its proofs or contradicts its row stops the load and is named: what pitlane owes stands in it, so it is never
//! skipped.

use std::collections::BTreeSet;

use serde::Deserialize;
use tokio_postgres::Row;

use super::super::documents::{MEMORY, from_json, instant, stamp};
use super::ask::{Ask, Columns as _};
use super::cases;
use super::commit::next_case;
use super::conn::{Conn, Failure, READ};
use super::meta::{self, Meta};
use super::{inbox, notices, prune};
use crate::model::case::{Case, Phase};
use crate::model::fault::FaultKey;
use crate::model::ids::{CaseId, ClusterName};
use crate::model::rates::Rates;
use crate::model::state::{EARLIER_COUNT_MAX, EARLIER_MAX, Earlier, Past, State};
use crate::model::step::Ledger;
use crate::model::time::Time;

/// What is remembered, and whether something of it is to be forgotten.
pub(super) struct Loaded {
    pub(super) state: State,
    pub(super) prune: bool,
}

pub(super) async fn state(conn: &Conn, cluster: &ClusterName, now: Time) -> Result<Loaded, Failure> {
    let answers = conn.whole(READ, asks(cluster, now)).await?;
    let mut answers = answers.iter().map(Vec::as_slice);
    let mut next = || answers.next().unwrap_or_default();
    let meta = Meta::read(next())?;
    let state = State {
        paused: meta.get("pause").map(|doc| from_json("the pause", doc)).transpose()?,
        next_case: next_case(&meta)?,
        cases: read_cases(next())?.into_iter().map(|(case, _)| case).collect(),
        past: past(next())?,
        earlier: earlier(next())?,
        requests: inbox::unanswered(next())?,
        ledger: cases::ledger(next())?,
        told: notices::told(next())?,
        silent: notices::silent(next())?,
        rates: Rates::default(),
    };
    Ok(Loaded { state, prune: prune::due(&meta, now) })
}

/// In the order in which they are read.
fn asks(cluster: &ClusterName, now: Time) -> Vec<Ask> {
    let of = |statement: &'static str| Ask::new(statement).text(&cluster.0);
    let memory = stamp(now.saturating_sub(MEMORY).unwrap_or(Time::MIN));
    let long = jiff::SignedDuration::try_from(EARLIER_MAX.0).unwrap_or(jiff::SignedDuration::MAX);
    let long = stamp(now.saturating_sub(long).unwrap_or(Time::MIN));
    vec![
        meta::ask(cluster),
        of("SELECT id, node, phase, revision, drained_at, closed_at, doc, seal FROM cases
            WHERE cluster = $1 AND closed_at IS NULL ORDER BY id"),
        of("SELECT id, node, phase, revision, drained_at, closed_at, doc, seal FROM cases
            WHERE cluster = $1 AND closed_at >= $2 ORDER BY closed_at, id")
        .text(&memory),
        // Only of machines with an open case: a quiet turn reads none.
        of("SELECT id, node, closed_at, drained_at, doc FROM cases
            WHERE cluster = $1 AND closed_at >= $2
              AND node IN (SELECT node FROM cases WHERE cluster = $1 AND closed_at IS NULL)
            ORDER BY closed_at DESC, id DESC LIMIT $3")
        .text(&long)
        .limit(EARLIER_COUNT_MAX),
        inbox::ask_unanswered(cluster),
        of("SELECT steps.id, tries, at, outcome, case_id, steps.seal FROM steps
            JOIN cases ON cases.cluster = steps.cluster AND cases.id = case_id
            WHERE steps.cluster = $1 AND closed_at IS NULL"),
        notices::ask_told(cluster, &memory),
        notices::ask_silent(cluster),
    ]
}

/// Newest first, open ones before closed ones.
pub(super) async fn cases(conn: &Conn, cluster: &ClusterName, limit: usize) -> Result<Vec<Case>, Failure> {
    let ask = Ask::new(
        "SELECT id, node, phase, revision, drained_at, closed_at, doc, seal FROM cases WHERE cluster = $1
         ORDER BY closed_at IS NOT NULL, id DESC LIMIT $2",
    );
    let answers = conn.whole(READ, vec![ask.text(&cluster.0).limit(limit)]).await?;
    Ok(read_cases(&answers[0])?.into_iter().map(|(case, _)| case).collect())
}

pub(super) async fn case(conn: &Conn, cluster: &ClusterName, id: CaseId) -> Result<Option<Case>, Failure> {
    // The database counts no further, and so there is no such case.
    let Ok(id) = i64::try_from(id.0) else { return Ok(None) };
    let ask = Ask::new(
        "SELECT id, node, phase, revision, drained_at, closed_at, doc, seal FROM cases WHERE cluster = $1 AND id = $2",
    );
    let answers = conn.whole(READ, vec![ask.text(&cluster.0).int(id)]).await?;
    Ok(read_cases(&answers[0])?.pop().map(|(case, _)| case))
}

/// Steps of one case.
pub(super) async fn ledger(conn: &Conn, cluster: &ClusterName, case: CaseId) -> Result<Ledger, Failure> {
    let ask = Ask::new(
        "SELECT id, tries, at, outcome, case_id, seal FROM steps WHERE cluster = $1 AND case_id = $2",
    );
    let answers = conn.whole(READ, vec![ask.text(&cluster.0).count(case.0)]).await?;
    cases::ledger(&answers[0])
}

pub(super) fn read_cases(rows: &[Row]) -> Result<Vec<(Case, Option<Time>)>, Failure> {
    rows.iter().map(cases::read).collect()
}

fn past(rows: &[Row]) -> Result<Vec<Past>, Failure> {
    let mut past = Vec::with_capacity(rows.len());
    for (case, drained_at) in read_cases(rows)? {
        if let Phase::Closed { at, .. } = case.phase {
            let Case { id, node, faults, .. } = case;
            past.push(Past { case: id, node, faults, closed_at: at, drained_at });
        }
    }
    Ok(past)
}

/// What a machine's history needs of a closed case. Nothing is owed there, so the rest of the document may be anything.
#[derive(Deserialize)]
struct History {
    /// A document without them was not written so: how often a machine failed is counted from this.
    faults: BTreeSet<FaultKey>,
    phase: Over,
    origin: Origin,
}

#[derive(Deserialize)]
struct Over {
    ending: Option<Ending>,
}

#[derive(Deserialize)]
struct Ending {
    ending: Option<String>,
}

#[derive(Deserialize)]
struct Origin {
    origin: Option<String>,
}

fn earlier(rows: &[Row]) -> Result<Vec<Earlier>, Failure> {
    let mut earlier = Vec::with_capacity(rows.len());
    for row in rows {
        let (id, node) = (row.count(0)?, row.text(1)?);
        let what = format!("case {id} ({node})");
        let History { faults, phase, origin } = from_json(&what, &row.text(4)?)?;
        let ending = phase.ending.and_then(|ending| ending.ending);
        earlier.push(Earlier {
            case: CaseId(id),
            node: node.as_str().into(),
            faults,
            closed_at: instant(&what, &row.text(2)?)?,
            drained_at: row.maybe_text(3)?.map(|text| instant(&what, &text)).transpose()?,
            served: matches!(ending.as_deref(), Some("returned" | "served")),
            by_alarm: origin.origin.as_deref() == Some("alarm"),
        });
    }
    earlier.reverse();
    Ok(earlier)
}
