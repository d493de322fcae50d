use super::slots::Slots;
use super::*;
use crate::decide::fixture::{NOW, at, case, detail, draining, guest, migration, plan, rules, told, world};
use crate::model::ids::CaseId;
use crate::model::observed::{GuestDetail, GuestKind, HaService, HaView, Observed, Power};
use crate::model::owed::GuestDebt;
use crate::model::plan::{How, Move};
use crate::model::rules::{HandSetup, Rules};
use crate::model::seen::Seen;
use crate::model::silence::{SilenceMark, SilenceRules, Silenced, SilencesView};
use crate::model::state::State;
use crate::model::time::Period;

/// The guest that these tests are about; it is on `pve2`, and these tasks were seen there.
const C: GuestId = GuestId(7);

fn with_tasks(tasks: Vec<Task>) -> Observed {
    let mut seen = world();
    told(&mut seen, |opinion| drop(opinion.guests.insert(C, guest("pve2"))));
    seen.pve.guests.insert(C, Seen::known(GuestDetail::default(), at(NOW)));
    seen.pve.nodes.insert("pve2".into(), Seen::known(detail(tasks), at(NOW)));
    seen
}

#[test]
fn only_what_failed_since_the_drain_began_counts_as_a_failed_try() {
    let tasks = vec![
        migration(100, Some((110, "before the drain"))),
        migration(200, Some((230, "the first"))),
        migration(240, Some((260, "OK"))),
        migration(270, Some((290, "the last"))),
        migration(280, Some((285, "WARNINGS: 1"))),
    ];
    let (state, rules, seen) = (State::default(), rules(), with_tasks(tasks));
    let view = View::new(&state, &seen, &rules);
    let moving = moving(C, &"pve2".into(), at(200), &view).expect("it is seen");
    assert_eq!((moving.failed, moving.last_failure), (2, Some((at(290), "the last"))));
    assert!(moving.running.is_none());
}

/// Asked for so many seconds ago, in a drain that has lasted for an hour. No task is seen yet.
fn asked_for(ago: u64) -> (Whereabouts, usize) {
    let (state, rules, seen) = (State::default(), rules(), with_tasks(Vec::new()));
    let view = View::new(&state, &seen, &rules);
    let go = Move {
        guest: C,
        name: "c".into(),
        kind: GuestKind::Qemu,
        to: "pve3".into(),
        how: How::Live,
        from: None,
        after: Vec::new(),
    };
    let mut plan = plan();
    plan.moves.push(go);
    let mut case = case(draining(NOW - 3600, plan));
    let debt = GuestDebt {
        name: "c".into(),
        kind: GuestKind::Qemu,
        home: "pve2".into(),
        was: Power::Running,
        ha: false,
        native: false,
        at: Whereabouts::Leaving { to: Some("pve3".into()), since: at(NOW - ago) },
        missing: None,
    };
    case.owed.guests.insert(C, debt);
    let mut turn = Turn::new(&view, case);
    assert_eq!(away(&mut turn), Err(Wait::GuestsAboard { guests: vec![C] }));
    (turn.case.owed.guests[&C].at.clone(), turn.steps.len())
}

#[test]
fn a_move_that_was_asked_for_a_moment_ago_has_time_to_show() {
    let leaving = |since| Whereabouts::Leaving { to: Some("pve3".into()), since: at(since) };
    assert_eq!(asked_for(5), (leaving(NOW - 5), 0));
    assert_eq!(asked_for(60), (leaving(NOW), 1), "it never began, and is asked for again");
}

/// A drain by a plan with or without HA maintenance, in a cluster where HA is in use; `true`: it is taken.
fn takes_maintenance(planned: bool) -> bool {
    let (state, mut seen) = (State::default(), world());
    let rules = Rules { hand: HandSetup::Installed, ..rules() };
    let service = HaService {
        node: "pve3".into(),
        state: "started".into(),
        target: None,
        command: false,
        maintenance_node: None,
    };
    let ha = HaView { armed: true, services: [(GuestId(9), service)].into(), ..HaView::default() };
    seen.pve.ha = Seen::known(ha, at(NOW));
    let view = View::new(&state, &seen, &rules);
    let mut plan = plan();
    plan.maintenance = planned;
    let mut turn = Turn::new(&view, case(draining(NOW - 60, plan)));
    let held = hold_maintenance(&mut turn);
    assert_eq!(held.is_err(), planned, "{held:?}");
    assert_eq!(turn.steps.len(), usize::from(planned));
    turn.case.owed.maintenance.is_some()
}

#[test]
fn a_drain_takes_the_maintenance_that_was_approved_and_no_other() {
    assert!(takes_maintenance(true));
    assert!(!takes_maintenance(false), "HA came into use after the approval");
}

/// Ids of silences that nobody owes, seen so many seconds ago.
fn leaked_after(secs: u64) -> Vec<String> {
    let (state, mut rules, mut seen) = (State::default(), rules(), world());
    rules.silences = Some(SilenceRules {
        cluster: "lab".into(),
        lease: Period::mins(30),
        cluster_label: None,
        label: "node".into(),
        alertnames: vec!["NodeDown".into()],
    });
    let silenced = |id: &str, cluster: &str, edited, active| Silenced {
        id: id.into(),
        mark: SilenceMark { cluster: cluster.into(), case: CaseId(1), node: "pve2".into() },
        edited,
        active,
        ends_at: at(NOW + 600),
    };
    let silences = vec![
        silenced("ours", "lab", false, true),
        silenced("a person's", "lab", true, true),
        silenced("over", "lab", false, false),
        silenced("another cluster's", "row", false, true),
    ];
    seen.silences = Seen::known(SilencesView { silences, silent: Vec::new() }, at(NOW - secs));
    leaked_silences(&View::new(&state, &seen, &rules), &[]).into_iter().collect()
}

#[test]
fn a_silence_that_nobody_owes_is_ended_while_what_is_seen_of_it_is_young() {
    assert_eq!([0, 10, 11, 30].map(leaked_after), [vec!["ours"], vec!["ours"], vec![], vec![]]);
}

#[test]
fn a_node_is_busy_while_anything_goes_there_or_leaves_it() {
    let mut slots = Slots::default();
    slots.begin(&"pve2".into(), &"pve3".into());
    assert_eq!(["pve2", "pve3", "pve4"].map(|node| slots.busy(&node.into())), [true, true, false]);
}
