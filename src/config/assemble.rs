//! A file as it was read becomes what the service is told: defaults filled in, paths made the file's own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::bounds::{BudgetsFile, LimitsFile, PackingFile};
use super::file::{self, ConfigFile, TlsFile};
use super::settings::{Config, Http, ProxmoxSettings, Secret};
use super::{asked, formats, kept, own, silences};
use crate::model::access::KnownToken;
use crate::model::rules::{
    AlarmsSetup, Attempts, Budgets, HandSetup, Limits, Packing, Policy, RecoveryLimits, Required, Rules,
};

/// What other files said.
pub(super) struct Beside {
    pub policies: Vec<Policy>,
    pub token: Option<Secret>,
    pub asked: asked::AskedOf,
    pub tokens: Vec<KnownToken>,
    pub tokens_file: Option<PathBuf>,
}

pub(super) fn assemble(file: ConfigFile, base: &Path, beside: Beside) -> Config {
    let Beside { policies, token, asked, tokens, tokens_file } = beside;
    let (silences, backup) = (silences::of(&file), kept::of(&file, base));
    let keep = file.store.keep.clone();
    let rules = Rules {
        mode: file.mode,
        policies,
        mapping: file.mapping.into(),
        ceph: file.ceph.setup,
        hand: if file.hand.is_some() { HandSetup::Installed } else { HandSetup::Absent },
        own: own::home(file.own.as_ref()),
        silences,
        alarms: if file.alertmanager.is_some() { AlarmsSetup::Polled } else { AlarmsSetup::Delivered },
        budgets: budgets(file.budgets),
        limits: limits(file.limits),
        packing: packing(file.packing),
        notify: file.notify.into(),
        shared: None,
    };
    let proxmox = file.proxmox.zip(token).map(|(proxmox, token)| ProxmoxSettings {
        endpoints: proxmox.endpoints,
        token,
        token_file: proxmox.token_file.map(|f| base.join(f)),
        ca_file: proxmox.ca_file.map(|f| base.join(f)),
        fingerprints: proxmox
            .fingerprints
            .into_iter()
            .map(|(node, all)| (node, all.iter().filter_map(|f| formats::sha256(&f.0).ok()).collect()))
            .collect(),
    });
    let hand = file.hand.map(|hand| file::HandFile {
        key: base.join(hand.key),
        known_hosts: base.join(hand.known_hosts),
        ..hand
    });
    let ceph = file::CephFile {
        client: file.ceph.client.map(|c| file::CephClient { keyring: base.join(c.keyring), ..c }),
        ..file.ceph
    };
    Config {
        cluster: file.name,
        rules,
        state: base.join(file.state),
        database: None,
        kill_files: vec![base.join(file.kill_file)],
        cluster_labels: file.cluster_labels,
        backup,
        keep,
        log: file.log,
        proxmox,
        hand,
        ceph,
        prometheus: asked.prometheus,
        alertmanager: asked.alertmanager,
        tickets: None,
        bmc: Default::default(),
        self_unsaid: None,
        http: Http {
            // Checked by its format already; the default of the schema is what stays.
            listen: file.http.listen.parse().unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 9690))),
            tls: file.http.tls.map(|t| TlsFile {
                cert: base.join(t.cert),
                key: base.join(t.key),
                client_ca: t.client_ca.map(|f| base.join(f)),
                alert_clients: t.alert_clients,
                clients: t.clients,
            }),
            tokens,
            tokens_file,
        },
        channels: BTreeMap::new(),
        calendars: Vec::new(),
    }
}

fn budgets(b: BudgetsFile) -> Budgets {
    let usual = Budgets::default();
    Budgets {
        nodes_out_max: b.nodes_out_max.unwrap_or(usual.nodes_out_max),
        drains_per_day_max: b.drains_per_day_max.unwrap_or(usual.drains_per_day_max),
        nodes_alarming_max: b.nodes_alarming_max.unwrap_or(usual.nodes_alarming_max),
        domains: b.domains,
        attempts_per_node: match b.attempts_per_node {
            Some(a) => Some(Attempts { max: a.max, within: a.within }),
            None => usual.attempts_per_node,
        },
    }
}

fn limits(l: LimitsFile) -> Limits {
    let usual = Limits::default();
    Limits {
        fresh_for: l.fresh_for.unwrap_or(usual.fresh_for),
        empty_apart: l.empty_apart.unwrap_or(usual.empty_apart),
        clean_for: l.clean_for.unwrap_or(usual.clean_for),
        migration_max: l.migration_max.unwrap_or(usual.migration_max),
        ha_stuck_after: l.ha_stuck_after.unwrap_or(usual.ha_stuck_after),
        ha_return_within: l.ha_return_within.unwrap_or(usual.ha_return_within),
        step_for: l.step_for.unwrap_or(usual.step_for),
        proof_patience: l.proof_patience.unwrap_or(usual.proof_patience),
        migration_tries_max: l.migration_tries_max.unwrap_or(usual.migration_tries_max),
        turn_busy: l.turn_busy.unwrap_or(usual.turn_busy),
        turn_quiet: l.turn_quiet.unwrap_or(usual.turn_quiet),
        ceph_benign: l.ceph_benign.map_or(usual.ceph_benign, |codes| codes.into_iter().collect()),
        recovery: RecoveryLimits {
            backup_max_age: l.backup_max_age.unwrap_or(usual.recovery.backup_max_age),
            replication_max_lag: l.replication_max_lag.unwrap_or(usual.recovery.replication_max_lag),
            restore_rate: l.restore_rate.map(|rate| rate.0),
            required: if l.require_backup { Required::Yes } else { Required::No },
        },
    }
}

fn packing(p: PackingFile) -> Packing {
    let usual = Packing::default();
    Packing {
        cpu_overcommit: p.cpu_overcommit.unwrap_or(usual.cpu_overcommit),
        node_reserve: p.node_reserve.map_or(usual.node_reserve, |b| b.0),
        guest_overhead: p.guest_overhead.map_or(usual.guest_overhead, |b| b.0),
        guest_overhead_percent: p.guest_overhead_percent.unwrap_or(usual.guest_overhead_percent),
        slots_out: p.slots_out.unwrap_or(usual.slots_out),
        slots_in: p.slots_in.unwrap_or(usual.slots_in),
        n_plus_one: p.n_plus_one.unwrap_or(usual.n_plus_one),
        nic: p.nic_mbps.map(wire_of),
        nics: p.nics_mbps.into_iter().map(|(node, mbps)| (node, wire_of(mbps))).collect(),
    }
}

/// Bytes per second in so many Mbit/s.
fn wire_of(mbps: u32) -> u64 {
    u64::from(mbps) * 125_000
}
