//! A node's parts, as its own running system lists them.
//!
//! All three lists or none: a list that is missing would look like parts that vanished. Slow (a smartctl for each
//! disk), so asked seldom and with a deadline of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::{calls, client::Route, proxmox::Proxmox, wire};
use crate::model::ids::{NodeName, OsdId};
use crate::model::observed::{Inventory, Part, PartKey, PartKind};
use crate::model::seen::{Seen, Trouble};

/// Words of Proxmox's disk list for "smartctl did not say".
const UNTOLD: [&str; 3] = ["unknown", "n/a", ""];

pub(super) async fn inventory(pve: &Proxmox, node: &NodeName, avoid: &BTreeSet<NodeName>) -> Seen<Inventory> {
    let at = pve.clock.now();
    match tokio::time::timeout(pve.look_within, read(pve, node, avoid)).await {
        Ok(Ok(inventory)) => Seen::known(inventory, at),
        Ok(Err(why)) => why.into(),
        Err(_) => {
            Trouble::TooSlow(format!("{node} did not list its parts within {:?}", pve.look_within)).into()
        }
    }
}

async fn read(pve: &Proxmox, node: &NodeName, avoid: &BTreeSet<NodeName>) -> Result<Inventory, Trouble> {
    let route = Route::avoiding(avoid.iter().map(NodeName::as_str));
    let name = node.as_str();
    let (disks, network, status) =
        (calls::node_disks(name), calls::node_network(name), calls::node_status(name));
    let (disks, network, status) = tokio::try_join!(
        pve.client.run(&disks, &route),
        pve.client.run(&network, &route),
        pve.client.run(&status, &route),
    )?;
    Ok(parts(&disks.value, &network.value, &status.value))
}

/// From Proxmox's words to the model's.
fn parts(disks: &[wire::DiskRow], network: &[wire::NetworkRow], status: &wire::NodeStatus) -> Inventory {
    let mut parts = BTreeMap::new();
    for row in disks {
        let (key, part) = disk(row);
        // Two paths to one disk carry one serial.
        let mut place = key.clone();
        for n in 2.. {
            if !parts.contains_key(&place) {
                break;
            }
            place.slot = format!("{}#{n}", key.slot);
        }
        parts.insert(place, part);
    }
    let is = |flag: Option<wire::Flag>| flag.is_some_and(|flag| flag.0);
    for row in network.iter().filter(|row| row.kind.as_deref() == Some("eth")) {
        // A card that was pulled stays in the configuration.
        if is(row.exists) || is(row.active) {
            let text = if is(row.active) { "up" } else { "down" }.to_owned();
            parts.insert(PartKey::new(PartKind::Nic, row.iface.0.clone()), Part { text, ..Part::default() });
        }
    }
    if let Some(total) = status.memory.as_ref().and_then(|m| m.total).and_then(whole) {
        let part = Part { size: Some(total), text: format!("{} MiB", total >> 20), ..Part::default() };
        parts.insert(PartKey::new(PartKind::Memory, "total"), part);
    }
    if let Some(cpu) = &status.cpuinfo
        && let Some(count) = cpu.cpus.and_then(whole)
    {
        let model = cpu.model.as_ref().map_or_else(String::new, |model| model.0.clone());
        let part = Part { model, size: Some(count), text: format!("{count} cores"), ..Part::default() };
        parts.insert(PartKey::new(PartKind::Cpu, "total"), part);
    }
    Inventory { parts }
}

fn disk(row: &wire::DiskRow) -> (PartKey, Part) {
    let told = |text: &Option<wire::Text>| {
        let text = text.as_ref()?.trim();
        (!UNTOLD.contains(&text.to_ascii_lowercase().as_str())).then(|| text.to_owned())
    };
    let serial = told(&row.serial);
    // `/dev/sda` is another disk after the next boot; the serial is not.
    let slot =
        serial.clone().unwrap_or_else(|| row.devpath.rsplit('/').next().unwrap_or_default().to_owned());
    let health = told(&row.health);
    let good = match health.as_deref() {
        Some("PASSED" | "OK") => Some(true),
        Some(_) => Some(false),
        None => None,
    };
    let osd = |id: wire::Int| u32::try_from(id.0).ok().map(OsdId);
    let listed = row.osdids.iter().flatten().copied();
    let wear = told(&row.wearout).map(|left| format!(", {left} % of its life left"));
    let part = Part {
        model: told(&row.model).unwrap_or_default(),
        serial,
        good,
        text: health.unwrap_or_else(|| "health not told".to_owned()) + &wear.unwrap_or_default(),
        size: row.size.and_then(|size| size.0).filter(|size| *size > 0.0).map(|size| size as u64),
        osds: row.osdid.into_iter().chain(listed).filter_map(osd).collect(),
        path: Some(row.devpath.0.clone()),
    };
    (PartKey::new(PartKind::Disk, slot), part)
}

fn whole(n: wire::Int) -> Option<u64> {
    u64::try_from(n.0).ok().filter(|n| *n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(disks: &str, network: &str) -> Inventory {
        let read = |json| serde_json::from_str(json);
        let status = r#"{"memory":{"total":"270553174016"},"cpuinfo":{"cpus":64,"model":"EPYC"}}"#;
        parts(
            &serde_json::from_str::<Vec<wire::DiskRow>>(disks).expect("rows of disks"),
            &serde_json::from_str::<Vec<wire::NetworkRow>>(network).expect("rows of interfaces"),
            &read(status).expect("a status"),
        )
    }

    #[test]
    fn a_disk_is_known_by_its_serial_and_says_which_osds_it_carries() {
        let two = r#"[{"devpath":"/dev/sdb","serial":"S1","model":"MZ7","health":"PASSED","wearout":98,"osdid":"3",
            "osdid-list":["3","4"],"size":960197124096},{"devpath":"/dev/vda","serial":"unknown","osdid":-1,
            "osdid-list":null,"health":"UNKNOWN","wearout":"N/A","model":"unknown"}]"#;
        let seen = listed(two, "[]");
        let (key, sdb) = seen.disk("sdb").expect("it is listed");
        assert_eq!((key.slot.as_str(), sdb.good), ("S1", Some(true)));
        assert_eq!(sdb.osds, [OsdId(3), OsdId(4)].into());
        let (key, vda) = seen.disk("/dev/vda").expect("it is listed");
        assert_eq!((key.slot.as_str(), vda.good, vda.serial.as_ref()), ("vda", None, None));
        assert!(vda.osds.is_empty());
    }

    #[test]
    fn a_card_that_was_pulled_stays_in_the_configuration_and_is_not_there() {
        let rows = r#"[{"iface":"eno1","type":"eth","active":1},{"iface":"eno2","type":"eth","exists":1},
            {"iface":"eno3","type":"eth"},{"iface":"vmbr0","type":"bridge","active":1}]"#;
        let seen = listed("[]", rows);
        let cards: Vec<_> =
            seen.parts.keys().filter(|k| k.kind == PartKind::Nic).map(|k| k.slot.as_str()).collect();
        assert_eq!(cards, ["eno1", "eno2"]);
    }

    #[test]
    fn two_paths_to_one_disk_are_two_parts() {
        let rows = r#"[{"devpath":"/dev/sda","serial":"S1"},{"devpath":"/dev/sdb","serial":"S1"}]"#;
        let seen = listed(rows, "[]");
        assert_eq!(seen.parts.keys().filter(|k| k.kind == PartKind::Disk).count(), 2);
    }
}
