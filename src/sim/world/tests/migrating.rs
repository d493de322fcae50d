use super::*;

fn cluster() -> World {
    World::builder(3).vm(101, "pve1").vm(102, "pve1").ct(201, "pve1").build()
}

#[test]
fn a_live_move_takes_time_holds_a_lock_and_ends_ok() {
    let mut world = cluster();
    let upid = migrate(&mut world, 101, "pve2").expect("accepted");
    world.advance_secs(3);
    assert_eq!(world.guests[&GuestId(101)].lock.as_deref(), Some("migrate"));
    let took = wait(&mut world, 60, |w| status(w, &upid) == "OK");
    assert!((2..=20).contains(&took), "2 GiB over ten gigabits took {took} s");
    assert_eq!((at(&world, 101), world.guests[&GuestId(101)].lock.clone()), ("pve2", None));
    assert!(world.guests[&GuestId(101)].aboard());
}

#[test]
fn copies_share_the_network_fairly() {
    let big = |g: &mut Guest| g.memory_used = 60 * GIB;
    let one = |others: u32| {
        let mut world = World::builder(3).with(|w| w.safety.slots_in = 9);
        for id in 101..=101 + others {
            world = world.guest(id, "pve1", big);
        }
        let mut world = world.node_gib(1000).build();
        let upids: Vec<_> =
            (101..=101 + others).map(|id| migrate(&mut world, id, "pve2").expect("accepted")).collect();
        wait(&mut world, 2000, |w| upids.iter().all(|u| status(w, u) == "OK"))
    };
    let (alone, three) = (one(0), one(2));
    assert!(three > alone * 3 / 2, "{alone} s alone, {three} s together");
}

#[test]
fn a_guest_that_writes_faster_than_the_network_takes_five_times_as_long_and_can_be_cancelled() {
    let busy = |g: &mut crate::sim::world::Guest| (g.dirty, g.memory_used) = (2_000_000_000, 700 << 30);
    let mut world = World::builder(3).guest(101, "pve1", busy).build();
    let upid = migrate(&mut world, 101, "pve2").expect("accepted");
    world.advance_secs(3600);
    assert_eq!(status(&world, &upid), "running");
    world.cancel_task(Actor::Pitlane, &node("pve3"), &node("pve1"), &upid).expect("accepted");
    let took = wait(&mut world, 10, |w| status(w, &upid) == "migration problems");
    assert!(took <= 4, "{took}");
    assert!(world.at_home(GuestId(101)));
    world.cancel_task(Actor::Pitlane, &node("pve3"), &node("pve1"), &upid).expect("an ended task: null");
}

#[test]
fn towards_a_dead_node_a_upid_comes_and_the_task_fails_later() {
    let mut world = cluster();
    world.node_dies(&node("pve2"));
    let upid = migrate(&mut world, 101, "pve2").expect("accepted");
    let took = wait(&mut world, 60, |w| status(w, &upid) == "migration aborted");
    assert!(took >= 5, "{took}");
    assert!(world.at_home(GuestId(101)));
}

#[test]
fn two_posts_at_once_are_both_accepted_and_the_second_fails() {
    let mut world = World::builder(3).guest(101, "pve1", |g| g.memory_used = 20 * GIB).node_gib(64).build();
    let first = migrate(&mut world, 101, "pve2").expect("accepted");
    let second = migrate(&mut world, 101, "pve2").expect("accepted too");
    world.advance_secs(1);
    assert_eq!(migrate(&mut world, 101, "pve2"), Err(Refusal::locked("migrate")));
    world.advance_secs(60);
    assert_eq!(status(&world, &first), "OK");
    assert!(status(&world, &second).contains("got timeout"));
    assert_eq!(at(&world, 101), "pve2");
    // Where the first is quick the second gets the lock, and finds nobody.
    let mut world = cluster();
    migrate(&mut world, 101, "pve2").expect("accepted");
    let second = migrate(&mut world, 101, "pve2").expect("accepted too");
    world.advance_secs(30);
    assert_eq!((status(&world, &second).as_str(), at(&world, 101)), ("migration aborted", "pve2"));
}

#[test]
fn what_cannot_move_says_so_in_the_task_or_at_once() {
    let mut world = World::builder(3)
        .guest(101, "pve1", |g| g.local_cdrom = Some("local:iso/x.iso".into()))
        .guest(102, "pve1", |g| g.devices = vec!["hostpci0".into()])
        .guest(103, "pve1", |g| {
            g.local_disks.insert("local-lvm:vm-103-disk-0".into(), GIB);
        })
        .with(|w| (w.safety.slots_out, w.safety.slots_in) = (9, 9))
        .guest(104, "pve1", |g| g.lock = Some("backup".into()))
        .build();
    for id in [101, 102, 103] {
        let upid = migrate(&mut world, id, "pve2").expect("accepted");
        world.advance_secs(5);
        assert_eq!(status(&world, &upid), "migration aborted");
        assert!(world.at_home(GuestId(id)), "{id}");
    }
    assert_eq!(migrate(&mut world, 104, "pve2"), Err(Refusal::locked("backup")));
    let with_disks = MigrateCall { with_local_disks: true, ..call(&world, 103, "pve2") };
    let upid = world.migrate(Actor::Pitlane, &node("pve3"), &with_disks).expect("accepted");
    wait(&mut world, 60, |w| status(w, &upid) == "OK");
}

