//! Backups, replication and processors, for judging one node.
//!
//! Storages that all nodes share are asked at a member that stays; what only the node itself has is asked there. Each part is
//! known or unknown by itself: a backup server that hangs must not hide the processors. Never asked by a quiet turn.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, future::join_all, stream};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use super::{calls, client::Route, proxmox::Proxmox, request::Call, wire};
use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{Backup, Machine, Replica, Store, Survey};
use crate::model::seen::{Seen, Trouble};
use crate::model::time::Time;

/// Members asked about their processors side by side.
const MACHINES_AT_ONCE: usize = 16;

/// Types whose storages all nodes see, whatever the configuration says.
const SHARED: [&str; 9] = ["pbs", "nfs", "cifs", "cephfs", "rbd", "iscsi", "iscsidirect", "zfs", "glusterfs"];

pub(super) async fn survey(pve: &Proxmox, node: &NodeName, avoid: &BTreeSet<NodeName>) -> Survey {
    let at = pve.clock.now();
    let until = Instant::now() + pve.look_within;
    let route = Route::avoiding(avoid.iter().map(NodeName::as_str));
    // One second before the end of ten: what hangs is unknown by itself, and the rest is still put together.
    let listed_until = until - pve.look_within / 10;
    let surveyor = Surveyor { pve, route, node, until, listed_until, online: OnceCell::new() };
    let (replicas, stores, machines) =
        tokio::join!(surveyor.replicas(), surveyor.stores(), surveyor.machines());
    Survey { asked_at: at, replicas: seen(replicas, at), stores: seen(stores, at), machines }
}

fn seen<T>(found: Result<T, Trouble>, at: Time) -> Seen<T> {
    match found {
        Ok(value) => Seen::known(value, at),
        Err(why) => why.into(),
    }
}

struct Surveyor<'a> {
    pve: &'a Proxmox,
    route: Route,
    node: &'a NodeName,
    /// The end of everything.
    until: Instant,
    /// The end of what others wait for: who is online, and the lists of backups.
    listed_until: Instant,
    online: OnceCell<Result<BTreeSet<NodeName>, Trouble>>,
}

