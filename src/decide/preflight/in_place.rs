//! "May these disks be taken out while the node works on?" Only what applies is asked: nothing of guests, HA or room,
//! because nothing leaves. But nobody else may be at work on the machine, and no data may depend on these disks alone.

use std::collections::{BTreeMap, BTreeSet};

use super::redundancy::{last, on_one_host};
use super::{Found, Question, budgets};
use crate::decide::in_place::find;
use crate::decide::view::View;
use crate::model::case::{Case, InPlace};
use crate::model::ids::OsdId;
use crate::model::observed::Maintained;
use crate::model::plan::Plan;
use crate::model::seen::Blind;
use crate::model::verdict::{CheckName, Verdict};
use crate::model::wait::{Source, Wait};
use crate::model::wait_text::{count, list};

/// Codes that a failing disk raises by itself. That one of the disks is bad is why we are here.
const OF_A_BAD_DISK: [&str; 3] = ["DEVICE_HEALTH", "DEVICE_HEALTH_IN_USE", "BLUESTORE_SPURIOUS_READ_ERRORS"];

/// Answers every question that applies, and gives the plan that goes with the answer: noout, and nothing else.
pub fn judge(case: &Case, view: &View) -> (Verdict, Result<(Plan, InPlace), Wait>) {
    let unplanned = Wait::CannotSee { source: Source::Guest, why: Blind::NotAsked };
    let q = Question { node: &case.node, case: Some(case), view, planned: Err(unplanned) };
    let disks = find(case, view);
    let osds = disks.as_ref().map(|found| &found.osds).map_err(Wait::clone);
    let checks = vec![
        q.answer(CheckName::Disks, &view.seen.ceph, carried(&disks)),
        q.answer(CheckName::Quorum, &view.seen.pve.first, member(&q)),
        budgets::check(&q),
        super::alarms::check(&q),
        q.answer(CheckName::Locks, &view.seen.pve.first, nobody_else(&q)),
        q.answer(CheckName::CephHealth, &view.seen.ceph, health(&q, &osds)),
        super::ceph_flags::check(&q),
        match view.seen.may_stop.get(&case.node) {
            Some(seen) => q.answer(CheckName::OkToStop, seen, may_stop(&q, &osds)),
            None => q.answer(CheckName::OkToStop, &view.seen.ceph, may_stop(&q, &osds)),
        },
        q.answer(CheckName::Redundancy, &view.seen.ceph, copies(&q, &osds)),
        super::window::check(&q, view.policy(case)),
    ];
    let verdict = Verdict { node: case.node.clone(), at: view.now, checks, cards: Vec::new() };
    let plan = disks.and_then(|disks| Ok((plan(case, &disks, &verdict, view)?, disks)));
    (verdict, plan)
}

fn plan(case: &Case, disks: &InPlace, verdict: &Verdict, view: &View) -> Result<Plan, Wait> {
    Ok(Plan {
        node: case.node.clone(),
        maintenance: false,
        noout: view.host(&case.node)?.cloned(),
        moves: Vec::new(),
        ha: BTreeMap::new(),
        stops: BTreeMap::new(),
        stays: BTreeMap::new(),
        in_place: disks.osds.clone(),
        canary: None,
        warnings: verdict.warnings().cloned().collect(),
        forecast: None,
    })
}

fn carried(disks: &Result<InPlace, Wait>) -> Result<Found, Wait> {
    match disks {
        Ok(disks) => Ok(Found::new(format!("{} on {}", osds(&disks.osds), list(&disks.disks)))),
        Err(blind @ Wait::CannotSee { .. }) => Err(blind.clone()),
        Err(wait) => {
            let mut found = Found::new(wait.to_string());
            found.block(wait.clone());
            Ok(found)
        }
    }
}

fn member(q: &Question) -> Result<Found, Wait> {
    let cluster = q.view.cluster()?;
    let mut found = Found::new(format!("{} has quorum; {} works on", cluster.member, q.node));
    match cluster.nodes.get(q.node) {
        None => found.block(Wait::NotAMember { node: q.node.clone() }),
        Some(row) if !row.online => found.block(Wait::NodeOffline { node: q.node.clone() }),
        Some(_) => {}
    }
    Ok(found)
}

