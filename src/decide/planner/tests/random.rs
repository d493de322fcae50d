//! Random clusters: safe, the same whoever writes it down, and nothing that is done is done again.

#[cfg(test)]
use proptest::prelude::*;

use super::super::instance::{Instance, Kind, NPlusOne, Rule, RuleKind, Way};
use super::super::{Admission, Planned, Wishes, check, plan};
use super::{cluster, guest, quick, rule};

/// Sizes, nodes, flags: what one guest is made of.
type Seed = (usize, i64, u8, u8);

fn instance() -> impl Strategy<Value = Instance> {
    let guests = proptest::collection::vec((0..7_usize, 1..40_i64, any::<u8>(), any::<u8>()), 4..40);
    let rules = proptest::collection::vec((any::<bool>(), any::<u8>(), any::<u8>(), any::<u8>()), 0..5);
    (3..7_usize, guests, rules, 0..3_u8, any::<bool>())
        .prop_map(|(nodes, guests, rules, n1, back)| build(nodes, &guests, &rules, n1, back))
}

fn build(nodes: usize, seeds: &[Seed], rules: &[(bool, u8, u8, u8)], n1: u8, back: bool) -> Instance {
    let mut used = vec![0_i64; nodes];
    let mut all = Vec::new();
    for (i, (at, size, kind, flags)) in seeds.iter().enumerate() {
        let node = at % nodes;
        let mut one = guest(&format!("g{i:03}"), node, size * 1024);
        // Nothing is overfull at the beginning: what is, no plan can mend.
        if used[node] + one.memory > 97_000 {
            continue;
        }
        used[node] += one.memory;
        one.used = one.memory as f64 * 0.8;
        one.dirty = f64::from(flags % 16) * 60.0;
        one.ha = flags & 1 == 0;
        match kind % 12 {
            0 => (one.way, one.running, one.dirty) = (Way::Offline, false, 0.0),
            1 => (one.way, one.dirty) = (Way::Restart, 0.0),
            2 => one.disks = vec![(1, 4000)],
            3 => one.allowed = Some((0..nodes).filter(|n| n % 2 == usize::from(flags & 2) / 2).collect()),
            4 if flags & 4 == 0 => (one.way, one.may_stop) = (Way::No, flags & 8 == 0),
            _ => {}
        }
        one.restarts.clone_from(&one.allowed);
        all.push(one);
    }
    let mut inst = cluster(nodes, all);
    inst.params.n_plus_one = [NPlusOne::Off, NPlusOne::Preferred, NPlusOne::Required][usize::from(n1)];
    let n = inst.guests.len();
    for (together, a, b, c) in rules {
        let mut guests: Vec<usize> = [a, b, c].iter().map(|x| usize::from(**x) % n).collect();
        guests.sort_unstable();
        guests.dedup();
        let node = |g: &usize| inst.guests[*g].node;
        let apart = guests.iter().enumerate().all(|(i, g)| guests[..i].iter().all(|o| node(o) != node(g)));
        let rested = guests.len() > 1;
        if *together && rested {
            inst.rules.push(rule(RuleKind::Together, &guests));
        } else if apart && rested {
            inst.rules.push(rule(RuleKind::Apart, &guests));
        }
    }
    if back {
        inst.kind = Kind::Return;
        inst.nodes[0].role = super::Role::Open;
        let away = inst.guests.iter_mut().filter(|g| g.node != 0 && g.memory < 20_000 && g.way != Way::No);
        away.step_by(2).for_each(|g| g.home = Some(0));
    }
    inst
}

fn planned(inst: &Instance, wishes: &Wishes) -> Planned {
    plan(inst, wishes).unwrap_or_else(|refused| panic!("{refused}\n{:?}\n{:?}", inst.rules, short(inst)))
}

