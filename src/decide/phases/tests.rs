use super::*;
use crate::decide::fixture::{NOW, at, case, guest, off, rules, told, world};
use crate::model::alert::Episode;
use crate::model::case::{Ending, Handover};
use crate::model::fault::{Fault, FaultKey};
use crate::model::ids::GuestId;
use crate::model::labels::Labels;
use crate::model::observed::{GuestKind, Observed, Power};
use crate::model::owed::{Debt, GuestDebt, Whereabouts};
use crate::model::state::State;

/// The node is off with a guest aboard, say both members.
fn died() -> Observed {
    let mut seen = world();
    told(&mut seen, |opinion| drop(opinion.guests.insert(GuestId(7), guest("pve2"))));
    off(&mut seen, &["pve2"]);
    seen
}

/// What becomes of a case that is being believed, with what it holds.
fn believed(seen: &Observed, noout: bool) -> &'static str {
    let (state, rules) = (State::default(), rules());
    let view = View::new(&state, seen, &rules);
    let mut case = case(Phase::Confirming { since: at(0) });
    case.faults.insert(FaultKey { node: "pve2".into(), class: "psu".into(), component: "PS1".into() });
    let debt = Debt { since: at(0), reason: String::new(), alarm_at: at(NOW), seen: true, unsure: false };
    case.owed.noout = noout.then(|| ("pve2".into(), debt));
    match confirming::turn(&mut Turn::new(&view, case)) {
        Ok(Phase::Stranded { .. }) => "stranded",
        Ok(_) => "goes on",
        Err(_) => "waits",
    }
}

#[test]
fn a_node_that_dies_is_stranded_where_something_is_held_and_only_an_alarm_where_nothing_is() {
    assert_eq!(believed(&died(), true), "stranded");
    assert_eq!(believed(&died(), false), "waits", "nothing of it is ours yet");
    assert_eq!(believed(&world(), true), "waits");
}

/// The fault shows again while one guest is home, one on its way, one away, and one stays away.
#[test]
fn a_return_that_stops_knows_where_everybody_is() {
    let (state, rules, mut seen) = (State::default(), rules(), world());
    told(&mut seen, |opinion| {
        let places = [(6, "pve2"), (7, "pve3"), (8, "pve3"), (9, "pve4")];
        opinion.guests.extend(places.map(|(id, node)| (GuestId(id), guest(node))));
    });
    let mut view = View::new(&state, &seen, &rules);
    let key = FaultKey { node: "pve2".into(), class: "psu".into(), component: "PS1".into() };
    let fires = Episode {
        fingerprint: "psu".into(),
        labels: Labels::new(),
        starts_at: at(NOW - 10),
        received_at: at(NOW - 10),
        ends_at: None,
    };
    view.placed = vec![Fault { key, policy: "psu".into(), episodes: vec![fires] }];
    let stays = Whereabouts::Stays { node: Some("pve4".into()), why: "no room".into() };
    let coming = |secs| Whereabouts::Returning { from: "pve3".into(), since: at(NOW - secs) };
    let away = Whereabouts::Away { node: "pve3".into() };
    let mut case = case(Phase::GivingBack {
        since: at(NOW - 60),
        why: Ending::Returned,
        clean_since: None,
        handover: Some(Handover::Died { at: at(0) }),
        course: Vec::new(),
    });
    for (id, at) in [(6, coming(60)), (7, coming(5)), (8, away.clone()), (9, stays.clone())] {
        let debt = GuestDebt {
            name: "c".into(),
            kind: GuestKind::Qemu,
            home: "pve2".into(),
            was: Power::Running,
            ha: false,
            native: false,
            at,
            missing: None,
        };
        case.owed.guests.insert(GuestId(id), debt);
    }
    let mut turn = Turn::new(&view, case);
    assert!(matches!(giving_back::turn(&mut turn), Ok(Phase::Preparing { .. })));
    let now: Vec<_> = turn.case.owed.guests.into_values().map(|debt| debt.at).collect();
    assert_eq!(now, [Whereabouts::Aboard, coming(5), away, stays]);
}
