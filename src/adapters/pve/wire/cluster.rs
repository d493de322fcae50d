//! The cluster as a whole: members, quorum, the one list of everything, options, backup jobs.

use serde::Deserialize;

use super::{Flag, Int, Stat, Table, Text};

/// `/cluster/status`. One row describes the cluster (absent on a node that stands alone), one each node.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct ClusterStatus(pub Vec<ClusterStatusRow>);

/// A row of either kind.
#[derive(Debug, Clone, Deserialize)]
pub struct ClusterStatusRow {
    /// `cluster` or `node`.
    #[serde(rename = "type")]
    pub kind: Text,
    pub name: Option<Text>,
    /// Cluster row: as the contacted member sees it.
    pub quorate: Option<Flag>,
    /// Cluster row: configured members.
    pub nodes: Option<Int>,
    /// Node row: member of the corosync group the contacted member is in.
    pub online: Option<Flag>,
    pub nodeid: Option<Int>,
    /// Missing for offline nodes just after a start.
    pub ip: Option<Text>,
    /// Node row: this is the contacted member.
    pub local: Option<Flag>,
}

impl ClusterStatus {
    pub fn cluster(&self) -> Option<&ClusterStatusRow> {
        self.0.iter().find(|row| &*row.kind == "cluster")
    }

    pub fn members(&self) -> impl Iterator<Item = &ClusterStatusRow> {
        self.0.iter().filter(|row| &*row.kind == "node")
    }

    /// The contacted member's view; `None` when the row does not say.
    pub fn quorate(&self) -> Option<bool> {
        self.cluster()?.quorate.map(|flag| flag.0)
    }
}

/// A row of `/cluster/resources`: guest, node, storage or something we do not use.
///
/// Where a guest is, its lock and tags are current; figures and `status` lag by up to 10 s, and by five minutes for a dead node.
#[derive(Debug, Clone, Deserialize)]
pub struct Resource {
    /// `qemu`, `lxc`, `node`, `storage`, `sdn`, `network`, …
    #[serde(rename = "type")]
    pub kind: Text,
    pub id: Text,
    pub node: Option<Text>,
    pub vmid: Option<Int>,
    /// Missing when the node has been dead for five minutes.
    pub name: Option<Text>,
    pub status: Option<Text>,
    pub lock: Option<Text>,
    pub template: Option<Flag>,
    /// Guest: state in the HA stack. Node: `online`, `maintenance`, …; it says nothing about being reachable.
    pub hastate: Option<Text>,
    pub tags: Option<Text>,
    pub pool: Option<Text>,
    pub maxcpu: Option<Stat>,
    pub cpu: Option<Stat>,
    /// Bytes.
    pub maxmem: Option<Stat>,
    pub mem: Option<Stat>,
    /// 9.x: what the guest costs its host, bytes.
    pub memhost: Option<Stat>,
    pub disk: Option<Stat>,
    pub maxdisk: Option<Stat>,
    /// Seconds.
    pub uptime: Option<Int>,
    pub storage: Option<Text>,
    pub shared: Option<Flag>,
    pub plugintype: Option<Text>,
}

impl Resource {
    pub fn is_guest(&self) -> bool {
        matches!(&*self.kind, "qemu" | "lxc")
    }
}

/// A row of `/cluster/config/nodes`: the corosync configuration.
#[derive(Debug, Clone, Deserialize)]
pub struct ClusterMember {
    /// Newer versions say it again as `name`.
    pub node: Text,
    pub nodeid: Option<Int>,
    pub quorum_votes: Option<Int>,
}

/// `/cluster/config/qdevice`: an empty object when there is none.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Qdevice(pub Table<Text>);

