use super::*;
use crate::decide::fixture::rules;
use crate::model::alert::Episode;
use crate::model::labels::Labels;
use crate::model::time::after;
use std::time::Duration;

fn at(minute: u64) -> Time {
    let noon: Time = "2026-03-01T12:00:00Z".parse().expect("an instant");
    after(noon, Duration::from_secs(minute * 60))
}

/// Each: the node's number, the minute at which its supply fails, and that at which it is well again.
fn told(spells: &[(u32, u64, Option<u64>)], now: u64) -> Vec<Storm> {
    let mut faults: BTreeMap<String, Fault> = BTreeMap::new();
    for (node, began, ended) in spells.iter().filter(|spell| spell.1 <= now) {
        let name = format!("pve{node}");
        let key = FaultKey { node: name.as_str().into(), class: "psu".into(), component: "PS1".into() };
        let fault = faults.entry(name).or_insert(Fault { key, policy: "psu".into(), episodes: Vec::new() });
        fault.episodes.push(Episode {
            fingerprint: "psu".into(),
            labels: Labels::new(),
            starts_at: at(*began),
            received_at: at(*began),
            ends_at: ended.filter(|end| *end <= now).map(at),
        });
    }
    let faults: Vec<Fault> = faults.into_values().collect();
    storms(&faults, &rules(), at(now))
}

#[test]
fn a_storm_holds_when_the_one_in_the_middle_is_well_again() {
    let feed = [(1, 0, None), (2, 8, Some(20)), (3, 16, None)];
    assert!(told(&feed, 15).is_empty(), "two of three are none");
    for minute in [16, 79, 80, 81, 600] {
        let all = told(&feed, minute);
        let [storm] = all.as_slice() else { panic!("minute {minute}: {all:?}") };
        assert_eq!(storm.since, at(0), "minute {minute}");
        assert_eq!(storm.nodes.len(), 3, "minute {minute}");
    }
}

#[test]
fn it_keeps_its_name_when_the_first_one_ends() {
    let feed = [(1, 0, Some(10)), (2, 3, None), (3, 6, None), (4, 12, None)];
    for minute in [6, 69, 70, 200] {
        assert_eq!(told(&feed, minute).first().map(|storm| storm.since), Some(at(0)), "minute {minute}");
    }
    // It fails again, long after: that is another spell, and the storm keeps its name all the same.
    let again = [&feed[..], &[(1, 300, None)]].concat();
    let all = told(&again, 301);
    assert_eq!(all.iter().map(|storm| storm.since).collect::<Vec<_>>(), [at(0)]);
    let first = all.first().expect("just seen");
    assert!(!first.faults.iter().any(|key| key.node.as_str() == "pve1"), "its new spell is no part of it");
}

#[test]
fn it_is_over_when_one_node_is_left_or_all_were_quiet_for_long() {
    let feed = [(1, 0, Some(30)), (2, 3, Some(40)), (3, 6, None)];
    assert_eq!(told(&feed, 99).len(), 1);
    assert!(told(&feed, 100).is_empty(), "the last one may have a broken part after all");
    let all_well = [(1, 0, Some(30)), (2, 3, Some(40)), (3, 6, Some(50))];
    assert_eq!((told(&all_well, 99).len(), told(&all_well, 100).len()), (1, 0));
}

#[test]
fn single_faults_far_apart_never_become_one() {
    assert!(told(&[(1, 0, Some(1)), (2, 300, Some(301)), (3, 600, None)], 700).is_empty());
    // Three at once in the end, and each far from the one before: three broken parts.
    assert!(told(&[(1, 0, None), (2, 300, None), (3, 600, None)], 700).is_empty());
}
