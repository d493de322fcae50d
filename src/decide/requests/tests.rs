use super::*;
use crate::decide::fixture::{NOW, at, case, draining, off, plan, rules, world};
use crate::model::alert::Episode;
use crate::model::fault::{Fault, FaultKey};
use crate::model::labels::Labels;
use crate::model::observed::Observed;

fn may_heal(seen: &Observed, phase: &Phase) -> bool {
    let (state, rules) = (Default::default(), rules());
    out_of_reach(phase, &View::new(&state, seen, &rules), &case(phase.clone()))
}

#[test]
fn healing_is_for_nodes_that_are_out() {
    let (there, mut gone) = (world(), world());
    off(&mut gone, &["pve2"]);
    let why = Ending::FalseAlarm;
    let back = Phase::GivingBack { since: at(0), why, clean_since: None, handover: None, course: Vec::new() };
    for phase in [Phase::preparing(at(0)), Phase::Confirming { since: at(0) }, back] {
        assert!(may_heal(&gone, &phase) && !may_heal(&there, &phase), "{}", phase.name());
    }
    let with_a_technician = Phase::HandedOver {
        since: at(0),
        handover: Handover::Died { at: at(0) },
        claim: None,
        cancelled: None,
    };
    assert!(may_heal(&there, &with_a_technician), "it may be switched off at any moment");
    assert!(!may_heal(&gone, &draining(0, plan())), "first it is seen whether it died");
}

/// Of three alarms that nobody believes yet, one opened the case, one came in the same look, and one joined later.
#[test]
fn who_calls_off_has_decided_about_what_opened_the_case_and_not_about_what_joined_it() {
    let (state, rules, seen) = (Default::default(), rules(), world());
    let mut view = View::new(&state, &seen, &rules);
    let opened_at = at(NOW - 100);
    let key = |part: &str| FaultKey { node: "pve2".into(), class: "psu".into(), component: part.into() };
    let fault = |part, received| {
        let episode = Episode {
            fingerprint: "psu".into(),
            labels: Labels::new(),
            starts_at: received,
            received_at: received,
            ends_at: None,
        };
        Fault { key: key(part), policy: "psu".into(), episodes: vec![episode] }
    };
    view.placed = vec![fault("PS1", at(NOW - 101)), fault("PS2", opened_at), fault("PS3", at(NOW - 99))];
    let mut case = case(Phase::preparing(opened_at));
    case.opened_at = opened_at;
    case.faults = ["PS1", "PS2", "PS3"].map(key).into();
    let mut turn = Turn::new(&view, case);
    let cancel = Cancelled { by: "alice".into(), at: at(NOW), reason: "no".into() };
    abort(&mut turn, cancel).expect("it can be called off");
    assert_eq!(turn.case.faults, ["PS1", "PS2"].map(key).into());
}
