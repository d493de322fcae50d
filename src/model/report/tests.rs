use super::*;
use crate::model::case::Ending;
use crate::model::fault::FaultKey;
use crate::model::ids::{GuestId, Person};
use crate::model::plan::How;
use crate::model::rules::ProofCheck;
use crate::model::time::after;

fn at(secs: u64) -> Time {
    after("2026-03-01T10:00:00Z".parse().expect("a time"), Duration::from_secs(secs))
}

fn note(secs: u64, what: Noted) -> Note {
    Note { at: at(secs), case: Some(CaseId(1)), what }
}

fn person() -> Person {
    Person::from("alice")
}

fn verdict(reasons: Vec<Wait>) -> Noted {
    Noted::Waits { wait: Wait::Verdict { reasons } }
}

fn told() -> Vec<Note> {
    let votes = Wait::QuorumAfter { votes_left: 1, votes_total: 3 };
    vec![
        note(0, Noted::PersonOpened { node: "pve2".into(), by: person(), reason: "fan".into() }),
        note(10, verdict(vec![votes.clone(), Wait::HaDisarmed])),
        note(20, Noted::Remark { by: person(), text: "on it".into() }),
        note(70, verdict(vec![votes])),
        note(100, Noted::DrainBegins { node: "pve2".into() }),
        note(110, Noted::NooutAsked { host: "pve2".into() }),
        note(
            120,
            Noted::Leaves { guest: GuestId(7), name: "c".into(), to: "pve3".into(), how: How::Restart },
        ),
        note(
            150,
            Noted::Arrived {
                guest: GuestId(7),
                name: "c".into(),
                node: "pve3".into(),
                took: Period::secs(30),
            },
        ),
        note(200, Noted::HandedOver { node: "pve2".into() }),
        note(300, Noted::NodeBack { node: "pve2".into() }),
        note(300, Noted::ProofBegins { soak: Period::secs(60) }),
        note(420, Noted::Proved { soak: Period::secs(60) }),
        note(420, Noted::ReturnBegins { why: Ending::Returned }),
        note(440, Noted::NooutGone { host: "pve2".into() }),
        note(450, Noted::Home { guest: GuestId(7), name: "c".into(), took: None }),
        note(460, Noted::Closed { ending: Ending::Returned, took: Period::secs(460), stay: 0 }),
    ]
}

#[test]
fn what_stood_in_the_way_is_counted_together_and_a_remark_ends_nothing() {
    let report = Report::of(CaseId(1), "pve2".into(), &told(), at(9_999));
    let waits: Vec<(u64, u32)> = report.waits.iter().map(|w| (w.took.0.as_secs(), w.times)).collect();
    assert_eq!(waits, [(90, 2), (60, 1)], "{:?}", report.waits);
    assert!(report.waits[0].would_have.as_ref().is_some_and(|text| text.contains("majority")));
}

#[test]
fn promises_are_held_against_what_it_took() {
    let report = Report::of(CaseId(1), "pve2".into(), &told(), at(9_999));
    let soak = report.promises.first().expect("the soak was promised");
    assert_eq!(
        (soak.promised, soak.took, soak.kept),
        (Period::secs(60), Some(Period::secs(120)), Some(false))
    );
    assert_eq!((report.guests.moved, report.guests.restarted, report.guests.home), (1, 1, 1));
    assert_eq!(report.held, [Held { what: "noout on pve2".into(), since: at(110), until: Some(at(440)) }]);
    let phases: Vec<(PhaseName, u64)> = report.phases.iter().map(|s| (s.phase, s.took.0.as_secs())).collect();
    let expected = [
        (PhaseName::Preparing, 100),
        (PhaseName::Draining, 100),
        (PhaseName::HandedOver, 100),
        (PhaseName::Proving, 120),
        (PhaseName::GivingBack, 40),
    ];
    assert_eq!(phases, expected);
}

