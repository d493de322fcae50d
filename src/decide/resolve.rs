//! From an alert's labels to a node. `instance` is what was scraped, often a BMC: never by itself a node's name.
//!
//! In this order: a configured label that names a member; the operator's map of BMC addresses and serials; an
//! instance address that is a member's; the host of the Ceph daemon that is named. Two ways that disagree are a
//! conflict, and a conflict is never acted on. Every way that was tried is told, so that a person can ask why.

use std::collections::BTreeMap;

use serde::Serialize;

use super::disks::daemon;
use crate::model::fault::Misfit;
use crate::model::ids::NodeName;
use crate::model::matcher::Labels;
use crate::model::observed::{CephView, Opinion};
use crate::model::rules::{CephSetup, Mapping, Rules};

/// Who may be meant.
#[derive(Clone, Copy)]
pub struct Cluster<'a> {
    pub members: &'a Opinion,
    /// `None`: not seen, or not there.
    pub ceph: Option<&'a CephView>,
}

/// One way of naming a node that the labels offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// `label`, `map`, `address`, `daemon`.
    pub step: &'static str,
    /// The member that it names; `None`: nobody.
    pub node: Option<NodeName>,
    /// For people: `label node is pve1, a member's name`.
    pub text: String,
}

/// Which member the labels mean.
///
/// # Errors
/// Nobody, or two different ones.
pub fn node(labels: &Labels, rules: &Rules, cluster: Cluster) -> Result<NodeName, Misfit> {
    asked(labels, rules, cluster, None)
}

/// Every way that the labels offer, and what comes of them together.
pub fn explain(labels: &Labels, rules: &Rules, cluster: Cluster) -> (Vec<Tried>, Result<NodeName, Misfit>) {
    let mut tried = Vec::new();
    let node = asked(labels, rules, cluster, Some(&mut tried));
    (tried, node)
}

/// Every turn asks this of every alert, and nobody reads how it was found: then nothing is written of it.
fn asked(
    labels: &Labels,
    rules: &Rules,
    cluster: Cluster,
    tried: Option<&mut Vec<Tried>>,
) -> Result<NodeName, Misfit> {
    let mut asked = Asked { cluster, tried, found: None, misfit: None };
    let stranger = asked.labels(labels, &rules.mapping);
    asked.map(labels, &rules.mapping);
    // The label speaks of a machine that is no member: whose exporter saw it says nothing about which it is.
    if let Some((label, value)) = stranger.filter(|_| asked.found.is_none()) {
        asked.misfit.get_or_insert(Misfit::Stranger { label, value });
    }
    asked.address(labels);
    asked.daemon(labels, rules.ceph);
    match (asked.misfit, asked.found) {
        (Some(misfit), _) => Err(misfit),
        (None, Some((node, _))) => Ok(node),
        (None, None) => Err(Misfit::NoNode),
    }
}

struct Asked<'a> {
    cluster: Cluster<'a>,
    /// `None` where nobody asks how.
    tried: Option<&'a mut Vec<Tried>>,
    found: Option<(NodeName, String)>,
    misfit: Option<Misfit>,
}

