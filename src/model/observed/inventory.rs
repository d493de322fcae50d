//! What a machine is made of, and what its management controller says of it.
//!
//! Each source is kept apart: Proxmox sees disks and network cards from the inside, the BMC sees power supplies and
//! fans. A source that cannot be read stays unknown; what it does not see is nowhere taken for absent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::pairs;
use crate::model::ids::OsdId;
use crate::model::seen::Seen;
use crate::model::step::Switch;
use crate::model::time::Time;

/// A node's parts, one list from each source. Read seldom: it is slow for a BMC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inventories {
    /// When the sources were last asked, whatever they answered.
    pub asked_at: Time,
    pub proxmox: Seen<Inventory>,
    pub bmc: Seen<Inventory>,
}

/// Who lists the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartSource {
    Proxmox,
    Bmc,
}

/// All parts that one source sees. A part that is not in it is not there, as far as that source can tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    #[serde(with = "pairs")]
    pub parts: BTreeMap<PartKey, Part>,
}

/// A place for a part. It outlives the part that is in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PartKey {
    pub kind: PartKind,
    /// As its source names it: `PS1`, `DIMM_A1`, `eno1`; for Proxmox's disks the serial, because `/dev/sda` is
    /// another disk after the next boot.
    pub slot: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartKind {
    Disk,
    Nic,
    Memory,
    Cpu,
    PowerSupply,
    Fan,
    Sensor,
    Board,
}

/// A part, as one source sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub model: String,
    /// `None` where the source does not know: many fans and most simulators have none.
    pub serial: Option<String>,
    /// What the source says of its health; `None` where it says nothing.
    pub good: Option<bool>,
    /// For people: `OK`, `5400 rpm`, `PASSED`.
    pub text: String,
    /// Bytes of a disk or of memory, number of processors; `None` where size says nothing.
    #[serde(default)]
    pub size: Option<u64>,
    /// OSDs on this disk.
    #[serde(default)]
    pub osds: BTreeSet<OsdId>,
    /// `/dev/sdb`: where the running system finds it.
    #[serde(default)]
    pub path: Option<String>,
}

/// What the BMC shows of the machine at this moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BmcView {
    /// The mains switch; `None` where the BMC does not say.
    pub power: Option<Switch>,
    /// Every locate LED that can be seen. One that is not here cannot be lit, or not be read back.
    #[serde(with = "pairs")]
    pub lit: BTreeMap<LocateTarget, Switch>,
}

/// What a locate LED points at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LocateTarget {
    Chassis,
    /// A bay, as the BMC's inventory names it.
    Part(PartKey),
}

impl Inventories {
    pub fn of(&self, source: PartSource) -> &Seen<Inventory> {
        match source {
            PartSource::Proxmox => &self.proxmox,
            PartSource::Bmc => &self.bmc,
        }
    }
}

impl PartSource {
    pub const ALL: [Self; 2] = [Self::Proxmox, Self::Bmc];
}

impl PartKind {
    pub const ALL: [Self; 8] = [
        Self::Disk,
        Self::Nic,
        Self::Memory,
        Self::Cpu,
        Self::PowerSupply,
        Self::Fan,
        Self::Sensor,
        Self::Board,
    ];
}

impl PartKey {
    pub fn new(kind: PartKind, slot: impl Into<String>) -> Self {
        Self { kind, slot: slot.into() }
    }
}

impl Inventory {
    /// The disk that a path (`/dev/sdb`, `sdb`) or a serial names.
    pub fn disk(&self, name: &str) -> Option<(&PartKey, &Part)> {
        let short = name.strip_prefix("/dev/").unwrap_or(name);
        let mut disks = self.parts.iter().filter(|(key, _)| key.kind == PartKind::Disk);
        disks.find(|(key, part)| {
            let path = part.path.as_deref().map(|path| path.strip_prefix("/dev/").unwrap_or(path));
            path == Some(short) || part.serial.as_deref() == Some(name) || key.slot == name
        })
    }
}

impl fmt::Display for PartSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Proxmox => "Proxmox",
            Self::Bmc => "the BMC",
        })
    }
}

impl fmt::Display for PartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Disk => "disk",
            Self::Nic => "network card",
            Self::Memory => "memory",
            Self::Cpu => "processor",
            Self::PowerSupply => "power supply",
            Self::Fan => "fan",
            Self::Sensor => "sensor",
            Self::Board => "board",
        })
    }
}

impl fmt::Display for PartKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.slot)
    }
}

impl fmt::Display for LocateTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chassis => f.pad("the chassis"),
            Self::Part(key) => key.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_found_by_path_name_and_serial() {
        let disk = Part { serial: Some("S1".into()), path: Some("/dev/sdb".into()), ..Part::default() };
        let parts = [
            (PartKey::new(PartKind::Disk, "S1"), disk),
            (PartKey::new(PartKind::Nic, "sdb"), Part::default()),
        ];
        let inventory = Inventory { parts: parts.into() };
        for name in ["sdb", "/dev/sdb", "S1"] {
            assert_eq!(inventory.disk(name).map(|(key, _)| key.slot.as_str()), Some("S1"), "{name}");
        }
        assert_eq!(inventory.disk("sd"), None);
    }
}
