//! What a cluster of Proxmox VE 9.2 answers to the four questions of a quiet turn: members, types and spelling as in the
//! recordings of a genuine one, and as there in an order that differs from row to row. Usage and uptimes change with each turn.

use std::fmt::{Display, Write as _};

/// One cluster's size and number. Everything else follows from them.
#[derive(Clone, Copy)]
pub struct Cluster {
    pub number: u32,
    pub nodes: u32,
    pub guests: u32,
}

/// Perl shows the members of an object in an order that is never the same.
const STRIDES: [usize; 5] = [1, 5, 7, 11, 13];

/// One JSON object in the making. Its buffers are used again.
#[derive(Default)]
struct Row {
    members: Vec<String>,
    used: usize,
}

impl Row {
    fn put(&mut self, name: &str, value: impl Display) {
        if self.used == self.members.len() {
            self.members.push(String::new());
        }
        let member = &mut self.members[self.used];
        member.clear();
        write!(member, "\"{name}\":{value}").expect("a String takes everything");
        self.used += 1;
    }

    fn text(&mut self, name: &str, value: impl Display) {
        self.put(name, format_args!("\"{value}\""));
    }

    fn end(&mut self, out: &mut String, mix: u64) {
        let n = self.used;
        let stride = STRIDES[(mix % 5) as usize];
        let stride = if n.is_multiple_of(stride) { 1 } else { stride };
        out.push(if out.ends_with('[') { '{' } else { ',' });
        if out.ends_with(',') {
            out.push('{');
        }
        for i in 0..n {
            if i > 0 {
                out.push(',');
            }
            out.push_str(&self.members[(i * stride + mix as usize) % n]);
        }
        out.push('}');
        self.used = 0;
    }
}

/// SplitMix64: the same numbers everywhere, without a crate.
fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const GIB: u64 = 1 << 30;

impl Cluster {
    pub fn node(&self, at: u32) -> String {
        format!("c{:03}-pve{:03}", self.number, at + 1)
    }

    fn mix(&self, kind: u64, at: u32) -> u64 {
        mixed(u64::from(self.number) << 40 | kind << 32 | u64::from(at))
    }

    fn vmid(at: u32) -> u32 {
        100 + at
    }

    fn managed(&self, at: u32) -> bool {
        self.mix(1, at) % 10 < 3
    }

    /// `GET /cluster/status`, as `local` answers it.
    pub fn status(&self, local: &str) -> String {
        let mut out = String::from("{\"data\":[");
        let mut row = Row::default();
        row.text("type", "cluster");
        row.text("id", "cluster");
        row.text("name", format_args!("c{:03}", self.number));
        row.put("quorate", 1);
        row.put("version", self.nodes);
        row.put("nodes", self.nodes);
        row.end(&mut out, self.mix(2, 0));
        for at in 0..self.nodes {
            let name = self.node(at);
            row.text("type", "node");
            row.text("id", format_args!("node/{name}"));
            row.put("online", 1);
            row.put("nodeid", at + 1);
            row.put("local", u8::from(name == local));
            row.text("level", "");
            row.text("ip", format_args!("10.{}.{}.{}", self.number, at / 250, at % 250 + 1));
            row.text("name", name);
            row.end(&mut out, self.mix(2, at));
        }
        out + "]}"
    }

    /// `GET /cluster/resources`.
    pub fn resources(&self, turn: u64) -> String {
        let rows = self.guests as usize * 460 + self.nodes as usize * 1600;
        let mut out = String::with_capacity(rows);
        out.push_str("{\"data\":[");
        let mut row = Row::default();
        for at in 0..self.guests {
            self.guest(&mut row, at, turn);
            row.end(&mut out, self.mix(3, at) ^ (turn >> 3));
        }
        for at in 0..self.nodes {
            self.node_rows(&mut row, at, turn, &mut out);
        }
        out.push_str("]}");
        out
    }

    fn guest(&self, row: &mut Row, at: u32, turn: u64) {
        let fixed = self.mix(4, at);
        let moving = mixed(fixed ^ turn);
        let container = fixed.is_multiple_of(10);
        let runs = !(fixed >> 8).is_multiple_of(12);
        let kind = if container { "lxc" } else { "qemu" };
        let vmid = Self::vmid(at);
        let memory = (1 + fixed % 8) * GIB;
        let used = if runs { memory / 2 + moving % (memory / 4) } else { 0 };
        let since = if runs { fixed % 9_000_000 + turn * 60 } else { 0 };
        let traffic = |salt: u64| if runs { (fixed ^ salt) % 900_000_000_000 + turn * 7_000_000 } else { 0 };
        row.put("cpu", if runs { (moving % 1_000_000_007) as f64 / 9.123_456_789e9 } else { 0.0 });
        row.text(
            "name",
            format_args!("{}-{}-{}", ROLES[(fixed % 8) as usize], OWNERS[(fixed / 8 % 6) as usize], at),
        );
        row.put("diskread", traffic(1));
        row.put("template", 0);
        row.put("disk", 0);
        row.put("maxdisk", (20 + fixed % 200) * GIB);
        row.text("type", kind);
        row.put("vmid", vmid);
        row.put("maxcpu", 1 + fixed % 8);
        row.put("netout", traffic(2));
        row.put("uptime", since);
        row.put("memhost", used + used / 32);
        row.put("diskwrite", traffic(3));
        row.text("node", self.node(at % self.nodes));
        row.text("id", format_args!("{kind}/{vmid}"));
        row.put("netin", traffic(4));
        row.text("status", if runs { "running" } else { "stopped" });
        row.put("maxmem", memory);
        row.put("mem", used);
        if fixed % 10 < 7 {
            row.text(
                "tags",
                ["prod;web", "db;prod;backup-daily", "dev", "customer-4711;prod;linux"][(fixed % 4) as usize],
            );
        }
        if fixed % 10 < 4 {
            row.text("pool", ["customers", "internal"][(fixed % 2) as usize]);
        }
        if self.managed(at) {
            row.text("hastate", if runs { "started" } else { "stopped" });
        }
        if fixed % 400 == 7 {
            row.text("lock", "backup");
        }
    }

