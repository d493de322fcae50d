//! Guests on their way home that stand in each other's way: each waits until another has left its home, and so on in a
//! circle. No order of moves between homes solves that, and waiting never does.
//!
//! Drains cannot cause it, because the way home is the way out backwards; people who move and start guests meanwhile can.
//! Deliberately absent: a step by way of a third node. Nobody has agreed to a second interruption for what a person did, so
//! one of them stays, with the reason, and whoever waited for it is judged without it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ids::GuestId;

/// Guest → guests of ours, one of which has to leave before there is room for it at home.
pub type Blocked = BTreeMap<GuestId, BTreeSet<GuestId>>;

/// Who waits for nobody but guests that wait themselves, and for whom: the one with the lowest number of them.
pub fn knot(blocked: &Blocked) -> Option<(GuestId, GuestId)> {
    let mut tied = blocked.clone();
    loop {
        let before = tied.len();
        // Somebody in the way can still get away, now or once another has.
        let hopeless: BTreeSet<GuestId> = tied.keys().copied().collect();
        tied.retain(|_, others| others.is_subset(&hopeless));
        if tied.len() == before {
            break;
        }
    }
    tied.iter().find_map(|(guest, others)| Some((*guest, *others.first()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blocked(pairs: &[(u32, &[u32])]) -> Blocked {
        let set = |all: &[u32]| all.iter().copied().map(GuestId).collect();
        pairs.iter().map(|(guest, others)| (GuestId(*guest), set(others))).collect()
    }

    #[test]
    fn a_row_is_no_knot_and_a_ring_is() {
        assert_eq!(knot(&blocked(&[])), None);
        assert_eq!(knot(&blocked(&[(101, &[102]), (102, &[103])])), None, "103 may go");
        assert_eq!(knot(&blocked(&[(101, &[102]), (102, &[101, 103])])), None, "103 makes room for 102");
        let ring = blocked(&[(101, &[103]), (102, &[103]), (103, &[104]), (104, &[103])]);
        assert_eq!(knot(&ring), Some((GuestId(101), GuestId(103))), "nobody ever makes room for 101 either");
    }

    proptest! {
        /// Telling them one after the other ends, and whoever is left can be helped by somebody who is not blocked.
        #[test]
        fn knots_are_undone_one_by_one(
            pairs in proptest::collection::btree_map(0..12_u32, proptest::collection::btree_set(0..16_u32, 1..4), 0..12),
        ) {
            let mut left: Blocked = pairs
                .into_iter()
                .map(|(guest, others)| (GuestId(guest), others.into_iter().map(GuestId).filter(|o| o.0 != guest).collect()))
                .filter(|(_, others): &(_, BTreeSet<GuestId>)| !others.is_empty())
                .collect();
            let most = left.len();
            let mut told = 0;
            while let Some((guest, other)) = knot(&left) {
                prop_assert!(left.contains_key(&other), "{other} may still get away");
                left.remove(&guest);
                // It stays for good, so nobody waits for it; who waits for nobody else is judged by itself.
                for others in left.values_mut() {
                    others.remove(&guest);
                }
                left.retain(|_, others| !others.is_empty());
                told += 1;
                prop_assert!(told <= most);
            }
            let mut helped: BTreeSet<GuestId> =
                left.values().flatten().filter(|other| !left.contains_key(other)).copied().collect();
            for _ in 0..most {
                let more: Vec<GuestId> =
                    left.iter().filter(|(_, others)| !others.is_disjoint(&helped)).map(|(g, _)| *g).collect();
                helped.extend(more);
            }
            prop_assert!(left.keys().all(|guest| helped.contains(guest)));
        }
    }
}
