//! What the machines say of themselves: parts, locate LEDs, power.
//!
//! A list of parts is slow to get (a BMC takes seconds for each page), so it is asked for once a minute at most, and
//! the last answer is shown again in between, with the time at which it was true.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;

use crate::model::case::{Case, Phase};
use crate::model::ids::NodeName;
use crate::model::observed::{BmcView, Inventories, Inventory, Observed, Wish};
use crate::model::request::Ask;
use crate::model::seen::{Seen, Trouble};
use crate::model::state::State;
use crate::model::time::{Time, age};

use super::World;

/// A BMC that is asked more often has no time left for its fans.
pub const INVENTORY_APART: Duration = Duration::from_secs(60);

/// The parts of the wished nodes, from both sources.
pub(super) async fn inventories(
    world: &World,
    wish: &Wish,
    state: &State,
    before: &Observed,
    limit: Duration,
) -> BTreeMap<NodeName, Inventories> {
    let now = world.clock.now();
    let answers = wish.inventory.iter().map(|node| async move {
        let row = before.pve.first.any_age().and_then(|opinion| opinion.nodes.get(node));
        let since = said_done(state, node);
        let off = row.is_some_and(|row| !row.online);
        // What was read before the work was said to be done says nothing of it; and a node that has just come back was not asked while it was off.
        let known = before.inventory.get(node).filter(|seen| {
            age(now, seen.asked_at) < INVENTORY_APART
                && since.is_none_or(|at| at <= seen.asked_at)
                && (off || seen.proxmox != Seen::NotAsked)
        });
        let seen = match known {
            Some(seen) => seen.clone(),
            None => ask(world, node, &wish.avoid, off, now, limit).await,
        };
        (node.clone(), seen)
    });
    join_all(answers).await.into_iter().collect()
}

/// When the work on a node was said to be done, in this very turn at the latest.
fn said_done(state: &State, node: &NodeName) -> Option<Time> {
    let case = state.cases.iter().find(|case| case.node == *node)?;
    let claimed = match &case.phase {
        Phase::HandedOver { claim: Some(claim), .. } | Phase::Proving { claim, .. } => Some(claim.at),
        _ => None,
    };
    let asked = state
        .requests
        .iter()
        .filter(|request| matches!(&request.ask, Ask::Done { case: id, .. } if *id == case.id));
    asked.map(|request| request.at).chain(claimed).max()
}

async fn ask(
    world: &World,
    node: &NodeName,
    avoid: &BTreeSet<NodeName>,
    off: bool,
    now: Time,
    limit: Duration,
) -> Inventories {
    let bmc = async {
        match &world.bmc {
            None => not_configured(),
            Some(bmc) => in_time("the BMC", limit, bmc.inventory(node)).await,
        }
    };
    let proxmox = async {
        // A question to a node that is off waits for nothing, and everything else with it.
        match off {
            true => Seen::<Inventory>::NotAsked,
            false => in_time("Proxmox", limit, world.pve.inventory(node, avoid)).await,
        }
    };
    let (proxmox, bmc) = tokio::join!(proxmox, bmc);
    Inventories { asked_at: now, proxmox, bmc }
}

/// LEDs and power of the wished nodes.
pub(super) async fn views(
    world: &World,
    wish: &Wish,
    state: &State,
    wanted: impl Fn(&Case) -> bool,
    limit: Duration,
) -> BTreeMap<NodeName, Seen<BmcView>> {
    let Some(bmc) = &world.bmc else { return BTreeMap::new() };
    let asks = |node: &&NodeName| state.cases.iter().any(|case| &case.node == *node && wanted(case));
    let answers = wish
        .bmc
        .iter()
        .filter(asks)
        .map(|node| async move { (node.clone(), in_time("the BMC", limit, bmc.look(node)).await) });
    join_all(answers).await.into_iter().collect()
}

async fn in_time<T>(who: &str, limit: Duration, answer: impl Future<Output = Seen<T>>) -> Seen<T> {
    match tokio::time::timeout(limit, answer).await {
        Ok(seen) => seen,
        Err(_) => Trouble::TooSlow(format!("{who} did not answer within {} s", limit.as_secs())).into(),
    }
}

fn not_configured<T>() -> Seen<T> {
    Trouble::NotConfigured("no BMC is configured; write bmc: {nodes: …}".to_owned()).into()
}
