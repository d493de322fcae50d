use super::super::instance::Guest;
use super::super::tests::{cluster, guest, quick};
use super::*;

/// The board of a cluster whose first node leaves, for as long as `look` looks at it.
fn on<T>(inst: &Instance, look: impl FnOnce(&mut Board) -> T) -> T {
    let ties = Ties::of(inst);
    look(&mut Board::new(inst, &ties, 1e6, &quick()))
}

fn bound_to(id: &str, node: usize, memory: i64, allowed: &[usize]) -> Guest {
    Guest { allowed: Some(allowed.to_vec()), ..guest(id, node, memory) }
}

#[test]
fn what_is_promised_to_a_nodes_wire_is_taken_back_with_the_unit() {
    let inst = cluster(3, vec![guest("x", 0, 1000), guest("y", 0, 2000)]);
    on(&inst, |board| {
        let bits = |unit: UnitAt| inst.work(&inst.guests[unit]).memory;
        board.put(0, 1);
        board.put(1, 1);
        assert_eq!(board.inbound, [0.0, bits(0) + bits(1), 0.0]);
        board.put(1, 2);
        assert_eq!(board.inbound, [0.0, bits(0), bits(1)]);
        board.lift(0);
        assert_eq!(board.inbound, [0.0, 0.0, bits(1)]);
    });
}

#[test]
fn who_came_to_make_room_elsewhere_lives_where_it_came_to() {
    let inst = cluster(4, vec![guest("x", 0, 1000), guest("r", 1, 1000), guest("s", 2, 1000)]);
    on(&inst, |board| {
        let r = board.unit(1).expect("it can move");
        board.put(r, 2);
        let s = board.unit(2).expect("it can move");
        let living = [1, 2, 3].map(|node| board.residents_on(node));
        assert_eq!(living, [vec![], vec![s, r], vec![]]);
    });
}

#[test]
fn one_large_unit_is_exchanged_for_two_small_ones() {
    let all = [("large", 0, 40_000), ("a", 0, 30_000), ("b", 0, 25_000), ("r", 1, 40_000)];
    let inst = cluster(2, all.map(|(id, node, memory)| guest(id, node, memory)).to_vec());
    on(&inst, |board| {
        board.put(0, 1);
        exchange(board, Whom::Asked);
        assert_eq!(board.left(), [0]);
    });
}

/// More small ones live there than are tried; only the large one's place is large enough.
#[test]
fn who_would_not_make_room_enough_costs_no_try() {
    let mut all = vec![bound_to("x", 0, 50_000, &[1]), guest("large", 1, 50_000)];
    all.extend((0..50).map(|i| guest(&format!("s{i}"), 1, 900)));
    all.iter_mut().for_each(|guest| guest.cpus = 1);
    on(&cluster(3, all), |board| {
        board.fuel = 20;
        assert!(squeeze(board, 0, Whom::All, 1));
    });
}

/// Full to the last MiB: 50 + 30 + 20 and 40 + 35 + 25. Taking the largest first leads astray twice.
#[test]
fn a_packing_without_any_slack_is_found() {
    let sizes = [50, 40, 35, 30, 25, 20];
    let all = sizes.iter().enumerate().map(|(i, gib)| guest(&format!("g{i}"), 0, gib * 1000));
    let inst = cluster(3, all.collect());
    on(&inst, |board| {
        board.fuel = 100_000;
        assert!(exact(board));
        assert_eq!((board.left(), &board.load.memory[1..]), (vec![], [0, 0].as_slice()));
    });
}
