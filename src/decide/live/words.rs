//! Why a guest finds no place, as an operator reads it. The planner answers with a reason per node; here it gets the figure
//! or the name that makes it useful.

use std::collections::BTreeMap;

use crate::decide::planner::instance::{GuestAt, NodeAt, Way};
use crate::decide::planner::{Planned, Reason};
use crate::model::ids::{GuestId, NodeName};

use super::Live;

impl Live {
    /// Guests that have a way and no place, each with every node and why not: open nodes first.
    pub(super) fn left(&self, planned: &Planned) -> BTreeMap<GuestId, Vec<(NodeName, String)>> {
        let free = self.free_at_the_end(planned);
        let stuck = |at: GuestAt| self.placing.guests[at].way == Way::No;
        let left = planned.left.iter().filter(|left| !stuck(left.guest));
        left.map(|left| {
            let guest = self.guests[left.guest];
            let mut blockers: Vec<(bool, NodeName, String)> = left
                .blockers
                .iter()
                .map(|(node, why)| {
                    let name = self.nodes[*node].clone();
                    (self.closed.contains_key(&name), name, self.words(left.guest, *node, *why, &free))
                })
                .collect();
            blockers.sort();
            if blockers.is_empty() {
                // The reason is no node's.
                let why = self.words(left.guest, self.placing.guests[left.guest].node, left.why, &free);
                blockers.extend(self.nodes.iter().map(|node| (false, node.clone(), why.clone())));
                blockers.retain(|(_, node, _)| *node != self.nodes[self.placing.guests[left.guest].node]);
            }
            (guest, blockers.into_iter().map(|(_, node, why)| (node, why)).collect())
        })
        .collect()
    }

    fn words(&self, at: GuestAt, node: NodeAt, why: Reason, free: &[i64]) -> String {
        let (guest, name) = (&self.placing.guests[at], &self.nodes[node]);
        if let Some(closed) = self.closed.get(name) {
            return closed.clone();
        }
        if let Some(refused) = self.refused.get(&self.guests[at]).and_then(|by| by.get(name)) {
            return refused.clone();
        }
        match why {
            Reason::Memory => format!("memory: {} MiB short", guest.memory - free[node]),
            Reason::Cpu => "vCPUs".to_owned(),
            Reason::Storage => self.storage_words(at, node),
            Reason::Device => "it lacks a device".to_owned(),
            Reason::NotAllowed => "an HA rule does not allow it".to_owned(),
            Reason::Apart => "an HA rule keeps them apart".to_owned(),
            Reason::Together => "HA keeps it together with a guest that cannot leave".to_owned(),
            Reason::NPlusOne => "the loss of one more node could not be absorbed".to_owned(),
            Reason::NodeClosed => "it takes nobody".to_owned(),
            Reason::Immovable => "it cannot move".to_owned(),
        }
    }

    fn storage_words(&self, at: GuestAt, node: NodeAt) -> String {
        let has = |storage: usize| self.placing.nodes[node].storages.iter().any(|(st, _)| *st == storage);
        let disks = &self.placing.guests[at].disks;
        let missing = disks.iter().find(|(storage, _)| !has(*storage));
        match (missing, disks.first()) {
            (Some((storage, _)), _) => {
                format!("it does not have storage {}", self.placing.storages[*storage].name)
            }
            (None, Some((storage, _))) => {
                format!("storage {} is too full", self.placing.storages[*storage].name)
            }
            (None, None) => "storage".to_owned(),
        }
    }

    /// MiB that each node has left once the plan is done.
    fn free_at_the_end(&self, planned: &Planned) -> Vec<i64> {
        let inst = &self.placing;
        let mut at: Vec<NodeAt> = inst.guests.iter().map(|guest| guest.node).collect();
        planned.moves.iter().for_each(|m| at[m.guest] = m.to);
        let mut free: Vec<i64> = inst.nodes.iter().map(|node| node.memory).collect();
        for (guest, node) in inst.guests.iter().zip(at).filter(|(guest, _)| guest.running) {
            free[node] -= guest.memory;
        }
        free
    }
}
