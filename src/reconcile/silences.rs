//! What Alertmanager shows of our silences: asked for where they may be set, or are owed, and as seldom as what fires.

use std::time::Duration;

use crate::model::observed::{Observed, Wish};
use crate::model::rules::Rules;
use crate::model::seen::{Seen, Trouble};
use crate::model::silence::SilencesView;
use crate::model::time::age;

use super::World;
use super::look::{SOURCE_MAX, too_slow};

/// A list of silences is small, and nobody needs it every ten seconds.
const LOOKS_APART: Duration = Duration::from_secs(30);

pub(super) async fn silences(
    world: &World,
    rules: &Rules,
    wish: &Wish,
    before: &Observed,
) -> Seen<SilencesView> {
    if rules.silences.is_none() && wish.silences.is_none() {
        return Seen::NotAsked;
    }
    let Some(alarms) = &world.alarms else {
        let why = "no Alertmanager is configured to be asked; write alertmanager: {urls: …}".to_owned();
        return Trouble::NotConfigured(why).into();
    };
    let young = before.silences.at().is_some_and(|at| {
        age(world.clock.now(), at) < LOOKS_APART && wish.silences.is_none_or(|asked| at > asked)
    });
    if young {
        return before.silences.clone();
    }
    tokio::time::timeout(SOURCE_MAX, alarms.silences()).await.unwrap_or_else(|_| too_slow("Alertmanager"))
}