/// Whoever else has marked the machine is at work on it.
fn nobody_else(q: &Question) -> Result<Found, Wait> {
    let mut found = Found::new("nobody else has marked the machine");
    let ours = q.case.is_some_and(|case| case.owed.maintenance.is_some());
    if q.view.ha()?.maintenance_requested(q.node) && !ours {
        found.block(Wait::ForeignMaintenance { node: q.node.clone() });
    }
    if q.view.node(q.node)?.maintained != Maintained::No {
        found.block(Wait::ForeignMaintenance { node: q.node.clone() });
    }
    if let Some(host) = q.view.host(q.node)? {
        let ours = q.case.is_some_and(|case| case.owed.noout.is_some());
        if q.view.ceph()?.has_noout(host) && !ours {
            found.block(Wait::ForeignNoout { host: host.clone() });
        }
    }
    Ok(found)
}

/// Everything clean, everybody else up. The disks' own OSDs may be down already if Ceph has healed without them.
fn health(q: &Question, ours: &Result<&BTreeSet<OsdId>, Wait>) -> Result<Found, Wait> {
    let ceph = q.view.ceph()?;
    let ours = ours.clone()?;
    let mut found = Found::new(format!(
        "{} of {} monitors, {} health codes",
        ceph.quorum.len(),
        ceph.monitors.len(),
        ceph.checks.len()
    ));
    let down: Vec<OsdId> =
        ceph.osds.iter().filter(|(_, osd)| !(osd.up && osd.r#in)).map(|(id, _)| *id).collect();
    let others: Vec<OsdId> = down.iter().filter(|id| !ours.contains(id)).copied().collect();
    for (code, health) in &ceph.checks {
        let expected = code == "OSD_DOWN" && others.is_empty() || OF_A_BAD_DISK.contains(&code.as_str());
        if !expected && !q.view.rules.limits.ceph_benign.contains(code) {
            found.block(Wait::CephHealth { code: code.clone(), summary: health.told() });
        }
    }
    let unclean = ceph.unclean_pgs();
    if !unclean.is_empty() {
        found.block(Wait::PgsUnclean {
            states: list(unclean.iter().map(|(state, n)| format!("{n} {state}"))),
        });
    }
    if !others.is_empty() {
        found.block(Wait::OsdsDown { osds: others });
    }
    Ok(found)
}

fn may_stop(q: &Question, ours: &Result<&BTreeSet<OsdId>, Wait>) -> Result<Found, Wait> {
    let ours = ours.clone()?;
    let answer = q.view.may_stop(q.node, ours)?;
    let mut found = Found::new(format!("{} together, {} placement groups", osds(ours), answer.ok_pgs));
    if !answer.ok {
        found.block(Wait::DisksNeeded { osds: ours.iter().copied().collect(), bad_pgs: answer.bad_pgs });
    }
    // "Yes" about OSDs that hold nothing is right only for those that are down.
    let ceph = q.view.ceph()?;
    let up = ours.iter().any(|id| ceph.osds.get(id).is_some_and(|osd| osd.up && osd.r#in));
    if answer.ok && answer.ok_pgs == 0 && up && !ceph.pools.is_empty() {
        let host = q.view.host(q.node)?.cloned();
        found.block(Wait::EmptyAnswer { host: host.ok_or(Wait::HostUnknown { node: q.node.clone() })? });
    }
    Ok(found)
}

fn copies(q: &Question, ours: &Result<&BTreeSet<OsdId>, Wait>) -> Result<Found, Wait> {
    let ceph = q.view.ceph()?;
    let holding = ours.clone()?.iter().filter(|id| ceph.osds.get(id).is_some_and(|osd| osd.up && osd.r#in));
    let osds = u32::try_from(holding.count()).unwrap_or(u32::MAX);
    let mut found = Found::new(count(ceph.pools.len(), "pool"));
    for pool in &ceph.pools {
        let have = pool.size.saturating_sub(on_one_host(pool, osds));
        if have < pool.min_size {
            found.block(Wait::TooFewCopies { pool: pool.name.clone(), have, need: pool.min_size });
        } else if osds > 0 && (have <= last(pool) || have == pool.min_size) {
            found.warn(Wait::NoSpareCopy { pool: pool.name.clone(), have });
        }
    }
    Ok(found)
}

fn osds(ids: &BTreeSet<OsdId>) -> String {
    list(ids.iter().map(|id| format!("OSD {id}")))
}
