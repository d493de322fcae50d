//! The port over recorded answers: who is asked, what is known, what is ordered.

use std::{collections::BTreeSet, sync::Arc};

use pitlane::{
    model::{
        ids::{GuestId, NodeName},
        observed::{GuestKind, Power, PveView},
        plan::How,
        seen::{Seen, Trouble},
    },
    ports::{Migration, Pve},
};
use serde_json::json;

use crate::pve_scripted::{NOON, Reply, Script, healthy, proxmox, recorded};

fn nodes<const N: usize>(names: [&str; N]) -> BTreeSet<NodeName> {
    names.into_iter().map(NodeName::from).collect()
}

async fn look<const N: usize>(script: Script, deep: [&str; N]) -> (Arc<Script>, PveView) {
    let script = Arc::new(script);
    let view = proxmox(&script).look(&nodes(deep), &BTreeSet::new(), &nodes(deep)).await;
    (script, view)
}

fn why<T: std::fmt::Debug>(seen: &Seen<T>) -> &Trouble {
    match seen {
        Seen::Unknown { why } => why,
        other => panic!("known or not asked: {other:?}"),
    }
}

#[tokio::test]
async fn a_quiet_look_is_four_calls_to_one_member() {
    let (script, view) = look(healthy(), []).await;
    assert_eq!(script.asked().len(), 4, "{:?}", script.asked());
    assert!(script.asked().iter().all(|line| line.starts_with("pve1: ")));
    let first = view.first.any_age().expect("seen");
    assert!(first.quorate && first.guests.len() == 10 && first.nodes.len() == 3);
    assert_eq!(first.guests[&GuestId(108)].lock.as_deref(), Some("backup"));
    assert_eq!(first.guests[&GuestId(104)].power, Power::Unknown, "just made, nobody knows yet");
    let storages = &first.nodes[&NodeName::from("pve1")].storages;
    assert!(storages["shared"].shared && !storages["local"].shared);
    let ha = view.ha.any_age().expect("seen");
    assert!(ha.armed && ha.services.len() == 3);
    assert_eq!(view.second, Seen::NotAsked);
}

#[tokio::test]
async fn a_deep_look_never_goes_through_the_node_it_is_about() {
    let (script, view) = look(healthy(), ["pve1"]).await;
    let through: Vec<String> = script.asked().into_iter().filter(|line| line.starts_with("pve1: ")).collect();
    assert_eq!(through, Vec::<String>::new());
    assert_eq!(view.first.any_age().map(|o| o.member.as_str()), Some("pve2"));
    assert_eq!(view.second.any_age().map(|o| o.member.as_str()), Some("pve3"));
    let node = view.nodes[&NodeName::from("pve1")].any_age().expect("seen");
    assert_eq!(node.version, "9.2.11");
    assert_eq!(node.clock_ahead, 1_795_302_153 - NOON);
    assert_eq!(
        node.services.iter().map(|(name, runs)| (name.as_str(), *runs)).collect::<Vec<_>>(),
        [("chrony", false), ("corosync", true)]
    );
    assert_eq!((node.live[&GuestId(101)], node.live[&GuestId(102)]), (Power::Running, Power::Stopped));
    assert!(node.tasks.len() == 8 && node.tasks.iter().all(|task| !task.runs()));
    assert_eq!(view.votes.any_age().map(|votes| (votes.nodes.len(), votes.qdevice)), Some((3, 0)));
}

#[tokio::test]
async fn guests_of_the_node_are_read_with_what_ties_them_to_it() {
    let (_, view) = look(healthy(), ["pve1"]).await;
    let guest = |id| {
        view.guests[&GuestId(id)].any_age().unwrap_or_else(|| panic!("{id}: {:?}", view.guests[&GuestId(id)]))
    };
    assert_eq!(guest(104).devices, ["usb0"]);
    assert!(guest(103).local_disks.contains_key("local:103/vm-103-disk-0.qcow2"), "{:?}", guest(103));
    assert!(guest(101).local_disks.is_empty() && guest(101).onboot);
    assert_eq!(guest(101).live.as_ref().and_then(|live| live.qemu.as_deref()), Some("running"));
    assert_eq!(guest(200).live.as_ref().map(|live| live.power), Some(Power::Stopped));
}

