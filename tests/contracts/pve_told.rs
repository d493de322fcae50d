//! One line for each kind of answer: its kind and the values a decision would look at.

use pitlane::adapters::pve::{PveError, wire::*};
use serde_json::Value;

/// Says an answer in one line.
pub trait Tell {
    fn tell(&self) -> String;
}

/// Says an error in its class and what it carries.
pub fn error(error: &PveError) -> String {
    match error {
        PveError::OutcomeUnknown { because, .. } => format!("outcome-unknown {}", self::error(because)),
        PveError::NotAuthenticated { credentials, .. } => format!("not-authenticated {credentials:?}"),
        PveError::Forbidden { missing: Some(missing), .. } => {
            format!("forbidden {} {}", missing.path, missing.any_of.join("|"))
        }
        PveError::Forbidden { .. } => "forbidden".to_owned(),
        PveError::BadParameters { errors, .. } => format!("bad-parameters {}", join(errors.keys())),
        PveError::NoSuchTask { .. } => "no-such-task".to_owned(),
        PveError::NotImplemented { .. } => "not-implemented".to_owned(),
        PveError::Proxy { failure, text, .. } => format!("proxy {failure:?}: {text}"),
        PveError::Refused { why, .. } => format!("refused {why:?}"),
        PveError::Nonsense { what, .. } => format!("nonsense {what}"),
        other => format!("UNEXPECTED {other}"),
    }
}

fn join<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { "-".to_owned() } else { items.join(",") }
}

fn text(text: &Option<Text>) -> &str {
    text.as_deref().unwrap_or("-")
}

fn flag(flag: &Option<Flag>) -> &str {
    match flag {
        Some(Flag(true)) => "yes",
        Some(Flag(false)) => "no",
        None => "-",
    }
}

fn int(int: &Option<Int>) -> String {
    int.map_or("-".to_owned(), |int| int.0.to_string())
}

fn figure(stat: &Option<Stat>) -> String {
    stat.and_then(|stat| stat.0).map_or("-".to_owned(), |x| x.to_string())
}

impl Tell for ClusterStatus {
    fn tell(&self) -> String {
        let quorate = self.quorate().map_or("-", |q| if q { "yes" } else { "no" });
        let mut nodes: Vec<String> = self
            .members()
            .map(|row| {
                let local = if row.local == Some(Flag(true)) { "*" } else { "" };
                format!(
                    "{}{local}:{}",
                    text(&row.name),
                    if row.online == Some(Flag(true)) { "on" } else { "off" }
                )
            })
            .collect();
        nodes.sort();
        format!("quorate={quorate} {}", join(nodes))
    }
}

impl Tell for Vec<Resource> {
    fn tell(&self) -> String {
        let guests = || self.iter().filter(|row| row.is_guest());
        let count = |status: &str| guests().filter(|row| row.status.as_deref() == Some(status)).count();
        let locked = guests().filter_map(|row| Some(format!("{}:{}", int(&row.vmid), &**row.lock.as_ref()?)));
        let nodes = self.iter().filter(|row| &*row.kind == "node");
        let mut nodes: Vec<String> = nodes
            .map(|row| format!("{}:{}/{}", text(&row.node), text(&row.status), text(&row.hastate)))
            .collect();
        nodes.sort();
        format!(
            "guests={} running={} stopped={} unknown={} locked={} nodes={} storages={}",
            guests().count(),
            count("running"),
            count("stopped"),
            count("unknown"),
            join(locked),
            join(nodes),
            self.iter().filter(|row| &*row.kind == "storage").count(),
        )
    }
}

impl Tell for Vec<ClusterMember> {
    fn tell(&self) -> String {
        join(self.iter().map(|row| format!("{}#{}:{}", &*row.node, int(&row.nodeid), int(&row.quorum_votes))))
    }
}

impl Tell for ClusterOptions {
    fn tell(&self) -> String {
        format!("shutdown_policy={} max_workers={}", self.shutdown_policy(), int(&self.max_workers))
    }
}

impl Tell for Vec<BackupJob> {
    fn tell(&self) -> String {
        join(
            self.iter().map(|job| {
                format!("{} next={} enabled={}", &*job.id, int(&job.next_run), flag(&job.enabled))
            }),
        )
    }
}

