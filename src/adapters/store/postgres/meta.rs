//! The `meta` table: what each cluster has one of. One seal for all entries together: a pause whose name was spoilt would be a
//! pause that nobody sees.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;

use super::super::error::StoreError;
use super::super::seal::{hex, seal};
use super::ask::{Ask, Columns as _};
use super::conn::Failure;
use crate::model::ids::ClusterName;

const SEAL: &str = "seal";

/// A cluster's entries, as they are and as they are to be.
#[derive(Debug, Default)]
pub(super) struct Meta {
    entries: BTreeMap<String, String>,
    /// Keys that are to be written, or taken away.
    changed: BTreeSet<String>,
}

pub(super) fn ask(cluster: &ClusterName) -> Ask {
    Ask::new("SELECT key, value FROM meta WHERE cluster = $1").text(&cluster.0)
}

impl Meta {
    /// # Errors
    /// The entries are not what was written; they are not sealed anew over that either.
    pub(super) fn read(rows: &[Row]) -> Result<Self, Failure> {
        let mut entries = BTreeMap::new();
        for row in rows {
            entries.insert(row.text(0)?, row.text(1)?);
        }
        let sealed = entries.remove(SEAL);
        let meta = Self { entries, changed: BTreeSet::new() };
        match sealed {
            Some(sealed) if sealed != meta.seal() => Err(StoreError::spoilt("the store's own record").into()),
            // Without a seal there is nothing that could be spoilt: the first one is written with the first entry.
            None if !meta.entries.is_empty() => Err(StoreError::spoilt("the store's own record").into()),
            _ => Ok(meta),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(String::as_str)
    }

    /// `None` takes the entry away.
    pub(super) fn set(&mut self, key: &str, value: Option<String>) {
        match value {
            Some(value) => self.entries.insert(key.to_owned(), value),
            None => self.entries.remove(key),
        };
        self.changed.insert(key.to_owned());
    }

    /// What has to be written.
    pub(super) fn write(&self, cluster: &ClusterName) -> Vec<Ask> {
        if self.changed.is_empty() {
            return Vec::new();
        }
        let seal = self.seal();
        let (kept, gone): (Vec<&String>, Vec<&String>) =
            self.changed.iter().partition(|key| self.entries.contains_key(*key));
        let keys = kept.iter().map(|key| key.as_str()).chain([SEAL]);
        let values = kept.iter().filter_map(|key| self.get(key)).chain([seal.as_str()]);
        let mut asks = vec![
            Ask::new(
                "INSERT INTO meta (cluster, key, value) SELECT $1, key, value FROM UNNEST($2, $3) AS it (key, value)
                 ON CONFLICT (cluster, key) DO UPDATE SET value = excluded.value",
            )
            .text(&cluster.0)
            .texts(keys)
            .texts(values),
        ];
        if !gone.is_empty() {
            let gone = gone.iter().map(|key| key.as_str());
            asks.push(
                Ask::new("DELETE FROM meta WHERE cluster = $1 AND key = ANY($2)")
                    .text(&cluster.0)
                    .texts(gone),
            );
        }
        asks
    }

    fn seal(&self) -> String {
        let parts: Vec<Option<&str>> =
            self.entries.iter().flat_map(|(key, value)| [Some(key.as_str()), Some(value.as_str())]).collect();
        hex(&seal(&parts))
    }
}
