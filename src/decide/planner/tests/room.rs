//! Who makes room for whom, and who stays where not all can go.

use super::super::instance::{Guest, NPlusOne};
use super::super::{Planned, Reason, plan};
use super::{cluster, guest, quick};

fn planned(inst: &super::Instance) -> Planned {
    plan(inst, &quick()).expect("the check agrees")
}

/// One that may go to these nodes alone.
fn bound_to(id: &str, node: usize, memory: i64, allowed: &[usize]) -> Guest {
    Guest { allowed: Some(allowed.to_vec()), ..guest(id, node, memory) }
}

fn left(plan: &Planned) -> Vec<usize> {
    plan.left.iter().map(|left| left.guest).collect()
}

#[test]
fn several_residents_make_room_for_one() {
    let large = bound_to("x", 0, 90_000, &[1]);
    let plan = planned(&cluster(3, vec![large, guest("a", 1, 40_000), guest("b", 1, 40_000)]));
    assert_eq!((left(&plan), plan.forecast.made_room), (vec![], 2));
}

#[test]
fn a_resident_makes_room_for_the_one_that_makes_room() {
    let all = vec![
        bound_to("x", 0, 60_000, &[1]),
        bound_to("a", 1, 60_000, &[1, 2]),
        bound_to("b", 2, 60_000, &[2, 3]),
    ];
    let plan = planned(&cluster(4, all));
    assert_eq!((left(&plan), plan.forecast.made_room), (vec![], 2));
}

/// The loss of `r`'s node could not be absorbed, nor that of `s`'s; `p` goes to another node, and any can.
#[test]
fn a_resident_moves_where_a_loss_could_not_be_absorbed_otherwise() {
    let residents = [("p", 1, 40_000), ("q", 1, 40_000), ("r", 2, 55_000), ("s", 3, 50_000)];
    let mut all: Vec<Guest> = residents.map(|(id, node, memory)| guest(id, node, memory)).to_vec();
    all.push(Guest { ha: false, ..guest("x", 0, 1000) });
    let mut inst = cluster(4, all);
    inst.params.n_plus_one = NPlusOne::Required;
    let plan = planned(&inst);
    assert_eq!((left(&plan), plan.fragile.len(), plan.forecast.made_room), (vec![], 0, 1));
    inst.params.n_plus_one = NPlusOne::Preferred;
    let plan = planned(&inst);
    assert_eq!((plan.fragile.len(), plan.forecast.made_room), (2, 0), "nobody moves for a wish");
}

/// Either of two nodes has to carry all: the two smaller ones fit, the large one fits alone.
#[test]
fn as_many_go_as_the_loss_of_a_node_allows() {
    let all = vec![guest("a", 0, 50_000), guest("b", 0, 40_000), guest("large", 0, 90_000)];
    let mut inst = cluster(3, all);
    inst.params.n_plus_one = NPlusOne::Required;
    let plan = planned(&inst);
    assert_eq!((left(&plan), plan.fragile.len()), (vec![2], 0));
}

#[test]
fn a_local_disk_takes_room_from_the_next() {
    let mut inst = cluster(2, vec![guest("x", 0, 1000), guest("y", 0, 1000)]);
    inst.guests.iter_mut().for_each(|guest| guest.disks = vec![(1, 60_000)]);
    let plan = planned(&inst);
    assert_eq!((plan.moves.len(), plan.left[0].why), (1, Reason::Storage));
}
