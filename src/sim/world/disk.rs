//! A technician's hands on one disk of a machine that works on: out, in again, or another one with another OSD.
//!
//! The world panics when a disk is taken out that somebody still needs, or that Ceph would begin to copy at once.

use crate::model::ids::{HostName, NodeName, OsdId};
use crate::model::observed::{Part, PartKey, PartKind};

use super::World;
use super::ceph::Osd;

impl World {
    /// The disk under this OSD is pulled out.
    ///
    /// # Panics
    /// Some placement group needs it, or nobody told Ceph to wait.
    pub fn technician_pulls(&mut self, osd: OsdId) {
        let Some(ceph) = &self.ceph else { return };
        let Some(known) = ceph.osds.get(&osd) else { return };
        let (host, works) = (known.host.clone(), known.up && known.r#in);
        let answer = self.as_noticed(ceph).stoppable(&[osd].into());
        let waits = ceph.host_noout.contains_key(&host) || ceph.flags.contains_key("noout");
        self.forbid(works && !answer.ok, || {
            format!("the disk of OSD {osd} is pulled and {} PGs stop", answer.bad_pgs)
        });
        self.forbid(works && !waits, || format!("the disk of OSD {osd} is pulled without noout on {host}"));
        self.set_osd_failed(osd, true);
        if let Some(node) = self.member_of(&host) {
            self.inside(&node, |part| !part.osds.contains(&osd));
        }
    }

    /// Whoever looks after Ceph takes a dead OSD out of its lists for good.
    pub fn human_purges(&mut self, osd: OsdId) {
        if let Some(ceph) = &mut self.ceph {
            ceph.osds.remove(&osd);
        }
        self.stir();
    }

    /// A new disk on this host, and the OSD on it: the same number again, or another one in its place.
    pub fn technician_inserts(&mut self, host: &HostName, osd: OsdId, new: OsdId) {
        let now = self.now;
        let Some(ceph) = &mut self.ceph else { return };
        if osd == new {
            self.set_osd_failed(osd, false);
        } else {
            let fresh = Osd {
                host: host.clone(),
                up: false,
                r#in: true,
                failed: false,
                since: now,
                auto_out: false,
                differs: None,
            };
            ceph.osds.remove(&osd);
            ceph.osds.insert(new, fresh);
            ceph.rename(osd, new, now);
            self.stir();
        }
        let Some(node) = self.member_of(host) else { return };
        let serial = format!("{node}-NEW{new}");
        let part = Part {
            model: "MZ7L3960".to_owned(),
            serial: Some(serial.clone()),
            good: Some(true),
            text: "PASSED".to_owned(),
            size: Some(960 << 30),
            osds: [new].into(),
            path: Some("/dev/sdz".to_owned()),
        };
        if let Some(machine) = self.machines.get_mut(&node) {
            machine.inside.parts.insert(PartKey::new(PartKind::Disk, serial), part);
        }
    }

    fn member_of(&self, host: &HostName) -> Option<NodeName> {
        self.ceph.as_ref()?.hosts.get(host).cloned()
    }

    fn inside(&mut self, node: &NodeName, keep: impl Fn(&Part) -> bool) {
        if let Some(machine) = self.machines.get_mut(node) {
            machine.inside.parts.retain(|_, part| keep(part));
        }
    }
}
