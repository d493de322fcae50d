//! Ceph's own JSON, as its monitors write it: for the fake client of a shell, and for what Proxmox passes on.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::model::ids::{HostName, OsdId};
use crate::model::observed::{CephView, Mds, OkToStop, PoolKind};
use crate::sim::world::Ceph;

const FSID: &str = "e5fdfba8-23f0-42c9-b7ef-79169a822bfb";
const RELEASE: &str = "ceph version 18.2.7 (6b0e988052ec84cf2d4a54ff9bbbc5e720b621ad) reef (stable)";
/// Bytes of each OSD.
pub(super) const OSD_SIZE: u64 = 4 << 40;
/// Flags that every map has.
const INTERNAL: [&str; 4] = ["sortbitwise", "recovery_deletes", "purged_snapdirs", "pglog_hardlimit"];

/// `status`. Proxmox puts the details of `health detail` into it, which do no harm elsewhere.
pub(super) fn status(view: &CephView) -> Value {
    let checks: Map<String, Value> = view
        .checks
        .iter()
        .map(|(code, check)| {
            let told = json!({
                "severity": check.severity, "muted": check.muted, "detail": [],
                "summary": { "message": check.summary, "count": 1 },
            });
            (code.clone(), told)
        })
        .collect();
    let pgs: Vec<Value> =
        view.pgs.iter().map(|(state, count)| json!({ "state_name": state, "count": count })).collect();
    let (all, up) = (view.osds.len(), view.osds.values().filter(|osd| osd.up).count());
    let size = OSD_SIZE * all as u64;
    json!({
        "fsid": FSID,
        "health": { "status": level(view), "checks": checks, "mutes": mutes(view) },
        "election_epoch": 8, "quorum_age": 3600,
        "quorum": ranks(view), "quorum_names": view.quorum,
        "monmap": monmap(view),
        "osdmap": {
            "epoch": 100, "num_osds": all, "num_up_osds": up, "osd_up_since": 1_795_300_000,
            "num_in_osds": view.osds.values().filter(|osd| osd.r#in).count(),
            "osd_in_since": 1_795_300_000, "num_remapped_pgs": 0,
        },
        "pgmap": {
            "pgs_by_state": pgs, "num_pgs": view.pgs.values().sum::<u64>(), "num_pools": view.pools.len(),
            "num_objects": 100_000, "data_bytes": size / 12, "bytes_used": size / 4,
            "bytes_avail": size / 4 * 3, "bytes_total": size,
        },
        "fsmap": {
            "epoch": 1, "by_rank": view.mds.iter().filter(|mds| mds.serves.is_some()).enumerate().map(by_rank).collect::<Vec<_>>(),
            "up:standby": view.mds.iter().filter(|mds| mds.serves.is_none()).count(),
        },
        "mgrmap": mgr_dump(view),
        "servicemap": { "epoch": 1, "modified": "2026-01-01T00:00:00.000000+0000", "services": {} },
        "progress_events": {},
    })
}

fn by_rank((rank, mds): (usize, &Mds)) -> Value {
    json!({ "filesystem_id": 1, "rank": rank, "name": mds.name, "status": "up:active", "gid": 4200 + rank })
}

/// `fs dump`: every metadata server by name.
pub(super) fn fs_dump(view: &CephView) -> Value {
    let standby = |mds: &Mds| json!({ "gid": 4300, "name": mds.name, "rank": -1, "state": "up:standby" });
    let mut served: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for (n, mds) in view.mds.iter().enumerate() {
        if let Some(fs) = &mds.serves {
            let info = json!({ "gid": 4200 + n, "name": mds.name, "rank": 0, "state": "up:active" });
            served.entry(fs).or_default().insert(format!("gid_{}", 4200 + n), info);
        }
    }
    let filesystem =
        |(fs, info): (&str, Map<String, Value>)| json!({ "mdsmap": { "fs_name": fs, "info": info } });
    json!({
        "epoch": 1, "filesystems": served.into_iter().map(filesystem).collect::<Vec<_>>(),
        "standbys": view.mds.iter().filter(|mds| mds.serves.is_none()).map(standby).collect::<Vec<_>>(),
    })
}

fn level(view: &CephView) -> &'static str {
    let open = || view.checks.values().filter(|check| !check.muted);
    match open().next() {
        None => "HEALTH_OK",
        Some(_) if open().any(|check| check.severity == "HEALTH_ERR") => "HEALTH_ERR",
        Some(_) => "HEALTH_WARN",
    }
}

fn mutes(view: &CephView) -> Vec<Value> {
    let muted = view.checks.iter().filter(|(_, check)| check.muted);
    muted.map(|(code, _)| json!({ "code": code, "sticky": true, "summary": "", "count": 0 })).collect()
}

