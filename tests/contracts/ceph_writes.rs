//! Writes read first and read back; questions are asked whole, again, or not at all. Against a Ceph that keeps one
//! flag and is told how to misbehave.

use std::collections::BTreeSet;
use std::sync::Arc;

use pitlane::adapters::ceph::Answer;
use pitlane::model::ids::{HostName, OsdId};
use pitlane::model::observed::{CephView, OkToStop};
use pitlane::model::seen::{Seen, Trouble};
use pitlane::model::step::Switch;
use pitlane::ports::Ceph;
use serde_json::{Value, json};

use crate::ceph_healthy::mgr_dump;
use crate::ceph_replay::{Replay, Scripted, said};

const SET: &str = "osd set-group noout node2";
const UNSET: &str = "osd unset-group noout node2";
const ASK: &str = "osd ok-to-stop 2 3";
const DONE: &str = "\n";

fn done() -> Scripted {
    Some(Answer { rc: 0, stdout: DONE.into(), stderr: String::new() })
}

fn no(rc: i32, stderr: &str) -> Scripted {
    Some(Answer { rc, stdout: DONE.into(), stderr: stderr.into() })
}

/// The healthy cluster, its map showing the given marks one after the other.
fn marked(marks: &[Value]) -> Arc<Replay> {
    let replay = Replay::healthy();
    let dump = replay.body("osd dump");
    let maps = marks.iter().map(|mark| {
        let mut dump = dump.clone();
        dump["crush_node_flags"] = mark.clone();
        said(0, &dump, "")
    });
    replay.set("osd dump", maps.collect::<Vec<_>>());
    Arc::new(replay)
}

fn node2() -> HostName {
    "node2".into()
}

fn kind<T: std::fmt::Debug>(end: Result<T, Trouble>) -> (&'static str, String) {
    let trouble = end.expect_err("it must not succeed");
    (trouble.kind(), trouble.text().to_owned())
}

#[tokio::test]
async fn what_is_so_already_is_not_written() {
    let set = marked(&[json!({"node2": ["noout"]})]);
    assert_eq!(set.client().noout(&node2(), Switch::On).await, Ok(()));
    assert_eq!(set.asked(), ["osd dump"]);
    // Another flag, or another host's, is not it.
    let other = marked(&[json!({"node2": ["noin"], "node1": ["noout"]})]);
    assert_eq!(other.client().noout(&node2(), Switch::Off).await, Ok(()));
    assert_eq!(other.asked(), ["osd dump"]);
}

#[tokio::test]
async fn a_write_is_read_back() {
    let good = marked(&[json!({}), json!({"node2": ["noout"]})]);
    good.set(SET, [done()]);
    assert_eq!(good.client().noout(&node2(), Switch::On).await, Ok(()));
    assert_eq!(good.asked(), ["osd dump", "osd tree", SET, "osd dump"]);
    // One bad name in a list is exit code 0 and a line on stderr; so is whatever else only looks done.
    let idle = marked(&[json!({})]);
    idle.set(SET, [no(0, "unable to parse osd id or crush node or device class: \"node2\". ")]);
    let (kind, text) = kind(idle.client().noout(&node2(), Switch::On).await);
    assert_eq!(kind, "nonsense", "{text}");
}

#[tokio::test]
async fn a_write_that_hung_counts_by_what_the_map_shows() {
    let happened = marked(&[json!({"node2": ["noout"]}), json!({})]);
    happened.set(UNSET, [None]);
    assert_eq!(happened.client().noout(&node2(), Switch::Off).await, Ok(()));
    let not = marked(&[json!({})]);
    not.set(SET, [None]);
    assert_eq!(kind(not.client().noout(&node2(), Switch::On).await).0, "too_slow");
    // Neither the write nor the look came to an end: it stays open which.
    let blind = marked(&[json!({})]);
    let map = said(0, &blind.body("osd dump"), "");
    blind.set("osd dump", [map, None]);
    blind.set(SET, [None]);
    assert_eq!(kind(blind.client().noout(&node2(), Switch::On).await).0, "too_slow");
}

#[tokio::test]
async fn only_a_host_of_the_tree_is_marked() {
    for name in ["default", "osd.2", "hdd", "nosuch", "node2 node3", "--help", ""] {
        let replay = marked(&[json!({})]);
        let (kind, text) = kind(replay.client().noout(&name.into(), Switch::On).await);
        assert_eq!(kind, "refused", "{name}: {text}");
        assert!(replay.asked().iter().all(|c| !c.contains("set-group")), "{name}: {:?}", replay.asked());
    }
    // Giving back needs no tree: a host that was taken out of it may still hold the mark.
    let gone = marked(&[json!({"node9": ["noout"]}), json!({})]);
    gone.set("osd unset-group noout node9", [done()]);
    assert_eq!(gone.client().noout(&"node9".into(), Switch::Off).await, Ok(()));
}

