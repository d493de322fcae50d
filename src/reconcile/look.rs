//! One look at everything, all sources at once, a deadline each. A source that fails is a blind spot, not an error.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;

use crate::model::case::Case;
use crate::model::fault::FaultKey;
use crate::model::ids::{HostName, NodeName, OsdId};
use crate::model::observed::{CephView, Observed, OkToStop, PveView, Wish};
use crate::model::rules::{CephSetup, HandSetup, Rules};
use crate::model::seen::{Seen, Trouble};
use crate::model::state::State;
use crate::model::time::{Period, Time, age};
use crate::model::wait::Source;

use super::{Memory, World, alarms, machines, places, silences, survey};

/// No source may take longer: a fact has to be fresh when the slowest one is in, and `check` answers within 15 s.
pub(super) const SOURCE_MAX: Duration = Duration::from_secs(11);
/// A longer gap between two looks is no watching.
const UNWATCHED_MAX: Duration = Duration::from_secs(120);
/// A clock that is kept in step is moved by less.
const JUMP_SECS_MIN: u64 = 10;
/// Episodes are read back at least so far, and as far as the longest window of any policy.
const EPISODES_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Looks. `before`: what the loop saw last, empty in a new process.
///
/// # Errors
/// Our own store cannot be read; nothing else is an error.
pub async fn look(
    world: &World,
    rules: &Rules,
    memory: &Memory,
    wish: &Wish,
    state: &State,
    before: &Observed,
) -> Result<Observed, Trouble> {
    let (jumped, nothing) = (jumped(world, before), Observed::nothing(world.clock.now()));
    let clock_off = before.clock_off.saturating_add(jumped.unwrap_or(0));
    // What was kept from before the jump cannot be told to be old.
    let before = if jumped.is_some() { &nothing } else { before };
    let window = rules.policies.iter().map(|policy| policy.confirm.within.0).max().unwrap_or_default();
    let since = ago(world.clock.now(), window.max(EPISODES_KEPT));
    let (told, silences, pve, ceph, hand, sensors, work_orders, inventory, bmc, surveys, places, kill_file) = tokio::join!(
        alarms::told(world, rules, memory, before, since),
        silences::silences(world, rules, wish, before),
        pve(world, wish),
        ceph(world, rules, wish, state),
        hand(world, rules, wish),
        sensors(world, rules, wish, state),
        work_orders(world, wish),
        machines::inventories(world, wish, state, before, SOURCE_MAX),
        machines::views(world, wish, state, |case| locates(rules, case), SOURCE_MAX),
        survey::surveys(world, wish, before, SOURCE_MAX),
        places::look(world, rules),
        kill_file(world),
    );
    let (alarms, episodes) = told?;
    let Stops { ceph, ok_to_stop, may_stop } = ceph;
    let at = world.clock.now();
    let mut observed = Observed {
        at,
        episodes,
        alarms,
        silences,
        pve,
        ceph,
        ok_to_stop,
        may_stop,
        hand,
        sensors,
        work_orders,
        inventory,
        bmc,
        surveys,
        places,
        kill_file,
        backup_fails: None,
        watching_since: watching_since(before, at),
        blind_since: None,
        ran: Period(world.clock.ran()),
        jumped,
        clock_off,
    };
    let mut read = observed.pve.nodes.values().filter_map(|seen| seen.any_age());
    if read.any(|detail| detail.clock_ahead.unsigned_abs() < JUMP_SECS_MIN) {
        observed.clock_off = 0;
    }
    if observed.blind().is_some() {
        observed.blind_since = before.blind_since.or(Some(at));
    }
    count(world, &observed);
    Ok(observed)
}

/// Its LED is lit, or is to be.
fn locates(rules: &Rules, case: &Case) -> bool {
    !case.owed.locate.is_empty() || rules.policy(&case.policy).is_some_and(|policy| policy.respond.locate)
}

