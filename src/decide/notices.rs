//! What people are told without asking, and how urgently: one table. Written for somebody who is woken at three: which
//! node, what it is, what pitlane does, what to do.
//!
//! Each thing is told once. A thing that happens again in a case is told again, but not for ever: somebody who was
//! called five times about one thing knows it.

mod table;

use std::time::Duration;

use crate::model::case::Phase;
use crate::model::fault::FaultKey;
use crate::model::ids::{CaseId, NodeName};
use crate::model::note::{Note, Noted};
use crate::model::notice::Urgency::{Page, Tell};
use crate::model::notice::{ChannelName, Notice, NoticeId, Recipients};
use crate::model::observed::BackupFails;
use crate::model::rules::{Mode, Response};
use crate::model::state::Decision;
use crate::model::step::{Outcome, StepId};
use crate::model::time::{Period, age};
use crate::model::wait::Wait;
use crate::model::wait_text::list;

use super::correlate::{Storm, spell};
use super::faults::believed;
use super::turn::Turn;
use super::view::View;

use table::{Said, of_note, say};

/// The same kind of thing in one case is told so often.
const SAME_MAX: usize = 5;
/// An effect that failed so often has been tried for ten minutes.
const EFFECT_TRIES: u32 = 8;
/// noout that cannot be given back for so long.
const NOOUT_HELD_MAX: Duration = Duration::from_secs(3600);
/// Not seeing the cluster for so long is an incident by itself.
const BLIND_MAX: Duration = Duration::from_secs(600);
/// A label may be 5,000 characters long; a subject line may not.
const TITLE_MAX: usize = 160;

/// Everything of one case that people are to be told.
pub(super) fn of_case(turn: &Turn, out: &mut Decision) {
    let case = &turn.case;
    for note in &turn.notes {
        if let Some(said) = of_note(&note.what, case) {
            // A verdict has a new first reason every other minute; that it may not leave is one thing.
            let again = !matches!(
                note.what,
                Noted::Waits {
                    wait: Wait::Verdict { .. }
                        | Wait::NotInPlaceNow { .. }
                        | Wait::Approval { .. }
                        | Wait::SecondPerson { .. }
                }
            );
            put(case_notice(turn, said), again, turn.view, out);
        }
    }
    // Not from the journal: that an effect failed is noted at once, that it fails for long is known only now.
    let own = format!("{}/", StepId::new(case.id, "").0.trim_end_matches('/'));
    for (step, attempt) in turn.view.state.ledger.range(StepId(own.clone())..) {
        let Some(subject) = step.0.strip_prefix(&own) else { break };
        let Outcome::Failed { trouble } = &attempt.outcome else { continue };
        if attempt.tries >= EFFECT_TRIES && case.open() {
            let said = say(
                Page,
                &format!("effect/{subject}"),
                format!("{}: {subject} fails again and again", case.node),
                &format!("tries on every five minutes. The last answer: {trouble}."),
                format!(
                    "mend the cause; pitlane owed prints the commands that do it by hand. pitlane show {}",
                    case.id
                ),
            );
            if let Some(said) = said {
                put(case_notice(turn, said), false, turn.view, out);
            }
        }
    }
    if let (Phase::GivingBack { since, .. }, Some((host, _))) = (&case.phase, &case.owed.noout)
        && age(turn.view.now, *since) >= NOOUT_HELD_MAX
    {
        let said = say(
            Page,
            "noout-held",
            format!("{}: noout on {host} cannot be given back", case.node),
            "keeps noout, because OSDs are down or placement groups are not clean.",
            format!("look at ceph health detail; pitlane heal {} lets Ceph copy without this host", case.id),
        );
        if let Some(said) = said {
            put(case_notice(turn, said), false, turn.view, out);
        }
    }
}

/// A notice before it is addressed.
struct Draft {
    id: NoticeId,
    said: Said,
    node: Option<NodeName>,
    case: Option<CaseId>,
    own: Recipients,
    mode: Mode,
}

