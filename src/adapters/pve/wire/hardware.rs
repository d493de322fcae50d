//! One node's disks and network interfaces.

use serde::Deserialize;

use super::{Flag, Int, Stat, Text};

/// A row of `/nodes/N/disks/list`. What smartctl could not tell is the word `unknown`, not a missing member.
#[derive(Debug, Clone, Deserialize)]
pub struct DiskRow {
    pub devpath: Text,
    pub serial: Option<Text>,
    pub model: Option<Text>,
    pub vendor: Option<Text>,
    /// `PASSED`, `OK`, `FAILED`, `UNKNOWN`.
    pub health: Option<Text>,
    /// Percent of life left; `N/A` for spinning disks.
    pub wearout: Option<Text>,
    /// Bytes.
    pub size: Option<Stat>,
    /// -1: none. The first one where there are several.
    pub osdid: Option<Int>,
    #[serde(rename = "osdid-list")]
    pub osdids: Option<Vec<Int>>,
}

/// A row of `/nodes/N/network`.
#[derive(Debug, Clone, Deserialize)]
pub struct NetworkRow {
    pub iface: Text,
    /// `eth` for a physical one.
    #[serde(rename = "type")]
    pub kind: Option<Text>,
    /// The kernel has it.
    pub exists: Option<Flag>,
    /// It is up. Some versions say only this.
    pub active: Option<Flag>,
}