impl Tell for ManagerStatus {
    fn tell(&self) -> String {
        let state = &self.manager_status;
        let nodes = state.node_status.iter().map(|(node, status)| format!("{node}:{}", &**status));
        let requests =
            state.node_request.iter().filter(|(_, request)| request.maintenance == Some(Flag(true)));
        let services = state.service_status.iter().map(|(sid, service)| {
            let target = service.target.as_ref().map(|target| format!(">{}", &**target)).unwrap_or_default();
            let from =
                service.maintenance_node.as_ref().map(|node| format!("<{}", &**node)).unwrap_or_default();
            let queued = if service.cmd { "!" } else { "" };
            format!("{sid}@{}{target}{from}:{}{queued}", text(&service.node), text(&service.state))
        });
        let lrms =
            self.lrm_status.iter().map(|(n, lrm)| format!("{n}:{}/{}", text(&lrm.state), text(&lrm.mode)));
        format!(
            "master={} nodes={} maintenance={} services={} lrm={}",
            text(&state.master_node),
            join(nodes),
            join(requests.map(|(node, _)| node)),
            join(services),
            join(lrms)
        )
    }
}

impl Tell for HaCurrent {
    fn tell(&self) -> String {
        let quorate = self.0.iter().find(|row| &*row.kind == "quorum").map_or("-", |row| flag(&row.quorate));
        let mut services: Vec<String> = self
            .services()
            .map(|row| format!("{}@{}:{}", text(&row.sid), text(&row.node), text(&row.state)))
            .collect();
        services.sort();
        format!("quorate={quorate} armed={} services={}", self.armed_state().unwrap_or("-"), join(services))
    }
}

impl Tell for HaResource {
    fn tell(&self) -> String {
        format!("{}:{}", &*self.sid, text(&self.state))
    }
}

impl Tell for Vec<HaResource> {
    fn tell(&self) -> String {
        join(self.iter().map(Tell::tell))
    }
}

impl Tell for Vec<HaRule> {
    fn tell(&self) -> String {
        join(self.iter().map(|rule| {
            let affinity = rule.affinity.as_deref().unwrap_or_default();
            let wrong = if rule.errors.is_empty() { "" } else { "!" };
            format!(
                "{}={}{affinity}[{}]{wrong}",
                &*rule.rule,
                rule.resources.0.join("+"),
                rule.nodes.0.join("+")
            )
        }))
    }
}

impl Tell for Vec<HaGroup> {
    fn tell(&self) -> String {
        join(self.iter().map(|group| format!("{}={}", &*group.group, group.nodes.0.join("+"))))
    }
}

impl Tell for CephStatus {
    fn tell(&self) -> String {
        let checks = self.health.checks.iter().map(|(code, check)| {
            if check.muted == Some(Flag(true)) { format!("({code})") } else { code.clone() }
        });
        let osds = self.osdmap.as_ref().map_or("-".to_owned(), |osds| {
            format!("{}/{}/{}", int(&osds.num_osds), int(&osds.num_up_osds), int(&osds.num_in_osds))
        });
        let pgs = self.pgmap.iter().flat_map(|map| &map.pgs_by_state);
        let degraded = self.pgmap.as_ref().and_then(|map| map.degraded_objects);
        format!(
            "{} checks={} osds={osds} pgs={} degraded={} quorum={}",
            &*self.health.status,
            join(checks),
            join(pgs.map(|state| format!("{}:{}", &*state.state_name, state.count.0))),
            figure(&degraded),
            join(self.quorum_names.iter().map(|name| name.0.as_str()))
        )
    }
}

impl Tell for Vec<CephFlag> {
    fn tell(&self) -> String {
        format!(
            "{} flags, set={}",
            self.len(),
            join(self.iter().filter(|f| f.value.0).map(|f| f.name.0.as_str()))
        )
    }
}

impl Tell for Flag {
    fn tell(&self) -> String {
        if self.0 { "set".to_owned() } else { "clear".to_owned() }
    }
}

impl Tell for OsdTree {
    fn tell(&self) -> String {
        join(self.osds().iter().map(|osd| {
            let place = if osd.in_ == Some(Flag(true)) { "in" } else { "out" };
            format!("{}@{}:{}+{place}", text(&osd.name), text(&osd.host), text(&osd.status))
        }))
    }
}

impl Tell for CmdSafety {
    fn tell(&self) -> String {
        if self.safe.0 { "safe".to_owned() } else { "unsafe".to_owned() }
    }
}

impl Tell for Vec<NodeRow> {
    fn tell(&self) -> String {
        let mut rows: Vec<String> = self
            .iter()
            .map(|row| {
                let figures = if row.maxmem.is_some() { "" } else { "(no figures)" };
                format!("{}:{}{figures}", &*row.node, text(&row.status))
            })
            .collect();
        rows.sort();
        join(rows)
    }
}

impl Tell for NodeStatus {
    fn tell(&self) -> String {
        format!("version={} uptime={}", self.version().unwrap_or("-"), int(&self.uptime))
    }
}

impl Tell for Version {
    fn tell(&self) -> String {
        format!("{} {:?}", &*self.version, self.major_minor())
    }
}

impl Tell for NodeTime {
    fn tell(&self) -> String {
        format!("{} {}", self.time.0, text(&self.timezone))
    }
}