impl Qdevice {
    pub fn configured(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether its vote counts now.
    pub fn connected(&self) -> bool {
        self.0.get("State").is_some_and(|state| &**state == "Connected")
    }
}

/// `/cluster/options`: what matters here from `datacenter.cfg`.
#[derive(Debug, Clone, Deserialize)]
pub struct ClusterOptions {
    pub ha: Option<Properties>,
    pub crs: Option<Properties>,
    pub migration: Option<Properties>,
    pub max_workers: Option<Int>,
    pub bwlimit: Option<Properties>,
}

impl ClusterOptions {
    /// What HA does with its guests when a node shuts down.
    pub fn shutdown_policy(&self) -> &str {
        self.ha.as_ref().and_then(|ha| ha.0.get("shutdown_policy")).map_or("conditional", |policy| policy)
    }

    /// HA chooses nodes by counting guests, as it does unless told otherwise.
    pub fn counts_guests(&self) -> bool {
        self.crs.as_ref().and_then(|crs| crs.0.get("ha")).is_none_or(|word| &**word == "basic")
    }

    /// Migrations that HA runs at a time from one node.
    pub fn workers(&self) -> Option<u32> {
        self.max_workers.and_then(|workers| u32::try_from(workers.0).ok()).filter(|workers| *workers > 0)
    }

    /// Bytes per second of one migration (the options say KiB/s; 0 is no limit).
    pub fn migration_limit(&self) -> Option<u64> {
        let words = &self.bwlimit.as_ref()?.0;
        let kib: f64 = words.get("migration").or(words.get("default"))?.parse().ok()?;
        (kib > 0.0).then_some((kib * 1024.0) as u64)
    }

    /// HA moves its guests by itself to even the load (since 9.1).
    pub fn auto_rebalance(&self) -> bool {
        self.crs.as_ref().and_then(|crs| crs.0.get("ha-auto-rebalance")).is_some_and(|word| &**word == "1")
    }
}

/// A property string: an object in the answers of most versions, `a=b,c=d` in others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Properties(pub Table<Text>);

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Properties, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Object(Table<Text>),
            Written(String),
        }
        Ok(Properties(match Either::deserialize(deserializer)? {
            Either::Object(table) => table,
            Either::Written(text) => {
                let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
                Table(pairs.map(|(name, value)| (name.to_owned(), Text(value.to_owned()))).collect())
            }
        }))
    }
}

/// A row of `/cluster/backup`.
#[derive(Debug, Clone, Deserialize)]
pub struct BackupJob {
    pub id: Text,
    /// Missing means enabled.
    pub enabled: Option<Flag>,
    pub schedule: Option<Text>,
    /// Seconds since 1970.
    #[serde(rename = "next-run")]
    pub next_run: Option<Int>,
    pub storage: Option<Text>,
    /// Only on this node.
    pub node: Option<Text>,
    pub all: Option<Flag>,
    /// `100,101`
    pub vmid: Option<Text>,
    pub exclude: Option<Text>,
    pub pool: Option<Text>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_may_come_as_object_or_as_text() {
        for json in [r#"{"ha":{"shutdown_policy":"migrate"}}"#, r#"{"ha":"shutdown_policy=migrate"}"#] {
            let options: ClusterOptions = serde_json::from_str(json).expect(json);
            assert_eq!(options.shutdown_policy(), "migrate");
        }
        let unset: ClusterOptions = serde_json::from_str("{}").expect("empty");
        assert_eq!(unset.shutdown_policy(), "conditional");
        assert_eq!((unset.workers(), unset.migration_limit()), (None, None));
        let limited = r#"{"bwlimit":"clone=5,migration=102400","max_workers":"6"}"#;
        let limited: ClusterOptions = serde_json::from_str(limited).expect("options");
        assert_eq!((limited.workers(), limited.migration_limit()), (Some(6), Some(100 << 20)));
    }

    #[test]
    fn no_qdevice_is_an_empty_object() {
        let none: Qdevice = serde_json::from_str("{}").expect("empty");
        assert!(!none.configured() && !none.connected());
        let there: Qdevice =
            serde_json::from_str(r#"{"State":"Connected","Model":"Net"}"#).expect("a qdevice");
        assert!(there.configured() && there.connected());
    }
}
