//! Door one shows no more than the real adapters see.

use std::collections::BTreeSet;

use super::*;
use crate::model::ids::{CaseId, GuestId};
use crate::model::observed::{GuestKind, PveView, WorkOrderStatus};
use crate::model::plan::How;
use crate::model::seen::Seen;
use crate::model::step::{StepId, Switch, WorkOrder};
use crate::ports::{Ceph, Hand, Migration, Pve, Tickets};
use crate::sim::world::{Actor, Cut, Expect, audit};

fn doors() -> Doors {
    Doors::new(World::builder(3).vm(101, "pve1").vm(102, "pve1").ct(201, "pve1").ha(&[101]).ceph(1).build())
}

fn some(names: &[&str]) -> BTreeSet<NodeName> {
    names.iter().map(|name| NodeName::from(*name)).collect()
}

async fn look(doors: &Doors, node: &str) -> PveView {
    Pve::look(doors, &some(&[node]), &BTreeSet::new(), &some(&[node])).await
}

fn order(guest: u32, from: &str, to: &str, how: How) -> Migration {
    let kind = if how == How::Restart { GuestKind::Lxc } else { GuestKind::Qemu };
    let (from, to) = (NodeName::from(from), NodeName::from(to));
    Migration { guest: GuestId(guest), kind, from, to, how, avoid: "pve1".into() }
}

#[tokio::test]
async fn a_quiet_look_asks_little_and_a_deep_one_never_through_the_node() {
    let doors = doors();
    let quiet = Pve::look(&doors, &BTreeSet::new(), &BTreeSet::new(), &BTreeSet::new()).await;
    assert_eq!((quiet.second, quiet.votes), (Seen::NotAsked, Seen::NotAsked));
    let deep = look(&doors, "pve1").await;
    let member = |seen: &Seen<crate::model::observed::Opinion>| seen.any_age().map(|o| o.member.clone());
    assert_eq!((member(&deep.first), member(&deep.second)), (Some("pve2".into()), Some("pve3".into())));
    assert_eq!(deep.nodes[&NodeName::from("pve1")].any_age().expect("seen").live.len(), 3);
    assert_eq!(deep.guests.len(), 3);
}

#[tokio::test]
async fn a_dead_node_and_its_guests_are_unknown_and_never_empty() {
    let doors = doors();
    doors.world().node_dies(&"pve1".into());
    doors.advance_secs(30);
    let view = look(&doors, "pve1").await;
    assert!(matches!(view.nodes[&NodeName::from("pve1")], Seen::Unknown { .. }));
    assert!(view.guests.values().all(|seen| matches!(seen, Seen::Unknown { .. })));
    assert_eq!(view.first.any_age().expect("seen").guests.len(), 3);
}

#[tokio::test]
async fn a_member_with_quorum_is_preferred_and_without_any_ha_says_nothing() {
    let doors = doors();
    doors.world().cut(&"pve2".into(), Cut::Corosync);
    doors.advance_secs(10);
    let view = look(&doors, "pve1").await;
    assert_eq!(view.first.any_age().map(|o| o.member.as_str()), Some("pve3"));
    assert!(!view.second.any_age().expect("it answers").quorate);
    doors.world().node_dies(&"pve3".into());
    doors.advance_secs(10);
    let view = look(&doors, "pve1").await;
    assert!(!view.first.any_age().expect("it answers").quorate);
    assert!(matches!(view.ha, Seen::Unknown { why: Trouble::Refused(_) }));
}

#[tokio::test]
async fn a_lost_answer_is_not_a_lost_act() {
    let doors = doors();
    doors.world().spoil(Call::PveMigrate, Mishap::AnswerLost, 1);
    let lost = doors.migrate(&order(102, "pve1", "pve2", How::Live)).await;
    assert!(matches!(lost, Err(Trouble::TooSlow(_))));
    doors.advance_secs(30);
    assert_eq!(doors.world().guests[&GuestId(102)].node.as_str(), "pve2");
    doors.world().spoil(Call::PveMigrate, Mishap::Slow, 1);
    assert!(doors.migrate(&order(201, "pve1", "pve2", How::Restart)).await.is_err());
    doors.advance_secs(30);
    assert_eq!(doors.world().guests[&GuestId(201)].node.as_str(), "pve1");
}

#[tokio::test]
async fn one_blind_part_leaves_the_others_seen() {
    let doors = doors();
    let until = doors.world().later(60);
    doors.world().spoil_until(Call::PveHa, Mishap::Nonsense, until);
    let view = look(&doors, "pve1").await;
    assert!(matches!(view.ha, Seen::Unknown { why: Trouble::Nonsense(_) }));
    assert!(view.first.any_age().is_some());
    doors.advance_secs(60);
    assert!(look(&doors, "pve1").await.ha.any_age().is_some());
}

