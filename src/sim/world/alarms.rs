//! Alertmanagers, as their API shows them: what each member lists. Alerts are not gossiped, so each has its own list;
//! a restart empties it until Prometheus sends everything again.

use serde::{Deserialize, Serialize};

use std::collections::BTreeMap;

use crate::model::alert::{Episode, EpisodeKey, Listed};
use crate::model::observed::AlarmsView;
use crate::model::seen::Trouble;

use super::World;

/// One member.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Alertmanager {
    /// It does not answer.
    pub dead: bool,
    /// Alert → whether it is suppressed.
    #[serde(with = "crate::model::observed::pairs")]
    pub listed: BTreeMap<EpisodeKey, (Episode, bool)>,
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

    /// What a poll of all members brings.
    ///
    /// # Errors
    /// None of them answers.
    pub fn see_alarms(&self) -> Result<AlarmsView, Trouble> {
        let mut union: BTreeMap<EpisodeKey, Listed> = BTreeMap::new();
        let living = self.alertmanagers.iter().filter(|member| !member.dead);
        for (episode, suppressed) in living.flat_map(|member| member.listed.values()) {
            // Prometheus repeats what fires, so its last word is young.
            let listed = Listed { episode: episode.clone(), updated_at: self.now, suppressed: *suppressed };
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
