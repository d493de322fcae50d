//! What pitlane says of itself: log lines to stderr, and numbers for Prometheus.
//!
//! Neither is parsed to make the other, and neither is the journal. Metric labels come from enums; the one free label
//! is `node` of `pitlane_node_maintenance`, so that operators can inhibit their own alerts by it.

mod backups;
mod lines;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::model::case::PhaseName;
use crate::model::seen::Trouble;
use crate::model::shown::{InForce, Shown};
use crate::model::step::{Action, Outcome};
use crate::model::wait::Source;
use crate::ports::{Ingested, Meter};

pub use backups::Backups;
pub use lines::{Lines, start};

/// How a delivery of alerts was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Stored,
    /// Stored, and Alertmanager left alerts out.
    Truncated,
    /// Nothing of it could be read; kept for people.
    Unreadable,
    TooLarge,
    /// Whoever sent it has to send it again: too much at once.
    NotNow,
    /// Whoever sent it has to send it again: our store failed.
    NotStored,
}

/// The numbers. Made once; the loop fills them, `/metrics` shows them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    turns: IntCounter,
    turn_seconds: Histogram,
    last_turn: Gauge,
    leads: IntGauge,
    looks: IntCounterVec,
    steps: IntCounterVec,
    cases: IntGaugeVec,
    waits: IntGaugeVec,
    owed: IntGaugeVec,
    overdue: IntGauge,
    unplaced: IntGaugeVec,
    deliveries: IntCounterVec,
    episodes: IntCounterVec,
    notices: IntCounterVec,
    silent: IntGauge,
    maintenance: IntGaugeVec,
    paused: IntGauge,
    config_good: IntGauge,
    config_read: Gauge,
    config_restart: IntGauge,
}

/// Why a metric cannot be made: two of one name, which is a mistake in this file.
type Made<T> = Result<T, prometheus::Error>;

impl Metrics {
    /// # Errors
    /// Never in a program whose tests pass: names are fixed and differ.
    pub fn new() -> Made<Self> {
        Self::of(None)
    }

    /// Of a fleet's process, beside those of its clusters: it has no loop of its own.
    ///
    /// # Errors
    /// As [`Metrics::new`].
    pub fn of_all() -> Made<Self> {
        let metrics = Self::new()?;
        metrics.registry.unregister(Box::new(metrics.last_turn.clone()))?;
        metrics.registry.unregister(Box::new(metrics.leads.clone()))?;
        Ok(metrics)
    }

