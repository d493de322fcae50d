//! All calls of [`calls`], made once each: what the contract tests hold against Proxmox's schema, and what `pitlane calls`
//! tells of Proxmox.
//!
//! It must hold every call: `tests/contracts/reach.rs` compares the names.

use super::calls::{self, GuestAt, LxcMove, QemuMove, TaskFilter};
use super::request::{Call, Parameter};
use crate::model::observed::GuestKind;
use crate::model::reach::{self, Effect, System};

/// The newest version that the calls are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newest {
    Eight,
    Nine,
}

/// A call without the type of its answer.
#[derive(Clone, Debug)]
pub struct Plain {
    /// The function of [`calls`] that made it.
    pub name: &'static str,
    pub method: String,
    pub path: String,
    pub parameters: Vec<Parameter>,
}

impl Plain {
    fn of<T>(name: &'static str, call: Call<T>) -> Self {
        Self { name, method: call.method.to_string(), path: call.path, parameters: call.parameters }
    }
}

macro_rules! plain {
    ($($name:ident($($given:expr),*)),* $(,)?) => {
        vec![$(Plain::of(stringify!($name), calls::$name($($given),*))),*]
    };
}

const NODE: &str = "NODE";
const VMID: u32 = 999_999_999;
const UPID: &str = "UPID:NODE:0000012B:00043B30:6B02228B:qmigrate:100:pitlane@pve!ctl:";

/// Every call with every optional parameter. What an 8.4 node is never sent stands only in those of 9.
pub fn all(newest: Newest) -> Vec<Plain> {
    let nine = newest == Newest::Nine;
    let upid = UPID.parse().expect("the name of a task, see above");
    let qemu = GuestAt { node: NODE, kind: GuestKind::Qemu, vmid: VMID };
    let lxc = GuestAt { node: NODE, kind: GuestKind::Lxc, vmid: VMID };
    let conntrack = nine.then_some(true);
    let (online, with_local_disks, bwlimit) = (true, true, Some(1));
    let live = QemuMove { target: "pve2", online, with_local_disks, bwlimit, conntrack };
    let restart = LxcMove { target: "pve2", restart: true, shutdown_secs_max: Some(60), bwlimit };
    let filter = TaskFilter {
        active_only: false,
        vmid: Some(100),
        kind: Some("qmigrate"),
        since_secs: Some(1),
        limit: Some(5),
    };
    let active = TaskFilter { active_only: true, ..filter };
    let mut all = plain![
        version(),
        cluster_status(),
        cluster_resources(),
        cluster_members(),
        qdevice(),
        cluster_options(),
        backup_jobs(),
        cluster_tasks(),
        storages(),
        permissions(),
        ha_manager_status(),
        ha_current(),
        ha_resources(),
        ha_resource("SID"),
        ha_groups(),
        ceph_status(),
        ceph_flags(),
        ceph_flag("noout"),
        osd_tree(NODE),
        ok_to_stop(NODE, "osd", "0"),
        nodes(),
        node_status(NODE),
        node_version(NODE),
        node_time(NODE),
        node_services(NODE),
        node_storages(NODE),
        backups(NODE, "STORAGE"),
        replication_jobs(NODE),
        node_disks(NODE),
        node_network(NODE),
        tasks(NODE, &filter),
        tasks(NODE, &active),
        task_status(&upid),
        task_log(&upid, 0, 50),
        cancel_task(&upid),
        migrate_qemu(NODE, VMID, &live),
        migrate_lxc(NODE, VMID, &restart),
        preconditions(qemu),
    ];
    for at in [qemu, lxc] {
        all.extend(plain![
            guests(at.node, at.kind),
            guest_config(at),
            guest_current(at),
            start(at),
            resume(at),
            shutdown(at, 60),
        ]);
    }
    if nine {
        all.extend(plain![preconditions(lxc), ha_rules()]);
    }
    all
}

/// The right that a call needs, as Proxmox's schema and its notes have it.
pub fn needs(name: &str) -> &'static str {
    match name {
        "version" | "permissions" | "node_version" | "node_network" | "nodes" => "anybody who is logged in",
        "cluster_resources" => {
            "anybody; VM.Audit on /vms/VMID, Sys.Audit on /nodes/NODE, or the row is missing"
        }
        "cluster_tasks" => "anybody; Sys.Audit on /nodes/NODE for tasks of others",
        "storages" | "node_storages" => "anybody; Datastore.Audit on /storage/STORAGE, or the row is missing",
        "backups" => {
            "Datastore.Audit on /storage/STORAGE; each backup also Datastore.AllocateSpace there and VM.Backup on /vms/VMID, or it is missing"
        }
        "ceph_status" | "osd_tree" => "Sys.Audit or Datastore.Audit on /",
        "node_status" | "node_time" | "node_services" => "Sys.Audit on /nodes/NODE",
        "node_disks" => "Sys.Audit on / or on /nodes/NODE",
        "replication_jobs" | "guests" => "anybody; VM.Audit on /vms/VMID, or the row is missing",
        "guest_config" | "guest_current" => "VM.Audit on /vms/VMID",
        "preconditions" | "migrate_qemu" | "migrate_lxc" => "VM.Migrate on /vms/VMID",
        "start" | "resume" | "shutdown" => "VM.PowerMgmt on /vms/VMID",
        "tasks" | "task_status" | "task_log" => {
            "anybody for its own; Sys.Audit on /nodes/NODE for those of others"
        }
        "cancel_task" => "anybody for its own",
        _ => "Sys.Audit on /",
    }
}

/// What pitlane can say to Proxmox, its reading of 9.x.
pub fn statement() -> Vec<reach::Call> {
    let vmid = VMID.to_string();
    let upid = UPID.replace(':', "%3A").replace('@', "%40").replace('!', "%21");
    let said = |call: Plain| {
        let path =
            call.path.replace(&upid, "UPID").replace(&vmid, "VMID").replace("/flags/noout", "/flags/FLAG");
        let effect = if call.method == "GET" { Effect::Read } else { Effect::Change };
        let parameters = call.parameters.into_iter().map(|(name, _)| name.to_owned()).collect();
        let path = format!("/api2/json{path}");
        reach::Call {
            parameters,
            ..reach::Call::new(System::Proxmox, call.method, path, effect, needs(call.name))
        }
    };
    let mut all: Vec<reach::Call> = all(Newest::Nine).into_iter().map(said).collect();
    all.sort();
    all.dedup();
    all
}