#[tokio::test]
async fn a_lacking_right_is_a_refusal_and_says_which() {
    let replay = marked(&[json!({})]);
    replay.set(SET, [no(13, "Error EACCES: access denied\n")]);
    let (kind, text) = kind(replay.client().noout(&node2(), Switch::On).await);
    assert_eq!(kind, "refused");
    assert!(text.contains("key lacks the right") && text.contains(SET), "{text}");
}

async fn view(replay: &Arc<Replay>) -> CephView {
    replay.client().look().await.any_age().expect("a healthy cluster").clone()
}

fn answer(rc: i32, ok: bool, osds: &Value, good: u64, bad: u64) -> Scripted {
    let body = json!({"ok_to_stop": ok, "osds": osds, "num_ok_pgs": good, "num_not_ok_pgs": bad});
    said(rc, &body, "Error: its words")
}

async fn asked(replay: &Arc<Replay>, answers: impl IntoIterator<Item = Scripted>) -> Seen<OkToStop> {
    let view = view(replay).await;
    replay.set(ASK, answers);
    replay.client().ok_to_stop(&node2(), &view).await
}

#[tokio::test]
async fn all_osds_of_the_host_are_asked_about_at_once_quorum_first() {
    let replay = Arc::new(Replay::healthy());
    let seen = asked(&replay, [answer(16, false, &json!([2, 3]), 13, 10)]).await;
    let got = seen.any_age().expect("EBUSY is an answer");
    assert_eq!((got.ok, got.ok_pgs, got.bad_pgs), (false, 13, 10));
    assert_eq!(got.asked.iter().map(|id| id.0).collect::<Vec<_>>(), [2, 3]);
    let asked = replay.asked();
    assert_eq!(asked[asked.len() - 2..], ["quorum_status", ASK]);
}

#[tokio::test]
async fn ask_again_is_asked_again_but_not_for_ever() {
    let wait = || answer(11, false, &json!([2, 3]), 0, 0);
    let replay = Arc::new(Replay::healthy());
    let seen = asked(&replay, [wait(), wait(), answer(0, true, &json!(["2", "3"]), 33, 0)]).await;
    assert!(seen.any_age().is_some_and(|got| got.ok), "{seen:?}");
    let never = Arc::new(Replay::healthy());
    let seen = asked(&never, [wait()]).await;
    assert!(matches!(&seen, Seen::Unknown { why } if why.kind() == "too_slow"), "{seen:?}");
}

#[tokio::test]
async fn an_answer_to_another_question_is_none() {
    let odd = [
        answer(0, true, &json!([2, 3, 4]), 33, 0),
        answer(0, true, &json!([2]), 17, 0),
        answer(16, true, &json!([2, 3]), 33, 0),
        answer(0, false, &json!([2, 3]), 33, 0),
        said(0, &Value::Null, ""),
    ];
    for strange in odd {
        let replay = Arc::new(Replay::healthy());
        let seen = asked(&replay, [strange.clone()]).await;
        assert!(matches!(&seen, Seen::Unknown { why } if why.kind() == "nonsense"), "{strange:?}: {seen:?}");
    }
}

#[tokio::test]
async fn single_osds_are_asked_about_as_one_set_and_only_those_that_are_there() {
    const ONE: &str = "osd ok-to-stop 3";
    let replay = Arc::new(Replay::healthy());
    let known = view(&replay).await;
    replay.set(ONE, [answer(0, true, &json!([3]), 17, 0)]);
    let seen = replay.client().may_stop(&[OsdId(3)].into(), &known).await;
    let got = seen.any_age().expect("an answer");
    assert_eq!((got.ok, got.ok_pgs, &got.asked), (true, 17, &[OsdId(3)].into()));
    let asked = replay.asked();
    assert_eq!(asked[asked.len() - 2..], ["quorum_status", ONE]);
    // Ceph says yes to what does not exist, and to nothing at all.
    for odd in [[OsdId(3), OsdId(99)].into(), BTreeSet::new()] {
        let seen = replay.client().may_stop(&odd, &known).await;
        assert!(matches!(&seen, Seen::Unknown { why } if why.kind() == "refused"), "{odd:?}: {seen:?}");
    }
    assert_eq!(replay.asked().len(), asked.len(), "nothing more was asked");
}

