//! How a ticket system's words are read, and what correlation ids look like. Data; whoever talks to the system is elsewhere.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::CaseId;
use super::observed::WorkOrderStatus;

/// The system's own words for what a work order can be. The first word of `open`, `done` and `cancelled` is the one
/// that pitlane sets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusWords {
    /// Nobody says that it is done.
    #[schemars(length(min = 1))]
    pub open: Vec<String>,
    /// A person has taken it.
    #[serde(default)]
    pub in_progress: Vec<String>,
    /// The technician's claim.
    #[schemars(length(min = 1))]
    pub done: Vec<String>,
    /// Refused or called off by a person.
    #[serde(default)]
    pub cancelled: Vec<String>,
}

impl StatusWords {
    /// Request Tracker's default lifecycle. `open` first: that is what a reopened ticket becomes.
    pub fn request_tracker() -> Self {
        let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect();
        Self {
            open: words(&["open", "new", "stalled"]),
            in_progress: Vec::new(),
            done: words(&["resolved"]),
            cancelled: words(&["rejected", "deleted"]),
        }
    }

    /// `None`: a word that nobody told us. Then the status is unknown, never "open".
    pub fn read(&self, word: &str) -> Option<WorkOrderStatus> {
        let has = |words: &[String]| words.iter().any(|w| w.eq_ignore_ascii_case(word));
        [
            (&self.open, WorkOrderStatus::Open),
            (&self.in_progress, WorkOrderStatus::InProgress),
            (&self.done, WorkOrderStatus::Done),
            (&self.cancelled, WorkOrderStatus::Cancelled),
        ]
        .into_iter()
        .find(|(words, _)| has(words))
        .map(|(_, status)| status)
    }

    /// A word that stands in two lists would make the answer depend on their order.
    pub fn twice(&self) -> Option<&str> {
        let all: Vec<&String> =
            [&self.open, &self.in_progress, &self.done, &self.cancelled].into_iter().flatten().collect();
        all.iter()
            .enumerate()
            .find(|(i, word)| all[..*i].iter().any(|before| before.eq_ignore_ascii_case(word)))
            .map(|(_, word)| word.as_str())
    }
}

/// What finds a case's ticket again, whatever was lost: `pitlane:CLUSTER:case-7`.
pub fn correlation(cluster: &str, case: CaseId) -> String {
    format!("pitlane:{cluster}:case-{case}")
}

/// May stand in a correlation id: plain enough for every query language.
pub fn fit_for_correlation(cluster: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=40).contains(&cluster.len()) && cluster.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_nobody_told_us_is_unknown() {
        let words = StatusWords::request_tracker();
        assert_eq!(words.read("Resolved"), Some(WorkOrderStatus::Done));
        assert_eq!(words.read("new"), Some(WorkOrderStatus::Open));
        assert_eq!(words.read("waiting"), None);
    }

    #[test]
    fn a_word_has_one_meaning() {
        let mut words = StatusWords::request_tracker();
        assert_eq!(words.twice(), None);
        words.cancelled.push("NEW".into());
        assert_eq!(words.twice(), Some("NEW"));
    }

    #[test]
    fn a_correlation_id_is_plain() {
        assert_eq!(correlation("lab", CaseId(7)), "pitlane:lab:case-7");
        assert!(fit_for_correlation("dc1.lab_2-a"));
        for bad in ["", "a b", "a'b", "a:b", "zürich"] {
            assert!(!fit_for_correlation(bad), "{bad}");
        }
    }
}