/// What is said of guest 999, which the cluster's list does not have, and how many members were asked for their own lists.
async fn unlisted(script: Script) -> (usize, Trouble) {
    let script = Arc::new(script);
    let wanted = BTreeSet::from([GuestId(999)]);
    let view = proxmox(&script).look(&nodes(["pve1"]), &wanted, &nodes(["pve1"])).await;
    let asked =
        ["pve2", "pve3"].iter().filter(|name| script.count(&format!("GET /nodes/{name}/qemu")) > 0).count();
    (asked, why(&view.guests[&GuestId(999)]).clone())
}

#[tokio::test]
async fn a_guest_is_gone_only_when_no_member_has_it_in_its_own_list() {
    let has = |of: &'static str, rows: serde_json::Value| {
        let empty = |script: Script, path: &str| script.on(path, Reply::Data(json!([])));
        let paths = ["/nodes/pve2/qemu", "/nodes/pve2/lxc", "/nodes/pve3/qemu", "/nodes/pve3/lxc"];
        let script = paths.iter().fold(healthy(), |script, path| empty(script, &format!("GET {path}")));
        script.on(of, Reply::Data(rows))
    };
    let nobody = || has("GET /nodes/pve3/lxc", json!([]));
    let (asked, said) = unlisted(nobody()).await;
    assert!(asked == 2 && matches!(said, Trouble::NoTrace(_)), "{said:?}");
    // The cluster's list was short.
    let (_, said) = unlisted(has("GET /nodes/pve3/qemu", json!([{"vmid": 999, "status": "running"}]))).await;
    assert!(matches!(&said, Trouble::Refused(text) if text.contains("pve3 has guest 999")), "{said:?}");
    let (_, said) = unlisted(has("GET /nodes/pve2/lxc", json!([{"vmid": 999, "status": "stopped"}]))).await;
    assert!(matches!(&said, Trouble::Refused(text) if text.contains("pve2 has guest 999")), "{said:?}");
    // A member that does not answer may have it.
    for reply in [Reply::Error(595, "No route to host"), Reply::Silent, Reply::Closed] {
        let (_, said) = unlisted(nobody().on("GET /nodes/pve3/qemu", reply)).await;
        assert!(!matches!(said, Trouble::NoTrace(_)), "{said:?}");
    }
    // A token that does not see all of them is shown short lists by everybody.
    let few = json!({"/": {"Sys.Audit": 1}, "/vms/101": {"VM.Audit": 1}});
    let (asked, said) = unlisted(nobody().on("GET /access/permissions", Reply::Data(few))).await;
    assert!(asked == 0 && matches!(said, Trouble::Refused(_)), "{said:?}");
}

#[tokio::test]
async fn a_member_without_quorum_is_passed_over() {
    let lost = json!([{"type": "cluster", "name": "lab", "quorate": 0}, {"type": "node", "name": "pve1", "online": 1}]);
    let (_, view) = look(healthy().via("pve1", "GET /cluster/status", Reply::Data(lost.clone())), []).await;
    assert_eq!(view.first.any_age().map(|o| (o.member.as_str(), o.quorate)), Some(("pve2", true)));
    // Where nobody has it, the first says so, and HA's old file is not taken for its state.
    let (_, view) = look(
        healthy().on("GET /cluster/status", Reply::Data(lost.clone())).via(
            "pve2",
            "GET /cluster/status",
            Reply::Data(lost),
        ),
        [],
    )
    .await;
    assert_eq!(view.first.any_age().map(|o| (o.member.as_str(), o.quorate)), Some(("pve1", false)));
    assert!(matches!(why(&view.ha), Trouble::Refused(text) if text.contains("no quorum")));
}

/// Behind one address for all, a request would go through the node that is serviced without anybody noticing.
#[tokio::test]
async fn an_address_that_another_member_answers_is_not_used() {
    let script = healthy().via("pve1", "GET /cluster/status", recorded("get-cluster-status-3nodes-via-pve2"));
    let (_, view) = look(script, []).await;
    assert_eq!(view.first.any_age().map(|o| o.member.as_str()), Some("pve2"));
    let (_, view) = look(
        healthy()
            .on("GET /cluster/status", recorded("get-cluster-status-3nodes-via-pve2"))
            .via("pve2", "GET /cluster/status", recorded("get-cluster-status-3nodes"))
            .via("pve3", "GET /cluster/status", recorded("get-cluster-status-3nodes")),
        [],
    )
    .await;
    assert!(
        matches!(why(&view.first), Trouble::NotConfigured(text) if text.contains("pve1 is answered by pve2"))
    );
}

