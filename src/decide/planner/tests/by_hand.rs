//! Small clusters, answers worked out on paper.

use super::super::instance::{Instance, Kind, MBIT_PER_MIB, NPlusOne, Role, RuleKind, Way};
use super::super::{
    Admission, Foreign, Planned, Reason, Violation, Wishes, bound, check, plan, plan_steadily,
};
use super::{cluster, guest, quick, rule};

fn planned(inst: &Instance) -> Planned {
    plan(inst, &quick()).expect("the check agrees")
}

fn to(plan: &Planned, guest: usize) -> Option<usize> {
    plan.moves.iter().find(|m| m.guest == guest).map(|m| m.to)
}

#[test]
fn one_guest_takes_what_the_model_says() {
    let mut inst = cluster(3, vec![guest("x", 0, 10_000)]);
    inst.guests[0].dirty = 2000.0;
    let plan = planned(&inst);
    let secs = 3.0 + 10_000.0 * MBIT_PER_MIB / 6000.0;
    assert!((plan.forecast.makespan - secs).abs() < 0.01, "{:?}", plan.forecast);
    assert!((bound(&inst, |_| true) - secs).abs() < 0.01);
}

#[test]
fn the_two_go_to_different_nodes_and_share_the_wire() {
    let inst = cluster(3, vec![guest("x", 0, 10_000), guest("y", 0, 10_000)]);
    let plan = planned(&inst);
    assert_ne!(to(&plan, 0), to(&plan, 1), "evenly");
    assert!((plan.forecast.makespan - (3.0 + 10_000.0 * MBIT_PER_MIB / 5000.0)).abs() < 0.02);
}

#[test]
fn a_local_disk_goes_where_there_is_room_for_it() {
    let mut inst = cluster(3, vec![guest("x", 0, 10_000), guest("w", 2, 50_000)]);
    inst.guests[0].disks = vec![(1, 4000)];
    inst.nodes[1].storages[1].1 = Some(4000);
    assert_eq!(to(&planned(&inst), 0), Some(1), "it just fits on the emptier node");
    inst.nodes[1].storages[1].1 = Some(3999);
    assert_eq!(to(&planned(&inst), 0), Some(2));
}

/// The planner sorts by name; what it says is about the nodes as they were written down.
#[test]
fn why_not_is_said_of_the_right_node() {
    let mut inst = cluster(3, vec![guest("x", 0, 60_000), guest("z", 1, 90_000)]);
    for (node, id) in inst.nodes.iter_mut().zip(["n9", "n5", "n1"]) {
        node.id = id.to_owned();
    }
    inst.nodes[2].role = Role::Closed;
    let mut why = planned(&inst).left[0].blockers.clone();
    why.sort_unstable_by_key(|(node, _)| *node);
    assert_eq!(why, [(1, Reason::Memory), (2, Reason::NodeClosed)]);
}

#[test]
fn a_guest_that_writes_much_is_not_slowed_down() {
    let mut inst = cluster(3, vec![guest("x", 0, 10_000), guest("y", 0, 10_000)]);
    inst.guests[0].dirty = 4500.0;
    let plan = planned(&inst);
    assert_eq!(plan.forecast.throttled, 0.0);
    assert!(plan.guard_dirty);
}

#[test]
fn residents_make_room_and_the_guest_waits_for_them() {
    let inst = cluster(3, vec![guest("x", 0, 60_000), guest("z", 1, 45_000), guest("w", 2, 50_000)]);
    let plan = planned(&inst);
    assert!(plan.left.is_empty());
    assert_eq!(plan.forecast.made_room, 1);
    let x = plan.moves.iter().find(|m| m.guest == 0).expect("x moves");
    assert_eq!(x.after.len(), 1, "it waits for the resident by name");
    for admission in [Admission::Guarded, Admission::Blind] {
        assert_eq!(check(&inst, &plan, admission).violations, []);
    }
}

#[test]
fn the_order_matters_so_without_the_waits_the_check_says_no() {
    let inst = cluster(3, vec![guest("x", 0, 60_000), guest("z", 1, 45_000), guest("w", 2, 50_000)]);
    let mut plan = planned(&inst);
    plan.moves.iter_mut().for_each(|m| m.after.clear());
    let why = check(&inst, &plan, Admission::Blind).violations;
    assert!(matches!(why[..], [Violation::Refused { guest: 0, why: Reason::Memory, .. }]), "{why:?}");
}

#[test]
fn what_fits_nowhere_stays_and_every_node_is_named() {
    let mut inst = cluster(3, vec![guest("x", 0, 60_000), guest("z", 1, 50_000), guest("w", 2, 50_000)]);
    inst.guests[1].way = Way::No;
    inst.guests[2].way = Way::No;
    let plan = planned(&inst);
    assert!(plan.moves.is_empty());
    assert_eq!(plan.left[0].blockers, [(1, Reason::Memory), (2, Reason::Memory)]);
    let mut silent = plan.clone();
    silent.left.clear();
    let said = check(&inst, &silent, Admission::Guarded).violations;
    assert_eq!(said, [Violation::Undeclared { guest: 0 }]);
}

