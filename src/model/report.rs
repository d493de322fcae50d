//! The report of one case: what happened, what was promised and what it took, what stood in the way, what was held and
//! given back. From the journal alone, so that it can be made of any case, however old.

mod list;
#[cfg(test)]
mod tests;
mod text;

pub use list::{Reports, Summary};

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::case::PhaseName;
use super::ids::{CaseId, NodeName};
use super::note::{Note, Noted};
use super::time::{Period, Time, age};
use super::wait::Wait;

/// A part of a report that is told longer is cut, and says so.
pub const LINES_MAX: usize = 500;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub case: CaseId,
    pub node: NodeName,
    pub opened_at: Option<Time>,
    /// `None`: it is open still.
    pub closed_at: Option<Time>,
    /// How it ended, in words; empty while it is open.
    pub ending: String,
    pub promises: Vec<Promise>,
    /// Checks and other things that stood in the way, the longest first.
    pub waits: Vec<Waited>,
    /// What was taken, and when it was given back.
    pub held: Vec<Held>,
    pub guests: Guests,
    /// How long each phase took, in its order.
    pub phases: Vec<Spell>,
    /// The whole story.
    pub timeline: Vec<Line>,
    /// Lines of the story that are left out.
    pub cut: usize,
}

/// Something that was expected, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Promise {
    pub what: String,
    pub promised: Period,
    /// The instant that people were told in a notice, where they were told one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Time>,
    /// `None`: it did not come to its end.
    pub took: Option<Period>,
    pub kept: Option<bool>,
}

/// One thing that stood in the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waited {
    pub what: String,
    pub first: Time,
    /// All its spells together.
    pub took: Period,
    pub times: u32,
    /// It was a check of the verdict; what would have happened without it.
    pub would_have: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    pub what: String,
    pub since: Time,
    /// `None`: it is held still, as far as the journal tells.
    pub until: Option<Time>,
}

/// What customers could have noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guests {
    /// Moved away, by us or by HA.
    pub moved: usize,
    /// Of these, with a restart.
    pub restarted: usize,
    pub shut_down: usize,
    pub home: usize,
    pub stay: usize,
    pub moves_failed: usize,
    /// The node died with so many aboard.
    pub aboard_when_it_died: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spell {
    pub phase: PhaseName,
    pub since: Time,
    pub took: Period,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub at: Time,
    pub text: String,
}

impl Report {
    /// Of one case's notes, oldest first. `now`: how long what is not over has lasted.
    pub fn of(case: CaseId, node: NodeName, notes: &[Note], now: Time) -> Self {
        let closed = notes.iter().rev().find_map(|note| match &note.what {
            Noted::Closed { ending, .. } => Some((note.at, ending.to_string())),
            _ => None,
        });
        let end = closed.as_ref().map_or(now, |(at, _)| *at);
        let promises = promises(notes, end, closed.is_some());
        Self {
            case,
            node,
            opened_at: notes.first().map(|note| note.at),
            closed_at: closed.as_ref().map(|(at, _)| *at),
            ending: closed.map(|(_, ending)| ending).unwrap_or_default(),
            promises,
            waits: waits(notes, end),
            held: held(notes),
            guests: guests(notes),
            phases: phases(notes, end),
            timeline: notes
                .iter()
                .take(LINES_MAX)
                .map(|note| Line { at: note.at, text: note.what.to_string() })
                .collect(),
            cut: notes.len().saturating_sub(LINES_MAX),
        }
    }
}

fn span(from: Time, to: Time) -> Period {
    Period::secs(age(to, from).as_secs())
}

/// A span that was promised, and how long it took.
fn within(what: &str, promised: Period, took: Period) -> Promise {
    Promise { what: what.to_owned(), promised, by: None, took: Some(took), kept: Some(took <= promised) }
}

