use super::super::ceph::Osd;
use super::*;
use crate::model::ids::OsdId;
use crate::model::observed::{CephView, HealthCheck, PoolKind};
use crate::model::seen::Trouble;
use crate::sim::world::build::pool;

fn cluster(nodes: u32) -> World {
    World::builder(nodes).ceph(2).build()
}

fn see(world: &World) -> CephView {
    world.see_ceph().expect("Ceph answers")
}

fn osds(world: &World, of: &str) -> std::collections::BTreeSet<OsdId> {
    see(world).osds_of(&host(of)).map(|(id, _)| *id).collect()
}

fn osd(world: &World, id: u32) -> &Osd {
    &world.ceph.as_ref().expect("Ceph").osds[&OsdId(id)]
}

#[test]
fn a_healthy_cluster_is_clean_and_one_host_may_stop() {
    let world = cluster(3);
    let view = see(&world);
    assert!(view.quorate() && view.unclean_pgs().is_empty() && view.checks.is_empty());
    let answer = world.ask_ok_to_stop(&osds(&world, "pve2")).expect("answers");
    assert!(answer.ok && answer.ok_pgs > 0);
}

#[test]
fn two_hosts_together_may_not_though_each_alone_may() {
    let world = cluster(3);
    let mut both = osds(&world, "pve1");
    both.extend(osds(&world, "pve2"));
    let answer = world.ask_ok_to_stop(&both).expect("answers");
    assert!(!answer.ok && answer.bad_pgs > 0);
}

#[test]
fn ok_to_stop_lies_about_unknown_and_dead_osds() {
    let mut world = cluster(3);
    let unknown = world.ask_ok_to_stop(&[OsdId(99)].into()).expect("answers");
    assert!(unknown.ok && unknown.ok_pgs == 0);
    let dead = osds(&world, "pve3");
    world.node_dies(&node("pve3"));
    world.advance_secs(120);
    let answer = world.ask_ok_to_stop(&dead).expect("answers");
    assert!(answer.ok && answer.ok_pgs == 0);
}

#[test]
fn osds_of_a_dead_host_are_up_for_half_a_minute_and_degraded_shows_later() {
    let mut world = cluster(3);
    world.node_dies(&node("pve3"));
    world.advance_secs(1);
    assert!(matches!(world.see_ceph(), Err(Trouble::TooSlow(_))), "its monitor is gone: they elect");
    world.advance_secs(19);
    assert!(see(&world).osds[&OsdId(4)].up);
    let down = 20 + wait(&mut world, 30, |w| !see(w).osds[&OsdId(4)].up);
    assert!((25..=35).contains(&down), "down after {down} s");
    assert!(see(&world).unclean_pgs().is_empty());
    wait(&mut world, 10, |w| !see(w).unclean_pgs().is_empty());
    let codes: Vec<String> = see(&world).checks.keys().cloned().collect();
    for code in ["MON_DOWN", "OSD_DOWN", "OSD_HOST_DOWN", "PG_DEGRADED"] {
        assert!(codes.iter().any(|c| c == code), "{code} in {codes:?}");
    }
}

#[test]
fn with_its_manager_dead_everything_looks_clean_for_most_of_a_minute() {
    let mut world = cluster(3);
    let dead = see(&world).active_mgr.expect("a manager");
    world.node_dies(&node(&dead));
    world.advance_secs(44);
    let view = see(&world);
    assert!(!view.osds[&OsdId(0)].up && view.unclean_pgs().is_empty());
    assert!(matches!(world.ask_ok_to_stop(&osds(&world, "pve2")), Err(Trouble::Refused(_))));
    world.advance_secs(10);
    let view = see(&world);
    assert!(view.active_mgr != Some(dead) && !view.unclean_pgs().is_empty());
}

#[test]
fn without_any_manager_a_question_hangs() {
    let mut world = cluster(3);
    world.stop_all_mgrs();
    world.advance_secs(60);
    assert!(matches!(world.ask_ok_to_stop(&[OsdId(0)].into()), Err(Trouble::TooSlow(_))));
}

