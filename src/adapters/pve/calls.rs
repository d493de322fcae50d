//! Every question and every order that pitlane has for a cluster.
//!
//! What is not in this file cannot be asked of Proxmox by us, so this is also the list of what a token must allow. Parameters that
//! only newer versions know are `Option`s: the schema is closed, and an older node refuses the whole call for one unknown word.
//! An order that nothing in pitlane gives does not stand here: `tests/contracts/reach.rs` looks.

use http::Method;

use super::{request::Call, upid::Upid, wire::*};
pub use crate::model::observed::GuestKind;

/// Virtual machines and containers have a half of the API each, alike but for small things.
fn half(kind: GuestKind) -> &'static str {
    match kind {
        GuestKind::Qemu => "qemu",
        GuestKind::Lxc => "lxc",
    }
}

/// A guest and the node it is asked at.
#[derive(Debug, Clone, Copy)]
pub struct GuestAt<'a> {
    pub node: &'a str,
    pub kind: GuestKind,
    pub vmid: u32,
}

impl GuestAt<'_> {
    fn call<T>(self, method: Method, rest: &[&str]) -> Call<T> {
        let vmid = self.vmid.to_string();
        Call::on(method, self.node, &[&[half(self.kind), vmid.as_str()], rest].concat())
    }
}

// --- The cluster ---

pub fn version() -> Call<Version> {
    Call::get(&["version"])
}
pub fn cluster_status() -> Call<ClusterStatus> {
    Call::get(&["cluster", "status"])
}
/// Guests, nodes, storages in one answer.
pub fn cluster_resources() -> Call<Vec<Resource>> {
    Call::get(&["cluster", "resources"])
}
pub fn cluster_members() -> Call<Vec<ClusterMember>> {
    Call::get(&["cluster", "config", "nodes"])
}
pub fn qdevice() -> Call<Qdevice> {
    Call::get(&["cluster", "config", "qdevice"])
}
pub fn cluster_options() -> Call<ClusterOptions> {
    Call::get(&["cluster", "options"])
}
pub fn backup_jobs() -> Call<Vec<BackupJob>> {
    Call::get(&["cluster", "backup"])
}
/// For display only: nodes drop rows when there are many.
pub fn cluster_tasks() -> Call<Vec<TaskRow>> {
    Call::get(&["cluster", "tasks"])
}
pub fn storages() -> Call<Vec<StorageConfig>> {
    Call::get(&["storage"])
}
/// What the token itself may do; works without any privilege.
pub fn permissions() -> Call<Permissions> {
    Call::get(&["access", "permissions"])
}

// --- HA ---

pub fn ha_manager_status() -> Call<ManagerStatus> {
    Call::get(&["cluster", "ha", "status", "manager_status"])
}
pub fn ha_current() -> Call<HaCurrent> {
    Call::get(&["cluster", "ha", "status", "current"])
}
pub fn ha_resources() -> Call<Vec<HaResource>> {
    Call::get(&["cluster", "ha", "resources"])
}
pub fn ha_resource(sid: &str) -> Call<HaResource> {
    Call::get(&["cluster", "ha", "resources", sid])
}
/// 9.x; 8.x answers 501.
pub fn ha_rules() -> Call<Vec<HaRule>> {
    Call::get(&["cluster", "ha", "rules"])
}
/// 8.x; 9.x answers 500 once the groups have become rules.
pub fn ha_groups() -> Call<Vec<HaGroup>> {
    Call::get(&["cluster", "ha", "groups"])
}

// --- Ceph ---

pub fn ceph_status() -> Call<CephStatus> {
    Call::get(&["cluster", "ceph", "status"])
}
pub fn ceph_flags() -> Call<Vec<CephFlag>> {
    Call::get(&["cluster", "ceph", "flags"])
}
pub fn ceph_flag(name: &str) -> Call<Flag> {
    Call::get(&["cluster", "ceph", "flags", name])
}
pub fn osd_tree(node: &str) -> Call<OsdTree> {
    Call::on(Method::GET, node, &["ceph", "osd"])
}
/// One daemon alone: that each of two may stop does not mean that both may.
pub fn ok_to_stop(node: &str, service: &str, id: &str) -> Call<CmdSafety> {
    let call = Call::on(Method::GET, node, &["ceph", "cmd-safety"]);
    call.with("service", service).with("id", id).with("action", "stop")
}

// --- A node ---

pub fn nodes() -> Call<Vec<NodeRow>> {
    Call::get(&["nodes"])
}
pub fn node_status(node: &str) -> Call<NodeStatus> {
    Call::on(Method::GET, node, &["status"])
}
pub fn node_version(node: &str) -> Call<Version> {
    Call::on(Method::GET, node, &["version"])
}
pub fn node_time(node: &str) -> Call<NodeTime> {
    Call::on(Method::GET, node, &["time"])
}
pub fn node_services(node: &str) -> Call<Vec<ServiceRow>> {
    Call::on(Method::GET, node, &["services"])
}
pub fn node_storages(node: &str) -> Call<Vec<StorageRow>> {
    Call::on(Method::GET, node, &["storage"])
}
/// Backups that lie on a storage, as this node sees it.
pub fn backups(node: &str, storage: &str) -> Call<Vec<BackupRow>> {
    Call::on(Method::GET, node, &["storage", storage, "content"]).with("content", "backup")
}
pub fn replication_jobs(node: &str) -> Call<Vec<ReplicationJob>> {
    Call::on(Method::GET, node, &["replication"])
}
pub fn node_disks(node: &str) -> Call<Vec<DiskRow>> {
    Call::on(Method::GET, node, &["disks", "list"])
}
/// The configuration, with what is there of it.
pub fn node_network(node: &str) -> Call<Vec<NetworkRow>> {
    Call::on(Method::GET, node, &["network"])
}
/// With the state of every running virtual machine as QEMU itself names it.
pub fn guests(node: &str, kind: GuestKind) -> Call<Vec<GuestRow>> {
    let call = Call::on(Method::GET, node, &[half(kind)]);
    if kind == GuestKind::Qemu { call.with("full", 1) } else { call }
}

