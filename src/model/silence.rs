//! Silences in Alertmanager: what one of ours looks like, and how it is told from everybody else's.
//!
//! A lease: short, renewed while the work goes on, and over by itself when nobody renews it. It is a comfort for people
//! who would be called for what our own work raises; nothing safe may ever depend on it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ids::{CaseId, NodeName};
use super::owed::Debt;
use super::time::{Period, Time};

/// Who made it, as Alertmanager shows it.
pub const CREATED_BY: &str = "pitlane";
/// Shorter ones could end before a failed renewal is tried again; longer ones are no lease.
pub const LEASE_MIN: Period = Period::mins(10);
pub const LEASE_MAX: Period = Period::hours(4);
/// Alertmanager compares each of them with each alert.
pub const ALERTNAMES_MAX: usize = 50;

/// What may be silenced while a node is out, and for how long at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceRules {
    /// Several clusters may share an Alertmanager: each ends only its own.
    pub cluster: String,
    pub lease: Period,
    /// The label that names the cluster, where several share an Alertmanager. Nodes of the same name are in each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_label: Option<String>,
    /// The label that holds the node's name.
    pub label: String,
    /// Whole names, no patterns. Never all alerts of a node.
    pub alertnames: Vec<String>,
}

/// Whose silence it is. It stands in the comment: all that a new process has to find it by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceMark {
    pub cluster: String,
    pub case: CaseId,
    pub node: NodeName,
}

/// One that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    pub mark: SilenceMark,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_label: Option<String>,
    pub label: String,
    pub alertnames: Vec<String>,
}

/// One condition of a silence, as Alertmanager's API writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SilenceMatcher {
    pub name: String,
    pub value: String,
    pub is_regex: bool,
    /// Before 0.22 there was only "is equal", and it was not said.
    #[serde(default = "yes")]
    pub is_equal: bool,
}

fn yes() -> bool {
    true
}

impl Silence {
    /// One node, and of it the named alerts alone.
    pub fn matchers(&self) -> Vec<SilenceMatcher> {
        let names: Vec<String> = self.alertnames.iter().map(|name| regex::escape(name)).collect();
        let matcher = |name: &str, value, is_regex| SilenceMatcher {
            name: name.into(),
            value,
            is_regex,
            is_equal: true,
        };
        let mut all = vec![
            matcher("alertname", names.join("|"), true),
            matcher(&self.label, self.mark.node.to_string(), false),
        ];
        all.extend(self.cluster_label.iter().map(|label| matcher(label, self.mark.cluster.clone(), false)));
        all
    }

    /// For people, and at its end for us.
    pub fn comment(&self) -> String {
        let SilenceMark { cluster, case, node } = &self.mark;
        format!(
            "{node} is under maintenance (case {case}); pitlane renews this silence and ends it. {OPEN}{cluster}/{case}/{node}/{}]",
            seal(&self.matchers())
        )
    }
}

const OPEN: &str = "[pitlane ";

/// Of the matchers, whatever their order: a silence whose matchers no longer have the seal of its comment was changed.
fn seal(matchers: &[SilenceMatcher]) -> String {
    let mut sorted = matchers.to_vec();
    sorted.sort();
    let mut hash = Sha256::new();
    for SilenceMatcher { name, value, is_regex, is_equal } in &sorted {
        for part in [name.as_str(), value.as_str(), &is_regex.to_string(), &is_equal.to_string()] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

impl SilenceMark {
    /// Reads the mark of a silence, and whether its matchers were changed since. `None`: somebody else's.
    pub fn read(created_by: &str, comment: &str, matchers: &[SilenceMatcher]) -> Option<(Self, bool)> {
        if created_by != CREATED_BY {
            return None;
        }
        let (_, mark) = comment.rsplit_once(OPEN)?;
        let mut parts = mark.strip_suffix(']')?.split('/');
        let (cluster, case, node, sealed) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let mark = Self { cluster: cluster.to_owned(), case: CaseId(case.parse().ok()?), node: node.into() };
        Some((mark, seal(matchers) != sealed))
    }
}

impl fmt::Display for SilenceMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "case {} of {}, {}", self.case, self.cluster, self.node)
    }
}

/// Everything with a mark of ours that Alertmanager lists, of all clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilencesView {
    pub silences: Vec<Silenced>,
    /// For people: which members did not answer. What a pair gossips is known from one of them.
    pub silent: Vec<String>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silenced {
    pub id: String,
    pub mark: SilenceMark,
    /// A person changed its matchers: it is theirs now.
    pub edited: bool,
    /// It holds alerts back, or will.
    pub active: bool,
    pub ends_at: Time,
}

impl SilencesView {
    /// Ours that hold alerts back for this mark.
    pub fn active<'a>(&'a self, mark: &'a SilenceMark) -> impl Iterator<Item = &'a Silenced> {
        self.silences.iter().filter(move |silence| silence.active && !silence.edited && silence.mark == *mark)
    }

    pub fn by_id(&self, id: &str) -> Option<&Silenced> {
        self.silences.iter().find(|silence| silence.id == id)
    }
}

/// One that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceDebt {
    pub debt: Debt,
    /// As it was asked for, whatever the configuration says by now.
    pub silence: Silence,
    /// The latest end that was ever asked for: then it is over, whether or not anybody can see it.
    pub until: Time,
    /// What Alertmanager calls it, once it was seen.
    pub id: Option<String>,
    /// The end that Alertmanager showed last.
    pub shown_until: Option<Time>,
    /// That it cannot be set was told.
    pub told: bool,
    /// A person ended or changed it: it is not set again, and not ours to end.
    pub left: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence() -> Silence {
        let mark = SilenceMark { cluster: "lab".into(), case: CaseId(7), node: "pve2".into() };
        let alertnames = ["NodeDown", "Ceph.Osd-Down"].map(str::to_owned).to_vec();
        Silence { mark, cluster_label: None, label: "node".into(), alertnames }
    }

    #[test]
    fn one_of_ours_is_known_again_whatever_the_order_of_its_matchers() {
        let ours = silence();
        let mut matchers = ours.matchers();
        assert_eq!(
            SilenceMark::read("pitlane", &ours.comment(), &matchers),
            Some((ours.mark.clone(), false))
        );
        matchers.reverse();
        assert_eq!(SilenceMark::read("pitlane", &ours.comment(), &matchers), Some((ours.mark, false)));
    }

    #[test]
    fn what_a_person_changed_or_made_is_theirs() {
        let ours = silence();
        let comment = ours.comment();
        let mut wider = ours.matchers();
        wider[0].value = ".+".to_owned();
        let read = SilenceMark::read("pitlane", &comment, &wider);
        assert_eq!(read.map(|(_, edited)| edited), Some(true));
        let whole = ours.matchers();
        assert_eq!(SilenceMark::read("alice", &comment, &whole), None);
        for foreign in [
            "",
            "maintenance of pve2",
            "[pitlane lab/7/pve2]",
            "[pitlane lab/x/pve2/00]",
            "[pitlane a/1/b/c/d]",
        ] {
            assert_eq!(SilenceMark::read("pitlane", foreign, &whole), None, "{foreign}");
        }
    }

    #[test]
    fn names_are_names_and_no_patterns() {
        let [names, node] = &silence().matchers()[..] else { panic!("two conditions") };
        assert_eq!((names.value.as_str(), names.is_regex), (r"NodeDown|Ceph\.Osd\-Down", true));
        assert_eq!((node.name.as_str(), node.value.as_str(), node.is_regex), ("node", "pve2", false));
    }
}