/// By how much our own clock was set since the look before. Everything that is counted from one instant to another is
/// counted by it, and a step of some seconds changes none of that.
fn jumped(world: &World, before: &Observed) -> Option<i64> {
    if before.at == Time::MIN {
        return None;
    }
    let passed = i64::try_from(world.clock.ran().saturating_sub(before.ran.0).as_secs()).unwrap_or(i64::MAX);
    let told = world.clock.now().as_second().saturating_sub(before.at.as_second());
    let jumped = told.saturating_sub(passed);
    (jumped.unsigned_abs() >= JUMP_SECS_MIN).then_some(jumped)
}

/// A process that was dead saw nothing, nor did one that hung.
fn watching_since(before: &Observed, now: Time) -> Time {
    if age(now, before.at) <= UNWATCHED_MAX { before.watching_since } else { now }
}

async fn pve(world: &World, wish: &Wish) -> PveView {
    match tokio::time::timeout(SOURCE_MAX, world.pve.look(&wish.nodes, &wish.guests, &wish.avoid)).await {
        Ok(view) => view,
        Err(_) => PveView { first: too_slow("Proxmox"), ha: too_slow("Proxmox"), ..PveView::default() },
    }
}

/// Ceph, and what may stop.
struct Stops {
    ceph: Seen<CephView>,
    ok_to_stop: BTreeMap<HostName, Seen<OkToStop>>,
    may_stop: BTreeMap<NodeName, Seen<OkToStop>>,
}

async fn ceph(world: &World, rules: &Rules, wish: &Wish, state: &State) -> Stops {
    let (Some(ceph), CephSetup::Hyperconverged) = (&world.ceph, rules.ceph) else {
        let why =
            "no Ceph client is configured; write ceph: with its client, or ceph: {setup: none}".to_owned();
        let ceph = Trouble::NotConfigured(why).into();
        return Stops { ceph, ok_to_stop: BTreeMap::new(), may_stop: BTreeMap::new() };
    };
    let deadline = tokio::time::Instant::now() + SOURCE_MAX;
    let view = match tokio::time::timeout_at(deadline, ceph.look()).await {
        Ok(view) => view,
        Err(_) => too_slow("Ceph"),
    };
    let mut ok_to_stop = BTreeMap::new();
    let mut may_stop = BTreeMap::new();
    if let Some(seen) = view.any_age() {
        for (node, host) in wish.nodes.iter().filter_map(|node| Some((node, seen.hosts.get(node)?))) {
            let mut osds = taken_by_others(state, node, seen);
            let asked = async {
                if osds.is_empty() {
                    return ceph.ok_to_stop(host, seen).await;
                }
                osds.extend(seen.osds_of(host).map(|(id, _)| *id));
                ceph.may_stop(&osds, seen).await
            };
            // A manager's command: without a manager it hangs, and what the monitors said is worth keeping.
            let answer = match tokio::time::timeout_at(deadline, asked).await {
                Ok(answer) => answer,
                Err(_) => too_slow("Ceph's manager"),
            };
            ok_to_stop.insert(host.clone(), answer);
        }
        for (node, osds) in &wish.osds {
            let osds = osds.union(&taken_by_others(state, node, seen)).copied().collect();
            let answer = match tokio::time::timeout_at(deadline, ceph.may_stop(&osds, seen)).await {
                Ok(answer) => answer,
                Err(_) => too_slow("Ceph's manager"),
            };
            may_stop.insert(node.clone(), answer);
        }
    }
    Stops { ceph: view, ok_to_stop, may_stop }
}

/// OSDs that other cases of ours handed over, or are about to: up still, they may be down a moment after we were told yes.
fn taken_by_others(state: &State, node: &NodeName, seen: &CephView) -> BTreeSet<OsdId> {
    let others = state.cases.iter().filter(|case| &case.node != node && case.holds_the_node());
    let taken = others.flat_map(|case| match (&case.in_place, seen.hosts.get(&case.node)) {
        (Some(parts), _) => parts.osds.iter().copied().filter(|id| seen.osds.contains_key(id)).collect(),
        (None, Some(host)) => seen.osds_of(host).map(|(id, _)| *id).collect::<Vec<OsdId>>(),
        (None, None) => Vec::new(),
    });
    taken.collect()
}

