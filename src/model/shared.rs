//! What clusters share: budgets that count over several of them, such as one row of racks or one technician.
//!
//! A node that is out takes a place in each budget that it belongs to. The place of a drain is taken before the drain begins,
//! and given back when its case is over.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::ids::{BudgetName, CaseId, ClusterName, NodeName};
use super::time::Time;

/// One cluster's part in the shared budgets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedRules {
    pub cluster: ClusterName,
    pub budgets: Vec<SharedBudget>,
}

/// A budget, as one cluster sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedBudget {
    pub name: BudgetName,
    /// Nodes of all its clusters that may be out at once.
    pub nodes_out_max: u32,
    /// Which of this cluster's nodes count.
    pub nodes: Counted,
}

/// Which nodes of a cluster count against a budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    All,
    These(BTreeSet<NodeName>),
}

impl SharedBudget {
    pub fn counts(&self, node: &NodeName) -> bool {
        match &self.nodes {
            Counted::All => true,
            Counted::These(nodes) => nodes.contains(node),
        }
    }
}

/// One node's place in one budget.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    pub budget: BudgetName,
    pub cluster: ClusterName,
    pub node: NodeName,
    /// `None`: it was seen out, and no case of ours took it out.
    pub case: Option<CaseId>,
    pub since: Time,
}

impl Place {
    /// Of the same node in the same budget, whoever took it and when.
    pub fn same(&self, other: &Self) -> bool {
        self.budget == other.budget && self.cluster == other.cluster && self.node == other.node
    }
}
