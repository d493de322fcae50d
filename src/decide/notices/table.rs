//! The table: which lines of a case's journal are told, how urgently, and with which advice.
//!
//! It must never decide anything: what is in the journal has happened.

use crate::decide::preflight::only_the_hour;
use crate::model::case::Case;
use crate::model::note::Noted;
use crate::model::notice::Urgency::{self, Page, Tell};
use crate::model::time::to_the_second;
use crate::model::wait::Wait;

/// One thing to tell, before it has an id and recipients.
pub(super) struct Said {
    pub urgency: Urgency,
    pub subject: String,
    pub title: String,
    pub does: String,
    pub todo: String,
}

pub(super) fn say(urgency: Urgency, subject: &str, title: String, does: &str, todo: String) -> Option<Said> {
    Some(Said { urgency, subject: subject.to_owned(), title, does: does.to_owned(), todo })
}

/// The table: which lines of the journal are told, to whom, and with which advice.
pub(super) fn of_note(what: &Noted, case: &Case) -> Option<Said> {
    let (id, node) = (case.id, &case.node);
    let show = format!("pitlane show {id}");
    match what {
        Noted::Died { aboard, .. } => say(
            Page,
            "died",
            format!("{node} died with {aboard} guests aboard"),
            "takes nothing new; noout is not set, so that Ceph heals. It waits for HA to recover the guests.",
            format!(
                "see that HA recovers its guests, start the others by hand, or bring {node} back. {show}"
            ),
        ),
        Noted::ReturnStopped { fault } => say(
            Page,
            "return-stopped",
            format!("{node}: the return stops, {fault} fails again"),
            "moves no guest back. The node goes to the technician again.",
            format!("send the technician back to {node}. {show}"),
        ),
        Noted::ProofBroken { why, .. } => say(
            Page,
            "proof-broken",
            format!("{node}: not repaired, {why}"),
            "keeps the node out and reopens the work order.",
            format!("send the technician back to {node}. {show}"),
        ),
        Noted::Overrun { time_box } => say(
            Page,
            "overrun",
            format!("{node} is out for longer than {time_box}"),
            "holds everything as it is and goes on.",
            format!("ask the technician for a new time; pitlane abort {id} --reason WHY gives the node back"),
        ),
        Noted::LastSafeAbort { within, ends, choose: true, .. } => say(
            Page,
            "late",
            format!("{node}: from now on the time box of {within} cannot be kept by calling it off later"),
            "holds everything as it is: the machine is with a technician, so nothing is given back by itself.",
            format!(
                "choose: pitlane abort {id} --reason WHY, and pitlane done {id} --hands-off when nobody works on it; or let \
                 the work go on and tell who must know that it ends after {}",
                to_the_second(*ends)
            ),
        ),
        Noted::LastSafeAbort { within, choose: false, .. } => say(
            Tell,
            "late",
            format!("{node}: the latest safe abort within the time box of {within} is now"),
            "goes on; called off later, it is home after the box.",
            format!(
                "ask how long it still takes; pitlane abort {id} --reason WHY gives the node back. {show}"
            ),
        ),
        Noted::MaintenanceTaken { .. } => say(
            Tell,
            "maintenance-taken",
            format!("{node}: somebody ended the HA maintenance that pitlane holds"),
            "asks for it again: the node is out, and HA must not fill it.",
            format!("whoever it was: pitlane abort {id} --reason WHY gives everything back in order"),
        ),
        Noted::NooutTaken { .. } => say(
            Tell,
            "noout-taken",
            format!("{node}: somebody cleared the noout that pitlane holds"),
            "sets it again: the host's OSDs are, or will be, down for the work.",
            format!(
                "whoever it was: pitlane heal {id} lets Ceph copy, pitlane abort {id} --reason WHY gives all back"
            ),
        ),
        Noted::CalledOffProving { .. } => say(
            Tell,
            "cancelled",
            format!("{node}: called off while it is being proved"),
            "watches the machine's own return for some minutes, then gives everything back.",
            format!("nothing; {show}"),
        ),
        Noted::StaysAway { guest, name, why } => say(
            Page,
            &format!("stays-away-{guest}"),
            format!("{node}: guest {guest} ({name}) cannot go home"),
            &format!("leaves it where it is and goes on: {why}."),
            "move it by hand when the reason is gone".to_owned(),
        ),
        Noted::Cancelled { by, .. } => say(
            Page,
            "cancelled",
            format!("{node}: the work is called off by {by}"),
            "keeps guests away until nobody works on the machine.",
            format!("ask at the machine, then: pitlane done {id} --hands-off"),
        ),
        Noted::CalledOffHalfway { by, .. } => say(
            Page,
            "cancelled",
            format!("{node}: called off by {by} while the technician has a work order"),
            "takes nothing more and gives nothing back until nobody works on the machine.",
            format!("ask at the machine, then: pitlane done {id} --hands-off"),
        ),
        Noted::DrainBegins { .. } => say(
            Tell,
            "drain-begins",
            format!("{node} is being emptied"),
            "moves its guests to the other nodes.",
            format!("nothing; {show}"),
        ),
        Noted::HandedOver { .. } => say(
            Tell,
            "handed-over",
            format!("{node} is the technician's"),
            "holds the node out until the work is done and proved.",
            format!("before switching it off, ask: {show}. When done: pitlane done {id}"),
        ),
        Noted::HandedOverInPlace { .. } => say(
            Tell,
            "handed-over",
            format!("{node}: a disk is the technician's, the node works on"),
            "holds noout until the disk is back and proved.",
            format!("before pulling the disk, ask: {show}. When done: pitlane done {id}"),
        ),
        Noted::Proved { soak } => say(
            Tell,
            "proved",
            format!("{node} is proved: all checks good for {soak}"),
            "gives everything back.",
            "nothing".to_owned(),
        ),
        Noted::Closed { ending, stay, .. } => say(
            Tell,
            "closed",
            format!("{node}: closed, {ending}"),
            "owes nothing any more.",
            match stay {
                0 => "nothing".to_owned(),
                n => format!("{n} guests are not at home; {show} names them"),
            },
        ),
        Noted::Waits { wait: Wait::SecondFailure { what, .. } } => say(
            Page,
            "second-failure",
            format!("second failure while {node} is out: {what}"),
            "begins nothing new and holds what it holds.",
            format!("look at the other failure first; pitlane abort {id} --reason WHY gives everything back"),
        ),
        Noted::Waits { wait: wait @ Wait::MonsAfter { .. } } => say(
            Page,
            "monitors",
            format!("{node} must not be switched off: {wait}"),
            "begins nothing new and holds what it holds.",
            format!("tell the technician at once, then bring the other monitors back. {show}"),
        ),
        Noted::Waits { wait: wait @ Wait::CameAboard { .. } } => say(
            Page,
            "came-aboard",
            format!("{node} must not be switched off: {wait}"),
            "moves only what was planned, so it leaves them there.",
            format!("tell the technician at once, then move them away. {show}"),
        ),
        Noted::Waits { wait: wait @ Wait::MoveFails { guest, .. } } => say(
            Page,
            &format!("move-fails-{guest}"),
            format!("{node}: {wait}"),
            "does not try that guest again by itself.",
            wait.remedy(),
        ),
        Noted::Waits { wait: wait @ Wait::HaBringsHome { guest, why, .. } } => say(
            Page,
            &format!("unlike-{guest}"),
            format!("{node}: HA would bring guest {guest} home to an unlike processor"),
            &format!("keeps the HA maintenance, and with it the node out: {why}."),
            wait.remedy(),
        ),
        Noted::Waits { wait: wait @ Wait::HaDisarmed } if case.holds_the_node() => say(
            Tell,
            "ha-disarmed",
            format!("{node}: {wait}, and the case cannot go on"),
            "holds what it holds; HA takes nothing in and moves nobody.",
            wait.remedy(),
        ),
        Noted::Waits { wait: Wait::Approval { hash } } => say(
            Tell,
            &format!("approve-{}", hash.short()),
            format!("{node} wants to leave: approve plan {}?", hash.short()),
            "waits; nothing is touched until a person agrees.",
            format!("read it with pitlane show {id}, then pitlane approve {id} --plan {}", hash.short()),
        ),
        Noted::Waits { wait: wait @ Wait::SecondPerson { hash, .. } } => say(
            Tell,
            &format!("approve-too-{}", hash.short()),
            format!("{node} wants to leave: {wait}"),
            "waits; nothing is touched until a second person agrees.",
            wait.remedy_for(id),
        ),
        Noted::Waits { wait: wait @ (Wait::Verdict { reasons } | Wait::NotInPlaceNow { reasons }) }
            if only_the_hour(reasons) =>
        {
            say(
                Tell,
                "waits-for-its-window",
                format!("{node} waits for its window"),
                &format!("waits: {wait}."),
                wait.remedy(),
            )
        }
        Noted::Waits {
            wait: wait @ (Wait::Verdict { .. } | Wait::NotInPlaceNow { .. } | Wait::TimeBoxTooShort { .. }),
        } => say(
            Tell,
            "may-not-leave",
            format!("{node} is sick and may not leave now"),
            &format!("waits: {wait}."),
            wait.remedy(),
        ),
        _ => None,
    }
}
