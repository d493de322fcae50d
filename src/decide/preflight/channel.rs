//! Does a channel live on the node that is to leave? Then nobody hears about the very thing that silenced it.

use super::{Found, Question};
use crate::model::notice::{ChannelHome, ChannelName};
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::Wait;
use crate::model::wait_text::{count, list};

/// `None`: no channel depends on this cluster, so there is nothing to ask.
pub(super) fn check(q: &Question) -> Option<Check> {
    let homes = &q.view.rules.notify.homes;
    (!homes.is_empty()).then(|| q.answer(CheckName::Channels, &q.view.seen.pve.first, find(q)))
}

fn find(q: &Question) -> Result<Found, Wait> {
    let rules = &q.view.rules.notify;
    let cluster = q.view.cluster()?;
    let here = |home: &ChannelHome| match home {
        ChannelHome::Node(node) => node == q.node,
        // A guest moves with the others, and is deaf on the way; when it stays, it goes down with the node.
        ChannelHome::Guest(guest) => cluster.guests.get(guest).is_some_and(|row| &row.node == q.node),
    };
    let lost: Vec<&ChannelName> =
        rules.homes.iter().filter(|(_, home)| here(home)).map(|(name, _)| name).collect();
    if lost.is_empty() {
        return Ok(Found::new(format!("none of {} lives on it", count(rules.homes.len(), "channel"))));
    }
    let mut found = Found::new(format!("{} on it", list(&lost)));
    let deaf = !rules.page.is_empty() && rules.page.iter().all(|name| lost.contains(&name));
    for channel in lost {
        let wait = Wait::ChannelOnNode { channel: channel.clone(), node: q.node.clone() };
        if deaf && rules.page.contains(channel) { found.block(wait) } else { found.warn(wait) }
    }
    Ok(found)
}
