//! What in a guest's configuration ties it to its machine. Pure.
//!
//! Proxmox's own preconditions are not enough: 8.x has none for containers, a locked guest has none at all, and none of them
//! look at bind mounts. A storage that our token cannot see counts as local: moving is then refused rather than tried.

use std::collections::{BTreeMap, BTreeSet};

use super::wire::GuestConfig;
use crate::model::observed::{GuestKind, Storage};

/// The ties of one guest.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Bindings {
    pub devices: BTreeSet<String>,
    /// Volume → bytes.
    pub local_disks: BTreeMap<String, u64>,
    pub local_cdrom: Option<String>,
    /// Storages under its disks, local and shared.
    pub storages: BTreeSet<String>,
    /// The processor that it is configured to see.
    pub cpu: Option<String>,
    pub macs: BTreeSet<String>,
}

pub fn of(kind: GuestKind, config: &GuestConfig, storages: &BTreeMap<String, Storage>) -> Bindings {
    let mut bound = Bindings::default();
    match kind {
        GuestKind::Qemu => qemu(&mut bound, config, storages),
        GuestKind::Lxc => lxc(&mut bound, config, storages),
    }
    let cards = config.numbered("net").flat_map(|(_, value)| value.split(','));
    bound.macs = cards
        .filter_map(|part| part.split('=').nth(1))
        .filter(|text| is_mac(text))
        .map(str::to_ascii_lowercase)
        .collect();
    bound
}

fn qemu(bound: &mut Bindings, config: &GuestConfig, storages: &BTreeMap<String, Storage>) {
    for family in ["hostpci", "usb", "serial", "parallel", "virtiofs"] {
        let tied = config.numbered(family).filter(|(_, value)| !harmless(family, value));
        bound.devices.extend(tied.map(|(key, _)| key.to_owned()));
    }
    // `host,flags=+aes` or `cputype=host`.
    let model = config
        .get("cpu")
        .and_then(|value| value.split(',').find(|part| !part.contains('=') || part.starts_with("cputype=")));
    bound.cpu = model.map(|part| part.trim_start_matches("cputype=").to_owned());
    if config.get("ivshmem").is_some() {
        bound.devices.insert("ivshmem".to_owned());
    }
    for family in ["ide", "sata", "scsi", "virtio", "efidisk", "tpmstate"] {
        for (key, value) in config.numbered(family) {
            let drive = Drive::read(value);
            if drive.is_cdrom() {
                bound.cdrom(&drive, storages);
            } else {
                bound.disk(key, &drive, storages);
            }
        }
    }
}

/// A serial port on a socket and a USB port of the remote console are QEMU's own.
fn harmless(family: &str, value: &str) -> bool {
    match family {
        "serial" => value == "socket",
        "usb" => value.split(',').any(|part| part == "spice" || part == "host=spice"),
        _ => false,
    }
}

fn lxc(bound: &mut Bindings, config: &GuestConfig, storages: &BTreeMap<String, Storage>) {
    let rootfs = config.get("rootfs").map(|value| ("rootfs", value));
    for (key, value) in rootfs.into_iter().chain(config.numbered("mp")) {
        bound.disk(key, &Drive::read(value), storages);
    }
    bound.devices.extend(config.numbered("dev").map(|(key, _)| key.to_owned()));
}

impl Bindings {
    fn disk(&mut self, key: &str, drive: &Drive<'_>, storages: &BTreeMap<String, Storage>) {
        self.storages.extend(drive.storage().map(str::to_owned));
        match drive.storage() {
            Some(storage) if is_local(storage, storages) => {
                self.local_disks.insert(drive.volume.to_owned(), drive.size());
            }
            Some(_) => {}
            // A path of the machine: a bind mount, or a device handed through.
            None if drive.volume.starts_with('/') && !drive.option_is("shared", "1") => {
                self.devices.insert(key.to_owned());
            }
            None => {}
        }
    }

    fn cdrom(&mut self, drive: &Drive<'_>, storages: &BTreeMap<String, Storage>) {
        // A cloud-init drive is made anew at the target.
        let made_anew = drive.volume.contains("cloudinit");
        let local = match drive.storage() {
            Some(storage) => is_local(storage, storages) && !made_anew,
            None => drive.volume != "none",
        };
        if local {
            self.local_cdrom = Some(drive.volume.to_owned());
        }
    }
}

/// `virtio=BC:24:11:00:00:01` and `hwaddr=…` carry one; `bridge=vmbr0` does not.
fn is_mac(text: &str) -> bool {
    text.len() == 17
        && text.split(':').count() == 6
        && text.split(':').all(|two| u8::from_str_radix(two, 16).is_ok())
}

fn is_local(storage: &str, storages: &BTreeMap<String, Storage>) -> bool {
    !storages.get(storage).is_some_and(|storage| storage.shared)
}

