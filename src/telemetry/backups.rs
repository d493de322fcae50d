//! Numbers about the copies that the service makes of its own store. Only where it makes any: a number that never moves is
//! an alarm that never ends.

use prometheus::{Gauge, IntCounterVec, Opts, Registry};

use super::Made;
use crate::model::time::Time;

pub struct Backups {
    outcomes: IntCounterVec,
    newest: Gauge,
}

impl Backups {
    /// # Errors
    /// As `Metrics::new`, or made twice.
    pub fn new(registry: &Registry) -> Made<Self> {
        let help = "Copies of the store by outcome.";
        let outcomes = IntCounterVec::new(Opts::new("pitlane_store_backups_total", help), &["outcome"])?;
        let newest = Gauge::new(
            "pitlane_store_last_backup_timestamp_seconds",
            "When the newest copy of the store was made, seconds since 1970; 0: there is none.",
        )?;
        registry.register(Box::new(outcomes.clone()))?;
        registry.register(Box::new(newest.clone()))?;
        // Both are there from the beginning: what has not happened yet is 0.
        for outcome in ["made", "failed"] {
            outcomes.with_label_values(&[outcome]);
        }
        Ok(Self { outcomes, newest })
    }

    pub fn made(&self) {
        self.outcomes.with_label_values(&["made"]).inc();
    }

    pub fn failed(&self) {
        self.outcomes.with_label_values(&["failed"]).inc();
    }

    pub fn newest(&self, at: Time) {
        self.newest.set(at.as_second() as f64);
    }
}
