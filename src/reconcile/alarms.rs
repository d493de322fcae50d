//! The level behind the edges: what Alertmanager lists goes into the store before the store is read, so that a decision
//! sees one truth. It never makes an alert end that only one poll, or only some members, did not list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{info, warn};

use crate::model::alert::{Episode, EpisodeKey, Episodes, Listed};
use crate::model::matcher::Labels;
use crate::model::observed::{AlarmsView, Observed};
use crate::model::rules::Rules;
use crate::model::seen::{Seen, Trouble};
use crate::model::time::{Time, age};

use super::look::{SOURCE_MAX, too_slow};
use super::{Memory, World};

/// A list of a hundred thousand alerts costs Alertmanager eight seconds; nobody needs it every ten.
const POLLS_APART: Duration = Duration::from_secs(30);

/// What is listed, and every episode that a decision needs, levelled.
///
/// # Errors
/// Our own store cannot be read or written.
pub async fn told(
    world: &World,
    rules: &Rules,
    memory: &Memory,
    before: &Observed,
    since: Time,
) -> Result<(Seen<AlarmsView>, Episodes), Trouble> {
    let polled = poll(world, before).await;
    let episodes = memory.episodes(world, since).await?;
    let Polled::Now { view, at } = polled else {
        return Ok((polled.kept(), episodes));
    };
    // What no policy wants is none of our business, and its absence is no news.
    let wanted = |labels: &Labels| rules.policies.iter().any(|policy| policy.wants(labels));
    let firing: BTreeSet<EpisodeKey> =
        episodes.iter().filter(|e| e.fires() && wanted(&e.labels)).map(Episode::key).collect();
    let window = rules.policies.iter().map(|policy| policy.confirm.within.0).max().unwrap_or_default();
    let mut view = view.following(before.alarms.any_age(), &firing, at, window);
    view.listed.retain(|listed| wanted(&listed.episode.labels));
    let gone = view.gone();
    let news = news(&view.listed, &episodes);
    // Whoever only looks writes nothing: the instance that decides hears of it by its own poll.
    if gone.is_empty() && news.is_empty() || world.tenure.fence().is_none() {
        return Ok((Seen::known(view, at), episodes));
    }
    let told = world.store.level(news, gone, at).await?;
    info!(
        fire = told.new,
        ended = told.resolved,
        "Alertmanager lists {} alerts that nobody delivered, and no longer lists {}",
        told.new,
        told.resolved
    );
    Ok((Seen::known(view, at), memory.episodes(world, since).await?))
}

/// Listed, and not known to fire.
fn news(listed: &[Listed], episodes: &[Episode]) -> Vec<Listed> {
    let known: BTreeMap<EpisodeKey, &Episode> = episodes.iter().map(|e| (e.key(), e)).collect();
    let new = |listed: &&Listed| {
        known.get(&listed.episode.key()).is_none_or(|episode| !episode.fires() && episode.rises(listed))
    };
    listed.iter().filter(new).cloned().collect()
}

enum Polled {
    Now { view: AlarmsView, at: Time },
    Kept(Seen<AlarmsView>),
}

impl Polled {
    fn kept(self) -> Seen<AlarmsView> {
        match self {
            Self::Kept(seen) => seen,
            Self::Now { view, at } => Seen::known(view, at),
        }
    }
}

async fn poll(world: &World, before: &Observed) -> Polled {
    let Some(alarms) = &world.alarms else {
        let why = "no Alertmanager is configured to be asked; write alertmanager: {urls: …}".to_owned();
        return Polled::Kept(Trouble::NotConfigured(why).into());
    };
    let missed = world.alerts_missed.swap(false, Ordering::SeqCst);
    let young = before.alarms.at().is_some_and(|at| age(world.clock.now(), at) < POLLS_APART);
    if young && !missed {
        return Polled::Kept(before.alarms.clone());
    }
    match tokio::time::timeout(SOURCE_MAX, alarms.poll()).await.unwrap_or_else(|_| too_slow("Alertmanager")) {
        Seen::Known { value, at } => {
            tell(&value, before);
            Polled::Now { view: value, at }
        }
        unseen => {
            if missed {
                // Nobody saw them yet: the next turn asks again.
                world.alerts_missed.store(true, Ordering::SeqCst);
            }
            Polled::Kept(unseen)
        }
    }
}

/// A pair with a dead member ends nothing by itself any more: worth a line when it begins.
fn tell(view: &AlarmsView, before: &Observed) {
    let was = before.alarms.any_age().is_none_or(|before| before.whole);
    if was && !view.whole {
        warn!(
            "not every Alertmanager could be heard ({}): no absent alert counts as over",
            view.silent.join("; ")
        );
    } else if !was && view.whole {
        info!("every Alertmanager answers again");
    }
}
