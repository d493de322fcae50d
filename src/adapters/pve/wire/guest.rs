//! One guest: its row in a node's list, its state of this moment, its configuration.

use serde::Deserialize;

use super::{Flag, Int, Stat, Table, Text};

/// A row of `/nodes/N/qemu` or `/nodes/N/lxc`.
#[derive(Debug, Clone, Deserialize)]
pub struct GuestRow {
    pub vmid: Int,
    pub name: Option<Text>,
    pub status: Option<Text>,
    pub qmpstatus: Option<Text>,
    pub lock: Option<Text>,
    pub template: Option<Flag>,
    pub cpus: Option<Stat>,
    pub maxmem: Option<Stat>,
    pub mem: Option<Stat>,
    /// Seconds.
    pub uptime: Option<Int>,
    pub tags: Option<Text>,
}

/// `/nodes/N/{qemu,lxc}/ID/status/current`: asked of the node itself, so it does not lag.
#[derive(Debug, Clone, Deserialize)]
pub struct GuestCurrent {
    /// `running` or `stopped`; a paused guest is running.
    pub status: Text,
    /// QEMU: `running`, `paused`, `postmigrate`, `inmigrate`, `prelaunch`, …
    pub qmpstatus: Option<Text>,
    pub lock: Option<Text>,
    pub pid: Option<Int>,
    pub ha: Option<HaOfGuest>,
    pub name: Option<Text>,
    pub template: Option<Flag>,
    pub uptime: Option<Int>,
    pub cpus: Option<Stat>,
    pub maxmem: Option<Stat>,
    #[serde(rename = "running-machine")]
    pub running_machine: Option<Text>,
    #[serde(rename = "running-qemu")]
    pub running_qemu: Option<Text>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct HaOfGuest {
    pub managed: Option<Flag>,
    pub state: Option<Text>,
}

impl GuestCurrent {
    pub fn ha_managed(&self) -> Option<bool> {
        self.ha.as_ref()?.managed.map(|flag| flag.0)
    }
}

/// `/nodes/N/{qemu,lxc}/ID/config`: every key as Proxmox writes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct GuestConfig(pub Table<ConfigValue>);

/// Most values are scalars; containers may carry a list of raw lines.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum ConfigValue {
    One(Text),
    Other(serde_json::Value),
}

impl GuestConfig {
    /// The value of a scalar key.
    pub fn get(&self, key: &str) -> Option<&str> {
        match self.0.get(key)? {
            ConfigValue::One(text) => Some(text),
            ConfigValue::Other(_) => None,
        }
    }

    pub fn is_set(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value == "1")
    }

    /// Numbered keys of one family, `hostpci0`, `hostpci1`, …, with their values.
    pub fn numbered<'a>(&'a self, family: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.keys().filter_map(move |key| {
            let number = key.strip_prefix(family)?;
            let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            is_number.then_some(key.as_str()).zip(self.get(key))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_keys_are_found_and_others_of_the_same_beginning_are_not() {
        let json = r#"{"scsi0":"a","scsihw":"b","scsi10":"c","onboot":1,"lxc":[["k","v"]]}"#;
        let config: GuestConfig = serde_json::from_str(json).expect("valid");
        assert_eq!(config.numbered("scsi").collect::<Vec<_>>(), [("scsi0", "a"), ("scsi10", "c")]);
        assert!(config.is_set("onboot") && !config.is_set("template"));
        assert_eq!(config.get("lxc"), None);
    }
}
