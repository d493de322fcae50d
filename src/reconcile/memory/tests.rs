use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use async_trait::async_trait;

use super::*;
use crate::model::alert::{EpisodeKey, Listed};
use crate::model::ids::RequestId;
use crate::model::rates::Measured;
use crate::model::request::{Reply, Request};
use crate::model::state::Decision;
use crate::model::step::{Outcome, StepId};
use crate::ports::{Ingested, Uncommitted};

/// Counts how often it is read. What it says is how often it was written to.
#[derive(Default)]
struct Counted {
    counts: bool,
    written: AtomicU64,
    loads: AtomicU64,
    episodes: AtomicU64,
    ran: AtomicU64,
}

fn not_here<T>() -> Result<T, Trouble> {
    Err(Trouble::NoTrace("not in this test".to_owned()))
}

fn ended(at: i64) -> Episode {
    let at = Time::from_second(at).expect("an instant");
    Episode {
        fingerprint: at.to_string().as_str().into(),
        starts_at: Time::UNIX_EPOCH,
        ends_at: Some(at),
        received_at: at,
        labels: Default::default(),
    }
}

#[async_trait]
impl Store for Counted {
    async fn load(&self) -> Result<State, Trouble> {
        self.loads.fetch_add(1, SeqCst);
        Ok(State { next_case: self.written.load(SeqCst), ..State::default() })
    }
    async fn written(&self) -> Result<Option<u64>, Trouble> {
        Ok(self.counts.then(|| self.written.load(SeqCst)))
    }
    async fn episodes(&self, since: Time) -> Result<Episodes, Trouble> {
        self.episodes.fetch_add(1, SeqCst);
        Ok([ended(100), ended(200)]
            .into_iter()
            .filter(|one| one.ends_at > Some(since))
            .collect::<Vec<_>>()
            .into())
    }
    async fn commit(&self, _: &Decision, _: Time) -> Result<(), Uncommitted> {
        not_here().map_err(Uncommitted::Trouble)
    }
    async fn record(&self, _: &StepId, _: Time, _: &Outcome) -> Result<(), Trouble> {
        not_here()
    }
    async fn ingest(&self, _: Vec<Episode>) -> Result<Ingested, Trouble> {
        not_here()
    }
    async fn level(&self, _: Vec<Listed>, _: Vec<EpisodeKey>, _: Time) -> Result<Ingested, Trouble> {
        not_here()
    }
    async fn poison(&self, _: &[u8], _: &str, _: Time) -> Result<(), Trouble> {
        not_here()
    }
    async fn learn(&self, _: Vec<Measured>) -> Result<(), Trouble> {
        not_here()
    }
    async fn learned(&self) -> Result<Vec<Measured>, Trouble> {
        not_here()
    }
    async fn request(&self, _: &Request) -> Result<(), Trouble> {
        not_here()
    }
    async fn reply(&self, _: &RequestId) -> Result<Option<Reply>, Trouble> {
        not_here()
    }
}

impl Clock for Counted {
    fn now(&self) -> Time {
        Time::UNIX_EPOCH
    }
    fn ran(&self) -> Duration {
        Duration::from_secs(self.ran.load(SeqCst))
    }
}

impl<'a> From<&'a Counted> for Outside<'a> {
    fn from(both: &'a Counted) -> Self {
        Self { store: both, clock: both }
    }
}

#[tokio::test]
async fn what_nobody_wrote_to_is_read_once_and_again_after_a_write() {
    let (memory, store) = (Memory::default(), Counted { counts: true, ..Counted::default() });
    for _ in 0..3 {
        assert_eq!(memory.state(&store).await.expect("a state").next_case, 0);
    }
    assert_eq!(store.loads.load(SeqCst), 1);
    store.written.fetch_add(1, SeqCst);
    assert_eq!(memory.state(&store).await.expect("a state").next_case, 1);
    // What goes with time goes, be it a little later.
    store.ran.fetch_add(KEPT_MAX.as_secs(), SeqCst);
    memory.state(&store).await.expect("a state");
    assert_eq!(store.loads.load(SeqCst), 3);
}

#[tokio::test]
async fn episodes_that_ended_too_long_ago_are_left_out_without_being_read_again() {
    let (memory, store) = (Memory::default(), Counted { counts: true, ..Counted::default() });
    let count = async |since: i64| {
        let since = Time::from_second(since).expect("an instant");
        memory.episodes(&store, since).await.expect("episodes").len()
    };
    assert_eq!((count(50).await, count(150).await, count(200).await), (2, 1, 0));
    assert_eq!(store.episodes.load(SeqCst), 1);
    assert_eq!(count(40).await, 2, "further back than what is kept");
    assert_eq!(store.episodes.load(SeqCst), 2);
    store.written.fetch_add(1, SeqCst);
    assert_eq!(count(50).await, 2);
    assert_eq!(store.episodes.load(SeqCst), 3);
}

#[tokio::test]
async fn a_store_that_does_not_count_is_read_each_time() {
    let (memory, store) = (Memory::default(), Counted::default());
    for _ in 0..3 {
        memory.state(&store).await.expect("a state");
        memory.episodes(&store, Time::UNIX_EPOCH).await.expect("episodes");
    }
    assert_eq!((store.loads.load(SeqCst), store.episodes.load(SeqCst)), (3, 3));
}
