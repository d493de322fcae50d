//! The episodes that turns ask for again and again, kept from one turn to the next. A hundred thousand rows are read once;
//! after that only what changed is put in.
//!
//! What is in here was committed: the writer's thread tells it, in the order of the commits, before anybody is told that a
//! write is durable. So whoever rings the bell after a delivery finds it here. It must never know more than the disk does:
//! where a commit failed, nobody can say what the disk knows, and everything is read again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::episodes::order;
use crate::model::alert::{Episode, Episodes};
use crate::model::time::Time;

/// Read again from the disk so often: a row that spoilt meanwhile shows.
const REREAD: Duration = Duration::from_secs(3600);

/// Changes that nobody asked for yet. With more of them, reading all again is no dearer.
const NEWS_MAX: usize = 50_000;

#[derive(Default)]
pub(super) struct Known(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    kept: Option<Kept>,
    /// Somebody reads everything at this moment.
    reading: bool,
    /// Committed since; the later ones of a key count.
    news: Vec<Episode>,
}

struct Kept {
    all: Episodes,
    since: Time,
    read: Instant,
}

impl Known {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Every change below leaves it whole, or empty, which is whole as well.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On the writer's thread, after its commit. `None`: it failed.
    pub(super) fn heard(&self, news: Option<&[Episode]>) {
        let mut inner = self.inner();
        match news {
            None => *inner = Inner::default(),
            Some(_) if inner.kept.is_none() && !inner.reading => {}
            Some(news) if inner.news.len() + news.len() > NEWS_MAX => *inner = Inner::default(),
            Some(news) => inner.news.extend_from_slice(news),
        }
    }

    /// Everything is to be read again.
    pub(super) fn forget(&self) {
        *self.inner() = Inner::default();
    }

    /// What fires, and what ended after `since`; `None` where it has to be read first.
    pub(super) fn now(&self, since: Time) -> Option<Episodes> {
        let mut inner = self.inner();
        let Inner { kept, news, .. } = &mut *inner;
        let kept = kept.as_mut().filter(|kept| kept.since <= since && kept.read.elapsed() < REREAD)?;
        let old = |episode: &Episode| episode.ends_at.is_some_and(|end| end <= since);
        if !news.is_empty() || kept.all.iter().any(old) {
            let mut all = merged(&kept.all, std::mem::take(news));
            all.retain(|episode| !old(episode));
            *kept = Kept { all: all.into(), since, read: kept.read };
        }
        Some(kept.all.clone())
    }

    /// Before everything is read: what was known, so that what did not change need not be held twice.
    pub(super) fn reads(&self) -> Episodes {
        let mut inner = self.inner();
        inner.news.clear();
        inner.reading = true;
        inner.kept.take().map(|kept| kept.all).unwrap_or_default()
    }

    /// Everything was read, by order of start and fingerprint. News from meanwhile may be in it already, or not.
    pub(super) fn read(&self, since: Time, all: Vec<Episode>) -> Episodes {
        let mut inner = self.inner();
        let news = std::mem::take(&mut inner.news);
        let all: Episodes = if news.is_empty() { all.into() } else { merged(&all, news).into() };
        // A failed commit or a pruning came in between: right for this turn, and to be read again by the next.
        if inner.reading {
            inner.kept = Some(Kept { all: all.clone(), since, read: Instant::now() });
            inner.reading = false;
        }
        all
    }
}

/// Both in one order; of two of one key the news, and of these the later one.
fn merged(known: &[Episode], mut news: Vec<Episode>) -> Vec<Episode> {
    news.sort_by(order);
    let mut all = Vec::with_capacity(known.len() + news.len());
    let mut known = known.iter().peekable();
    let mut news = news.into_iter().peekable();
    while let Some(one) = news.next() {
        if news.peek().is_some_and(|later| order(&one, later).is_eq()) {
            continue;
        }
        while let Some(before) = known.next_if(|known| order(known, &one).is_lt()) {
            all.push(before.clone());
        }
        let _ = known.next_if(|known| order(known, &one).is_eq());
        all.push(one);
    }
    all.extend(known.cloned());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::labels::Labels;

    fn at(second: i64) -> Time {
        Time::from_second(1_800_000_000 + second).expect("in range")
    }

    fn episode(name: &str, start: i64, end: Option<i64>) -> Episode {
        Episode {
            fingerprint: name.into(),
            labels: Labels::new(),
            starts_at: at(start),
            received_at: at(start),
            ends_at: end.map(at),
        }
    }

    fn told(all: &Episodes) -> Vec<(&str, Option<Time>)> {
        all.iter().map(|one| (one.fingerprint.0.as_str(), one.ends_at)).collect()
    }

    #[test]
    fn what_is_committed_is_known_and_the_later_of_two_counts() {
        let known = Known::default();
        assert!(known.now(at(0)).is_none(), "nothing was read yet");
        known.heard(Some(&[episode("early", 1, None)]));
        assert!(known.reads().is_empty());
        known.heard(Some(&[episode("b", 2, Some(9))]));
        known.read(at(0), vec![episode("a", 1, None), episode("b", 2, None), episode("c", 2, None)]);
        known.heard(Some(&[episode("d", 3, None), episode("a0", 1, None), episode("c", 2, Some(4))]));
        known.heard(Some(&[episode("c", 2, Some(5)), episode("d", 3, Some(6))]));
        let now = known.now(at(0)).expect("read");
        let ends = [("a", None), ("a0", None), ("b", Some(at(9))), ("c", Some(at(5))), ("d", Some(at(6)))];
        assert_eq!(told(&now), ends);
        assert_eq!(
            told(&known.now(at(5)).expect("read")),
            [("a", None), ("a0", None), ("b", Some(at(9))), ("d", Some(at(6)))]
        );
        assert!(known.now(at(4)).is_none(), "what was dropped is on the disk alone");
    }

    #[test]
    fn after_a_failed_commit_everything_is_read_again() {
        let known = Known::default();
        known.reads();
        known.read(at(0), vec![episode("a", 1, None)]);
        known.heard(None);
        assert!(known.now(at(0)).is_none());
        known.reads();
        known.heard(None);
        assert_eq!(known.read(at(0), vec![episode("a", 1, None)]).len(), 1);
        assert!(known.now(at(0)).is_none(), "it failed while everything was read");
    }
}
