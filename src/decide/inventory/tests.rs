use super::*;

fn part(serial: Option<&str>, size: Option<u64>) -> Part {
    Part { serial: serial.map(str::to_owned), good: Some(true), size, ..Part::default() }
}

fn inventory(parts: &[(PartKind, &str, Part)]) -> Inventory {
    let parts = parts.iter().map(|(kind, slot, part)| (PartKey::new(*kind, *slot), part.clone()));
    Inventory { parts: parts.collect() }
}

fn told(source: PartSource, before: &Inventory, now: &Inventory) -> Vec<String> {
    let at = "2026-01-01T00:00:00Z".parse().expect("a valid instant");
    let base = Baseline { at, inventory: before.clone() };
    differences(source, &base, now).iter().map(|(key, d)| d.words(key, source)).collect()
}

#[test]
fn a_part_that_is_not_listed_any_more_is_gone() {
    let before = inventory(&[(PartKind::PowerSupply, "PS1", part(Some("A"), None))]);
    assert_eq!(told(PartSource::Bmc, &before, &inventory(&[])), ["power supply PS1 is gone, says the BMC"]);
}

#[test]
fn a_part_that_no_longer_tells_its_serial_is_not_known_to_be_there() {
    let before = inventory(&[(PartKind::PowerSupply, "PS1", part(Some("A"), None))]);
    let now = inventory(&[(PartKind::PowerSupply, "PS1", part(None, None))]);
    assert_eq!(
        told(PartSource::Bmc, &before, &now),
        ["power supply PS1 no longer tells its serial, says the BMC"]
    );
}

#[test]
fn a_new_serial_in_the_same_slot_is_a_replacement() {
    let before = inventory(&[(PartKind::PowerSupply, "PS1", part(Some("A"), None))]);
    let now = inventory(&[(PartKind::PowerSupply, "PS1", part(Some("B"), None))]);
    assert_eq!(told(PartSource::Bmc, &before, &now), ["power supply PS1 was replaced by B"]);
}

#[test]
fn a_broken_replacement_is_none() {
    let before = inventory(&[(PartKind::PowerSupply, "PS1", part(Some("A"), None))]);
    let bad = Part { good: Some(false), text: "failed".into(), ..part(Some("B"), None) };
    let now = inventory(&[(PartKind::PowerSupply, "PS1", bad)]);
    let words = told(PartSource::Bmc, &before, &now);
    assert_eq!(words, ["power supply PS1 reads failed, says the BMC, and was good before"]);
}

#[test]
fn a_disk_that_went_and_one_that_came_are_a_swap_unless_the_new_one_is_smaller() {
    let before = inventory(&[(PartKind::Disk, "S1", part(Some("S1"), Some(960 << 30)))]);
    let swapped = inventory(&[(PartKind::Disk, "S2", part(Some("S2"), Some(960 << 30)))]);
    assert_eq!(told(PartSource::Proxmox, &before, &swapped), ["disk S1 was replaced by S2"]);
    let stick = inventory(&[(PartKind::Disk, "S2", part(Some("S2"), Some(16 << 30)))]);
    assert_eq!(told(PartSource::Proxmox, &before, &stick), ["disk S1 is gone, says Proxmox"]);
}

#[test]
fn one_new_disk_does_not_stand_for_two() {
    let disk = |serial| (PartKind::Disk, serial, part(Some(serial), None));
    let before = inventory(&[disk("S1"), disk("S2")]);
    let words = told(PartSource::Proxmox, &before, &inventory(&[disk("S3")]));
    assert_eq!(words, ["disk S1 was replaced by S3", "disk S2 is gone, says Proxmox"]);
}