#[test]
fn one_large_guest_stays_rather_than_two_small_ones() {
    let all =
        vec![guest("large", 0, 40_000), guest("a", 0, 30_000), guest("b", 0, 25_000), guest("r", 1, 40_000)];
    let mut inst = cluster(2, all);
    inst.guests[3].way = Way::No;
    let plan = planned(&inst);
    assert_eq!(plan.left.iter().map(|l| l.guest).collect::<Vec<_>>(), [0]);
}

#[test]
fn those_kept_apart_are_apart_and_wait_for_the_one_that_leaves() {
    let mut inst = cluster(3, vec![guest("x", 0, 1000), guest("y", 1, 1000), guest("z", 2, 1000)]);
    inst.rules.push(rule(RuleKind::Apart, &[0, 1, 2]));
    let plan = planned(&inst);
    assert!(plan.moves.is_empty(), "there is no third node");
    assert_eq!(plan.left[0].why, Reason::Apart);
}

#[test]
fn those_that_belong_together_go_together_or_stay() {
    let mut inst = cluster(3, vec![guest("x", 0, 1000), guest("y", 0, 2000)]);
    inst.rules.push(rule(RuleKind::Together, &[0, 1]));
    let plan = planned(&inst);
    assert_eq!(to(&plan, 0), to(&plan, 1));
    inst.guests[1].way = Way::No;
    let plan = planned(&inst);
    assert_eq!(plan.left.len(), 2, "one cannot, so neither does");
    inst.guests[1].may_stop = true;
    let plan = planned(&inst);
    assert_eq!((plan.stops.as_slice(), plan.moves.len()), ([1].as_slice(), 1), "one is shut down, one moves");
}

/// Shutting down is for guests of the node that shall be empty: a resident is kept with one that cannot move.
#[test]
fn a_resident_is_not_parted_from_one_that_cannot_move() {
    let all = [("x", 0, 60_000), ("z", 1, 45_000), ("i", 1, 1000), ("w", 2, 50_000)];
    let mut inst = cluster(3, all.map(|(id, node, memory)| guest(id, node, memory)).to_vec());
    (inst.guests[2].way, inst.guests[2].may_stop) = (Way::No, true);
    inst.guests[3].way = Way::No;
    assert_eq!(to(&planned(&inst), 1), Some(2), "it makes room where nothing holds it");
    inst.rules = vec![rule(RuleKind::Together, &[1, 2])];
    let plan = planned(&inst);
    assert!(plan.moves.is_empty(), "{:?}", plan.moves);
    assert_eq!(plan.left.iter().map(|left| left.guest).collect::<Vec<_>>(), [0]);
}

/// One of a group is on its way home; the other has its home nowhere and follows.
#[test]
fn who_belongs_to_one_under_way_goes_after_it() {
    let mut inst = cluster(3, vec![guest("x", 1, 10_000), guest("y", 1, 10_000)]);
    (inst.kind, inst.nodes[0].role, inst.guests[0].home) = (Kind::Return, Role::Open, Some(0));
    inst.rules = vec![rule(RuleKind::Together, &[0, 1])];
    let wishes = Wishes { running: vec![(0, 0)], ..quick() };
    let after = plan(&inst, &wishes).expect("the check agrees");
    assert_eq!((to(&after, 0), to(&after, 1)), (Some(0), Some(0)));
    // Where it cannot follow, it stays: the one under way is parted from it already.
    inst.guests[1].allowed = Some(vec![1, 2]);
    let parted = plan(&inst, &wishes).expect("the check agrees");
    assert_eq!(to(&parted, 1), None);
}

#[test]
fn n_plus_one_keeps_a_hole_where_even_spreading_leaves_none() {
    let big = |id: &str, node| guest(id, node, 50_000);
    let mut all = vec![big("b1", 1), big("b2", 2), big("b3", 3), big("b4", 4)];
    for i in 0..4 {
        let mut small = guest(&format!("s{i}"), 0, 10_000);
        small.ha = false;
        all.push(small);
    }
    for (at, guest) in all.iter_mut().enumerate() {
        guest.ha = at < 4;
    }
    let mut inst = cluster(5, all);
    inst.nodes.iter_mut().for_each(|node| node.memory = 105_000);
    inst.params.n_plus_one = NPlusOne::Required;
    let plan = planned(&inst);
    assert_eq!((plan.left.len(), plan.forecast.n_plus_one_fails), (0, 0));
    inst.params.n_plus_one = NPlusOne::Off;
    assert!(planned(&inst).forecast.n_plus_one_fails > 0, "the trap is one");
}

#[test]
fn a_closed_node_takes_nothing_and_a_list_is_a_list() {
    let mut inst = cluster(4, vec![guest("x", 0, 1000), guest("y", 0, 1000)]);
    inst.nodes[1].role = Role::Closed;
    inst.guests[0].allowed = Some(vec![0, 3]);
    let plan = planned(&inst);
    assert_eq!((to(&plan, 0), to(&plan, 1)), (Some(3), Some(2)));
}

