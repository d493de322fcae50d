//! One node: its machine, its clock, its services, its power.

use serde_json::{Value, json};

use super::cluster::REPOSITORY;
use crate::sim::http::answer::Answer;
use crate::sim::http::call::{Call, Said};
use crate::sim::world::{Actor, Refusal};

/// Service → what it is, as Proxmox describes it.
const DESCRIPTIONS: [(&str, &str); 8] = [
    ("corosync", "Corosync Cluster Engine"),
    ("pve-cluster", "The Proxmox VE cluster filesystem"),
    ("pvestatd", "PVE Status Daemon"),
    ("pveproxy", "PVE API Proxy Server"),
    ("pvedaemon", "PVE API Daemon"),
    ("pve-ha-lrm", "PVE Local HA Resource Manager Daemon"),
    ("pve-ha-crm", "PVE Cluster HA Resource Manager Daemon"),
    ("chrony", "chrony, an NTP client/server"),
];

impl Call<'_> {
    fn node(&self) -> Result<&crate::sim::world::Node, Refusal> {
        let missing = || Refusal::died(format!("no such cluster node '{}'", self.at));
        self.world.nodes.get(self.at).ok_or_else(missing)
    }

    pub fn node_status(&self) -> Said {
        let node = self.node()?;
        let used = self.memory_used(self.at).min(node.memory);
        let free = node.memory - used;
        let load = self.load(self.at, node);
        let average = format!("{:.2}", load * f64::from(node.cores));
        Ok(Answer::data(json!({
            "uptime": node.uptime(self.world.now),
            "pveversion": format!("pve-manager/{}/{REPOSITORY}", node.version),
            "kversion": "Linux 6.17.2-1-pve #1 SMP PREEMPT_DYNAMIC",
            "current-kernel": {
                "sysname": "Linux", "release": "6.17.2-1-pve", "machine": "x86_64",
                "version": "#1 SMP PREEMPT_DYNAMIC",
            },
            "boot-info": { "mode": "legacy-bios" },
            "cpu": load, "idle": 0, "wait": 0,
            "loadavg": [average, average, average],
            "memory": { "total": node.memory, "used": used, "free": free, "available": free },
            "swap": { "total": 0, "used": 0, "free": 0 },
            "ksm": { "shared": 0 },
            "rootfs": { "total": 256_u64 << 30, "used": 32_u64 << 30, "free": 224_u64 << 30, "avail": 224_u64 << 30 },
            "cpuinfo": {
                "cpus": node.cores, "cores": node.cores, "sockets": 1, "user_hz": 100, "hvm": "1",
                "family": "25", "mhz": "2600.000", "vendor": "AuthenticAMD", "model": node.machine.model,
                "flags": node.machine.flags.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
            },
        })))
    }

    /// Null at once; the machine is off some seconds later, and there is no task to follow.
    pub fn node_power(&mut self) -> Said {
        match self.params.text("command").as_deref() {
            Some("shutdown") => {
                self.world.node_shutdown(Actor::Pitlane, self.via, self.at)?;
                Ok(Answer::data(Value::Null))
            }
            // A reboot would need somebody to switch the machine on again in the world; nothing of ours asks for it.
            _ => Err(Refusal::died("reboot is not simulated; shut down and boot")),
        }
    }

    pub fn node_time(&self) -> Said {
        let time = self.world.now.as_second() + self.node()?.clock_ahead;
        Ok(Answer::data(json!({ "time": time, "localtime": time, "timezone": "Etc/UTC" })))
    }

    pub fn node_services(&self) -> Said {
        let rows = self.node()?.services.iter().map(|(service, runs)| {
            let known = DESCRIPTIONS.iter().find(|(name, _)| name == service);
            json!({
                "service": service, "name": service,
                "desc": known.map_or(service.as_str(), |(_, text)| text),
                "state": if *runs { "running" } else { "dead" },
                "active-state": if *runs { "active" } else { "inactive" },
                "unit-state": "enabled",
            })
        });
        Ok(Answer::data(rows.collect::<Vec<_>>()))
    }
}