// --- A guest ---

pub fn guest_config(at: GuestAt<'_>) -> Call<GuestConfig> {
    at.call(Method::GET, &["config"])
}
pub fn guest_current(at: GuestAt<'_>) -> Call<GuestCurrent> {
    at.call(Method::GET, &["status", "current"])
}
/// 8.x has it for virtual machines only.
pub fn preconditions(at: GuestAt<'_>) -> Call<Preconditions> {
    at.call(Method::GET, &["migrate"])
}

/// How a virtual machine is moved.
#[derive(Debug, Clone, Copy, Default)]
pub struct QemuMove<'a> {
    pub target: &'a str,
    /// Running, without a stop. Must be set for a running guest: otherwise 500.
    pub online: bool,
    /// Copy disks that only this node has.
    pub with_local_disks: bool,
    /// KiB/s; the datacenter's own limit when missing.
    pub bwlimit: Option<u64>,
    /// 9.x only: keeps established connections through the firewall.
    pub conntrack: Option<bool>,
}

/// Answers with the name of a task. For an HA-managed guest the task only queues the move.
pub fn migrate_qemu(node: &str, vmid: u32, how: &QemuMove<'_>) -> Call<Text> {
    GuestAt { node, kind: GuestKind::Qemu, vmid }
        .call(Method::POST, &["migrate"])
        .with("target", how.target)
        .with_some("online", how.online.then_some(1))
        .with_some("with-local-disks", how.with_local_disks.then_some(1))
        .with_some("bwlimit", how.bwlimit)
        .with_some("with-conntrack-state", how.conntrack.map(u8::from))
}

/// How a container is moved: never live. A running one is shut down, moved and started.
#[derive(Debug, Clone, Copy, Default)]
pub struct LxcMove<'a> {
    pub target: &'a str,
    /// Must be set for a running container.
    pub restart: bool,
    /// Seconds for the shutdown; Proxmox takes 180 when missing.
    pub shutdown_secs_max: Option<u32>,
    pub bwlimit: Option<u64>,
}

pub fn migrate_lxc(node: &str, vmid: u32, how: &LxcMove<'_>) -> Call<Text> {
    GuestAt { node, kind: GuestKind::Lxc, vmid }
        .call(Method::POST, &["migrate"])
        .with("target", how.target)
        .with_some("restart", how.restart.then_some(1))
        .with_some("timeout", how.shutdown_secs_max)
        .with_some("bwlimit", how.bwlimit)
}

/// Answers 200 and the name of a task even when the guest is locked or runs already: only the task tells.
pub fn start(at: GuestAt<'_>) -> Call<Text> {
    at.call(Method::POST, &["status", "start"])
}
pub fn resume(at: GuestAt<'_>) -> Call<Text> {
    at.call(Method::POST, &["status", "resume"])
}
/// Asks the guest to shut down. There is deliberately no call that cuts its power.
pub fn shutdown(at: GuestAt<'_>, secs_max: u32) -> Call<Text> {
    at.call(Method::POST, &["status", "shutdown"]).with("timeout", secs_max)
}

// --- Tasks ---

/// Which tasks of a node to list. Without `source` Proxmox leaves out those that run.
#[derive(Debug, Clone, Copy, Default)]
pub struct TaskFilter<'a> {
    /// Only those that run; otherwise all.
    pub active_only: bool,
    pub vmid: Option<u32>,
    pub kind: Option<&'a str>,
    /// Seconds since 1970, by the node's clock.
    pub since_secs: Option<i64>,
    pub limit: Option<u32>,
}

pub fn tasks(node: &str, filter: &TaskFilter<'_>) -> Call<Vec<TaskRow>> {
    Call::on(Method::GET, node, &["tasks"])
        .with("source", if filter.active_only { "active" } else { "all" })
        .with_some("vmid", filter.vmid)
        .with_some("typefilter", filter.kind)
        .with_some("since", filter.since_secs)
        .with_some("limit", filter.limit)
}
pub fn task_status(upid: &Upid) -> Call<TaskStatus> {
    Call::on(Method::GET, &upid.node, &["tasks", &upid.to_string(), "status"])
}
/// Lines from `start` on; the answer's `total` tells how many there are.
pub fn task_log(upid: &Upid, start: u32, limit: u32) -> Call<Vec<LogLine>> {
    let call = Call::on(Method::GET, &upid.node, &["tasks", &upid.to_string(), "log"]);
    call.with("start", start).with("limit", limit)
}
/// Ends a task: a polite signal, then SIGKILL after about five seconds. Look afterwards; never trust it.
pub fn cancel_task(upid: &Upid) -> Call<Nothing> {
    Call::on(Method::DELETE, &upid.node, &["tasks", &upid.to_string()])
}
