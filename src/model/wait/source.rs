//! Where a reading comes from.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is being looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    Cluster,
    SecondMember,
    Ha,
    HaRules,
    Votes,
    Privileges,
    Node,
    Guest,
    Ceph,
    OkToStop,
    Hand,
    Sensor,
    WorkOrder,
    Alarms,
    Inventory,
    Bmc,
    Survey,
    Places,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cluster => "the cluster",
            Self::SecondMember => "a second member",
            Self::Ha => "HA",
            Self::HaRules => "HA's rules",
            Self::Votes => "the votes",
            Self::Privileges => "our token's privileges",
            Self::Node => "the node",
            Self::Guest => "the guest",
            Self::Ceph => "Ceph",
            Self::OkToStop => "Ceph's ok-to-stop",
            Self::Hand => "the root helper",
            Self::Sensor => "the sensor",
            Self::WorkOrder => "the work order",
            Self::Alarms => "Alertmanager",
            Self::Inventory => "the list of parts",
            Self::Bmc => "the BMC",
            Self::Survey => "backups, replication and processors",
            Self::Places => "the shared budgets",
        })
    }
}
