//! The pages that go out without the outbox: our own store cannot be read or written, so nothing else can be told.
//!
//! They tell that pitlane stands still, and later that it goes on, or that it does not serve a cluster at all. They must never tell of
//! anything else: what is not written down has not happened. A process that is started again may say it once more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::courier::Courier;
use crate::model::ids::ClusterName;
use crate::model::notice::{ChannelName, Notice, NoticeId, Urgency};
use crate::model::shown::Shown;
use crate::model::time::Time;
use crate::ports::Clock;

/// A full disk is often empty again at once; after this somebody has to look.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks, and after the first try that did not reach everybody.
const EVERY: Duration = Duration::from_secs(10);
/// Doubled with each try up to this: a mail server that refuses hears no six letters a minute.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// Who still has to hear what.
struct Spell {
    since: Instant,
    /// `None`: not yet long enough.
    told: Option<(Notice, BTreeSet<ChannelName>)>,
    next: Again,
}

/// When those who did not take it are tried again.
struct Again {
    at: Instant,
    pause: Duration,
}

impl Again {
    fn failed(&mut self, now: Instant) {
        self.at = now + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }
}

impl Spell {
    fn begun(now: Instant) -> Self {
        Self { since: now, told: None, next: Again { at: now, pause: EVERY } }
    }
}

/// Watches until told to stop. `pages`: who is woken, as the configuration that counts has it.
pub async fn watch(
    shown: watch::Receiver<Arc<Shown>>,
    pages: impl Fn() -> Vec<ChannelName>,
    courier: Arc<Courier>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    let mut spell: Option<Spell> = None;
    // What names a spell: the last instant at which something was known. It is not shown any more once the loop has ended.
    let mut known: Option<Time> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let failing = {
            let shown = shown.borrow();
            known = known.max((shown.turn_at > Time::MIN).then_some(shown.turn_at));
            shown.failing.clone()
        };
        let Some(why) = failing else {
            // Who heard that it stands still hears that it goes on: by the way that does not need the store either.
            if let Some((stood, left)) = spell.take().and_then(|spell| spell.told) {
                let heard: Vec<ChannelName> =
                    stood.to.iter().filter(|name| !left.contains(name)).cloned().collect();
                let id = NoticeId(format!("{}/over", stood.id));
                let (title, body) =
                    ("pitlane goes on: its store can be written again", "There is nothing to do.\n");
                let notice = notice(id, clock.as_ref(), title, body.to_owned(), heard);
                courier.directly(&notice, &notice.to.iter().cloned().collect()).await;
            }
            continue;
        };
        let spell = spell.get_or_insert_with(|| Spell::begun(Instant::now()));
        if spell.since.elapsed() < PATIENCE {
            continue;
        }
        let (told, left) = spell.told.get_or_insert_with(|| {
            let to = pages();
            warn!("standing still: {why}; {} channels are told without the outbox", to.len());
            let id = NoticeId(format!("store/{}", known.unwrap_or_else(|| clock.now())));
            let title = "pitlane stands still: its own store cannot be read or written";
            let body = format!(
                "{why}\n\nNothing new is begun. What is held stays held, and moves that run go on. pitlane goes on by itself \
                 when the store works again; `pitlane owed --offline` shows what is held, docs/RECOVERY.md what to do.\n"
            );
            let left = to.iter().cloned().collect();
            (notice(id, clock.as_ref(), title, body, to), left)
        });
        if !left.is_empty() && Instant::now() >= spell.next.at {
            *left = courier.directly(told, left).await;
            if left.is_empty() {
                info!("everybody was told that pitlane stands still");
            } else {
                spell.next.failed(Instant::now());
            }
        }
    }
}

/// A cluster of a fleet is not served by this process: told until everybody has taken it. Nothing here can mend it, so that it goes
/// on is never told.
pub async fn not_served(
    cluster: &ClusterName,
    why: &str,
    to: Vec<ChannelName>,
    courier: &Courier,
    clock: &dyn Clock,
) {
    // Another process may be ending that still holds it, and whoever restarts us finds out at once.
    tokio::time::sleep(PATIENCE).await;
    let id = NoticeId(format!("not-served/{}", clock.now()));
    let body = format!(
        "{why}\n\nNobody looks after cluster {cluster}: its alarms wait, and what is held stays held. pitlane has to be restarted once \
         this is mended; the other clusters go on. docs/RECOVERY.md says what to do.\n"
    );
    let notice = notice(id, clock, "not served: its state cannot be used", body, to);
    let mut left: BTreeSet<ChannelName> = notice.to.iter().cloned().collect();
    let mut next = Spell::begun(Instant::now()).next;
    loop {
        left = courier.directly(&notice, &left).await;
        if left.is_empty() {
            return;
        }
        next.failed(Instant::now());
        tokio::time::sleep_until(next.at).await;
    }
}

fn notice(id: NoticeId, clock: &dyn Clock, title: &str, body: String, to: Vec<ChannelName>) -> Notice {
    let (at, urgency, title) = (clock.now(), Urgency::Page, title.to_owned());
    Notice { id, at, urgency, title, body, node: None, case: None, to }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_does_not_take_it_is_tried_less_and_less_often_and_never_given_up() {
        let begun = Instant::now();
        let (mut next, mut now) = (Spell::begun(begun).next, begun);
        let pauses: Vec<u64> = (0..8)
            .map(|_| {
                next.failed(now);
                let pause = next.at - now;
                now = next.at;
                pause.as_secs()
            })
            .collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300, 300]);
    }
}