fn case_notice(turn: &Turn, said: Said) -> Draft {
    let policy = turn.view.policy(&turn.case).ok();
    let mode = policy.map_or(turn.view.rules.mode, |policy| turn.view.rules.mode_of(policy));
    // Somebody may have taken the leave to act away in the middle; what is held already still endangers people.
    let mode = if turn.case.owed.nothing() { mode } else { mode.max(Mode::Approve) };
    Draft {
        id: NoticeId::of_case(turn.case.id, &said.subject),
        said,
        node: Some(turn.case.node.clone()),
        case: Some(turn.case.id),
        own: policy.map(|policy| policy.notify.clone()).unwrap_or_default(),
        mode,
    }
}

/// Faults that are no case: paged or recorded, once a spell.
pub(super) fn of_faults(view: &View, out: &mut Decision) {
    // A person is called for what can be told, also while Ceph is dead and some alerts cannot be placed.
    let faults = view.placed.as_slice();
    for storm in view.storms.iter().filter(|storm| storm.believed) {
        of_storm(storm, view, out);
    }
    for fault in faults {
        let Some(policy) = view.rules.policy(&fault.policy) else { continue };
        let action = policy.respond.action;
        if action.opens_a_case() || believed(fault, policy, view.now).is_none() {
            continue;
        }
        if action == Response::Page && view.storms.iter().any(|storm| storm.faults.contains(&fault.key)) {
            continue;
        }
        let FaultKey { node, class, component } = &fault.key;
        let since = spell(fault, policy, view.now);
        let said = say(
            if action == Response::Page { Page } else { Tell },
            "",
            format!("{node}: {class} {component}").trim_end().to_owned(),
            "moves nothing: the policy calls a person for this.",
            format!("look at {node}; it fires since {since}"),
        );
        let Some(said) = said else { continue };
        let id = NoticeId(format!("fault/{node}/{class}/{component}/{since}"));
        let own = match action {
            // Written down and sent to nobody; the id remembers that it was.
            Response::Record => Recipients { page: Some(Vec::new()), tell: Some(Vec::new()) },
            _ => policy.notify.clone(),
        };
        let mode = view.rules.mode_of(policy);
        let draft = Draft { id, said, node: Some(node.clone()), case: None, own, mode };
        let fault = fault.key.clone();
        match put(draft, false, view, out) {
            Put::Known | Put::Observed => {}
            _ if action == Response::Record => note(view, out, Noted::Recorded { fault }),
            put => note(view, out, Noted::Paged { fault, nobody: put == Put::Nobody }),
        }
    }
}

fn of_storm(storm: &Storm, view: &View, out: &mut Decision) {
    let Storm { class, domain, nodes, since, .. } = storm;
    let policy = view.rules.policy(&storm.policy);
    let place = domain.as_deref().unwrap_or("the cluster");
    let said = say(
        Page,
        "",
        format!("{class} on {} nodes of {place} at once: {}", nodes.len(), list(nodes)),
        "drains none of them: this looks like a room or a feed. What is out already is still given back.",
        "look at the room, the feed and the alert rule; pitlane drain NODE takes one out all the same"
            .to_owned(),
    );
    let Some(said) = said else { return };
    let draft = Draft {
        id: NoticeId(format!("storm/{class}/{place}/{since}")),
        said,
        node: None,
        case: None,
        own: policy.map(|policy| policy.notify.clone()).unwrap_or_default(),
        mode: policy.map_or(view.rules.mode, |policy| view.rules.mode_of(policy)),
    };
    let put = put(draft, false, view, out);
    if matches!(put, Put::Sent | Put::Nobody) {
        let (class, nodes) = (class.clone(), nodes.clone());
        note(view, out, Noted::Storm { class, nodes, nobody: put == Put::Nobody });
    }
}