fn promises(notes: &[Note], end: Time, closed: bool) -> Vec<Promise> {
    let mut all = Vec::new();
    let mut soaking: Option<(Time, Period)> = None;
    for note in notes {
        match &note.what {
            Noted::Took { took, .. } => {
                if let (Some(until), Some(planned)) = (took.until, took.planned) {
                    let (promised, took) = (Period::secs(planned.secs), span(took.since, until));
                    all.push(within("emptying the node", promised, took));
                }
            }
            Noted::ProofBegins { soak } => {
                soaking = Some((soaking.map_or(note.at, |(first, _)| first), *soak))
            }
            Noted::Proved { .. } => {
                if let Some((since, promised)) = soaking.take() {
                    // Longer than promised: it was interrupted, and began anew.
                    let took = span(since, note.at);
                    all.push(within("watching the repair", promised, took));
                }
            }
            Noted::ProofBroken { .. } => {
                if let Some((_, promised)) = soaking.take() {
                    let what = "watching the repair".to_owned();
                    all.push(Promise { what, promised, by: None, took: None, kept: Some(false) });
                }
            }
            _ => {}
        }
    }
    let within = notes.iter().find_map(|note| match &note.what {
        Noted::LastSafeAbort { within, .. } | Noted::Overrun { time_box: within } => Some(*within),
        _ => None,
    });
    if let (Some(promised), Some(since)) = (within, held(notes).iter().map(|held| held.since).min()) {
        let took = span(since, end);
        let what = "the time box".to_owned();
        let by = notes.iter().rev().find_map(|note| match &note.what {
            Noted::LastSafeAbort { ends, .. } => Some(*ends),
            _ => None,
        });
        let kept = by.map_or(took <= promised, |by| end <= by);
        // While it is open it can only be broken.
        let (took, kept) = if closed || !kept { (Some(took), Some(kept)) } else { (None, None) };
        all.push(Promise { what, promised, by, took, kept });
    }
    all
}

/// Each thing that stood in the way: from the line that tells it to the next line that is not a remark.
fn waits(notes: &[Note], end: Time) -> Vec<Waited> {
    let mut all: Vec<Waited> = Vec::new();
    for (n, note) in notes.iter().enumerate() {
        let Noted::Waits { wait } = &note.what else { continue };
        let over = notes[n + 1..].iter().find(|later| ends_a_wait(&later.what)).map_or(end, |later| later.at);
        let reasons: Vec<&Wait> = match wait {
            Wait::Verdict { reasons } | Wait::NotInPlaceNow { reasons } => reasons.iter().collect(),
            // What only waits for people with their work in hand stands in nobody's way.
            Wait::Technician | Wait::DisksWithTechnician { .. } => continue,
            other => vec![other],
        };
        let judged = matches!(wait, Wait::Verdict { .. } | Wait::NotInPlaceNow { .. });
        let took = age(over, note.at);
        for reason in reasons {
            let what = reason.to_string();
            let would_have = judged.then(|| reason.would_have()).flatten();
            match all.iter_mut().find(|known| known.what == what) {
                Some(known) => {
                    known.took = Period(known.took.0 + Duration::from_secs(took.as_secs()));
                    known.times += 1;
                }
                None => all.push(Waited {
                    what,
                    first: note.at,
                    took: Period::secs(took.as_secs()),
                    times: 1,
                    would_have: would_have.map(str::to_owned),
                }),
            }
        }
    }
    all.sort_by_key(|waited| (std::cmp::Reverse(waited.took), waited.first));
    all.truncate(LINES_MAX);
    all
}

/// Said beside what goes on, and no end of anything.
fn ends_a_wait(what: &Noted) -> bool {
    !matches!(
        what,
        Noted::Remark { .. }
            | Noted::Refused { .. }
            | Noted::Warned { .. }
            | Noted::WouldNotify { .. }
            | Noted::FaultJoined { .. }
            | Noted::Overrun { .. }
            | Noted::LastSafeAbort { .. }
            | Noted::WorkOrderWarned { .. }
            | Noted::ClockJumped { .. }
    )
}

