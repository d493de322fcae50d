//! Alertmanagers, as their API shows them: what each member lists. Alerts are not gossiped, so each has its own list;
//! a restart empties it until Prometheus sends everything again.

use serde::{Deserialize, Serialize};

use std::collections::BTreeMap;

use crate::model::alert::{Episode, EpisodeKey, Listed};
use crate::model::matcher::Labels;
use crate::model::observed::AlarmsView;
use crate::model::seen::Trouble;
use crate::model::silence::{
    CREATED_BY, LEASE_MAX, Silence, SilenceMark, SilenceMatcher, Silenced, SilencesView,
};
use crate::model::time::{Time, age};

use super::{Actor, World};

/// One member.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Alertmanager {
    /// It does not answer.
    pub dead: bool,
    /// Alert → whether it is suppressed.
    #[serde(with = "crate::model::observed::pairs")]
    pub listed: BTreeMap<EpisodeKey, (Episode, bool)>,
}

/// A silence, as its API shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetSilence {
    /// Who set it, whatever it says.
    pub by: Actor,
    pub created_by: String,
    pub comment: String,
    pub matchers: Vec<SilenceMatcher>,
    pub ends_at: Time,
}

impl SetSilence {
    pub fn node(&self) -> &str {
        self.matchers.iter().find(|matcher| matcher.name == "node").map_or("?", |matcher| &matcher.value)
    }

    fn covers(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| {
            let value = labels.get(&matcher.name).unwrap_or_default();
            match matcher.is_regex {
                true => {
                    regex::Regex::new(&format!("^(?:{})$", matcher.value)).is_ok_and(|r| r.is_match(value))
                }
                false => value == matcher.value,
            }
        })
    }
}

impl World {
    /// Prometheus tells every living member that this fires.
    pub fn list_alert(&mut self, episode: &Episode, suppressed: bool) {
        for member in self.alertmanagers.iter_mut().filter(|member| !member.dead) {
            member.listed.insert(episode.key(), (episode.clone(), suppressed));
        }
    }

    /// Prometheus tells every living member that it is over.
    pub fn unlist_alert(&mut self, key: &EpisodeKey) {
        for member in self.alertmanagers.iter_mut().filter(|member| !member.dead) {
            member.listed.remove(key);
        }
    }

    fn anybody_there(&self) -> Result<(), Trouble> {
        if self.alertmanagers.iter().any(|member| !member.dead) {
            return Ok(());
        }
        Err(Trouble::Unreachable("no Alertmanager answers".to_owned()))
    }

    /// Silences that say they are pitlane's.
    ///
    /// # Errors
    /// No member answers.
    pub fn see_silences(&self) -> Result<SilencesView, Trouble> {
        self.anybody_there()?;
        let ours = self.silences.iter().filter_map(|(id, set)| {
            let (mark, edited) = SilenceMark::read(&set.created_by, &set.comment, &set.matchers)?;
            let (active, ends_at) = (set.ends_at > self.now, set.ends_at);
            Some(Silenced { id: id.clone(), mark, edited, active, ends_at })
        });
        Ok(SilencesView { silences: ours.collect(), silent: Vec::new() })
    }

    /// Looks for its own first, as an adapter has to.
    pub fn pitlane_silences(&mut self, silence: &Silence, until: Time) -> Result<(), Trouble> {
        self.forbid_killed("setting a silence");
        let seen = self.see_silences()?;
        let lease = age(until, self.now);
        self.forbid(lease > LEASE_MAX.0, || format!("{} is silenced for {lease:?}: no lease", silence.mark));
        let (matchers, comment) = (silence.matchers(), silence.comment());
        let mine = seen.active(&silence.mark).map(|silence| silence.id.clone()).next();
        if let Some(mine) = mine.and_then(|id| self.silences.get_mut(&id)) {
            mine.ends_at = until;
            self.note_effect(Actor::Pitlane, "silence_renewed", &silence.mark.node);
            return Ok(());
        }
        self.note_effect(Actor::Pitlane, "silence_on", &silence.mark.node);
        let (by, created_by) = (Actor::Pitlane, CREATED_BY.to_owned());
        let id = format!("silence-{}", self.silences.len() + 1);
        self.silences.insert(id, SetSilence { by, created_by, comment, matchers, ends_at: until });
        Ok(())
    }