/// `local-lvm:vm-103-disk-0,size=32G`
struct Drive<'a> {
    volume: &'a str,
    options: Vec<(&'a str, &'a str)>,
}

impl<'a> Drive<'a> {
    fn read(value: &'a str) -> Drive<'a> {
        let mut parts = value.split(',');
        let first = parts.next().unwrap_or_default();
        let volume = first.strip_prefix("file=").or(first.strip_prefix("volume=")).unwrap_or(first);
        Drive { volume, options: parts.filter_map(|part| part.split_once('=')).collect() }
    }

    fn option_is(&self, name: &str, value: &str) -> bool {
        self.options.iter().any(|(n, v)| *n == name && *v == value)
    }

    fn is_cdrom(&self) -> bool {
        self.volume == "cdrom" || self.option_is("media", "cdrom")
    }

    fn storage(&self) -> Option<&'a str> {
        self.volume.split_once(':').filter(|_| !self.volume.starts_with('/')).map(|(storage, _)| storage)
    }

    /// `size=32G` in bytes; 0 where the configuration does not say.
    fn size(&self) -> u64 {
        let Some((_, text)) = self.options.iter().find(|(name, _)| *name == "size") else { return 0 };
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let power = match text.as_bytes()[digits.len()..].first().map(u8::to_ascii_uppercase) {
            None => 0,
            Some(b'K') => 1,
            Some(b'M') => 2,
            Some(b'G') => 3,
            Some(b'T') => 4,
            Some(_) => return 0,
        };
        let size = digits.parse::<f64>().unwrap_or(0.0) * 1024f64.powi(power);
        size.max(0.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> GuestConfig {
        serde_json::from_str(json).expect("a configuration")
    }

    fn storages() -> BTreeMap<String, Storage> {
        let storage = |shared| Storage { shared, free: None };
        [("ceph".to_owned(), storage(true)), ("local".to_owned(), storage(false))].into()
    }

    #[test]
    fn a_guest_on_shared_storage_without_devices_is_free() {
        let json = r#"{"scsi0":"ceph:vm-1-disk-0,size=32G","ide2":"none,media=cdrom","serial0":"socket","usb0":"spice",
            "net0":"virtio=BC:24:11:00:00:01,bridge=vmbr0","cpu":"host,flags=+aes","ide3":"local:vm-1-cloudinit,media=cdrom","memory":"64"}"#;
        let bound = of(GuestKind::Qemu, &config(json), &storages());
        assert!(bound.devices.is_empty() && bound.local_disks.is_empty() && bound.local_cdrom.is_none());
        assert_eq!(bound.storages, ["ceph".to_owned()].into());
        assert_eq!(
            (bound.cpu.as_deref(), bound.macs),
            (Some("host"), ["bc:24:11:00:00:01".to_owned()].into())
        );
    }

    #[test]
    fn disks_discs_and_devices_of_the_machine_are_found() {
        let json = r#"{"scsi0":"local:1/vm-1-disk-0.qcow2,size=1536M","efidisk0":"local:1/efi.raw,size=528K",
            "ide2":"local:iso/debian.iso,media=cdrom,size=1G","hostpci0":"0000:01:00","usb1":"host=1-2","virtio1":"/dev/sdb"}"#;
        let bound = of(GuestKind::Qemu, &config(json), &storages());
        let disks =
            [("local:1/efi.raw".to_owned(), 528 << 10), ("local:1/vm-1-disk-0.qcow2".to_owned(), 1536 << 20)];
        assert_eq!(bound.local_disks, disks.into());
        assert_eq!(bound.local_cdrom.as_deref(), Some("local:iso/debian.iso"));
        assert_eq!(bound.devices.into_iter().collect::<Vec<_>>(), ["hostpci0", "usb1", "virtio1"]);
    }

    #[test]
    fn a_container_is_tied_by_bind_mounts_but_not_by_shared_ones() {
        let json = r#"{"rootfs":"ceph:vm-2-disk-0,size=8G","mp0":"/srv/data,mp=/data","mp1":"/mnt/nfs,mp=/n,shared=1","dev0":"/dev/ttyUSB0"}"#;
        let bound = of(GuestKind::Lxc, &config(json), &storages());
        assert_eq!(bound.devices.into_iter().collect::<Vec<_>>(), ["dev0", "mp0"]);
        assert!(bound.local_disks.is_empty());
    }

    #[test]
    fn a_storage_we_cannot_see_counts_as_local() {
        let bound = of(GuestKind::Lxc, &config(r#"{"rootfs":"hidden:vm-2-disk-0,size=8G"}"#), &storages());
        assert_eq!(bound.local_disks, [("hidden:vm-2-disk-0".to_owned(), 8 << 30)].into());
    }
}
