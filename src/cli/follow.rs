//! `--wait`: the story as it is written, and a bar for the guests on their way.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::Say;
use super::client::Client;
use super::exit::{Ended, Exit, Stop};
use super::text::clock;
use crate::model::case::{Case, Ending, Phase, PhaseName};
use crate::model::ids::CaseId;
use crate::model::shown::CaseView;
use crate::model::time::Period;
use crate::model::wait::Wait;

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The service may be restarted while we wait; what was asked is not lost.
const BLIND_MAX: Duration = Duration::from_secs(120);

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The node is empty and the technician's.
    Drained,
    /// Nothing is owed any more.
    Closed,
}

/// Shows the case until the goal, its end, or the time is over.
pub async fn follow(client: &Client, id: CaseId, goal: Goal, until: &Until, say: Say) -> Ended {
    let mut seen_at = Instant::now();
    let mut after = 0;
    let mut told: Option<String> = None;
    let bar = Bar::new(say);
    loop {
        let path = format!("/api/v1/cases/{id}?after={after}");
        match until.during(client.get::<CaseView>(&path)).await {
            Ok(view) => {
                seen_at = Instant::now();
                for line in &view.story {
                    after = line.seq;
                    bar.line(
                        &format!("{}  {}", clock(line.at), line.text),
                        || json!({"event": "story", "line": line}),
                    );
                }
                bar.show(&view);
                if let Some(end) = ended(&view.case, goal) {
                    bar.close();
                    return end;
                }
                let hint = approval(&view.case);
                if hint.is_some() && hint != told {
                    say.hint(hint.as_deref().unwrap_or_default());
                }
                told = hint;
            }
            Err(stop) if until.over() && stop.exit == Exit::Unseen => {}
            Err(stop) if stop.exit == Exit::Unseen && seen_at.elapsed() < BLIND_MAX => {}
            Err(stop) => return Err(stop),
        }
        if until.over() {
            bar.close();
            let text = format!("case {id} is not there after {}; it goes on without us", until.timeout);
            return Err(Stop::new(Exit::Waiting, text));
        }
        tokio::time::sleep(LOOK_EVERY.min(until.left())).await;
    }
}

/// When the waiting is over, counted from the beginning of the command: a slow look or an answer that does not come
/// are part of it.
#[derive(Clone, Copy, Debug)]
pub struct Until {
    pub timeout: Period,
    deadline: Option<Instant>,
}

impl Until {
    pub fn after(timeout: Period) -> Self {
        Self { timeout, deadline: Instant::now().checked_add(timeout.0) }
    }

    pub fn over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    pub fn left(&self) -> Duration {
        self.deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Asks, but no longer than there is time.
    pub async fn during<T>(&self, asking: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
        match tokio::time::timeout(self.left(), asking).await {
            Ok(answer) => answer,
            Err(_) => Err(Stop::new(Exit::Unseen, format!("no answer within {}", self.timeout))),
        }
    }
}

/// Whether and how the waiting ends.
fn ended(case: &Case, goal: Goal) -> Option<Ended> {
    let failed = |text: String| Some(Err(Stop::new(Exit::Failed, text)));
    match (&case.phase, goal) {
        (Phase::HandedOver { .. } | Phase::Proving { .. }, Goal::Drained) => Some(Ok(Exit::Done)),
        (Phase::Stranded { .. }, _) => failed(format!("{} died with guests aboard", case.node)),
        (Phase::GivingBack { why: Ending::Returned, .. }, Goal::Drained) => Some(Ok(Exit::Done)),
        (Phase::GivingBack { why, .. }, Goal::Drained) => failed(format!("not drained: {why}")),
        (Phase::Closed { ending: Ending::Returned | Ending::Served, .. }, _) => Some(Ok(Exit::Done)),
        (Phase::Closed { ending, .. }, Goal::Drained) => failed(format!("not drained: {ending}")),
        (Phase::Closed { .. }, Goal::Closed) => Some(Ok(Exit::Done)),
        // Nothing that a person approves would change it: to wait on would be to wait for ever.
        (_, Goal::Drained) if case.wait == Some(Wait::ObserveOnly) => {
            let remedy = Wait::ObserveOnly.remedy_for(case.id);
            let text = format!("case {} is open and waits: {}; {remedy}", case.id, Wait::ObserveOnly);
            Some(Err(Stop::new(Exit::Waiting, text)))
        }
        _ => None,
    }
}

/// What somebody has to type for the case to go on.
fn approval(case: &Case) -> Option<String> {
    match &case.wait {
        Some(Wait::Approval { hash }) => Some(format!(
            "Waits for a person: look with `pitlane plan {}`, agree with `pitlane approve {} --plan {}`.",
            case.node,
            case.id,
            hash.short()
        )),
        Some(wait @ Wait::SecondPerson { .. }) => {
            Some(format!("Waits: {wait}. {}", wait.remedy_for(case.id)))
        }
        Some(wait @ (Wait::Verdict { .. } | Wait::NotInPlaceNow { .. } | Wait::Paused { .. })) => {
            Some(format!("Waits: {wait}. {}", wait.remedy_for(case.id)))
        }
        _ => None,
    }
}

/// A bar on a terminal; plain lines elsewhere.
struct Bar {
    bar: Option<ProgressBar>,
    say: Say,
}

impl Bar {
    fn new(say: Say) -> Self {
        let shown = !say.json && std::io::stderr().is_terminal();
        let style = ProgressStyle::with_template("{msg:12} [{bar:40}] {pos}/{len} guests")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { bar: shown.then(|| ProgressBar::new(0).with_style(style)), say }
    }

    fn line(&self, text: &str, json: impl FnOnce() -> serde_json::Value) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => self.say.event(text, json),
        }
    }

    fn show(&self, view: &CaseView) {
        let (Some(bar), Some(progress)) = (&self.bar, view.progress) else { return };
        bar.set_length(progress.all as u64);
        bar.set_position(progress.done as u64);
        bar.set_message(if view.case.phase.name() == PhaseName::Draining { "leaving" } else { "going home" });
    }

    fn close(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
