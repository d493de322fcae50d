//! What can be read: the last turn, the archive, and one fresh judgement at a time.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use super::Shared;
use super::error::Refusal;
use crate::model::case::Case;
use crate::model::ids::{CaseId, NodeName};
use crate::model::seen::Trouble;
use crate::model::shown::{
    CaseLine, CaseView, Judged, OwedView, Progress, Recorded, Shown, Status, StoryLine,
};
use crate::model::time::Time;

/// A look has its own deadlines below this one.
const JUDGE_WITHIN: Duration = Duration::from_secs(15);

/// Cases and journal lines in one answer.
const LIST_MAX: usize = 1_000;

#[derive(Deserialize)]
pub struct Page {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

impl Page {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(LIST_MAX).min(LIST_MAX)
    }
}

type Answer<T> = Result<Json<T>, Refusal>;

pub async fn status(State(shared): State<Shared>) -> Json<Status> {
    Json(status_of(&shared))
}

pub fn status_of(shared: &Shared) -> Status {
    let shown = shared.shown.borrow().clone();
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mode: shared.rules.mode,
        ready: shown.ready(shared.clock.now()),
        turn_at: (shown.turn_at != Time::MIN).then_some(shown.turn_at),
        pace: shown.pace,
        paused: shown.state.paused.clone(),
        kill_file: shown.observed.kill_file,
        cases: shown.state.cases.iter().map(CaseLine::from).collect(),
        faults: shown.show.faults.clone(),
        unplaced: shown.show.unplaced.clone(),
    }
}

pub async fn verdict(State(shared): State<Shared>, Path(node): Path<String>) -> Answer<Judged> {
    judge(&shared, &node).await.map(Json)
}

/// A fresh look and judgement, within 15 s.
pub async fn judge(shared: &Shared, node: &str) -> Result<Judged, Refusal> {
    let node = node_name(node)?;
    let _turn = shared.looks.try_acquire().map_err(|_| Refusal::Busy)?;
    match tokio::time::timeout(JUDGE_WITHIN, shared.looker.judge(&node)).await {
        Ok(judged) => Ok(judged?),
        Err(_) => Err(Trouble::TooSlow("the look did not end within 15 s; unknown means no".into()).into()),
    }
}

pub fn node_name(text: &str) -> Result<NodeName, Refusal> {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if (1..=63).contains(&text.len()) && text.chars().all(fine) {
        return Ok(NodeName::from(text));
    }
    Err(Refusal::Malformed("that is no node's name; write it as Proxmox shows it, such as pve1".into()))
}

pub async fn cases(State(shared): State<Shared>, Query(page): Query<Page>) -> Answer<Vec<CaseLine>> {
    let cases = shared.archive.cases(page.limit()).await?;
    Ok(Json(cases.iter().map(CaseLine::from).collect()))
}

pub async fn case(
    State(shared): State<Shared>,
    Path(id): Path<u64>,
    Query(page): Query<Page>,
) -> Answer<CaseView> {
    view(&shared, CaseId(id), &page).await.map(Json)
}

/// One case with its story.
pub async fn view(shared: &Shared, id: CaseId, page: &Page) -> Result<CaseView, Refusal> {
    let case = shared.archive.case(id).await?.ok_or_else(|| Refusal::Missing(format!("case {id}")))?;
    let story = shared.archive.journal(Some(id), page.after, page.limit()).await?;
    let now = shared.clock.now();
    Ok(CaseView {
        progress: Progress::of(&case),
        safe_to_power_off: safe(&shared.shown.borrow(), &case, now),
        safe_to_pull: shared.shown.borrow().safe_to_pull(id, now).filter(|_| case.open()),
        story: story.into_iter().map(StoryLine::from).collect(),
        case,
    })
}

/// A closed case's machine is in service: nothing was judged, whatever the last turn knew.
fn safe(shown: &Shown, case: &Case, now: Time) -> Result<Time, String> {
    if case.open() { shown.safe_to_power_off(case.id, now) } else { Err("the case is closed".to_owned()) }
}

impl Page {
    pub fn all() -> Self {
        Self { after: 0, limit: None }
    }
}

pub async fn journal(State(shared): State<Shared>, Query(page): Query<Page>) -> Answer<Vec<StoryLine>> {
    let lines = shared.archive.journal(None, page.after, page.limit()).await?;
    Ok(Json(lines.into_iter().map(StoryLine::from).collect()))
}

/// From the archive, not from the last turn: what is held must be told even when the loop is stuck.
pub async fn owed(State(shared): State<Shared>) -> Answer<Vec<OwedView>> {
    let cases = shared.archive.cases(LIST_MAX).await?;
    Ok(Json(cases.iter().filter_map(OwedView::of).collect()))
}

pub async fn observed(State(shared): State<Shared>) -> Answer<Recorded> {
    let shown = shared.shown.borrow().clone();
    if shown.turn_at == Time::MIN {
        return Err(Refusal::Missing("turn yet; try again in a few seconds".into()));
    }
    Ok(Json(Recorded {
        state: shown.state.clone(),
        observed: shown.observed.clone(),
        rules: (*shared.rules).clone(),
    }))
}