#[tokio::test]
async fn the_hand_refuses_what_the_script_refuses() {
    let doors = doors();
    let unknown = Hand::maintenance(&doors, &"pve9".into(), Switch::On).await;
    assert!(unknown.expect_err("no member").text().contains("not a member"));
    let bucket = Hand::noout(&doors, &"pve9".into(), Switch::On, &"pve1".into()).await;
    assert!(bucket.expect_err("no bucket").text().contains("not a CRUSH host"));
    // Far apart in time, and with a budget of two, the script still knows only one.
    doors.world().safety.nodes_out_max = 2;
    Hand::maintenance(&doors, &"pve1".into(), Switch::On).await.expect("accepted");
    let second = Hand::maintenance(&doors, &"pve2".into(), Switch::On).await;
    assert!(second.expect_err("one at a time").text().contains("in maintenance already: pve1"));
    Hand::maintenance(&doors, &"pve1".into(), Switch::Off).await.expect("giving back is allowed");
    doors.world().node_dies(&"pve2".into());
    doors.world().node_dies(&"pve3".into());
    doors.advance_secs(1);
    let alone = doors.world().hand_maintenance(Actor::Human, &"pve1".into(), &"pve1".into(), Switch::On);
    assert!(alone.expect_err("no quorum").text().contains("no quorum"));
    doors.world().hand.clear();
    let absent = Hand::show(&doors, &BTreeSet::new()).await;
    assert!(matches!(absent, Seen::Unknown { why: Trouble::NotConfigured(_) }));
}

#[tokio::test]
async fn the_same_say_step_twice_is_said_once() {
    let doors = doors();
    let what =
        WorkOrder { node: "pve1".into(), title: "fan".into(), body: String::new(), checklist: Vec::new() };
    let key = |subject| StepId::new(CaseId(1), subject);
    doors.world().spoil(Call::TicketOpen, Mishap::AnswerLost, 1);
    assert!(doors.open(&key("open"), CaseId(1), &what).await.is_err());
    doors.open(&key("open"), CaseId(1), &what).await.expect("the same one");
    for _ in 0..2 {
        doors.comment(&key("comment"), CaseId(1), "hello").await.expect("said");
    }
    doors.world().technician_claims_done(CaseId(1));
    let seen = Tickets::look(&doors, CaseId(1)).await;
    assert_eq!(seen.any_age().map(|o| o.status), Some(WorkOrderStatus::Done));
    doors.reopen(&key("reopen"), CaseId(1), "still broken").await.expect("reopened");
    let (orders, said) = {
        let world = doors.world();
        (world.board.open_orders().len(), world.board.order_of(CaseId(1)).expect("there").said.clone())
    };
    assert_eq!((orders, said), (1, vec!["hello".to_owned(), "still broken".to_owned()]));
}

#[tokio::test]
async fn a_whole_maintenance_by_hand_ends_as_it_began() {
    let doors = doors();
    let (n1, host) = (NodeName::from("pve1"), "pve1".into());
    let before = Ceph::look(&doors).await.any_age().expect("seen").clone();
    assert!(Ceph::ok_to_stop(&doors, &host, &before).await.any_age().expect("seen").ok);
    Ceph::fail_mgr(&doors, "pve1").await.expect("a standby takes over");
    Hand::maintenance(&doors, &n1, Switch::On).await.expect("accepted");
    Ceph::noout(&doors, &host, Switch::On).await.expect("set");
    doors.migrate(&order(102, "pve1", "pve2", How::Live)).await.expect("accepted");
    doors.migrate(&order(201, "pve1", "pve3", How::Restart)).await.expect("accepted");
    doors.advance_secs(120);
    doors.world().technician_opens(&n1);
    doors.advance_secs(3600);
    assert!(Ceph::look(&doors).await.any_age().expect("seen").osds.values().all(|osd| osd.r#in));
    let unfinished = audit(&doors.world(), &Expect::default());
    assert!(unfinished.len() >= 4, "{unfinished:?}");
    doors.world().technician_closes(&n1);
    doors.advance_secs(180);
    Ceph::noout(&doors, &host, Switch::Off).await.expect("cleared");
    Hand::maintenance(&doors, &n1, Switch::Off).await.expect("accepted");
    doors.migrate(&order(102, "pve2", "pve1", How::Live)).await.expect("accepted");
    doors.migrate(&order(201, "pve3", "pve1", How::Restart)).await.expect("accepted");
    doors.advance_secs(180);
    assert_eq!(audit(&doors.world(), &Expect::default()), Vec::<String>::new());
}