#[tokio::test]
async fn a_host_that_is_not_there_or_a_lost_quorum_is_not_asked_about() {
    let replay = Arc::new(Replay::healthy());
    let known = view(&replay).await;
    let seen = replay.client().ok_to_stop(&"nosuch".into(), &known).await;
    assert!(matches!(&seen, Seen::Unknown { why } if why.kind() == "refused"), "{seen:?}");
    let mut alone = replay.body("quorum_status");
    alone["quorum_names"] = json!(["node1"]);
    replay.set("quorum_status", [said(0, &alone, "")]);
    // The answer is at hand, and it is yes: nobody may ask for it.
    let seen = {
        replay.set(ASK, [answer(0, true, &json!([2, 3]), 33, 0)]);
        replay.client().ok_to_stop(&node2(), &known).await
    };
    assert!(matches!(&seen, Seen::Unknown { why } if why.kind() == "unreachable"), "{seen:?}");
    assert!(!replay.asked().contains(&ASK.to_owned()));
    let Seen::Unknown { why } = replay.client().look().await else { panic!("a minority knows nothing") };
    assert!(why.text().contains("1 of 3"), "{why}");
}

#[tokio::test]
async fn a_quorum_that_goes_during_the_round_makes_it_worthless() {
    let replay = Arc::new(Replay::healthy());
    let mut status = replay.body("status");
    status["quorum"] = json!([]);
    status["quorum_names"] = json!([]);
    assert_eq!(status["health"]["status"], "HEALTH_OK");
    replay.set("status", [said(0, &status, "")]);
    let seen = replay.client().look().await;
    assert!(matches!(&seen, Seen::Unknown { why } if why.kind() == "unreachable"), "{seen:?}");
}

#[tokio::test]
async fn what_cannot_have_changed_is_not_asked_for_again() {
    let replay = Arc::new(Replay::healthy());
    let client = replay.client();
    let count = |what: &str| replay.asked().iter().filter(|c| *c == what).count();
    for _ in 0..3 {
        client.look().await;
    }
    assert_eq!((count("osd metadata"), count("osd crush rule dump"), count("status")), (1, 1, 3));
    // An OSD that started again may stand in another machine now.
    let mut dump = replay.body("osd dump");
    dump["osds"][0]["up_from"] = json!(999);
    replay.set("osd dump", [said(0, &dump, "")]);
    client.look().await;
    assert_eq!(count("osd metadata"), 2);
}

#[tokio::test]
async fn marks_of_others_are_seen_wherever_they_are() {
    let replay = marked(&[json!({"node1": ["noout"], "default": ["noin"]})]);
    let mut dump = replay.body("osd dump");
    dump["device_class_flags"] = json!({"hdd": ["noout"]});
    dump["osds"][4]["state"] = json!(["exists", "noout", "up"]);
    replay.set("osd dump", [said(0, &dump, "")]);
    let view = view(&replay).await;
    let names: BTreeSet<&str> = view.host_flags.keys().map(HostName::as_str).collect();
    assert_eq!(names, BTreeSet::from(["class hdd", "default", "node1", "osd.4"]));
    assert!(view.has_noout(&"node1".into()) && !view.has_noout(&"node3".into()));
}

#[tokio::test]
async fn the_manager_is_handed_over_once_and_only_to_somebody() {
    let fail = "mgr fail node1";
    let replay = Arc::new(Replay::healthy());
    let (before, between, after) =
        (mgr_dump("node1", &["node2"]), mgr_dump("", &[]), mgr_dump("node2", &["node1"]));
    replay.set("mgr dump", [said(0, &before, ""), said(0, &between, ""), said(0, &after, "")]);
    replay.set(fail, [done()]);
    assert_eq!(replay.client().fail_mgr("node1").await, Ok(()));
    // Now it stands by: nothing is left to do.
    assert_eq!(replay.client().fail_mgr("node1").await, Ok(()));
    assert_eq!(replay.asked().iter().filter(|c| *c == fail).count(), 1);
    let alone = Arc::new(Replay::healthy());
    alone.set("mgr dump", [said(0, &mgr_dump("node1", &[]), "")]);
    assert_eq!(kind(alone.client().fail_mgr("node1").await).0, "refused");
    assert_eq!(kind(alone.client().fail_mgr("nosuch").await).0, "refused");
    assert!(alone.asked().iter().all(|c| c == "mgr dump"), "{:?}", alone.asked());
}
