use super::*;
use crate::decide::fixture::{NOW, at, guest, rules, told, world};
use crate::model::observed::{Guest, GuestDetail, HaRules, NodeAffinity, Observed, Storage};
use crate::model::seen::Seen;
use crate::model::state::State;

const C: GuestId = GuestId(7);

/// Guest 7 leaves `pve2`, with 60 GiB on `local-lvm`.
fn leaving(how: How) -> (Ask, Observed) {
    let mut seen = world();
    told(&mut seen, |opinion| {
        opinion.guests.insert(C, Guest { ha: true, ..guest("pve2") });
        for (node, free) in [("pve3", 60_u64 << 30), ("pve4", 59 << 30)] {
            let storage = Storage { shared: false, free: Some(free) };
            let row = opinion.nodes.get_mut(node).expect("a member");
            row.storages.insert("local-lvm".into(), storage);
        }
    });
    let local_disks = [("local-lvm:vm-7-disk-0".to_owned(), 60 << 30)].into();
    seen.pve.guests.insert(C, Seen::known(GuestDetail { local_disks, ..GuestDetail::default() }, at(NOW)));
    (Ask { leaving: Some("pve2".into()), going: [(C, Going::Ours(how))].into(), ..Ask::default() }, seen)
}

fn found(ask: &Ask, seen: &Observed) -> Found {
    let (state, rules) = (State::default(), rules());
    find(ask, &View::new(&state, seen, &rules)).expect("all is seen")
}

#[test]
fn of_storages_it_is_said_which_one_is_missing_or_too_full() {
    let (ask, mut seen) = leaving(How::LiveWithDisks);
    let to: Vec<NodeName> = found(&ask, &seen).hops.into_iter().map(|hop| hop.to).collect();
    assert_eq!(to, ["pve3".into()], "its disk just fits there, and nowhere else");
    told(&mut seen, |opinion| {
        let row = opinion.nodes.get_mut("pve3").expect("a member");
        row.storages.insert("local-lvm".into(), Storage { shared: false, free: Some(1 << 30) });
    });
    let left = found(&ask, &seen).left.remove(&C).expect("it stays");
    let said: Vec<(&str, &str)> = left.iter().map(|(node, why)| (node.as_str(), why.as_str())).collect();
    let full = "storage local-lvm is too full";
    assert_eq!(said, [("pve1", "it does not have storage local-lvm"), ("pve3", full), ("pve4", full)]);
}

/// HA starts a guest again only where a strict rule allows it: of that the room for one more loss is counted.
#[test]
fn a_guest_bound_by_a_strict_rule_starts_again_only_there() {
    let restarts = |strict, ha, broken: bool| {
        let (ask, mut seen) = leaving(How::Live);
        told(&mut seen, |opinion| opinion.guests.get_mut(&C).map_or((), |guest| guest.ha = ha));
        let rule = NodeAffinity {
            rule: "near".into(),
            guests: [C].into(),
            nodes: [("pve2".into(), 0), ("pve4".into(), 0)].into(),
            strict,
        };
        let broken = broken.then(|| ("near".to_owned(), "no".to_owned())).into_iter().collect();
        let known = HaRules { nodes: vec![rule], broken, ..HaRules::default() };
        seen.pve.ha_rules = Seen::known(known, at(NOW));
        let (state, rules) = (State::default(), rules());
        let live = Live::of(&ask, &View::new(&state, &seen, &rules)).expect("all is seen");
        live.placing.guests[0].restarts.clone()
    };
    assert_eq!(restarts(true, true, false), Some(vec![1, 3]));
    assert_eq!(restarts(false, true, false), None, "only a wish: anywhere, when none of them is there");
    assert_eq!(restarts(true, false, false), None, "HA does not know it");
    assert_eq!(restarts(true, true, true), None, "a rule that is broken binds nobody");
}