#[tokio::test]
async fn a_dead_entry_is_skipped_and_asked_last_for_a_while() {
    let script = Arc::new(healthy().via("pve1", "GET *", Reply::NoConnection));
    let pve = proxmox(&script);
    for _ in 0..2 {
        let view = pve.look(&BTreeSet::new(), &BTreeSet::new(), &BTreeSet::new()).await;
        assert_eq!(view.first.any_age().map(|o| o.member.as_str()), Some("pve2"));
    }
    let tried = script.asked().iter().filter(|line| line.starts_with("pve1: ")).count();
    assert_eq!(tried, 1, "{:?}", script.asked());
}

#[tokio::test]
async fn where_nobody_answers_everything_is_unknown_in_time() {
    for reply in [Reply::NoConnection, Reply::Silent] {
        let (_, view) = look(healthy().on("GET *", reply), ["pve1"]).await;
        for seen in
            [why(&view.ha), why(&view.first), why(&view.second), why(&view.votes), why(&view.ha_rules)]
        {
            assert!(matches!(seen, Trouble::Unreachable(_) | Trouble::TooSlow(_)), "{seen:?}");
        }
        assert!(matches!(view.nodes[&NodeName::from("pve1")], Seen::Unknown { .. }));
    }
}

#[tokio::test]
async fn one_silent_answer_blinds_only_itself() {
    let (_, view) = look(healthy().on("GET /cluster/ha/status/manager_status", Reply::Silent), []).await;
    assert!(matches!(why(&view.ha), Trouble::TooSlow(_)));
    assert!(view.first.any_age().is_some());
}

#[tokio::test]
async fn null_and_empty_bodies_are_never_an_empty_cluster() {
    for reply in [Reply::Data(json!(null)), Reply::Error(200, "OK"), Reply::Data(json!({}))] {
        let (_, view) = look(healthy().on("GET /cluster/resources", reply), []).await;
        assert!(matches!(why(&view.first), Trouble::Nonsense(_)));
    }
}

#[tokio::test]
async fn a_node_that_is_offline_is_not_waited_for() {
    let dead = json!([
        {"type": "cluster", "name": "lab", "quorate": 1, "nodes": 3},
        {"type": "node", "name": "pve1", "online": 0}, {"type": "node", "name": "pve2", "online": 1, "local": 1},
        {"type": "node", "name": "pve3", "online": 1},
    ]);
    let script = healthy().on("GET /cluster/status", Reply::Data(dead.clone()));
    let (script, view) = look(script.via("pve2", "GET /cluster/status", Reply::Data(dead)), ["pve1"]).await;
    assert_eq!(script.count("GET /nodes/pve1"), 0);
    assert!(
        matches!(why(&view.nodes[&NodeName::from("pve1")]), Trouble::Unreachable(text) if text.contains("offline"))
    );
    assert!(matches!(why(&view.guests[&GuestId(101)]), Trouble::Unreachable(_)));
}

#[tokio::test]
async fn the_groups_of_proxmox_8_become_rules() {
    let resources = json!([{"sid": "vm:101", "state": "enabled", "group": "db"}, {"sid": "ct:200"}]);
    let groups = json!([{"group": "db", "nodes": "pve1:2,pve2", "restricted": 1, "nofailback": 1}]);
    let script = healthy()
        .on("GET /cluster/ha/rules", Reply::Error(501, "Method 'GET /cluster/ha/rules' not implemented"))
        .on("GET /cluster/ha/resources", Reply::Data(resources))
        .on("GET /cluster/ha/groups", Reply::Data(groups));
    let (_, view) = look(script, ["pve1"]).await;
    let rules = view.ha_rules.any_age().expect("seen");
    assert_eq!(rules.nodes.len(), 1);
    assert!(rules.nodes[0].strict && rules.nodes[0].guests.contains(&GuestId(101)));
    assert_eq!(rules.nodes[0].nodes[&NodeName::from("pve1")], 2);
    assert_eq!(
        (rules.resources[&GuestId(101)].requested.as_str(), rules.resources[&GuestId(101)].failback),
        ("started", false)
    );
    assert!(rules.resources[&GuestId(200)].failback);
}

