use super::*;
use crate::model::observed::{Affinity, HaNodeState, LrmMode};
use crate::sim::world::ha::{Service, ServiceState};

fn cluster() -> World {
    World::builder(3).vm(101, "pve1").vm(102, "pve1").vm(103, "pve2").ha(&[101, 103]).build()
}

fn maintenance(world: &mut World, name: &str, to: Switch) {
    world.set_maintenance(Actor::Pitlane, &node("pve3"), &node(name), to).expect("accepted");
}

fn service(world: &World, id: u32) -> &Service {
    &world.ha.services[&GuestId(id)]
}

#[test]
fn maintenance_drains_ha_guests_with_the_measured_delays_and_brings_them_home() {
    let mut world = cluster();
    maintenance(&mut world, "pve1", Switch::On);
    let mode = wait(&mut world, 30, |w| w.ha.nodes[&node("pve1")].mode == LrmMode::Maintenance);
    assert!((1..=15).contains(&mode), "mode after {mode} s");
    let state = mode + wait(&mut world, 30, |w| w.ha.nodes[&node("pve1")].state == HaNodeState::Maintenance);
    assert!((10..=25).contains(&state), "state after {state} s");
    assert_eq!(at(&world, 101), "pve1", "nothing moved before");
    let left = state + wait(&mut world, 60, |w| at(w, 101) != "pve1");
    assert!((20..=60).contains(&left), "left after {left} s");
    world.advance_secs(60);
    assert_eq!(at(&world, 102), "pve1", "guests without HA stay");
    assert_eq!(service(&world, 101).maintenance_node, Some(node("pve1")));
    maintenance(&mut world, "pve1", Switch::Off);
    let home = wait(&mut world, 90, |w| at(w, 101) == "pve1" && service(w, 101).node == node("pve1"));
    assert!((15..=60).contains(&home), "home after {home} s");
    assert_eq!(world.ha.nodes[&node("pve1")].state, HaNodeState::Online);
}

#[test]
fn disabling_in_the_middle_lets_running_moves_finish_and_go_straight_back() {
    let mut world = World::builder(3).guest(101, "pve1", |g| g.memory_used = 20 * GIB).ha(&[101]).build();
    maintenance(&mut world, "pve1", Switch::On);
    wait(&mut world, 60, |w| w.moving(GuestId(101)).is_some());
    maintenance(&mut world, "pve1", Switch::Off);
    wait(&mut world, 120, |w| at(w, 101) != "pve1");
    wait(&mut world, 180, |w| at(w, 101) == "pve1" && w.moving(GuestId(101)).is_none());
}

#[test]
fn a_stuck_guest_is_tried_again_and_again_with_new_tasks() {
    let mut world = World::builder(3)
        .guest(101, "pve1", |g| g.local_cdrom = Some("local:iso/x.iso".into()))
        .ha(&[101])
        .build();
    maintenance(&mut world, "pve1", Switch::On);
    world.advance_secs(380);
    let tries = world.tasks.iter().filter(|t| t.kind == "qmigrate").count();
    assert!((12..=30).contains(&tries), "{tries} tries in 380 s");
    assert!(world.tasks.iter().all(|t| t.user() == "root@pam"));
}

#[test]
fn without_a_candidate_nothing_happens_and_nothing_is_said() {
    let strict = World::builder(3).vm(101, "pve1").ha(&[101]).node_rule("r", &[101], &[("pve1", 1)], true);
    // A rule that is not strict falls back only when none of its nodes is online.
    let soft = World::builder(3)
        .vm(101, "pve2")
        .vm(102, "pve3")
        .ha(&[101, 102])
        .node_rule("r", &[101], &[("pve2", 1), ("pve3", 1)], false)
        .guest_rule("apart", Affinity::Apart, &[101, 102]);
    for (mut world, from) in [(strict.build(), "pve1"), (soft.build(), "pve2")] {
        maintenance(&mut world, from, Switch::On);
        world.advance_secs(300);
        assert_eq!((at(&world, 101), service(&world, 101).state), (from, ServiceState::Started));
        assert!(world.tasks.is_empty() && world.ha.log.is_empty());
    }
}

