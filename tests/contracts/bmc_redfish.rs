//! Our requests against a server in DMTF's shape that checks every one of them: the account, the paths, what a LED is told.
//! The resources are those of `tests/data/redfish`; the same are served by a real sushy-static in the end-to-end tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use pitlane::adapters::bmc::{BmcConfig, Bmcs, RedfishConfig, Trust};
use pitlane::model::observed::{Inventory, LocateTarget, PartKey, PartKind};
use pitlane::model::seen::{Seen, Trouble};
use pitlane::model::step::Switch;
use pitlane::model::time::Time;
use pitlane::ports::{Bmc, Clock};
use serde_json::{Value, json};

use crate::pve_server::{self, Act, Server};

const NEW: &str = include_str!("../data/redfish/new.json");
const OLD: &str = include_str!("../data/redfish/old.json");
const CHASSIS: &str = "/redfish/v1/Chassis/1";
const ACCOUNT: &str = "Basic cGl0bGFuZTpzZWNyZXQ=";

struct Now;

impl Clock for Now {
    fn now(&self) -> Time {
        Time::now()
    }
}

#[derive(Default)]
struct Machine {
    tree: BTreeMap<String, Value>,
    /// Answered instead of the resource.
    broken: BTreeMap<String, StatusCode>,
    /// A change without the tag of what was read is refused.
    guards: bool,
    changes: Vec<(String, Value)>,
    asked: usize,
}

type Shared = Arc<Mutex<Machine>>;

