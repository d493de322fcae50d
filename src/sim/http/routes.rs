//! The calls that door two serves: path, parameters, privileges, and where they are executed.
//!
//! The table follows Proxmox's own schema, parameter for parameter; `tests/contracts/door_schema.rs` holds the two
//! against each other. What is not in this table is answered 501, as an unknown call is.

use super::params::{Kind, Param, may, must};
use super::route::{Half, Needs, Route, What};

use Kind::{Bool, Int, Node, Number, One, Text, Vmid};

use Half::{Lxc, Qemu};
use Needs::{Anybody, On};

const AUDIT: Needs = On("/", &["Sys.Audit"]);
const STORE: Needs = On("/", &["Sys.Audit", "Datastore.Audit"]);
const NODE: Needs = On("/nodes/{node}", &["Sys.Audit"]);
const SEE: Needs = On("/vms/{vmid}", &["VM.Audit"]);
const MOVE: Needs = On("/vms/{vmid}", &["VM.Migrate"]);
const POWER: Needs = On("/vms/{vmid}", &["VM.PowerMgmt"]);

const FLAGS: Kind = One(&[
    "nobackfill",
    "nodeep-scrub",
    "nodown",
    "noin",
    "noout",
    "norebalance",
    "norecover",
    "noscrub",
    "notieragent",
    "noup",
    "pause",
]);
const INTERFACES: &[&str] = &[
    "OVSBond",
    "OVSBridge",
    "OVSIntPort",
    "OVSPort",
    "alias",
    "any_bridge",
    "any_local_bridge",
    "bond",
    "bridge",
    "eth",
    "fabric",
    "include_sdn",
    "vlan",
    "vnet",
];
const POSITIVE: Kind = Int(Some(0));
const STORAGE_TYPES: Kind = One(&[
    "btrfs",
    "cephfs",
    "cifs",
    "dir",
    "esxi",
    "iscsi",
    "iscsidirect",
    "lvm",
    "lvmthin",
    "nfs",
    "pbs",
    "rbd",
    "zfs",
    "zfspool",
]);
const SECURITY: Kind = One(&["secure", "insecure"]);
const SNAPSHOT: &[Param] = &[may("current", Bool), may("snapshot", Text)];
const TARGET: &[Param] = &[may("target", Node)];

const fn get(path: &'static str, params: &'static [Param], needs: Needs, what: What) -> Route {
    Route { method: "GET", path, params, needs, what }
}

const fn post(path: &'static str, params: &'static [Param], needs: Needs, what: What) -> Route {
    Route { method: "POST", path, params, needs, what }
}

