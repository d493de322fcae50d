//! One node's hardware, as its running system lists it.

use serde_json::json;

use crate::model::observed::{Part, PartKind};
use crate::sim::http::answer::Answer;
use crate::sim::http::call::{Call, Said};

impl Call<'_> {
    fn parts(&self, kind: PartKind) -> impl Iterator<Item = (&str, &Part)> {
        let machine = self.world.machines.get(self.at);
        let parts = machine.into_iter().flat_map(|machine| &machine.inside.parts);
        parts.filter(move |(key, _)| key.kind == kind).map(|(key, part)| (key.slot.as_str(), part))
    }

    pub fn node_disks(&self) -> Said {
        let rows = self.parts(PartKind::Disk).map(|(_, part)| {
            let osds: Vec<u32> = part.osds.iter().map(|osd| osd.0).collect();
            let first = osds.first().map_or(-1, |id| i64::from(*id));
            let path = part.path.as_deref().unwrap_or_default();
            json!({
                "devpath": path, "serial": part.serial, "model": part.model, "vendor": "ATA", "wwn": "unknown",
                "type": "ssd", "rpm": 0, "gpt": 0, "mounted": 0, "health": part.text, "wearout": 99,
                "size": part.size, "used": "LVM",
                "osdid": first, "osdid-list": (!osds.is_empty()).then_some(osds),
            })
        });
        Ok(Answer::data(rows.collect::<Vec<_>>()))
    }

    pub fn node_network(&self) -> Said {
        let cards = self.parts(PartKind::Nic).map(|(name, _)| {
            json!({
                "iface": name, "type": "eth", "active": 1, "method": "manual", "method6": "manual",
                "families": ["inet"], "priority": 3,
            })
        });
        Ok(Answer::data(cards.collect::<Vec<_>>()))
    }
}
