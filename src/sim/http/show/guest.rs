//! Guests as their own node shows them: no lag, but 500 where the configuration is not.

use serde_json::{Map, Value, json};

use super::cluster::{GUEST_DISK, kind_word};
use super::storage::storages_of;
use super::{digest, object};
use crate::model::ids::GuestId;
use crate::model::observed::GuestKind;
use crate::sim::http::answer::Answer;
use crate::sim::http::call::{Call, Said};
use crate::sim::http::route::Half;
use crate::sim::world::backups::mac;
use crate::sim::world::build::USUAL_CPU;
use crate::sim::world::{Guest, Refusal, Run};

impl Half {
    pub fn kind(self) -> GuestKind {
        match self {
            Self::Qemu => GuestKind::Qemu,
            Self::Lxc => GuestKind::Lxc,
        }
    }
}

impl Call<'_> {
    /// The guest in the path, where it is said to be.
    pub fn named_guest(&self, half: Half) -> Result<&Guest, Refusal> {
        self.world.guest_at(self.at, self.vmid(), Some(half.kind()))
    }

    pub fn guests(&self, half: Half) -> Said {
        let full = self.params.flag("full");
        let here = self.world.guests.iter().filter(|(id, guest)| {
            &guest.node == self.at && guest.kind == half.kind() && self.sees_guest(**id)
        });
        let rows = here.map(|(id, guest)| {
            let mut row = self.state(*id, guest);
            if half == Half::Qemu && !full {
                row.remove("qmpstatus");
            }
            Value::Object(row)
        });
        Ok(Answer::data(rows.collect::<Vec<_>>()))
    }

    pub fn current(&self, half: Half) -> Said {
        let id = self.vmid();
        let guest = self.named_guest(half)?;
        let mut current = self.state(id, guest);
        let state = self.ha_guest_word(id);
        let ha = object([
            ("managed", Some(json!(u8::from(state.is_some())))),
            ("state", state.map(|word| json!(word))),
        ]);
        current.insert("ha".to_owned(), ha);
        Ok(Answer::data(Value::Object(current)))
    }

    /// What a row and the current status have in common.
    fn state(&self, id: GuestId, guest: &Guest) -> Map<String, Value> {
        let up = guest.aboard();
        let used = if up { guest.memory_used.min(guest.memory) } else { 0 };
        let mut state = json!({
            "vmid": id, "name": guest.name, "status": if up { "running" } else { "stopped" },
            "cpus": guest.cpus, "cpu": if up { 0.1 } else { 0.0 }, "maxmem": guest.memory, "mem": used,
            "maxdisk": GUEST_DISK, "disk": 0, "netin": 0, "netout": 0,
            "uptime": guest.uptime(self.world.now),
        });
        match guest.kind {
            GuestKind::Lxc => {
                state["type"] = json!("lxc");
                for zero in ["swap", "maxswap", "diskread", "diskwrite"] {
                    state[zero] = json!(0);
                }
            }
            GuestKind::Qemu => {
                state["memhost"] = json!(used);
                state["qmpstatus"] = json!(match guest.run {
                    Run::Running => "running",
                    Run::Stopped => "stopped",
                    Run::Postmigrate => "postmigrate",
                });
            }
        }
        if up {
            state["pid"] = json!(1000 + id.0);
            for kind in ["cpusome", "cpufull", "iosome", "iofull", "memorysome", "memoryfull"] {
                state[format!("pressure{kind}")] = json!(0.0);
            }
        }
        if let Some(lock) = &guest.lock {
            state["lock"] = json!(lock);
        }
        if guest.template {
            state["template"] = json!(1);
        }
        match state {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    pub fn config(&self, half: Half) -> Said {
        let id = self.vmid();
        let guest = self.named_guest(half)?;
        let mut config = match half {
            Half::Qemu => qemu_config(id, guest, self.volumes(id, guest)),
            Half::Lxc => lxc_config(id, guest, self.volumes(id, guest)),
        };
        if guest.onboot {
            config["onboot"] = json!(1);
        }
        if guest.template {
            config["template"] = json!(1);
        }
        if let Some(lock) = &guest.lock {
            config["lock"] = json!(lock);
        }
        config["digest"] = json!(digest(&config.to_string()));
        Ok(Answer::data(config))
    }

    /// The guest's volumes as its configuration names them. A guest without local ones has one on shared storage.
    fn volumes(&self, id: GuestId, guest: &Guest) -> Vec<String> {
        let sized = |volume: &str, bytes: u64| format!("{volume},size={}M", bytes >> 20);
        let storages = storages_of(self.world, &guest.node);
        let shared = storages.iter().find(|(_, has)| has.shared).map(|(storage, _)| storage);
        let storage = guest.storage_on.as_ref().map(|(storage, _)| storage).or(shared);
        let on_shared = storage.filter(|_| guest.local_disks.is_empty() || guest.storage_on.is_some());
        let mut volumes: Vec<String> = on_shared
            .map(|storage| sized(&format!("{storage}:vm-{id}-disk-0"), GUEST_DISK))
            .into_iter()
            .collect();
        volumes.extend(guest.local_disks.iter().map(|(volume, bytes)| sized(volume, *bytes)));
        volumes
    }
}

fn qemu_config(id: GuestId, guest: &Guest, volumes: Vec<String>) -> Value {
    let seed = digest(&format!("{id}"));
    let mut config = json!({
        "name": guest.name, "memory": (guest.memory >> 20).to_string(), "cores": guest.cpus,
        "cpu": guest.cpu.as_deref().unwrap_or(USUAL_CPU), "ostype": "l26", "scsihw": "virtio-scsi-pci", "boot": "order=scsi0",
        "net0": format!("virtio={},bridge=vmbr0", mac(id, guest.kind).to_uppercase()),
        "smbios1": format!("uuid={}-{}-4000-8000-{}", &seed[..8], &seed[8..12], &seed[12..24]),
        "vmgenid": format!("{}-{}-4000-8000-{}", &seed[24..32], &seed[32..36], &seed[..12]),
        "meta": "creation-qemu=10.1.2,ctime=1760000000",
    });
    for (number, volume) in volumes.into_iter().enumerate() {
        config[format!("scsi{number}")] = json!(volume);
    }
    if let Some(image) = &guest.local_cdrom {
        config["ide2"] = json!(format!("{image},media=cdrom"));
    }
    for device in &guest.devices {
        // `hostpci0`, or a name with words for people behind it.
        let key = device.split_whitespace().next().unwrap_or(device);
        config[key] = json!(if key.starts_with("usb") { "host=0951:1666" } else { "0000:01:00.0" });
    }
    config
}

fn lxc_config(id: GuestId, guest: &Guest, volumes: Vec<String>) -> Value {
    let mut config = json!({
        "hostname": guest.name, "memory": guest.memory >> 20, "cores": guest.cpus, "swap": 0,
        "arch": "amd64", "ostype": "debian", "unprivileged": 1,
        "net0": format!("name=eth0,bridge=vmbr0,hwaddr={}", mac(id, guest.kind).to_uppercase()),
    });
    let mut volumes = volumes.into_iter();
    config["rootfs"] = json!(volumes.next());
    for (number, volume) in volumes.enumerate() {
        config[format!("mp{}", number + 10)] = json!(format!("{volume},mp=/srv/{number}"));
    }
    for device in &guest.devices {
        let key = device.split_whitespace().next().unwrap_or(device);
        config[key] = json!(if key.starts_with("mp") { "/mnt/host,mp=/mnt/host" } else { "/dev/ttyUSB0" });
    }
    config
}

/// `vm:101`, `ct:200`.
pub(super) fn sid(id: GuestId, kind: GuestKind) -> String {
    let prefix = if kind_word(kind) == "lxc" { "ct" } else { "vm" };
    format!("{prefix}:{id}")
}
