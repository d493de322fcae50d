//! Time may leap while nothing happens, and must not leap over anything.

use super::*;

#[test]
fn a_quiet_day_costs_nothing_and_keeps_the_stamps_young() {
    let mut world = World::builder(5).vm(101, "pve1").ha(&[101]).ceph(2).build();
    let began = std::time::Instant::now();
    world.advance_secs(30 * 86_400);
    assert!(began.elapsed().as_secs() < 5);
    assert!(world.now.duration_since(world.ha.crm_at).as_secs() <= 10);
    assert_eq!(world.ha_view().nodes.len(), 5);
}

#[test]
fn one_long_step_and_many_short_ones_end_alike() {
    let run = |chunk: u64| {
        let mut world = World::builder(4).seed(7).vm(101, "pve4").vm(102, "pve4").ha(&[101]).ceph(1).build();
        world.human_maintenance(&node("pve4"), Switch::On);
        for _ in 0..(1200 / chunk) {
            world.advance_secs(chunk);
        }
        world.node_dies(&node("pve4"));
        for _ in 0..(2400 / chunk) {
            world.advance_secs(chunk);
        }
        (world.opinion(&node("pve1")), world.ha_view().services, world.see_ceph(), world.tasks.len())
    };
    assert_eq!(run(1), run(1200));
    assert_eq!(run(10), run(60));
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let run = |seed| {
        let mut world = World::builder(3).seed(seed).vm(101, "pve1").build();
        let upid = migrate(&mut world, 101, "pve2").expect("accepted");
        world.advance_secs(100);
        (upid, world.opinion(&node("pve3")))
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).0, run(4).0);
}