/// About pitlane itself: it cannot see, or it cannot tell.
pub(super) fn of_us(view: &View, out: &mut Decision) {
    let ours = |id: String, said: Said, own: Recipients| Draft {
        id: NoticeId(id),
        said,
        node: None,
        case: None,
        own,
        mode: view.rules.mode,
    };
    if let Some(since) = view.seen.blind_since
        && age(view.now, since) >= BLIND_MAX
    {
        let span = Period(BLIND_MAX);
        let said = say(
            Page,
            "",
            format!("pitlane has not seen the cluster for {span}"),
            "touches nothing that it cannot see.",
            "check that the members answer and that the token is valid; pitlane status says more".to_owned(),
        );
        if let Some(said) = said {
            let put = put(ours(format!("blind/{since}"), said, Recipients::default()), false, view, out);
            if matches!(put, Put::Sent | Put::Nobody) {
                note(view, out, Noted::Blind { span, nobody: put == Put::Nobody });
            }
        }
    }
    if let Some(secs) = view.seen.jumped {
        let by = Period::secs(secs.unsigned_abs());
        note(view, out, Noted::ClockJumped { secs });
        let said = say(
            Tell,
            "",
            format!("pitlane's own clock jumped {} by {by}", if secs < 0 { "back" } else { "forward" }),
            "watches everything anew that it was watching; spans that are told may be wrong by as much.",
            "see that the machine's clock is kept in step (timedatectl, chronyc tracking)".to_owned(),
        );
        if let Some(said) = said {
            put(ours(format!("clock/{}/{secs}", view.now), said, Recipients::default()), false, view, out);
        }
    }
    if let Some(BackupFails { since, why }) = &view.seen.backup_fails {
        let said = say(
            Tell,
            "",
            "pitlane's own store is not backed up".to_owned(),
            &format!("goes on, and tries again every ten minutes. The last answer: {why}."),
            "see that store.backup.dir can be written and has room; pitlane store backup FILE copies it by hand"
                .to_owned(),
        );
        if let Some(said) = said
            && put(ours(format!("backup/{since}"), said, Recipients::default()), false, view, out)
                != Put::Known
        {
            note(view, out, Noted::BackupFails { error: why.clone() });
        }
    }
    for (channel, silent) in &view.state.silent {
        let others: Vec<ChannelName> =
            view.rules.notify.page.iter().filter(|name| *name != channel).cloned().collect();
        let said = say(
            Page,
            "",
            format!("notices do not reach {channel}"),
            &format!("tries on every five minutes. The last answer: {}.", silent.trouble),
            "mend the channel; pitlane config check --send tries it".to_owned(),
        );
        let own = Recipients { page: Some(others), tell: None };
        if let Some(said) = said
            && put(ours(format!("channel/{channel}/{}", silent.first), said, own), false, view, out)
                != Put::Known
        {
            let error = silent.trouble.to_string();
            note(view, out, Noted::ChannelSilent { channel: channel.clone(), error });
        }
    }
}

fn note(view: &View, out: &mut Decision, what: Noted) {
    out.notes.push(Note { at: view.now, case: None, what });
}

/// Addresses it and puts it into the decision, unless it was told. `again`: what happens anew is told anew, under a
/// number.
fn put(draft: Draft, again: bool, view: &View, out: &mut Decision) -> Put {
    let Draft { id, said, node, case, own, mode } = draft;
    let told = |id: &NoticeId| view.state.told.contains(id) || out.notices.iter().any(|n| &n.id == id);
    let numbered = (2..=SAME_MAX).map(|n| NoticeId(format!("{id}/{n}")));
    let Some(id) = std::iter::once(id.clone()).chain(numbered.filter(|_| again)).find(|id| !told(id)) else {
        return Put::Known;
    };
    let title: String =
        said.title.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TITLE_MAX).collect();
    let mut to = view.rules.notify.to(said.urgency, Some(&own));
    let mut put = if to.is_empty() { Put::Nobody } else { Put::Sent };
    if mode == Mode::Observe && put == Put::Sent {
        put = Put::Observed;
        to.clear();
        let urgency = said.urgency;
        out.notes.push(Note {
            at: view.now,
            case,
            what: Noted::WouldNotify { urgency, title: title.clone() },
        });
    }
    let body = format!("{title}\n\nWhat pitlane does: {}\n\nWhat to do: {}\n", said.does, said.todo);
    out.notices.push(Notice { id, at: view.now, urgency: said.urgency, title, body, node, case, to });
    put
}

/// What became of a draft.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Put {
    /// Told before.
    Known,
    Sent,
    /// Remembered; no channel is configured for it.
    Nobody,
    /// Remembered; mode observe sends nothing, and the journal says so.
    Observed,
}