#[test]
fn they_come_home_and_a_newcomer_makes_room() {
    let mut inst = cluster(3, vec![guest("x", 1, 60_000), guest("new", 0, 50_000)]);
    inst.kind = Kind::Return;
    inst.nodes[0].role = Role::Open;
    inst.guests[0].home = Some(0);
    let plan = planned(&inst);
    assert_eq!(to(&plan, 0), Some(0));
    assert_eq!(plan.forecast.made_room, 1);
}

#[test]
fn the_canary_is_the_smallest_that_ha_does_not_have_and_goes_alone() {
    let mut inst = cluster(3, vec![guest("x", 0, 9000), guest("y", 0, 5000), guest("z", 0, 1000)]);
    inst.guests[1].ha = false;
    inst.guests[0].ha = false;
    let wishes = Wishes { canary: true, ..quick() };
    let asked = plan(&inst, &wishes).expect("a plan");
    assert_eq!(asked.canary, Some(1));
    let ends = asked.moves[0].ends;
    assert!(asked.moves[0].guest == 1 && asked.moves[1..].iter().all(|m| m.starts >= ends && m.wave == 1));
    inst.guests.iter_mut().for_each(|g| g.ha = true);
    assert_eq!(plan(&inst, &wishes).expect("a plan").canary, None, "it says that there is none");
}

#[test]
fn a_move_under_way_is_waited_for_and_holds_both_sides() {
    let mut inst = cluster(3, vec![guest("x", 0, 60_000), guest("y", 0, 60_000), guest("z", 1, 30_000)]);
    inst.params.slots_out = 1;
    let wishes = Wishes { running: vec![(0, 2)], ..quick() };
    let plan = plan(&inst, &wishes).expect("a plan");
    assert!(plan.moves[0].running && plan.moves[0].guest == 0 && plan.moves[0].to == 2);
    let y = plan.moves.iter().find(|m| m.guest == 1).expect("y moves");
    assert_eq!(y.to, 1);
    assert!(y.starts >= plan.moves[0].ends, "there is one slot");
}

#[test]
fn an_earlier_plan_is_kept_although_another_would_be_more_even() {
    let inst = cluster(3, vec![guest("x", 0, 10_000), guest("y", 0, 10_000)]);
    let keep = vec![(0, 1), (1, 1)];
    let plan = plan(&inst, &Wishes { keep, ..quick() }).expect("a plan");
    assert_eq!((to(&plan, 0), to(&plan, 1)), (Some(1), Some(1)));
}

#[test]
fn who_would_find_no_place_after_a_loss_is_named() {
    // Two nodes stay, each with a guest of HA; one of them is too large for the other node.
    let mut inst = cluster(3, vec![guest("a", 1, 70_000), guest("b", 2, 40_000), guest("x", 0, 5_000)]);
    inst.params.n_plus_one = NPlusOne::Preferred;
    inst.guests[2].ha = false;
    let plan = planned(&inst);
    assert!(plan.left.is_empty());
    assert_eq!(plan.fragile, vec![(1, vec![0]), (2, vec![1])]);
    inst.guests[1].memory = 20_000;
    inst.guests[0].memory = 60_000;
    assert_eq!(planned(&inst).fragile, vec![]);
}

#[test]
fn what_somebody_else_moves_goes_after_the_canary_and_beside_the_rest() {
    let mut inst = cluster(3, vec![guest("h", 0, 9_000), guest("o", 0, 5_000), guest("c", 0, 1_000)]);
    inst.guests[1].ha = false;
    inst.guests[2].ha = false;
    let foreign = Foreign { guests: vec![0], workers: 4, delay: 25.0, pause: 1.5, agrees: 12.5 };
    let plan = plan(&inst, &Wishes { canary: true, foreign, ..quick() }).expect("a plan");
    let of = |guest: usize| plan.moves.iter().find(|m| m.guest == guest).expect("it moves");
    assert_eq!(plan.canary, Some(2));
    assert!(of(0).starts >= of(2).ends + 25.0, "it has to be told, and that takes its time");
    assert_eq!(of(1).starts, of(0).starts, "while theirs are only asked for, ours find free slots");
    assert!((plan.forecast.makespan - (of(0).ends + 12.5).max(of(1).ends)).abs() < 0.01);
}

#[test]
fn where_guests_go_follows_from_what_does_not_change() {
    let placing = cluster(5, (0..12).map(|i| guest(&format!("g{i:02}"), 0, 3_000 + 700 * i)).collect());
    let mut timing = placing.clone();
    timing
        .guests
        .iter_mut()
        .enumerate()
        .for_each(|(i, g)| (g.used, g.dirty) = (90.0 * i as f64, 50.0 * i as f64));
    let targets = |timing: &Instance| {
        let plan = plan_steadily(&placing, timing, &quick()).expect("a plan");
        plan.moves.iter().map(|m| (m.guest, m.to)).collect::<std::collections::BTreeMap<_, _>>()
    };
    assert_eq!(targets(&placing), targets(&timing));
}
