//! What could be brought back of each guest of a node, were it lost now. A backup counts only if it would not be lost
//! with the guest: not on the node, not on the storage under the guest, not on whatever carries that storage.
//!
//! Never a guess: what the token may not list is "not observable", with the privilege that is missing.

use std::collections::{BTreeMap, BTreeSet};

use super::view::View;
use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{Backup, Privileges, Replica, Store, Survey};
use crate::model::recovery::{Card, Found, LastBackup, ReplicaShown, ReplicaState, RestoreTime};
use crate::model::rules::RecoveryLimits;
use crate::model::seen::Seen;
use crate::model::time::{Period, Time, age};
use crate::model::wait::{Source, Wait};

/// The cards of a node's guests, templates left out.
///
/// # Errors
/// Nobody has looked, or the cluster cannot be seen.
pub fn cards(node: &NodeName, view: &View) -> Result<Vec<Card>, Wait> {
    let survey = view.survey(node)?;
    let cluster = view.cluster()?;
    let privileges = view.fresh(Source::Privileges, &view.seen.pve.privileges)?;
    let address = cluster.nodes.get(node).and_then(|row| row.address.as_deref());
    let asking = Asking { node, address, survey, privileges, view };
    cluster
        .guests_on(node)
        .filter(|(_, guest)| !guest.template)
        .map(|(id, guest)| {
            let under = &view.guest(*id)?.storages;
            let backup = asking.backup(*id, under);
            let restore = restore(&backup, &asking, &view.rules.limits.recovery);
            let (replicas, replicas_unseen) = asking.replicas(*id);
            Ok(Card { guest: *id, name: guest.name.clone(), backup, replicas, replicas_unseen, restore })
        })
        .collect()
}

struct Asking<'a> {
    node: &'a NodeName,
    address: Option<&'a str>,
    survey: &'a Survey,
    privileges: &'a Privileges,
    view: &'a View<'a>,
}

impl Asking<'_> {
    fn backup(&self, guest: GuestId, under: &BTreeSet<String>) -> LastBackup {
        let stores = match &self.survey.stores {
            Seen::Known { value, .. } => value,
            Seen::Unknown { why } => return LastBackup::Unseen { why: why.to_string() },
            Seen::NotAsked => {
                return LastBackup::Unseen { why: "nobody has looked yet".to_owned() };
            }
        };
        let mut unseen = hidden_storages(self.privileges);
        let mut counting: Option<Found> = None;
        let mut broken: Option<Found> = None;
        let mut at_risk: Option<(Found, String)> = None;
        for (name, store) in stores {
            let listed = match &store.backups {
                Seen::NotAsked => continue,
                Seen::Unknown { why } => {
                    // What lies on the node counts for nothing, seen or not.
                    if self.risk(name, store, under, stores).is_none() {
                        unseen.get_or_insert_with(|| format!("{name}: {why}"));
                    }
                    continue;
                }
                Seen::Known { value, .. } => value,
            };
            let risk = self.risk(name, store, under, stores);
            if risk.is_none()
                && let Some(lacking) = self.lacks(name, guest)
            {
                unseen.get_or_insert(lacking);
            }
            let newest = |broken: bool| {
                let of_it =
                    listed.iter().filter(|b| b.guest == guest && (b.verified == Some(false)) == broken);
                of_it.max_by_key(|backup| backup.at).map(|backup| self.found(name, backup))
            };
            match risk {
                Some(why) => at_risk = newer_of(at_risk, newest(false).map(|found| (found, why))),
                None => {
                    counting = newer(counting, newest(false));
                    broken = newer(broken, newest(true));
                }
            }
        }
        let max = self.view.rules.limits.recovery.backup_max_age;
        match (counting, unseen) {
            (Some(found), _) if found.age <= max => LastBackup::Good { found },
            // A younger one may be where we cannot look.
            (_, Some(why)) => LastBackup::Unseen { why },
            (Some(found), None) => LastBackup::Old { found },
            (None, None) => match (broken, at_risk) {
                (Some(found), _) => LastBackup::Broken { found },
                (None, Some((found, why))) => LastBackup::AtRisk { found, why },
                (None, None) => LastBackup::Missing,
            },
        }
    }

    fn found(&self, store: &str, backup: &Backup) -> Found {
        Found {
            store: store.to_owned(),
            at: backup.at,
            age: minutes(age(self.view.now, backup.at)),
            bytes: backup.bytes,
            verified: backup.verified,
        }
    }

    /// The privilege without which this storage leaves out the guest's backups.
    fn lacks(&self, store: &str, guest: GuestId) -> Option<String> {
        let (storage, vm) = (format!("/storage/{store}"), format!("/vms/{guest}"));
        if self.privileges.allows("Datastore.Allocate", &storage) {
            return None;
        }
        let lacking = if !self.privileges.allows("Datastore.AllocateSpace", &storage) {
            ("Datastore.AllocateSpace", storage)
        } else if !self.privileges.allows("VM.Backup", &vm) {
            // Told for all guests alike where it is missing for all.
            let all = !self.privileges.allows("VM.Backup", "/vms");
            ("VM.Backup", if all { "/vms".to_owned() } else { vm })
        } else {
            return None;
        };
        Some(format!("our token lacks {} on {}", lacking.0, lacking.1))
    }

    /// Why what lies on this storage would be lost with the guest.
    fn risk(
        &self,
        name: &str,
        store: &Store,
        under: &BTreeSet<String>,
        stores: &BTreeMap<String, Store>,
    ) -> Option<String> {
        if !store.shared {
            return Some(format!("that lies on {} itself", self.node));
        }
        if under.contains(name) {
            return Some("the guest's disks lie there, too".to_owned());
        }
        if let Some(server) = &store.server
            && (server == self.node.as_str() || Some(server.as_str()) == self.address)
        {
            return Some(format!("its server is {} itself", self.node));
        }
        let base = store.base.as_ref()?;
        let shares =
            |disk: &&String| stores.get(*disk).is_some_and(|other| other.base.as_ref() == Some(base));
        under.iter().find(shares).map(|disk| format!("it is on {base}, like {disk} under the guest"))
    }

    fn replicas(&self, guest: GuestId) -> (Vec<ReplicaShown>, Option<String>) {
        match &self.survey.replicas {
            Seen::Known { value, .. } => {
                let of_it = value.iter().filter(|job| job.guest == guest);
                (
                    of_it.map(|job| replica(job, self.view.now, &self.view.rules.limits.recovery)).collect(),
                    None,
                )
            }
            Seen::Unknown { why } => (Vec::new(), Some(why.to_string())),
            Seen::NotAsked => (Vec::new(), Some("nobody has looked yet".to_owned())),
        }
    }
}

