//! How fast guests move, as long as it is known.

use std::sync::{Mutex, PoisonError};

use crate::model::rates::{Measured, Rates};
use crate::model::time::Time;

/// What follows from the measurements, so that a turn does not go through all of them again.
#[derive(Default)]
pub(super) struct Known(Mutex<Option<(i64, Rates)>>);

/// Measurements age by the week: figures an hour old are new.
const HOUR: i64 = 3600;

impl Known {
    pub(super) fn at(&self, now: Time) -> Option<Rates> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(hour, _)| *hour == now.as_second() / HOUR).map(|(_, rates)| rates.clone())
    }

    pub(super) fn learn(&self, all: &[Measured], now: Time) -> Rates {
        let rates = Rates::of(all, now);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((now.as_second() / HOUR, rates.clone()));
        rates
    }

    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
