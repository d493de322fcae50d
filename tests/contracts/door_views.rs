//! One world, two doors: pitlane's own Proxmox client sees through door two, over TLS, what door one shows straight.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pitlane::adapters::pve::{ApiToken, Member, Proxmox, Settings, Trust};
use pitlane::model::ids::{GuestId, NodeName};
use pitlane::model::observed::{GuestKind, PveView, Survey};
use pitlane::model::plan::How;
use pitlane::model::step::Switch;
use pitlane::ports::{Migration, Pve};
use pitlane::sim::http::Options;
use pitlane::sim::world::Actor;
use pitlane::sim::{Doors, World};
use serde_json::{Value, json};

use crate::door_world::{Lab, SECRET, recorded_world};

/// pitlane's client, with the members' leaves pinned, asked from `pve2` on: `pve1` is the one in service.
fn through_tls(lab: &Lab) -> Proxmox {
    let member = |name: &str| {
        let node = NodeName::from(name);
        let pin = lab.door.fingerprints[&node].parse().expect("a fingerprint");
        Member { url: lab.door.endpoints[&node].clone(), node, trust: Trust::Pinned(vec![pin]) }
    };
    let token = ApiToken::new("pitlane@pve!ctl", SECRET);
    let settings = Settings::new(["pve2", "pve3", "pve1"].map(member).to_vec(), token);
    Proxmox::connect(settings, Arc::new(straight(lab))).expect("the settings are good")
}

fn straight(lab: &Lab) -> Doors {
    Doors::from(Arc::clone(&lab.world))
}

/// What both doors show must be the same, but for these members.
fn comparable(view: &PveView) -> Value {
    let mut view = serde_json::to_value(view).expect("a view is JSON");
    drop_members(&mut view);
    view
}

/// When it was read differs by the length of a look; which two members spoke is each door's choice; so are the words of
/// a trouble. A node's memory in use is not the world's but each door's own sum, and the list of paths that a token's
/// rights are told for is Proxmox's.
const LEFT_OUT: [&str; 6] = ["at", "asked_at", "member", "text", "memory_used", "granted"];

fn drop_members(value: &mut Value) {
    match value {
        Value::Object(map) => {
            // The rows of a node that is off were recorded to keep its size and its storages for five minutes; door one
            // leaves them out at once. Nothing is ever placed on such a node.
            if map.get("online") == Some(&json!(false)) {
                map.retain(|key, _| !matches!(key.as_str(), "capacity" | "storages"));
            }
            // Which nodes are refused counts, not in which words.
            if let Some(Value::Object(refused)) = map.get_mut("refused") {
                refused.values_mut().for_each(|words| *words = Value::Null);
            }
            map.retain(|key, _| !LEFT_OUT.contains(&key.as_str()));
            map.values_mut().for_each(drop_members);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_members),
        _ => {}
    }
}

fn surveyed(survey: &Survey) -> Value {
    let mut survey = serde_json::to_value(survey).expect("a survey is JSON");
    drop_members(&mut survey);
    survey
}

async fn both_see_the_same(lab: &Lab, what: &str) {
    let nodes = BTreeSet::from([NodeName::from("pve1")]);
    let guests: BTreeSet<GuestId> = [101, 102, 103, 104, 200].map(GuestId).into();
    let over_tls = through_tls(lab).look(&nodes, &guests, &nodes).await;
    let direct = straight(lab).look(&nodes, &guests, &nodes).await;
    let (over_tls, direct) = (comparable(&over_tls), comparable(&direct));
    let node = NodeName::from("pve1");
    let surveyed = surveyed(&through_tls(lab).survey(&node, &nodes).await);
    let straight = self::surveyed(&straight(lab).survey(&node, &nodes).await);
    let mut differences = Vec::new();
    diff("", &direct, &over_tls, &mut differences);
    diff("survey", &straight, &surveyed, &mut differences);
    assert!(differences.is_empty(), "{what}:\n{}", differences.join("\n"));
}

fn diff(at: &str, one: &Value, two: &Value, into: &mut Vec<String>) {
    match (one, two) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let (a, b) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                diff(&format!("{at}.{key}"), a, b, into);
            }
        }
        _ if one != two => into.push(format!("{at}: door one {one}, door two {two}")),
        _ => {}
    }
}

#[tokio::test]
async fn a_quiet_cluster_looks_the_same_through_both_doors() {
    let lab = Lab::still(recorded_world()).await;
    both_see_the_same(&lab, "a quiet cluster").await;
}

#[tokio::test]
async fn a_cluster_in_motion_looks_the_same_through_both_doors() {
    let lab = Lab::still(recorded_world()).await;
    let change = |change: &dyn Fn(&mut World)| change(&mut lab.world.lock().expect("alive"));
    change(&|world| world.human_maintenance(&"pve1".into(), Switch::On));
    for step in 0..12 {
        lab.door.advance(7).expect("alive");
        both_see_the_same(&lab, &format!("maintenance, {} s", (step + 1) * 7)).await;
    }
    change(&|world| world.human_backs_up(GuestId(103), 30));
    both_see_the_same(&lab, "a backup runs").await;
    change(&|world| world.human_maintenance(&"pve1".into(), Switch::Off));
    change(&|world| world.node_dies(&"pve3".into()));
    for step in 0..6 {
        lab.door.advance(40).expect("alive");
        both_see_the_same(&lab, &format!("pve3 dead for {} s", (step + 1) * 40)).await;
    }
}

#[tokio::test]
async fn a_guest_is_moved_and_a_move_is_cancelled_over_tls() {
    let lab = Lab::open(recorded_world(), Options { speed: 50.0, ..Options::default() }).await;
    let client = through_tls(&lab);
    let order = |to: &str| Migration {
        guest: GuestId(100),
        kind: GuestKind::Qemu,
        from: "pve2".into(),
        to: to.into(),
        how: How::Live,
        avoid: "pve1".into(),
    };
    let task = client.migrate(&order("pve3")).await.expect("accepted");
    client.cancel(&"pve2".into(), &task, &"pve1".into()).await.expect("cancelled");
    let until = async |what: &str, done: &dyn Fn(&World) -> bool| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !done(&lab.world.lock().expect("alive")) {
            assert!(Instant::now() < deadline, "{what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    until("the task never ended", &|world| !world.any_task_runs()).await;
    client.migrate(&order("pve3")).await.expect("accepted");
    until("the guest never came", &|world| world.guests[&GuestId(100)].node == "pve3".into()).await;
    let world = lab.world.lock().expect("alive");
    assert_eq!(json!(world.effects_of(Actor::Pitlane)), json!({ "migrate": 2, "cancel_task": 1 }));
}
