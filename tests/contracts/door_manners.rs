//! The manners of Proxmox's HTTP server and of a cluster in trouble: delays, silences, dead and cut members, tokens.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pitlane::model::ids::{GuestId, NodeName};
use pitlane::sim::World;
use pitlane::sim::http::{Messages, Options, Token};
use pitlane::sim::world::Cut;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::door_world::{Lab, SECRET, limited, recorded_world};

fn pve(number: u32) -> NodeName {
    NodeName(format!("pve{number}"))
}

impl Lab {
    fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world.lock().expect("the world lives"));
    }
}

#[tokio::test]
async fn strangers_wait_three_seconds_and_learn_nothing() {
    let options = Options { speed: 20.0, ..Options::default() };
    let lab = Lab::open(recorded_world(), options).await;
    let wrong = Token::auditor("pitlane@pve!ctl", "another secret");
    let ghost = Token::auditor("ghost@pve!ctl", SECRET);
    for (token, reason) in [
        (None, "No ticket"),
        (Some(&wrong), "Authentication failed!"),
        (Some(&ghost), "Authentication failed!"),
    ] {
        let began = Instant::now();
        // Not even whether a path exists.
        for path in ["/version", "/cluster/nonsense"] {
            let said = lab.ask("GET", "pve1", path, &[], token).await;
            assert_eq!((said.status, said.reason.as_str(), said.body), (401, reason, json!("")));
            assert_eq!((said.connection.as_str(), said.content_type.as_str()), ("close", ""));
        }
        assert!(began.elapsed() >= Duration::from_millis(300), "2 × 3 s at 20 times the speed");
    }
}