#[test]
fn noout_is_one_hosts_and_keeps_its_dead_osds_in() {
    for held in [true, false] {
        let mut world = cluster(4);
        if held {
            world.set_noout(Actor::Pitlane, &host("pve4"), Switch::On).expect("set");
            assert!(see(&world).has_noout(&host("pve4")) && see(&world).checks.contains_key("OSD_FLAGS"));
        }
        world.node_dies(&node("pve4"));
        world.advance_secs(1000);
        let view = see(&world);
        assert_eq!(view.osds[&OsdId(6)].r#in, held);
        // Out, the dead are named no more, and with room for the copies all is clean.
        assert_eq!(view.checks.contains_key("OSD_DOWN"), held);
        assert_eq!(view.unclean_pgs().is_empty(), !held);
    }
}

#[test]
fn taking_noout_off_starts_the_out_timer_anew_and_a_return_brings_osds_in() {
    let mut world = cluster(4);
    world.set_noout(Actor::Human, &host("pve4"), Switch::On).expect("set");
    world.node_dies(&node("pve4"));
    world.advance_secs(2000);
    world.human_noout(&host("pve4"), Switch::Off);
    world.advance_secs(590);
    assert!(osd(&world, 6).r#in);
    world.advance_secs(20);
    assert!(!osd(&world, 6).r#in);
    world.node_boots(&node("pve4"));
    let back = wait(&mut world, 120, |w| osd(w, 6).up && osd(w, 6).r#in);
    assert!((70..=90).contains(&back), "a minute of boot, 18 s of OSD: {back} s");
    wait(&mut world, 60, |w| see(w).unclean_pgs().is_empty());
}

#[test]
fn all_clean_is_shown_for_a_moment_before_the_returned_osds_peer() {
    let mut world = cluster(3);
    world.set_noout(Actor::Human, &host("pve3"), Switch::On).expect("set");
    world.node_shutdown(Actor::Human, &node("pve2"), &node("pve3")).expect("accepted");
    world.advance_secs(60);
    world.node_boots(&node("pve3"));
    wait(&mut world, 120, |w| osd(w, 4).up);
    assert!(see(&world).unclean_pgs().is_empty());
    world.advance_secs(2);
    assert!(see(&world).unclean_pgs().contains_key("peering"));
    world.advance_secs(5);
    assert!(see(&world).unclean_pgs().is_empty());
}

#[test]
fn without_quorum_old_health_is_told_and_the_empty_quorum_is_the_only_sign() {
    let mut world = cluster(3);
    world.advance_secs(1);
    world.node_dies(&node("pve2"));
    world.node_dies(&node("pve3"));
    world.advance_secs(3);
    assert!(see(&world).quorate(), "the old quorum is listed for some seconds");
    world.advance_secs(30);
    let view = see(&world);
    assert!(!view.quorate() && view.unclean_pgs().is_empty());
    assert!(world.ask_ok_to_stop(&[OsdId(0)].into()).is_ok(), "it answers from old maps");
    let write = world.set_noout(Actor::Human, &host("pve1"), Switch::On);
    assert!(matches!(write, Err(Trouble::TooSlow(_))));
}

#[test]
fn a_pool_of_two_with_min_one_lets_the_last_copy_stand_alone() {
    let two =
        |min| World::builder(3).ceph(2).pools(vec![pool("p", PoolKind::Replicated, 2, min, "host")]).build();
    let asked = |world: &World| world.ask_ok_to_stop(&osds(world, "pve1")).expect("answers").ok;
    assert!(asked(&two(1)), "availability, never redundancy");
    assert!(!asked(&two(2)));
}

#[test]
fn a_benign_code_can_come_and_be_muted() {
    let mut world = cluster(3);
    let check =
        HealthCheck { severity: "HEALTH_WARN".into(), summary: "1 daemon crashed".into(), muted: true };
    world.set_check("RECENT_CRASH", Some(check));
    assert!(see(&world).checks["RECENT_CRASH"].muted);
}