    fn node_rows(&self, row: &mut Row, at: u32, turn: u64, out: &mut String) {
        let name = self.node(at);
        let moving = mixed(self.mix(5, at) ^ turn);
        let order = |n: u64| mixed(moving ^ n);
        row.text("type", "node");
        row.text("id", format_args!("node/{name}"));
        row.text("node", &name);
        row.text("status", "online");
        row.text("hastate", "online");
        row.text("level", "c");
        row.put("maxcpu", 64);
        row.put("cpu", (moving % 1_000_000_007) as f64 / 2.123_456_789e9);
        row.put("maxmem", 512 * GIB);
        row.put("mem", 256 * GIB + moving % (64 * GIB));
        row.put("maxdisk", 94 * GIB);
        row.put("disk", 20 * GIB + moving % GIB);
        row.put("uptime", 4_000_000 + turn * 60);
        row.put("cgroup-mode", 2);
        row.end(out, order(0));
        let storages = [
            ("local", "dir", 0, "iso,rootdir,vztmpl,backup,snippets,images"),
            ("local-lvm", "lvmthin", 0, "images,rootdir"),
            ("ceph-vm", "rbd", 1, "images,rootdir"),
            ("backup", "pbs", 1, "backup"),
        ];
        for (n, (storage, plugin, shared, content)) in (1u64..).zip(storages) {
            row.text("type", "storage");
            row.text("id", format_args!("storage/{name}/{storage}"));
            row.text("node", &name);
            row.text("storage", storage);
            row.text("status", "available");
            row.text("plugintype", plugin);
            row.text("content", content);
            row.put("shared", shared);
            row.put("maxdisk", 940 * GIB);
            row.put("disk", 200 * GIB + order(n) % (9 * GIB));
            row.end(out, order(n));
        }
        row.text("type", "network");
        row.text("id", format_args!("network/{name}/zone/localnetwork"));
        row.text("node", &name);
        row.text("network", "localnetwork");
        row.text("network-type", "zone");
        row.text("status", "ok");
        row.end(out, order(9));
    }

    /// `GET /cluster/ha/status/manager_status`: three guests of ten are HA's.
    pub fn manager(&self, now: i64) -> String {
        let managed = || (0..self.guests).filter(|at| self.managed(*at));
        let comma = |out: &mut String| {
            if !out.ends_with('{') {
                out.push(',');
            }
        };
        let mut out = String::from("{\"data\":{\"lrm_status\":{");
        for node in 0..self.nodes {
            comma(&mut out);
            write!(out, "\"{}\":{{\"state\":\"active\",\"results\":{{", self.node(node)).expect("a String");
            for at in managed().filter(|at| at % self.nodes == node) {
                comma(&mut out);
                let (uid, vmid) = (self.mix(6, at), Self::vmid(at));
                write!(out, "\"{uid:022}\":{{\"sid\":\"vm:{vmid}\",\"exit_code\":0,\"state\":\"started\"}}")
                    .expect("a String");
            }
            write!(out, "}},\"mode\":\"active\",\"timestamp\":{}}}", now - 3).expect("a String");
        }
        out.push_str("},\"manager_status\":{\"node_status\":{");
        for node in 0..self.nodes {
            comma(&mut out);
            write!(out, "\"{}\":\"online\"", self.node(node)).expect("a String");
        }
        write!(
            out,
            "}},\"timestamp\":{},\"master_node\":\"{}\",\"service_status\":{{",
            now - 2,
            self.node(1)
        )
        .expect("a String");
        for at in managed() {
            comma(&mut out);
            let (uid, vmid, node) = (self.mix(6, at), Self::vmid(at), self.node(at % self.nodes));
            write!(
                out,
                "\"vm:{vmid}\":{{\"running\":1,\"uid\":\"{uid:022}\",\"node\":\"{node}\",\"state\":\"started\"}}"
            )
            .expect("a String");
        }
        let local = self.node(0);
        write!(out, "}}}},\"quorum\":{{\"node\":\"{local}\",\"quorate\":\"1\"}}}}}}").expect("a String");
        out
    }

    /// `GET /access/permissions` of the token that the documents recommend.
    pub fn permissions() -> String {
        const PATHS: [&str; 9] =
            ["/", "/sdn", "/pool", "/access/groups", "/access", "/vms", "/nodes", "/storage", "/mapping"];
        const HELD: [&str; 9] = [
            "Sys.Audit",
            "VM.Audit",
            "Datastore.Audit",
            "Pool.Audit",
            "Mapping.Audit",
            "VM.GuestAgent.Audit",
            "VM.Migrate",
            "VM.PowerMgmt",
            "SDN.Audit",
        ];
        let held: Vec<String> = HELD.iter().map(|privilege| format!("\"{privilege}\":1")).collect();
        let paths: Vec<String> =
            PATHS.iter().map(|path| format!("\"{path}\":{{{}}}", held.join(","))).collect();
        format!("{{\"data\":{{{}}}}}", paths.join(","))
    }
}

const ROLES: [&str; 8] =
    ["web", "db", "mail", "cache", "app-frontend", "worker", "monitoring", "gitlab-runner"];
const OWNERS: [&str; 6] = ["acme", "prod", "customer4711", "blue", "northwind-traders", "lab"];
