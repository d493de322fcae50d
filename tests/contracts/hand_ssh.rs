//! The way to the root helper, with a script in the place of ssh: which member is asked, with which words, and what
//! becomes of each exit code. The real sshd and the real helper are in `tests/end_to_end/hand_real.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pitlane::adapters::hand::{HandConfig, Member, SshHand};
use pitlane::model::ids::NodeName;
use pitlane::model::observed::HandView;
use pitlane::model::seen::{Seen, Trouble};
use pitlane::model::step::Switch;
use pitlane::ports::Hand;

use crate::ceph_program::script;
use crate::ceph_replay::{NOW, Stopped};

/// A helper that says what the shell text `body` makes it say; `$host` is the address dialled, `$verb` the words.
fn hand(dir: &Path, body: &str) -> SshHand {
    SshHand::new(config(dir, body), Arc::new(Stopped))
}

fn config(dir: &Path, body: &str) -> HandConfig {
    let log = dir.join("log").display().to_string();
    let head = format!(
        "all=\"$*\"; host=\"${{all#* -- }}\"; verb=\"${{host#* }}\"; host=\"${{host%% *}}\"\n\
         echo \"$host: $verb\" >>{log}; echo \"$all\" >>{log}.all\n"
    );
    script(&dir.join("ssh"), &format!("{head}{body}"));
    let member = |n: u16| Member {
        node: NodeName(format!("pve{n}")),
        address: format!("192.0.2.{n}"),
        port: 2200 + n,
    };
    HandConfig {
        ssh: dir.join("ssh"),
        key: dir.join("key"),
        known_hosts: dir.join("known hosts"),
        user: "root".into(),
        members: (1..=3).map(member).collect(),
        call: Duration::from_secs(20),
        whole: Duration::from_secs(30),
    }
}

