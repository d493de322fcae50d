//! What the faces show: the last turn as it was, and the answers of the operators' API.
//!
//! Never an input to a decision. Everything here is a copy, and says when it was true.

mod clusters;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::case::{Case, PhaseName};
use super::fault::{Fault, Unplaced};
use super::give_back;
use super::ids::{CaseId, NodeName, RequestId};
use super::note::Note;
use super::observed::Observed;
use super::owed::Owed;
use super::plan::Plan;
use super::rates::Took;
use super::request::Reply;
use super::rights::TokenRights;
use super::rules::{Mode, Rules};
use super::seen::Trouble;
use super::state::{Pause, Show, State};
use super::time::{Period, Time, age};
use super::time_box::TimeBox;
use super::verdict::Verdict;

pub use clusters::ClusterLine;

/// A judgement older than this is not shown as "safe to power off".
pub const SAFE_FOR: Duration = Duration::from_secs(15);

/// A turn that wants to be followed at once still has to look; readiness allows each turn at least this.
const PACE_MIN: Duration = Duration::from_secs(10);

/// What the last turn knew, saw and judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    pub state: Arc<State>,
    pub observed: Observed,
    pub show: Show,
    /// When the turn ended.
    pub turn_at: Time,
    /// When the next one is due at the latest.
    pub pace: Period,
    /// Why the last try at a turn ended without a decision, if it did: our own store, as a rule.
    pub failing: Option<String>,
    /// Members that are known and not asked, with the reason.
    pub not_asked: BTreeMap<NodeName, String>,
    /// Another instance looks after the cluster: there was no turn here, and only what is stored is shown. `None`: this one does.
    pub led_by: Option<String>,
}

impl Shown {
    /// What is stored, of a cluster that another instance looks after.
    pub fn of_another(holder: String, state: State, at: Time, pace: Period) -> Self {
        Self { state: Arc::new(state), turn_at: at, pace, led_by: Some(holder), ..Self::nothing() }
    }

    /// What was found about our token at the last look that saw it.
    pub fn token_rights(&self, needed: &[(&str, &str)]) -> Option<TokenRights> {
        self.observed.pve.privileges.any_age().map(|held| TokenRights::of(held, needed))
    }

    /// Before the first turn: nothing is known, and nobody is ready.
    pub fn nothing() -> Self {
        Self {
            state: Arc::default(),
            observed: Observed::nothing(Time::MIN),
            show: Show::default(),
            turn_at: Time::MIN,
            pace: Period::secs(0),
            failing: None,
            not_asked: BTreeMap::new(),
            led_by: None,
        }
    }

    /// Why the cluster could not be seen by the last turn; `None` while it can be.
    pub fn blind(&self) -> Option<Trouble> {
        // Who does not look is not blind.
        if self.led_by.is_some() {
            return None;
        }
        self.observed.blind()
    }

    /// A turn ended within three times its pace: the loop lives.
    pub fn ready(&self, now: Time) -> bool {
        age(now, self.turn_at) <= self.pace.0.max(PACE_MIN) * 3
    }

    /// May this case's machine be switched off, by a judgement that is fresh now? `Err`: no, and why.
    ///
    /// # Errors
    /// The last judgement's reason, or that there is no fresh one.
    pub fn safe_to_power_off(&self, case: CaseId, now: Time) -> Result<Time, String> {
        match self.show.safe_to_power_off.get(&case) {
            Some(Ok(at)) if age(now, *at) <= SAFE_FOR && *at <= now => Ok(*at),
            Some(Ok(at)) => Err(format!("the last judgement is {} old", Period(age(now, *at)))),
            Some(Err(why)) => Err(why.clone()),
            None => Err(match &self.led_by {
                Some(holder) => format!("not judged here: instance {holder} looks after the cluster; ask it"),
                None => "not judged: the node is not handed over".to_owned(),
            }),
        }
    }
}

impl Shown {
    /// May the disks of this case be taken out, by a judgement that is fresh now? `None`: no disk is served.
    pub fn safe_to_pull(&self, case: CaseId, now: Time) -> Option<Result<Time, String>> {
        Some(match self.show.safe_to_pull.get(&case)? {
            Ok(at) if age(now, *at) <= SAFE_FOR && *at <= now => Ok(*at),
            Ok(at) => Err(format!("the last judgement is {} old", Period(age(now, *at)))),
            Err(why) => Err(why.clone()),
        })
    }
}

