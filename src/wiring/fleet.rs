//! The surface of what runs: of the one cluster, or of a fleet with all of its clusters behind it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use pitlane::adapters::alertmanager::{self, Answer, Directory, Has, Intake, Receiver, Sink, Sorter};
use pitlane::cli::Stop;
use pitlane::config::{Config, Service};
use pitlane::decide;
use pitlane::model::access::Role;
use pitlane::model::ids::ClusterName;
use pitlane::model::matcher::Labels;
use pitlane::model::shown::Shown;
use pitlane::web::{self, Access, Front, Member};
use tokio::sync::Notify;

use super::running::OfAll;
use super::unit::Unit;
use super::{counted, unserved, usage};

/// The router of everything, as this configuration wants it. `hooks`: of the units' ticket systems, in their order.
///
/// # Errors
/// The configuration has not the clusters that run.
pub fn surface(
    service: &Service,
    units: &Arc<Vec<Unit>>,
    hooks: Vec<Router>,
    of_all: Option<&OfAll>,
) -> Result<Router, Stop> {
    let own = |unit: &Unit, hook: Router| -> Result<Router, Stop> {
        let config = service.cluster(unit.name.as_ref().map(ClusterName::as_str)).map_err(usage)?;
        Ok(unit.lasting.surface(config, hook, &unit.seat))
    };
    let Some(of_all) = of_all else {
        let alone = units.iter().zip(hooks).next();
        return alone.map_or_else(|| Ok(Router::new()), |(unit, hook)| own(unit, hook));
    };
    let mut members = std::collections::BTreeMap::new();
    for (unit, hook) in units.iter().zip(hooks) {
        let Some(name) = unit.name.clone() else { continue };
        let member = Member {
            mode: service.cluster(Some(name.as_str())).map_err(usage)?.rules.mode,
            surface: own(unit, hook)?,
            shown: unit.seat.shown(),
            registry: unit.lasting.metrics.registry(),
        };
        members.insert(name, member);
    }
    for (name, why) in of_all.broken.iter() {
        let mode = service.cluster(Some(name)).map(|config| config.rules.mode).unwrap_or_default();
        let name = ClusterName(name.clone());
        members.insert(name.clone(), unserved::member(&name, mode, why)?);
    }
    let config = service.front();
    let any = units.first().map(|unit| &unit.lasting);
    let front = Front {
        members: Arc::new(members),
        archive: of_all.refused.archive.clone(),
        clock: Arc::new(super::SystemClock),
        access: Arc::new(Access::new(config.http.tokens.clone(), config.http.tls.is_some())),
        pace: any.map(|lasting| lasting.pace.clone()).unwrap_or_default(),
        configuration: any.and_then(|lasting| lasting.configuration.clone()),
        registry: of_all.metrics.registry(),
    };
    Ok(web::front(front, alerts(service, config, units, of_all)))
}

/// The receiver of alerts of all clusters: each goes to the one that it means. For tokens that are good for all of them.
fn alerts(service: &Service, config: &Config, units: &Arc<Vec<Unit>>, of_all: &OfAll) -> Router {
    let shelf = units.first().map(|unit| unit.lasting.shelf.clone()).unwrap_or_default();
    shelf.put(directory(service, config, units, of_all));
    let sinks = units.iter().filter_map(|unit| {
        let (inbox, bell) = (unit.lasting.stored.inbox.clone(), unit.lasting.bell.clone());
        Some((unit.name.clone()?, Sink { inbox, bell }))
    });
    let clock: Arc<dyn pitlane::ports::Clock> = Arc::new(super::SystemClock);
    let sorter = Sorter {
        clusters: sinks.collect(),
        shelf,
        refused: of_all.refused.inbox.clone(),
        clock: clock.clone(),
    };
    let of_alerts = config.http.tokens.iter().filter(|t| t.role == Role::Alerts && t.clusters.is_none());
    let tokens = alertmanager::Tokens::of_hashes(of_alerts.map(|token| token.sha256));
    let (metrics, all) = (of_all.metrics.clone(), units.clone());
    let heard = Arc::new(move |answer: &Answer| {
        counted(&metrics, answer);
        if matches!(answer, Answer::Cut { .. }) {
            // Nobody can say whose alerts were left out.
            for unit in all.iter() {
                unit.lasting.alerts_missed.store(true, Ordering::SeqCst);
                unit.lasting.bell.notify_one();
            }
        }
    });
    // The sorter rings whom it means.
    let nobody = Arc::new(Notify::new());
    let intake = Arc::new(Intake::new(alertmanager::Limits::default(), Arc::default()));
    alertmanager::router(Receiver { store: Arc::new(sorter), clock, bell: nobody, intake, tokens, heard })
}

/// Whose alerts are whose. What a cluster that is not served has, nobody knows.
fn directory(service: &Service, config: &Config, units: &[Unit], of_all: &OfAll) -> Directory {
    let served = units.iter().filter_map(|unit| {
        let name = unit.name.clone()?;
        let rules = service.cluster(Some(name.as_str())).ok()?.rules.clone();
        let shown = unit.seat.shown();
        let of_it: Has = Arc::new(move |labels: &Labels| has(labels, &shown.borrow(), &rules));
        Some((name, of_it))
    });
    let nobody_knows = |name: &String| (ClusterName(name.clone()), Arc::new(|_: &Labels| None) as Has);
    // One that no file names is meant by nobody.
    let named = of_all.broken.keys().filter(|name| service.cluster(Some(name)).is_ok());
    Directory {
        clusters: served.chain(named.map(nobody_knows)).collect(),
        labels: config.cluster_labels.clone(),
    }
}

/// Does this cluster have the node that the labels name? `None`: its members were not seen since the start.
fn has(labels: &Labels, shown: &Shown, rules: &pitlane::model::rules::Rules) -> Option<bool> {
    let members = shown.observed.pve.first.any_age()?;
    let cluster = decide::Cluster { members, ceph: shown.observed.ceph.any_age() };
    Some(decide::explain_alert(labels, rules, cluster).1.is_ok())
}