#[tokio::test]
async fn rights_hide_rows_and_refuse_the_rest() {
    let lab = Lab::still(recorded_world()).await;
    let ask = async |path: &str| lab.ask("GET", "pve1", path, &[], Some(&limited())).await;
    let rows = ask("/cluster/resources").await.body["data"].clone();
    let ids: Vec<&str> =
        rows.as_array().expect("a list").iter().filter_map(|row| row["id"].as_str()).collect();
    assert_eq!(ids, ["qemu/100", "node/pve1", "node/pve2", "node/pve3"], "silently shorter");
    assert_eq!(rows[1].get("mem"), None, "a node's use is not shown");
    assert_eq!(ask("/nodes/pve2/qemu").await.body["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        ask("/nodes/pve1/qemu/101/config").await.reason,
        "Permission check failed (/vms/101, VM.Audit)"
    );
    assert_eq!(ask("/storage").await.body["data"], json!([]));
    let told = ask("/access/permissions").await.body["data"].clone();
    assert_eq!(
        told.as_object().map(|map| map.keys().collect::<Vec<_>>()),
        Some(vec![&"/vms/100".to_owned()])
    );

    // A story takes a right away in the middle: the next call is refused.
    lab.change(|world| drop(world.token.insert("/".to_owned(), ["Sys.Audit".to_owned()].into())));
    let said = lab.get("pve1", "/nodes/pve2/qemu/100/status/current").await;
    assert_eq!((said.status, said.reason.as_str()), (403, "Permission check failed (/vms/100, VM.Audit)"));
    let empty = lab.get("pve1", "/cluster/resources?type=vm").await;
    assert_eq!((empty.status, &empty.body["data"]), (200, &json!([])));
}

#[tokio::test]
async fn a_dead_member_answers_nobody_and_the_others_say_595() {
    let lab = Lab::still(recorded_world()).await;
    assert_eq!(lab.get("pve3", "/version").await.status, 200);
    lab.change(|world| world.node_dies(&pve(3)));
    let base = &lab.door.endpoints[&pve(3)];
    let direct = lab.client.get(format!("{base}/api2/json/version")).send().await;
    assert!(direct.is_err(), "nobody there: {direct:?}");
    let through = lab.get("pve1", "/nodes/pve3/status").await;
    assert_eq!((through.status, through.reason.as_str(), through.body), (595, "No route to host", json!("")));
    let online = async |lab: &Lab| {
        let rows = lab.get("pve1", "/cluster/status").await.body["data"].clone();
        let rows = rows.as_array().expect("rows").clone();
        rows.into_iter().find(|row| row["name"] == "pve3").expect("pve3")["online"].clone()
    };
    assert_eq!(online(&lab).await, 1, "not noticed yet");
    lab.door.advance(10).expect("alive");
    assert_eq!(online(&lab).await, 0);
    let rows = lab.get("pve1", "/cluster/resources").await.body["data"].clone();
    let find =
        |id: &str| rows.as_array().expect("rows").iter().find(|row| row["id"] == id).cloned().expect("a row");
    assert_eq!(find("qemu/109")["status"], "running", "its guests keep their last word");
    assert_eq!((&find("node/pve3")["status"], find("node/pve3").get("mem")), (&json!("offline"), None));

    lab.change(|world| world.node_boots(&pve(3)));
    lab.door.advance(70).expect("alive");
    assert_eq!(lab.get("pve3", "/version").await.status, 200, "it listens on its old port");
}

#[tokio::test]
async fn a_daemon_that_is_down_refuses_at_once() {
    let lab = Lab::still(recorded_world()).await;
    lab.change(|world| world.set_service(&pve(3), "pveproxy", false));
    let said = lab.get("pve1", "/nodes/pve3/status").await;
    assert_eq!((said.status, said.reason.as_str(), said.body), (595, "Connection refused", json!("")));
}

#[tokio::test]
async fn a_cut_member_answers_and_only_quorate_tells() {
    let lab = Lab::still(recorded_world()).await;
    lab.change(|world| world.cut(&pve(1), Cut::Network));
    lab.door.advance(10).expect("alive");
    let status = lab.get("pve1", "/cluster/status").await;
    assert_eq!((status.status, &status.body["data"][0]["quorate"]), (200, &json!(0)));
    assert_eq!(lab.get("pve2", "/cluster/status").await.body["data"][0]["quorate"], 1);
    assert_eq!(lab.get("pve1", "/cluster/resources").await.status, 200);
    let current = lab.get("pve1", "/cluster/ha/status/current").await;
    assert_eq!(current.body["data"][0]["status"], "No quorum on node 'pve1'!");
    assert_eq!(lab.get("pve1", "/nodes/pve2/status").await.reason, "No route to host");
    for path in ["/cluster/ceph/status", "/cluster/ceph/flags/noout"] {
        let said = lab.get("pve1", path).await;
        assert_eq!((said.status, said.reason.as_str()), (500, "got timeout"), "{path}");
    }
    let token = Token::pitlane(SECRET);
    let path = "/nodes/pve1/qemu/101/migrate";
    let said = lab.ask("POST", "pve1", path, &[("target", "pve2"), ("online", "1")], Some(&token)).await;
    assert_eq!((said.status, said.reason.as_str()), (500, "cluster not ready - no quorum?"));
}

#[tokio::test]
async fn a_cut_member_shows_old_guests_until_it_is_back() {
    let lab = Lab::still(recorded_world()).await;
    let place = async |via: &str| {
        let rows = lab.get(via, "/cluster/resources?type=vm").await.body["data"].clone();
        let rows = rows.as_array().expect("rows").clone();
        rows.into_iter().find(|row| row["vmid"] == 109).expect("the guest")["node"].clone()
    };
    lab.control("POST", "/node/pve1/cut").await;
    let token = Token::pitlane(SECRET);
    let path = "/nodes/pve3/qemu/109/migrate";
    let said = lab.ask("POST", "pve2", path, &[("target", "pve2"), ("online", "1")], Some(&token)).await;
    assert_eq!(said.status, 200, "the majority works on: {said:?}");
    lab.door.advance(30).expect("alive");
    assert_eq!((place("pve1").await, place("pve2").await), (json!("pve3"), json!("pve2")));
    lab.control("POST", "/node/pve1/uncut").await;
    assert_eq!(place("pve1").await, "pve2");
}

#[tokio::test]
async fn without_ceph_it_says_so() {
    let lab = Lab::still(World::builder(3).vm(100, "pve1").build()).await;
    let said = lab.get("pve1", "/cluster/ceph/status").await;
    let text =
        "pveceph configuration not initialized - missing '/etc/pve/ceph.conf', missing '/etc/pve/ceph'";
    assert_eq!((said.status, said.reason.as_str()), (500, text));
}

#[tokio::test]
async fn older_servers_have_the_text_in_the_reason_only() {
    let options = Options { speed: 0.0, messages: Messages::InReasonOnly, ..Options::default() };
    let lab = Lab::open(recorded_world(), options).await;
    let said = lab.get("pve1", "/nodes/pve1/qemu/999/config").await;
    assert_eq!(said.reason, "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist");
    assert_eq!(said.body, json!({ "data": null }));
}

#[tokio::test]
async fn bodies_go_where_bodies_belong() {
    let lab = Lab::still(recorded_world()).await;
    let token = Token::pitlane(SECRET);
    let said = lab.ask("GET", "pve1", "/version", &[("a", "b")], Some(&token)).await;
    assert_eq!((said.status, said.reason.as_str()), (501, "Unexpected content for method 'GET'"));
    let large = "x".repeat(600 * 1024);
    let said = lab.ask("PUT", "pve1", "/cluster/ceph/flags/noout", &[("value", &large)], Some(&token)).await;
    assert_eq!(said.status, 501);
}

#[tokio::test]
async fn a_connection_serves_a_hundred_requests_and_is_closed_when_idle() {
    let lab = Lab::still(recorded_world()).await;
    let path = "/version";
    let mut closed_at = None;
    for number in 1..=100 {
        if lab.get("pve1", path).await.connection == "close" {
            closed_at = Some(number);
        }
    }
    assert_eq!(closed_at, Some(100), "one pooled connection was used");

    // A plain socket, so that nobody reconnects in silence.
    let addr = lab.door.endpoints[&pve(1)].trim_start_matches("https://").to_owned();
    let mut roots = rustls::RootCertStore::empty();
    let authority = rustls::pki_types::pem::PemObject::from_pem_slice(lab.door.ca_pem.as_bytes());
    roots.add(authority.expect("a certificate")).expect("a root");
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let tls = tokio_rustls::TlsConnector::from(std::sync::Arc::new(tls));
    let stream = tokio::net::TcpStream::connect(&addr).await.expect("it listens");
    let mut stream = tls.connect("localhost".try_into().expect("a name"), stream).await.expect("TLS");
    let request = format!(
        "GET /api2/json/version HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n",
        Token::pitlane(SECRET).header()
    );
    stream.write_all(request.as_bytes()).await.expect("written");
    let began = Instant::now();
    let mut all = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut all)).await;
    assert!(ended.is_ok(), "the server closes it");
    let text = String::from_utf8_lossy(&all);
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("Keep-Alive"), "{text}");
    assert!((4..15).contains(&began.elapsed().as_secs()), "after five seconds: {:?}", began.elapsed());
}