impl Surveyor<'_> {
    async fn run<T: DeserializeOwned>(&self, call: &Call<T>, until: Instant) -> Result<T, Trouble> {
        match timeout_at(until, self.pve.client.run(call, &self.route)).await {
            Ok(answer) => Ok(answer?.value),
            Err(_) => {
                Err(Trouble::TooSlow(format!("{call}: no answer in time, of {:?}", self.pve.look_within)))
            }
        }
    }

    /// Asked once, for those parts that need it.
    async fn online(&self) -> &Result<BTreeSet<NodeName>, Trouble> {
        self.online.get_or_init(|| self.ask_online()).await
    }

    async fn ask_online(&self) -> Result<BTreeSet<NodeName>, Trouble> {
        let status = self.run(&calls::cluster_status(), self.listed_until).await?;
        let up = status.members().filter(|row| super::views::is(row.online));
        Ok(up.filter_map(|row| row.name.as_ref().map(|name| NodeName(name.0.clone()))).collect())
    }

    async fn replicas(&self) -> Result<Vec<Replica>, Trouble> {
        let rows = self.run(&calls::replication_jobs(self.node.as_str()), self.until).await?;
        Ok(rows.iter().filter_map(replica).collect())
    }

    async fn stores(&self) -> Result<BTreeMap<String, Store>, Trouble> {
        let rows = self.run(&calls::storages(), self.until).await?;
        let enabled = rows.iter().filter(|row| row.disable != Some(wire::Flag(true)));
        let mut stores: BTreeMap<String, Store> =
            enabled.clone().map(|row| (row.storage.0.clone(), store(row))).collect();
        let keeps = |row: &&wire::StorageConfig| row.content.0.iter().any(|kind| &**kind == "backup");
        let names: Vec<String> = enabled.filter(keeps).map(|row| row.storage.0.clone()).collect();
        let lists = match self.online().await {
            Err(why) => names.into_iter().map(|name| (name, why.clone().into())).collect(),
            Ok(online) => self.backups(names, &stores, online).await,
        };
        for (name, backups) in lists {
            if let Some(store) = stores.get_mut(&name) {
                store.backups = backups;
            }
        }
        Ok(stores)
    }

    async fn backups(
        &self,
        names: Vec<String>,
        stores: &BTreeMap<String, Store>,
        online: &BTreeSet<NodeName>,
    ) -> Vec<(String, Seen<Vec<Backup>>)> {
        let named: Vec<(&str, &Store)> =
            names.iter().filter_map(|name| Some((name.as_str(), stores.get(name)?))).collect();
        let (groups, nowhere) = by_member(self.node, &named, online);
        let unreachable = || Trouble::Unreachable("no member that has it is online".to_owned()).into();
        let mut lists: Vec<_> = nowhere.into_iter().map(|name| (name.to_owned(), unreachable())).collect();
        // Loops and no closures: the compiler cannot yet tell that a closure's future may be sent.
        let mut asked = Vec::new();
        for (member, names) in groups {
            asked.push(self.backups_at(member, names));
        }
        lists.extend(join_all(asked).await.into_iter().flatten());
        lists
    }

    /// One after the other: storages of one server that hangs must not take both places at a member, through which the
    /// rest of the look goes. Of the time that is left each has its share, so that those behind one that hangs are asked, too.
    async fn backups_at(&self, member: &NodeName, names: Vec<&str>) -> Vec<(String, Seen<Vec<Backup>>)> {
        let mut lists = Vec::new();
        for (done, name) in names.iter().enumerate() {
            let at = self.pve.clock.now();
            let until = share(Instant::now(), self.listed_until, names.len() - done);
            let listed = self.run(&calls::backups(member.as_str(), name), until).await;
            let backups = listed.map(|rows| rows.iter().filter_map(backup).collect());
            lists.push(((*name).to_owned(), seen(backups, at)));
        }
        lists
    }

    async fn machines(&self) -> BTreeMap<NodeName, Seen<Machine>> {
        let Ok(online) = self.online().await else { return BTreeMap::new() };
        let mut reads = Vec::new();
        for name in online {
            reads.push(self.machine(name));
        }
        stream::iter(reads).buffer_unordered(MACHINES_AT_ONCE).collect().await
    }

    async fn machine(&self, name: &NodeName) -> (NodeName, Seen<Machine>) {
        let at = self.pve.clock.now();
        let status = self.run(&calls::node_status(name.as_str()), self.until).await;
        (name.clone(), seen(status.map(|status| machine(&status)), at))
    }
}

/// The end of the next of so many that share what is left.
fn share(now: Instant, until: Instant, left: usize) -> Instant {
    let each = until.saturating_duration_since(now) / u32::try_from(left).unwrap_or(u32::MAX).max(1);
    now + each
}

/// Which member lists what, and what nobody can list. Only shared storages count for the turns.
fn by_member<'a>(
    node: &'a NodeName,
    stores: &[(&'a str, &Store)],
    online: &'a BTreeSet<NodeName>,
) -> (BTreeMap<&'a NodeName, Vec<&'a str>>, Vec<&'a str>) {
    let (mut groups, mut nowhere) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
    let mut turn = 0;
    for (name, store) in stores {
        match asked(node, store, online, turn) {
            Some(member) => groups.entry(member).or_default().push(*name),
            None => nowhere.push(*name),
        }
        turn += usize::from(store.shared);
    }
    (groups, nowhere)
}

/// Where a storage is asked: at a member that stays, or at the node itself where only its own counts. The members take
/// turns: storages that hang must not take every place at one of them, through which the rest of the look goes.
fn asked<'a>(
    node: &'a NodeName,
    store: &Store,
    online: &'a BTreeSet<NodeName>,
    turn: usize,
) -> Option<&'a NodeName> {
    let has = |name: &&NodeName| store.nodes.is_empty() || store.nodes.contains(*name);
    if !store.shared {
        return Some(node).filter(has).filter(|node| online.contains(*node));
    }
    let staying: Vec<&NodeName> = online.iter().filter(has).filter(|name| *name != node).collect();
    match staying.len() {
        0 => Some(node).filter(has),
        n => Some(staying[turn % n]),
    }
}

