//! Everything that a store keeps, as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{Episode, EpisodeKey, Listed};
use crate::model::case::{Case, Ending, Origin, Phase};
use crate::model::ids::{CaseId, Fingerprint, NodeName, RequestId};
use crate::model::note::{Note, Noted};
use crate::model::notice::{ChannelName, Notice, NoticeId, SILENT_TRIES, Silent, Undelivered};
use crate::model::rates::{MEASURED_MAX, Measured, Rates};
use crate::model::request::{Reply, Request};
use crate::model::seen::Trouble;
use crate::model::shown::{Unread, Unreadable};
use crate::model::state::{Decision, EARLIER_MAX, Earlier, Past, Pause, State};
use crate::model::step::{Attempt, Ledger, Outcome, StepId};
use crate::model::time::{Time, age};
use crate::ports::{Ingested, Uncommitted};

/// What is durable. Cloning it is cheap enough to do at every boundary of a turn.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// With the time at which each began to drain.
    cases: BTreeMap<CaseId, (Arc<Case>, Option<Time>)>,
    /// The highest number ever given to a case.
    last_case: u64,
    requests: Vec<(Request, Option<Reply>)>,
    paused: Option<Pause>,
    steps: BTreeMap<StepId, (CaseId, Attempt)>,
    notes: Vec<Arc<Note>>,
    episodes: BTreeMap<(Fingerprint, Time), Episode>,
    /// Oldest first.
    notices: Vec<Notice>,
    deliveries: BTreeMap<(NoticeId, ChannelName), Attempt>,
    poisoned: Vec<(Time, String, usize)>,
    /// Oldest first.
    measured: Vec<Measured>,
    /// The latest instant that anybody told: this store has no clock.
    now: Time,
}

/// Closed cases are remembered for decisions so long.
const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);

impl Shelf {
    pub(super) fn state(&self) -> State {
        let mut past: Vec<Past> = self
            .cases
            .values()
            .filter_map(|(case, drained_at)| match case.phase {
                Phase::Closed { at, .. } if age(self.now, at) <= MEMORY => Some(Past {
                    case: case.id,
                    node: case.node.clone(),
                    faults: case.faults.clone(),
                    closed_at: at,
                    drained_at: *drained_at,
                }),
                _ => None,
            })
            .collect();
        past.sort_by_key(|p| (p.closed_at, p.case));
        let mut requests: Vec<Request> =
            self.requests.iter().filter(|(_, reply)| reply.is_none()).map(|(r, _)| r.clone()).collect();
        requests.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        State {
            cases: self.cases.values().filter(|(c, _)| c.open()).map(|(c, _)| Case::clone(c)).collect(),
            past,
            earlier: self.earlier(),
            requests,
            paused: self.paused.clone(),
            ledger: self.ledger_where(|case| self.cases.get(&case).is_some_and(|(c, _)| c.open())),
            next_case: self.last_case + 1,
            told: self.told(),
            silent: self.silent(),
            rates: Rates::of(&self.measured, self.now),
        }
    }

    /// Closed cases of the machines that have an open one.
    fn earlier(&self) -> Vec<Earlier> {
        let nodes: BTreeSet<&NodeName> =
            self.cases.values().filter(|(case, _)| case.open()).map(|(case, _)| &case.node).collect();
        let remembered = |(case, drained_at): &(Arc<Case>, Option<Time>)| match &case.phase {
            Phase::Closed { at, ending, .. } if age(self.now, *at) <= EARLIER_MAX.0 => Some(Earlier {
                case: case.id,
                node: case.node.clone(),
                faults: case.faults.clone(),
                closed_at: *at,
                drained_at: *drained_at,
                served: matches!(ending, Ending::Returned | Ending::Served),
                by_alarm: matches!(case.origin, Origin::Alarm { .. }),
            }),
            _ => None,
        };
        let mut all: Vec<Earlier> = self
            .cases
            .values()
            .filter(|(case, _)| nodes.contains(&case.node))
            .filter_map(remembered)
            .collect();
        all.sort_by_key(|earlier| (earlier.closed_at, earlier.case));
        all
    }

    pub(super) fn commit(&mut self, decision: &Decision, at: Time) -> Result<(), Uncommitted> {
        self.now = self.now.max(at);
        for case in &decision.cases {
            self.put_case(case, drain_began(case, &decision.notes))?;
        }
        for step in &decision.steps {
            let tries = self.steps.get(&step.id).map_or(0, |(_, attempt)| attempt.tries) + 1;
            self.steps.insert(step.id.clone(), (step.case, Attempt { tries, at, outcome: Outcome::Owed }));
        }
        self.notes.extend(decision.notes.iter().cloned().map(Arc::new));
        for notice in &decision.notices {
            self.put_notice(notice);
        }
        for (id, reply) in &decision.replies {
            let open = self.requests.iter_mut().find(|(r, said)| &r.id == id && said.is_none());
            // Somebody answered it meanwhile, or it never was: either way this decision saw something else.
            open.ok_or(Uncommitted::Conflict)?.1 = Some(reply.clone());
        }
        if let Some(pause) = &decision.pause {
            self.paused.clone_from(pause);
        }
        Ok(())
    }