    /// # Errors
    /// No member answers, or there is no such silence.
    pub fn end_silence(&mut self, by: Actor, id: &str) -> Result<(), Trouble> {
        self.forbid_killed_by(by, "ending a silence");
        self.anybody_there()?;
        let set = self.silences.get(id).ok_or_else(|| Trouble::Refused("silence not found".to_owned()))?;
        let (theirs, node) = (set.by == Actor::Human, set.node().to_owned());
        self.forbid(by == Actor::Pitlane && theirs, || format!("the silence {id} of a human is ended"));
        self.note_effect(by, "silence_off", node);
        let now = self.now;
        if let Some(set) = self.silences.get_mut(id) {
            set.ends_at = set.ends_at.min(now);
        }
        Ok(())
    }

    /// Saving it with other matchers ends it, and makes one with the same comment.
    pub fn human_changes_silence(&mut self, id: &str, alertname: &str) -> Result<(), Trouble> {
        let mut changed =
            self.silences.get(id).cloned().ok_or_else(|| Trouble::Refused("silence not found".to_owned()))?;
        self.end_silence(Actor::Human, id)?;
        changed.by = Actor::Human;
        changed.matchers.retain(|matcher| matcher.name != "alertname");
        changed.matchers.push(SilenceMatcher {
            name: "alertname".to_owned(),
            value: alertname.to_owned(),
            is_regex: false,
            is_equal: true,
        });
        self.silences.insert(format!("silence-{}", self.silences.len() + 1), changed);
        Ok(())
    }

    /// A colleague's own, which has nothing to do with any case.
    pub fn human_silences(&mut self, node: &str, ends_at: Time) {
        let matcher = |name: &str, value: &str, is_regex| SilenceMatcher {
            name: name.to_owned(),
            value: value.to_owned(),
            is_regex,
            is_equal: true,
        };
        let set = SetSilence {
            by: Actor::Human,
            created_by: "alice".to_owned(),
            comment: format!("I am working on {node}"),
            matchers: vec![matcher("alertname", ".+", true), matcher("node", node, false)],
            ends_at,
        };
        self.silences.insert(format!("silence-{}", self.silences.len() + 1), set);
    }

    /// What a poll of all members brings.
    ///
    /// # Errors
    /// None of them answers.
    pub fn see_alarms(&self) -> Result<AlarmsView, Trouble> {
        let mut union: BTreeMap<EpisodeKey, Listed> = BTreeMap::new();
        let living = self.alertmanagers.iter().filter(|member| !member.dead);
        for (episode, suppressed) in living.flat_map(|member| member.listed.values()) {
            // Prometheus repeats what fires, so its last word is young.
            let mut silences = self.silences.values().filter(|set| set.ends_at > self.now);
            let suppressed = *suppressed || silences.any(|set| set.covers(&episode.labels));
            let listed = Listed { episode: episode.clone(), updated_at: self.now, suppressed };
            let known = union.entry(episode.key()).or_insert(listed);
            known.suppressed &= suppressed;
        }
        let dead = self.alertmanagers.iter().enumerate().filter(|(_, member)| member.dead);
        let silent: Vec<String> =
            dead.map(|(n, _)| format!("alertmanager {}: no connection", n + 1)).collect();
        if silent.len() == self.alertmanagers.len() {
            return Err(Trouble::Unreachable(silent.join("; ")));
        }
        let listed = union.into_values().collect();
        Ok(AlarmsView { whole: silent.is_empty(), silent, listed, ..AlarmsView::default() })
    }
}