    /// Of one cluster of a fleet: each number carries its name.
    ///
    /// # Errors
    /// As [`Metrics::new`].
    pub fn of(cluster: Option<&str>) -> Made<Self> {
        let labels = cluster.map(|name| [("cluster".to_owned(), name.to_owned())].into());
        let registry = Registry::new_custom(None, labels)?;
        let counter = |name: &str, help: &str| -> Made<IntCounter> {
            let metric = IntCounter::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| -> Made<IntCounterVec> {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let gauge = |name: &str, help: &str| -> Made<IntGauge> {
            let metric = IntGauge::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| -> Made<IntGaugeVec> {
            let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let turn_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "pitlane_turn_seconds",
                "How long a turn took, from the look to the last step.",
            )
            .buckets(vec![0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0]),
        )?;
        registry.register(Box::new(turn_seconds.clone()))?;
        let last_turn = Gauge::new(
            "pitlane_last_turn_timestamp_seconds",
            "When the last turn ended, seconds since 1970.",
        )?;
        registry.register(Box::new(last_turn.clone()))?;
        let config_read = Gauge::new(
            "pitlane_config_last_reload_success_timestamp_seconds",
            "Since when the configuration in force counts, seconds since 1970.",
        )?;
        registry.register(Box::new(config_read.clone()))?;
        let metrics = Self {
            turns: counter("pitlane_turns_total", "Turns of the loop.")?,
            turn_seconds,
            last_turn,
            leads: gauge(
                "pitlane_leads",
                "1 while this instance looks after the cluster, 0 while another one does.",
            )?,
            looks: counters(
                "pitlane_looks_total",
                "Looks at each source by outcome.",
                &["source", "outcome"],
            )?,
            steps: counters("pitlane_steps_total", "Steps taken by outcome.", &["action", "outcome"])?,
            cases: gauges("pitlane_cases", "Open cases in each phase.", &["phase"])?,
            waits: gauges("pitlane_waits", "Open cases that wait for this.", &["wait"])?,
            owed: gauges("pitlane_owed", "What is taken from the cluster and not given back.", &["what"])?,
            overdue: gauge("pitlane_owed_overdue", "Flags held for longer than was promised.")?,
            unplaced: gauges("pitlane_unplaced_alerts", "Alerts that lead to no fault.", &["why"])?,
            deliveries: counters(
                "pitlane_deliveries_total",
                "Deliveries of alerts by outcome.",
                &["outcome"],
            )?,
            episodes: counters("pitlane_episodes_total", "Told episodes of alerts.", &["outcome"])?,
            notices: counters(
                "pitlane_notices_total",
                "Tries to deliver a notice by outcome.",
                &["outcome"],
            )?,
            silent: gauge("pitlane_channels_silent", "Channels that notices do not reach.")?,
            maintenance: gauges(
                "pitlane_node_maintenance",
                "1 while pitlane has this node out; inhibit your own alerts by it.",
                &["node"],
            )?,
            paused: gauge("pitlane_paused", "1 while the kill switch is pulled.")?,
            config_good: gauge(
                "pitlane_config_last_reload_successful",
                "0 while the configuration on disk is wrong and the one from before counts.",
            )?,
            config_read,
            config_restart: gauge(
                "pitlane_config_needs_restart",
                "Keys of the configuration on disk that count only after a restart.",
            )?,
            registry,
        };
        for phase in PhaseName::ALL.iter().filter(|phase| **phase != PhaseName::Closed) {
            metrics.cases.with_label_values(&[&phase.to_string()]).set(0);
        }
        Ok(metrics)
    }

    /// All of it in Prometheus' text format.
    pub fn text(&self) -> String {
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }

    /// Whether this instance looks after the cluster.
    pub fn leads(&self, leads: bool) {
        self.leads.set(i64::from(leads));
    }

    /// For those who only show the numbers.
    pub fn registry(&self) -> Registry {
        self.registry.clone()
    }

    fn show(&self, shown: &Shown) {
        let mut phases: BTreeMap<PhaseName, i64> = BTreeMap::new();
        let mut waits: BTreeMap<String, i64> = BTreeMap::new();
        let mut owed = [("maintenance", 0), ("noout", 0), ("guest", 0), ("work_order", 0), ("silence", 0)];
        let mut overdue = 0;
        let mut out = BTreeSet::new();
        for case in &shown.state.cases {
            *phases.entry(case.phase.name()).or_default() += 1;
            if let Some(wait) = &case.wait {
                *waits.entry(wait.name()).or_default() += 1;
            }
            owed[0].1 += i64::from(case.owed.maintenance.is_some());
            owed[1].1 += i64::from(case.owed.noout.is_some());
            owed[2].1 += case.owed.away().count() as i64;
            owed[3].1 += i64::from(case.owed.work_order.is_some());
            owed[4].1 += i64::from(case.owed.silence.as_ref().is_some_and(|silence| !silence.left));
            let held = case.owed.maintenance.iter().chain(case.owed.noout.iter().map(|(_, debt)| debt));
            overdue += held.filter(|debt| debt.alarm_at <= shown.turn_at).count() as i64;
            if case.holds_the_node() {
                out.insert(case.node.as_str());
            }
        }
        for phase in PhaseName::ALL.iter().filter(|phase| **phase != PhaseName::Closed) {
            let count = phases.get(phase).copied().unwrap_or(0);
            self.cases.with_label_values(&[&phase.to_string()]).set(count);
        }
        refill(&self.waits, waits.iter().map(|(wait, n)| (wait.as_str(), *n)));
        refill(&self.owed, owed);
        self.overdue.set(overdue);
        let mut unplaced = [("no_policy", 0), ("no_node", 0), ("conflict", 0), ("unseen", 0)];
        for (kind, count) in &mut unplaced {
            let told = shown.show.unplaced.iter().filter(|alert| alert.why.kind() == *kind).count();
            let more = shown.show.unplaced_more.get(*kind).copied().unwrap_or_default();
            *count = i64::try_from(told + more).unwrap_or(i64::MAX);
        }
        refill(&self.unplaced, unplaced);
        refill(&self.maintenance, out.into_iter().map(|node| (node, 1)));
        self.silent.set(i64::try_from(shown.state.silent.len()).unwrap_or(i64::MAX));
        self.paused.set(i64::from(shown.state.paused.is_some() || shown.observed.kill_file));
    }

    /// One try to deliver a notice.
    pub fn notice(&self, sent: &Result<(), Trouble>) {
        self.notices.with_label_values(&[sent.as_ref().err().map_or("done", Trouble::kind)]).inc();
    }

    /// A delivery of alerts was answered.
    pub fn delivery(&self, outcome: Delivery) {
        let outcome = match outcome {
            Delivery::Stored => "stored",
            Delivery::Truncated => "truncated",
            Delivery::Unreadable => "unreadable",
            Delivery::TooLarge => "too_large",
            Delivery::NotNow => "not_now",
            Delivery::NotStored => "not_stored",
        };
        self.deliveries.with_label_values(&[outcome]).inc();
    }

    /// The configuration was read, at the start or again.
    pub fn configuration(&self, config: &InForce) {
        self.config_good.set(i64::from(config.refused.is_none()));
        self.config_read.set(config.since.as_millisecond() as f64 / 1000.0);
        self.config_restart.set(config.needs_restart.len() as i64);
    }

    /// What a stored delivery changed.
    pub fn ingested(&self, told: &Ingested) {
        for (outcome, n) in [("new", told.new), ("resolved", told.resolved), ("known", told.known)] {
            self.episodes.with_label_values(&[outcome]).inc_by(n as u64);
        }
    }
}

impl Meter for Metrics {
    /// Also sets every gauge from what the turn knew.
    fn turn(&self, took: Duration, shown: &Shown) {
        self.turns.inc();
        self.turn_seconds.observe(took.as_secs_f64());
        self.last_turn.set(shown.turn_at.as_millisecond() as f64 / 1000.0);
        self.show(shown);
    }

    fn look(&self, source: Source, outcome: Result<(), &Trouble>) {
        self.looks
            .with_label_values(&[word(&source).as_str(), outcome.err().map_or("ok", Trouble::kind)])
            .inc();
    }

    fn step(&self, action: &Action, outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Owed => "owed",
            Outcome::Done { .. } => "done",
            Outcome::Failed { trouble } => trouble.kind(),
            Outcome::Expired => "expired",
        };
        self.steps.with_label_values(&[action.name(), outcome]).inc();
    }
}

/// Sets a gauge's series to exactly these.
fn refill<'a>(gauge: &IntGaugeVec, values: impl IntoIterator<Item = (&'a str, i64)>) {
    gauge.reset();
    for (label, value) in values {
        gauge.with_label_values(&[label]).set(value);
    }
}