/// Storages that the token may not see are missing in the list, in silence; that some are listed proves nothing.
fn hidden_storages(privileges: &Privileges) -> Option<String> {
    let sees = ["Datastore.Audit", "Datastore.AllocateSpace"];
    let sees_all = sees.iter().any(|privilege| privileges.allows(privilege, "/storage"));
    (!sees_all).then(|| "our token lacks Datastore.Audit on /storage".to_owned())
}

fn newer(one: Option<Found>, other: Option<Found>) -> Option<Found> {
    [one, other].into_iter().flatten().max_by_key(|found| found.at)
}

fn newer_of(one: Option<(Found, String)>, other: Option<(Found, String)>) -> Option<(Found, String)> {
    [one, other].into_iter().flatten().max_by_key(|(found, _)| found.at)
}

fn replica(job: &Replica, now: Time, limits: &RecoveryLimits) -> ReplicaShown {
    let behind = job.synced.map(|at| minutes(age(now, at)));
    let state = match behind {
        _ if job.disabled => ReplicaState::Disabled,
        _ if job.failed > 0 => {
            ReplicaState::Failing { times: job.failed, error: job.error.clone().unwrap_or_default() }
        }
        None => ReplicaState::Never,
        Some(behind) if behind > limits.replication_max_lag => ReplicaState::Late,
        Some(_) => ReplicaState::Current,
    };
    ReplicaShown { target: job.target.clone(), behind, state }
}

/// From the backup's size and a declared rate. An archive's size is less than what is written, so this is a lower bound.
fn restore(backup: &LastBackup, asking: &Asking, limits: &RecoveryLimits) -> RestoreTime {
    let unknown = |basis: &str| RestoreTime { at_least: None, basis: basis.to_owned() };
    let (LastBackup::Good { found } | LastBackup::Old { found }) = backup else {
        return unknown("there is no backup to restore from");
    };
    let Some(rate) = limits.restore_rate.filter(|rate| *rate > 0) else {
        return unknown("no rate is declared (limits.restore_rate)");
    };
    if found.bytes == 0 {
        return unknown("the storage does not tell its size");
    }
    let kind = asking.survey.stores.any_age().and_then(|s| s.get(&found.store)).map(|s| s.kind.as_str());
    let what = if kind == Some("pbs") { "of disks" } else { "of archive" };
    RestoreTime {
        at_least: Some(Period::secs(found.bytes.div_ceil(rate).max(1))),
        basis: format!("{} {what} at {}/s as declared", size(found.bytes), size(rate)),
    }
}

/// `40.0 GiB`, `120 MiB`.
fn size(bytes: u64) -> String {
    const GIB: u64 = 1 << 30;
    match bytes {
        GIB.. => format!("{:.1} GiB", bytes as f64 / GIB as f64),
        _ => format!("{} MiB", bytes.div_ceil(1 << 20)),
    }
}

/// Nobody restores by the second.
fn minutes(span: std::time::Duration) -> Period {
    Period::secs(span.as_secs() / 60 * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_sees_one_storage_may_miss_the_one_with_the_backups() {
        let sees = |path: &str, privilege: &str| {
            let granted = [(path.to_owned(), [privilege.to_owned()].into())].into();
            hidden_storages(&Privileges { granted }).is_none()
        };
        assert!(
            !sees("/storage/local", "Datastore.Audit") && !sees("/storage/local", "Datastore.AllocateSpace")
        );
        assert!(sees("/storage", "Datastore.Audit") && sees("/", "Datastore.AllocateSpace"));
    }
    #[test]
    fn a_replica_is_late_when_it_is_further_behind_than_is_allowed() {
        use crate::decide::fixture::{NOW, at};
        let limits = RecoveryLimits::default();
        let most = limits.replication_max_lag.0.as_secs();
        let behind = |secs: Option<u64>| {
            let job = Replica {
                job: "7-0".into(),
                guest: GuestId(7),
                target: None,
                disabled: false,
                synced: secs.map(|secs| at(NOW - secs)),
                failed: 0,
                error: None,
            };
            replica(&job, at(NOW), &limits).state
        };
        let (current, late) = (ReplicaState::Current, ReplicaState::Late);
        assert_eq!(
            [most, most + 59, most + 60].map(|secs| behind(Some(secs))),
            [current.clone(), current, late]
        );
        assert_eq!(behind(None), ReplicaState::Never);
    }
}