fn held(notes: &[Note]) -> Vec<Held> {
    let mut all: Vec<Held> = Vec::new();
    let give = |all: &mut Vec<Held>, what: &str, at: Time| {
        if let Some(held) = all.iter_mut().rev().find(|held| held.what == what && held.until.is_none()) {
            held.until = Some(at);
        }
    };
    for Note { at, what, .. } in notes {
        let taken = match what {
            Noted::MaintenanceAsked { .. } => Some("HA maintenance".to_owned()),
            Noted::NooutAsked { host } => Some(format!("noout on {host}")),
            Noted::WorkOrderAsked { .. } => Some("work order".to_owned()),
            Noted::SilenceAsked { .. } => Some("silence in Alertmanager".to_owned()),
            Noted::LocateAsked { target, .. } => Some(format!("locate LED ({target})")),
            _ => None,
        };
        if let Some(what) = taken {
            all.push(Held { what, since: *at, until: None });
            continue;
        }
        match what {
            Noted::MaintenanceGone { .. } => give(&mut all, "HA maintenance", *at),
            Noted::NooutGone { host } => give(&mut all, &format!("noout on {host}"), *at),
            Noted::WorkOrderClosed => give(&mut all, "work order", *at),
            Noted::SilenceGone { .. } | Noted::SilenceLapsed { .. } | Noted::SilenceLeft { .. } => {
                give(&mut all, "silence in Alertmanager", *at);
            }
            Noted::LocateGone { target, .. } | Noted::LocateLeft { target, .. } => {
                give(&mut all, &format!("locate LED ({target})"), *at);
            }
            _ => {}
        }
    }
    all
}

fn guests(notes: &[Note]) -> Guests {
    use super::plan::How;
    let mut seen = Guests::default();
    let mut moved = std::collections::BTreeSet::new();
    let mut restarted = std::collections::BTreeSet::new();
    for Note { what, .. } in notes {
        match what {
            Noted::Leaves { guest, how: How::Restart, .. } => {
                restarted.insert(*guest);
            }
            Noted::Arrived { guest, .. } | Noted::MovedByOthers { guest, .. } => {
                moved.insert(*guest);
            }
            Noted::ShutsDown { .. } => seen.shut_down += 1,
            Noted::Home { .. } | Noted::StaysDown { .. } => seen.home += 1,
            Noted::StaysAway { .. } => seen.stay += 1,
            Noted::MoveFailed { .. } => seen.moves_failed += 1,
            Noted::Died { aboard, .. } => seen.aboard_when_it_died += aboard,
            _ => {}
        }
    }
    Guests { moved: moved.len(), restarted: restarted.len(), ..seen }
}

/// The phases as the journal tells them: each begins with a line of its own.
fn phases(notes: &[Note], end: Time) -> Vec<Spell> {
    let mut begun: Vec<(PhaseName, Time)> = Vec::new();
    for Note { at, what, .. } in notes {
        let phase = match what {
            Noted::AlarmOpened { .. } => Some(PhaseName::Confirming),
            Noted::Steady { .. }
            | Noted::Flapping { .. }
            | Noted::PersonOpened { .. }
            | Noted::Outgrown { .. } => Some(PhaseName::Preparing),
            Noted::DrainBegins { .. } | Noted::ServiceBegins { .. } => Some(PhaseName::Draining),
            Noted::HandedOver { .. } | Noted::HandedOverInPlace { .. } | Noted::CalledOffHalfway { .. } => {
                Some(PhaseName::HandedOver)
            }
            Noted::NodeBack { .. } => Some(PhaseName::Proving),
            Noted::ProofBroken { .. } | Noted::TakenUpAgain => Some(PhaseName::HandedOver),
            Noted::ReturnBegins { .. } | Noted::FalseAlarm { .. } => Some(PhaseName::GivingBack),
            Noted::Died { .. } => Some(PhaseName::Stranded),
            _ => None,
        };
        begun.extend(phase.map(|phase| (phase, *at)));
    }
    begun.dedup_by_key(|(phase, _)| *phase);
    let ends = begun.iter().skip(1).map(|(_, at)| *at).chain([end]).collect::<Vec<_>>();
    let spells = begun.into_iter().zip(ends);
    spells.map(|((phase, since), until)| Spell { phase, since, took: span(since, until) }).collect()
}
