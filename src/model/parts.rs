//! The parts that a case found before the machine was touched, and what people and the proof said of them since.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ids::{OsdId, Person};
use super::observed::{Inventory, PartKey, PartSource, pairs};
use super::time::Time;

/// What a case remembers of its machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Parts {
    /// As it was before the drain, from each source that could be read then. A source that is not here proves nothing.
    #[serde(default)]
    pub baseline: BTreeMap<PartSource, Baseline>,
    /// Differences that a person explained.
    #[serde(default, with = "pairs")]
    pub accepted: BTreeMap<PartKey, Accepted>,
    /// Sources that a person gave up: a controller that was replaced, too.
    #[serde(default)]
    pub given_up: BTreeMap<PartSource, Accepted>,
    /// Replacements that the journal has told: the place, and the serial that is in it now.
    #[serde(default, with = "pairs")]
    pub replaced: BTreeMap<PartKey, String>,
    /// The host's OSDs as the node began to leave: a machine that was installed anew under its old name has others.
    #[serde(default)]
    pub osds: BTreeSet<OsdId>,
    /// A person said that those which are missing will not come back.
    #[serde(default)]
    pub osds_given_up: Option<Accepted>,
    /// The journal has told what the baseline consists of.
    #[serde(default)]
    pub told: bool,
}

/// One source's list, and when it was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    pub at: Time,
    pub inventory: Inventory,
}

/// A person's word that a difference is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    pub by: Person,
    pub at: Time,
    pub reason: String,
}