async fn hand(world: &World, rules: &Rules, wish: &Wish) -> Seen<crate::model::observed::HandView> {
    match (&world.hand, rules.hand) {
        (Some(_), HandSetup::Installed) if wish.nodes.is_empty() => Seen::NotAsked,
        (Some(hand), HandSetup::Installed) => {
            match tokio::time::timeout(SOURCE_MAX, hand.show(&wish.avoid)).await {
                Ok(seen) => seen,
                Err(_) => too_slow("the root helper"),
            }
        }
        _ => Trouble::NotConfigured("no root helper is configured".to_owned()).into(),
    }
}

async fn sensors(
    world: &World,
    rules: &Rules,
    wish: &Wish,
    state: &State,
) -> BTreeMap<FaultKey, Seen<crate::model::observed::Reading>> {
    let Some(sensors) = &world.sensors else {
        // Not a blind spot: there is nobody there to see.
        let none = || Trouble::NoTrace("no Prometheus is configured".to_owned()).into();
        return wish.faults.iter().map(|fault| (fault.clone(), none())).collect();
    };
    // Each fault is asked about by the policy of its own class, whatever else its case is about.
    let query = |fault: &FaultKey| {
        let case = state.cases.iter().find(|case| case.node == fault.node)?;
        rules.policy_of(&case.policy, &fault.class)?.sensor.as_ref()
    };
    let reads = wish.faults.iter().filter_map(|fault| query(fault).map(|query| (fault, query)));
    let answers = reads.map(|(fault, query)| async move {
        let seen = match tokio::time::timeout(SOURCE_MAX, sensors.read(fault, query)).await {
            Ok(seen) => seen,
            Err(_) => too_slow("the sensor"),
        };
        (fault.clone(), seen)
    });
    join_all(answers).await.into_iter().collect()
}

async fn work_orders(
    world: &World,
    wish: &Wish,
) -> BTreeMap<crate::model::ids::CaseId, Seen<crate::model::observed::WorkOrderView>> {
    let answers = wish.work_orders.iter().map(|case| async move {
        let seen = match tokio::time::timeout(SOURCE_MAX, world.tickets.look(*case)).await {
            Ok(seen) => seen,
            Err(_) => too_slow("the ticket system"),
        };
        (*case, seen)
    });
    join_all(answers).await.into_iter().collect()
}

/// If it cannot be told whether the file is there, it is: the kill switch fails towards stopping.
pub(super) async fn kill_file(world: &World) -> bool {
    for path in &world.kill_files {
        if tokio::fs::try_exists(path).await.unwrap_or(true) {
            return true;
        }
    }
    false
}

pub(super) fn too_slow<T>(who: &str) -> Seen<T> {
    Trouble::TooSlow(format!("{who} did not answer within {} s", SOURCE_MAX.as_secs())).into()
}

fn ago(now: Time, span: Duration) -> Time {
    jiff::SignedDuration::try_from(span)
        .ok()
        .and_then(|span| now.saturating_sub(span).ok())
        .unwrap_or(Time::MIN)
}

fn count(world: &World, observed: &Observed) {
    let looks: [(Source, Option<Result<(), &Trouble>>); 5] = [
        (Source::Cluster, outcome(&observed.pve.first)),
        (Source::Ha, outcome(&observed.pve.ha)),
        (Source::Ceph, outcome(&observed.ceph)),
        (Source::Hand, outcome(&observed.hand)),
        (Source::Alarms, outcome(&observed.alarms)),
    ];
    for (source, seen) in looks {
        if let Some(seen) = seen {
            world.meter.look(source, seen);
        }
    }
}

fn outcome<T>(seen: &Seen<T>) -> Option<Result<(), &Trouble>> {
    match seen {
        Seen::Known { .. } => Some(Ok(())),
        Seen::Unknown { why } => Some(Err(why)),
        Seen::NotAsked => None,
    }
}