#[tokio::test]
async fn plain_http_is_sent_to_https() {
    let lab = Lab::still(recorded_world()).await;
    let addr = lab.door.endpoints[&pve(1)].trim_start_matches("https://").to_owned();
    let mut stream = tokio::net::TcpStream::connect(&addr).await.expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("written");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer");
    assert!(
        text.starts_with("HTTP/1.1 301 ") && text.contains(&format!("Location: https://{addr}/")),
        "{text}"
    );
}

#[tokio::test]
async fn every_member_has_its_own_leaf_and_shows_all_fingerprints() {
    let lab = Lab::still(recorded_world()).await;
    let rows = lab.get("pve2", "/nodes").await.body["data"].clone();
    let shown: BTreeMap<NodeName, String> = rows
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            (NodeName(text("node")), text("ssl_fingerprint"))
        })
        .collect();
    assert_eq!(shown, lab.door.fingerprints);
    assert_eq!(lab.door.fingerprints.values().collect::<std::collections::BTreeSet<_>>().len(), 3);
    let status = lab.get("pve2", "/cluster/status").await.body["data"].clone();
    let local: Vec<&Value> =
        status.as_array().expect("rows").iter().filter(|row| row["local"] == 1).collect();
    assert_eq!(local.len(), 1);
    assert_eq!(local[0]["name"], "pve2", "the local flag is the asked member's");
}

#[tokio::test]
async fn a_guest_moves_in_the_worlds_time_and_its_task_tells() {
    let lab = Lab::open(recorded_world(), Options { speed: 100.0, ..Options::default() }).await;
    let token = Token::pitlane(SECRET);
    let path = "/nodes/pve2/qemu/100/migrate";
    let said = lab.ask("POST", "pve1", path, &[("target", "pve3"), ("online", "1")], Some(&token)).await;
    let upid = said.body["data"].as_str().expect("a task").to_owned();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let status = lab.get("pve1", &format!("/nodes/pve2/tasks/{upid}/status")).await.body["data"].clone();
        assert_eq!((&status["user"], &status["tokenid"]), (&json!("pitlane@pve"), &json!("ctl")));
        if status["status"] == "stopped" {
            assert_eq!(status["exitstatus"], "OK");
            break;
        }
        assert!(Instant::now() < deadline, "it never ended: {status}");
    }
    assert_eq!(
        lab.get("pve1", "/nodes/pve3/qemu/100/status/current").await.body["data"]["status"],
        "running"
    );
    let log = lab.get("pve1", &format!("/nodes/pve2/tasks/{upid}/log?limit=500")).await.body;
    let lines = log["data"].as_array().expect("lines");
    assert_eq!(lines.last().expect("a line")["t"], "TASK OK");
    assert_eq!(log["total"], json!(lines.len()));
    assert_eq!(lab.world.lock().expect("alive").guests[&GuestId(100)].node, pve(3));
}

#[tokio::test]
async fn what_is_unsafe_stops_the_world_and_everybody_hears_why() {
    let lab = Lab::still(recorded_world()).await;
    let token = Token::pitlane(SECRET);
    let said = lab.ask("POST", "pve1", "/nodes/pve1/status", &[("command", "shutdown")], Some(&token)).await;
    assert_eq!(said.status, 500);
    let words = lab.door.violation().expect("it stopped");
    assert!(words.contains("with guests aboard"), "{words}");
    assert_eq!(lab.get("pve2", "/version").await.status, 500, "and it stays stopped");
}

#[tokio::test]
async fn a_closed_door_is_closed() {
    let lab = Lab::still(recorded_world()).await;
    assert_eq!(lab.get("pve1", "/version").await.status, 200);
    let addr = lab.door.endpoints[&pve(1)].trim_start_matches("https://").to_owned();
    let closed = tokio::time::timeout(Duration::from_secs(10), lab.door.stop()).await;
    assert!(closed.is_ok(), "open connections do not hold it");
    assert!(tokio::net::TcpStream::connect(&addr).await.is_err(), "nobody listens any more");
    let refused =
        pitlane::sim::http::serve(lab.world, Options { speed: f64::NAN, ..Options::default() }).await;
    assert!(refused.is_err(), "a speed is a number");
}
