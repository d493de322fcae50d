//! Orders: moving guests, starting and stopping them, ending a task. What is wrong with an order shows mostly in its
//! task, later; the world knows which of it shows at once.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::guest::sid;
use crate::model::ids::{GuestId, NodeName, Upid};
use crate::model::observed::GuestKind;
use crate::sim::http::answer::Answer;
use crate::sim::http::call::{Call, Said};
use crate::sim::http::route::Half;
use crate::sim::http::tokens::PITLANE;
use crate::sim::world::migrate::{MigrateCall, NotAllowed, Preconditions};
use crate::sim::world::task::{Errand, Then};
use crate::sim::world::{Actor, Refusal, Run};

/// Deleting a running task blocks until its worker has ended; 4 s was the longest seen.
const CANCEL_TAKES: Duration = Duration::from_secs(4);

impl Call<'_> {
    /// pitlane, or anybody else with a token: a person.
    pub(super) fn by(&self) -> Actor {
        if self.token.id == PITLANE { Actor::Pitlane } else { Actor::Human }
    }

    /// `force`, `skiplock` and their like are for root's own login; a token is never root.
    fn only_root(&self, names: &[&'static str]) -> Result<(), Refusal> {
        match names.iter().find(|name| self.params.0.contains_key(**name)) {
            Some(name) => Err(Refusal::parameter(name, "Only root may use this option.")),
            None => Ok(()),
        }
    }

    pub fn preconditions(&self, half: Half) -> Said {
        let id = self.vmid();
        self.named_guest(half)?;
        let found = self.world.preconditions(self.via, self.at, id)?;
        Ok(Answer::data(match half {
            Half::Qemu => self.qemu_preconditions(id, &found),
            Half::Lxc => self.lxc_preconditions(&found),
        }))
    }

    fn qemu_preconditions(&self, id: GuestId, found: &Preconditions) -> Value {
        let guest = self.world.guests.get(&id);
        // An empty object stands for every node that is allowed, too.
        let mut obstacles: Map<String, Value> =
            found.allowed.iter().map(|node| (node.to_string(), json!({}))).collect();
        obstacles.extend(found.not_allowed.iter().map(|(node, why)| {
            let why = match why {
                NotAllowed::Storage(storage) => json!({ "unavailable_storages": [storage] }),
                NotAllowed::Apart(enemy) => self.blocked_by(*enemy),
            };
            (node.to_string(), why)
        }));
        let disks = guest.iter().flat_map(|guest| &guest.local_disks);
        let mut disks: Vec<Value> =
            disks.map(|(volume, size)| json!({ "volid": volume, "size": size })).collect();
        let image = guest.and_then(|guest| guest.local_cdrom.as_ref());
        disks.extend(image.map(|image| json!({ "volid": image, "size": 0, "cdrom": 1 })));
        let devices = guest.iter().flat_map(|guest| &guest.devices);
        let mut told = json!({
            "running": u8::from(found.running), "has-dbus-vmstate": 1,
            "allowed_nodes": found.allowed, "not_allowed_nodes": obstacles,
            "local_disks": disks,
            "local_resources": devices.map(|device| key(device)).collect::<Vec<_>>(),
            "mapped-resources": [], "mapped-resource-info": {},
        });
        if self.world.ha.manages(id) {
            told["dependent-ha-resources"] = json!([]);
        }
        told
    }

    fn lxc_preconditions(&self, found: &Preconditions) -> Value {
        // Containers are not asked about storage, and here only real obstacles are listed.
        let enemies = found.not_allowed.iter().filter_map(|(node, why)| match why {
            NotAllowed::Apart(enemy) => Some((node.to_string(), self.blocked_by(*enemy))),
            NotAllowed::Storage(_) => None,
        });
        json!({
            "running": u8::from(found.running), "allowed-nodes": found.allowed,
            "not-allowed-nodes": enemies.collect::<Map<String, Value>>(),
        })
    }

    fn blocked_by(&self, enemy: GuestId) -> Value {
        let kind = self.world.guests.get(&enemy).map_or(GuestKind::Qemu, |guest| guest.kind);
        json!({ "blocking-ha-resources": [{ "sid": sid(enemy, kind), "cause": "resource-affinity" }] })
    }

    pub fn migrate(&mut self, half: Half) -> Said {
        self.only_root(&["force", "migration_type", "migration_network"])?;
        let order = MigrateCall {
            guest: self.vmid(),
            kind: half.kind(),
            node: self.at.clone(),
            target: NodeName(self.params.text("target").unwrap_or_default()),
            online: self.params.flag("online"),
            with_local_disks: self.params.flag("with-local-disks"),
            restart: self.params.flag("restart"),
        };
        let by = self.by();
        let guest = self.world.guest_at(self.at, order.guest, Some(order.kind))?;
        // A lock is found before it is asked whether the guest runs; the world finds it.
        let live = guest.run == Run::Running && guest.lock.is_none();
        match half {
            Half::Qemu if live && !order.online => {
                return Err(Refusal::died("can't migrate running VM without --online"));
            }
            Half::Lxc if live && !order.online && !order.restart => {
                let text = "can't migrate running container without --online or --restart";
                return Err(Refusal::died(text));
            }
            _ => {}
        }
        started(self.world.migrate(by, self.via, &order)?)
    }

    pub fn start(&mut self, half: Half) -> Said {
        self.only_root(&["skiplock", "migratedfrom", "stateuri", "migration_type", "migration_network"])?;
        self.named_guest(half)?;
        let (by, id) = (self.by(), self.vmid());
        started(self.world.start_guest(by, self.via, self.at, id)?)
    }

    /// Continues a paused guest. One that a broken migration left behind is such a one.
    pub fn resume(&mut self, half: Half) -> Said {
        self.only_root(&["skiplock"])?;
        let run = self.named_guest(half)?.run;
        let (by, id) = (self.by(), self.vmid());
        if run == Run::Postmigrate {
            return started(self.world.start_guest(by, self.via, self.at, id)?);
        }
        let kind = if half == Half::Qemu { "qmresume" } else { "vzresume" };
        let status = if run == Run::Running {
            "OK".to_owned()
        } else {
            format!("VM {id} qmp command 'cont' failed - VM {id} not running")
        };
        started(self.errand(by, id, kind, &status, Then::Nothing))
    }

    pub fn shutdown(&mut self, half: Half) -> Said {
        self.only_root(&["skiplock"])?;
        self.named_guest(half)?;
        let (by, id) = (self.by(), self.vmid());
        started(self.world.shut_down_guest(by, self.via, self.at, id)?)
    }

    /// Cuts a guest's power. There is no such call in pitlane: from its token it is something unsafe.
    pub fn stop(&mut self, half: Half) -> Said {
        self.only_root(&["skiplock", "migratedfrom"])?;
        let run = self.named_guest(half)?.run;
        let (by, id) = (self.by(), self.vmid());
        self.world.forbid(by == Actor::Pitlane, || format!("the power of guest {id} was cut"));
        self.world.note_effect(by, "stop", id);
        let kind = if half == Half::Qemu { "qmstop" } else { "vzstop" };
        let (status, then) = match (half, run) {
            (Half::Lxc, Run::Stopped) => (format!("CT {id} not running"), Then::Nothing),
            _ => ("OK".to_owned(), Then::Stop),
        };
        started(self.errand(by, id, kind, &status, then))
    }

    /// A task of one second.
    fn errand(&mut self, by: Actor, id: GuestId, kind: &'static str, status: &str, then: Then) -> Upid {
        self.world.run(by, self.at, Some(id), Errand { kind, secs: 1, status, then })
    }

    /// `DELETE …/tasks/UPID`.
    pub fn task_stop(&mut self) -> Said {
        let upid = self.upid()?;
        let task = self.world.task(self.via, self.at, &upid)?;
        self.must_read(task, "Sys.Modify")?;
        let runs = task.runs();
        let by = self.by();
        self.world.cancel_task(by, self.via, self.at, &upid)?;
        Ok(Answer::data(Value::Null).taking(if runs { CANCEL_TAKES } else { Duration::ZERO }))
    }
}

fn started(task: Upid) -> Said {
    Ok(Answer::data(json!(task)))
}

/// `hostpci0` of `hostpci0 (a card for people to recognise)`.
fn key(device: &str) -> &str {
    device.split_whitespace().next().unwrap_or(device)
}
