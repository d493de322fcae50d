//! Reports: one case in full, or all of a span of time in a line each. Made from the journal when they are asked for.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use super::Shared;
use super::api::LIST_MAX;
use super::error::Refusal;
use crate::model::case::{Case, Phase};
use crate::model::ids::CaseId;
use crate::model::note::Note;
use crate::model::report::{Report, Reports, Summary};
use crate::model::time::{Period, age};

/// The journal of one case, in pages; a story of more lines than this is told in part.
const REPORT_PAGES_MAX: usize = 20;
/// Where nobody names a span.
const SPAN_DEFAULT: &str = "30d";
/// Reports in one answer: each reads a story.
const REPORTS_MAX: usize = 200;

#[derive(Deserialize)]
pub struct Span {
    since: Option<String>,
}

pub async fn report(State(shared): State<Shared>, Path(id): Path<u64>) -> Result<Json<Report>, Refusal> {
    let id = CaseId(id);
    let case = shared.archive.case(id).await?.ok_or_else(|| Refusal::Missing(format!("case {id}")))?;
    of_case(&shared, &case).await.map(Json)
}

/// Of every case that was open at some moment of the span that ends now.
pub async fn reports(
    State(shared): State<Shared>,
    Query(span): Query<Span>,
) -> Result<Json<Reports>, Refusal> {
    let since: Period = span
        .since
        .as_deref()
        .unwrap_or(SPAN_DEFAULT)
        .parse()
        .map_err(|why| Refusal::Malformed(format!("since: {why}; write a span of time such as 30d")))?;
    let now = shared.clock.now();
    let within = |case: &Case| match &case.phase {
        Phase::Closed { at, .. } => age(now, *at) <= since.0,
        _ => true,
    };
    let all = shared.archive.cases(LIST_MAX).await?;
    let wanted: Vec<&Case> = all.iter().filter(|case| within(case)).collect();
    let mut cases = Vec::new();
    for case in wanted.iter().take(REPORTS_MAX) {
        cases.push(Summary::of(&of_case(&shared, case).await?, now));
    }
    let cut = wanted.len() > REPORTS_MAX || wanted.len() == LIST_MAX;
    let span = jiff::SignedDuration::try_from(since.0).unwrap_or(jiff::SignedDuration::MAX);
    let since = now.saturating_sub(span).unwrap_or(crate::model::time::Time::MIN);
    Ok(Json(Reports { since, until: now, cases, cut }))
}

async fn of_case(shared: &Shared, case: &Case) -> Result<Report, Refusal> {
    let mut notes: Vec<Note> = Vec::new();
    let mut after = 0;
    for _ in 0..REPORT_PAGES_MAX {
        let page = shared.archive.journal(Some(case.id), after, LIST_MAX).await?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        let whole = page.len() < LIST_MAX;
        notes.extend(page.into_iter().map(|(_, note)| note));
        if whole {
            break;
        }
    }
    Ok(Report::of(case.id, case.node.clone(), &notes, shared.clock.now()))
}