/// What a person needs to see of a cluster that went wrong.
fn short(inst: &Instance) -> Vec<String> {
    let line = |(at, g): (usize, &super::Guest)| {
        let flags = (g.way, g.running, g.may_stop, g.home, &g.allowed);
        format!("#{at} on {} {} MiB {flags:?}", g.node, g.memory)
    };
    inst.guests.iter().enumerate().map(line).collect()
}

/// The same cluster, written down backwards.
fn reversed(inst: &Instance) -> Instance {
    let (nodes, guests) = (inst.nodes.len(), inst.guests.len());
    let node = |at: usize| nodes - 1 - at;
    let mut other = inst.clone();
    other.nodes.reverse();
    other.guests.reverse();
    for guest in &mut other.guests {
        guest.node = node(guest.node);
        guest.home = guest.home.map(node);
        if let Some(allowed) = &mut guest.allowed {
            allowed.iter_mut().for_each(|at| *at = node(*at));
            allowed.reverse();
        }
        guest.restarts.clone_from(&guest.allowed);
    }
    for rule in &mut other.rules {
        rule.guests.iter_mut().for_each(|at| *at = guests - 1 - *at);
    }
    other
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_is_safe_guarded_and_blind(inst in instance()) {
        let plan = planned(&inst, &quick());
        for admission in [Admission::Guarded, Admission::Blind] {
            let checked = check(&inst, &plan, admission);
            prop_assert_eq!(&checked.violations, &[]);
            prop_assert!((checked.makespan - plan.forecast.makespan).abs() < 0.05);
        }
        let asked = inst.leavers().count();
        let moved = plan.moves.iter().filter(|m| inst.leaves(m.guest)).count();
        prop_assert_eq!(asked, moved + plan.left.len() + plan.stops.len());
    }

    #[test]
    fn who_is_written_down_first_makes_no_difference(inst in instance()) {
        let (one, two) = (planned(&inst, &quick()), planned(&reversed(&inst), &quick()));
        prop_assert_eq!(one.left.len(), two.left.len());
        prop_assert!((one.forecast.makespan - two.forecast.makespan).abs() <= 0.01 * one.forecast.makespan);
    }

    #[test]
    fn planning_again_keeps_what_is_done_and_under_way(inst in instance(), done in 0..20_usize) {
        let first = planned(&inst, &quick());
        let mut by_end: Vec<_> = first.moves.iter().collect();
        by_end.sort_by(|a, b| a.ends.total_cmp(&b.ends));
        let done = done.min(by_end.len());
        let now = done.checked_sub(1).map_or(0.0, |last| by_end[last].ends);
        let (mut later, mut wishes) = (inst.clone(), quick());
        for m in &first.moves {
            if m.ends <= now {
                later.guests[m.guest].node = m.to;
                wishes.done.push(m.guest);
            } else if m.starts < now {
                wishes.running.push((m.guest, m.to));
            } else {
                wishes.keep.push((m.guest, m.to));
            }
        }
        let again = planned(&later, &wishes);
        prop_assert!(again.moves.iter().all(|m| !wishes.done.contains(&m.guest)), "{:?}", again.moves);
        for (guest, to) in &wishes.running {
            prop_assert!(again.moves.iter().any(|m| m.running && m.guest == *guest && m.to == *to));
        }
        // Where N+1 is required, who stays for its sake depends on where one starts. And a resident that made room may have
        // come to those it is kept together with: from then on they are bound.
        let strict = inst.params.n_plus_one == NPlusOne::Required;
        let whole = |of: &Instance, rule: &Rule| rule.guests.windows(2).all(|w| of.guests[w[0]].node == of.guests[w[1]].node);
        let bound_anew = inst.rules.iter().any(|rule| whole(&later, rule) && !whole(&inst, rule));
        // In the middle of a return, rarely, one who was to go home last finds its place taken: about one in a hundred runs of this test.
        let more = usize::from(inst.kind == Kind::Return);
        prop_assert!(strict || bound_anew || again.left.len() <= first.left.len() + more);
    }
}
