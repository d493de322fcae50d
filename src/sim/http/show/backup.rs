//! Backups on storages, and replication jobs.

use serde_json::{Value, json};

use super::object;
use crate::model::ids::GuestId;
use crate::model::observed::{Backup, GuestKind};
use crate::sim::http::answer::Answer;
use crate::sim::http::call::{Call, Said};
use crate::sim::world::Refusal;

impl Call<'_> {
    /// `/nodes/N/storage/S/content`: only backups are simulated. What the token may not see is left out in silence.
    pub fn storage_content(&self) -> Said {
        let storage = self.params.text("storage").unwrap_or_default();
        let Some(store) = self.world.backups.stores.get(&storage) else {
            let known = super::storage::storages_of(self.world, self.at).contains_key(&storage);
            return match known {
                true => Ok(Answer::data(json!([]))),
                false => Err(Refusal::died(format!("storage '{storage}' does not exist"))),
            };
        };
        if store.hangs {
            return Err(Refusal::died(format!("{storage}: error fetching snapshots - 500 timeout")));
        }
        let wanted = self.params.number("vmid");
        let kind = self.params.text("content");
        let rows = self.world.all_backups_on(&storage, self.at).into_iter().filter(|backup| {
            kind.as_deref().is_none_or(|kind| kind == "backup")
                && wanted.is_none_or(|id| id == i64::from(backup.guest.0))
                && self.sees_backups_of(&storage, backup.guest)
        });
        let pbs = store.kind == "pbs";
        Ok(Answer::data(rows.map(|backup| self.backup_row(&storage, &backup, pbs)).collect::<Vec<_>>()))
    }

    fn sees_backups_of(&self, storage: &str, guest: GuestId) -> bool {
        let path = format!("/storage/{storage}");
        self.token.may(&path, &["Datastore.Allocate"])
            || self.token.may(&path, &["Datastore.AllocateSpace"])
                && self.token.may(&format!("/vms/{guest}"), &["VM.Backup"])
    }

    fn backup_row(&self, storage: &str, backup: &Backup, pbs: bool) -> Value {
        let lxc = self.world.guests.get(&backup.guest).is_some_and(|guest| guest.kind == GuestKind::Lxc);
        let subtype = if lxc { "lxc" } else { "qemu" };
        let (folder, at) = (if lxc { "ct" } else { "vm" }, backup.at.strftime("%Y-%m-%dT%H:%M:%SZ"));
        let format = match (pbs, lxc) {
            (true, false) => "pbs-vm",
            (true, true) => "pbs-ct",
            (false, false) => "vma.zst",
            (false, true) => "tar.zst",
        };
        let volid = match pbs {
            true => format!("{storage}:backup/{folder}/{}/{at}", backup.guest),
            false => {
                let at = backup.at.strftime("%Y_%m_%d-%H_%M_%S");
                format!("{storage}:backup/vzdump-{subtype}-{}-{at}.{format}", backup.guest)
            }
        };
        let state = backup.verified.map(|good| if good { "ok" } else { "failed" });
        object([
            ("volid", Some(json!(volid))),
            ("content", Some(json!("backup"))),
            ("format", Some(json!(format))),
            ("subtype", Some(json!(subtype))),
            ("vmid", Some(json!(backup.guest.0))),
            ("ctime", Some(json!(backup.at.as_second()))),
            ("size", Some(json!(backup.bytes))),
            ("verification", state.map(|state| json!({ "state": state, "upid": "UPID:pbs:verify" }))),
        ])
    }

    /// `/nodes/N/replication`: jobs whose guest is there.
    pub fn replication(&self) -> Said {
        let wanted = self.params.number("guest");
        let here = self.world.backups.jobs.iter().filter(|job| {
            self.world.guests.get(&job.guest).is_some_and(|guest| &guest.node == self.at)
                && wanted.is_none_or(|id| id == i64::from(job.guest.0))
                && self.sees_guest(job.guest)
        });
        let rows = here.map(|job| {
            object([
                ("id", Some(json!(job.job))),
                ("guest", Some(json!(job.guest.0))),
                ("type", Some(json!("local"))),
                ("source", Some(json!(self.at))),
                ("target", job.target.as_ref().map(|target| json!(target))),
                ("schedule", Some(json!("*/15"))),
                ("disable", job.disabled.then(|| json!(1))),
                ("last_sync", Some(json!(job.synced.map_or(0, |at| at.as_second())))),
                ("fail_count", Some(json!(job.failed))),
                ("error", job.error.as_ref().map(|error| json!(error))),
            ])
        });
        Ok(Answer::data(rows.collect::<Vec<_>>()))
    }
}
