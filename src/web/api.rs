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
    CaseLine, CaseView, Judged, OwedView, Progress, Recorded, Shown, Status, StoryLine, Unreadable,
};
use crate::model::time::Time;
use crate::model::wait::Wait;
use crate::model::wait_text::list;

/// A look has its own deadlines below this one.
const JUDGE_WITHIN: Duration = Duration::from_secs(15);

/// Cases and journal lines in one answer.
pub const LIST_MAX: usize = 1_000;

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

/// Each of them is shown with up to 4 KiB of its body.
const UNREADABLE_MAX: usize = 100;

type Answer<T> = Result<Json<T>, Refusal>;

pub async fn status(State(shared): State<Shared>) -> Json<Status> {
    Json(status_of(&shared).await)
}

pub async fn status_of(shared: &Shared) -> Status {
    let shown = shared.shown.borrow().clone();
    let now = shared.clock.now();
    let turns = shown.ready(now);
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now,
        mode: shared.rules.mode,
        ready: turns && shown.failing.is_none() && shown.blind().is_none(),
        turns,
        blind: shown.blind().map(|why| why.to_string()),
        failing: shown.failing.clone(),
        led_by: shown.led_by.clone(),
        not_asked: shown.not_asked.clone(),
        token: shown.token_rights(shared.needed_rights),
        // A store that does not answer must not hide what the last turn knew.
        unreadable: shared.archive.unreadable(0).await.ok().map(|all| all.count),
        config: shared.configuration.as_ref().map(|configuration| configuration.in_force()),
        turn_at: (shown.turn_at != Time::MIN).then_some(shown.turn_at),
        pace: shown.pace,
        paused: shown.state.paused.clone(),
        kill_file: shown.observed.kill_file,
        cases: shown.state.cases.iter().map(|case| CaseLine::of(case, now).boxed(&shown.show)).collect(),
        faults: shown.show.faults.clone(),
        unplaced: shown.show.unplaced.clone(),
        unplaced_more: shown.show.unplaced_more.values().sum(),
    }
}

pub async fn verdict(State(shared): State<Shared>, Path(node): Path<String>) -> Answer<Judged> {
    judge(&shared, &node).await.map(Json)
}

/// A fresh look and judgement, within 15 s.
pub async fn judge(shared: &Shared, node: &str) -> Result<Judged, Refusal> {
    let node = node_name(node)?;
    let _turn = shared.pace.look()?;
    match tokio::time::timeout(JUDGE_WITHIN, shared.looker.judge(&node)).await {
        Ok(judged) => member(judged?, shared),
        Err(_) => Err(Trouble::TooSlow("the look did not end within 15 s; unknown means no".into()).into()),
    }
}

/// A table of checks about a node that does not exist would only mislead.
fn member(judged: Judged, shared: &Shared) -> Result<Judged, Refusal> {
    let node = &judged.verdict.node;
    if !judged.verdict.reasons().iter().any(|why| matches!(why, Wait::NotAMember { .. })) {
        return Ok(judged);
    }
    let members = match shared.shown.borrow().observed.pve.first.any_age() {
        Some(opinion) => format!("; members are {}", list(opinion.nodes.keys())),
        None => String::new(),
    };
    Err(Refusal::Malformed(format!("{node} is not a member of this cluster{members}")))
}

pub async fn unreadable(State(shared): State<Shared>, Query(page): Query<Page>) -> Answer<Unreadable> {
    Ok(Json(shared.archive.unreadable(page.limit().min(UNREADABLE_MAX)).await?))
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
    let now = shared.clock.now();
    let shown = shared.shown.borrow().clone();
    Ok(Json(cases.iter().map(|case| CaseLine::of(case, now).boxed(&shown.show)).collect()))
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
        now,
        progress: Progress::of(&case),
        time_box: shared.shown.borrow().show.time_boxes.get(&id).copied().filter(|_| case.open()),
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
    if let Some(holder) = &shown.led_by {
        return Err(Refusal::Missing(format!(
            "look here: instance {holder} looks after the cluster; ask it"
        )));
    }
    if shown.turn_at == Time::MIN {
        return Err(Refusal::Missing("turn yet; try again in a few seconds".into()));
    }
    Ok(Json(Recorded {
        state: (*shown.state).clone(),
        observed: shown.observed.clone(),
        rules: (*shared.rules).clone(),
    }))
}