impl Asked<'_> {
    /// The first way that names a member counts; one that names another is a conflict.
    fn hit(&mut self, step: &'static str, node: NodeName, by: String, text: impl FnOnce() -> String) {
        match &self.found {
            None => self.found = Some((node.clone(), by)),
            Some((first, first_by)) if *first != node => {
                self.misfit.get_or_insert(Misfit::Conflict {
                    first: first.clone(),
                    first_by: first_by.clone(),
                    second: node.clone(),
                    second_by: by,
                });
            }
            Some(_) => {}
        }
        if let Some(tried) = &mut self.tried {
            tried.push(Tried { step, node: Some(node), text: text() });
        }
    }

    fn miss(&mut self, step: &'static str, text: impl FnOnce() -> String) {
        if let Some(tried) = &mut self.tried {
            tried.push(Tried { step, node: None, text: text() });
        }
    }

    /// Labels whose value is a member. Returns the first one that names somebody who is none.
    fn labels(&mut self, labels: &Labels, mapping: &Mapping) -> Option<(String, String)> {
        let mut stranger = None;
        for label in &mapping.node_labels {
            let Some(value) = labels.get(label).filter(|value| !value.is_empty()) else { continue };
            match member(value, self.cluster.members) {
                Named::One(node, how) => {
                    let text = format!("label {label} is {value}, {how} of {node}");
                    self.hit("label", node, format!("label {label}"), || text);
                }
                Named::Many => {
                    self.miss("label", || {
                        format!("label {label} is {value}, which fits more than one member")
                    });
                    let (label, value) = (label.clone(), value.to_owned());
                    self.misfit.get_or_insert(Misfit::Ambiguous { label, value });
                }
                Named::Nobody => {
                    self.miss("label", || format!("label {label} is {value}, which names no member"));
                    stranger.get_or_insert_with(|| (label.clone(), value.to_owned()));
                }
            }
        }
        // Proxmox's own exporter writes `node/pve1`.
        if let Some(name) = labels.get("id").and_then(|id| id.strip_prefix("node/"))
            && let Named::One(node, how) = member(name, self.cluster.members)
        {
            self.hit("label", node.clone(), "label id".to_owned(), || {
                format!("label id is node/{name}, {how} of {node}")
            });
        }
        stranger
    }

    fn map(&mut self, labels: &Labels, mapping: &Mapping) {
        let instance = labels.get("instance").map(host_part);
        // A fleet has thousands of entries, and an alert a dozen labels.
        let named: BTreeMap<&String, &NodeName> =
            labels.values().chain(instance).filter_map(|value| mapping.map.get_key_value(value)).collect();
        for (key, node) in named {
            if self.cluster.members.nodes.contains_key(node) {
                let text = || format!("mapping.map says that {key} is {node}");
                self.hit("map", node.clone(), format!("the map's {key}"), text);
            } else {
                self.miss("map", || format!("mapping.map says that {key} is {node}, which is no member"));
            }
        }
    }

    fn address(&mut self, labels: &Labels) {
        let Some(instance) = labels.get("instance") else { return };
        let address = host_part(instance);
        let mut rows = self.cluster.members.nodes.iter();
        match rows.find(|(_, row)| row.address.as_deref() == Some(address)) {
            Some((name, _)) => {
                let text = || format!("instance {instance} is the address of {name}");
                self.hit("address", name.clone(), "instance".to_owned(), text);
            }
            None => self.miss("address", || format!("instance {instance} is no member's address")),
        }
    }

    fn daemon(&mut self, labels: &Labels, setup: CephSetup) {
        let Some(name) = labels.get("ceph_daemon") else { return };
        let Some(osd) = daemon(name) else {
            return self.miss("daemon", || format!("ceph_daemon {name} is no OSD"));
        };
        let Some(ceph) = self.cluster.ceph else {
            if setup == CephSetup::Hyperconverged && self.found.is_none() {
                self.misfit.get_or_insert(Misfit::CephUnseen { daemon: name.to_owned() });
            }
            return self.miss("daemon", || format!("ceph_daemon is {name}, and Ceph cannot be seen"));
        };
        let host = ceph.osds.get(&osd).map(|osd| &osd.host);
        let node = host.and_then(|host| ceph.hosts.iter().find(|(_, h)| *h == host));
        match (host, node) {
            (Some(host), Some((node, _))) if self.cluster.members.nodes.contains_key(node) => {
                let text = || format!("ceph_daemon {name} is on host {host}, which is {node}");
                self.hit("daemon", node.clone(), format!("ceph_daemon {name}"), text);
            }
            (Some(host), _) => {
                self.miss("daemon", || format!("ceph_daemon {name} is on host {host}, no member"))
            }
            (None, _) => self.miss("daemon", || format!("Ceph knows no {name}")),
        }
    }
}