fn ranks(view: &CephView) -> Vec<usize> {
    let numbered = view.monitors.iter().enumerate();
    numbered.filter(|(_, mon)| view.quorum.contains(*mon)).map(|(rank, _)| rank).collect()
}

fn monmap(view: &CephView) -> Value {
    let mon = |(rank, name): (usize, &String)| {
        let host = format!("192.0.2.{}", rank + 11);
        json!({
            "rank": rank, "name": name, "addr": format!("{host}:6789/0"), "public_addr": format!("{host}:6789/0"),
            "public_addrs": { "addrvec": [
                { "type": "v2", "addr": format!("{host}:3300"), "nonce": 0 },
                { "type": "v1", "addr": format!("{host}:6789"), "nonce": 0 },
            ] },
            "priority": 0, "weight": 0, "crush_location": "{}",
        })
    };
    json!({
        "epoch": 1, "fsid": FSID, "created": "2026-01-01T00:00:00.000000Z", "modified": "2026-01-01T00:00:00.000000Z",
        "min_mon_release": 18, "min_mon_release_name": "reef", "election_strategy": 1, "stretch_mode": false,
        "tiebreaker_mon": "", "disallowed_leaders: ": "", "removed_ranks: ": "",
        "features": { "persistent": ["kraken"], "optional": [] },
        "mons": view.monitors.iter().enumerate().map(mon).collect::<Vec<_>>(), "quorum": ranks(view),
    })
}

pub(super) fn quorum_status(view: &CephView) -> Value {
    json!({
        "election_epoch": 8, "quorum_age": 3600, "quorum": ranks(view), "quorum_names": view.quorum,
        "quorum_leader_name": view.quorum.first().cloned().unwrap_or_default(), "monmap": monmap(view),
    })
}

pub(super) fn mgr_dump(view: &CephView) -> Value {
    let standby =
        |name: &String| json!({ "gid": 4130, "name": name, "mgr_features": 0, "available_modules": [] });
    json!({
        "epoch": 4, "available": view.active_mgr.is_some(), "active_gid": 4113,
        "active_name": view.active_mgr.clone().unwrap_or_default(), "active_addr": "192.0.2.11:6801/1",
        "active_addrs": { "addrvec": [] }, "active_change": "2026-01-01T00:00:00.000000+0000",
        "active_mgr_features": 0, "active_clients": [], "always_on_modules": {}, "available_modules": [],
        "flags": 0, "last_failure_osd_epoch": 0, "modules": ["iostat", "restful"], "services": {},
        "standbys": view.standby_mgrs.iter().map(standby).collect::<Vec<_>>(),
    })
}

/// Buckets count downwards from -1, which is the root.
fn buckets(view: &CephView) -> BTreeMap<&HostName, i64> {
    let hosts: std::collections::BTreeSet<&HostName> =
        view.osds.values().map(|osd| &osd.host).chain(view.hosts.values()).collect();
    hosts.into_iter().zip((2..).map(|n: i64| -n)).collect()
}

