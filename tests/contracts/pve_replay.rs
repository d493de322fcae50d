//! Puts one recorded answer into the client, by the call that the recorded path stands for.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use hyper::ext::ReasonPhrase;
use pitlane::adapters::pve::{
    ApiToken, Call, Client, Endpoint, HttpTransport, Limits, Route, TransportError,
    calls::{self, GuestAt, GuestKind},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::pve_told::{Tell, error};

/// What was asked and what came back.
pub struct Exchange {
    pub method: Method,
    /// As recorded, with `/api2/json`; a query is ignored.
    pub path: String,
    pub status: u16,
    pub reason: String,
    pub body: Bytes,
}

/// The table's word for what the client makes of it, `ok …` or the class of the error.
pub fn replay(exchange: &Exchange) -> String {
    let path = exchange.path.split('?').next().unwrap_or_default();
    let segments: Vec<String> =
        path.trim_start_matches("/api2/json").split('/').skip(1).map(decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (exchange.method.as_str(), segments.as_slice()) {
        ("GET", segments) => read(exchange, segments),
        (_, ["nodes", node, kind @ ("qemu" | "lxc"), vmid, rest @ ..]) => {
            guest_order(exchange, node, kind, vmid, rest, &segments)
        }
        ("DELETE", ["nodes", _, "tasks", upid]) => {
            ask(exchange, calls::cancel_task(&upid.parse().expect("recorded names of tasks are valid")))
        }
        _ => raw(exchange, &segments),
    }
}

fn read(exchange: &Exchange, segments: &[&str]) -> String {
    match segments {
        ["version"] => ask(exchange, calls::version()),
        ["nodes"] => ask(exchange, calls::nodes()),
        ["storage"] => ask(exchange, calls::storages()),
        ["access", "permissions"] => ask(exchange, calls::permissions()),
        ["cluster", rest @ ..] => read_cluster(exchange, rest, segments),
        ["nodes", node, kind @ ("qemu" | "lxc"), rest @ ..] => {
            read_guest(exchange, node, kind, rest, segments)
        }
        ["nodes", node, rest @ ..] => read_node(exchange, node, rest, segments),
        _ => raw(exchange, segments),
    }
}

fn read_cluster(exchange: &Exchange, rest: &[&str], segments: &[&str]) -> String {
    match rest {
        ["status"] => ask(exchange, calls::cluster_status()),
        ["resources"] => ask(exchange, calls::cluster_resources()),
        ["config", "nodes"] => ask(exchange, calls::cluster_members()),
        ["options"] => ask(exchange, calls::cluster_options()),
        ["backup"] => ask(exchange, calls::backup_jobs()),
        ["tasks"] => ask(exchange, calls::cluster_tasks()),
        ["ha", "status", "manager_status"] => ask(exchange, calls::ha_manager_status()),
        ["ha", "status", "current"] => ask(exchange, calls::ha_current()),
        ["ha", "resources"] => ask(exchange, calls::ha_resources()),
        ["ha", "resources", sid] => ask(exchange, calls::ha_resource(sid)),
        ["ha", "rules"] => ask(exchange, calls::ha_rules()),
        ["ha", "groups"] => ask(exchange, calls::ha_groups()),
        ["ceph", "status"] => ask(exchange, calls::ceph_status()),
        ["ceph", "flags"] => ask(exchange, calls::ceph_flags()),
        ["ceph", "flags", name] => ask(exchange, calls::ceph_flag(name)),
        _ => raw(exchange, segments),
    }
}

fn read_node(exchange: &Exchange, node: &str, rest: &[&str], segments: &[&str]) -> String {
    match rest {
        ["status"] => ask(exchange, calls::node_status(node)),
        ["version"] => ask(exchange, calls::node_version(node)),
        ["time"] => ask(exchange, calls::node_time(node)),
        ["services"] => ask(exchange, calls::node_services(node)),
        ["storage"] => ask(exchange, calls::node_storages(node)),
        ["replication"] => ask(exchange, calls::replication_jobs(node)),
        ["storage", storage, "content"] => ask(exchange, calls::backups(node, storage)),
        ["ceph", "osd"] => ask(exchange, calls::osd_tree(node)),
        ["ceph", "cmd-safety"] => ask(exchange, calls::ok_to_stop(node, "osd", "0")),
        ["tasks"] => ask(exchange, calls::tasks(node, &calls::TaskFilter::default())),
        ["tasks", upid, what @ ("status" | "log")] => match upid.parse() {
            // A task is asked where it ran; one recording asks elsewhere, which our calls cannot do.
            Ok(upid) if *what == "status" && same_node(&upid, node) => {
                ask(exchange, calls::task_status(&upid))
            }
            Ok(upid) if *what == "log" && same_node(&upid, node) => {
                ask(exchange, calls::task_log(&upid, 0, 50))
            }
            _ => raw(exchange, segments),
        },
        _ => raw(exchange, segments),
    }
}

fn same_node(upid: &pitlane::adapters::pve::Upid, node: &str) -> bool {
    upid.node == node
}

fn read_guest(exchange: &Exchange, node: &str, kind: &str, rest: &[&str], segments: &[&str]) -> String {
    let kind = if kind == "qemu" { GuestKind::Qemu } else { GuestKind::Lxc };
    let [vmid, rest @ ..] = rest else { return ask(exchange, calls::guests(node, kind)) };
    let Ok(vmid) = vmid.parse() else { return raw(exchange, segments) };
    let at = GuestAt { node, kind, vmid };
    match rest {
        ["config"] => ask(exchange, calls::guest_config(at)),
        ["status", "current"] => ask(exchange, calls::guest_current(at)),
        ["migrate"] => ask(exchange, calls::preconditions(at)),
        _ => raw(exchange, segments),
    }
}

fn guest_order(
    exchange: &Exchange,
    node: &str,
    kind: &str,
    vmid: &str,
    rest: &[&str],
    segments: &[&str],
) -> String {
    let qemu = kind == "qemu";
    let Ok(vmid) = vmid.parse() else { return raw(exchange, segments) };
    let at = GuestAt { node, kind: if qemu { GuestKind::Qemu } else { GuestKind::Lxc }, vmid };
    match rest {
        ["migrate"] if qemu => ask(exchange, calls::migrate_qemu(node, vmid, &calls::QemuMove::default())),
        ["migrate"] => ask(exchange, calls::migrate_lxc(node, vmid, &calls::LxcMove::default())),
        ["status", "start"] => ask(exchange, calls::start(at)),
        ["status", "resume"] => ask(exchange, calls::resume(at)),
        ["status", "shutdown"] => ask(exchange, calls::shutdown(at, 60)),
        _ => raw(exchange, segments),
    }
}

/// A path pitlane never asks: its envelope and its errors are read all the same.
fn raw(exchange: &Exchange, segments: &[&str]) -> String {
    ask(exchange, Call::<Value>::new(exchange.method.clone(), segments))
}

fn ask<T: DeserializeOwned + Tell>(exchange: &Exchange, call: Call<T>) -> String {
    assert_eq!(
        decode(&call.path),
        decode(exchange.path["/api2/json".len()..].split('?').next().unwrap_or(""))
    );
    assert_eq!(call.method, exchange.method);
    let endpoint = Endpoint::new("asked", "https://recorded");
    let transport = Arc::new(Recorded { response: exchange.response() });
    let client = Client::new(vec![endpoint], transport, ApiToken::new("a@b!c", "secret"), Limits::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    match runtime.block_on(client.run(&call, &Route::default())) {
        Ok(answer) => {
            let total = answer.total.map(|total| format!(" total={total}")).unwrap_or_default();
            format!("ok {}{total}", answer.value.tell())
        }
        Err(e) => error(&e),
    }
}

struct Recorded {
    response: Response<Bytes>,
}

#[async_trait]
impl HttpTransport for Recorded {
    async fn call(&self, _: &Endpoint, _: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        Ok(self.response.clone())
    }
}

impl Exchange {
    fn response(&self) -> Response<Bytes> {
        let mut response = Response::new(self.body.clone());
        *response.status_mut() = StatusCode::from_u16(self.status).expect("a recorded status");
        let reason = ReasonPhrase::try_from(self.reason.as_bytes()).expect("a recorded reason");
        response.extensions_mut().insert(reason);
        response
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let encoded = (*first == b'%').then(|| tail.get(..2)).flatten();
        let byte = encoded.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).expect("recorded paths are UTF-8")
}
