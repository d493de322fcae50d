//! The machine under a node: what it is made of, and the controller that watches it from outside.
//!
//! The running system sees disks, network cards and memory; the BMC sees power supplies and fans, and lives while the
//! node is off.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::ids::NodeName;
use crate::model::observed::{BmcView, Inventory, LocateTarget, Part, PartKey, PartKind};
use crate::model::seen::Trouble;
use crate::model::step::Switch;

use super::{Actor, GIB, World};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// As the running system sees it.
    pub inside: Inventory,
    /// `None`: nobody told pitlane how to reach one.
    pub bmc: Option<Bmc>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Bmc {
    /// It takes packets and says nothing.
    pub hangs: bool,
    pub parts: Inventory,
    /// Lit LEDs, and who lit them. Every target of [`Bmc::targets`] has one.
    #[serde(with = "crate::model::observed::pairs")]
    pub lit: BTreeMap<LocateTarget, Actor>,
}

impl Bmc {
    /// Six fans, two power supplies, four modules of memory.
    pub fn usual() -> Self {
        let part = |text: &str, serial: Option<String>| Part {
            good: Some(true),
            text: text.to_owned(),
            serial,
            ..Part::default()
        };
        let fans = (1..=6).map(|n| (PartKey::new(PartKind::Fan, format!("FAN{n}")), part("5400 rpm", None)));
        let psus = (1..=2).map(|n| {
            (PartKey::new(PartKind::PowerSupply, format!("PS{n}")), part("OK", Some(format!("PSU-{n}"))))
        });
        let memory = (1..=4).map(|n| {
            (PartKey::new(PartKind::Memory, format!("DIMM{n}")), part("OK", Some(format!("DIMM-{n}"))))
        });
        Self {
            hangs: false,
            parts: Inventory { parts: fans.chain(psus).chain(memory).collect() },
            lit: BTreeMap::new(),
        }
    }

    fn targets(&self) -> impl Iterator<Item = LocateTarget> {
        let disks = self.parts.parts.keys().filter(|key| key.kind == PartKind::Disk);
        std::iter::once(LocateTarget::Chassis).chain(disks.cloned().map(LocateTarget::Part))
    }
}

impl World {
    /// What every machine has inside, from the nodes and OSDs as they were built.
    pub(crate) fn furnish(&mut self) {
        for (name, node) in &self.nodes {
            let machine = self.machines.entry(name.clone()).or_default();
            let parts = &mut machine.inside.parts;
            let mut add = |kind, slot: &str, part: Part| parts.insert(PartKey::new(kind, slot), part);
            let disk = |serial: String, path: String| Part {
                model: "MZ7L3960".to_owned(),
                serial: Some(serial),
                good: Some(true),
                text: "PASSED".to_owned(),
                size: Some(960 << 30),
                path: Some(path),
                ..Part::default()
            };
            let boot = format!("{name}-BOOT");
            add(PartKind::Disk, &boot, disk(boot.clone(), "/dev/sda".to_owned()));
            let osds = self.ceph.iter().flat_map(|ceph| &ceph.osds).filter(|(_, osd)| osd.host.0 == name.0);
            for (letter, (id, _)) in ('b'..='z').zip(osds) {
                let serial = format!("{name}-OSD{id}");
                let part = disk(serial.clone(), format!("/dev/sd{letter}"));
                add(PartKind::Disk, &serial, Part { osds: [*id].into(), ..part });
            }
            add(PartKind::Nic, "eno1", Part { text: "up".to_owned(), ..Part::default() });
            add(PartKind::Nic, "eno2", Part { text: "up".to_owned(), ..Part::default() });
            let memory = Part {
                size: Some(node.memory),
                text: format!("{} GiB", node.memory / GIB),
                ..Part::default()
            };
            add(PartKind::Memory, "total", memory);
            let cores = Part {
                size: Some(node.cores.into()),
                text: format!("{} cores", node.cores),
                ..Part::default()
            };
            add(PartKind::Cpu, "total", cores);
        }
    }

    /// Asked of the node itself, through another member.
    pub fn parts_inside(&self, via: &NodeName, node: &NodeName) -> Result<Inventory, Trouble> {
        self.proxy(via, node)?;
        let none = || Trouble::Nonsense(format!("{node} lists nothing"));
        self.machines.get(node).map(|machine| machine.inside.clone()).ok_or_else(none)
    }

    fn bmc(&self, node: &NodeName) -> Result<&Bmc, Trouble> {
        let bmc = self.machines.get(node).and_then(|machine| machine.bmc.as_ref());
        let bmc = bmc.ok_or_else(|| Trouble::NotConfigured(format!("no BMC of {node} is configured")))?;
        if bmc.hangs { Err(Trouble::TooSlow(format!("the BMC of {node} does not answer"))) } else { Ok(bmc) }
    }

    pub fn see_bmc(&self, node: &NodeName) -> Result<BmcView, Trouble> {
        let bmc = self.bmc(node)?;
        let on = self.nodes.get(node).is_some_and(super::Node::powered);
        let lit = bmc.targets().map(|target| {
            let lit = bmc.lit.contains_key(&target);
            (target, if lit { Switch::On } else { Switch::Off })
        });
        Ok(BmcView { power: Some(if on { Switch::On } else { Switch::Off }), lit: lit.collect() })
    }

    pub fn parts_outside(&self, node: &NodeName) -> Result<Inventory, Trouble> {
        self.bmc(node).map(|bmc| bmc.parts.clone())
    }

    /// Lights a LED, or puts it out. One that a human lit is not pitlane's to put out.
    pub fn locate(
        &mut self,
        by: Actor,
        node: &NodeName,
        target: &LocateTarget,
        to: Switch,
    ) -> Result<(), Trouble> {
        self.forbid_killed_by(by, "switching a locate LED");
        let bmc = self.bmc(node)?;
        if !bmc.targets().any(|has| has == *target) {
            return Err(Trouble::Refused(format!("{target} of {node} has no LED")));
        }
        let theirs = to == Switch::Off && bmc.lit.get(target).is_some_and(|who| *who != by);
        self.forbid(by == Actor::Pitlane && theirs, || {
            format!("the LED of {node} that a human lit is put out")
        });
        if let Some(bmc) = self.machines.get_mut(node).and_then(|machine| machine.bmc.as_mut()) {
            match to {
                Switch::On => _ = bmc.lit.entry(target.clone()).or_insert(by),
                Switch::Off => _ = bmc.lit.remove(target),
            }
        }
        let kind = if to == Switch::On { "locate_on" } else { "locate_off" };
        self.note_effect(by, kind, node);
        Ok(())
    }
}