pub(super) static ROUTES: &[Route] = &[
    get("/", &[], Anybody, What::Index),
    get("/version", &[], Anybody, What::Version),
    get("/access/permissions", &[may("path", Text), may("userid", Text)], Anybody, What::Permissions),
    get("/cluster/status", &[], AUDIT, What::ClusterStatus),
    get(
        "/cluster/resources",
        &[may("type", One(&["vm", "storage", "node", "sdn"]))],
        Anybody,
        What::Resources,
    ),
    get("/cluster/ha/status/current", &[], AUDIT, What::HaCurrent),
    get("/cluster/ha/status/manager_status", &[], AUDIT, What::HaManagerStatus),
    get("/cluster/ha/resources", &[may("type", One(&["ct", "vm"]))], AUDIT, What::HaResources),
    get("/cluster/ha/resources/{sid}", &[], AUDIT, What::HaResource),
    get(
        "/cluster/ha/rules",
        &[may("resource", Text), may("type", One(&["node-affinity", "resource-affinity"]))],
        AUDIT,
        What::HaRules,
    ),
    get("/cluster/ha/groups", &[], AUDIT, What::HaGroups),
    get("/cluster/backup", &[], AUDIT, What::BackupJobs),
    get("/cluster/ceph/status", &[], STORE, What::CephStatus),
    get("/cluster/ceph/flags", &[], AUDIT, What::CephFlags),
    get("/cluster/ceph/flags/{flag}", &[must("flag", FLAGS)], AUDIT, What::CephFlag),
    Route {
        method: "PUT",
        path: "/cluster/ceph/flags/{flag}",
        params: &[must("flag", FLAGS), must("value", Bool)],
        needs: On("/", &["Sys.Modify"]),
        what: What::SetCephFlag,
    },
    get("/cluster/config/nodes", &[], AUDIT, What::Members),
    get("/cluster/config/qdevice", &[], AUDIT, What::Qdevice),
    get("/cluster/options", &[], Anybody, What::Options),
    get("/cluster/tasks", &[], Anybody, What::ClusterTasks),
    get("/storage", &[may("type", STORAGE_TYPES)], Anybody, What::Storages),
    get("/nodes", &[], Anybody, What::Nodes),
    get("/nodes/{node}/status", &[], NODE, What::NodeStatus),
    post(
        "/nodes/{node}/status",
        &[must("command", One(&["reboot", "shutdown"]))],
        On("/nodes/{node}", &["Sys.PowerMgmt"]),
        What::NodePower,
    ),
    get("/nodes/{node}/version", &[], Anybody, What::NodeVersion),
    get("/nodes/{node}/time", &[], NODE, What::NodeTime),
    get("/nodes/{node}/services", &[], NODE, What::NodeServices),
    get(
        "/nodes/{node}/disks/list",
        &[
            may("include-partitions", Bool),
            may("skipsmart", Bool),
            may("type", One(&["journal_disks", "unused"])),
        ],
        NODE,
        What::NodeDisks,
    ),
    get("/nodes/{node}/network", &[may("type", One(INTERFACES))], Anybody, What::NodeNetwork),
    get(
        "/nodes/{node}/storage",
        &[
            may("content", Text),
            may("enabled", Bool),
            may("format", Bool),
            may("storage", Text),
            may("target", Node),
        ],
        Anybody,
        What::NodeStorages,
    ),
    get(
        "/nodes/{node}/storage/{storage}/content",
        &[may("content", Text), may("vmid", Vmid)],
        On("/storage/{storage}", &["Datastore.Audit", "Datastore.AllocateSpace"]),
        What::StorageContent,
    ),
    get("/nodes/{node}/replication", &[may("guest", Vmid)], Anybody, What::NodeReplication),
    get(
        "/nodes/{node}/tasks",
        &[
            may("errors", Bool),
            may("limit", POSITIVE),
            may("since", Int(None)),
            may("source", One(&["archive", "active", "all"])),
            may("start", POSITIVE),
            may("statusfilter", Text),
            may("typefilter", Text),
            may("until", Int(None)),
            may("userfilter", Text),
            may("vmid", Vmid),
        ],
        Anybody,
        What::NodeTasks,
    ),
    get("/nodes/{node}/tasks/{upid}/status", &[], Anybody, What::TaskStatus),
    get(
        "/nodes/{node}/tasks/{upid}/log",
        &[may("download", Bool), may("limit", POSITIVE), may("start", POSITIVE)],
        Anybody,
        What::TaskLog,
    ),
    Route {
        method: "DELETE",
        path: "/nodes/{node}/tasks/{upid}",
        params: &[],
        needs: Anybody,
        what: What::TaskStop,
    },
    get("/nodes/{node}/ceph/status", &[], STORE, What::CephStatus),
    get("/nodes/{node}/ceph/osd", &[], STORE, What::OsdTree),
    get(
        "/nodes/{node}/ceph/cmd-safety",
        &[
            must("action", One(&["stop", "destroy"])),
            must("id", Text),
            must("service", One(&["osd", "mon", "mds"])),
        ],
        AUDIT,
        What::CmdSafety,
    ),
    get("/nodes/{node}/qemu", &[may("full", Bool)], Anybody, What::Guests(Qemu)),
    get("/nodes/{node}/lxc", &[], Anybody, What::Guests(Lxc)),
    get("/nodes/{node}/qemu/{vmid}/config", SNAPSHOT, SEE, What::Config(Qemu)),
    get("/nodes/{node}/lxc/{vmid}/config", SNAPSHOT, SEE, What::Config(Lxc)),
    get("/nodes/{node}/qemu/{vmid}/status/current", &[], SEE, What::Current(Qemu)),
    get("/nodes/{node}/lxc/{vmid}/status/current", &[], SEE, What::Current(Lxc)),
    get("/nodes/{node}/qemu/{vmid}/migrate", TARGET, MOVE, What::Preconditions(Qemu)),
    get("/nodes/{node}/lxc/{vmid}/migrate", TARGET, MOVE, What::Preconditions(Lxc)),
    post(
        "/nodes/{node}/qemu/{vmid}/migrate",
        &[
            must("target", Node),
            may("bwlimit", POSITIVE),
            may("force", Bool),
            may("migration_network", Text),
            may("migration_type", SECURITY),
            may("online", Bool),
            may("targetstorage", Text),
            may("with-conntrack-state", Bool),
            may("with-local-disks", Bool),
        ],
        MOVE,
        What::Migrate(Qemu),
    ),
    post(
        "/nodes/{node}/lxc/{vmid}/migrate",
        &[
            must("target", Node),
            may("bwlimit", Number),
            may("online", Bool),
            may("restart", Bool),
            may("target-storage", Text),
            may("timeout", Int(None)),
        ],
        MOVE,
        What::Migrate(Lxc),
    ),
    post(
        "/nodes/{node}/qemu/{vmid}/status/start",
        &[
            may("force-cpu", Text),
            may("machine", Text),
            may("migratedfrom", Node),
            may("migration_network", Text),
            may("migration_type", SECURITY),
            may("nets-host-mtu", Text),
            may("skiplock", Bool),
            may("stateuri", Text),
            may("targetstorage", Text),
            may("timeout", POSITIVE),
            may("with-conntrack-state", Bool),
        ],
        POWER,
        What::Start(Qemu),
    ),
    post(
        "/nodes/{node}/lxc/{vmid}/status/start",
        &[may("debug", Bool), may("skiplock", Bool)],
        POWER,
        What::Start(Lxc),
    ),
    post(
        "/nodes/{node}/qemu/{vmid}/status/stop",
        &[
            may("keepActive", Bool),
            may("migratedfrom", Node),
            may("overrule-shutdown", Bool),
            may("skiplock", Bool),
            may("timeout", POSITIVE),
        ],
        POWER,
        What::Stop(Qemu),
    ),
    post(
        "/nodes/{node}/lxc/{vmid}/status/stop",
        &[may("overrule-shutdown", Bool), may("skiplock", Bool)],
        POWER,
        What::Stop(Lxc),
    ),
    post(
        "/nodes/{node}/qemu/{vmid}/status/shutdown",
        &[may("forceStop", Bool), may("keepActive", Bool), may("skiplock", Bool), may("timeout", POSITIVE)],
        POWER,
        What::Shutdown(Qemu),
    ),
    post(
        "/nodes/{node}/lxc/{vmid}/status/shutdown",
        &[may("forceStop", Bool), may("timeout", POSITIVE)],
        POWER,
        What::Shutdown(Lxc),
    ),
    post(
        "/nodes/{node}/qemu/{vmid}/status/resume",
        &[may("nocheck", Bool), may("skiplock", Bool)],
        POWER,
        What::Resume(Qemu),
    ),
    post("/nodes/{node}/lxc/{vmid}/status/resume", &[], POWER, What::Resume(Lxc)),
];

/// The route for a path, and what stands in its `{name}`s.
pub(super) fn find(method: &str, path: &[String]) -> Option<(&'static Route, Vec<(&'static str, String)>)> {
    ROUTES.iter().filter(|route| route.method == method).find_map(|route| Some((route, route.fit(path)?)))
}
