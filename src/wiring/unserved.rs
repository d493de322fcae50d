//! Clusters of a fleet that are not served, since their state cannot be used: they say so to whoever asks, their numbers are those
//! of a loop that never turns, and people are woken. The other clusters go on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::{Json, Router};
use pitlane::adapters::store;
use pitlane::cli::Stop;
use pitlane::config::{Config, Service, state_of};
use pitlane::model::ids::ClusterName;
use pitlane::model::rules::Mode;
use pitlane::model::shared::Place;
use pitlane::model::shown::Shown;
use pitlane::ports::Fleet;
use pitlane::reconcile::courier::Courier;
use pitlane::reconcile::last_word;
use pitlane::telemetry::Metrics;
use pitlane::web::Member;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::running::OfAll;
use super::{SystemClock, failed, notify};

/// What of it can be reached.
///
/// # Errors
/// Its numbers cannot be registered.
pub fn member(name: &ClusterName, mode: Mode, why: &str) -> Result<Member, Stop> {
    let said = serde_json::json!({ "error": format!("cluster {name} is not served: {why}") });
    let surface =
        Router::new().fallback(move || async move { (StatusCode::SERVICE_UNAVAILABLE, Json(said)) });
    let shown = Shown { failing: Some(why.to_owned()), ..Shown::nothing() };
    let (_, shown) = watch::channel(Arc::new(shown));
    let metrics = Metrics::of(Some(name.as_str())).map_err(|e| failed("metrics", e))?;
    Ok(Member { mode, surface, shown, registry: metrics.registry() })
}

/// Wakes those whom the cluster's own file names. One that no file names has nobody.
///
/// # Errors
/// A matter of configuration.
pub fn wake(service: &Service, of_all: &OfAll, stop: &CancellationToken) -> Result<(), Stop> {
    for (name, why) in of_all.broken.iter() {
        let Ok(config) = service.cluster(Some(name)) else { continue };
        if config.rules.mode == Mode::Observe {
            continue;
        }
        let name = ClusterName(name.clone());
        let channels = notify::channels(config, Some(&name))?;
        let metrics = of_all.metrics.clone();
        let heard = Arc::new(move |_: &_, sent: &Result<_, _>| metrics.notice(sent));
        let clock = Arc::new(SystemClock);
        let courier = Courier::new(of_all.refused.outbox.clone(), channels, clock.clone(), heard);
        let (why, to, stop) = (why.clone(), config.rules.notify.page.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = last_word::not_served(&name, &why, to, &courier, &*clock) => {}
            }
        });
    }
    Ok(())
}

/// States of clusters that no file names, most likely because it was renamed: what they hold would be forgotten without a word.
pub fn left_behind(state: &Path, clusters: &[Config]) -> BTreeMap<String, String> {
    let Ok(dirs) = std::fs::read_dir(state_of(state, "")) else { return BTreeMap::new() };
    let mut left = BTreeMap::new();
    for dir in dirs.filter_map(|dir| Some(dir.ok()?.path())) {
        let Some(name) = dir.file_name().and_then(|name| name.to_str()) else { continue };
        let named = clusters.iter().any(|config| config.cluster.as_deref() == Some(name));
        if named || store::nothing_left(&dir).is_ok() {
            continue;
        }
        let why = format!(
            "its state lies in {} and no file names it; put {name}.yaml back, or move the directory away if nothing is held \
             there (pitlane owed --offline)",
            dir.display()
        );
        tracing::error!("cluster {name} is not served: {why}");
        left.insert(name.to_owned(), why);
    }
    left
}

/// A cluster that left holds places in shared budgets, if a node of it was out: nobody else would ever give them back. Where the
/// files of other instances may be newer than ours, and name it, this is only told.
pub async fn gone(service: &Service, of_all: &OfAll, places: &dyn Fleet, ours_alone: bool) {
    let here = |place: &Place| {
        let name = place.cluster.as_str();
        of_all.broken.contains_key(name) || service.cluster(Some(name)).is_ok()
    };
    let held = match places.places().await {
        Ok(held) => held.into_iter().filter(|place| !here(place)),
        Err(trouble) => return tracing::warn!("the places in shared budgets cannot be read: {trouble}"),
    };
    for place in held {
        let Place { budget, cluster, node, .. } = &place;
        let holds = format!("cluster {cluster}, which no file names, holds a place in {budget} for {node}");
        if !ours_alone {
            tracing::warn!("{holds}; if it is gone for good, docs/FLEET.md says how to free it");
            continue;
        }
        match places.release(&place).await {
            Ok(()) => tracing::info!("{holds}; it is given back"),
            Err(trouble) => tracing::warn!("{holds}; it cannot be given back: {trouble}"),
        }
    }
}