fn asked(dir: &Path) -> Vec<String> {
    fs::read_to_string(dir.join("log")).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// `show` of the member dialled, in good order, with the given Ceph flags.
fn show(flags: &str) -> String {
    format!(
        "echo '{{\"hand\":1,\"node\":\"pve'\"${{host##*.}}\"'\",\"quorate\":true,\"manager_status\":{{}},\
         \"ceph\":\"answered\",\"crush_node_flags\":{flags}}}'"
    )
}

fn avoid(names: &[&str]) -> BTreeSet<NodeName> {
    names.iter().map(|&n| n.into()).collect()
}

#[tokio::test]
async fn the_first_member_not_to_be_avoided_is_asked() {
    let dir = dir();
    let seen = hand(dir.path(), &show("{}")).show(&avoid(&["pve1"])).await;
    let view = HandView { member: "pve2".into(), version: "1".into(), quorate: true };
    assert_eq!(seen, Seen::known(view, NOW.parse().expect("an instant")));
    assert_eq!(asked(dir.path()), ["192.0.2.2: show"]);
    let all = fs::read_to_string(dir.path().join("log.all")).expect("the script wrote it");
    let d = dir.path().display();
    for part in [
        "-F /dev/null",
        &format!("-i {d}/key"),
        "-o BatchMode=yes",
        "-o StrictHostKeyChecking=yes",
        &format!("-o UserKnownHostsFile=\"{d}/known hosts\""),
        "-o ConnectTimeout=5",
        "-p 2202 -l root -- 192.0.2.2 show",
    ] {
        assert!(all.contains(part), "{part} in {all}");
    }
}

#[tokio::test]
async fn the_next_one_is_asked_only_when_one_is_not_reached() {
    let dead =
        "case $host in *.2) echo 'ssh: connect to host 192.0.2.2: No route to host' >&2; exit 255;; esac";
    let reached = dir();
    let end = hand(reached.path(), dead).maintenance(&"pve1".into(), Switch::On).await;
    assert_eq!(end, Ok(()));
    assert_eq!(asked(reached.path()), ["192.0.2.2: maintenance on pve1", "192.0.2.3: maintenance on pve1"]);
    for rc in [1, 2, 3, 4, 9, 127] {
        let refused = dir();
        let end = hand(refused.path(), &format!("exit {rc}")).maintenance(&"pve1".into(), Switch::Off).await;
        assert!(end.is_err(), "{rc}");
        assert_eq!(asked(refused.path()), ["192.0.2.2: maintenance off pve1"], "{rc}");
    }
}

#[tokio::test]
async fn each_way_to_fail_has_its_name() {
    let table = [
        (
            "echo 'pitlane-hand: refused: in maintenance already: pve3' >&2; exit 3",
            "refused",
            "in maintenance already: pve3",
        ),
        ("echo 'ha-manager crm-command failed with 2' >&2; exit 1", "refused", "a tool failed: ha-manager"),
        ("echo 'pitlane-hand: usage: show' >&2; exit 2", "nonsense", "does not know `mgr-fail node1`"),
        (
            "echo 'pitlane-hand: ceph mgr did not answer in 15 s' >&2; exit 4",
            "too_slow",
            "did not answer in 15 s",
        ),
        ("exit 127", "not_configured", "not installed on pve2"),
        ("exit 77", "nonsense", "unknown exit code 77"),
        (
            "echo 'root@192.0.2.2: Permission denied (publickey).' >&2; exit 255",
            "unreachable",
            "does not accept our key",
        ),
        ("echo 'Host key verification failed.' >&2; exit 255", "unreachable", "pve3 shows another host key"),
    ];
    for (body, kind, words) in table {
        let dir = dir();
        let end = hand(dir.path(), body).fail_mgr("node1", &"pve1".into()).await;
        let why = end.expect_err("it must not succeed");
        assert_eq!(why.kind(), kind, "{body}: {why}");
        assert!(why.text().contains(words), "{body}: {why}");
    }
}

#[tokio::test]
async fn a_lonely_member_says_itself_why() {
    let dir = dir();
    let denied = "echo 'root@192.0.2.3: Permission denied (publickey).' >&2; exit 255";
    let Seen::Unknown { why } = hand(dir.path(), denied).show(&avoid(&["pve1", "pve2"])).await else {
        panic!("nobody answered");
    };
    assert_eq!(why, Trouble::Refused("pve3 does not accept our key".into()));
    let Seen::Unknown { why } = hand(dir.path(), "exit 0").show(&avoid(&["pve1", "pve2", "pve3"])).await
    else {
        panic!("nobody was asked");
    };
    assert_eq!(why.kind(), "unreachable");
    assert_eq!(asked(dir.path()).len(), 1);
    let none = HandConfig { members: Vec::new(), ..config(dir.path(), "exit 0") };
    let end = SshHand::new(none, Arc::new(Stopped)).maintenance(&"pve1".into(), Switch::On).await;
    assert_eq!(end.expect_err("nobody to ask").kind(), "not_configured");
}

#[tokio::test]
async fn an_answer_that_is_not_the_members_own_is_none() {
    let wrong = [
        "echo '{\"hand\":1,\"node\":\"pve1\",\"quorate\":true}'",
        "echo '{\"hand\":1,\"node\":null,\"quorate\":true}'",
        "echo 'Linux pve2 6.8'",
        "true",
    ];
    for body in wrong {
        let dir = dir();
        let seen = hand(dir.path(), body).show(&avoid(&["pve1"])).await;
        assert!(matches!(&seen, Seen::Unknown { why } if why.kind() == "nonsense"), "{body}: {seen:?}");
    }
    let dir = dir();
    let unsure = show("null").replace("\"quorate\":true", "\"quorate\":null");
    let seen = hand(dir.path(), &unsure).show(&avoid(&[])).await;
    assert!(seen.any_age().is_some_and(|view| !view.quorate), "{seen:?}");
}

#[tokio::test]
async fn noout_is_read_back() {
    let set = dir();
    let there = show("{\"node1\":[\"noout\"]}");
    let body = format!("[ \"$verb\" != show ] || {there}");
    let end = hand(set.path(), &body).noout(&"node1".into(), Switch::On, &"pve1".into()).await;
    assert_eq!(end, Ok(()));
    assert_eq!(asked(set.path()), ["192.0.2.2: noout on node1", "192.0.2.2: show"]);
    for (rc, flags, kind) in [(0, "{}", "nonsense"), (4, "{}", "too_slow"), (0, "null", "nonsense")] {
        let dir = dir();
        let body = format!("[ \"$verb\" = show ] || exit {rc}\n{}", show(flags));
        let end = hand(dir.path(), &body).noout(&"node1".into(), Switch::On, &"pve1".into()).await;
        assert_eq!(end.expect_err("it is not there").kind(), kind, "{rc} {flags}");
    }
    let late = dir();
    let body = format!("[ \"$verb\" = show ] || exit 4\n{there}");
    let end = hand(late.path(), &body).noout(&"node1".into(), Switch::On, &"pve1".into()).await;
    assert_eq!(end, Ok(()), "a tool that was cut off may have done it");
}

#[tokio::test]
async fn a_name_that_would_be_two_words_is_not_sent() {
    let dir = dir();
    let hand = hand(dir.path(), "exit 0");
    let long = "x".repeat(1 << 20);
    let shell =
        ["pve1;id", "$(id)", "`id`", "a|b", "a&b", "a>b", "*", "../x", "a'b", "a\"b", "a\\b", "~", "a=b"];
    let other =
        ["pve1 pve2", "-v", "", "a\nb", "a\r\nb", "a\0b", "\u{202e}a", "a\tb", "\u{1b}[2J", long.as_str()];
    for name in shell.into_iter().chain(other) {
        let avoid = NodeName::from("pve9");
        for end in [
            hand.maintenance(&name.into(), Switch::On).await,
            hand.maintenance(&name.into(), Switch::Off).await,
            hand.noout(&name.into(), Switch::On, &avoid).await,
            hand.fail_mgr(name, &avoid).await,
        ] {
            assert_eq!(end.expect_err("no such name").kind(), "refused", "{name}");
        }
    }
    assert_eq!(asked(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_hang_ends_by_itself_and_nobody_else_is_asked() {
    let dir = dir();
    let mut config = config(dir.path(), "sleep 1000");
    config.call = Duration::from_millis(800);
    let began = Instant::now();
    let end = SshHand::new(config, Arc::new(Stopped)).maintenance(&"pve1".into(), Switch::On).await;
    assert_eq!(end.expect_err("no answer").kind(), "too_slow");
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(asked(dir.path()).len(), 1);
}