/// A node judged on request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    pub verdict: Verdict,
    /// What pitlane would do; `None` where no plan can be made.
    pub plan: Option<Plan>,
    /// The node's case serves disks in place and is not yet begun: the same about these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place: Option<Box<Judged>>,
}

/// `GET /api/v1/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    /// The service's clock: every age is counted by it, never by the asker's.
    pub now: Time,
    pub mode: Mode,
    /// The loop turns, its store works, and the last turn saw the cluster.
    pub ready: bool,
    /// The loop turns; what it saw is another matter.
    pub turns: bool,
    /// Why the last turn could not see the cluster. A blind service looks like a quiet one, so it says so.
    pub blind: Option<String>,
    /// Why the last try at a turn ended without a decision.
    pub failing: Option<String>,
    /// Another instance looks after the cluster; this one takes requests and alerts in, and shows what is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub led_by: Option<String>,
    /// Members that are known and not asked, with the reason.
    pub not_asked: BTreeMap<NodeName, String>,
    /// What our token at Proxmox lacks, and what it could destroy; `None`: that was not seen yet.
    pub token: Option<TokenRights>,
    /// Deliveries that nobody could read, kept for people; `None`: the store did not say.
    pub unreadable: Option<u64>,
    /// The configuration in force; `None` for an instance without a configuration file.
    pub config: Option<InForce>,
    /// `None` before the first turn.
    pub turn_at: Option<Time>,
    pub pace: Period,
    pub paused: Option<Pause>,
    pub kill_file: bool,
    pub cases: Vec<CaseLine>,
    pub faults: Vec<Fault>,
    pub unplaced: Vec<Unplaced>,
    /// So many more are not told one by one.
    #[serde(default)]
    pub unplaced_more: usize,
}

/// The configuration in force, and what became of the last try to replace it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// Since when it counts.
    pub since: Time,
    /// Read and right, and still without effect: these keys count from the next start on.
    pub needs_restart: Vec<String>,
    /// What the ticket system lacked when it was asked, as this configuration began to count: each with what to do. Work
    /// orders stand on the built-in board meanwhile.
    #[serde(default)]
    pub tickets_lack: Vec<String>,
    /// The last try to read it again found mistakes, so the one from before stays.
    pub refused: Option<RefusedConfig>,
}

/// A configuration that does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedConfig {
    pub at: Time,
    /// All of them, each `file:line:column: what to write instead`.
    pub mistakes: Vec<String>,
}

/// `GET /api/v1/alerts/unreadable`: deliveries that were kept for people because nobody could read them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// All that are kept.
    pub count: u64,
    pub newest: Vec<Unread>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    pub at: Time,
    pub why: String,
    /// Bytes of the whole body.
    pub size: u64,
    /// How the body begins; what is no text is shown as replacement characters.
    pub beginning: String,
}

/// A case in one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseLine {
    pub id: CaseId,
    pub node: NodeName,
    pub phase: PhaseName,
    pub since: Time,
    /// How long it has been in its phase, by the service's clock.
    pub age: Period,
    pub opened_at: Time,
    /// What it waits for, or how it ended.
    pub text: String,
    /// How long its drain was planned to take, and took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<Took>,
    /// While something is held: the time box, and the latest safe abort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_box: Option<TimeBox>,
}

impl CaseLine {
    pub fn of(case: &Case, now: Time) -> Self {
        let text = match (&case.phase, &case.wait) {
            (super::case::Phase::Closed { ending, .. }, _) => ending.to_string(),
            (_, Some(wait)) => wait.to_string(),
            (_, None) => String::new(),
        };
        Self {
            id: case.id,
            node: case.node.clone(),
            phase: case.phase.name(),
            since: case.phase.since(),
            age: Period::secs(age(now, case.phase.since()).as_secs()),
            opened_at: case.opened_at,
            text,
            took: case.took,
            time_box: None,
        }
    }

    /// With what the last turn judged of its time box.
    #[must_use]
    pub fn boxed(self, show: &Show) -> Self {
        Self { time_box: show.time_boxes.get(&self.id).copied(), ..self }
    }
}

