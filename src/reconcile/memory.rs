//! What was read of our own store, for as long as nobody has written to it since: a quiet turn reads nothing.
//!
//! The store counts what is written, by whomever, and has one writer; a turn asks for that count before anything else, and reads
//! again when it is another one. A store that cannot count is read each time. Nothing here outlives the process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::alert::{Episode, Episodes};
use crate::model::seen::Trouble;
use crate::model::state::State;
use crate::model::time::Time;

use super::World;
use crate::ports::{Clock, Store};

/// What it asks.
#[derive(Clone, Copy)]
pub(super) struct Outside<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) clock: &'a dyn Clock,
}

impl<'a> From<&'a World> for Outside<'a> {
    fn from(world: &'a World) -> Self {
        Self { store: world.store.as_ref(), clock: world.clock.as_ref() }
    }
}

/// What is forgotten with time alone (a case of thirty days ago, a measurement) may be forgotten so much later.
const KEPT_MAX: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(super) struct Memory(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// The count before it was read; `None`: nothing is kept.
    written: Option<u64>,
    /// When, by the clock that nobody can set.
    at: Duration,
    state: Option<Arc<State>>,
    /// With the instant from which on they are all there.
    episodes: Option<(Time, Episodes)>,
}

impl Memory {
    /// As [`crate::ports::Store::load`].
    pub(super) async fn state(&self, outside: impl Into<Outside<'_>>) -> Result<Arc<State>, Trouble> {
        let outside = outside.into();
        let written = self.follow(outside).await?;
        if let Some(state) = self.kept().state.clone() {
            return Ok(state);
        }
        let state = Arc::new(outside.store.load().await?);
        self.keep(written, |kept| kept.state = Some(state.clone()));
        Ok(state)
    }

    /// As [`crate::ports::Store::episodes`].
    pub(super) async fn episodes(
        &self,
        outside: impl Into<Outside<'_>>,
        since: Time,
    ) -> Result<Episodes, Trouble> {
        let outside = outside.into();
        let written = self.follow(outside).await?;
        if let Some((from, episodes)) = &self.kept().episodes
            && *from <= since
        {
            let wanted = |episode: &&Episode| episode.ends_at.is_none_or(|end| end > since);
            return Ok(match episodes.iter().all(|episode| wanted(&episode)) {
                true => episodes.clone(),
                false => episodes.iter().filter(wanted).cloned().collect::<Vec<_>>().into(),
            });
        }
        let episodes = outside.store.episodes(since).await?;
        self.keep(written, |kept| kept.episodes = Some((since, episodes.clone())));
        Ok(episodes)
    }

    /// Forgets what is old, or was read before something else was written. The answer is the store's count.
    async fn follow(&self, outside: Outside<'_>) -> Result<Option<u64>, Trouble> {
        let written = outside.store.written().await?;
        let now = outside.clock.ran();
        let mut kept = self.kept();
        if written.is_none() || kept.written != written || now.saturating_sub(kept.at) >= KEPT_MAX {
            *kept = Kept { written, at: now, ..Kept::default() };
        }
        Ok(written)
    }

    /// Only what was read after `written` was counted. What is written while it is read makes another count, and is read again.
    fn keep(&self, written: Option<u64>, put: impl FnOnce(&mut Kept)) {
        let mut kept = self.kept();
        if written.is_some() && kept.written == written {
            put(&mut kept);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