fn replica(row: &wire::ReplicationJob) -> Option<Replica> {
    let is = |flag: Option<wire::Flag>| flag.is_some_and(|flag| flag.0);
    // `101-0`: the guest is in the job's name, too.
    let named = || row.id.split('-').next()?.parse::<u32>().ok();
    let guest = row.guest.and_then(|id| u32::try_from(id.0).ok()).or_else(named)?;
    Some(Replica {
        job: row.id.0.clone(),
        guest: GuestId(guest),
        target: row.target.as_ref().map(|target| NodeName(target.0.clone())),
        disabled: is(row.disable),
        synced: row.last_sync.filter(|at| at.0 > 0).and_then(|at| Time::from_second(at.0).ok()),
        failed: row.fail_count.map_or(0, |n| u32::try_from(n.0).unwrap_or(u32::MAX)),
        error: row.error.as_ref().map(|error| error.0.clone()),
    })
}

fn store(row: &wire::StorageConfig) -> Store {
    let kind = row.kind.0.clone();
    let server = row.server.as_ref().or(row.portal.as_ref()).map(|server| server.0.clone());
    let shared = SHARED.contains(&kind.as_str()) || row.shared == Some(wire::Flag(true));
    let base = match (kind.as_str(), &row.monhost, &server, &row.path) {
        ("rbd" | "cephfs", Some(monitors), _, _) => Some(format!("the Ceph of {}", monitors.0)),
        ("rbd" | "cephfs", None, _, _) => Some("this cluster's Ceph".to_owned()),
        (_, _, Some(server), _) => Some(format!("the server {server}")),
        (_, _, _, Some(path)) if shared => Some(format!("the path {}", path.0)),
        _ => None,
    };
    let nodes = row.nodes.iter().flat_map(|all| all.0.iter().map(|name| NodeName(name.to_string())));
    Store { kind, shared, nodes: nodes.collect(), server, base, backups: Seen::NotAsked }
}

/// `None` for a file of which nobody can tell whose it is, or when it was made.
fn backup(row: &wire::BackupRow) -> Option<Backup> {
    let state = row.verification.as_ref().and_then(|v| v.state.as_deref());
    Some(Backup {
        guest: GuestId(u32::try_from(row.vmid?.0).ok()?),
        at: Time::from_second(row.ctime?.0).ok()?,
        bytes: row.size.map_or(0, |size| u64::try_from(size.0).unwrap_or(0)),
        verified: match state {
            Some("ok") => Some(true),
            Some("failed") => Some(false),
            _ => None,
        },
    })
}

