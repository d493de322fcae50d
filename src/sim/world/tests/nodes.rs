use super::*;
use crate::model::observed::Power;

#[test]
fn a_death_is_noticed_after_seconds_and_its_guests_read_running_for_minutes() {
    let mut world = World::builder(3).vm(101, "pve1").build();
    world.node_dies(&node("pve1"));
    assert!(world.opinion(&node("pve2")).online(&node("pve1")));
    let took = wait(&mut world, 20, |w| !w.opinion(&node("pve2")).online(&node("pve1")));
    assert!((5..=8).contains(&took), "{took}");
    let row = |w: &World| w.opinion(&node("pve2")).guests[&GuestId(101)].clone();
    world.advance_secs(280);
    assert_eq!(row(&world).power, Power::Running);
    world.advance_secs(20);
    assert_eq!((row(&world).power, row(&world).memory), (Power::Unknown, 0));
    assert_eq!(world.live(&node("pve2"), &node("pve1"), GuestId(101)), Err(Refusal::no_route()));
}

#[test]
fn a_clean_shutdown_is_seen_at_once_and_the_boot_starts_what_shall_start() {
    let mut world = World::builder(3).vm(101, "pve1").guest(102, "pve1", |g| g.onboot = false).build();
    world.node_shutdown(Actor::Human, &node("pve2"), &node("pve1")).expect("accepted");
    let took = wait(&mut world, 60, |w| !w.opinion(&node("pve2")).online(&node("pve1")));
    assert!((15..=25).contains(&took), "{took}");
    world.node_boots(&node("pve1"));
    world.advance_secs(90);
    assert!(world.guests[&GuestId(101)].aboard() && !world.guests[&GuestId(102)].aboard());
}

#[test]
fn the_list_lags_a_start_by_four_seconds() {
    let mut world = World::builder(3).guest(101, "pve1", |g| g.run = Run::Stopped).build();
    world.human_starts(GuestId(101));
    let listed = |w: &World| w.opinion(&node("pve2")).guests[&GuestId(101)].power;
    assert_eq!(listed(&world), Power::Stopped);
    assert_eq!(world.live(&node("pve2"), &node("pve1"), GuestId(101)).expect("there").run, Run::Running);
    assert_eq!(wait(&mut world, 10, |w| listed(w) == Power::Running), 4);
}

#[test]
fn a_member_that_is_cut_off_shows_old_data_and_only_quorate_tells() {
    let mut world = World::builder(3).vm(101, "pve2").build();
    world.cut(&node("pve1"), Cut::Corosync);
    migrate(&mut world, 101, "pve3").expect("accepted");
    world.advance_secs(60);
    let old = world.opinion(&node("pve1"));
    assert_eq!((old.quorate, at(&world, 101)), (false, "pve3"));
    assert_eq!(old.guests[&GuestId(101)].node, node("pve2"));
    assert!(!old.online(&node("pve2")), "its own corosync is right about the others");
    let refused = world.migrate(Actor::Human, &node("pve1"), &{
        let mut call = call(&world, 101, "pve2");
        call.node = "pve1".into();
        call
    });
    assert_eq!(refused.expect_err("no quorum").status, 500);
}

#[test]
fn the_majority_counts_votes_of_a_quorum_device_too() {
    let mut world = World::builder(2).qdevice(1).build();
    world.node_dies(&node("pve1"));
    assert!(world.quorate(&node("pve2")));
    world.qdevice = 0;
    assert!(!world.quorate(&node("pve2")));
}

#[test]
fn missing_rights_make_lists_shorter_in_silence() {
    let mut world = World::builder(3).vm(101, "pve1").build();
    world.token = [("/".to_owned(), ["Sys.Audit".to_owned()].into())].into();
    assert!(world.opinion(&node("pve2")).guests.is_empty());
    world.token.clear();
    assert!(world.opinion(&node("pve2")).nodes[&node("pve1")].capacity.is_none());
    assert_eq!(migrate(&mut world, 101, "pve2").expect_err("no right").status, 403);
}

#[test]
fn a_silent_pvestatd_makes_its_guests_unknown_after_five_minutes() {
    let mut world = World::builder(3).vm(101, "pve1").build();
    world.set_service(&node("pve1"), "pvestatd", false);
    world.advance_secs(299);
    assert_eq!(world.listed(GuestId(101)), guest::Listed::Running);
    world.advance_secs(1);
    assert_eq!(world.listed(GuestId(101)), guest::Listed::Unknown);
}
