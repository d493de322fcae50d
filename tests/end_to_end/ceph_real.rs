//! The Ceph adapter against real Ceph daemons: three hosts, two OSDs each, three monitors, two managers.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pitlane::adapters::ceph::{CephClient, CephProgram, Limits};
use pitlane::model::ids::{HostName, OsdId};
use pitlane::model::observed::{CephView, PoolKind};
use pitlane::model::seen::{Seen, Trouble};
use pitlane::model::step::Switch;
use pitlane::ports::Ceph;
use serde_json::Value;

use crate::lab::{Lab, Now, until};

/// Two busy cores may be shared with a whole test run.
const PATIENCE: Duration = Duration::from_secs(90);

fn program(lab: &Lab) -> CephProgram {
    CephProgram {
        program: PathBuf::from("/usr/bin/ceph"),
        conf: lab.fact("conf").into(),
        keyring: lab.fact("keyring").into(),
        name: lab.fact("name"),
    }
}

fn client(program: CephProgram) -> CephClient {
    CephClient::new(Arc::new(program), Arc::new(Now), Limits::default())
}

/// Ceph's own client as its administrator: what a test looks at and how it makes trouble, never what it tests.
pub fn admin(lab: &Lab, words: &[&str]) -> Value {
    let out = ceph(lab, "client.admin", "admin_keyring", words);
    assert!(out.status.success(), "{words:?}: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap_or(Value::Null)
}

pub fn ceph(lab: &Lab, name: &str, keyring: &str, words: &[&str]) -> std::process::Output {
    Command::new("/usr/bin/ceph")
        .args(["--conf", &lab.fact("conf"), "--name", name, "--keyring", &lab.fact(keyring)])
        .args(["--connect-timeout", "20", "--format", "json"])
        .args(words)
        .output()
        .expect("the client is installed, the lab found it")
}

async fn known(ceph: &CephClient) -> CephView {
    let sound = |seen: &Seen<CephView>| seen.any_age().is_some();
    let seen = until("a look that sees", PATIENCE, || ceph.look(), sound).await;
    seen.any_age().expect("it was just seen").clone()
}

fn why<T: std::fmt::Debug>(seen: Seen<T>) -> Trouble {
    match seen {
        Seen::Unknown { why } => why,
        other => panic!("it must be unknown, not {other:?}"),
    }
}

fn node2() -> HostName {
    "node2".into()
}

/// One lab for everything: it takes 20 s to come up, and each part leaves it as it was.
#[tokio::test(flavor = "multi_thread")]
async fn real_ceph_is_looked_at_asked_marked_and_lost() {
    let lab = Lab::up("ceph-lab", &[]);
    let ceph = client(program(&lab));
    everything_is_seen(&ceph).await;
    the_joint_question(&ceph).await;
    what_does_not_exist_may_not_stop(&lab, &ceph).await;
    noout_comes_and_goes(&lab, &ceph).await;
    our_key_can_do_no_harm(&lab);
    wrong_keys_have_their_names(&lab).await;
    the_manager_is_handed_over(&ceph).await;
    a_lost_quorum_is_unknown_in_time(&lab, &ceph).await;
}

async fn everything_is_seen(ceph: &CephClient) {
    // The managers' own pool may still be creating its one placement group.
    let clean = |seen: &Seen<CephView>| {
        seen.any_age().is_some_and(|view| !view.pgs.is_empty() && view.unclean_pgs().is_empty())
    };
    let seen = until("every placement group clean", PATIENCE, || ceph.look(), clean).await;
    let view = seen.any_age().expect("a look that sees").clone();
    let names = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect();
    assert_eq!(
        (view.quorum.clone(), view.monitors.clone()),
        (names(&["node1", "node2", "node3"]), names(&["node1", "node2", "node3"]))
    );
    assert_eq!(view.osds.len(), 6, "{:?}", view.osds);
    assert!(view.osds.values().all(|osd| osd.up && osd.r#in), "{:?}", view.osds);
    let of_node2: Vec<u32> = view.osds_of(&node2()).map(|(id, _)| id.0).collect();
    assert_eq!(of_node2, [2, 3]);
    assert_eq!(view.hosts.len(), 3, "each host by what its OSDs say: {:?}", view.hosts);
    assert!(view.hosts.iter().all(|(node, host)| node.0 == host.0), "{:?}", view.hosts);
    assert_eq!(view.unmatched_hosts().len(), 0);
    assert!(view.active_mgr.is_some() && view.standby_mgrs.len() == 1, "{view:?}");
    assert!(!view.pgs.is_empty() && view.unclean_pgs().is_empty(), "{:?}", view.pgs);
    let pool = view.pools.iter().find(|p| p.name == "lab").expect("the lab's pool");
    assert_eq!((pool.kind, pool.size, pool.min_size), (PoolKind::Replicated, 3, 2));
    assert_eq!(pool.failure_domain, "host");
    assert!(!view.flags.contains("noout") && view.host_flags.is_empty(), "{:?}", view.host_flags);
}

async fn the_joint_question(ceph: &CephClient) {
    let mut view = known(ceph).await;
    let host = ceph.ok_to_stop(&node2(), &view).await;
    let host = host.any_age().expect("an answer");
    assert!(host.ok && host.ok_pgs > 0 && host.bad_pgs == 0, "{host:?}");
    // An OSD of another host with it, and every object with copies on both is in danger: one by one both were fine.
    view.osds.get_mut(&OsdId(0)).expect("osd.0").host = node2();
    view.osds.get_mut(&OsdId(1)).expect("osd.1").host = node2();
    let both = ceph.ok_to_stop(&node2(), &view).await;
    let both = both.any_age().expect("EBUSY is an answer");
    assert!(!both.ok && both.bad_pgs > 0, "{both:?}");
    assert_eq!(why(ceph.ok_to_stop(&"nosuch".into(), &view).await).kind(), "refused");
}

/// Ceph says yes to an OSD that it does not have, also beside one that it has. We ask about none that its tree does not show.
async fn what_does_not_exist_may_not_stop(lab: &Lab, ceph: &CephClient) {
    let view = known(ceph).await;
    let yes = admin(lab, &["osd", "ok-to-stop", "99"]);
    assert_eq!((&yes["ok_to_stop"], &yes["num_ok_pgs"]), (&true.into(), &0.into()), "{yes}");
    for ids in [vec![OsdId(99)], vec![OsdId(2), OsdId(99)]] {
        let trouble = why(ceph.may_stop(&ids.into_iter().collect(), &view).await);
        assert!(trouble.kind() == "refused" && trouble.to_string().contains("no OSD 99"), "{trouble}");
    }
    let one = ceph.may_stop(&[OsdId(2)].into(), &view).await;
    assert!(one.any_age().is_some_and(|one| one.ok && one.ok_pgs > 0), "{one:?}");
}

async fn noout_comes_and_goes(lab: &Lab, ceph: &CephClient) {
    let flags = || admin(lab, &["osd", "dump"])["crush_node_flags"].to_string();
    let epoch = || admin(lab, &["osd", "dump"])["epoch"].as_u64().expect("an epoch");
    assert_eq!(ceph.noout(&node2(), Switch::On).await, Ok(()));
    assert_eq!(flags(), r#"{"node2":["noout"]}"#);
    let view = known(ceph).await;
    assert!(view.has_noout(&node2()) && view.host_flags.len() == 1, "{:?}", view.host_flags);
    assert!(view.checks.contains_key("OSD_FLAGS"), "{:?}", view.checks);
    let before = epoch();
    assert_eq!(ceph.noout(&node2(), Switch::On).await, Ok(()));
    assert_eq!(epoch(), before, "what is so already is not written again");
    assert_eq!(ceph.noout(&node2(), Switch::Off).await, Ok(()));
    assert_eq!(ceph.noout(&node2(), Switch::Off).await, Ok(()));
    assert_eq!(flags(), "{}");
    let refused = ceph.noout(&"default".into(), Switch::On).await;
    assert_eq!(refused.expect_err("the root is no host").kind(), "refused");
    assert_eq!(flags(), "{}");
}

fn our_key_can_do_no_harm(lab: &Lab) {
    let harm: [&[&str]; 5] = [
        &["osd", "out", "1"],
        &["osd", "set", "noout"],
        &["osd", "set-group", "noin", "node2"],
        &["auth", "ls"],
        &["osd", "pool", "delete", "lab", "lab", "--yes-i-really-really-mean-it"],
    ];
    for words in harm {
        let out = ceph(lab, &lab.fact("name"), "keyring", words);
        assert!(!out.status.success(), "{words:?} must be refused");
    }
    let osds = admin(lab, &["osd", "tree"]);
    let inside = osds["nodes"].as_array().expect("nodes").iter().filter(|n| n["reweight"] == 1.0).count();
    assert_eq!(inside, 6, "{osds}");
}

async fn wrong_keys_have_their_names(lab: &Lab) {
    let stranger = lab.dir().join("stranger.keyring");
    let ours = fs::read_to_string(lab.fact("keyring")).expect("our key");
    fs::write(&stranger, ours.replace("client.pitlane", "client.nobody")).expect("a file");
    let unknown = CephProgram { keyring: stranger, name: "client.nobody".into(), ..program(lab) };
    let trouble = why(client(unknown).look().await);
    assert_eq!(trouble.kind(), "refused", "{trouble}");
    let missing = CephProgram { keyring: lab.dir().join("none"), ..program(lab) };
    assert_eq!(why(client(missing).look().await).kind(), "not_configured");
    let no_conf = CephProgram { conf: lab.dir().join("none.conf"), ..program(lab) };
    let trouble = why(client(no_conf).look().await);
    assert_eq!(trouble.kind(), "not_configured", "{trouble}");
}

async fn the_manager_is_handed_over(ceph: &CephClient) {
    let view = known(ceph).await;
    let first = view.active_mgr.expect("an active manager");
    assert_eq!(ceph.fail_mgr(&first).await, Ok(()));
    let moved = |seen: &Seen<CephView>| {
        seen.any_age().is_some_and(|v| {
            v.active_mgr.as_ref().is_some_and(|now| *now != first) && v.standby_mgrs.contains(&first)
        })
    };
    let seen = until("the other manager", PATIENCE, || ceph.look(), moved).await;
    assert_eq!(ceph.fail_mgr(&first).await, Ok(()), "it stands by already");
    // The new one does not know all placement groups at first, and says "ask again": that is done inside.
    let view = seen.any_age().expect("it was just seen");
    let host = ceph.ok_to_stop(&node2(), view).await;
    assert!(host.any_age().is_some_and(|h| h.ok && h.ok_pgs > 0), "{host:?}");
}

async fn a_lost_quorum_is_unknown_in_time(lab: &Lab, ceph: &CephClient) {
    let view = known(ceph).await;
    for host in ["2", "3"] {
        let out = lab.run("kill-host", &[host]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    // For some seconds the last monitor may still list the old quorum and know the old state.
    let timed = || async {
        let began = Instant::now();
        (ceph.look().await, began.elapsed())
    };
    let blind = |(seen, _): &(Seen<CephView>, Duration)| seen.any_age().is_none();
    let (seen, took) = until("a lost quorum", PATIENCE, timed, blind).await;
    assert!(took < Duration::from_secs(17), "{took:?}");
    let trouble = why(seen);
    assert!(matches!(trouble.kind(), "unreachable" | "too_slow"), "{trouble}");
    // Shorter limits than usual: what is asked here hangs until them.
    let short = Limits { call: Duration::from_secs(6), ..Limits::default() };
    let hasty = CephClient::new(Arc::new(program(lab)), Arc::new(Now), short);
    let (host, began) = (node2(), Instant::now());
    let (asked, marked) = tokio::join!(hasty.ok_to_stop(&host, &view), hasty.noout(&host, Switch::On));
    assert!(asked.any_age().is_none(), "{asked:?}");
    assert!(marked.is_err(), "{marked:?}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    for host in ["2", "3"] {
        let out = lab.run("start-host", &[host]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    let whole = |seen: &Seen<CephView>| {
        seen.any_age().is_some_and(|v| v.osds.values().all(|o| o.up && o.r#in) && v.unclean_pgs().is_empty())
    };
    let seen = until("all OSDs back and clean", PATIENCE, || ceph.look(), whole).await;
    assert_eq!(seen.any_age().expect("seen").hosts, view.hosts);
}