async fn answer(
    State(machine): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut machine = machine.lock().expect("no panic while held");
    machine.asked += 1;
    if headers.get(header::AUTHORIZATION).is_none_or(|given| given != ACCOUNT) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let path = uri.path().to_owned();
    if let Some(status) = machine.broken.get(&path) {
        return status.into_response();
    }
    let Some(resource) = machine.tree.get(&path).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = format!("W/\"{}\"", machine.changes.len());
    match method {
        Method::GET => (
            [(header::ETAG, tag), (header::CONTENT_TYPE, "application/json".to_owned())],
            resource.to_string(),
        )
            .into_response(),
        Method::PATCH => {
            if machine.guards && headers.get(header::IF_MATCH).is_none_or(|given| given != tag.as_str()) {
                return StatusCode::PRECONDITION_REQUIRED.into_response();
            }
            let change: Value = serde_json::from_slice(&body).expect("a change is JSON");
            let known = machine.tree.get_mut(&path).expect("it is there, see above");
            for (name, value) in change.as_object().expect("an object") {
                if known.get(name).is_none() {
                    return StatusCode::BAD_REQUEST.into_response();
                }
                known[name] = value.clone();
            }
            machine.changes.push((path, change));
            StatusCode::NO_CONTENT.into_response()
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

/// A machine behind a controller of ours, and the adapter that is told of it.
async fn machine(tree: &str) -> (Shared, Bmcs) {
    let tree = serde_json::from_str(tree).expect("our own data");
    let machine = Arc::new(Mutex::new(Machine { tree, ..Machine::default() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let app = Router::new().fallback(answer).with_state(Arc::clone(&machine));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (machine, bmcs(&format!("http://{address}"), "secret"))
}

fn bmcs(url: &str, password: &str) -> Bmcs {
    trusting(url, password, Trust::System)
}

fn trusting(url: &str, password: &str, trust: Trust) -> Bmcs {
    let config = RedfishConfig {
        url: url.parse().expect("an address"),
        user: "pitlane".to_owned(),
        password: password.to_owned(),
        trust,
        system: None,
    };
    let nodes = [("pve2".into(), BmcConfig::Redfish(config))].into();
    Bmcs::new(nodes, "/nowhere".into(), Arc::new(Now)).expect("a good configuration")
}

fn listed(seen: Seen<Inventory>) -> Inventory {
    match seen {
        Seen::Known { value, .. } => value,
        other => panic!("not listed: {other:?}"),
    }
}

fn names(inventory: &Inventory) -> Vec<String> {
    inventory.parts.keys().map(ToString::to_string).collect()
}

fn why<T: std::fmt::Debug>(seen: Seen<T>) -> Trouble {
    match seen {
        Seen::Unknown { why } => why,
        other => panic!("seen: {other:?}"),
    }
}

#[tokio::test]
async fn the_new_and_the_old_shapes_list_the_same_parts() {
    let new = listed(machine(NEW).await.1.inventory(&"pve2".into()).await);
    let old = listed(machine(OLD).await.1.inventory(&"pve2".into()).await);
    let both = [
        "disk Bay 0",
        "disk Bay 1",
        "memory DIMM_A1",
        "memory DIMM_A2",
        "processor CPU 1",
        "power supply PS1",
        "power supply PS2",
        "fan FAN1",
        "fan FAN2",
        "fan FAN3",
        "fan FAN4",
        "sensor Inlet",
        "board 1",
    ];
    for name in both {
        assert!(names(&new).iter().any(|n| n == name), "{name} is not in the new shape: {:?}", names(&new));
        assert!(names(&old).iter().any(|n| n == name), "{name} is not in the old shape: {:?}", names(&old));
    }
    assert_eq!(new.parts.len(), both.len() + 2, "a second sensor and a network card: {:?}", names(&new));
    let psu = &new.parts[&PartKey::new(PartKind::PowerSupply, "PS2")];
    assert_eq!((psu.serial.as_deref(), psu.good), (Some("PSU-2"), Some(true)));
    let (_, disk) = new.disk("S6KZ-1").expect("by its serial");
    assert_eq!(disk.size, Some(960_197_124_096));
}

#[tokio::test]
async fn a_part_that_was_pulled_out_is_not_listed_and_a_bad_one_is() {
    let (machine, bmcs) = machine(NEW).await;
    {
        let mut machine = machine.lock().expect("no panic while held");
        let psu = format!("{CHASSIS}/PowerSubsystem/PowerSupplies/1");
        machine.tree.get_mut(&psu).expect("listed")["Status"] = json!({"State": "Absent"});
        let fan = format!("{CHASSIS}/ThermalSubsystem/Fans/3");
        machine.tree.get_mut(&fan).expect("listed")["Status"] =
            json!({"State": "Enabled", "Health": "Critical"});
    }
    let parts = listed(bmcs.inventory(&"pve2".into()).await);
    assert!(!names(&parts).contains(&"power supply PS1".to_owned()));
    assert_eq!(parts.parts[&PartKey::new(PartKind::Fan, "FAN3")].good, Some(false));
}

#[tokio::test]
async fn half_a_list_is_none_and_what_no_controller_has_is_no_error() {
    let (machine, bmcs) = machine(NEW).await;
    let fan = format!("{CHASSIS}/ThermalSubsystem/Fans/3");
    machine.lock().expect("held").broken.insert(fan.clone(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(matches!(why(bmcs.inventory(&"pve2".into()).await), Trouble::Unreachable(_)));
    // Listed and not there: a tree that changes under our hands.
    machine.lock().expect("held").broken.insert(fan.clone(), StatusCode::NOT_FOUND);
    assert!(matches!(why(bmcs.inventory(&"pve2".into()).await), Trouble::Nonsense(_)));
    {
        let mut held = machine.lock().expect("held");
        held.broken.clear();
        held.tree.remove("/redfish/v1/Chassis/1/NetworkAdapters");
    }
    listed(bmcs.inventory(&"pve2".into()).await);
}

#[tokio::test]
async fn a_led_is_lit_in_the_words_of_its_machine_and_read_back() {
    for (tree, words) in
        [(NEW, json!({"LocationIndicatorActive": true})), (OLD, json!({"IndicatorLED": "Lit"}))]
    {
        let (machine, bmcs) = machine(tree).await;
        machine.lock().expect("held").guards = true;
        let lit = async || match bmcs.look(&"pve2".into()).await {
            Seen::Known { value, .. } => (value.power, value.lit.get(&LocateTarget::Chassis).copied()),
            other => panic!("not seen: {other:?}"),
        };
        assert_eq!(lit().await, (Some(Switch::On), Some(Switch::Off)));
        // Twice: a step may be done again after a death.
        for _ in 0..2 {
            bmcs.locate(&"pve2".into(), &LocateTarget::Chassis, Switch::On).await.expect("it is lit");
        }
        assert_eq!(lit().await.1, Some(Switch::On));
        assert_eq!(machine.lock().expect("held").changes, [(CHASSIS.to_owned(), words)]);
        bmcs.locate(&"pve2".into(), &LocateTarget::Chassis, Switch::Off).await.expect("it is dark");
        assert_eq!(lit().await.1, Some(Switch::Off));
    }
}

#[tokio::test]
async fn a_bay_has_its_own_led_once_it_was_listed() {
    let (_, bmcs) = machine(NEW).await;
    let bay = LocateTarget::Part(PartKey::new(PartKind::Disk, "Bay 1"));
    assert!(matches!(bmcs.locate(&"pve2".into(), &bay, Switch::On).await, Err(Trouble::Refused(_))));
    listed(bmcs.inventory(&"pve2".into()).await);
    bmcs.locate(&"pve2".into(), &bay, Switch::On).await.expect("it is lit");
    let Seen::Known { value, .. } = bmcs.look(&"pve2".into()).await else { panic!("not seen") };
    assert_eq!(value.lit.get(&bay), Some(&Switch::On));
    assert_eq!(value.lit.get(&LocateTarget::Part(PartKey::new(PartKind::Disk, "Bay 0"))), Some(&Switch::Off));
}

#[tokio::test]
async fn a_controller_that_is_not_there_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    drop(listener);
    assert!(matches!(why(bmcs(&url, "secret").look(&"pve2".into()).await), Trouble::Unreachable(_)));
}

#[tokio::test]
async fn a_controller_that_refuses_says_so_and_no_password_is_told() {
    let (_, good) = machine(NEW).await;
    assert!(matches!(why(good.look(&"pve1".into()).await), Trouble::NotConfigured(_)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let app = Router::new().fallback(answer).with_state(Shared::default());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let told = why(bmcs(&url, "guessed").look(&"pve2".into()).await);
    assert!(matches!(&told, Trouble::Refused(text) if !text.contains("guessed")), "{told:?}");
}

#[tokio::test]
async fn links_do_not_lead_to_other_machines_and_a_tree_has_an_end() {
    let (machine, bmcs) = machine(NEW).await;
    for link in ["http://192.0.2.1/redfish/v1/Chassis/9", "//192.0.2.1/redfish", "redfish/v1/Chassis/9"] {
        let members = json!({"Members": [{"@odata.id": link}]});
        machine.lock().expect("held").tree.insert("/redfish/v1/Chassis".to_owned(), members);
        assert!(matches!(why(bmcs.inventory(&"pve2".into()).await), Trouble::Nonsense(_)), "{link}");
    }
    // A collection whose next page is itself.
    let circle = json!({"Members": [], "Members@odata.nextLink": "/redfish/v1/Chassis"});
    machine.lock().expect("held").tree.insert("/redfish/v1/Chassis".to_owned(), circle);
    assert!(matches!(why(bmcs.inventory(&"pve2".into()).await), Trouble::Nonsense(_)));
    let many: Vec<Value> = (0..500).map(|_| json!({"@odata.id": CHASSIS})).collect();
    machine.lock().expect("held").tree.insert("/redfish/v1/Chassis".to_owned(), json!({ "Members": many }));
    assert!(matches!(why(bmcs.inventory(&"pve2".into()).await), Trouble::Nonsense(_)));
    assert!(machine.lock().expect("held").asked < 1500, "the limit on pages holds");
}

#[tokio::test]
async fn a_controller_that_never_answers_is_too_slow() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let took = std::time::Instant::now();
    // Bound and never accepted: the kernel takes the connection, and nobody says a word.
    assert!(matches!(why(bmcs(&url, "secret").look(&"pve2".into()).await), Trouble::TooSlow(_)));
    assert!(took.elapsed() < Duration::from_secs(11), "below the loop's own deadline");
    drop(listener);
}

/// Most controllers sign their own certificate: it is known by its fingerprint, by its authority, or not at all.
#[tokio::test]
async fn a_controller_is_believed_by_its_pin_or_its_authority_and_by_nothing_else() {
    let tree: BTreeMap<String, Value> = serde_json::from_str(NEW).expect("our own data");
    let server = Server::start(move |seen| {
        let path = seen.head.split(' ').nth(1).expect("a request line");
        let known = tree.get(path);
        Act::Say(known.map_or_else(
            || pve_server::answer(404, "Not Found", ""),
            |r| pve_server::answer(200, "OK", &r.to_string()),
        ))
    })
    .await;
    let look = async |trust| trusting(&server.url, "secret", trust).look(&"pve2".into()).await;
    for good in [Trust::Pinned(server.fingerprint), Trust::Ca(server.authority.clone().into_bytes())] {
        let seen = look(good.clone()).await;
        assert!(
            matches!(&seen, Seen::Known { value, .. } if value.power == Some(Switch::On)),
            "{good:?}: {seen:?}"
        );
    }
    let asked = server.seen().len();
    let other = "AA".repeat(32).parse().expect("64 digits");
    for bad in [Trust::Pinned(other), Trust::System] {
        let seen = look(bad.clone()).await;
        assert!(matches!(seen, Seen::Unknown { .. }), "{bad:?}: {seen:?}");
    }
    assert_eq!(server.seen().len(), asked, "somebody else was sent the account");
}