/// `GET /api/v1/cases/ID`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseView {
    /// The service's clock: how old the judgement below is may not depend on the asker's.
    pub now: Time,
    pub case: Case,
    pub story: Vec<StoryLine>,
    /// Judged within the last 15 s; `Err`: no, and why.
    pub safe_to_power_off: Result<Time, String>,
    /// The same about the disks that are served in place; `None`: no disk is served.
    #[serde(default)]
    pub safe_to_pull: Option<Result<Time, String>>,
    /// Guests of the plan that were seen to have left, and how many there are; while it drains.
    pub progress: Option<Progress>,
    /// While something is held, as the last turn judged it.
    #[serde(default)]
    pub time_box: Option<TimeBox>,
}

/// How far a drain or a return is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub done: usize,
    pub all: usize,
}

impl Progress {
    /// Guests that have left while the node drains, guests that are home while everything goes back.
    pub fn of(case: &Case) -> Option<Self> {
        use super::owed::Whereabouts;
        let done: fn(&Whereabouts) -> bool = match case.phase.name() {
            PhaseName::Draining => |at| !matches!(at, Whereabouts::Aboard | Whereabouts::Leaving { .. }),
            PhaseName::GivingBack => |at| matches!(at, Whereabouts::Home | Whereabouts::Stays { .. }),
            _ => return None,
        };
        let guests = &case.owed.guests;
        Some(Self { done: guests.values().filter(|debt| done(&debt.at)).count(), all: guests.len() })
    }
}

/// One line of the journal, with its words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoryLine {
    /// The journal's sequence number.
    pub seq: u64,
    pub at: Time,
    pub text: String,
    pub note: Note,
}

impl From<(u64, Note)> for StoryLine {
    fn from((seq, note): (u64, Note)) -> Self {
        Self { seq, at: note.at, text: note.what.to_string(), note }
    }
}

/// `202 Accepted`: the request is stored; the next turn answers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub request: RequestId,
}

/// `GET /api/v1/requests/ID`. `reply` is `None` while nobody has decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    pub request: RequestId,
    pub reply: Option<Reply>,
}

/// What one case owes, and the plain shell that gives it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwedView {
    pub case: CaseId,
    pub node: NodeName,
    pub owed: Owed,
    pub shell: Vec<String>,
}

impl OwedView {
    /// `None`: it owes nothing.
    pub fn of(case: &Case) -> Option<Self> {
        (!case.owed.nothing()).then(|| Self {
            case: case.id,
            node: case.node.clone(),
            owed: case.owed.clone(),
            shell: give_back::shell(&case.node, &case.owed),
        })
    }
}

/// A turn to be decided again: `GET /api/v1/observed`, and the file of `pitlane explain`. It is a bug report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    pub state: State,
    pub observed: Observed,
    pub rules: Rules,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::after;

    fn noon() -> Time {
        "2026-01-01T12:00:00Z".parse().expect("a valid instant")
    }

    #[test]
    fn safe_is_said_only_of_a_fresh_judgement() {
        let mut shown = Shown::nothing();
        let case = CaseId(1);
        assert!(shown.safe_to_power_off(case, noon()).is_err(), "never judged");
        shown.show.safe_to_power_off.insert(case, Ok(noon()));
        assert_eq!(shown.safe_to_power_off(case, after(noon(), SAFE_FOR)), Ok(noon()));
        let late = after(noon(), SAFE_FOR + Duration::from_secs(1));
        assert_eq!(shown.safe_to_power_off(case, late), Err("the last judgement is 16s old".into()));
        let before = noon() - jiff::SignedDuration::from_secs(5);
        assert!(shown.safe_to_power_off(case, before).is_err(), "a judgement still to come is none");
    }

    #[test]
    fn ready_means_that_the_loop_turns() {
        let mut shown = Shown::nothing();
        assert!(!shown.ready(noon()), "before the first turn");
        shown.turn_at = noon();
        shown.pace = Period::secs(60);
        assert!(shown.ready(after(noon(), Duration::from_secs(180))));
        assert!(!shown.ready(after(noon(), Duration::from_secs(181))));
    }
}
