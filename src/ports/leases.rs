//! What several instances need that look after the same clusters: who may decide, and who was rung.
//!
//! The protocol of leases is told in `docs/decisions/leases.md`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::model::ids::ClusterName;
use crate::model::seen::Trouble;

/// The right to decide for one cluster, for a while. Asked before each commit and immediately before each effect.
pub trait Tenure: Send + Sync {
    /// What a commit is fenced with. `None`: whoever has this may take things in, and decides nothing.
    fn fence(&self) -> Option<Fence>;

    /// For how long it is certainly good, from this instant. Zero: it is over, or was never given.
    fn left(&self) -> Duration;
}

/// Who holds a cluster, and how often it had been taken when they took it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// One life of one process; never used again.
    pub holder: String,
    pub term: u64,
}

/// Of a store that only one process can open: the file's lock is the lease.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysGood;

impl Tenure for AlwaysGood {
    fn fence(&self) -> Option<Fence> {
        Some(Fence { holder: String::new(), term: 0 })
    }

    fn left(&self) -> Duration {
        Duration::MAX
    }
}

/// Of an instance that takes alerts and requests in and decides nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTenure;

impl Tenure for NoTenure {
    fn fence(&self) -> Option<Fence> {
        None
    }

    fn left(&self) -> Duration {
        Duration::ZERO
    }
}

/// Leases: one for each cluster. Only the store's clock judges whether one has run out.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes the cluster, if nobody has it. `None`: somebody has.
    async fn take(&self, cluster: &ClusterName) -> Result<Option<Arc<dyn Lease>>, Trouble>;

    /// Who holds what at this moment, for showing.
    async fn holders(&self) -> Result<Vec<Held>, Trouble>;

    /// How long a lease lasts without being renewed. Renew every third of it; ask for a free one every fourth.
    fn lasts(&self) -> Duration;
}

/// A lease that this process took.
#[async_trait]
pub trait Lease: Tenure {
    /// Once lost it is lost for ever: take the cluster anew.
    ///
    /// # Errors
    /// Nobody answered. It may be good for the while that is left of it.
    async fn renew(&self) -> Result<Renewed, Trouble>;

    /// Others may take the cluster at once. This process's tenure is over from the moment of the call.
    async fn give_up(&self) -> Result<(), Trouble>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    Still,
    Lost,
}

/// A lease as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub cluster: ClusterName,
    pub fence: Fence,
    /// `None`: it has run out, or was given up.
    pub left: Option<Duration>,
}

/// Who was rung, by whichever instance heard something.
#[async_trait]
pub trait Bells: Send + Sync {
    /// How often each of these clusters was rung, ever. One that is not in the answer never was. Cheap: ask every second.
    async fn rung(&self, of: &[ClusterName]) -> Result<BTreeMap<ClusterName, u64>, Trouble>;
}
