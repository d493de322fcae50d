//! A cluster of three members that answers from recordings, and can be told to misbehave.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::ext::ReasonPhrase;
use pitlane::{
    adapters::pve::{ApiToken, Endpoint, HttpTransport, Member, Proxmox, Settings, TransportError, Trust},
    model::{ids::NodeName, time::Time},
    ports::Clock,
};
use serde_json::{Value, json};

/// How one request is answered.
#[derive(Clone)]
pub enum Reply {
    Data(Value),
    /// A part of a longer list.
    Page(Value, u64),
    Error(u16, &'static str),
    /// No connection; the request was not sent.
    NoConnection,
    /// The connection ends before the answer.
    Closed,
    Silent,
}

struct Rule {
    /// Only when this member is asked.
    via: Option<&'static str>,
    /// `GET /cluster/status`; a `*` at the end matches any rest.
    call: String,
    reply: Reply,
}

/// Later rules win over earlier ones.
#[derive(Default)]
pub struct Script {
    rules: Vec<Rule>,
    /// `pve1: GET /cluster/status` and, for orders, the form.
    pub log: Mutex<Vec<String>>,
}

impl Script {
    pub fn on(mut self, call: &str, reply: Reply) -> Script {
        self.rules.push(Rule { via: None, call: call.to_owned(), reply });
        self
    }

    pub fn via(mut self, member: &'static str, call: &str, reply: Reply) -> Script {
        self.rules.push(Rule { via: Some(member), call: call.to_owned(), reply });
        self
    }

    pub fn asked(&self) -> Vec<String> {
        self.log.lock().expect("no test panics while holding it").clone()
    }

    /// Requests that begin so, without the member.
    pub fn count(&self, call: &str) -> usize {
        self.asked()
            .iter()
            .filter(|line| line.split_once(": ").is_some_and(|(_, c)| c.starts_with(call)))
            .count()
    }

