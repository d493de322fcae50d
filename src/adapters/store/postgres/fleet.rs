//! The database of a fleet: connections, and what is made of them for each cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::super::error::StoreError;
use super::budgets::PostgresBudgets;
use super::lease::PostgresLeases;
use super::pool::{DEADLINE, Pool, attempt};
use super::settings::{Dial, PostgresSettings, dial};
use super::store::PostgresStore;
use super::{bells, schema};
use crate::model::ids::ClusterName;
use crate::model::seen::Trouble;
use crate::ports::{Bells, Clock, Tenure};

/// Of one instance, for all of its clusters. A turn needs one for some milliseconds.
const CONNECTIONS: usize = 8;

/// For leases and bells alone.
const APART: usize = 2;

/// A database that holds clusters. Cheap to clone.
#[derive(Clone)]
pub struct PostgresFleet {
    pub(super) pool: Arc<Pool>,
    leases: Arc<PostgresLeases>,
}

impl PostgresFleet {
    /// Connects, and makes or upgrades the tables if nobody has done that yet.
    ///
    /// # Errors
    /// The address cannot be used, nobody answers there, or the tables are a newer pitlane's.
    pub async fn connect(settings: &PostgresSettings) -> Result<Self, StoreError> {
        let Dial { config, tls } = dial(settings)?;
        let pool = Arc::new(Pool::new(Dial { config: config.clone(), tls: tls.clone() }, CONNECTIONS));
        schema::ready(&pool).await?;
        let apart = Arc::new(Pool::new(Dial { config, tls }, APART));
        let leases = PostgresLeases { pool: apart, holder: settings.holder.clone(), lasts: settings.lease };
        Ok(Self { pool, leases: Arc::new(leases) })
    }

    /// Who may decide for which cluster.
    pub fn leases(&self) -> Arc<PostgresLeases> {
        Arc::clone(&self.leases)
    }

    /// One cluster. Under [`NoTenure`](crate::ports::NoTenure) it reads and takes in, and nothing is decided.
    ///
    /// # Errors
    /// The name is empty.
    pub fn store(
        &self,
        cluster: &ClusterName,
        tenure: Arc<dyn Tenure>,
        clock: Arc<dyn Clock>,
    ) -> Result<PostgresStore, StoreError> {
        if cluster.0.is_empty() {
            let why = "a cluster in PostgreSQL needs a name; give it one with the key cluster";
            return Err(StoreError::Address(why.to_owned()));
        }
        Ok(PostgresStore::new(Arc::clone(&self.pool), cluster.clone(), tenure, clock))
    }

    /// The shared budgets, as the holder of one cluster takes places in them.
    pub fn budgets(&self, tenure: Arc<dyn Tenure>) -> PostgresBudgets {
        PostgresBudgets { pool: Arc::clone(&self.pool), tenure }
    }
}

#[async_trait]
impl Bells for PostgresFleet {
    async fn rung(&self, of: &[ClusterName]) -> Result<BTreeMap<ClusterName, u64>, Trouble> {
        let pool = &*self.leases.pool;
        Ok(attempt!(pool, DEADLINE, "asking who was rung", conn => bells::rung(conn, of))?)
    }
}
