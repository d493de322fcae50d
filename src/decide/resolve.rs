//! From an alert's labels to a node. `instance` is what was scraped, often a BMC: never by itself a node's name.
//!
//! In this order: a configured label that names a member; the operator's map of BMC addresses and serials; an
//! instance address that is a member's. Two ways that disagree are a conflict, and a conflict is never acted on.

use crate::model::fault::Misfit;
use crate::model::ids::NodeName;
use crate::model::matcher::Labels;
use crate::model::observed::Opinion;
use crate::model::rules::Mapping;

/// Which member the labels mean.
///
/// # Errors
/// Nobody, or two different ones.
pub fn node(labels: &Labels, mapping: &Mapping, members: &Opinion) -> Result<NodeName, Misfit> {
    let mut found: Option<(NodeName, String)> = None;
    for (node, by) in claims(labels, mapping, members) {
        match &found {
            None => found = Some((node, by)),
            Some((first, first_by)) if *first != node => {
                return Err(Misfit::Conflict {
                    first: first.clone(),
                    first_by: first_by.clone(),
                    second: node,
                    second_by: by,
                });
            }
            Some(_) => {}
        }
    }
    found.map(|(node, _)| node).ok_or(Misfit::NoNode)
}

/// Every way in which the labels name a member, with its words.
fn claims(labels: &Labels, mapping: &Mapping, members: &Opinion) -> Vec<(NodeName, String)> {
    let mut claims = Vec::new();
    for label in &mapping.node_labels {
        if let Some(member) = labels.get(label).and_then(|value| member(value, members)) {
            claims.push((member, format!("label {label}")));
        }
    }
    let instance = labels.get("instance").map(|value| host_part(value));
    for (key, node) in &mapping.map {
        let named = instance == Some(key) || labels.values().any(|value| value == key);
        if named && members.nodes.contains_key(node) {
            claims.push((node.clone(), format!("the map's {key}")));
        }
    }
    if let Some(address) = instance {
        let owner = members.nodes.iter().find(|(_, row)| row.address.as_deref() == Some(address));
        claims.extend(owner.map(|(name, _)| (name.clone(), "instance".to_owned())));
    }
    claims
}

/// A member by its exact name, else by case-folded name, else by the first label of a domain name.
fn member(value: &str, members: &Opinion) -> Option<NodeName> {
    let exact = NodeName::from(value);
    if members.nodes.contains_key(&exact) {
        return Some(exact);
    }
    let short = value.split('.').next().unwrap_or(value);
    let mut alike = members.nodes.keys().filter(|name| {
        name.as_str().eq_ignore_ascii_case(value) || name.as_str().eq_ignore_ascii_case(short)
    });
    match (alike.next(), alike.next()) {
        (Some(one), None) => Some(one.clone()),
        _ => None,
    }
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

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn a_node_is_found_in_the_ways_that_operators_name_it() {
        let mapping = Mapping { map: [("10.9.0.2".to_owned(), "pve2".into())].into(), ..Mapping::default() };
        for (given, expected) in [
            (vec![("node", "pve2")], Ok("pve2")),
            (vec![("node", "PVE2.example.net")], Ok("pve2")),
            (vec![("instance", "10.9.0.2:9290")], Ok("pve2")),
            (vec![("instance", "10.0.0.1:9100")], Ok("pve1")),
            (vec![("instance", "10.0.0.9:9100")], Err(Misfit::NoNode)),
            (vec![("node", "")], Err(Misfit::NoNode)),
            (vec![("node", "pve2"), ("instance", "10.0.0.2:9100")], Ok("pve2")),
        ] {
            let got = node(&labels(&given), &mapping, &members());
            assert_eq!(got, expected.map(NodeName::from), "{given:?}");
        }
    }

    #[test]
    fn two_ways_that_disagree_are_a_conflict() {
        let given = labels(&[("node", "pve1"), ("instance", "10.0.0.2:9100")]);
        assert!(matches!(node(&given, &Mapping::default(), &members()), Err(Misfit::Conflict { .. })));
    }
}