#[test]
fn a_container_restarts_to_move() {
    let mut world = cluster();
    let upid = migrate(&mut world, 201, "pve2").expect("accepted");
    let down = wait(&mut world, 20, |w| !w.guests[&GuestId(201)].aboard());
    assert!(down > 0);
    wait(&mut world, 20, |w| status(w, &upid) == "OK");
    assert!(world.guests[&GuestId(201)].aboard() && at(&world, 201) == "pve2");
    world.spoil_move(GuestId(201), IllMove::StoppedAtTarget);
    let upid = migrate(&mut world, 201, "pve3").expect("accepted");
    wait(&mut world, 30, |w| status(w, &upid) == "migration problems");
    assert!(!world.guests[&GuestId(201)].aboard() && at(&world, 201) == "pve3");
}

#[test]
fn a_killed_worker_leaves_its_lock_and_a_useless_half() {
    let mut world = cluster();
    world.spoil_move(GuestId(101), IllMove::Killed);
    let upid = migrate(&mut world, 101, "pve2").expect("accepted");
    wait(&mut world, 30, |w| status(w, &upid) == "unexpected status");
    assert_eq!(migrate(&mut world, 101, "pve2"), Err(Refusal::locked("migrate")));
    world.set_lock(GuestId(101), None);
    let again = migrate(&mut world, 101, "pve2").expect("accepted");
    wait(&mut world, 30, |w| status(w, &again) == "migration aborted");
    let third = migrate(&mut world, 101, "pve2").expect("the half is gone");
    wait(&mut world, 30, |w| status(w, &third) == "OK");
}

#[test]
fn quorum_lost_at_the_commit_leaves_the_guest_stuck_and_locked() {
    let mut world = cluster();
    let upid = migrate(&mut world, 101, "pve2").expect("accepted");
    world.advance_secs(4);
    world.cut(&node("pve1"), Cut::Corosync);
    wait(&mut world, 60, |w| status(w, &upid) == "migration problems");
    let guest = &world.guests[&GuestId(101)];
    assert_eq!(
        (guest.run, guest.lock.as_deref(), at(&world, 101)),
        (Run::Postmigrate, Some("migrate"), "pve1")
    );
}

#[test]
fn a_cut_of_all_networks_only_stalls_the_copy() {
    let mut world = World::builder(3).guest(101, "pve1", |g| g.memory_used = 8 * GIB).node_gib(64).build();
    let upid = migrate(&mut world, 101, "pve2").expect("accepted");
    world.advance_secs(4);
    world.cut(&node("pve2"), Cut::Network);
    world.advance_secs(40);
    assert_eq!(status(&world, &upid), "running");
    world.heal_cut(&node("pve2"));
    wait(&mut world, 40, |w| status(w, &upid) == "OK");
}

#[test]
fn a_task_is_known_on_its_own_node_only_and_dies_with_it() {
    let mut world = cluster();
    let upid = migrate(&mut world, 101, "pve2").expect("accepted");
    let elsewhere = world.task(&node("pve3"), &node("pve2"), &upid).map(|_| ());
    assert_eq!(elsewhere.expect_err("not there").text, "no such task");
    world.advance_secs(4);
    world.node_dies(&node("pve1"));
    assert_eq!(world.tasks_on(&node("pve3"), &node("pve1")).map(|_| ()), Err(Refusal::no_route()));
    world.node_boots(&node("pve1"));
    world.advance_secs(90);
    assert_eq!(status(&world, &upid), "unexpected status");
    let guest = &world.guests[&GuestId(101)];
    assert!(!guest.aboard() && guest.lock.is_some(), "the lock keeps it from starting");
    world.start_guest(Actor::Pitlane, &node("pve3"), &node("pve1"), GuestId(101)).expect("accepted");
    world.advance_secs(5);
    assert!(!world.guests[&GuestId(101)].aboard());
}

#[test]
fn preconditions_promise_dead_nodes_and_die_on_a_lock() {
    let mut world = World::builder(3)
        .guest(101, "pve1", |g| g.storage_on = Some(("nfs".into(), ["pve1".into(), "pve2".into()].into())))
        .build();
    world.node_dies(&node("pve2"));
    world.advance_secs(30);
    let found = world.preconditions(&node("pve3"), &node("pve1"), GuestId(101)).expect("answers");
    assert_eq!(found.allowed, [node("pve2")]);
    assert_eq!(found.not_allowed.len(), 1);
    world.set_lock(GuestId(101), Some("backup"));
    assert_eq!(
        world.preconditions(&node("pve3"), &node("pve1"), GuestId(101)),
        Err(Refusal::locked("backup"))
    );
}

#[test]
fn a_short_replication_delays_a_migration_and_a_long_one_makes_it_fail() {
    for (secs, end) in [(5, "OK"), (30, "got timeout")] {
        let mut world = cluster();
        world.human_replicates(GuestId(101), secs);
        let upid = migrate(&mut world, 101, "pve2").expect("accepted");
        wait(&mut world, 60, |w| status(w, &upid).ends_with(end));
    }
}

#[test]
fn a_restarted_pvedaemon_aborts_moves_without_a_trace() {
    let mut world = cluster();
    let upid = migrate(&mut world, 101, "pve2").expect("accepted");
    world.advance_secs(3);
    world.restart_pvedaemon(&node("pve1"));
    assert_eq!(status(&world, &upid), "interrupted by signal");
    assert!(world.at_home(GuestId(101)));
    assert!(world.reach(&node("pve1")).is_err());
    world.advance_secs(5);
    assert!(world.reach(&node("pve1")).is_ok());
}
