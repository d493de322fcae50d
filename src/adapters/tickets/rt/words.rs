//! Our words held against the lifecycle of the queue. Request Tracker's API names the lifecycle and does not list its
//! statuses; so what it ships as `default` is known here, and what tickets are, and where they can go, is read.
//!
//! It must never write: a status that does not exist is refused inside a 200, and one that does would be set.

use std::collections::BTreeSet;

use super::{Asked, RequestTracker, TicketError, wire};
use crate::adapters::tickets::contract::Survey;
use crate::model::tickets::StatusWords;

/// What Request Tracker 5 ships under this name.
const DEFAULT: (&str, [&str; 6]) = ("default", ["new", "open", "stalled", "resolved", "rejected", "deleted"]);
/// Tickets whose status is read: the newest ones show what is in use.
const SAMPLE: &str = "100";
/// Tickets that are asked where they can go, each in another status.
const ASKED_MAX: usize = 6;

impl RequestTracker {
    /// Which of our words the queue does not know, and which of its words we do not.
    pub(super) async fn hold_words(&self, survey: &mut Survey) -> Result<(), TicketError> {
        let lifecycle = wire::lifecycle_of(&self.queue().await?);
        let used = self.in_use().await?;
        let name = lifecycle.as_deref().unwrap_or("that it does not name");
        let shipped = if name == DEFAULT.0 { &DEFAULT.1[..] } else { &[] };
        let known: BTreeSet<String> =
            shipped.iter().map(|word| (*word).to_owned()).chain(used.clone()).collect();
        let list = |all: &BTreeSet<String>| all.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        survey.saw.push(format!("queue {} has the lifecycle {name}", self.config.queue));
        if !used.is_empty() {
            survey.saw.push(format!("its tickets are, or can become: {}", list(&used)));
        }
        for (key, word) in ours(&self.config.statuses) {
            if known.iter().any(|known| known.eq_ignore_ascii_case(word)) {
                continue;
            }
            // Of a lifecycle of the house nothing but what is in use can be known.
            match shipped.is_empty() {
                false => survey.lacks.push(format!(
                    "tickets.statuses.{key} names {word:?}, which the lifecycle {name} does not have; it has {}",
                    list(&known)
                )),
                true => survey.saw.push(format!(
                    "no ticket is {word:?} (tickets.statuses.{key}) or can become so from where it is; see that the \
                     lifecycle has that word"
                )),
            }
        }
        for word in known.iter().filter(|word| self.config.statuses.read(word).is_none()) {
            survey.lacks.push(format!(
                "tickets of queue {} can be {word:?}, which tickets.statuses does not know; add the word there",
                self.config.queue
            ));
        }
        Ok(())
    }

    /// Statuses of the newest tickets, and those that they can be set to.
    async fn in_use(&self) -> Result<BTreeSet<String>, TicketError> {
        const DOING: &str = "reading the tickets of the queue";
        let query = format!("Queue = '{}'", wire::quoted(&self.config.queue));
        let newest = [
            ("query", query.as_str()),
            ("fields", "Status"),
            ("orderby", "LastUpdated"),
            ("order", "DESC"),
            ("per_page", SAMPLE),
        ];
        let answer = self.call(DOING, Asked::Search, &newest, None, None).await?;
        let body = self.yes(answer, DOING)?;
        let items = wire::items(&body).ok_or_else(|| self.caller.nonsense("a search without a list"))?;
        let mut words = BTreeSet::new();
        let mut asked = 0;
        for item in items {
            let Some(status) = item["Status"].as_str() else { continue };
            if words.insert(status.to_owned())
                && asked < ASKED_MAX
                && let Some(number) = wire::number(&item["id"])
            {
                asked += 1;
                words.extend(self.ways_on(number).await?);
            }
        }
        Ok(words)
    }

    async fn ways_on(&self, number: u64) -> Result<Vec<String>, TicketError> {
        const DOING: &str = "reading a ticket";
        let number = number.to_string();
        let answer = self.call(DOING, Asked::Read(&number), &[], None, None).await?;
        Ok(wire::ways_on(&self.yes(answer, DOING)?))
    }
}

/// Each of our words with its key.
fn ours(words: &StatusWords) -> impl Iterator<Item = (&'static str, &String)> {
    let StatusWords { open, in_progress, done, cancelled } = words;
    [("open", open), ("in_progress", in_progress), ("done", done), ("cancelled", cancelled)]
        .into_iter()
        .flat_map(|(key, words)| words.iter().map(move |word| (key, word)))
}
