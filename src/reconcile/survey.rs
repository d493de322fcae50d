//! Backups, replication and processors of the nodes that are judged.
//!
//! Listing backups is slow and grows with their number, so it is asked for every few minutes at most. What could not be
//! read is tried again sooner, but not each turn: a backup server in trouble is not helped by more of us.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;

use crate::model::ids::NodeName;
use crate::model::observed::{Observed, Survey, Wish};
use crate::model::seen::{Seen, Trouble};
use crate::model::time::age;

use super::World;

/// A backup that ended a moment ago is seen after this time.
const KEPT: Duration = Duration::from_secs(300);
/// The same where something could not be read.
const KEPT_BLIND: Duration = Duration::from_secs(60);

pub(super) async fn surveys(
    world: &World,
    wish: &Wish,
    before: &Observed,
    limit: Duration,
) -> BTreeMap<NodeName, Survey> {
    let now = world.clock.now();
    let answers = wish.surveys.iter().map(|node| async move {
        let kept = before
            .surveys
            .get(node)
            .filter(|survey| age(now, survey.asked_at) < if complete(survey) { KEPT } else { KEPT_BLIND });
        let survey = match kept {
            Some(survey) => survey.clone(),
            None => match tokio::time::timeout(limit, world.pve.survey(node, &wish.avoid)).await {
                Ok(survey) => survey,
                Err(_) => blind(now, limit),
            },
        };
        (node.clone(), survey)
    });
    join_all(answers).await.into_iter().collect()
}

fn complete(survey: &Survey) -> bool {
    let known = |store: &crate::model::observed::Store| !matches!(store.backups, Seen::Unknown { .. });
    survey.replicas.any_age().is_some()
        && survey.stores.any_age().is_some_and(|stores| stores.values().all(known))
        && survey.machines.values().all(|machine| machine.any_age().is_some())
}

fn blind(at: crate::model::time::Time, limit: Duration) -> Survey {
    let why = Trouble::TooSlow(format!("Proxmox did not answer within {} s", limit.as_secs()));
    Survey { asked_at: at, replicas: why.clone().into(), stores: why.into(), machines: BTreeMap::new() }
}