/// `osd tree`: flat, with numbers for children.
pub(super) fn osd_tree(view: &CephView) -> Value {
    let buckets = buckets(view);
    let root = json!({
        "id": -1, "name": "default", "type": "root", "type_id": 11, "children": buckets.values().collect::<Vec<_>>(),
    });
    let mut nodes = vec![root];
    for (host, id) in &buckets {
        let children: Vec<&OsdId> = view.osds_of(host).map(|(id, _)| id).collect();
        nodes.push(json!({
            "id": id, "name": host, "type": "host", "type_id": 1, "pool_weights": {}, "children": children,
        }));
        nodes.extend(view.osds_of(host).map(|(id, osd)| {
            json!({
                "id": id, "name": format!("osd.{id}"), "type": "osd", "type_id": 0, "device_class": "ssd",
                "crush_weight": 4.0, "depth": 2, "pool_weights": {}, "exists": 1,
                "status": if osd.up { "up" } else { "down" },
                "reweight": u8::from(osd.r#in), "primary_affinity": 1,
            })
        }));
    }
    json!({ "nodes": nodes, "stray": [] })
}

/// Proxmox's `ceph/osd`: nested, ids as text, with the use of each disk.
pub(super) fn pve_tree(view: &CephView, ceph: &Ceph) -> Value {
    let pgs_of = |id: &OsdId| {
        let places = ceph.pools.iter().flat_map(|placed| &placed.pgs);
        places.filter(|pg| pg.acting.contains(id)).count()
    };
    let hosts = buckets(view).into_iter().map(|(host, bucket)| {
        let osds = view.osds_of(host).map(|(id, osd)| {
            json!({
                "id": id.to_string(), "name": format!("osd.{id}"), "type": "osd", "host": host, "leaf": 1,
                "status": if osd.up { "up" } else { "down" }, "in": u8::from(osd.r#in),
                "reweight": u8::from(osd.r#in), "crush_weight": 4.0, "device_class": "ssd",
                "osdtype": "bluestore", "blfsdev": null, "dbdev": null, "waldev": null,
                "ceph_version": RELEASE, "ceph_version_short": "18.2.7", "pgs": pgs_of(id),
                "apply_latency_ms": 1, "commit_latency_ms": 1, "percent_used": 25.0,
                "bytes_used": OSD_SIZE / 4, "total_space": OSD_SIZE,
            })
        });
        json!({
            "id": bucket.to_string(), "name": host, "type": "host", "leaf": 0, "reweight": -1, "pgs": 0,
            "version": "18.2.7", "children": osds.collect::<Vec<_>>(),
        })
    });
    let root = json!({
        "id": "-1", "name": "default", "type": "root", "leaf": 0, "reweight": -1, "pgs": 0,
        "children": hosts.collect::<Vec<_>>(),
    });
    json!({ "flags": flags(view).join(","), "root": { "leaf": 0, "children": [root] } })
}

fn flags(view: &CephView) -> Vec<&str> {
    view.flags.iter().map(String::as_str).chain(INTERNAL).collect()
}

/// One CRUSH rule for each kind of pool.
fn rule_of(view: &CephView, pool: usize) -> usize {
    let like =
        |at: usize| (&view.pools[at].failure_domain, matches!(view.pools[at].kind, PoolKind::Replicated));
    (0..=pool).find(|at| like(*at) == like(pool)).unwrap_or(pool)
}

pub(super) fn crush_rules(view: &CephView) -> Value {
    let rules = (0..view.pools.len()).filter(|at| rule_of(view, *at) == *at).map(|at| {
        let pool = &view.pools[at];
        let op = match pool.kind {
            PoolKind::Replicated => "chooseleaf_firstn",
            PoolKind::Erasure { .. } => "chooseleaf_indep",
        };
        json!({
            "rule_id": at, "rule_name": format!("rule_{at}"), "type": 1,
            "steps": [
                { "op": "take", "item": -1, "item_name": "default" },
                { "op": op, "num": 0, "type": pool.failure_domain },
                { "op": "emit" },
            ],
        })
    });
    rules.collect()
}

pub(super) fn osd_dump(view: &CephView) -> Value {
    let pools = view.pools.iter().enumerate().map(|(at, pool)| {
        let (kind, profile) = match pool.kind {
            PoolKind::Replicated => (1, String::new()),
            PoolKind::Erasure { .. } => (3, format!("profile_{}", pool.name)),
        };
        json!({
            "pool": at + 1, "pool_name": pool.name, "type": kind, "size": pool.size, "min_size": pool.min_size,
            "crush_rule": rule_of(view, at), "erasure_code_profile": profile, "pg_num": 32,
        })
    });
    let profiles = view.pools.iter().filter_map(|pool| match pool.kind {
        PoolKind::Replicated => None,
        PoolKind::Erasure { data } => {
            let shards = json!({ "k": data.to_string(), "m": pool.size.saturating_sub(data).to_string() });
            Some((format!("profile_{}", pool.name), shards))
        }
    });
    let osds = view.osds.iter().map(|(id, osd)| {
        let mut state = vec!["exists"];
        state.extend(osd.up.then_some("up"));
        json!({ "osd": id, "up": u8::from(osd.up), "in": u8::from(osd.r#in), "up_from": 5, "state": state })
    });
    json!({
        "epoch": 100, "fsid": FSID, "flags": flags(view).join(","), "flags_set": flags(view), "crush_version": 3,
        "pools": pools.collect::<Vec<_>>(), "osds": osds.collect::<Vec<_>>(),
        "erasure_code_profiles": profiles.collect::<Map<String, Value>>(),
        "crush_node_flags": view.host_flags, "device_class_flags": {},
    })
}

/// Which OSD runs on which machine: what the map of hosts to members comes from.
pub(super) fn osd_metadata(view: &CephView) -> Value {
    let machine = |host: &HostName| {
        let found = view.hosts.iter().find(|(_, bucket)| *bucket == host);
        found.map_or_else(|| host.to_string(), |(node, _)| node.to_string())
    };
    view.osds.iter().map(|(id, osd)| json!({ "id": id, "hostname": machine(&osd.host), "ceph_version_short": osd.version })).collect()
}

pub(super) fn ok_to_stop(answer: &OkToStop) -> Value {
    json!({
        "ok_to_stop": answer.ok, "osds": answer.asked, "num_ok_pgs": answer.ok_pgs,
        "num_not_ok_pgs": answer.bad_pgs,
    })
}
