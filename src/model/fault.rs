//! A fault is what is broken: a node, a class, a component. Alerts are witnesses of it, not the thing itself.
//!
//! Two exporters that see one broken fan raise two alerts; a rule that puts health into a label changes the
//! fingerprint on the way from warning to critical. So a fault is keyed on what is broken, with its episodes attached.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::alert::Episode;
use super::ids::{Fingerprint, NodeName, PolicyName};
use super::time::Time;

/// What is broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FaultKey {
    pub node: NodeName,
    /// The alarm class, as the policy names it: `fan`, `psu`, `ecc`, …
    pub class: String,
    /// The part, as the alert names it: `FAN3`. Empty where the alert names none.
    pub component: String,
}

impl fmt::Display for FaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.component.as_str() {
            "" => write!(f, "{} of {}", self.class, self.node),
            part => write!(f, "{} {part} of {}", self.class, self.node),
        }
    }
}

/// A fault with everything that was told about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    pub key: FaultKey,
    pub policy: PolicyName,
    /// Oldest first.
    pub episodes: Vec<Episode>,
}

impl Fault {
    pub fn fires(&self) -> bool {
        self.episodes.iter().any(Episode::fires)
    }

    /// Since when some episode has been firing without a break that we know of.
    pub fn firing_since(&self, now: Time) -> Option<Time> {
        self.episodes.iter().filter(|e| e.fires()).map(|e| e.began(now)).min()
    }

    /// When the last episode ended; `None` while one fires.
    pub fn quiet_since(&self) -> Option<Time> {
        if self.fires() { None } else { self.episodes.iter().filter_map(|e| e.ends_at).max() }
    }

    /// How many times the part failed since `since`: a lower bound, because Alertmanager hides what comes and goes
    /// between two flushes. Counted per fingerprint, so that two witnesses of one failure count once.
    pub fn episodes_since(&self, since: Time) -> usize {
        let mut starts: BTreeMap<&Fingerprint, Vec<Time>> = BTreeMap::new();
        for episode in self.episodes.iter().filter(|e| e.starts_at >= since) {
            starts.entry(&episode.fingerprint).or_default().push(episode.starts_at);
        }
        starts
            .into_values()
            .map(|mut times| {
                times.sort_unstable();
                times.dedup();
                times.len()
            })
            .max()
            .unwrap_or(0)
    }
}

/// An alert that we could not pin on a node, or that no policy wants. Never acted on; counted and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unplaced {
    pub fingerprint: Fingerprint,
    pub why: Misfit,
}

/// Why an alert leads to no fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "misfit")]
pub enum Misfit {
    /// No policy's matchers fit.
    NoPolicy,
    /// Nothing in the labels names a member of the cluster.
    NoNode,
    /// A label that should name a member names somebody else, and nothing that counts more names one.
    Stranger { label: String, value: String },
    /// A label's value fits more than one member.
    Ambiguous { label: String, value: String },
    /// Only a Ceph daemon is named, and Ceph cannot be seen.
    CephUnseen { daemon: String },
    /// Two ways of naming give two nodes.
    Conflict { first: NodeName, first_by: String, second: NodeName, second_by: String },
}

impl Misfit {
    /// As it is counted.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoPolicy => "no_policy",
            Self::NoNode | Self::Stranger { .. } => "no_node",
            Self::Conflict { .. } | Self::Ambiguous { .. } => "conflict",
            Self::CephUnseen { .. } => "unseen",
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPolicy => f.write_str("no policy matches it"),
            Self::NoNode => {
                f.write_str("no label names a member of the cluster; add a node label to the target")
            }
            Self::Stranger { label, value } => {
                write!(
                    f,
                    "label {label} says {value}, which is no member; correct it, or add it to mapping.map"
                )
            }
            Self::Ambiguous { label, value } => {
                write!(f, "label {label} says {value}, which fits more than one member")
            }
            Self::CephUnseen { daemon } => {
                write!(f, "only {daemon} is named, and Ceph cannot be seen; nobody can tell whose it is")
            }
            Self::Conflict { first, first_by, second, second_by } => {
                write!(f, "{first_by} says {first}, {second_by} says {second}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::labels::Labels;

    fn at(second: i64) -> Time {
        Time::from_second(1_800_000_000 + second).expect("in range")
    }

    fn episode(print: &str, start: i64, end: Option<i64>) -> Episode {
        Episode {
            fingerprint: print.into(),
            labels: Labels::new(),
            starts_at: at(start),
            received_at: at(start + 1),
            ends_at: end.map(at),
        }
    }

    fn fan(episodes: Vec<Episode>) -> Fault {
        let key = FaultKey { node: "pve2".into(), class: "fan".into(), component: "FAN3".into() };
        Fault { key, policy: "fan".into(), episodes }
    }

    #[test]
    fn two_witnesses_of_one_failure_count_once() {
        let fault =
            fan(vec![episode("ipmi", 0, Some(4)), episode("hwmon", 1, Some(4)), episode("ipmi", 8, None)]);
        assert_eq!(fault.episodes_since(at(-1)), 2);
        assert_eq!(fault.firing_since(at(100)), Some(at(8)));
        assert_eq!(fault.quiet_since(), None);
    }

    #[test]
    fn a_repeated_delivery_is_no_new_episode() {
        let fault = fan(vec![episode("ipmi", 0, Some(4)), episode("ipmi", 0, Some(4))]);
        assert_eq!(fault.episodes_since(at(-1)), 1);
        assert_eq!(fault.quiet_since(), Some(at(4)));
    }
}