enum Named {
    One(NodeName, &'static str),
    Many,
    Nobody,
}

/// A member by its exact name, else by case-folded name, else by the first label of a domain name.
fn member(value: &str, members: &Opinion) -> Named {
    let exact = NodeName::from(value);
    if members.nodes.contains_key(&exact) {
        return Named::One(exact, "the name");
    }
    let short = value.split('.').next().unwrap_or(value);
    for (spelt, how) in [(value, "the name but for capitals"), (short, "the first part of the name")] {
        let mut alike = members.nodes.keys().filter(|name| name.as_str().eq_ignore_ascii_case(spelt));
        match (alike.next(), alike.next()) {
            (Some(one), None) => return Named::One(one.clone(), how),
            (Some(_), Some(_)) => return Named::Many,
            (None, _) => {}
        }
    }
    Named::Nobody
}

/// `10.0.0.1:9100` → `10.0.0.1`; `[::1]:9100` → `::1`.
fn host_part(instance: &str) -> &str {
    if let Some(rest) = instance.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match instance.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.chars().all(|c| c.is_ascii_digit()) => host,
        _ => instance,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::observed::NodeRow;

    fn members() -> Opinion {
        let row = |address: &str| NodeRow {
            online: true,
            address: Some(address.to_owned()),
            capacity: None,
            storages: BTreeMap::new(),
        };
        Opinion {
            member: "pve1".into(),
            quorate: true,
            nodes: [("pve1".into(), row("10.0.0.1")), ("pve2".into(), row("10.0.0.2"))].into(),
            guests: BTreeMap::new(),
        }
    }

    fn ceph() -> CephView {
        let osd = crate::model::observed::Osd { host: "ceph-2".into(), up: true, r#in: true, version: None };
        CephView {
            osds: [(crate::model::ids::OsdId(4), osd)].into(),
            hosts: [("pve2".into(), "ceph-2".into())].into(),
            ..CephView::default()
        }
    }

    fn rules(mapping: Mapping) -> Rules {
        Rules {
            mode: Default::default(),
            policies: Vec::new(),
            mapping,
            ceph: CephSetup::Hyperconverged,
            alarms: Default::default(),
            hand: Default::default(),
            budgets: Default::default(),
            limits: Default::default(),
            notify: Default::default(),
            own: crate::model::rules::OwnHome::outside(),
            silences: None,
            shared: None,
            packing: Default::default(),
        }
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn a_node_is_found_in_the_ways_that_operators_name_it() {
        let map = [("10.9.0.2".to_owned(), "pve2".into()), ("S-77".to_owned(), "pve1".into())];
        let rules = rules(Mapping { map: map.into(), ..Mapping::default() });
        let stranger = |value: &str| Err(Misfit::Stranger { label: "node".into(), value: value.into() });
        for (given, expected) in [
            (vec![("node", "pve2")], Ok("pve2")),
            (vec![("node", "PVE2.example.net")], Ok("pve2")),
            (vec![("instance", "10.9.0.2:9290")], Ok("pve2")),
            (vec![("instance", "10.0.0.1:9100")], Ok("pve1")),
            (vec![("instance", "10.0.0.9:9100")], Err(Misfit::NoNode)),
            (vec![("id", "node/pve1"), ("instance", "10.9.9.9:9221")], Ok("pve1")),
            (vec![("chassisSerialNumber", "S-77")], Ok("pve1")),
            (vec![("ceph_daemon", "osd.4"), ("instance", "10.9.9.9:9283")], Ok("pve2")),
            (vec![("ceph_daemon", "osd.9")], Err(Misfit::NoNode)),
            (vec![("ceph_daemon", "mon.a")], Err(Misfit::NoNode)),
            // Another machine's alert, seen by an exporter that runs on a member.
            (vec![("node", "storage7"), ("instance", "10.0.0.1:9100")], stranger("storage7")),
            (vec![("node", "bmc-pve2"), ("instance", "10.9.0.2:9290")], Ok("pve2")),
            (vec![("node", "")], Err(Misfit::NoNode)),
            (vec![("node", "pve2"), ("instance", "10.0.0.2:9100")], Ok("pve2")),
        ] {
            let got = node(&labels(&given), &rules, Cluster { members: &members(), ceph: Some(&ceph()) });
            assert_eq!(got, expected.map(NodeName::from), "{given:?}");
        }
    }

    #[test]
    fn two_ways_that_disagree_are_a_conflict() {
        let given = labels(&[("node", "pve1"), ("instance", "10.0.0.2:9100")]);
        let (members, ceph) = (members(), ceph());
        let cluster = Cluster { members: &members, ceph: Some(&ceph) };
        let (tried, node) = explain(&given, &rules(Mapping::default()), cluster);
        assert!(matches!(node, Err(Misfit::Conflict { .. })));
        assert_eq!(tried.len(), 2, "both are told: {tried:?}");
        let given = labels(&[("node", "pve1"), ("ceph_daemon", "osd.4")]);
        assert!(matches!(
            super::node(&given, &rules(Mapping::default()), cluster),
            Err(Misfit::Conflict { .. })
        ));
    }

    #[test]
    fn a_name_that_fits_two_members_is_nobodys() {
        let mut members = members();
        let row = members.nodes.values().next().cloned().expect("a member");
        members.nodes.insert("PVE1".into(), row);
        let cluster = Cluster { members: &members, ceph: None };
        let given = labels(&[("node", "Pve1"), ("instance", "10.0.0.2:9100")]);
        let got = node(&given, &rules(Mapping::default()), cluster);
        assert_eq!(got, Err(Misfit::Ambiguous { label: "node".into(), value: "Pve1".into() }));
    }

    #[test]
    fn while_ceph_cannot_be_seen_a_daemon_is_not_nobody() {
        let members = members();
        let cluster = Cluster { members: &members, ceph: None };
        let daemon = labels(&[("ceph_daemon", "osd.4")]);
        let got = node(&daemon, &rules(Mapping::default()), cluster);
        assert_eq!(got, Err(Misfit::CephUnseen { daemon: "osd.4".into() }));
        let none = Rules { ceph: CephSetup::None, ..rules(Mapping::default()) };
        assert_eq!(node(&daemon, &none, cluster), Err(Misfit::NoNode));
    }
}
