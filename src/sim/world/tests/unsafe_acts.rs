//! Each rule of `safety.rs`, broken on purpose.

use super::*;
use crate::model::ids::CaseId;
use crate::model::step::{StepId, WorkOrder};

fn cluster() -> World {
    World::builder(4).vm(101, "pve1").vm(102, "pve1").vm(103, "pve1").vm(104, "pve1").ceph(1).build()
}

fn maintenance(world: &mut World, name: &str, to: Switch) {
    let _ = world.set_maintenance(Actor::Pitlane, &node("pve3"), &node(name), to);
}

#[test]
#[should_panic(expected = "pve1 is opened with guests aboard")]
fn opening_a_node_with_a_guest_aboard() {
    cluster().technician_opens(&node("pve1"));
}

#[test]
#[should_panic(expected = "pve1 is shut down with guests aboard")]
fn shutting_a_node_down_with_a_guest_aboard() {
    let _ = cluster().node_shutdown(Actor::Pitlane, &node("pve2"), &node("pve1"));
}

#[test]
#[should_panic(expected = "PGs stop")]
fn opening_a_node_whose_data_others_need() {
    let mut world = World::builder(3).ceph(1).build();
    world.node_dies(&node("pve2"));
    world.advance_secs(60);
    world.technician_opens(&node("pve3"));
}

#[test]
#[should_panic(expected = "maintenance for pve1 while {NodeName(\"pve2\")} are out")]
fn taking_a_second_node_out() {
    let mut world = cluster();
    world.node_dies(&node("pve2"));
    world.advance_secs(60);
    maintenance(&mut world, "pve1", Switch::On);
}

#[test]
#[should_panic(expected = "noout for pve1 while")]
fn taking_noout_beside_somebody_elses() {
    let mut world = cluster();
    world.human_noout(&host("pve2"), Switch::On);
    world.advance_secs(20);
    let _ = world.set_noout(Actor::Pitlane, &host("pve1"), Switch::On);
}

#[test]
#[should_panic(expected = "are taken")]
fn filling_a_node_beyond_its_memory() {
    let mut world = World::builder(3).node_gib(6).vm(101, "pve1").vm(102, "pve2").build();
    let _ = migrate(&mut world, 101, "pve2");
}

#[test]
#[should_panic(expected = "a human had set it")]
fn clearing_a_humans_noout() {
    let mut world = cluster();
    world.human_noout(&host("pve1"), Switch::On);
    let _ = world.set_noout(Actor::Pitlane, &host("pve1"), Switch::On);
    let _ = world.set_noout(Actor::Pitlane, &host("pve1"), Switch::Off);
}

#[test]
#[should_panic(expected = "a human had set it")]
fn ending_a_humans_maintenance() {
    let mut world = cluster();
    world.human_maintenance(&node("pve1"), Switch::On);
    maintenance(&mut world, "pve1", Switch::Off);
}

#[test]
#[should_panic(expected = "2 of ours run already")]
fn more_moves_to_a_node_than_slots() {
    let mut world = cluster();
    for id in [101, 102, 103] {
        let _ = migrate(&mut world, id, "pve2");
    }
}

#[test]
#[should_panic(expected = "which is under maintenance")]
fn moving_onto_a_node_under_maintenance() {
    let mut world = cluster();
    maintenance(&mut world, "pve2", Switch::On);
    let _ = migrate(&mut world, 101, "pve2");
}

#[test]
#[should_panic(expected = "which is offline")]
fn moving_onto_a_node_that_has_been_offline_for_long() {
    let mut world = cluster();
    world.node_dies(&node("pve2"));
    world.advance_secs(16);
    let _ = migrate(&mut world, 101, "pve2");
}

#[test]
#[should_panic(expected = "which is offline")]
fn moving_onto_a_node_that_only_just_boots() {
    let mut world = cluster();
    world.node_dies(&node("pve2"));
    world.advance_secs(600);
    world.node_boots(&node("pve2"));
    let _ = migrate(&mut world, 101, "pve2");
}

#[test]
#[should_panic(expected = "whose chassis is open")]
fn sending_a_guest_to_an_open_chassis() {
    let mut world = cluster();
    world.technician_opens(&node("pve2"));
    let _ = migrate(&mut world, 101, "pve2");
}

#[test]
#[should_panic(expected = "while its chassis is open")]
fn ending_maintenance_over_an_open_chassis() {
    let mut world = cluster();
    maintenance(&mut world, "pve2", Switch::On);
    world.technician_opens(&node("pve2"));
    maintenance(&mut world, "pve2", Switch::Off);
}

#[test]
#[should_panic(expected = "nobody allowed it")]
fn shutting_a_guest_down_unasked() {
    let _ = cluster().shut_down_guest(Actor::Pitlane, &node("pve2"), &node("pve1"), GuestId(101));
}

#[test]
#[should_panic(expected = "two work orders for case 7")]
fn a_second_work_order_for_a_case() {
    let mut world = cluster();
    let order =
        WorkOrder { node: "pve1".into(), title: "fan".into(), body: String::new(), checklist: Vec::new() };
    let key = |n: u32| StepId::new(CaseId(7), &format!("try-{n}"));
    let first = world.open_order(&key(1), CaseId(7), &order);
    assert_eq!(world.open_order(&key(1), CaseId(7), &order), first, "the same key is the same order");
    world.open_order(&key(2), CaseId(7), &order);
}

#[test]
#[should_panic(expected = "while the kill switch is pulled")]
fn acting_while_the_kill_switch_is_pulled() {
    let mut world = cluster();
    world.kill_switch = true;
    let _ = migrate(&mut world, 101, "pve2");
}

#[test]
fn what_nobody_could_know_yet_is_not_held_against_pitlane() {
    let mut world = cluster();
    world.node_dies(&node("pve2"));
    world.advance_secs(5);
    migrate(&mut world, 101, "pve2").expect("accepted, and it will fail");
    assert!(world.safety.violations.is_empty());
}

#[test]
fn people_may_do_what_they_want() {
    let mut world = cluster();
    world.human_maintenance(&node("pve2"), Switch::On);
    world.human_maintenance(&node("pve3"), Switch::On);
    world.node_shutdown(Actor::Human, &node("pve4"), &node("pve1")).expect("accepted");
    assert!(world.safety.violations.is_empty());
}
