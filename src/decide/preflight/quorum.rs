//! Does the cluster keep its majority without the node? Asked of two members: one alone can be wrong.

use super::{Found, Question};
use crate::model::ids::NodeName;
use crate::model::verdict::{Check, CheckName};
use crate::model::wait::{Source, Wait};

pub(super) fn check(q: &Question) -> Check {
    q.answer(CheckName::Quorum, &q.view.seen.pve.first, find(q))
}

fn find(q: &Question) -> Result<Found, Wait> {
    let cluster = q.view.cluster()?;
    let second = q.view.second(q.node)?;
    let votes = q.view.fresh(Source::Votes, &q.view.seen.pve.votes)?;
    let total: u32 = votes.nodes.values().sum::<u32>() + votes.qdevice;
    // Another one that we handed over still votes, and may be switched off at any moment.
    let off = q.view.off_with_others(q.node);
    let stays = |node: &NodeName| node != q.node && !off.contains(node) && cluster.online(node);
    let online = votes.nodes.iter().filter(|(node, _)| stays(node));
    let left: u32 = online.clone().map(|(_, votes)| votes).sum::<u32>() + votes.qdevice;

    let who =
        second.map_or_else(|| cluster.member.to_string(), |s| format!("{} and {}", cluster.member, s.member));
    let mut found = Found::new(format!("{left} of {total} votes stay, asked {who}"));
    match cluster.nodes.get(q.node) {
        None => found.block(Wait::NotAMember { node: q.node.clone() }),
        Some(row) if !row.online => found.block(Wait::NodeOffline { node: q.node.clone() }),
        Some(_) => {}
    }
    if left * 2 <= total {
        found.block(Wait::QuorumAfter { votes_left: left, votes_total: total });
    }
    if second.is_none() {
        found.warn(Wait::TwoNodesOnly);
    }
    let worst = left - online.map(|(_, votes)| *votes).max().unwrap_or(0).min(left);
    if worst * 2 <= total {
        found.warn(Wait::NoSpareQuorum { votes_left: worst, votes_total: total });
    }
    Ok(found)
}