#[tokio::test]
async fn a_guest_on_its_way_home_is_read_wherever_it_is() {
    let guests = [GuestId(103), GuestId(4242)].into();
    let current = recorded("get-qemu-status-current-locked");
    let script = Arc::new(healthy().on("GET /nodes/pve1/qemu/103/status/current", current));
    let view = proxmox(&script).look(&BTreeSet::new(), &guests, &BTreeSet::new()).await;
    let live = view.guests[&GuestId(103)].any_age().and_then(|guest| guest.live.clone());
    assert_eq!(live.and_then(|live| live.lock).as_deref(), Some("backup"));
    // No member lists it, as far as they answer: two of them do not.
    let unknown = why(&view.guests[&GuestId(4242)]);
    assert!(!matches!(unknown, Trouble::NoTrace(_)), "{unknown:?}");
}

#[tokio::test]
async fn a_locked_guest_is_read_from_its_configuration_alone() {
    let script = healthy().on("GET /nodes/pve1/qemu/103/migrate", Reply::Error(500, "VM is locked (backup)"));
    let (_, view) = look(script, ["pve1"]).await;
    let guest = view.guests[&GuestId(103)].any_age().expect("seen");
    assert!(guest.local_disks.contains_key("local:103/vm-103-disk-0.qcow2") && guest.refused.is_empty());
}

fn order() -> Migration {
    Migration {
        guest: GuestId(103),
        kind: GuestKind::Qemu,
        from: NodeName::from("pve1"),
        to: NodeName::from("pve2"),
        how: How::Live,
        avoid: NodeName::from("pve1"),
    }
}

const POST: &str = "POST /nodes/pve1/qemu/103/migrate";
const TASK: &str = "UPID:pve1:0000012B:00043B30:6B022382:qmigrate:103:pitlane@pve!ctl:";

async fn migrate(script: Script, order: &Migration) -> (Arc<Script>, Result<String, Trouble>) {
    let script = Arc::new(script);
    let result = proxmox(&script).migrate(order).await.map(|upid| upid.0);
    (script, result)
}

#[tokio::test]
async fn a_migration_is_ordered_once_and_not_through_the_node_it_leaves() {
    let (script, result) = migrate(healthy().on(POST, Reply::Data(json!(TASK))), &order()).await;
    assert_eq!(result, Ok(TASK.to_owned()));
    let posts: Vec<String> = script.asked().into_iter().filter(|line| line.contains("POST")).collect();
    assert_eq!(posts, [format!("pve2: {POST} target=pve2&online=1&with-conntrack-state=1")]);
}

#[tokio::test]
async fn an_older_target_is_not_asked_for_what_it_does_not_know() {
    let old = Reply::Data(json!({"version": "8.4.14", "release": "8.4"}));
    let script = healthy().on(POST, Reply::Data(json!(TASK))).on("GET /nodes/pve2/version", old);
    let (script, _) = migrate(script, &order()).await;
    assert!(script.asked().iter().all(|line| !line.contains("conntrack")), "{:?}", script.asked());
}

/// The proxy gave up, the connection broke, nothing came: in each case the task is looked for, and the order is not repeated.
#[tokio::test]
async fn an_order_whose_answer_was_lost_is_found_by_its_task() {
    let row = json!([{"upid": TASK, "node": "pve1", "type": "qmigrate", "id": "103", "status": "RUNNING"}]);
    for lost in [
        Reply::Error(596, "Connection timed out"),
        Reply::Error(595, "No route to host"),
        Reply::Closed,
        Reply::Silent,
    ] {
        let script = healthy().on(POST, lost).on("GET /nodes/pve1/tasks", Reply::Data(row.clone()));
        let (script, result) = migrate(script, &order()).await;
        assert_eq!((result, script.count("POST")), (Ok(TASK.to_owned()), 1));
    }
}

#[tokio::test]
async fn an_order_that_left_no_trace_is_unknown_and_not_repeated() {
    let old = "UPID:pve1:0000012B:00043B30:6B020000:qmigrate:103:pitlane@pve!ctl:";
    let foreign = "UPID:pve1:0000012B:00043B30:6B022382:qmigrate:103:root@pam:";
    for trace in [json!([]), json!([{"upid": old}]), json!([{"upid": foreign}])] {
        let script =
            healthy().on(POST, Reply::Error(596, "x")).on("GET /nodes/pve1/tasks", Reply::Data(trace));
        let (script, result) = migrate(script, &order()).await;
        assert!(matches!(result, Err(Trouble::TooSlow(_))), "{result:?}");
        assert_eq!(script.count("POST"), 1);
    }
}