#[test]
fn a_missing_module_shows_as_less_memory_and_the_kernels_share_does_not() {
    let total = |gib: u64, kib: u64| {
        inventory(&[(PartKind::Memory, "total", part(None, Some((gib << 30) - (kib << 10))))])
    };
    assert!(told(PartSource::Proxmox, &total(256, 0), &total(256, 900)).is_empty());
    let words = told(PartSource::Proxmox, &total(256, 0), &total(240, 0));
    assert_eq!(words, ["memory total: 245760 MiB where there were 262144, says Proxmox"]);
}

#[test]
fn a_part_is_named_by_its_slot_or_in_full_and_never_by_guess() {
    let at = "2026-01-01T00:00:00Z".parse().expect("a valid instant");
    let both =
        inventory(&[(PartKind::Fan, "1", part(None, None)), (PartKind::PowerSupply, "1", part(None, None))]);
    let parts =
        Parts { baseline: [(PartSource::Bmc, Baseline { at, inventory: both })].into(), ..Parts::default() };
    assert_eq!(named(&parts, "Fan 1"), Ok(PartKey::new(PartKind::Fan, "1")));
    assert!(named(&parts, "1").is_err_and(|why| why.contains("may be")));
    assert_eq!(named(&parts, "FAN9"), Err("the list of parts has no FAN9".to_owned()));
}

fn grows(source: PartSource, first: &Inventory, then: &Inventory) -> Inventory {
    let at = "2026-01-01T00:00:00Z".parse().expect("a valid instant");
    grown(source, &Baseline { at, inventory: first.clone() }, then)
}

#[test]
fn what_vanished_after_the_first_reading_stays_on_record() {
    let card = |slot| (PartKind::Nic, slot, part(None, None));
    let first = inventory(&[card("eno1"), card("eno2")]);
    let then = inventory(&[card("eno1"), card("eno3")]);
    let record = grows(PartSource::Proxmox, &first, &then);
    assert_eq!(record, inventory(&[card("eno1"), card("eno2"), card("eno3")]), "it grows and loses nothing");
    assert_eq!(
        told(PartSource::Proxmox, &record, &then),
        ["network card eno2 is gone, says Proxmox"],
        "and the proof misses what vanished"
    );
    assert_eq!(grows(PartSource::Proxmox, &record, &inventory(&[])), record);
}

#[test]
fn a_later_reading_that_knows_less_changes_nothing() {
    let psu = |serial, good, size| {
        let part = Part { serial, good, size, ..Part::default() };
        inventory(&[(PartKind::PowerSupply, "PS1", part)])
    };
    let first = psu(Some("A".into()), Some(true), Some(800));
    for less in [
        psu(None, Some(true), Some(800)),
        psu(Some("A".into()), Some(false), Some(800)),
        psu(Some("A".into()), Some(true), Some(400)),
        psu(Some("B".into()), Some(true), Some(800)),
    ] {
        assert_eq!(grows(PartSource::Bmc, &first, &less), first, "{less:?}");
    }
    // By a little, again and again.
    let mut record = first.clone();
    for size in [792, 784, 776, 768] {
        record = grows(PartSource::Bmc, &record, &psu(Some("A".into()), Some(true), Some(size)));
    }
    assert_eq!(record, first);
    let more = psu(Some("A".into()), Some(true), Some(900));
    assert_eq!(grows(PartSource::Bmc, &psu(None, None, Some(800)), &more), more, "what is learned counts");
}

#[test]
fn a_disk_swapped_before_the_drain_is_a_swap_afterwards() {
    let disk = |serial| (PartKind::Disk, serial, part(Some(serial), None));
    let (first, then) = (inventory(&[disk("S1"), disk("S2")]), inventory(&[disk("S1"), disk("S3")]));
    let record = grows(PartSource::Proxmox, &first, &then);
    assert_eq!(told(PartSource::Proxmox, &record, &then), ["disk S2 was replaced by S3"]);
    let lost = inventory(&[disk("S1")]);
    assert_eq!(told(PartSource::Proxmox, &record, &lost), ["disk S2 is gone, says Proxmox"]);
}