/// Opened by an alarm; two moves fail, two guests stay away, and the repair does not hold the first time.
fn hard() -> Vec<Note> {
    let (node, name) = (|| "pve2".into(), || "c".to_owned());
    let fault = FaultKey { node: node(), class: "fan".into(), component: "FAN3".into() };
    let broken = Noted::ProofBroken { check: ProofCheck::SensorsOk, why: "it reads bad".into() };
    let fails = |guest| Noted::MoveFailed { guest: GuestId(guest), error: "no".into() };
    let stays = |guest| Noted::StaysAway { guest: GuestId(guest), name: name(), why: "no room".into() };
    let soak = Period::secs(60);
    vec![
        note(0, Noted::AlarmOpened { node: node(), fault: fault.clone() }),
        note(5, Noted::Steady { fault, spell: Period::secs(5) }),
        note(15, Noted::DrainBegins { node: node() }),
        note(20, fails(7)),
        note(25, fails(8)),
        note(30, Noted::HandedOver { node: node() }),
        note(60, Noted::NodeBack { node: node() }),
        note(60, Noted::ProofBegins { soak }),
        note(80, broken),
        note(120, Noted::NodeBack { node: node() }),
        note(150, Noted::TakenUpAgain),
        note(200, Noted::NodeBack { node: node() }),
        note(230, Noted::ReturnBegins { why: Ending::Returned }),
        note(240, stays(7)),
        note(240, stays(8)),
        note(270, Noted::Closed { ending: Ending::Returned, took: Period::secs(270), stay: 2 }),
    ]
}

#[test]
fn each_spell_with_the_technician_is_told_and_begins_when_the_repair_did_not_hold() {
    let report = Report::of(CaseId(1), "pve2".into(), &hard(), at(9_999));
    let phases: Vec<(PhaseName, u64)> = report.phases.iter().map(|s| (s.phase, s.took.0.as_secs())).collect();
    let expected = [
        (PhaseName::Confirming, 5),
        (PhaseName::Preparing, 10),
        (PhaseName::Draining, 15),
        (PhaseName::HandedOver, 30),
        (PhaseName::Proving, 20),
        (PhaseName::HandedOver, 40),
        (PhaseName::Proving, 30),
        (PhaseName::HandedOver, 50),
        (PhaseName::Proving, 30),
        (PhaseName::GivingBack, 40),
    ];
    assert_eq!(phases, expected);
}

#[test]
fn guests_that_stayed_away_and_moves_that_failed_are_counted_one_by_one() {
    let guests = Report::of(CaseId(1), "pve2".into(), &hard(), at(9_999)).guests;
    assert_eq!((guests.moves_failed, guests.stay, guests.home), (2, 2, 0));
}

#[test]
fn what_is_held_still_is_said_loudly() {
    let notes = &told()[..9];
    let text = Report::of(CaseId(1), "pve2".into(), notes, at(1_000)).to_string();
    assert!(text.contains("noout on pve2: since 2026-03-01T10:01:50Z, HELD STILL"), "{text}");
    assert!(text.contains("It is open still."), "{text}");
}

/// The time that people were told counts: a box that began to be counted earlier does not move it.
#[test]
fn a_time_that_people_were_told_is_held_against_the_end() {
    let mut notes = told();
    let late = Noted::LastSafeAbort {
        within: Period::secs(600),
        ends: at(400),
        way_back: Period::secs(30),
        choose: false,
    };
    notes.insert(9, note(310, late));
    let report = Report::of(CaseId(1), "pve2".into(), &notes, at(9_999));
    let time_box = report.promises.last().expect("the time box was promised");
    assert_eq!((time_box.by, time_box.kept), (Some(at(400)), Some(false)), "{time_box}");
    let text = report.to_string();
    assert!(text.contains("(people were told 2026-03-01T10:06:40Z), took 5m50s: NOT kept"), "{text}");
}

#[test]
fn a_months_cases_are_summed() {
    let now = at(9_999);
    let closed = Summary::of(&Report::of(CaseId(1), "pve2".into(), &told(), now), now);
    let open = Summary::of(&Report::of(CaseId(2), "pve3".into(), &told()[..9], now), now);
    assert_eq!((closed.held_for, open.held_for), (Period::secs(330), Period::secs(9_889)));
    assert_eq!((closed.promised, closed.kept, open.promised), (1, 0, 0));
    let all = Reports { since: at(0), until: now, cases: vec![open, closed], cut: false };
    let text = all.to_string();
    for line in [
        "- cases: 2, of these open still: 1",
        "- promises: 1, kept: 0",
        "- guests moved: 2, of these with a restart: 2",
        "| 1 | pve2 | 2026-03-01T10:00:00Z | the node is back in service | 5m30s | 0 of 1 | 1 |",
        "| 2 | pve3 | 2026-03-01T10:00:00Z | open still | 2h44m49s | 0 of 0 | 1 |",
        "- case 1 (pve2): watching the repair: promised 1m, took 2m: NOT kept",
    ] {
        assert!(text.lines().any(|told| told == line), "{line} in:\n{text}");
    }
}