#[test]
fn hamigrate_is_ok_at_once_and_towards_a_dead_node_nothing_moves() {
    let mut world = cluster();
    world.node_dies(&node("pve2"));
    world.advance_secs(30);
    let upid = world.migrate(Actor::Human, &node("pve3"), &call(&world, 101, "pve2")).expect("accepted");
    assert!(upid.0.contains(":hamigrate:101:"));
    world.advance_secs(60);
    assert_eq!((status(&world, &upid).as_str(), at(&world, 101)), ("OK", "pve1"));
    assert!(world.ha.log[0].contains("node not online"));
}

#[test]
fn a_move_by_command_is_a_second_task_and_forgets_the_way_home() {
    let mut world = cluster();
    maintenance(&mut world, "pve3", Switch::On);
    world.advance_secs(60);
    let upid = migrate(&mut world, 101, "pve2").expect("accepted");
    wait(&mut world, 10, |w| status(w, &upid) == "OK");
    assert_eq!(at(&world, 101), "pve1", "the task's end means nothing");
    wait(&mut world, 60, |w| at(w, 101) == "pve2");
    assert_eq!(service(&world, 101).maintenance_node, None);
}

#[test]
fn a_preference_pulls_a_moved_guest_straight_back() {
    let mut world = World::builder(3)
        .vm(101, "pve1")
        .ha(&[101])
        .node_rule("r", &[101], &[("pve1", 2), ("pve2", 1)], false)
        .build();
    migrate(&mut world, 101, "pve2").expect("accepted");
    wait(&mut world, 60, |w| at(w, 101) == "pve2");
    wait(&mut world, 60, |w| at(w, 101) == "pve1");
}

#[test]
fn members_that_belong_together_do_not_return() {
    let mut world = World::builder(3)
        .vm(101, "pve1")
        .vm(102, "pve1")
        .ha(&[101, 102])
        .guest_rule("pair", Affinity::Together, &[101, 102])
        .build();
    maintenance(&mut world, "pve1", Switch::On);
    wait(&mut world, 120, |w| at(w, 101) != "pve1" && at(w, 102) != "pve1");
    assert_eq!(at(&world, 101), at(&world, 102));
    world.advance_secs(30);
    maintenance(&mut world, "pve1", Switch::Off);
    world.advance_secs(300);
    assert!(at(&world, 101) != "pve1" && at(&world, 102) != "pve1");
}

#[test]
fn a_dead_node_is_fenced_and_its_ha_guests_start_elsewhere() {
    let mut world = World::builder(3).vm(101, "pve2").vm(102, "pve2").ha(&[101]).build();
    world.node_dies(&node("pve2"));
    let fence = wait(&mut world, 100, |w| w.ha.nodes[&node("pve2")].state == HaNodeState::Fence);
    assert!((60..=75).contains(&fence), "fence after {fence} s");
    let there = fence + wait(&mut world, 120, |w| at(w, 101) != "pve2" && w.guests[&GuestId(101)].aboard());
    assert!((125..=155).contains(&there), "recovered after {there} s");
    assert_eq!(at(&world, 102), "pve2", "nobody recovers guests without HA");
}

#[test]
fn a_node_powered_off_in_maintenance_stays_in_maintenance_and_is_not_fenced() {
    let mut world = cluster();
    maintenance(&mut world, "pve1", Switch::On);
    world.advance_secs(120);
    world.node_shutdown(Actor::Human, &node("pve3"), &node("pve1")).expect("accepted");
    world.advance_secs(400);
    assert_eq!(world.ha.nodes[&node("pve1")].state, HaNodeState::Maintenance);
    assert!(world.ha_view().maintenance_requested(&node("pve1")));
    world.node_boots(&node("pve1"));
    world.advance_secs(120);
    assert_ne!(at(&world, 101), "pve1", "the request survives a reboot");
}

