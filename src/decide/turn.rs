//! One case in one turn: what changes, what is noted, what is to be done. The pen with which phases write.

use std::time::Duration;

use crate::model::case::Case;
use crate::model::ids::NodeName;
use crate::model::note::{Note, Noted};
use crate::model::plan::Plan;
use crate::model::rules::Mode;
use crate::model::step::{Action, Attempt, Outcome, Step, StepId};
use crate::model::time::{after, age};
use crate::model::verdict::Verdict;
use crate::model::wait::Wait;

use super::view::View;

/// A failed effect is tried again after this, doubled each time …
const RETRY_FIRST: Duration = Duration::from_secs(5);
/// … up to this.
const RETRY_MAX: Duration = Duration::from_secs(300);

pub(super) struct Turn<'a> {
    pub view: &'a View<'a>,
    pub case: Case,
    pub notes: Vec<Note>,
    pub steps: Vec<Step>,
    /// A node that begins to leave in this very turn. The readings do not know of it yet, so no other may begin.
    pub ahead: Option<NodeName>,
    /// Cases of alarms that have waited longer to begin.
    pub before: usize,
    /// The verdict of this turn, where one was asked for, and what would be done.
    pub judged: Option<(Verdict, Option<Plan>)>,
}

impl<'a> Turn<'a> {
    pub fn new(view: &'a View<'a>, case: Case) -> Self {
        Self { view, case, notes: Vec::new(), steps: Vec::new(), ahead: None, before: 0, judged: None }
    }

    pub fn note(&mut self, what: Noted) {
        self.notes.push(Note { at: self.view.now, case: Some(self.case.id), what });
    }

    /// Plans a step, unless it was done or tried a moment ago. `settle`: how long its effect takes to show.
    /// `true`: it is planned in this turn.
    pub fn step(&mut self, subject: &str, action: Action, settle: Duration) -> bool {
        let id = StepId::new(self.case.id, subject);
        let due = self.due(&id, settle);
        if due {
            if let Action::Migrate { guest, from, to, .. } = &action {
                self.view.begun.borrow_mut().insert(*guest, (from.clone(), to.clone()));
            }
            let not_after = after(self.view.now, self.view.rules.limits.step_for.0);
            self.steps.push(Step { id, case: self.case.id, node: self.case.node.clone(), action, not_after });
        }
        due
    }

    fn due(&self, id: &StepId, settle: Duration) -> bool {
        let Some(last) = self.view.state.ledger.get(id) else { return true };
        let passed = age(self.view.now, last.at);
        // From before our clock was set back: nobody knows how long ago. Only what is said once stays said.
        if last.at > self.view.now {
            return settle != Duration::MAX || !matches!(last.outcome, Outcome::Done { .. });
        }
        match &last.outcome {
            // Whether it happened is not known. Both ways it may be done again: look first, then repeat.
            Outcome::Owed | Outcome::Expired => true,
            Outcome::Done { .. } => passed >= settle,
            Outcome::Failed { .. } => {
                passed
                    >= RETRY_FIRST
                        .saturating_mul(2_u32.saturating_pow(last.tries.saturating_sub(1)))
                        .min(RETRY_MAX)
            }
        }
    }

    /// Somebody may take the leave to act away in the middle: then nothing new is taken, and nothing is taken again.
    /// Giving back is always allowed.
    pub fn may_take(&self) -> Result<(), Wait> {
        let policy = self.view.policy(&self.case)?;
        if self.view.rules.mode_of(policy) == Mode::Observe { Err(Wait::ObserveOnly) } else { Ok(()) }
    }

    /// The last try of a step, if there was one.
    pub fn attempt(&self, subject: &str) -> Option<&'a Attempt> {
        self.view.state.ledger.get(&StepId::new(self.case.id, subject))
    }

    /// Was it tried since the phase began? A repeated effect is told once.
    pub fn already_tried(&self, subject: &str) -> bool {
        self.attempt(subject).is_some_and(|attempt| attempt.at >= self.case.phase.since())
    }

    /// Tries of a step.
    pub fn tries(&self, subject: &str) -> u32 {
        self.attempt(subject).map_or(0, |attempt| attempt.tries)
    }

    /// Tries of a step, if its last one failed.
    pub fn failed_tries(&self, subject: &str) -> u32 {
        let failed = |attempt: &&Attempt| matches!(attempt.outcome, Outcome::Failed { .. });
        self.attempt(subject).filter(failed).map_or(0, |attempt| attempt.tries)
    }

    /// What became of a step that is said once. `None`: not yet known to have happened.
    pub fn said(&self, subject: &str) -> Option<&'a Outcome> {
        let attempt = self.attempt(subject)?;
        matches!(attempt.outcome, Outcome::Done { .. }).then_some(&attempt.outcome)
    }

    /// The last try of a step failed: its words, for the status line.
    pub fn failing(&self, subject: &str) -> Option<Wait> {
        match &self.attempt(subject)?.outcome {
            Outcome::Failed { trouble } => {
                Some(Wait::EffectFails { effect: subject.to_owned(), error: trouble.to_string() })
            }
            _ => None,
        }
    }

    /// Remembers what stands in the way; journals it when it is a new thing.
    pub fn waits(&mut self, wait: Wait) {
        let old = self.case.wait.as_ref();
        // "Nobody looked yet" was never told, and gives way to whatever the look then brings.
        let looked = |old: &&Wait| old.wants_a_deeper_look() == wait.wants_a_deeper_look();
        let old = old.filter(looked);
        let known = old.is_some_and(|old| old.subject() == wait.subject());
        let told = old.is_some_and(|old| old.headline() == wait.headline() || wait.ebbs(old));
        // The end of what was told is told, too: by whatever happened instead, or else by the quiet wait that follows.
        let ends = self.notes.is_empty() && old.is_some_and(|old| !old.quiet());
        if !told && !wait.wants_a_deeper_look() && (!wait.quiet() || ends) {
            self.note(Noted::Waits { wait: wait.clone() });
        }
        // The words may hold readings; keep the first ones while the subject is the same, or each turn would be a commit.
        if !known {
            self.case.wait = Some(wait);
        }
    }
}