/// A unit variant's own word.
fn word(source: &Source) -> String {
    serde_json::to_value(source).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::case::{Case, Origin, Phase};
    use crate::model::ids::CaseId;
    use crate::model::owed::{Debt, Owed};
    use crate::model::time::Time;
    use crate::model::wait::Wait;

    #[test]
    fn a_turn_fills_every_gauge_and_forgets_what_is_gone() {
        let noon: Time = "2026-01-01T12:00:00Z".parse().expect("a valid instant");
        let metrics = Metrics::new().expect("names differ");
        let debt = Debt { since: noon, reason: String::new(), alarm_at: noon, seen: true, unsure: false };
        let mut shown = Shown::nothing();
        shown.turn_at = noon;
        std::sync::Arc::make_mut(&mut shown.state).cases = vec![Case {
            id: CaseId(1),
            node: "pve2".into(),
            policy: "manual".into(),
            origin: Origin::Person { by: "alice".into(), reason: String::new(), yes: false },
            opened_at: noon,
            faults: BTreeSet::new(),
            phase: Phase::Stranded { since: noon, cancelled: None },
            owed: Owed { maintenance: Some(debt), ..Owed::default() },
            wait: Some(Wait::Technician),
            overran: false,
            late: false,
            heal: false,
            in_place: None,
            took: None,
            parts: Default::default(),
            revision: 1,
        }];
        metrics.turn(Duration::from_millis(20), &shown);
        metrics.look(Source::OkToStop, Err(&Trouble::TooSlow("after 5 s".into())));
        let text = metrics.text();
        for line in [
            "pitlane_turns_total 1",
            "pitlane_cases{phase=\"stranded\"} 1",
            "pitlane_cases{phase=\"draining\"} 0",
            "pitlane_waits{wait=\"technician\"} 1",
            "pitlane_owed{what=\"maintenance\"} 1",
            "pitlane_owed_overdue 1",
            "pitlane_node_maintenance{node=\"pve2\"} 1",
            "pitlane_looks_total{outcome=\"too_slow\",source=\"ok-to-stop\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        metrics.delivery(Delivery::Stored);
        metrics.ingested(&Ingested { new: 2, resolved: 0, known: 1 });
        let text = metrics.text();
        assert!(text.contains("pitlane_deliveries_total{outcome=\"stored\"} 1"), "{text}");
        assert!(text.contains("pitlane_episodes_total{outcome=\"new\"} 2"), "{text}");
        std::sync::Arc::make_mut(&mut shown.state).cases.clear();
        metrics.turn(Duration::from_millis(20), &shown);
        let text = metrics.text();
        assert!(!text.contains("node=\"pve2\"") && text.contains("pitlane_owed_overdue 0"), "{text}");
    }
}