    fn reply(&self, member: &str, call: &str) -> Reply {
        let fits = |rule: &&Rule| {
            let path = match rule.call.strip_suffix('*') {
                Some(prefix) => call.starts_with(prefix),
                None => call == rule.call,
            };
            path && rule.via.is_none_or(|via| via == member)
        };
        self.rules
            .iter()
            .rev()
            .find(fits)
            .map_or(Reply::Error(501, "not in the script"), |rule| rule.reply.clone())
    }
}

#[async_trait]
impl HttpTransport for Script {
    async fn call(
        &self,
        endpoint: &Endpoint,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, TransportError> {
        let path = request.uri().path().trim_start_matches("/api2/json").to_owned();
        let call = format!("{} {path}", request.method());
        let form = String::from_utf8_lossy(request.body()).into_owned();
        let line = format!("{}: {call} {form}", endpoint.node).trim_end().to_owned();
        self.log.lock().expect("no test panics while holding it").push(line);
        let node = endpoint.node.clone();
        match self.reply(&endpoint.node, &call) {
            Reply::Data(data) => Ok(response(200, "OK", &json!({ "data": data }).to_string())),
            Reply::Page(data, total) => {
                Ok(response(200, "OK", &json!({ "data": data, "total": total }).to_string()))
            }
            Reply::Error(status, reason) => Ok(response(status, reason, "")),
            Reply::NoConnection => Err(TransportError::Connect { node, source: "refused".into() }),
            Reply::Closed => Err(TransportError::Closed { node, source: "reset".into() }),
            Reply::Silent => std::future::pending().await,
        }
    }
}

fn response(status: u16, reason: &str, body: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    let reason = ReasonPhrase::try_from(reason.as_bytes()).expect("a reason");
    response.extensions_mut().insert(reason);
    response
}

/// The data of a recorded answer.
pub fn recorded(name: &str) -> Reply {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/pve/recordings/{name}.json"));
    let recording: Value = serde_json::from_slice(&fs::read(path).expect("a recording")).expect("JSON");
    Reply::Data(recording["response"]["body"]["data"].clone())
}

/// No recording asks pve3: its view is the others', but for who is local.
fn asked_of_pve3() -> Reply {
    let Reply::Data(mut rows) = recorded("get-cluster-status-3nodes") else {
        unreachable!("a recorded success")
    };
    for row in rows.as_array_mut().expect("rows") {
        row["local"] = json!(i32::from(row["name"] == "pve3"));
    }
    Reply::Data(rows)
}

/// Three members, all well; pve1 has 101 (HA), 103 (local disk), 104 (USB), 105 (template).
pub fn healthy() -> Script {
    let services = json!([
        {"service": "corosync", "active-state": "active", "state": "running", "unit-state": "enabled"},
        {"service": "chrony", "active-state": "failed", "state": "dead", "unit-state": "enabled"},
        {"service": "syslog", "active-state": "inactive", "state": "dead", "unit-state": "not-found"},
    ]);
    let shared = json!({"scsi0": "shared:102/vm-102-disk-0.qcow2,size=1G", "onboot": 1});
    Script::default()
        .on("GET /cluster/status", recorded("get-cluster-status-3nodes"))
        .via("pve2", "GET /cluster/status", recorded("get-cluster-status-3nodes-via-pve2"))
        .via("pve3", "GET /cluster/status", asked_of_pve3())
        .on("GET /cluster/resources", recorded("get-cluster-resources"))
        .on("GET /cluster/ha/status/manager_status", recorded("get-ha-manager-status-active"))
        .on("GET /cluster/ha/resources", recorded("get-ha-resources"))
        .on("GET /cluster/ha/rules", recorded("get-ha-rules-empty"))
        .on(
            "GET /cluster/ha/groups",
            Reply::Error(500, "cannot index groups: ha groups have been migrated to rules"),
        )
        .on("GET /cluster/options", recorded("get-cluster-options"))
        .on("GET /cluster/config/nodes", recorded("get-cluster-config-nodes"))
        .on("GET /cluster/config/qdevice", Reply::Data(json!({})))
        .on("GET /access/permissions", recorded("get-access-permissions"))
        .on("GET /nodes/pve1/qemu", recorded("get-nodes-qemu-full"))
        .on("GET /nodes/pve1/lxc", recorded("get-nodes-lxc"))
        .on("GET /nodes/pve1/tasks", recorded("get-nodes-tasks-after-reboot"))
        .on("GET /nodes/pve1/services", Reply::Data(services))
        .on("GET /nodes/pve1/time", recorded("get-nodes-time"))
        .on("GET /nodes/pve1/version", recorded("get-version"))
        .on("GET /nodes/pve2/version", recorded("get-version"))
        .on("GET /nodes/pve1/qemu/*", Reply::Data(shared))
        .on("GET /nodes/pve1/qemu/101/migrate", recorded("get-qemu-migrate-preconditions-ha-strict"))
        .on("GET /nodes/pve1/qemu/102/migrate", recorded("get-qemu-migrate-preconditions-stopped"))
        .on("GET /nodes/pve1/qemu/103/migrate", recorded("get-qemu-migrate-preconditions"))
        .on("GET /nodes/pve1/qemu/104/migrate", recorded("get-qemu-migrate-preconditions-localresource"))
        .on("GET /nodes/pve1/qemu/105/migrate", recorded("get-qemu-migrate-preconditions-stopped"))
        .on("GET /nodes/pve1/qemu/103/config", recorded("get-qemu-config-103"))
        .on("GET /nodes/pve1/lxc/200/config", recorded("get-nodes-lxc-config"))
        .on("GET /nodes/pve1/lxc/200/migrate", recorded("get-nodes-lxc-migrate"))
}

/// The port over the script, with little patience.
pub fn proxmox(script: &Arc<Script>) -> Proxmox {
    let member = |name: &str| Member {
        node: NodeName::from(name),
        url: format!("https://{name}:8006"),
        trust: Trust::SystemRoots,
    };
    let members = ["pve1", "pve2", "pve3"].map(member).to_vec();
    let mut settings = Settings::new(members, ApiToken::new("pitlane@pve!ctl", "secret"));
    settings.look_within = Duration::from_secs(1);
    settings.limits.deadline = Duration::from_millis(800);
    Proxmox::through(script.clone(), settings, Arc::new(Noon))
}

/// Two minutes after the time recorded in `get-nodes-time`.
pub struct Noon;

pub const NOON: i64 = 1_795_302_273;

impl Clock for Noon {
    fn now(&self) -> Time {
        Time::from_second(NOON).expect("a valid instant")
    }
}
