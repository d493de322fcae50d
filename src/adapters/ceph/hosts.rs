//! Which OSD stands in which host bucket, and which bucket is which member of the cluster.
//!
//! A bucket's name is often the member's name, and often not. We never guess: the OSDs themselves say on which host
//! they run, and a member is mapped only if everything fits together, one bucket to one member.

use std::collections::{BTreeMap, BTreeSet};

use super::command::Command;
use super::error::CephError;
use super::wire::{Metadata, Tree, TreeNode};
use crate::model::ids::{HostName, NodeName, OsdId};
use crate::model::observed::Osd;

/// Every OSD in the tree. Stray ones hold no data by CRUSH's rules and are in no bucket: they are left out.
///
/// # Errors
/// A tree that contradicts itself.
pub fn osds(tree: &Tree) -> Result<BTreeMap<OsdId, Osd>, CephError> {
    let garbled = |why: String| CephError::Garbled { command: Command::OsdTree.text(), why };
    let parents: BTreeMap<i64, &TreeNode> = tree
        .nodes
        .iter()
        .filter(|node| node.id < 0)
        .flat_map(|node| node.children.iter().map(move |child| (*child, node)))
        .collect();
    let mut osds = BTreeMap::new();
    for node in tree.nodes.iter().filter(|node| node.kind == "osd") {
        let Some(parent) = parents.get(&node.id) else {
            continue;
        };
        let id = u32::try_from(node.id).map_err(|_| garbled(format!("OSD {} is below zero", node.id)))?;
        let status = node.status.as_deref().ok_or_else(|| garbled(format!("OSD {id} has no status")))?;
        let weight = node.reweight.ok_or_else(|| garbled(format!("OSD {id} has no reweight")))?;
        let host = HostName(host_above(parent, &parents).name.clone());
        osds.insert(OsdId(id), Osd { host, up: status == "up", r#in: weight > 0.0, version: None });
    }
    Ok(osds)
}

/// The host bucket that an OSD stands in; its own parent where there is none above it (no member is mapped to that).
fn host_above<'a>(start: &'a TreeNode, parents: &BTreeMap<i64, &'a TreeNode>) -> &'a TreeNode {
    let mut bucket = start;
    // Bounded by the tree's size: a tree that bites its own tail must not hold us.
    for _ in 0..=parents.len() {
        if bucket.kind == "host" {
            return bucket;
        }
        match parents.get(&bucket.id) {
            Some(above) => bucket = above,
            None => break,
        }
    }
    start
}

/// Is there a host bucket of this very name? A rack, a root, an OSD or a device class is none.
pub fn is_host(tree: &Tree, name: &HostName) -> bool {
    tree.nodes.iter().any(|node| node.kind == "host" && node.name == name.0)
}

/// Member → bucket, as far as there is no doubt. In doubt are a bucket whose OSDs run on two machines, and a machine
/// whose OSDs stand in two buckets (a disk that was carried over, buckets split by disk type).
pub fn members(
    osds: &BTreeMap<OsdId, Osd>,
    metadata: &[Metadata],
    tree: &Tree,
) -> BTreeMap<NodeName, HostName> {
    let mut runs_on: BTreeMap<&HostName, BTreeSet<NodeName>> = BTreeMap::new();
    let mut stands_in: BTreeMap<NodeName, BTreeSet<&HostName>> = BTreeMap::new();
    for told in metadata {
        let Some(osd) = u32::try_from(told.id).ok().and_then(|id| osds.get(&OsdId(id))) else {
            continue;
        };
        let Some(name) = told.hostname.as_deref().map(short).filter(|name| !name.is_empty()) else {
            continue;
        };
        runs_on.entry(&osd.host).or_default().insert(name.into());
        stands_in.entry(name.into()).or_default().insert(&osd.host);
    }
    stands_in
        .into_iter()
        .filter_map(|(member, buckets)| match buckets.into_iter().collect::<Vec<_>>().as_slice() {
            [one] if runs_on[one].len() == 1 && is_host(tree, one) => Some((member, (*one).clone())),
            _ => None,
        })
        .collect()
}

/// A member's name is its host name's first label; some machines report the whole one.
fn short(hostname: &str) -> &str {
    hostname.split('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Buckets as (name, type, OSDs); every OSD is up and in.
    fn tree(buckets: &[(&str, &str, &[i64])]) -> Tree {
        let bucket = |(n, &(name, kind, ids)): (usize, &(&str, &str, &[i64]))| TreeNode {
            id: -(n as i64) - 2,
            name: name.into(),
            kind: kind.into(),
            children: ids.to_vec(),
            status: None,
            reweight: None,
        };
        let osd = |&id: &i64| TreeNode {
            id,
            name: format!("osd.{id}"),
            kind: "osd".into(),
            children: Vec::new(),
            status: Some("up".into()),
            reweight: Some(1.0),
        };
        let mut nodes: Vec<TreeNode> = buckets.iter().enumerate().map(bucket).collect();
        nodes.extend(buckets.iter().flat_map(|(_, _, ids)| ids.iter().map(osd)));
        Tree { nodes }
    }

    fn mapped(buckets: &[(&str, &str, &[i64])], told: &[(i64, &str)]) -> Vec<(String, String)> {
        let tree = tree(buckets);
        let osds = osds(&tree).expect("a sound tree");
        let told: Vec<Metadata> = told
            .iter()
            .map(|&(id, h)| Metadata { id, hostname: Some(h.into()), ceph_version_short: None })
            .collect();
        members(&osds, &told, &tree).into_iter().map(|(node, host)| (node.0, host.0)).collect()
    }

    fn pair(node: &str, host: &str) -> (String, String) {
        (node.into(), host.into())
    }

    #[test]
    fn a_bucket_is_known_by_its_osds_not_by_its_name() {
        let buckets: [(&str, &str, &[i64]); 2] = [("rack1-a", "host", &[0, 1]), ("pve1", "host", &[2])];
        let told = [(0, "pve1.example.net"), (1, "pve1"), (2, "pve2")];
        assert_eq!(mapped(&buckets, &told), [pair("pve1", "rack1-a"), pair("pve2", "pve1")]);
    }

    #[test]
    fn in_doubt_nobody_is_mapped() {
        let two_machines: [(&str, &str, &[i64]); 2] = [("a", "host", &[0, 1]), ("b", "host", &[2])];
        assert_eq!(mapped(&two_machines, &[(0, "pve1"), (1, "pve2"), (2, "pve2")]), []);
        let split: [(&str, &str, &[i64]); 2] = [("a-ssd", "host", &[0]), ("a-hdd", "host", &[1])];
        assert_eq!(mapped(&split, &[(0, "pve1"), (1, "pve1")]), []);
        let bare: [(&str, &str, &[i64]); 1] = [("default", "root", &[0])];
        assert_eq!(mapped(&bare, &[(0, "pve1")]), []);
    }

    #[test]
    fn an_osd_that_never_started_raises_no_doubt_and_a_stray_one_is_nowhere() {
        let mut tree = tree(&[("a", "host", &[0, 1])]);
        tree.nodes[0].children.pop();
        let osds = osds(&tree).expect("a sound tree");
        assert_eq!(osds.keys().collect::<Vec<_>>(), [&OsdId(0)]);
        let told = [
            Metadata { id: 0, hostname: Some("pve1".into()), ceph_version_short: None },
            Metadata { id: 1, hostname: None, ceph_version_short: None },
        ];
        assert_eq!(members(&osds, &told, &tree).len(), 1);
    }
}
