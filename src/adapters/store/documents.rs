//! What every table of every store keeps: instants as sortable text, documents as JSON.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StoreError;
use crate::model::time::Time;

/// How long closed cases, ended episodes and answered requests are kept for decisions: the memory of faults.
pub(super) const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);

/// Always nine digits, so that text sorts as time does.
pub(super) fn stamp(at: Time) -> String {
    format!("{at:.9}")
}

pub(super) fn instant(what: &str, text: &str) -> Result<Time, StoreError> {
    text.parse().map_err(|e| StoreError::document(what, e))
}

pub(super) fn to_json<T: Serialize>(what: &str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::document(what, e))
}

pub(super) fn from_json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::document(what, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_sort_as_time_does_and_come_back_whole() {
        let times = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000001Z", "2026-01-01T00:00:00.5Z"];
        let stamps: Vec<String> = times.iter().map(|t| stamp(t.parse().expect(t))).collect();
        assert!(stamps.is_sorted(), "{stamps:?}");
        for (time, stamp) in times.iter().zip(&stamps) {
            assert_eq!(instant("a stamp", stamp).expect("parses"), time.parse::<Time>().expect(time));
        }
    }
}