    pub(super) fn learn(&mut self, measured: Vec<Measured>) {
        for one in measured {
            if self.measured.iter().all(|known| known.task != one.task) {
                self.now = self.now.max(one.ended);
                self.measured.push(one);
            }
        }
        self.measured.sort_by(|a, b| (a.ended, &a.task).cmp(&(b.ended, &b.task)));
        let old = self.measured.len().saturating_sub(MEASURED_MAX);
        self.measured.drain(..old);
    }

    pub(super) fn learned(&self) -> Vec<Measured> {
        self.measured.clone()
    }

    /// Each id once, whatever else it says the second time.
    fn put_notice(&mut self, notice: &Notice) {
        if self.notices.iter().any(|known| known.id == notice.id) {
            return;
        }
        for channel in &notice.to {
            let owed = Attempt { tries: 0, at: notice.at, outcome: Outcome::Owed };
            self.deliveries.insert((notice.id.clone(), channel.clone()), owed);
        }
        self.notices.push(notice.clone());
    }

    fn told(&self) -> BTreeSet<NoticeId> {
        let open = |case: &CaseId| self.cases.get(case).is_some_and(|(case, _)| case.open());
        let known = |n: &&Notice| age(self.now, n.at) <= MEMORY || n.case.as_ref().is_some_and(open);
        self.notices.iter().filter(known).map(|notice| notice.id.clone()).collect()
    }

    fn silent(&self) -> BTreeMap<ChannelName, Silent> {
        let mut silent = BTreeMap::new();
        for notice in &self.notices {
            for channel in &notice.to {
                match self.deliveries.get(&(notice.id.clone(), channel.clone())) {
                    Some(Attempt { tries, outcome: Outcome::Failed { trouble }, .. })
                        if *tries >= SILENT_TRIES =>
                    {
                        let first = Silent { first: notice.id.clone(), trouble: trouble.clone() };
                        silent.entry(channel.clone()).or_insert(first);
                    }
                    _ => {}
                }
            }
        }
        silent
    }

    pub(super) fn undelivered(&self) -> Vec<Undelivered> {
        let owed = |notice: &Notice, channel: &ChannelName| {
            let last = self.deliveries.get(&(notice.id.clone(), channel.clone()))?;
            let open = !matches!(last.outcome, Outcome::Done { .. });
            open.then(|| Undelivered {
                notice: notice.clone(),
                channel: channel.clone(),
                tries: last.tries,
                at: last.at,
            })
        };
        let all = self.notices.iter().flat_map(|n| n.to.iter().filter_map(move |channel| owed(n, channel)));
        all.take(1_000).collect()
    }

    pub(super) fn delivered(
        &mut self,
        id: &NoticeId,
        channel: &ChannelName,
        at: Time,
        sent: &Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let Some(last) = self.deliveries.get_mut(&(id.clone(), channel.clone())) else {
            return Err(Trouble::Nonsense(format!("notice {id} was never for {channel}")));
        };
        if !matches!(last.outcome, Outcome::Done { .. }) {
            let outcome = match sent {
                Ok(()) => Outcome::Done { ticket: None },
                Err(trouble) => Outcome::Failed { trouble: trouble.clone() },
            };
            *last = Attempt { tries: last.tries + 1, at, outcome };
        }
        Ok(())
    }

    /// Everything that was ever told, oldest first.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Compare-and-swap on the revision; 0 is a new case.
    fn put_case(&mut self, case: &Case, drained_at: Option<Time>) -> Result<(), Uncommitted> {
        let known = self.cases.get(&case.id);
        if known.map_or(0, |(c, _)| c.revision) != case.revision {
            return Err(Uncommitted::Conflict);
        }
        let drained_at = known.and_then(|(_, at)| *at).or(drained_at);
        let stored = Case { revision: case.revision + 1, ..case.clone() };
        // The real store keeps documents: what would not come back the same must not go in here either.
        let back = serde_json::to_string(&stored).and_then(|doc| serde_json::from_str::<Case>(&doc));
        if back.as_ref().ok() != Some(&stored) {
            let why = format!("case {} does not survive being stored: {back:?}", case.id);
            return Err(Uncommitted::Trouble(Trouble::Nonsense(why)));
        }
        self.cases.insert(case.id, (Arc::new(stored), drained_at));
        self.last_case = self.last_case.max(case.id.0);
        Ok(())
    }

    pub(super) fn record(&mut self, step: &StepId, at: Time, outcome: &Outcome) -> Result<(), Trouble> {
        self.now = self.now.max(at);
        let Some((_, attempt)) = self.steps.get_mut(step) else {
            return Err(Trouble::Nonsense(format!("step {step} was never planned")));
        };
        attempt.at = at;
        attempt.outcome = outcome.clone();
        Ok(())
    }

