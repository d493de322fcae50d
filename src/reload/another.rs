//! Is it still the same cluster? A case's ticket is found again by the cluster's name, and what it owes is on members
//! that only the old configuration names. So while a case is open, a configuration of another cluster is refused.

use std::collections::BTreeSet;

use pitlane::config::Config;
use pitlane::model::case::Case;
use pitlane::model::ids::NodeName;
use pitlane::model::wait_text::list;

/// What tells clusters apart before anybody is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// `None`: it was given no name, so no ticket carries one.
    name: Option<String>,
    /// Members that are asked, or whose certificates are known.
    members: BTreeSet<NodeName>,
}

impl Cluster {
    pub fn of(config: &Config) -> Self {
        let proxmox = config.proxmox.iter();
        let members = proxmox.flat_map(|pve| {
            pve.endpoints.iter().map(|endpoint| &endpoint.node).chain(pve.fingerprints.keys()).cloned()
        });
        Self { name: config.cluster.clone(), members: members.collect() }
    }

    /// What differs, in words; `None`: as far as can be told it is the same one.
    pub fn turned_into(&self, new: &Self) -> Option<String> {
        match (&self.name, &new.name) {
            (Some(old), Some(new)) if old != new => {
                return Some(format!(
                    "name: the running configuration is of cluster {old}, this one of {new}"
                ));
            }
            (Some(old), None) => {
                return Some(format!(
                    "name: the running configuration is of cluster {old}, and here is no name"
                ));
            }
            _ => {}
        }
        let strangers = !new.members.is_empty() && self.members.is_disjoint(&new.members);
        (strangers && !self.members.is_empty()).then(|| {
            let (old, new) = (list(&self.members), list(&new.members));
            format!("proxmox.endpoints: the running configuration asks {old}, this one {new}, and they share nobody")
        })
    }
}

/// The mistake that it is to turn to another cluster now.
pub fn refusal(what: &str, open: &[Case]) -> Option<String> {
    let first = open.first()?;
    let more = match open.len() {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    Some(format!(
        "{what}. Case {} of {}{more} is open: its ticket and what it owes belong to the old one. Close it first (pitlane \
         owed shows what is held), or put the old configuration back",
        first.id, first.node
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(name: Option<&str>, members: &[&str]) -> Cluster {
        let members = members.iter().map(|node| NodeName::from(*node)).collect();
        Cluster { name: name.map(str::to_owned), members }
    }

    #[test]
    fn another_name_or_nobody_in_common_is_another_cluster() {
        let lab = cluster(Some("lab"), &["pve1", "pve2"]);
        let told = |new: &Cluster| lab.turned_into(new).unwrap_or_default();
        assert!(told(&cluster(Some("shop"), &["pve1", "pve2"])).contains("of cluster lab, this one of shop"));
        assert!(told(&cluster(None, &["pve1", "pve2"])).contains("no name"));
        assert!(told(&cluster(Some("lab"), &["web1"])).contains("asks pve1 and pve2, this one web1"));
        assert_eq!(told(&cluster(Some("lab"), &["pve2", "pve3"])), "", "a member more, a member less");
        assert_eq!(told(&cluster(Some("lab"), &[])), "", "without members it is refused for that");
        let nameless = cluster(None, &["pve1"]);
        assert_eq!(nameless.turned_into(&cluster(Some("lab"), &["pve1"])), None, "no ticket carried a name");
    }
}