/// Proxmox's manager: only an empty node rests in `maintenance`; services of a node gone for 60 s are fenced anyway.
#[test]
fn a_node_that_dies_in_maintenance_with_guests_aboard_is_fenced_for_them() {
    let mut world = World::builder(3).guest(101, "pve1", |g| g.memory_used = 60 * GIB).ha(&[101]).build();
    maintenance(&mut world, "pve1", Switch::On);
    wait(&mut world, 60, |w| w.ha.nodes[&node("pve1")].state == HaNodeState::Maintenance);
    assert_eq!(at(&world, 101), "pve1", "still aboard");
    world.node_dies(&node("pve1"));
    let there = wait(&mut world, 200, |w| at(w, 101) != "pve1" && w.guests[&GuestId(101)].aboard());
    assert!((125..=155).contains(&there), "recovered after {there} s");
}

#[test]
fn only_started_guests_are_moved_and_four_at_a_time() {
    let mut builder = World::builder(3);
    for id in 101..=108 {
        builder = builder.guest(id, "pve1", |g| g.memory_used = 30 * GIB);
    }
    let ids: Vec<u32> = (101..=108).chain([120]).collect();
    let mut world = builder.node_gib(512).guest(120, "pve1", |g| g.run = Run::Stopped).ha(&ids).build();
    maintenance(&mut world, "pve1", Switch::On);
    let mut most = 0;
    for _ in 0..300 {
        world.advance_secs(1);
        most = most.max(world.tasks.iter().filter(|t| t.runs() && t.kind == "qmigrate").count());
    }
    assert_eq!((most, at(&world, 120)), (4, "pve1"));
}

#[test]
fn maintenance_needs_quorum_and_an_online_node() {
    let mut world = cluster();
    world.cut(&node("pve3"), Cut::Corosync);
    let refused = world.set_maintenance(Actor::Human, &node("pve3"), &node("pve1"), Switch::On);
    assert_eq!(refused, Err(Refusal::no_quorum()));
    world.heal_cut(&node("pve3"));
    world.node_dies(&node("pve1"));
    world.advance_secs(120);
    world.human_maintenance(&node("pve1"), Switch::On);
    world.advance_secs(30);
    assert!(!world.ha_view().maintenance_requested(&node("pve1")), "only a line in the log says no");
    assert_eq!(world.ha.log.len(), 1);
}

#[test]
fn ignored_guests_and_a_disarmed_manager_are_left_alone() {
    let mut world = cluster();
    world.ha.resources.get_mut(&GuestId(101)).expect("managed").requested = "ignored".into();
    maintenance(&mut world, "pve1", Switch::On);
    world.advance_secs(120);
    assert!(world.guests[&GuestId(101)].aboard() && at(&world, 101) == "pve1");
    let upid = migrate(&mut world, 101, "pve2").expect("accepted");
    assert!(upid.0.contains(":qmigrate:"), "a plain migration");
    world.human_arms_ha(Switch::Off);
    world.node_dies(&node("pve2"));
    world.advance_secs(600);
    assert!(at(&world, 103) == "pve2" && !world.ha_view().armed, "nobody recovers anything");
}

#[test]
fn stopping_an_ha_guest_takes_its_time_and_changes_what_is_asked() {
    let mut world = cluster();
    world.shut_down_guest(Actor::Human, &node("pve3"), &node("pve1"), GuestId(101)).expect("accepted");
    let asked = wait(&mut world, 30, |w| w.ha.resources[&GuestId(101)].requested == "stopped");
    assert!((5..=20).contains(&asked), "{asked}");
    let down = asked + wait(&mut world, 30, |w| !w.guests[&GuestId(101)].aboard());
    assert!((6..=30).contains(&down), "{down}");
    world.start_guest(Actor::Human, &node("pve3"), &node("pve1"), GuestId(101)).expect("accepted");
    let up = wait(&mut world, 60, |w| w.guests[&GuestId(101)].aboard());
    assert!((7..=35).contains(&up), "{up}");
}