fn machine(status: &wire::NodeStatus) -> Machine {
    let cpu = status.cpuinfo.as_ref();
    let flags =
        cpu.and_then(|cpu| cpu.flags.as_ref()).map(|flags| flags.split_whitespace().map(str::to_owned));
    Machine {
        model: cpu.and_then(|cpu| cpu.model.as_ref()).map_or_else(String::new, |model| model.0.clone()),
        flags: flags.into_iter().flatten().collect(),
        version: status.version().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn stores(json: &str) -> Vec<Store> {
        serde_json::from_str::<Vec<wire::StorageConfig>>(json).expect("rows").iter().map(store).collect()
    }

    #[test]
    fn two_storages_on_one_thing_have_one_base() {
        let all = stores(
            r#"[{"storage":"vm","type":"rbd","content":"images"},
                {"storage":"fs","type":"cephfs","content":"backup"},
                {"storage":"far","type":"rbd","content":"images","monhost":"192.0.2.9"},
                {"storage":"nas","type":"nfs","content":"images","server":"192.0.2.7","export":"/a"},
                {"storage":"pbs","type":"pbs","content":"backup","server":"192.0.2.7"},
                {"storage":"local","type":"dir","content":"backup","path":"/var/lib/vz"}]"#,
        );
        assert_eq!(all[0].base, all[1].base);
        assert_ne!(all[0].base, all[2].base);
        assert_eq!(all[3].base, all[4].base);
        assert_eq!((all[5].shared, &all[5].base), (false, &None));
    }

    #[test]
    fn a_shared_storage_is_asked_at_a_member_that_stays() {
        let online: BTreeSet<NodeName> = ["pve1", "pve2"].map(NodeName::from).into();
        let (leaving, other) = (NodeName::from("pve1"), NodeName::from("pve2"));
        let mut all = stores(
            r#"[{"storage":"a","type":"pbs"},{"storage":"b","type":"dir"},{"storage":"c","type":"dir","nodes":"pve3"}]"#,
        );
        assert_eq!(asked(&leaving, &all[0], &online, 0), Some(&other));
        let three: BTreeSet<NodeName> = ["pve1", "pve2", "pve3"].map(NodeName::from).into();
        assert_ne!(
            asked(&leaving, &all[0], &three, 0),
            asked(&leaving, &all[0], &three, 1),
            "they take turns"
        );
        assert_eq!(asked(&leaving, &all[1], &online, 0), Some(&leaving));
        assert_eq!(asked(&leaving, &all[2], &online, 0), None);
        all[0].nodes = [leaving.clone()].into();
        assert_eq!(asked(&leaving, &all[0], &online, 0), Some(&leaving));
    }

    #[test]
    fn storages_of_one_server_that_hangs_leave_a_place_at_each_member() {
        let online: BTreeSet<NodeName> = ["pve1", "pve2", "pve3"].map(NodeName::from).into();
        let (leaving, two, three) = ("pve1".into(), "pve2".into(), "pve3".into());
        // In between lies what does not count for the turns.
        let all = stores(
            r#"[{"storage":"a","type":"pbs"},{"storage":"own","type":"dir"},{"storage":"b","type":"pbs"},
                {"storage":"c","type":"pbs"},{"storage":"far","type":"dir","nodes":"pve9"},{"storage":"d","type":"pbs"}]"#,
        );
        let named: Vec<(&str, &Store)> = ["a", "own", "b", "c", "far", "d"].into_iter().zip(&all).collect();
        let (groups, nowhere) = by_member(&leaving, &named, &online);
        let expected = [(&leaving, vec!["own"]), (&two, vec!["a", "c"]), (&three, vec!["b", "d"])];
        assert_eq!((groups, nowhere), (expected.into(), vec!["far"]));
    }

    #[test]
    fn one_that_hangs_leaves_time_for_those_behind_it() {
        let now = Instant::now();
        let until = now + Duration::from_secs(9);
        let second = share(now, until, 3);
        assert_eq!(second - now, Duration::from_secs(3));
        assert_eq!(share(second, until, 2) - second, Duration::from_secs(3));
        assert_eq!(share(until, until, 1), until, "the end stays the end");
    }

    #[test]
    fn a_backup_says_whether_it_was_verified_and_a_job_whose_it_is() {
        let rows = r#"[{"volid":"pbs:backup/vm/101/2026-01-01T01:00:00Z","vmid":"101","ctime":1767229200,"size":5,
            "verification":{"state":"failed","upid":"x"}},{"volid":"pbs:backup/other.tar","ctime":1}]"#;
        let rows: Vec<wire::BackupRow> = serde_json::from_str(rows).expect("rows");
        let found: Vec<Backup> = rows.iter().filter_map(backup).collect();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].guest, found[0].bytes, found[0].verified), (GuestId(101), 5, Some(false)));
        let job = r#"{"id":"102-0","target":"pve2","last_sync":0,"fail_count":3,"error":"no route"}"#;
        let job = replica(&serde_json::from_str(job).expect("a job")).expect("it names its guest");
        assert_eq!((job.guest, job.synced, job.failed), (GuestId(102), None, 3));
    }
}