    pub(super) fn ingest(&mut self, told: Vec<Episode>) -> Ingested {
        let mut count = Ingested::default();
        for episode in told {
            let key = (episode.fingerprint.clone(), episode.starts_at);
            match self.episodes.get_mut(&key) {
                None => {
                    self.episodes.insert(key, episode);
                    count.new += 1;
                }
                Some(known) => {
                    let fired = known.fires();
                    known.received_at = known.received_at.min(episode.received_at);
                    // An end once heard stays; of two ends the later one counts.
                    known.ends_at = known.ends_at.max(episode.ends_at);
                    if fired && !known.fires() {
                        count.resolved += 1;
                    } else {
                        count.known += 1;
                    }
                }
            }
        }
        count
    }

    pub(super) fn level(&mut self, listed: Vec<Listed>, gone: Vec<EpisodeKey>, at: Time) -> Ingested {
        let mut count = Ingested::default();
        for listed in listed {
            let key = (listed.episode.fingerprint.clone(), listed.episode.starts_at);
            match self.episodes.get_mut(&key) {
                None => {
                    self.episodes.insert(key, listed.episode);
                    count.new += 1;
                }
                Some(known) => {
                    let fired = known.fires();
                    known.level(&listed);
                    if !fired && known.fires() {
                        count.new += 1;
                    } else {
                        count.known += 1;
                    }
                }
            }
        }
        for key in gone {
            if let Some(known) = self.episodes.get_mut(&(key.fingerprint, key.starts_at))
                && known.fires()
            {
                known.ends_at = Some(at.max(known.starts_at));
                count.resolved += 1;
            }
        }
        count
    }

    pub(super) fn episodes_since(&self, since: Time) -> Vec<Episode> {
        let mut found: Vec<Episode> =
            self.episodes.values().filter(|e| e.ends_at.is_none_or(|end| end > since)).cloned().collect();
        found.sort_by(|a, b| (a.starts_at, &a.fingerprint).cmp(&(b.starts_at, &b.fingerprint)));
        found
    }

    pub(super) fn request(&mut self, request: &Request) -> Result<(), Trouble> {
        match self.requests.iter().find(|(known, _)| known.id == request.id) {
            Some((known, _)) if known.by == request.by && known.ask == request.ask => Ok(()),
            Some(_) => Err(Trouble::Refused(format!("request {} was something else before", request.id))),
            None => {
                self.requests.push((request.clone(), None));
                Ok(())
            }
        }
    }

    pub(super) fn reply(&self, id: &RequestId) -> Option<Reply> {
        self.requests.iter().find(|(r, _)| &r.id == id).and_then(|(_, reply)| reply.clone())
    }

    /// What is kept of an unreadable delivery here: when, why, how long.
    pub(super) fn poison(&mut self, body: &[u8], why: &str, at: Time) {
        self.poisoned.push((at, why.to_owned(), body.len()));
    }

    /// Bodies are not kept here: stories never read them.
    pub(super) fn unreadable(&self, newest: usize) -> Unreadable {
        let told = |(at, why, size): &(Time, String, usize)| Unread {
            at: *at,
            why: why.clone(),
            size: *size as u64,
            beginning: String::new(),
        };
        let newest = self.poisoned.iter().rev().take(newest).map(told).collect();
        Unreadable { count: self.poisoned.len() as u64, newest }
    }

    pub fn poisoned(&self) -> &[(Time, String, usize)] {
        &self.poisoned
    }

    pub(super) fn newest_cases(&self, limit: usize) -> Vec<Case> {
        let mut all: Vec<&Arc<Case>> = self.cases.values().map(|(case, _)| case).collect();
        all.sort_by_key(|case| (!case.open(), std::cmp::Reverse(case.id)));
        all.into_iter().take(limit).map(|case| Case::clone(case)).collect()
    }

    pub fn case(&self, id: CaseId) -> Option<Case> {
        self.cases.get(&id).map(|(case, _)| Case::clone(case))
    }

    pub fn journal(&self, case: Option<CaseId>, after: u64, limit: usize) -> Vec<(u64, Note)> {
        (1_u64..)
            .zip(&self.notes)
            .filter(|(n, note)| *n > after && (case.is_none() || note.case == case))
            .take(limit)
            .map(|(n, note)| (n, Note::clone(note)))
            .collect()
    }

    pub(super) fn ledger_of(&self, case: CaseId) -> Ledger {
        self.ledger_where(|of| of == case)
    }

    fn ledger_where(&self, wanted: impl Fn(CaseId) -> bool) -> Ledger {
        self.steps
            .iter()
            .filter(|(_, (case, _))| wanted(*case))
            .map(|(id, (_, attempt))| (id.clone(), attempt.clone()))
            .collect()
    }
}

/// A closed case no longer holds it, and the daily budget counts it.
fn drain_began(case: &Case, notes: &[Note]) -> Option<Time> {
    match case.phase {
        Phase::Draining { since, .. } => Some(since),
        // Within one turn it may have begun and be over.
        _ => notes
            .iter()
            .find(|note| note.case == Some(case.id) && matches!(note.what, Noted::DrainBegins { .. }))
            .map(|note| note.at),
    }
}