impl Tell for Vec<ServiceRow> {
    fn tell(&self) -> String {
        join(self.iter().map(|row| format!("{}:{}", &*row.service, text(&row.state))))
    }
}

impl Tell for Vec<StorageRow> {
    fn tell(&self) -> String {
        join(self.iter().map(|row| format!("{}:active={}", &*row.storage, flag(&row.active))))
    }
}

impl Tell for Vec<StorageConfig> {
    fn tell(&self) -> String {
        join(self.iter().map(|row| format!("{}:{} shared={}", &*row.storage, &*row.kind, flag(&row.shared))))
    }
}

impl Tell for Vec<BackupRow> {
    fn tell(&self) -> String {
        join(self.iter().map(|row| {
            let number = |n: &Option<Int>| n.map_or_else(|| "-".to_owned(), |n| n.0.to_string());
            format!("{} at {}", number(&row.vmid), number(&row.ctime))
        }))
    }
}

impl Tell for Vec<ReplicationJob> {
    fn tell(&self) -> String {
        join(self.iter().map(|job| job.id.0.as_str()))
    }
}

impl Tell for Vec<GuestRow> {
    fn tell(&self) -> String {
        let mut rows: Vec<_> = self.iter().collect();
        rows.sort_by_key(|row| row.vmid);
        join(rows.iter().map(|row| {
            let template = if row.template == Some(Flag(true)) { " template" } else { "" };
            format!("{}:{}{template}", row.vmid.0, text(&row.status))
        }))
    }
}

impl Tell for GuestConfig {
    fn tell(&self) -> String {
        format!(
            "name={} lock={}",
            self.get("name").or(self.get("hostname")).unwrap_or("-"),
            self.get("lock").unwrap_or("-")
        )
    }
}

impl Tell for GuestCurrent {
    fn tell(&self) -> String {
        let ha = self.ha.as_ref().map_or("-", |ha| text(&ha.state));
        format!("{}/{} lock={} ha={ha}", &*self.status, text(&self.qmpstatus), text(&self.lock))
    }
}

impl Tell for Preconditions {
    fn tell(&self) -> String {
        let mut allowed: Vec<&str> =
            self.allowed_nodes.iter().flatten().map(|node| node.0.as_str()).collect();
        allowed.sort_unstable();
        let blocked = self.not_allowed_nodes.iter().filter(|(_, obstacles)| !obstacles.none());
        format!(
            "running={} allowed={} blocked={} disks={} devices={}",
            flag(&self.running),
            join(allowed),
            join(blocked.map(|(node, _)| node)),
            join(self.local_disks.iter().map(|disk| disk.volid.0.as_str())),
            join(self.local_resources.iter().map(|device| device.0.as_str())),
        )
    }
}

impl Tell for Permissions {
    fn tell(&self) -> String {
        let at_root = self.allows("/", "Sys.Audit");
        format!(
            "paths={} audit_at_root={at_root} migrate_100={}",
            self.0.len(),
            self.allows("/vms/100", "VM.Migrate")
        )
    }
}

impl Tell for Vec<TaskRow> {
    fn tell(&self) -> String {
        let ended = |row: &TaskRow| match row.end() {
            None => "runs".to_owned(),
            Some(TaskEnd::Failed { why, .. }) => format!("{why:?}"),
            Some(end) => format!("{end:?}"),
        };
        let shown =
            self.iter().take(4).map(|row| format!("{}:{}:{}", text(&row.kind), text(&row.id), ended(row)));
        format!("{} tasks {}", self.len(), join(shown))
    }
}

impl Tell for TaskStatus {
    fn tell(&self) -> String {
        let end = self.end().map_or("runs".to_owned(), |end| format!("{end:?}"));
        format!("{} {} {end}", text(&self.kind), text(&self.id))
    }
}

impl Tell for Vec<LogLine> {
    fn tell(&self) -> String {
        let last = self.last().map_or("-", |line| line.t.0.as_str());
        format!("{} lines, last {last:?}", self.len())
    }
}

impl Tell for Text {
    fn tell(&self) -> String {
        let upid: pitlane::adapters::pve::Upid = self.parse().expect("every Text answer names a task");
        format!("task {} {} at {} by {}", upid.kind, upid.id, upid.node, upid.user)
    }
}

impl Tell for Nothing {
    fn tell(&self) -> String {
        "done".to_owned()
    }
}

impl Tell for Value {
    fn tell(&self) -> String {
        match self {
            Value::Null => "unused: null".to_owned(),
            Value::Array(rows) => format!("unused: list of {}", rows.len()),
            Value::Object(members) => format!("unused: object of {}", members.len()),
            Value::String(text) => format!("unused: text {:?}", text.lines().next().unwrap_or_default()),
            scalar => format!("unused: {scalar}"),
        }
    }
}
