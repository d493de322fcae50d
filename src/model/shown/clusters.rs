//! One line for each cluster of a fleet.

use serde::{Deserialize, Serialize};

use super::Shown;
use crate::model::ids::ClusterName;
use crate::model::rules::Mode;
use crate::model::time::{Period, Time, age};

/// How a cluster stands, as its last turn knew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterLine {
    pub name: ClusterName,
    pub mode: Mode,
    /// Open ones.
    pub cases: usize,
    /// It is seen and looked after.
    pub well: bool,
    pub turn_at: Option<Time>,
    /// For people: what is not well, or that it is.
    pub text: String,
}

impl Shown {
    /// The loop turns, our store can be written, the cluster can be seen.
    pub fn well(&self, now: Time) -> bool {
        self.ready(now) && self.failing.is_none() && self.blind().is_none()
    }
}

impl ClusterLine {
    pub fn of(name: ClusterName, mode: Mode, shown: &Shown, now: Time) -> Self {
        let turn_at = (shown.turn_at != Time::MIN).then_some(shown.turn_at);
        let text = match (turn_at, &shown.failing, shown.blind()) {
            (Some(_), None, _) if shown.led_by.is_some() && shown.ready(now) => {
                format!("instance {} looks after it", shown.led_by.as_deref().unwrap_or_default())
            }
            (_, Some(why), _) if shown.led_by.is_some() => format!("who looks after it is not known: {why}"),
            (None, Some(why), _) => format!("no turn has ended yet: {why}"),
            (Some(_), Some(why), _) => format!("the last turn failed: {why}"),
            (None, None, _) => "no turn has ended yet".to_owned(),
            (Some(at), None, _) if !shown.ready(now) => {
                format!(
                    "the loop does not turn; the last one ended {} ago",
                    Period::secs(age(now, at).as_secs())
                )
            }
            (Some(_), None, Some(why)) => format!("cannot be seen: {why}"),
            (Some(_), None, None) => match &shown.state.paused {
                Some(pause) => format!("paused by {}: {}", pause.by, pause.reason),
                None if shown.observed.kill_file => "the kill file is there: nothing new is begun".to_owned(),
                None => "looked after".to_owned(),
            },
        };
        Self { name, mode, cases: shown.state.cases.len(), well: shown.well(now), turn_at, text }
    }
}