#[tokio::test]
async fn an_order_moves_to_the_next_member_only_when_it_was_certainly_not_sent() {
    let script = healthy().on(POST, Reply::Data(json!(TASK))).via("pve2", POST, Reply::NoConnection);
    let (script, result) = migrate(script, &order()).await;
    assert_eq!((result, script.count("POST")), (Ok(TASK.to_owned()), 2));
    let (script, result) = migrate(healthy().on("POST *", Reply::NoConnection), &order()).await;
    assert!(matches!(result, Err(Trouble::Unreachable(_))), "{result:?}");
    assert_eq!(script.count("POST"), 2, "pve2 and pve3, never pve1");
}

#[tokio::test]
async fn what_forbids_the_move_is_found_before_the_order() {
    let blocked =
        json!({"running": 1, "not_allowed_nodes": {"pve2": {"unavailable_storages": ["fast"]}, "pve3": {}}});
    let cases = [
        (Reply::Data(blocked), "fast"),
        (Reply::Error(500, "VM is locked (backup)"), "locked (backup)"),
        (Reply::Error(500, "cluster not ready - no quorum?"), "no quorum"),
    ];
    for (reply, text) in cases {
        let (script, result) =
            migrate(healthy().on("GET /nodes/pve1/qemu/103/migrate", reply), &order()).await;
        assert!(matches!(&result, Err(Trouble::Refused(why)) if why.contains(text)), "{result:?}");
        assert_eq!(script.count("POST"), 0);
    }
}

#[tokio::test]
async fn a_silent_check_before_the_order_does_not_sound_like_an_order() {
    let (script, result) =
        migrate(healthy().on("GET /nodes/pve1/qemu/103/migrate", Reply::Silent), &order()).await;
    assert!(matches!(result, Err(Trouble::Unreachable(_))), "{result:?}");
    assert_eq!(script.count("POST"), 0);
}

#[tokio::test]
async fn a_container_moves_with_a_restart_and_never_live() {
    let mut order = Migration { guest: GuestId(200), kind: GuestKind::Lxc, how: How::Restart, ..order() };
    let task = "UPID:pve1:0000012B:00043B30:6B022382:vzmigrate:200:pitlane@pve!ctl:";
    let post = "POST /nodes/pve1/lxc/200/migrate";
    let (script, result) = migrate(healthy().on(post, Reply::Data(json!(task))), &order).await;
    assert_eq!(result, Ok(task.to_owned()));
    assert!(script.asked().contains(&format!("pve2: {post} target=pve2&restart=1&timeout=180")));
    order.how = How::Live;
    let (script, result) = migrate(healthy(), &order).await;
    assert!(matches!(result, Err(Trouble::Refused(_))));
    assert_eq!(script.count("POST"), 0);
}

#[tokio::test]
async fn start_resumes_what_is_paused_and_leaves_alone_what_runs() {
    let cases = [
        ("get-qemu-status-current-paused", Some("resume")),
        ("get-qemu-status-current-stopped", Some("start")),
        ("get-qemu-status-current-agent", None),
    ];
    for (state, expected) in cases {
        let script = healthy().on("GET /nodes/pve3/qemu/107/status/current", recorded(state));
        let script = Arc::new(script.on("POST *", Reply::Data(json!(TASK))));
        let (guest, on, avoid) = (GuestId(107), NodeName::from("pve3"), NodeName::from("pve1"));
        proxmox(&script).start(guest, GuestKind::Qemu, &on, &avoid).await.expect("accepted");
        let posts: Vec<String> = script.asked().into_iter().filter(|line| line.contains("POST")).collect();
        let expected: Vec<String> =
            expected.iter().map(|word| format!("pve2: POST /nodes/pve3/qemu/107/status/{word}")).collect();
        assert_eq!(posts, expected, "{state}");
    }
}

#[tokio::test]
async fn a_task_that_is_gone_is_cancelled_well_enough() {
    let delete = "DELETE /nodes/pve1/tasks/*";
    let avoid = NodeName::from("pve3");
    for (reply, good) in [
        (Reply::Data(json!(null)), true),
        (Reply::Error(403, "Permission check failed (/nodes/pve1, Sys.Modify)"), false),
    ] {
        let script = Arc::new(healthy().on(delete, reply));
        let result = proxmox(&script).cancel(&NodeName::from("pve1"), &TASK.into(), &avoid).await;
        assert_eq!(result.is_ok(), good, "{result:?}");
    }
    let script = Arc::new(healthy());
    let wrong = proxmox(&script).cancel(&NodeName::from("pve2"), &TASK.into(), &avoid).await;
    assert!(wrong.is_err() && script.asked().is_empty(), "a task is never sought on another node");
}
