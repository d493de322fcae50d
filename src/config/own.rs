//! Where pitlane itself runs: what is declared, and what this machine's network cards say. A guest that has one of these
//! addresses is the machine that we run on, whatever was declared.

use std::collections::BTreeSet;
use std::path::Path;

use super::file::{ConfigFile, SelfFile};
use super::mistakes::{Mistake, Mistakes};
use super::reader::Read;
use crate::model::ids::GuestId;
use crate::model::rules::{Declared, OwnHome};

/// Where Linux shows its network cards.
const CARDS: &str = "/sys/class/net";
/// A machine with more is a hypervisor, and its bridges are nobody's home.
const CARDS_MAX: usize = 64;

pub(super) fn home(file: Option<&SelfFile>) -> OwnHome {
    OwnHome { declared: declared(file), macs: macs(Path::new(CARDS)) }
}

fn declared(file: Option<&SelfFile>) -> Declared {
    match file {
        Some(SelfFile { vmid: Some(vmid), .. }) => Declared::Guest(GuestId(*vmid)),
        Some(SelfFile { node: Some(node), .. }) => Declared::Node(node.clone()),
        Some(SelfFile { outside: Some(true), .. }) => Declared::Outside,
        _ => Declared::Unset,
    }
}

/// One place, and one only.
pub(super) fn across(read: &Read<ConfigFile>, mistakes: &mut Mistakes) {
    let Some(own) = read.json.get("self") else { return };
    let said = ["vmid", "node", "outside"].iter().filter(|key| own.get(**key).is_some()).count();
    if said != 1 || own.get("outside").is_some_and(|outside| outside == &serde_json::json!(false)) {
        let text = "pitlane runs in one place: write self: {vmid: N}, {node: NAME} or {outside: true}";
        mistakes.add(read.root.at("self").place, text);
    }
}

/// Mode act, and nobody said where pitlane runs. That is no mistake: a service that holds something has to start and give it
/// back. But no node will leave.
pub(super) fn unsaid(read: &Read<ConfigFile>, mistakes: &Mistakes) -> Option<Mistake> {
    let acts = read.json.get("mode").is_some_and(|mode| mode == "act");
    (acts && read.json.get("self").is_none()).then(|| Mistake {
        file: mistakes.file().to_owned(),
        place: read.root.at("mode").place,
        text: "mode act needs to know where pitlane itself runs, and lets no node leave before; write self: {vmid: N}, {node: \
               NAME} or {outside: true}"
            .to_owned(),
    })
}

/// Addresses of the network cards, loopback left out. What cannot be read is no address.
fn macs(cards: &Path) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(cards) else { return BTreeSet::new() };
    entries
        .flatten()
        .take(CARDS_MAX)
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("address")).ok())
        .map(|text| text.trim().to_ascii_lowercase())
        .filter(|mac| mac.len() == 17 && mac != "00:00:00:00:00:00")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_read_and_loopback_is_left_out() {
        let dir = tempfile::tempdir().expect("a directory");
        for (card, address) in
            [("lo", "00:00:00:00:00:00\n"), ("eth0", "BC:24:11:00:00:69\n"), ("tun0", "\n")]
        {
            std::fs::create_dir(dir.path().join(card)).expect("a card");
            std::fs::write(dir.path().join(card).join("address"), address).expect("an address");
        }
        assert_eq!(macs(dir.path()), ["bc:24:11:00:00:69".to_owned()].into());
        assert_eq!(macs(&dir.path().join("nowhere")), BTreeSet::new());
    }
}
