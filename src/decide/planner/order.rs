//! Which moves must wait for which, so that every instant is safe whatever the moves take in truth.
//!
//! Only moves that make room create such waits. They are found by carrying the moves out one by one; what a node takes in
//! before others have left it is counted in full. So any interleaving is safe, and a migration that takes three times as
//! long as expected delays others but endangers nobody.

use super::instance::{GuestAt, Instance, NodeAt};
use super::load::{Load, Ties};
use super::outcome::Reason;

/// A move and the guests that must have left its target before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    pub guest: GuestAt,
    pub to: NodeAt,
    pub after: Vec<GuestAt>,
    /// Under way already.
    pub running: bool,
}

/// Puts moves into an order in which they can be carried out; second: those that no order makes possible.
///
/// `running` are under way already, and come first; `moves` says where each of the others shall be in the end.
pub fn order(
    inst: &Instance,
    ties: &Ties,
    running: &[(GuestAt, NodeAt)],
    moves: &[(GuestAt, NodeAt)],
) -> (Vec<Ordered>, Vec<GuestAt>) {
    let mut now = Load::of(inst);
    // As `now`, but nobody has left anywhere.
    let mut full = now.clone();
    let mut gone: Vec<Vec<GuestAt>> = vec![Vec::new(); inst.nodes.len()];
    let mut ordered = Vec::with_capacity(moves.len());
    let mut waiting: Vec<(GuestAt, NodeAt)> = moves.to_vec();
    for (guest, to) in running.iter().copied() {
        full.count(guest, to, 1);
        now.lift(guest);
        now.put(guest, to);
        gone[inst.guests[guest].node].push(guest);
        ordered.push(Ordered { guest, to, after: Vec::new(), running: true });
    }
    // Those that make room first; the others keep their order.
    waiting.sort_by_key(|(guest, _)| inst.leaves(*guest));
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain(|&(guest, to)| {
            if now.refuses(ties, guest, to).is_some() {
                return true;
            }
            let after = needed(inst, ties, &mut full, &gone[to], guest, to);
            full.count(guest, to, 1);
            now.lift(guest);
            now.put(guest, to);
            gone[inst.guests[guest].node].push(guest);
            ordered.push(Ordered { guest, to, after, running: false });
            false
        });
        if waiting.len() == before {
            break;
        }
    }
    (ordered, waiting.into_iter().map(|(guest, _)| guest).collect())
}

/// Who must have left, of those that left `to` so far: as few as possible, in their order.
fn needed(
    inst: &Instance,
    ties: &Ties,
    full: &mut Load,
    gone: &[GuestAt],
    guest: GuestAt,
    to: NodeAt,
) -> Vec<GuestAt> {
    let lacks = |full: &Load| -> Option<Reason> { full.lacks(guest, to) };
    let mut after: Vec<GuestAt> = Vec::new();
    for other in gone {
        if lacks(full).is_none() {
            break;
        }
        full.count(*other, to, -1);
        after.push(*other);
    }
    for other in &after {
        full.count(*other, to, 1);
    }
    for other in ties.apart(inst, guest) {
        if gone.contains(&other) && !after.contains(&other) {
            after.push(other);
        }
    }
    after
}
